"""Leading right singular vectors of many linear maps at once, by Golub-Kahan bidiagonalization.

All samples share the matrix products of a step; each has a basis of its own, and leaves when it is done. With V_m
orthonormal, J V_m = U_m B_m and J'J V_m = V_m B_m'B_m + a_m b_(m+1) v_(m+1) e_m' (Golub & Kahan 1965). Only V is
orthogonalized again: that suffices, and what U lacks does not show in it (Simon & Zha 2000).
"""

import numpy as np

from .._estimators.columns import power_of_two
from .._kernels.orthogonal import orthonormalize

_STEPS_BEFORE_CHECK = 8  # steps beyond the number of vectors before the first look
_ROUNDINGS = 20  # how many roundings of the largest singular value a residual may be


def leading_vectors(linear_map, n_vectors, tol, rng, start=None):
    """Return the right singular vectors of the largest singular values of each map, and these.

    Parameters
    ----------
    linear_map : ChainMap or DenseMap
        Of ``n_samples`` matrices with ``n_features`` columns.
    n_vectors : int
        At most ``n_features``.
    tol : float
        Bound of the angle, in radians, between the space of the result and the exact one.
    rng : numpy Generator
        For vectors to start from.
    start : ndarray of shape (n_samples, n_features), default=None
        Vectors to start from: the nearer they are to the space that is looked for, the sooner it is found.

    Returns
    -------
    vectors : ndarray of shape (n_samples, n_vectors, n_features)
        Orthonormal rows, those of the largest singular values first.
    values : ndarray of shape (n_samples, n_vectors)
    """
    dtype, n_features = linear_map.dtype, linear_map.n_features
    vectors = np.empty((linear_map.n_samples, n_vectors, n_features), dtype)
    values = np.empty((linear_map.n_samples, n_vectors), dtype)
    n_steps = min(n_vectors + max(n_vectors, _STEPS_BEFORE_CHECK), n_features)
    process = _Process(linear_map, n_steps, start, rng)
    samples = np.arange(linear_map.n_samples)
    while samples.size:
        process.run()
        ritz_values, ritz_vectors = process.ritz()
        done = process.settled(ritz_values, ritz_vectors, n_vectors, tol)
        finished = samples[done]
        vectors[finished] = process.lift(ritz_vectors[done, :, :n_vectors], done)
        lengths = np.sqrt(np.maximum(ritz_values[done, :n_vectors], 0))
        values[finished] = lengths * process.units[done]
        n_steps = min(n_steps + max(4, n_steps // 8), n_features)
        process.go_on(np.flatnonzero(~done), n_steps)
        samples = samples[~done]
    return vectors, values


class _Process:
    """The bidiagonalization of some samples, as far as it has come."""

    def __init__(self, linear_map, n_steps, start, rng):
        n_samples, n_features, dtype = linear_map.n_samples, linear_map.n_features, linear_map.dtype
        self.map, self._rng = linear_map, rng
        # Maps are taken in multiples of these, powers of two: squares of their values need not be numbers of the dtype.
        self.units = np.ones((n_samples, 1), dtype)
        self._next = self._random(n_samples) if start is None else np.array(start, dtype, order="C")
        self.n_done, self.basis = 0, np.empty((n_samples, n_steps, n_features), dtype)
        # b_1 belongs to no pair of vectors.
        self.alphas, self.betas = np.zeros((n_samples, n_steps)), np.zeros((n_samples, n_steps + 1))
        self._left = np.empty((n_samples, 0), dtype)
        self._lengths = np.empty(n_samples, dtype)
        orthonormalize(self.basis, 0, self._next, self._lengths)

    def run(self):
        """Go on until the basis is full."""
        for step in range(self.n_done, self.basis.shape[1]):
            self._step(step)
        self.n_done = self.basis.shape[1]

    def _step(self, step):
        self.basis[:, step] = self._next
        left = self.map.jvp(self._next)
        if not step:
            largest = np.abs(left).max(axis=1, keepdims=True)
            self.units[...] = power_of_two(np.where(largest > 0, largest, 1))
        left /= self.units
        if step:
            left -= self._lengths[:, np.newaxis] * self._left
        norms = np.linalg.norm(left, axis=1)
        left /= np.where(norms > 0, norms, 1)[:, np.newaxis]
        self._left, self.alphas[:, step] = left, norms
        after = self.map.vjp(left)
        after /= self.units
        # Nearly all that is not new is along the last vector; without it one pass over the basis is enough.
        after -= norms[:, np.newaxis] * self._next
        self._next = after
        self._orthonormalize(step + 1)
        self.betas[:, step + 1] = self._lengths

    def _orthonormalize(self, count):
        """Make ``_next`` orthogonal to the basis; where nothing of it is left, take any vector that is."""
        orthonormalize(self.basis, count, self._next, self._lengths)
        size = np.maximum(self.alphas[:, :count].max(axis=1), self.betas.max(axis=1))
        lost = np.flatnonzero(self._lengths <= np.finfo(self._next.dtype).eps * size)
        if lost.size and count < self.map.n_features:
            fresh, lengths = self._random(lost.size), np.empty(lost.size, self._next.dtype)
            orthonormalize(self.basis[lost], count, fresh, lengths)
            self._next[lost] = fresh
        self._lengths[lost] = 0

    def _random(self, n_samples):
        return self._rng.standard_normal((n_samples, self.map.n_features)).astype(self.map.dtype)

    def ritz(self):
        """Return eigenvalues of B'B, largest first, and eigenvectors in columns."""
        n_samples, n_steps = self.alphas.shape
        tridiagonal, steps = np.zeros((n_samples, n_steps, n_steps)), np.arange(n_steps)
        tridiagonal[:, steps, steps] = self.alphas**2 + self.betas[:, :-1] ** 2
        beside = self.alphas[:, :-1] * self.betas[:, 1:-1]
        tridiagonal[:, steps[:-1], steps[1:]] = tridiagonal[:, steps[1:], steps[:-1]] = beside
        if not np.isfinite(tridiagonal).all():
            raise ValueError(
                f"The slopes of the codes by X are beyond the range of {self.basis.dtype}: scale X, or give it in float64."
            )
        values, vectors = np.linalg.eigh(tridiagonal)
        return values[:, ::-1], vectors[:, :, ::-1]

    def settled(self, values, vectors, n_vectors, tol):
        """Return which samples' leading vectors are within ``tol``: residual over gap bounds the angle's sine."""
        n_steps = values.shape[1]
        if n_steps == self.map.n_features:
            return np.ones(len(values), bool)
        factors = self.alphas[:, -1] * self.betas[:, -1]
        residuals = factors * np.linalg.norm(vectors[:, -1, :n_vectors], axis=1)
        gaps = values[:, n_vectors - 1] - values[:, n_vectors]
        floor = _ROUNDINGS * np.finfo(self.basis.dtype).eps * values[:, 0]
        return residuals <= np.maximum(tol * gaps, floor)

    def lift(self, coefficients, samples):
        """Return the combinations of basis vectors, of shape (n_samples, n_vectors, n_features)."""
        rows = np.ascontiguousarray(coefficients.transpose(0, 2, 1), self.basis.dtype)
        return np.matmul(rows, self.basis[samples])

    def go_on(self, samples, n_steps):
        """Go on with some of the samples, to a basis of ``n_steps`` vectors."""
        more = ((0, 0), (0, n_steps - self.n_done))
        self.map = self.map.take(samples)
        self.alphas, self.betas = (
            np.pad(self.alphas[samples], more),
            np.pad(self.betas[samples], more),
        )
        basis = np.empty((len(samples), n_steps, self.basis.shape[2]), self.basis.dtype)
        # One by one: all at once would be copied twice.
        for place, sample in enumerate(samples):
            basis[place, : self.n_done] = self.basis[sample]
        self.basis = basis
        for name in ("_next", "_left", "_lengths", "units"):
            setattr(self, name, getattr(self, name)[samples])
