"""Leading right singular vectors of many linear maps at once, by Golub-Kahan bidiagonalization.

If the rows of all maps lie in a space of few dimensions, the search is for coordinates in it.

All samples share the matrix products of a step. Each has its own basis, and is removed when it has converged. With V_m
orthonormal, J V_m = U_m B_m and J'J V_m = V_m B_m'B_m + a_m b_(m+1) v_(m+1) e_m' (Golub & Kahan 1965). Only V is
reorthogonalized; this suffices, and lost orthogonality of U does not affect V (Simon & Zha 2000).
"""

import numpy as np
from joblib import Parallel, delayed
from sklearn.utils import gen_batches

from .._arrays.namespace import (
    all_finite,
    cast,
    chosen,
    copy,
    dtype_name,
    empty,
    in_rows,
    is_numpy,
    like,
    namespace,
    precision_of,
    row_norms,
    to_numpy,
    zeros,
)
from .._arrays.orthogonal import orthonormalize
from .._arrays.powers import power_of_two
from .._compat import _get_threadpool_controller

_STEPS_BEFORE_CHECK = 8  # steps beyond the number of vectors before the first check
# Relative growth of the steps between two checks. It is the same everywhere, as vectors depend on the number of steps;
# on a device checks are expensive, elsewhere steps.
_GROWTH = 1 / 4
_EIGENPROBLEMS = 64  # solved per task of a thread
_ROUNDINGS = 20  # times eps and the largest eigenvalue: a residual that counts as rounding


def leading_vectors(linear_map, n_vectors, tol, rng, start=None, n_jobs=-1):
    """Return the leading right singular vectors of each map, and their singular values.

    Parameters
    ----------
    linear_map : ProductMap or DenseMap
        ``n_samples`` matrices with ``n_features`` columns.
    n_vectors : int
        Number of vectors, at most ``n_features``.
    tol : float
        Upper bound on the angle, in radians, between the space of the result and the exact one.
    rng : numpy Generator
        Generator of start vectors.
    start : ndarray of shape (n_samples, n_features), default=None
        Start vectors: the closer they are to the solution, the sooner it is found.
    n_jobs : int, default=-1
        Number of threads for the small eigenproblems, if the arrays are not of numpy.

    Returns
    -------
    vectors : ndarray of shape (n_samples, n_vectors, n_features)
        Orthonormal rows, those of the largest singular values first; in the library of ``linear_map``, like the values.
    values : ndarray of shape (n_samples, n_vectors)
    """
    if start is None:
        start = _random(linear_map, linear_map.n_samples, rng)
    linear_map, basis = linear_map.in_row_space(n_vectors)
    if basis is not None:
        start = cast(start, basis.dtype) @ basis.T
    n_features, prototype = linear_map.n_features, linear_map.prototype
    xp = namespace(prototype)
    vectors = empty((linear_map.n_samples, n_vectors, n_features), prototype)
    values = empty((linear_map.n_samples, n_vectors), prototype)
    n_steps = min(n_vectors + max(n_vectors, _STEPS_BEFORE_CHECK), n_features)
    process = _Process(linear_map, n_steps, start, rng)
    waiting, n_waiting = process.units[:, 0] > 0, linear_map.n_samples  # a mask of all samples
    while n_waiting:
        process.run()
        ritz_values, ritz_vectors = process.ritz(n_jobs)
        done = process.settled(ritz_values, ritz_vectors, n_vectors, tol)
        finished = copy(waiting)
        finished[waiting] = done
        vectors[finished] = process.lift(ritz_vectors[done][:, :, :n_vectors], done)
        squares = ritz_values[done][:, :n_vectors]
        lengths = xp.sqrt(xp.maximum(squares, xp.zeros_like(squares)))
        values[finished] = cast(lengths, values.dtype) * process.units[done]
        n_steps = min(n_steps + max(4, int(n_steps * _GROWTH)), n_features)
        n_waiting = process.go_on(~done, n_steps)
        waiting[finished] = False
    return vectors if basis is None else vectors @ basis, values


def _random(linear_map, n_samples, rng):
    """Return random vectors that the map takes."""
    numbers = rng.standard_normal((n_samples, linear_map.n_features))
    return like(numbers.astype(dtype_name(linear_map.prototype)), linear_map.prototype)


def _eigh_in_threads(matrices, n_jobs):
    """Return ``np.linalg.eigh``: PyTorch on a GPU solves one matrix after another, a millisecond each."""
    parts = gen_batches(len(matrices), _EIGENPROBLEMS)
    # With threads of BLAS as well, this takes longer than one thread.
    with _get_threadpool_controller().limit(limits=1, user_api="blas"):
        solved = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(np.linalg.eigh)(matrices[part]) for part in parts
        )
    return tuple(map(np.concatenate, zip(*solved)))


