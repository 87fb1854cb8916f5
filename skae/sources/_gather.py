"""Rows from any source, in a temporary file that is mapped into memory."""

import mmap
import tempfile
from typing import Any

import numpy as np
import scipy.sparse

from .._typing import MatrixLike, PathLike
from ._parts import parts_of

_PLAIN = (np.float32, np.float64)
_OF_PIXELS = [np.dtype(order + kind) for order in "<>" for kind in "fde?bBhHiIlLqQ"]


def gather(X: MatrixLike, *, allow_nan: bool = False, folder: PathLike | None = None) -> Any:
    """Return X as an array that scikit-learn can check: a memory map of its rows, read part by part.

    Data in memory and C-ordered memory maps of floats are returned unchanged. Everything else is read once, in order,
    into an unnamed temporary file, whose disk space is freed together with the result. Its rows can then be taken in
    any order, so that training on them is bitwise equal to training on the same rows in memory.

    Parameters
    ----------
    X : array-like, or rows that are elsewhere
        - an array with ``shape``, ``dtype`` and slices, such as those of h5py and zarr;
        - a dataset, table, ``ParquetFile`` or reader of pyarrow, or a lazy frame of polars;
        - an array or data frame of Dask;
        - an iterable of batches of rows, each an array, CSR matrix or data frame, or a pair of such a batch and its y,
          as a ``DataLoader`` of PyTorch makes them.
    allow_nan : bool, default=False
        Whether values may be missing.
    folder : path-like, default=None
        Folder of the temporary file. None is :func:`tempfile.gettempdir`, set by the environment variable ``TMPDIR``.

    Returns
    -------
    X : array-like
        Array of float32 if X is float32, else float64; a data frame over the same memory if columns have names and
        pandas is installed. Sparse parts become one CSR matrix, in memory.

    Raises
    ------
    ValueError
        If a part is empty or not two-dimensional, differs from the first in its columns or dtype, or has missing or
        infinite values. The message names the part.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.sources import gather
    >>> batches = (np.full((2, 3), number) for number in range(4))
    >>> gather(batches).shape
    (8, 3)
    """
    return gather_with_y(X, allow_nan=allow_nan, folder=folder)[0]


def gather_with_y(X, *, allow_nan=False, folder=None, keep_dtype=False):
    """Return X as :func:`gather` does, and the y of its parts, or None if they have none.

    With ``keep_dtype``, integers, Booleans and half floats stay what they are: pixels, whose dtype says their scale.
    """
    parts = parts_of(X)
    if parts is None:
        return in_memory(X), None
    checked = Checks(allow_nan, _OF_PIXELS if keep_dtype else ())
    with tempfile.TemporaryFile(prefix="skae-", dir=folder) as file:
        sparse, targets = [], []
        for part in parts:
            rows = checked(part)
            if part.y is not None:
                targets.append(part.y)
            if scipy.sparse.issparse(rows):
                sparse.append(rows.copy())  # batches may be the same matrix, filled anew
            else:
                _write(rows, file)
        checked.finish()
        y = _concatenated(targets) if targets else None
        if sparse:
            return scipy.sparse.vstack(sparse, format="csr"), y
        rows = _mapped(file, checked.dtype).reshape(checked.n_rows, checked.n_columns)
    return with_names(rows, checked.names), y


def only_y(given, found):
    """Return the y that was given, or else that of the batches of X; raise ValueError if there are both."""
    if given is not None and found is not None:
        raise ValueError(
            "The batches of X have a y, and y is given too: set y=None, or give batches of rows alone."
        )
    return found if given is None else in_memory(given)


def in_memory(values):
    """Return y, weights or images, computed if they are a collection of Dask or a lazy frame of polars.

    Numpy would drop the mask of an array of Dask.
    """
    package, name = type(values).__module__.partition(".")[0], type(values).__name__
    if package == "dask":
        return values.compute()
    return values.collect() if (package, name) == ("polars", "LazyFrame") else values


def _concatenated(targets):
    """Return the y of all parts; numbers stay numbers beside text, which numpy would make text of them."""
    if len({each.dtype.kind in "OUST" for each in targets}) > 1:
        targets = [each.astype(object) for each in targets]
    return np.concatenate(targets)


def _mapped(file, dtype):
    """Return the values in a file.

    The array is no ``numpy.memmap``, which joblib passes to other processes by file name: this file has none.
    """
    file.flush()
    return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), dtype)


def _write(rows, file):
    try:
        rows.tofile(file)
    except OSError as error:
        raise OSError(
            error.errno,
            f"X does not fit into the temporary folder {tempfile.gettempdir()} ({error}): set TMPDIR to a folder on a "
            "larger disk",
        ) from error


