"""Rows that are not in memory: HDF5, zarr, Parquet, Arrow, lazy frames, Dask collections, and iterables of batches.

``fit`` and the other methods of all estimators take them as X; :func:`apply` writes the results of a fitted model.
"""

from ._apply import apply
from ._gather import gather

__all__ = ["apply", "gather"]
