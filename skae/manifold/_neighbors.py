"""Nearest neighbors by the distance between tangent planes."""

from dataclasses import field
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import clone
from sklearn.utils import check_consistent_length, gen_batches
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, Interval, StrOptions, _fit_context, _safe_indexing
from .._estimators.columns import Columns
from .._estimators.fit_warnings import warn_of_scales
from .._estimators.fitting import (
    DTYPES,
    column_names,
    gathered_with_y,
    unchanged_on_error,
    validated_frame,
    validated_rows,
)
from .._estimators.parameters import check_set, estimator
from .._estimators.reading_y import read_labels
from .._estimators.reading_y import score as accuracy
from .._estimators.subestimators import (
    check_instance,
    check_needs_no_y,
    check_prefit,
    fitted_copy,
    is_prefit,
    unfrozen,
)
from .._threads import share_items, team
from .._typing import AnyArray, ArrayLike, BaseEstimator, ClassifierMixin, FloatArray, Self
from ..autoencoders import ContractiveAE
from ._search import Search, check_neighbors, in_units
from ._tangents import tangent_basis, tangents_at

_RIDGE = 1e-4  # keeps planes that share a direction apart, as in Simard et al.
_BLOCK = 64  # samples per task of a thread


def tangent_distances(differences, here, there=None):
    """Return the squared distances of pairs of points, minimized over movement in their tangent planes.

    Parameters
    ----------
    differences : ndarray of shape (n_pairs, n_features)
        First point of each pair minus the second.
    here : ndarray of shape (n_pairs, n_tangents, n_features)
        Orthonormal tangents at the first point.
    there : ndarray of shape (n_pairs, n_tangents, n_features), default=None
        Orthonormal tangents at the second point, which does not move by default.

    Returns
    -------
    distances : ndarray of shape (n_pairs,)
        Squared distances.
    """
    planes = here if there is None else np.concatenate([here, there], axis=1)
    along = np.matmul(planes, differences[:, :, np.newaxis])
    if there is None:
        moved = along
    else:
        gram = np.matmul(planes, planes.transpose(0, 2, 1))
        gram += _RIDGE * np.eye(gram.shape[1], dtype=gram.dtype)
        moved = np.linalg.solve(gram, along)
    return np.maximum((differences**2).sum(axis=1) - (along * moved).sum(axis=(1, 2)), 0)


