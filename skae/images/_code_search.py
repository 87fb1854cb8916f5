"""Sparse codes of whole images, by coordinate descent."""

import numpy as np
from scipy.ndimage import correlate1d

from .._estimators.unit_atoms import smoothing
from .._kernels.convolution import CodeProblem, Layout, descend, subtract_filters, working_set
from .._kernels.shrinkage import gap_rows
from .._threads import share_items

_MAX_PASSES = 30  # maximum number over a working set
_ROUNDING = {np.dtype(np.float32): 1e-14, np.dtype(np.float64): 1e-31}  # of the objective


def infer_maps(
    images, convolution, filters, alpha, *, pool=None, ridge=0.0, prior=None, tol, max_iter
):
    """Return the codes of images by coordinate descent, and upper bounds on their distance from the optimum.

    Codes minimize ``||x - sum_k d_k * h_k||^2 / 2 + alpha ||h||_1 + ridge ||h - prior||^2 / 2``, or, with ``pool``, its
    roots in place of the absolute values.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, channels)
    convolution : Convolution
    filters : ndarray of shape (n_filters, n_values)
    alpha, ridge : float
    pool : NeighborPools or None
    prior : ndarray of shape (n, n_codes) or None
        Target of the ridge term, 0 by default. It is also the start, unless zero codes are better.
    tol : float
        Stop when the duality gap is at most ``tol`` times the objective of the zero code; with ``pool``, when a pass
        changes the codes by at most ``tol`` times their norm.
    max_iter : int
        Maximum number of passes over the codes of an image that may be nonzero.

    Returns
    -------
    codes : ndarray of shape (n, n_codes)
    gaps : ndarray of shape (n,)
        Unknown with ``pool``: NaN, or infinite after ``max_iter`` passes.
    """
    n_codes = len(convolution.tiles) * (len(filters) // convolution.n_tiles)
    codes = np.zeros((len(images), n_codes), filters.dtype) if prior is None else prior.copy()
    filters = np.ascontiguousarray(filters)
    search = _Search(convolution, filters, alpha, ridge=ridge, tol=tol, max_iter=max_iter)

    def search_image(i):
        own_prior = None if prior is None else prior[i]
        if pool is None:
            return search.sparse(images[i], own_prior, codes[i])
        return search.pooled(images[i], own_prior, codes[i], pool)

    return codes, np.array(share_items(search_image, range(len(images))))


class NeighborPools:
    """Root sums of squares of the codes of each filter in Gaussian windows around all positions.

    They make filters of neighboring positions similar, if these are tiled.

    Parameters
    ----------
    size : int
        Width of a window: three standard deviations.
    n_positions : (int, int)
    alpha : float
        Weight of the roots, in units of which they are smoothed.
    """

    def __init__(self, size, n_positions, alpha):
        distances = np.arange(-(size // 2), size // 2 + 1)
        window = np.exp(-0.5 * (3 * distances / size) ** 2)
        self._window, self._positions, self._alpha = window / window.sum(), n_positions, alpha

    def roots(self, codes):
        """Return the roots in the order of codes, smoothed so that a group of zeros has a gradient."""
        return np.sqrt(self._means(codes**2) + smoothing(self._alpha, codes.dtype) ** 2)

    def parabolas(self, codes):
        """Return the second derivatives, by each code, of the parabolas that touch the roots at ``codes``."""
        return self._means(1 / self.roots(codes))

    def _means(self, values):
        maps = values.reshape(
            -1, *self._positions, values.shape[-1] // int(np.prod(self._positions))
        )
        for axis in (1, 2):
            maps = correlate1d(maps, self._window, axis=axis, mode="constant")
        return maps.reshape(values.shape)


class _Search:
    """Coordinate descent: see :func:`infer_maps`."""

    def __init__(self, convolution, filters, alpha, *, ridge, tol, max_iter):
        self._convolution, self._filters = convolution, filters
        self._alpha, self._ridge = filters.dtype.type(alpha), filters.dtype.type(ridge)
        self._tol, self._max_iter = tol, max_iter
        self._curvatures = np.einsum("ij,ij->i", filters, filters) + self._ridge
        self._n_filters = len(filters) // convolution.n_tiles
        height, n_channels = convolution.patch_size[0], convolution.picture_shape[2]
        offsets = convolution.tiles * self._n_filters
        self._layout = Layout(offsets, height, convolution.n_positions[1], n_channels)
        self._nothing = np.empty(0, filters.dtype)  # None would need another compilation

    def sparse(self, image, prior, codes):
        """Improve ``codes`` of ``image`` on working sets; return the duality gap.

        A working set contains the nonzero codes and, at each position, the filter that would lower the objective most:
        others that explain the same would have to be removed again. Between working sets, all codes are checked.
        """
        correlations, squared_norm = self._correlations(image), np.vdot(image, image)
        if prior is not None:
            correlations += self._ridge * prior
            squared_norm += self._ridge * np.vdot(prior, prior)
        if prior is not None and self._value(image, prior) > 0.5 * squared_norm:
            codes[:] = 0
        alphas, gap, n_left = np.full(1, self._alpha), np.empty(1), self._max_iter
        members, buffer = np.flatnonzero(codes), np.empty(len(codes), np.int64)
        while True:
            residual = self._residual(image, codes, members)
            residual_corr = self._correlations(residual.reshape(image.shape))
            if prior is not None:
                residual_corr += self._ridge * (prior - codes)
            rows = (each[np.newaxis] for each in (correlations, residual_corr, codes))
            gap_rows(alphas, False, np.full(1, squared_norm), *rows, gap)
            if gap[0] <= 0.5 * self._tol * squared_norm or n_left <= 0:
                return gap[0]
            size = working_set(residual_corr, codes, self._alpha, self._n_filters, buffer)
            members, n_most = buffer[:size], min(_MAX_PASSES, n_left)
            n_passes, decrease = descend(
                self._problem(prior), self._alpha, self._nothing, members, n_most, codes, residual
            )
            # If the decrease is down to rounding, the gap is computed one last time.
            n_left = n_left - n_passes if decrease > _ROUNDING[codes.dtype] * squared_norm else 0

    def pooled(self, image, prior, codes, pool):
        """Improve ``codes`` of ``image`` by passes over all codes, each on a quadratic upper bound of the roots.

        Returns NaN, since the duality gap is not known, or infinity after ``max_iter`` passes.
        """
        members = np.arange(len(codes))
        problem, residual = self._problem(prior), self._residual(image, codes, members)
        # As if all roots were as large as the largest correlation: else groups of zeros would hardly grow.
        largest = np.abs(self._correlations(image)).max()
        weights = np.full_like(codes, self._alpha / largest if largest else 0)
        for _ in range(self._max_iter):
            before = codes.copy()
            descend(problem, self._alpha * 0, weights, members, 1, codes, residual)
            if np.linalg.norm(codes - before) <= self._tol * np.linalg.norm(codes):
                return np.nan
            weights = self._alpha * pool.parabolas(codes)
        return np.inf

    def _value(self, image, codes):
        """Return the objective of codes that equal the prior."""
        residual = self._residual(image, codes, np.flatnonzero(codes))
        return 0.5 * np.vdot(residual, residual) + self._alpha * np.abs(codes).sum()

    def _residual(self, image, codes, members):
        """Return the rows of ``image`` minus its reconstruction; only ``codes`` in ``members`` are nonzero."""
        residual = image.reshape(len(image), -1).copy()
        subtract_filters(codes, members, self._filters, self._layout, residual)
        return residual

    def _correlations(self, image):
        return self._convolution.correlations(image[np.newaxis], self._filters)[0]

    def _problem(self, prior):
        prior = self._nothing if prior is None else prior
        return CodeProblem(self._filters, self._curvatures, self._layout, self._ridge, prior)
