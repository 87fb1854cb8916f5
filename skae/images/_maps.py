"""Pooled feature maps of images, a block at a time."""

from typing import NamedTuple

import numpy as np

from .._kernels.patches import (
    MAX,
    SQUARES,
    SUM,
    Windows,
    center_patches,
    gather_tile,
    normalize_patches,
    pool,
)
from ._validation import pair, smoothed

KINDS = {"mean": SUM, "sum": SUM, "max": MAX, "l2": SQUARES}
_BAND_VALUES = 400_000  # of the products and codes in a band, which fit the cache of a core
_MIN_POSITIONS, _MAX_POSITIONS = 64, 4096  # number of positions in a band
_POSITIONS_PER_TILE = 4096  # per tile, in the images that a thread takes at once
_MAX_TILES = 16  # maximum factor of this number, so that images take little memory


class Contrast(NamedTuple):
    """What patches are divided by, or what is subtracted from those whose contrast stays as it is.

    Parameters
    ----------
    floor : float or None
        Value added to the variance of a patch. If None, contrasts stay as they are.
    center : ndarray of shape (n_patch_features,) or None
        Mean patch, subtracted if contrasts stay.
    """

    floor: float | None
    center: np.ndarray | None

    def normalize(self, patches):
        """Divide patches, rows that end with a 1, by their contrast, or subtract the center; in place."""
        if self.floor is not None:
            normalize_patches(patches, patches.dtype.type(self.floor))
        elif self.center is not None:
            center_patches(patches, self.center)


class Pooling(NamedTuple):
    """Windows over maps of codes, and how the codes in each become one number.

    Parameters
    ----------
    kind : {'mean', 'sum', 'max', 'l2'}
    rows, columns : ndarray of shape (n_windows, 2)
        [start, stop) of the windows, among the rows and the columns of positions.
    """

    kind: str
    rows: np.ndarray
    columns: np.ndarray

    def fill(self, pooled, tile, bands, add):
        """Fill ``pooled`` (n, n_windows_down, n_windows_across, n_maps) with the codes of a tile.

        ``add(band, first, windows, pooled)`` adds the codes of a band of positions from ``first`` on.
        """
        rows, columns = tile.windows(self.rows, self.columns)
        windows = Windows(*tile.shape, rows, columns, KINDS[self.kind])
        pooled[:] = -np.inf if windows.kind == MAX else 0
        for first, band in bands:
            add(band, first, windows, pooled)
        if self.kind == "mean":
            areas = np.outer(np.diff(rows), np.diff(columns))
            pooled /= areas[:, :, np.newaxis].astype(pooled.dtype)
        elif self.kind == "l2":
            np.sqrt(pooled, out=pooled)


