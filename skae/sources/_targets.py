"""Where the results of :func:`skae.sources.apply` go: into memory, a folder or an array."""

import os
from pathlib import Path

import numpy as np
import scipy.sparse

from ._overlap import Overlap
from ._parts import Sliceable


def target_of(out, X, method, copies):
    """Return the target for ``out``, which takes the results of ``method`` on X; see :class:`_Memory` for its methods.

    ``copies`` says whether results may be rows of X, in an array that its next batch fills anew.
    """
    if out is None:
        return _Memory(copies)
    if isinstance(out, (str, bytes, os.PathLike)):
        return _Folder(out)
    return _Array(out, X, method)


class _Memory:
    """Results in memory."""

    def __init__(self, copies):
        self._copies, self._results = copies, []

    def write(self, number, rows, result):
        """Take the ``result`` of the ``rows`` of a part."""
        self._results.append(_copied(result) if self._copies else result)

    def finish(self):
        """Return what the user gets; raise if there were fewer results than ``out`` has rows."""
        if scipy.sparse.issparse(self._results[0]):
            return scipy.sparse.vstack(self._results, format="csr")
        return np.concatenate(self._results)


class _Folder:
    """A folder with a file for each part."""

    def __init__(self, out):
        self._out, self._folder = out, Path(os.fsdecode(out))
        if any(self._folder.glob("part-*.np?")):
            raise ValueError(
                f"out={str(self._folder)!r} has parts already: choose a new or an empty folder."
            )

    def write(self, number, rows, result):
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"part-{number:05d}"
        if scipy.sparse.issparse(result):
            scipy.sparse.save_npz(f"{path}.npz", result, compressed=False)
        else:
            np.save(f"{path}.npy", result)

    def finish(self):
        return self._out


class _Array:
    """An array that takes slices."""

    def __init__(self, out, X, method):
        if not (isinstance(out, Sliceable) and len(out.shape)):
            raise TypeError(f"out must be an array that takes slices, or a folder; got {out!r}.")
        if isinstance(out, np.ndarray) and not out.flags.writeable:
            raise ValueError(
                "out is read-only: give an array that can be written, such as a memory map of mode 'r+'."
            )
        self._out, self._method, self._n_written = out, method, 0
        self._overlap = Overlap(X, out)

    def write(self, number, rows, result):
        start, stop = self._n_written, self._n_written + result.shape[0]
        self._overlap.refuse_part(number, rows, start)
        if stop > self._out.shape[0]:
            raise ValueError(
                f"out has {self._out.shape[0]} rows, and X has more: its part {number}, counted from 0, ends at {stop}."
            )
        self._overlap.refuse(start, stop)
        self._out[start:stop] = self._as_rows(result)
        self._n_written = stop

    def finish(self):
        n_rows = self._out.shape[0]
        if self._n_written < n_rows:
            raise ValueError(
                f"out has {n_rows} rows, and X only {self._n_written}, which are written."
            )
        return self._out

    def _as_rows(self, result):
        """Return ``result`` as an array; raise if ``out`` has rows of another shape, or a dtype that would change it."""
        values = result.toarray() if scipy.sparse.issparse(result) else np.asarray(result)
        shape, dtype = tuple(self._out.shape[1:]), self._out.dtype
        if shape != values.shape[1:]:
            raise ValueError(
                f"out has rows of shape {shape}, and the results of {self._method!r} of {values.shape[1:]}."
            )
        if _is_changed_by(values, dtype):
            raise ValueError(
                f"out has the dtype {dtype}, which would change results of {self._method!r}: give one of {values.dtype}."
            )
        return values


def _copied(result):
    return result.copy() if scipy.sparse.issparse(result) else np.array(result)


def _is_changed_by(values, dtype):
    """Return whether a dtype other than one of floats changes ``values``, or a smaller one of floats makes them infinite."""
    try:
        dtype = np.dtype(dtype)
    except TypeError:  # of another library than numpy
        return False
    if dtype in (values.dtype, object):
        return False
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            kept = values.astype(dtype)
    except (TypeError, ValueError):  # text as numbers
        return True
    if dtype.kind == "f" and values.dtype.kind in "fiub":
        return bool((np.isfinite(values) & ~np.isfinite(kept)).any())
    return not np.array_equal(kept, values)
