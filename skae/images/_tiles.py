"""Tiles: sets of positions that share their filters, ``tiling`` rows and columns apart."""

from typing import NamedTuple

import numpy as np

from ._validation import pair


def checked_tiling(tiling, n_positions):
    """Return the number of rows and columns between positions that share their filters.

    Raises
    ------
    ValueError
        If there are fewer positions than that.
    """
    tiling = pair(tiling, "tiling")
    if any(k > n for k, n in zip(tiling, n_positions)):
        raise ValueError(
            f"tiling={tiling} is more than the {n_positions[0]} x {n_positions[1]} positions of a filter in an image: some "
            "filters would be nowhere. Make it smaller."
        )
    return tiling


def tile_numbers(n_positions, tiling):
    """Return the index of the tile of each position; tiles and positions are numbered row by row."""
    rows, columns = (np.arange(n) % k for n, k in zip(n_positions, tiling))
    return (rows[:, np.newaxis] * tiling[1] + columns).ravel()


class Tile:
    """Positions from ``first`` (down, across) on, in every ``step``-th row and column."""

    def __init__(self, first, step, n_positions):
        self.first, self.step = first, step
        self.shape = tuple(-(-(n - i) // k) for n, i, k in zip(n_positions, first, step))
        # Index into maps (n, rows, columns, n_maps).
        self.places = (slice(None), *(slice(i, None, k) for i, k in zip(first, step)))

    def windows(self, *axes):
        """Convert windows of rows and of columns to those of the rows and columns of this tile."""
        return [-(-(each - i) // k) for each, i, k in zip(axes, self.first, self.step)]


class PatchGrid(NamedTuple):
    """The positions of a patch in an image, and their tiles.

    Parameters
    ----------
    patch_size : (int, int)
        Height and width of a patch.
    n_positions : (int, int)
        Number of positions, down and across.
    tiling : (int, int)
        Number of rows and columns between positions of a tile.
    """

    patch_size: tuple
    n_positions: tuple
    tiling: tuple

    @property
    def size(self):
        """The number of positions: int."""
        return self.n_positions[0] * self.n_positions[1]

    def tiles(self):
        """Return the tiles, row by row."""
        (down, across), n_positions = self.tiling, self.n_positions
        return [Tile((i, j), self.tiling, n_positions) for i in range(down) for j in range(across)]


def check_windows(tiling, rows, columns):
    """Raise if a pooling window contains no position of some tile."""
    smallest = tuple(int(np.diff(windows).min()) for windows in (rows, columns))
    if any(n < k for n, k in zip(smallest, tiling)):
        raise ValueError(
            f"tiling={tiling} needs windows of pooling with at least {tiling[0]} x {tiling[1]} positions, one of each tile; "
            f"the smallest one has {smallest[0]} x {smallest[1]}. Make tiling smaller, or windows larger by pool_grid, or by "
            "pool_size and pool_stride, with which the last ones may be smaller."
        )