def with_names(rows, names):
    """Return ``rows`` as a data frame over the same memory, if there are names and pandas is installed."""
    if names is None:
        return rows
    try:
        from pandas import DataFrame
    except ImportError:
        return rows
    return DataFrame(rows, columns=names, copy=False)


class Checks:
    """Checks that all parts have the same columns, dtype and kind.

    Parameters
    ----------
    allow_nan : bool
    kept : sequence of dtype, default=()
        Dtypes other than float32 and float64 that rows keep.
    """

    def __init__(self, allow_nan, kept=()):
        self._allow_nan, self._number = allow_nan, 0
        self._kept = *_PLAIN, *kept
        self.n_rows, self.n_columns, self.dtype = 0, None, None
        self.names, self._sparse, self._has_y, self._y_shape = None, False, False, None

    def __call__(self, part):
        """Return the rows of the next part in the dtype of all."""
        rows = part.rows.tocsr() if scipy.sparse.issparse(part.rows) else part.rows
        self._check_kind(rows)
        kept = rows.dtype if rows.dtype in self._kept else np.dtype(np.float64)
        dtype = kept.newbyteorder("=")
        kind = scipy.sparse.issparse(rows), part.y is not None
        if self._number == 0:
            self.n_columns, self.dtype, self.names = rows.shape[1], dtype, part.names
            self._sparse, self._has_y = kind
        self._compare(rows, part.names, dtype, kind)
        rows = rows.astype(dtype, copy=False)
        values = rows.data if kind[0] else rows
        if self._has_bad(values):
            self._refuse(
                "has infinite values"
                if self._allow_nan
                else "has missing or infinite values: fill in missing ones first, by Imputer of skae or SimpleImputer "
                "of scikit-learn"
            )
        if part.y is not None:
            self._check_targets(part.y, rows.shape[0])
        self._number += 1
        self.n_rows += rows.shape[0]
        return rows if kind[0] else np.ascontiguousarray(rows)

    def _check_kind(self, rows):
        """Raise unless ``rows`` are a matrix of numbers."""
        if rows.ndim != 2:
            self._refuse(
                f"has {rows.ndim} dimensions instead of 2: give a row for each sample, as batch.reshape(len(batch), -1) makes "
                "of images"
            )
        if not rows.shape[0]:
            self._refuse("is empty")
        if not rows.shape[1]:
            self._refuse("has no columns")
        if np.ma.is_masked(rows):
            self._refuse(
                "has masked values. Leave them out or fill them, with .filled(numpy.nan) where missing values are accepted"
            )
        if rows.dtype.kind not in "fiub":
            text = rows.dtype.kind in "OSU"
            cure = "encode columns of text first" if text else "give real numbers"
            self._refuse(f"has the dtype {rows.dtype}: {cure}")

    def _compare(self, rows, names, dtype, kind):
        if rows.shape[1] != self.n_columns:
            self._refuse(f"has {rows.shape[1]} columns, and the first one {self.n_columns}")
        if names != self.names:
            self._refuse(f"has the columns {names}, and the first one {self.names}")
        if dtype != self.dtype:
            self._refuse(f"has the dtype {dtype}, and the first one {self.dtype}")
        sparse, has_y = kind
        if sparse != self._sparse:
            kinds = ("sparse", "dense") if sparse else ("dense", "sparse")
            self._refuse("is {}, and the first one {}".format(*kinds))
        if has_y != self._has_y:
            self._refuse(
                "has a y, and the first one none" if has_y else "has no y, as the first one has"
            )

    def _check_targets(self, y, n_rows):
        if not y.ndim:
            self._refuse("has no array of targets as its y: give one target for each row")
        if len(y) != n_rows:
            self._refuse(f"has {n_rows} rows, and {len(y)} targets")
        if self._number == 0:
            self._y_shape = y.shape[1:]
        if y.shape[1:] != self._y_shape:
            self._refuse(
                f"has targets of shape {y.shape[1:]}, and the first one of {self._y_shape}"
            )

    def _has_bad(self, values):
        """Return whether values are missing or infinite; if their sum is finite, none is."""
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(values.sum()):
                return False
        return np.isinf(values).any() or not self._allow_nan and np.isnan(values).any()

    def finish(self):
        """Raise if there was no part."""
        if not self._number:
            raise ValueError(
                "X has no rows. An iterator gives its batches once: pass one that has not been used."
            )

    def _refuse(self, what):
        raise ValueError(f"Part {self._number} of X, counted from 0, {what}.")
