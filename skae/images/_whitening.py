"""Whitening of patches."""

from dataclasses import field
from numbers import Real
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, _fit_context
from .._estimators.checks import check_codes, check_order_of_codes
from .._estimators.fitting import DTYPES, unchanged_on_error, validated_rows
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import estimator
from .._estimators.reading import named_array
from .._typing import (
    ArrayLike,
    BaseEstimator,
    FloatArray,
    OneToOneFeatureMixin,
    Self,
    TransformerMixin,
)
from .._warnings import warn


@estimator
class ZCA(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Whitening that changes the input as little as possible: ``(x - mean) U (S + epsilon s I)^(-1/2) U'``.

    U are the eigenvectors of the covariance of the features, S its eigenvalues, and s their mean.

    Parameters
    ----------
    epsilon : float, default=0.01
        Fraction of the mean variance of the features that is added to each variance, so that directions of noise are
        not amplified.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Means of the features.
    whitening_, coloring_ : ndarray of shape (n_features, n_features)
        Symmetric matrices of ``transform`` and ``inverse_transform``.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Bell, A. & Sejnowski, T. The "independent components" of natural scenes are edge filters. Vision Research 37
    (1997).

    Examples
    --------
    >>> import numpy as np
    >>> from skae.images import ZCA
    >>> X = np.random.default_rng(0).standard_normal((500, 2)) @ [[2.0, 1.0], [0.0, 0.5]]
    >>> np.cov(ZCA(epsilon=1e-9).fit_transform(X).T, bias=True).round(3) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """

    epsilon: float = field(default=0.01, kw_only=False)

    if TYPE_CHECKING:
        coloring_: FloatArray = field(init=False)
        mean_: FloatArray = field(init=False)
        whitening_: FloatArray = field(init=False)

    _parameter_constraints: ClassVar[dict] = {
        "epsilon": [Interval(Real, 0, None, closed="neither")]
    }

    fit_transform = fit_transform

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn the means and the covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.
        y : None
            Ignored.

        Returns
        -------
        self : ZCA
            The fitted estimator.

        Raises
        ------
        ValueError
            If X is invalid, or exceeds the range of its dtype.
        """
        with unchanged_on_error(self):
            X = validated_rows(self, X, dtype=DTYPES, accept_sparse=False, ensure_min_samples=2)
            self.mean_, self.whitening_, self.coloring_ = self._learned(X)
        return self

    def _learned(self, X):
        """Return the mean and the matrices of whitening and coloring."""
        # A sum of many rows in float32 would lose digits.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = X.mean(axis=0, dtype=np.float64).astype(X.dtype)
            centered = X - mean
        # As fractions of the largest value, whose square could be out of range.
        unit = np.abs(centered).max() or X.dtype.type(1)
        if not centered.any():
            warn("All columns of X are constant: ZCA maps such rows to 0. Give rows that differ.")
        if not np.isfinite(unit):
            raise ValueError(f"X is too large for {X.dtype}: scale it.")
        centered /= unit
        variances, directions = np.linalg.eigh(centered.T @ centered / len(X))
        floor = self.epsilon * variances.mean() or 1.0
        scales = unit * np.sqrt(np.maximum(variances, 0) + floor)
        with np.errstate(over="ignore", invalid="ignore"):
            whitening = (directions / scales) @ directions.T
            coloring = (directions * scales) @ directions.T
        if not all(np.isfinite(each).all() for each in (mean, whitening, coloring)):
            raise ValueError(f"X is too large or too small for {X.dtype}: scale it.")
        return mean, whitening, coloring

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return whitened rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            Whitened samples.
        """
        check_is_fitted(self)
        X = validated_rows(self, X, dtype=self.mean_.dtype, accept_sparse=False, reset=False)
        return (X - self.mean_) @ self.whitening_

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Return rows with the whitening undone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Samples, on the scale of the training data.
        """
        check_is_fitted(self)
        check_order_of_codes(self, X)
        X = named_array(X, "X", dtype=self.mean_.dtype)
        check_codes(X, self.n_features_in_)
        return X @ self.coloring_ + self.mean_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
