"""Tangents without a global model: principal components of neighbors."""

from dataclasses import field
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, _fit_context
from .._estimators.columns import Columns
from .._estimators.fit_warnings import warn_of_scales
from .._estimators.fitting import DTYPES, column_names, unchanged_on_error, validated_rows
from .._estimators.parameters import check_set, estimator
from .._typing import ArrayLike, BaseEstimator, Self
from ..nn.linear_maps import DenseMap
from ._search import Search, check_neighbors


@estimator
class LocalPCA(BaseEstimator):
    """Tangents without learning: principal components of each point's nearest neighbors.

    :func:`tangent_basis` accepts it in place of an encoder. The singular values are then the standard deviations of the
    neighbors along the tangents. X is not scaled.

    Parameters
    ----------
    n_neighbors : int, default=30
        Number of training points around each point, which give at most ``n_neighbors - 1`` tangents. It may be changed
        after ``fit``.
    n_jobs : int, default=None
        Number of processes or threads of the search, as in scikit-learn.

    Attributes
    ----------
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Bengio, Y., Monperrus, M. & Larochelle, H. Nonlocal estimation of manifold structure. Neural Computation 18
    (2006), section 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.manifold import LocalPCA, tangent_basis
    >>> X = load_digits().data / 16
    >>> tangent_basis(LocalPCA(20).fit(X), X[:10], n_tangents=5).basis.shape
    (10, 5, 64)
    """

    n_neighbors: int = field(default=30, kw_only=False)
    n_jobs: int | None = None

    _parameter_constraints: ClassVar[dict] = {
        "n_neighbors": [Interval(Integral, 2, None, closed="left")],
        "n_jobs": [Integral, None],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Store the points among which neighbors are searched.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is invalid or has fewer samples than ``n_neighbors``; the estimator is then as before.
        """
        with unchanged_on_error(self):
            X = validated_rows(self, X, dtype=DTYPES, accept_sparse=False, ensure_min_samples=2)
            check_neighbors(self.n_neighbors, X)
            warn_of_scales(Columns(X), column_names(self, X), "Scale X (StandardScaler).")
            self._points, self._search = X, Search(X, self.n_jobs)
        return self

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_search")

    @property
    def model_(self) -> Any:
        """The fitted neighborhoods, in place of an encoder."""
        check_is_fitted(self)
        check_set(self, "n_neighbors")
        check_neighbors(self.n_neighbors, self._points)
        return _Deviations(self._points, self._search, self.n_neighbors)


class _Deviations:
    """Deviations of neighbors from their mean, in place of a Jacobian."""

    def __init__(self, points, search, n_neighbors):
        self._points, self._search, self._n_neighbors = points, search, n_neighbors
        self.dtype, self.n_outputs = points.dtype, n_neighbors - 1

    def linear_map(self, x):
        """Return the deviations divided by the square root of their degrees of freedom."""
        places = self._search.nearest(x, self._n_neighbors)
        neighbors = self._points[places]
        neighbors -= neighbors.mean(axis=1, keepdims=True)
        neighbors /= np.sqrt(self.n_outputs)
        return DenseMap(neighbors)
