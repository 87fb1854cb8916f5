"""Nearest neighbors among the points of a fit."""

import numpy as np

from .._estimators.squares import unit_of_squares


def check_neighbors(n_neighbors, points):
    """Raise ``ValueError`` if there are fewer than ``n_neighbors`` points."""
    if n_neighbors > len(points):
        raise ValueError(
            f"n_neighbors={n_neighbors} needs as many samples; got n_samples = {len(points)}."
        )


class Search:
    """Nearest-neighbor search that pickles its points only: the tree is rebuilt, as a damaged one could do harm."""

    def __init__(self, points, n_jobs=None):
        from sklearn.neighbors import NearestNeighbors  # takes a quarter of skae's import time

        self._points, self._n_jobs, self.unit = points, n_jobs, unit_of_squares(points)
        self._neighbors = NearestNeighbors(n_jobs=n_jobs).fit(in_units(points, self.unit))

    def nearest(self, X, n_neighbors):
        """Return the indices of the points nearest to each row of X, of shape (n_samples, n_neighbors).

        Raises
        ------
        ValueError
            If squares of distances overflow.
        """
        rows = in_units(X, self.unit)
        _check_range(X, rows)
        return self._neighbors.kneighbors(rows, n_neighbors, return_distance=False)

    def __getstate__(self):
        return {"points": self._points, "n_jobs": self._n_jobs}

    def __setstate__(self, state):
        self.__init__(**state)


def in_units(X, unit):
    """Return X in multiples of ``unit``."""
    with np.errstate(over="ignore"):
        return X if unit == 1 else X / unit


def _check_range(X, rows):
    """Raise if squares of ``rows``, the rows of X in the unit of a search, overflow."""
    if np.abs(rows).max() > 1e-3 * np.finfo(rows.dtype).max ** 0.5:
        raise ValueError(
            f"X has values up to {np.abs(X).max():.1e}, so much larger than those of fit that squares of distances overflow "
            f"in {X.dtype}: scale X as it was in fit."
        )