class _Process:
    """State of the bidiagonalization of some samples."""

    def __init__(self, linear_map, n_steps, start, rng):
        n_samples, prototype = linear_map.n_samples, linear_map.prototype
        self.map, self._rng, self._xp = linear_map, rng, namespace(prototype)
        self._float64, self._eps = self._xp.float64, precision_of(prototype)
        # Maps are divided by these powers of two, as squares of their values could overflow or underflow.
        self.units = zeros((n_samples, 1), prototype) + 1
        self._next = cast(in_rows(start), prototype.dtype)
        self.n_done, self.basis = 0, empty((n_samples, n_steps, linear_map.n_features), prototype)
        # b_1 belongs to no pair of vectors.
        self.alphas = zeros((n_samples, n_steps), prototype, self._float64)
        self.betas = zeros((n_samples, n_steps + 1), prototype, self._float64)
        self._left = empty((n_samples, 0), prototype)
        self._lengths = empty(n_samples, prototype)
        orthonormalize(self.basis, 0, self._next, self._lengths)

    def run(self):
        """Take steps until the basis is full."""
        xp = self._xp
        for step in range(self.n_done, self.basis.shape[1]):
            self.basis[:, step, :] = self._next
            left = self.map.jvp(self._next)
            if not step:
                largest = to_numpy(xp.max(xp.abs(left), axis=1))
                units = power_of_two(np.where(largest > 0, largest, 1)).astype(largest.dtype)
                self.units[...] = like(units[:, np.newaxis], left)
            left /= self.units
            if step:
                left -= self._lengths[:, None] * self._left
            norms = row_norms(left)
            left /= xp.where(norms > 0, norms, xp.ones_like(norms))[:, None]
            self._left, self.alphas[:, step] = left, cast(norms, self._float64)
            after = self.map.vjp(left)
            after /= self.units
            # Nearly all of its part in the basis is along the last vector; without that, one pass is enough.
            after -= norms[:, None] * self._next
            self._next = after
            self._orthonormalize(step + 1)
            self.betas[:, step + 1] = cast(self._lengths, self._float64)
        self.n_done = self.basis.shape[1]

    def _orthonormalize(self, count):
        """Orthonormalize ``_next`` against the basis; replace it by a random orthogonal vector if nothing is left."""
        orthonormalize(self.basis, count, self._next, self._lengths)
        xp = self._xp
        size = xp.maximum(xp.max(self.alphas[:, :count], axis=1), xp.max(self.betas, axis=1))
        lost, n_lost = chosen(self._lengths <= self._eps * size)
        if n_lost and count < self.map.n_features:
            fresh, lengths = _random(self.map, n_lost, self._rng), empty(n_lost, self._next)
            orthonormalize(self.basis[lost], count, fresh, lengths)
            self._next[lost] = fresh
        self._lengths[lost] = 0

    def ritz(self, n_jobs):
        """Return eigenvalues of B'B, largest first, and eigenvectors in columns."""
        alphas, betas = to_numpy(self.alphas), to_numpy(self.betas)
        n_samples, n_steps = alphas.shape
        tridiagonal = np.zeros((n_samples, n_steps, n_steps))
        diagonal = alphas**2 + betas[:, :-1] ** 2
        off_diagonal = alphas[:, :-1] * betas[:, 1:-1]
        for step in range(n_steps):
            tridiagonal[:, step, step] = diagonal[:, step]
        for step in range(n_steps - 1):
            tridiagonal[:, step, step + 1] = tridiagonal[:, step + 1, step] = off_diagonal[:, step]
        if not all_finite(tridiagonal):
            raise ValueError(
                f"The derivatives of the codes with respect to X overflow in {dtype_name(self.basis)}: scale X, or give it in float64."
            )
        if self._xp is np:
            values, vectors = np.linalg.eigh(tridiagonal)
        else:
            values, vectors = _eigh_in_threads(tridiagonal, n_jobs)
        values, vectors = np.flip(values, axis=1), np.flip(vectors, axis=2)
        return like(values, self.basis), like(vectors, self.basis)

    def settled(self, values, vectors, n_vectors, tol):
        """Return a mask of samples with leading vectors within ``tol``: residual / gap bounds the angle's sine."""
        xp, n_steps = self._xp, values.shape[1]
        if n_steps == self.map.n_features:
            return xp.isfinite(values[:, 0])  # all
        factors = self.alphas[:, -1] * self.betas[:, -1]
        residuals = factors * row_norms(vectors[:, -1, :n_vectors])
        gaps = values[:, n_vectors - 1] - values[:, n_vectors]
        floor = _ROUNDINGS * self._eps * values[:, 0]
        return residuals <= xp.maximum(tol * gaps, floor)

    def lift(self, coefficients, samples):
        """Return linear combinations of the basis vectors, of shape (n_samples, n_vectors, n_features)."""
        xp = self._xp
        # Make signs independent of LAPACK: the component along the first basis vector becomes positive.
        ones = xp.ones_like(coefficients[:, :1, :])
        coefficients = coefficients * xp.where(coefficients[:, :1, :] < 0, -ones, ones)
        rows = in_rows(cast(xp.moveaxis(coefficients, 1, 2), self.basis.dtype))
        return xp.matmul(rows, self.basis[samples])

    def go_on(self, samples, n_steps):
        """Keep the ``samples`` of a mask and extend the basis to ``n_steps`` vectors; return the number of samples."""
        samples, n_samples = chosen(samples)
        if not n_samples:
            return 0
        self.map = self.map.take(samples, n_samples)
        for name, n_columns in (("alphas", n_steps), ("betas", n_steps + 1)):
            numbers = getattr(self, name)[samples]
            longer = zeros((n_samples, n_columns), numbers)
            longer[:, : numbers.shape[1]] = numbers
            setattr(self, name, longer)
        basis = empty((n_samples, n_steps, self.basis.shape[2]), self.basis)
        if is_numpy(basis):
            # One by one, as indexing all at once would make another copy.
            for place, sample in enumerate(samples):
                basis[place, : self.n_done] = self.basis[sample]
        else:
            basis[:, : self.n_done, :] = self.basis[samples]
        self.basis = basis
        for name in ("_next", "_left", "_lengths", "units"):
            setattr(self, name, getattr(self, name)[samples])
        return n_samples
