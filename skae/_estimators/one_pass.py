"""Methods that fit and apply a model in one call, for X that can be read once only.

A class takes these functions as methods.
"""

from typing import Any

from sklearn.utils import get_tags

from .._typing import FloatArray, IntArray, MatrixLike, OutlierMixin, TransformerMixin
from ..sources._gather import only_y
from .fitting import gathered_in_parts


def fit_transform(
    self: TransformerMixin, X: MatrixLike, y: object = None, **fit_params: Any
) -> FloatArray:
    """Fit to X, and return ``transform(X)``; X is read once, so that it may be an iterator of batches.

    Parameters
    ----------
    X : object
        Training data, of the kinds and shapes that ``fit`` takes.
    y : array-like of shape (n_samples,), default=None
        Targets, where ``fit`` has them; they may come with the batches of X.
    **fit_params : dict
        Further arguments of ``fit``, such as ``sample_weight``.

    Returns
    -------
    X_new : {ndarray, sparse matrix} of shape (n_samples, n_features_out)
        The codes or values that ``transform`` returns.
    """
    return TransformerMixin.fit_transform(self, *read_once(self, X, y), **fit_params)


def fit_predict(self: OutlierMixin, X: MatrixLike, y: object = None, **fit_params: Any) -> IntArray:
    """Fit to X, and return ``predict(X)``; X is read once, so that it may be an iterator of batches.

    Parameters
    ----------
    X : object
        Training data, of the kinds and shapes that ``fit`` takes.
    y : None
        Ignored.
    **fit_params : dict
        Further arguments of ``fit``, such as ``sample_weight``.

    Returns
    -------
    kinds : ndarray of int of shape (n_samples,)
        1 for samples that are like the others, -1 for anomalies.
    """
    return OutlierMixin.fit_predict(self, *read_once(self, X, y), **fit_params)


def read_once(estimator, X, y):
    """Return X in memory or mapped into it, and y, which may come with the batches of X."""
    # The dtype of pixels says their scale.
    pixels = get_tags(estimator).input_tags.three_d_array
    X, found = gathered_in_parts(estimator, X, keep_dtype=pixels)
    return X, y if found is None else only_y(y, found)