@estimator
class TangentNeighborsClassifier(ClassifierMixin, BaseEstimator):
    """Nearest neighbors classifier by tangent distance, with learned tangents.

    The distance of two points is that between the planes that their tangents span through them. It is computed for the
    ``n_candidates`` nearest points in Euclidean distance. X is scaled for the encoder only: put a ``StandardScaler``
    before the classifier if columns have several scales.

    Parameters
    ----------
    encoder : estimator, default=None
        Model that :func:`tangent_basis` accepts; a clone is fitted to X without y. None means ``ContractiveAE()``.
    n_neighbors : int, default=5
        Number of neighbors that vote. It and ``n_candidates`` may be changed after ``fit``.
    n_tangents : int, default=1
        Number of tangents of each point. Keep it small: a plane of many tangents comes near to points of other classes.
    planes : {'both', 'query'}, default='query'
        Whether to use the tangent planes of query points only, or of training points too. ``'both'`` stores n_samples *
        n_tangents * n_features values, and training points whose tangents fit by chance are near to all others.
    n_candidates : int, default=100
        Number of nearest points in Euclidean distance whose tangent distance is computed; never fewer than
        ``n_neighbors``.
    prefit : bool, default=False
        Whether ``encoder`` is already fitted and is used as it is. In cross-validation use ``FrozenEstimator(encoder)``
        instead, which stays fitted when it is cloned.
    n_jobs : int, default=-1
        Number of threads, as in joblib.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of ``predict_proba``.
    encoder_ : estimator
        The fitted encoder.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Simard, P., LeCun, Y. & Denker, J. Efficient pattern recognition using a new transformation distance. NIPS 1992.

    Rifai, S. et al. The manifold tangent classifier. NIPS 2011, section 4.1.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAE
    >>> from skae.manifold import TangentNeighborsClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> cae = ContractiveAE(100, contraction=0.03, max_iter=20, random_state=0)
    >>> knn = TangentNeighborsClassifier(cae, n_neighbors=1)
    >>> knn.fit(X[:900] / 16, y[:900]).score(X[900:] / 16, y[900:]) > 0.9
    True
    """

    encoder: Any = field(default=None, kw_only=False)
    n_neighbors: int = 5
    n_tangents: int = 1
    planes: Literal["both", "query"] = "query"
    n_candidates: int = 100
    prefit: bool = False
    n_jobs: int | None = -1

    _parameter_constraints: ClassVar[dict] = {
        "encoder": [HasMethods("fit"), None],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_tangents": [Interval(Integral, 1, None, closed="left")],
        "planes": [StrOptions({"both", "query"})],
        "n_candidates": [Interval(Integral, 1, None, closed="left")],
        "prefit": ["boolean"],
        "n_jobs": [Integral, None],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit the encoder on X and keep the labeled rows with their tangents.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,)
            Labels. For two or more other classes, -1 marks rows without a label: only the encoder learns from them.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is invalid; the estimator is then as before, and so it is after an interrupt.
        """
        with unchanged_on_error(self, effective_n_jobs(self.n_jobs)):
            frame, y = gathered_with_y(self, X, y)
            X = validated_frame(self, frame, dtype=DTYPES, accept_sparse=False)
            check_consistent_length(X, y)
            frame = frame if hasattr(frame, "columns") else X
            self.classes_, labels = read_labels(y)
            known = labels >= 0
            self._labels, points = labels[known], X if known.all() else X[known]
            check_neighbors(self.n_neighbors, points)
            warn_of_scales(Columns(X), column_names(self, X), "Scale X (StandardScaler).")
            if is_prefit(self, "encoder"):
                check_prefit(encoder=unfrozen(self.encoder))
                self.encoder_ = fitted_copy(unfrozen(self.encoder))
            else:
                check_instance(encoder=self.encoder)
                check_needs_no_y(encoder=self.encoder)
                self.encoder_ = ContractiveAE() if self.encoder is None else clone(self.encoder)
                self.encoder_.fit(frame)
            self._n_tangents = self.n_tangents
            # An encoder without these tangents, or with other columns, is refused here and not at the first prediction.
            tangent_basis(self.encoder_, _safe_indexing(frame, slice(1)), self.n_tangents)
            self._points, self._tangents = points, None
            if self.planes == "both":
                self._tangents = self._basis(points, self.n_jobs)
            self._search = Search(points)
        return self

    def _basis(self, X, n_jobs):
        X = X.astype(self.encoder_.model_.dtype, copy=False)
        return tangents_at(self.encoder_, X, self._n_tangents, n_jobs=n_jobs).basis

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Return the fraction of votes for each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        check_is_fitted(self)
        check_set(self, "n_neighbors", "n_candidates", "n_jobs")
        check_neighbors(self.n_neighbors, self._points)
        X = validated_rows(self, X, dtype=self._points.dtype, accept_sparse=False, reset=False)
        classes = np.arange(len(self.classes_))

        def votes(rows):
            labels = self._labels[self._nearest(X[rows])]
            return (labels[:, :, np.newaxis] == classes).mean(axis=1)

        with team(effective_n_jobs(self.n_jobs)):
            return np.concatenate(share_items(votes, list(gen_batches(len(X), _BLOCK))))

    def _nearest(self, X):
        """Return the indices of the nearest training points, of shape (n_samples, n_neighbors)."""
        n_candidates = min(max(self.n_candidates, self.n_neighbors), len(self._points))
        candidates = self._search.nearest(X, n_candidates)
        here = self._basis(X, 1)
        distances = np.empty(candidates.shape, X.dtype)
        for i, (x, tangents, others) in enumerate(zip(X, here, candidates)):
            shape = (n_candidates, *tangents.shape)
            there = None if self._tangents is None else self._tangents[others]
            differences = in_units(x - self._points[others], self._search.unit)
            distances[i] = tangent_distances(differences, np.broadcast_to(tangents, shape), there)
        order = np.argsort(distances, axis=1, kind="stable")[:, : self.n_neighbors]
        return np.take_along_axis(candidates, order, axis=1)

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy of ``predict(X)`` on the rows with a label: those with -1 in y do not count.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.

        Returns
        -------
        score : float
            The mean over the samples.

        Raises
        ------
        ValueError
            If no row has a label, or labels are missing otherwise.
        """
        return accuracy(self, X, y, sample_weight)

    def predict(self, X: ArrayLike) -> AnyArray:
        """Return the class with the most votes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predictions.
        """
        votes = self.predict_proba(X)
        return self.classes_[votes.argmax(axis=1)]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_search")