class FeatureMaps:
    """Pooled feature maps that a fitted stage computes.

    Parameters
    ----------
    grid : PatchGrid
    contrast : Contrast
    encoders : list of object
        Encoder of each tile, see ``_encoders``.
    sigma : float or None
        Standard deviation of the window of local contrast normalization.
    pooling : Pooling
    """

    def __init__(self, grid, contrast, encoders, sigma, pooling):
        self.grid, self._contrast, self._encoders = grid, contrast, encoders
        self._sigma, self._pooling = sigma, pooling
        n_maps = len(encoders) * encoders[0].n_maps
        self.shape = len(pooling.rows), len(pooling.columns), n_maps

    @property
    def dtype(self):
        """The dtype of images and features."""
        return self._encoders[0].matrix.dtype

    @property
    def n_images(self):
        """Number of images that a thread takes at once."""
        n_positions = _POSITIONS_PER_TILE
        if self._sigma is None:  # else the codes of all positions are in memory
            n_positions *= min(len(self._encoders), _MAX_TILES)
        return max(n_positions // self.grid.size, 1)

    def fill(self, images, pooled):
        """Fill ``pooled`` (n, *shape) from images (n, height, width, channels)."""
        codes = None if self._sigma is None else self._normalized_codes(images)
        parts = np.split(pooled, len(self._encoders), axis=3)
        for tile, encoder, part in zip(self.grid.tiles(), self._encoders, parts):
            # A copy if there are several tiles, since kernels need arrays in C order.
            own = np.ascontiguousarray(part)
            if codes is None:
                bands = self._products(images, tile, encoder)
                self._pooling.fill(own, tile, bands, encoder.pool)
            else:
                rows = np.ascontiguousarray(codes[tile.places]).reshape(-1, encoder.n_maps)
                self._pooling.fill(own, tile, [(0, rows)], pool)
            part[:] = own

    def codes(self, patches):
        """Return an iterator over the codes of ``patches``, rows that are not normalized, by the encoder of each tile."""
        rows = np.hstack([patches, np.ones((len(patches), 1), patches.dtype)])
        self._contrast.normalize(rows)
        return (each.encode(rows @ each.matrix) for each in self._encoders)

    def _normalized_codes(self, images):
        """Return the codes of all positions, with the local contrast of an image's maps normalized."""
        n_maps = self._encoders[0].n_maps
        codes = np.empty((len(images), *self.grid.n_positions, n_maps), images.dtype)
        for tile, encoder in zip(self.grid.tiles(), self._encoders):
            part = codes[tile.places]
            own = np.ascontiguousarray(part)
            rows = own.reshape(-1, n_maps)
            for first, products in self._products(images, tile, encoder):
                rows[first : first + len(products)] = encoder.encode(products)
            part[:] = own
        for maps in codes:
            normalize_maps(maps, self._sigma)
        return codes

    def _products(self, images, tile, encoder):
        """Yield the first position within a tile and the products of each band, in a reused buffer."""
        matrix, n_all = encoder.matrix, len(images) * tile.shape[0] * tile.shape[1]
        size = int(np.clip(_BAND_VALUES // encoder.width, _MIN_POSITIONS, _MAX_POSITIONS))
        size = min(size, n_all)
        patches, products = (np.ones((size, n), matrix.dtype) for n in matrix.shape)
        place = *self.grid.patch_size, *tile.first, *tile.step
        for first in range(0, n_all, size):
            n = min(size, n_all - first)
            gather_tile(images, *place, first, patches[:n])
            self._contrast.normalize(patches[:n])
            np.matmul(patches[:n], matrix, out=products[:n])
            yield first, products[:n]


def normalize_maps(maps, sigma):
    """Subtract the local mean of maps (height, width, n_maps) and divide by their local deviation, in place.

    Mean and deviation are over all maps in a Gaussian window; the divisor is at least the mean deviation of the image
    (Jarrett et al. 2009).
    """
    maps -= smoothed(maps.mean(axis=2), sigma)[:, :, np.newaxis]
    squares = np.einsum("ijk,ijk->ij", maps, maps) / maps.dtype.type(maps.shape[2])
    deviations = np.sqrt(np.maximum(smoothed(squares, sigma), 0))
    floor = deviations.mean() or maps.dtype.type(1)
    maps /= np.maximum(deviations, floor)[:, :, np.newaxis]


def make_pooling(kind, shape, *, size, stride, grid):
    """Return the ``Pooling`` of this kind over maps of ``shape``.

    Raises
    ------
    ValueError
        If maps are smaller than ``size`` or than ``grid``.
    """
    name, value = ("pool_grid", grid) if size is None else ("pool_size", size)
    counts = pair(value, name)
    if any(count > n for n, count in zip(shape, counts)):
        raise ValueError(
            f"{name}={counts} is more than the {shape[0]} x {shape[1]} positions of a patch in an image: set it to "
            f"{tuple(map(min, zip(shape, counts)))}, for instance, or make patch_size smaller."
        )
    if size is None:
        return Pooling(kind, *map(_parts, shape, counts))
    steps = counts if stride is None else pair(stride, "pool_stride")
    return Pooling(kind, *map(_strided, shape, counts, steps))


def _parts(n, count):
    """Return ``count`` windows side by side, of nearly the same size."""
    bounds = np.floor(np.arange(count + 1) * n / count + 0.5).astype(np.int64)
    return np.column_stack([bounds[:-1], bounds[1:]])


def _strided(n, size, stride):
    """Return windows until each position is in one or between two of them; the last one may be smaller."""
    starts = np.arange(0, min(max(n - size + stride, 1), n), stride)
    return np.column_stack([starts, np.minimum(starts + size, n)])
