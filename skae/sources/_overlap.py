"""Whether results would be written where rows of X are that are still to be read."""

import mmap
import os
from contextlib import suppress

import numpy as np


class Overlap:
    """Rows of X that ``out`` may be in: of an array, a data frame, or a file that is mapped twice.

    Parameters
    ----------
    X : array-like
    out : array-like or None
    """

    def __init__(self, X, out):
        self._out = _as_numpy(out)
        arrays = [] if self._out is None else _arrays_of(X)
        self._arrays = [each for each in arrays if _meet(each, self._out)]

    def refuse(self, start, stop):
        """Raise ``ValueError`` if rows ``start`` to ``stop`` of ``out`` are rows of X from ``stop`` on."""
        for rows in self._arrays:
            where = _meet(rows[stop:], self._out[start:stop])
            if where:
                raise ValueError(
                    f"out is in the {where} of X, so that writing its rows {start} to {stop} would change rows of X that are not "
                    "read yet: give an array of its own."
                )

    def refuse_part(self, number, rows, start):
        """Raise ``ValueError`` if the rows of a part are in the rows of ``out`` before ``start``, which are written."""
        if self._out is None or not isinstance(rows, np.ndarray) or not start:
            return
        where = _meet(rows, self._out[:start])
        if where:
            raise ValueError(
                f"Part {number} of X, counted from 0, is in the {where} of rows of out that are written already: give an array of "
                "its own."
            )


def _as_numpy(array):
    """Return an array of numpy over the memory of ``array``; None if this is not in the memory of the CPU."""
    if isinstance(array, np.ndarray):
        return array
    with suppress(AttributeError, BufferError, RuntimeError, TypeError, ValueError):
        return np.from_dlpack(array)
    return None


def _arrays_of(X):
    """Return arrays of numpy over the memory of X that have its rows."""
    package = type(X).__module__.partition(".")[0]
    if package == "polars":
        return [] if not hasattr(X, "get_columns") else [*map(_of_series, X.get_columns())]
    if package == "pandas":
        columns = [column for _, column in X.items() if isinstance(column.dtype, np.dtype)]
        return [column.to_numpy() for column in columns]
    array = _as_numpy(X)
    return [] if array is None else [array]


def _of_series(series):
    """Return the values of a column of polars; an empty array if they would be copied."""
    try:
        return series.to_numpy(allow_copy=False)
    except RuntimeError:
        return np.empty(0)


def _meet(rows, out):
    """Return ``'memory'`` or ``'file'`` if writing ``out`` changes ``rows``, else None."""
    if not (rows.size and out.size):
        return None
    if np.shares_memory(rows, out):
        return "memory"
    ours, theirs = _mapping_of(rows), _mapping_of(out)
    if ours is None or theirs is None or theirs.mode == "c":
        return None
    (low, high), (first, last) = _bytes_of(rows, ours), _bytes_of(out, theirs)
    return "file" if max(low, first) < min(high, last) and _are_same(ours, theirs) else None


def _mapping_of(array):
    """Return the ``numpy.memmap`` of a file that ``array`` is a view of, or None."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap) and isinstance(array.base, mmap.mmap):
            return array
        array = array.base
    return None


def _bytes_of(array, mapping):
    """Return the bytes [first, last) that ``array`` takes in the file of ``mapping``, those between its values too."""
    first = mapping.offset + array.ctypes.data - mapping.ctypes.data
    ends = [(size - 1) * stride for size, stride in zip(array.shape, array.strides)]
    before, after = (sum(end for end in ends if (end > 0) == up) for up in (False, True))
    return first + before, first + after + array.itemsize


def _are_same(mapping, other):
    with suppress(OSError, TypeError):  # of files that are removed, or have no name
        return os.path.samefile(mapping.filename, other.filename)
    return False
