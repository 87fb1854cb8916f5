"""From pictures to pooled feature maps, a block at a time."""

import numpy as np

from .._kernels.pictures import (
    MAX,
    SQUARES,
    SUM,
    gather_patches,
    normalize_patches,
    pool,
)
from ._pictures import pair, smoothed

KINDS = {"mean": SUM, "sum": SUM, "max": MAX, "l2": SQUARES}
_BAND = 400_000  # numbers of a band of positions, its products and codes, that stay in the cache of a core
_FEWEST, _MOST = 64, 4096  # positions of a band


class FeatureMaps:
    """What a fitted stage computes.

    Parameters
    ----------
    patch_size : (int, int)
    floor : float or None
        Added to the variance of a patch; None leaves patches as they are.
    encoder : object
        See ``_encoders``.
    sigma : float or None
        Of local contrast normalization.
    n_positions : (int, int)
        Of a patch in a picture, down and across.
    rows, columns : ndarray of shape (n_windows, 2)
        First and behind last row or column of the windows of pooling.
    pooling : {'mean', 'sum', 'max', 'l2'}
    """

    def __init__(self, *, patch_size, floor, encoder, sigma, n_positions, rows, columns, pooling):
        self.patch_size, self._floor, self._encoder = patch_size, floor, encoder
        self._sigma, self._positions = sigma, n_positions
        self._rows, self._columns, self._pooling = rows, columns, pooling
        self.shape = len(rows), len(columns), encoder.n_maps

    @property
    def dtype(self):
        """Of pictures and features."""
        return self._encoder.matrix.dtype

    @property
    def n_places(self):
        """Number of positions in a picture."""
        return self._positions[0] * self._positions[1]

    def fill(self, pictures, pooled):
        """Fill ``pooled`` (n, *shape) from pictures (n, height, width, channels)."""
        kind, windows = KINDS[self._pooling], (*self._positions, self._rows, self._columns)
        pooled[:] = -np.inf if kind == MAX else 0
        if self._sigma is None:
            for first, products in self._products(pictures):
                self._encoder.pool(products, first, windows, kind, pooled)
        else:
            pool(self._normalized(pictures), 0, *windows, kind, pooled)
        if self._pooling == "mean":
            areas = np.outer(np.diff(self._rows), np.diff(self._columns))
            pooled /= areas[:, :, np.newaxis].astype(pooled.dtype)
        elif self._pooling == "l2":
            np.sqrt(pooled, out=pooled)

    def _normalized(self, pictures):
        """Return the codes of all positions with their contrast normalized in each picture."""
        codes = np.empty((len(pictures) * self.n_places, self.shape[2]), pictures.dtype)
        for first, products in self._products(pictures):
            codes[first : first + len(products)] = self._encoder.encode(products)
        for maps in codes.reshape(len(pictures), *self._positions, -1):
            normalize_maps(maps, self._sigma)
        return codes

    def _products(self, pictures):
        """Yield first position and products of bands, in a buffer that is used again."""
        matrix, n_all = self._encoder.matrix, len(pictures) * self.n_places
        size = int(np.clip(_BAND // self._encoder.width, _FEWEST, _MOST))
        size = min(size, n_all)
        patches, products = (np.ones((size, n), matrix.dtype) for n in matrix.shape)
        for first in range(0, n_all, size):
            n = min(size, n_all - first)
            gather_patches(pictures, *self.patch_size, first, patches[:n])
            if self._floor is not None:
                normalize_patches(patches[:n], matrix.dtype.type(self._floor))
            np.matmul(patches[:n], matrix, out=products[:n])
            yield first, products[:n]


def normalize_maps(maps, sigma):
    """Subtract from maps (height, width, n_maps) their local mean, and divide by their local deviation, in place.

    Mean and deviation are of all maps in a Gaussian window; the divisor is no less than the mean deviation of the
    picture (Jarrett et al. 2009).
    """
    maps -= smoothed(maps.mean(axis=2), sigma)[:, :, np.newaxis]
    squares = np.einsum("ijk,ijk->ij", maps, maps) / maps.dtype.type(maps.shape[2])
    deviations = np.sqrt(np.maximum(smoothed(squares, sigma), 0))
    floor = deviations.mean() or maps.dtype.type(1)
    maps /= np.maximum(deviations, floor)[:, :, np.newaxis]


def pooling_windows(shape, *, size, stride, grid):
    """Return first and behind last rows, and columns, of the windows over maps of ``shape``.

    Raises
    ------
    ValueError
        If maps are smaller than ``size`` or than ``grid``.
    """
    if size is None:
        name, counts = "pool_grid", pair(grid, "pool_grid")
        windows = [_parts(n, count) for n, count in zip(shape, counts)]
    else:
        name, counts = "pool_size", pair(size, "pool_size")
        steps = counts if stride is None else pair(stride, "pool_stride")
        windows = [_strided(*each) for each in zip(shape, counts, steps)]
    if any(count > n for n, count in zip(shape, counts)):
        raise ValueError(
            f"{name}={counts} is more than the {shape[0]} x {shape[1]} positions of a patch in a picture."
        )
    return windows


def _parts(n, count):
    bounds = np.floor(np.arange(count + 1) * n / count + 0.5).astype(np.int64)
    return np.column_stack([bounds[:-1], bounds[1:]])


def _strided(n, size, stride):
    """Return windows until all positions have been in one, or between two; the last may be smaller."""
    starts = np.arange(0, min(max(n - size + stride, 1), n), stride)
    return np.column_stack([starts, np.minimum(starts + size, n)])
