"""Tangents of texts, read back as words."""

from collections.abc import Sequence

import numpy as np

from .._arrays.underflow import ignoring_underflow
from .._estimators.fitting import check_counts
from .._typing import FloatArray, TextArray


@ignoring_underflow
def tangent_terms(basis: FloatArray, feature_names: Sequence[str], n_terms: int = 8) -> TextArray:
    """Return each tangent as the words that it adds and takes away, such as ``'+gilt +stg -slow'``.

    The sign of a tangent is arbitrary; it is chosen so that the largest component is positive.

    Parameters
    ----------
    basis : ndarray of shape (..., n_features)
        Tangents, for instance from :func:`tangent_basis`.
    feature_names : sequence of str
        Word of each feature, for instance from ``CountVectorizer.get_feature_names_out``.
    n_terms : int, default=8
        Number of words of each tangent.

    Returns
    -------
    terms : ndarray of str of shape (...)
        Words of each tangent, those of the largest components first.

    Raises
    ------
    ValueError
        If ``feature_names`` does not have a name for each feature, ``basis`` is not finite, or ``n_terms`` is not
        positive.
    TypeError
        If a name is not a string.

    Examples
    --------
    >>> from skae.manifold import tangent_terms
    >>> str(tangent_terms([0.1, -0.9, 0.4], ["gilt", "slow", "money"], n_terms=2))
    '+slow -money'
    """
    check_counts(n_terms=n_terms)
    basis, names = np.asarray(basis, dtype=float), np.asarray(feature_names, dtype=object)
    if not basis.ndim or not np.isfinite(basis).all():
        raise ValueError(
            "basis must be finite and of shape (..., n_features), as of tangent_basis."
        )
    if names.shape != basis.shape[-1:]:
        raise ValueError(
            f"feature_names must have a name for each of {basis.shape[-1]} features; got shape {names.shape}."
        )
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            "feature_names must be strings: give [str(name) for name in feature_names]."
        )
    return np.apply_along_axis(_terms, -1, basis, names, n_terms)


def _terms(tangent, names, n_terms):
    order = np.argsort(-np.abs(tangent), kind="stable")[:n_terms]
    sign = 1 if tangent[order[0]] >= 0 else -1
    words = ["+-"[int(sign * tangent[j] < 0)] + names[j] for j in order if tangent[j]]
    return np.array(" ".join(words), dtype=object)
