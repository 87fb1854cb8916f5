"""Tangents of the manifold that an encoder has learned: the directions in which its code varies most."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_random_state, check_scalar, gen_batches
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import dense, dtype_name, like, namespace
from .._arrays.underflow import ignoring_underflow
from .._estimators.checks import check_jobs
from .._estimators.devices import backend_of_fit, check_backend, check_same_backend, dispatched
from .._estimators.fitting import check_counts, rows_at_once, validated_rows
from .._estimators.reading import named_array
from .._threads import alone, share_items, team
from .._typing import FloatArray, MatrixLike, RandomState
from ._bidiagonalization import leading_vectors

# Samples that share matrix products: enough for their full speed, few enough for the cache.
BLOCK = 128
_MOST = 4096  # samples per block in other libraries, where each step is a call
_USUAL = 15  # tangents by default


class Tangents(NamedTuple):
    """Tangents of some samples.

    Parameters
    ----------
    basis : ndarray of shape (n_samples, n_tangents, n_features)
        Orthonormal right singular vectors of dh/dx, those of the largest singular values first. Their component of
        largest size is positive.
    singular_values : ndarray of shape (n_samples, n_tangents)
        Rate at which the code varies along each tangent.
    """

    basis: FloatArray
    singular_values: FloatArray


def tangent_basis(
    model: Any,
    X: MatrixLike,
    n_tangents: int | None = None,
    *,
    tol: float = 1e-4,
    start: FloatArray | None = None,
    random_state: RandomState = 0,
    n_jobs: int = -1,
) -> Tangents:
    """Return the tangents at each sample: leading right singular vectors of the Jacobian dh/dx.

    Golub-Kahan bidiagonalization runs on blocks of samples, which share the matrix products with the weights; no
    Jacobian is formed. A sample leaves its block when the residual divided by the gap, which bounds the sine of the
    angle between its tangents and the exact ones, is below ``tol``, or when the residual is at rounding level. The
    angle is then at most about ``max(tol, 20 eps s_1^2 / (s_k^2 - s_(k+1)^2))``, with the singular values s and the
    precision eps of X's dtype. Without a gap behind s_k, the space of the leading k is not defined. If singular values
    coincide exactly, only one of them may be found.

    Parameters
    ----------
    model : fitted auto-encoder, StackedAE, network classifier, PSD or LocalPCA
        Fitted encoder. A classifier contributes the layers below its output; a PSD must not have ``encoder='lista'``.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples. With scikit-learn's dispatch, arrays of the library of ``fit`` give tangents of that library.
    n_tangents : int, default=None
        Number of tangents per sample, at most the number of features, code units or neighbors; None means 15, or as
        many as there are.
    tol : float, default=1e-4
        Largest angle, in radians, to the exact space.
    start : ndarray of shape (n_samples, n_tangents, n_features), default=None
        Tangents to start from, for instance those of the same samples before some more training.
    random_state : int, RandomState instance or None, default=0
        Random seed of the start vectors if ``start`` is None.
    n_jobs : int, default=-1
        Number of threads, as in joblib.

    Returns
    -------
    tangents : Tangents
        Named tuple of ``basis``, of shape (n_samples, n_tangents, n_features), and ``singular_values``, of shape
        (n_samples, n_tangents). They are on the scale of X: standardize the columns of a table first, or those with
        small numbers dominate.

    Raises
    ------
    ValueError
        If X or a parameter is invalid.
    TypeError
        If the model has no Jacobian.

    References
    ----------
    Rifai, S. et al. The manifold tangent classifier. NIPS 2011, section 3.

    Golub, G. & Kahan, W. Calculating the singular values and pseudo-inverse of a matrix. SIAM J. Numer. Anal. 2
    (1965).

    Simon, H. D. & Zha, H. Low-rank matrix approximation using the Lanczos bidiagonalization process. SIAM J. Sci.
    Comput. 21 (2000).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAE
    >>> from skae.manifold import tangent_basis
    >>> X = load_digits().data / 16
    >>> cae = ContractiveAE(100, max_iter=5, random_state=0).fit(X)
    >>> basis, singular_values = tangent_basis(cae, X[:10], n_tangents=5)
    >>> basis.shape, singular_values.shape
    ((10, 5, 64), (10, 5))
    """
    X = _checked(model, X)
    if start is not None:
        check_same_backend(X, start=start)
        start = named_array(start, "start", dtype=X.dtype, ensure_2d=False, allow_nd=True)
    return tangents_at(
        model, X, n_tangents, tol=tol, start=start, random_state=random_state, n_jobs=n_jobs
    )


def tangents_at(model, X, n_tangents, *, tol=1e-4, start=None, random_state=0, n_jobs=-1):
    """Return :func:`tangent_basis` of X that the model has checked."""
    check_jobs(n_jobs)
    n_tangents = _number_of(n_tangents, model, X)
    solve = _solver(model, X, n_tangents, tol, start, random_state, n_jobs)
    if dispatched(X):
        block = rows_at_once_like(X, n_tangents, X.shape[1])
        with alone():
            parts = [solve(rows) for rows in gen_batches(X.shape[0], block)]
        return Tangents(*(namespace(X).concat(part, axis=0) for part in zip(*parts)))
    basis = np.empty((X.shape[0], n_tangents, X.shape[1]), X.dtype)
    values = np.empty((X.shape[0], n_tangents), X.dtype)

    def fill(rows):
        basis[rows], values[rows] = solve(rows)

    with team(effective_n_jobs(n_jobs)):
        share_items(fill, list(gen_batches(X.shape[0], BLOCK)))
    return Tangents(basis, values)


def rows_at_once_like(prototype, n_tangents, n_features):
    """Return the number of samples per block in another library, a multiple of that in numpy."""
    dtype = np.dtype(dtype_name(prototype))
    return max(rows_at_once(_MOST, 4 * n_tangents * n_features, dtype) // BLOCK, 1) * BLOCK


def iter_tangents(
    model: Any,
    X: MatrixLike,
    n_tangents: int | None = None,
    *,
    tol: float = 1e-4,
    block_size: int = 1024,
    random_state: RandomState = 0,
    n_jobs: int | None = -1,
) -> Iterator[tuple[slice, Tangents]]:
    """Yield the tangents of :func:`tangent_basis` block by block, for data whose tangents do not fit in memory.

    Parameters
    ----------
    model : fitted auto-encoder, StackedAE, network classifier, PSD or LocalPCA
        See :func:`tangent_basis`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    n_tangents : int, default=None
        Number of tangents of each sample; None means 15, or as many as there are.
    tol : float, default=1e-4
        See :func:`tangent_basis`.
    block_size : int, default=1024
        Number of samples in a block; a multiple of 128 gives bitwise the results of :func:`tangent_basis`.
    random_state : int, RandomState instance or None, default=0
        Random seed of the start vectors.
    n_jobs : int, default=-1
        Number of threads, as in joblib.

    Yields
    ------
    rows : slice
        Rows of the block in X.
    tangents : Tangents
        Tangents of these rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAE
    >>> from skae.manifold import iter_tangents
    >>> X = load_digits().data / 16
    >>> cae = ContractiveAE(100, max_iter=5, random_state=0).fit(X)
    >>> sum(len(basis) for rows, (basis, values) in iter_tangents(cae, X, n_tangents=5))
    1797
    """
    check_counts(block_size=block_size)
    check_jobs(n_jobs)
    X = _checked(model, X)
    n_tangents = _number_of(n_tangents, model, X)
    solve = _solver(model, X, n_tangents, tol, None, random_state, n_jobs)
    if dispatched(X):
        for rows in gen_batches(X.shape[0], block_size):
            with alone():
                tangents = Tangents(*solve(rows))
            yield rows, tangents
        return
    for rows in gen_batches(X.shape[0], block_size):
        parts = [
            slice(first, min(first + BLOCK, rows.stop))
            for first in range(rows.start, rows.stop, BLOCK)
        ]
        with team(effective_n_jobs(n_jobs)):
            pieces = share_items(solve, parts)
        yield rows, Tangents(*map(np.concatenate, zip(*pieces)))


def _checked(model, X):
    """Return X in the dtype of the model, which must have tangents."""
    if hasattr(type(model), "model_"):
        check_is_fitted(model)
    if not hasattr(getattr(model, "model_", None), "linear_map"):
        raise TypeError(
            f"model must be a fitted encoder with a Jacobian, such as ContractiveAE or StackedAE; got {model!r}."
        )
    dtype = model.model_.dtype
    check_backend(backend_of_fit(model), X, "tangent_basis")
    return validated_rows(model, X, dtype=dtype, reset=False)


def _number_of(n_tangents, model, X):
    """Return the number of tangents, which are at most as many as inputs and outputs of the encoder."""
    width = min(X.shape[1], model.model_.n_outputs)
    if n_tangents is None:
        return min(_USUAL, width)
    check_scalar(n_tangents, "n_tangents", Integral)
    if not 1 <= n_tangents <= width:
        raise ValueError(
            f"n_tangents must be between 1 and {width}, as many as X has columns and the encoder outputs; got {n_tangents!r}."
        )
    return n_tangents


def _solver(model, X, n_tangents, tol, start, random_state, n_jobs):
    """Return a function that computes the tangents of some rows of X."""
    if not (isinstance(tol, Real) and tol > 0):
        raise ValueError(f"tol must be positive; got {tol!r}.")
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    fitted = model.model_.moved(X) if dispatched(X) else model.model_
    if start is not None and start.shape != (X.shape[0], n_tangents, X.shape[1]):
        raise ValueError(
            f"start must have shape {(X.shape[0], n_tangents, X.shape[1])}; got {start.shape}."
        )

    @ignoring_underflow
    def solve(rows):
        x = X[rows, ...] if dispatched(X) else dense(X[rows])
        rng = np.random.default_rng([seed, rows.start])
        if start is not None:
            # One vector with a component along each of the old tangents is enough.
            first = namespace(start).sum(start[rows, ...], axis=1)
        else:
            first = _first_of_blocks(x, rows, seed) if dispatched(X) else None
        basis, values = leading_vectors(fitted.linear_map(x), n_tangents, tol, rng, first, n_jobs)
        return _with_signs(basis), values

    return solve


def _with_signs(basis):
    """Return the vectors along the last axis, such that their largest component is positive, for any start vector."""
    xp = namespace(basis)
    down = xp.max(basis, axis=-1, keepdims=True) < -xp.min(basis, axis=-1, keepdims=True)
    return xp.where(down, -basis, basis)


def _first_of_blocks(x, rows, seed):
    """Return start vectors, the same as those of numpy's blocks."""
    parts = [
        np.random.default_rng([seed, first]).standard_normal(
            (min(BLOCK, rows.stop - first), x.shape[1])
        )
        for first in range(rows.start, rows.stop, BLOCK)
    ]
    return like(np.concatenate(parts).astype(dtype_name(x)), x)
