"""Rows that are not in memory: HDF5, zarr, Parquet, Arrow, lazy frames, Dask collections, and batches one by one.

``fit`` and the other methods of all estimators take them as X; :func:`apply` writes what a fitted model makes of them.
"""

from ._apply import apply
from ._gather import gather

__all__ = ["apply", "gather"]
