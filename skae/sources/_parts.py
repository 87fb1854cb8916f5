"""The kinds of X other than arrays, each read in parts in the order of its rows."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import scipy.sparse
from sklearn.utils import gen_batches

from ._frames import refuse_column, values_of_pandas, values_of_polars

_PART_BYTES = 2**24  # bytes of a part of a larger array
# Rows of a part of a table; with four times as many, a first read takes up to three times as long.
_PART_ROWS = 2**14
_BLOCK_ROWS = 1024  # rows that are joined at once
_CURE_OF_BATCHES = (
    "Give rows, or pairs of rows and targets; sample_weight is an argument of fit, for all rows."
)
# Packages whose arrays and frames are in memory already.
_IN_MEMORY = {"numpy", "scipy", "pandas", "modin", "cudf", "xarray", "torch", "cupy", "jaxlib"}
_IN_MEMORY |= {"sklearn", "array_api_strict", "jax"}


@runtime_checkable
class Sliceable(Protocol):
    """An array whose rows are read by slices, such as those of HDF5 and zarr."""

    shape: tuple
    dtype: Any

    def __getitem__(self, rows): ...


@dataclass
class Part:
    """Some consecutive rows.

    Parameters
    ----------
    rows : ndarray or sparse matrix
    names : list or None
        Names of the columns.
    y : ndarray or None
        Targets of the rows, if these came with targets.
    """

    rows: Any
    names: list | None = None
    y: Any = None


def parts_of(X):
    """Return an iterator over the ``Part``\\ s of X, or None if X is in memory or of an unknown kind.

    Raises
    ------
    TypeError
        If X is a path, or something with several arrays.
    """
    _refuse_places(X)
    if isinstance(X, np.memmap):
        copied = X.dtype not in (np.float32, np.float64) or not X.flags.c_contiguous
        return _slices(X) if copied and X.ndim == 2 else None
    package = type(X).__module__.partition(".")[0]
    if package in _READERS:
        return _READERS[package](X)
    sequence = isinstance(X, (str, bytes, Sequence, Mapping, Set, np.ndarray))
    if sequence or scipy.sparse.issparse(X):
        return None
    if isinstance(X, Sliceable):
        return None if package in _IN_MEMORY or len(X.shape) != 2 else _slices(X)
    if package in _IN_MEMORY - {"torch"} or not isinstance(X, Iterable):
        return None
    return _batches(X)


def _refuse_places(X):
    """Raise if X is the location of rows instead of the rows themselves."""
    if isinstance(X, (str, bytes, os.PathLike)):
        raise TypeError(
            f"X is the path {os.fspath(X)!r}: open it first, for instance by np.load(path, mmap_mode='r') or "
            "pyarrow.dataset.dataset(path)."
        )
    if isinstance(X, Mapping) and not scipy.sparse.issparse(X):  # the DOK format is a dict
        raise TypeError(
            f"X is of the type {type(X).__name__}: give one of its arrays, of {[*X][:5]}."
        )


def refuse_masked(X, name):
    """Raise ``ValueError`` if an array has masked values, which numpy reads as if they were not masked."""
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(
            f"{name} has masked values. Leave them out or fill them, with .filled(numpy.nan) where missing values are "
            "accepted."
        )


def _slices(X):
    return (Part(np.asanyarray(X[rows])) for rows in slices_of(X.shape))  # masks are refused later


def slices_of(shape):
    """Return the slices that cut an array of ``shape`` into parts."""
    n_rows, *others = shape
    if not n_rows:
        return iter(())
    return gen_batches(n_rows, max(1, _PART_BYTES // (8 * max(math.prod(others), 1))))


def _batches(X):
    for number, batch in enumerate(X):
        try:
            part = _batch(batch)
        except ValueError as error:
            raise ValueError(
                f"Part {number} of X, counted from 0, is no array of numbers: {error}"
            ) from error
        yield part


def _batch(batch):
    """Return the ``Part`` for an item of an iterable: rows, or a pair of rows and targets."""
    rows, y = _rows_and_targets(batch)
    refuse_masked(y, "its y")
    if y is not None:
        # A copy: batches may be the same array, filled anew. Numbers beside text in a list stay numbers.
        has_text = isinstance(y, (list, tuple)) and any(isinstance(each, str) for each in y)
        y = np.array(y, dtype=object if has_text else None)
    return Part(*rows_and_names(rows), y)


def _rows_and_targets(batch):
    if isinstance(batch, Mapping) and not scipy.sparse.issparse(batch):
        raise ValueError(
            f"it is of the type {type(batch).__name__}, with {[*batch][:5]}. {_CURE_OF_BATCHES}"
        )
    if (
        isinstance(batch, (list, tuple))
        and [getattr(each, "ndim", 0) for each in batch[:2]] == [2, 1]
        and len(batch) > 2
    ):
        raise ValueError(f"it has {len(batch)} arrays. {_CURE_OF_BATCHES}")
    if isinstance(batch, tuple) and len(batch) == 2:
        return batch
    # Lists of one or two tensors come from a DataLoader of PyTorch; those of rows have items of one axis.
    if isinstance(batch, (list, tuple)) and len(batch) in (1, 2):
        rows, *y = batch
        if getattr(rows, "ndim", None) == 2:
            return rows, *(y or [None])
    return batch, None


def rows_and_names(rows):
    """Return rows as an array or a sparse matrix, and the names of their columns or None."""
    if scipy.sparse.issparse(rows):
        return rows, None
    refuse_masked(rows, "it")
    package = type(rows).__module__.partition(".")[0]
    if package not in ("pandas", "polars"):
        return np.asarray(rows), None
    values = values_of_pandas(rows) if package == "pandas" else values_of_polars(rows)
    return values, list(rows.columns)


def _arrow(X):
    """Read a dataset, a scanner, a file, a table, a batch or a reader of pyarrow."""
    from pyarrow import RecordBatch, RecordBatchReader, Table
    from pyarrow.dataset import Dataset, Scanner
    from pyarrow.parquet import ParquetFile

    if isinstance(X, ParquetFile):
        batches = X.iter_batches(_PART_ROWS)
    elif isinstance(X, Dataset):
        batches = _batches_of_dataset(X)
    elif isinstance(X, RecordBatchReader):
        batches = X
    elif isinstance(X, (Scanner, Table)):
        batches = X.to_batches()
    elif isinstance(X, RecordBatch):
        batches = [X]
    else:
        raise TypeError(
            f"X is of the type {type(X).__name__} of pyarrow: give a table or a dataset."
        )
    return (_record_batch(batch) for batch in batches if len(batch))  # filters leave empty ones


def _batches_of_dataset(X):
    """Return the batches of a dataset; for Parquet files, without pyarrow's read-ahead of up to a gigabyte."""
    files = _parquet_files(X)
    if files is None:
        return X.to_batches(batch_size=_PART_ROWS, batch_readahead=1, fragment_readahead=1)
    return (batch for file in _alike(files, X) for batch in _read(file, X.schema))


def _parquet_files(X):
    """Return an iterator over the files of a dataset, or None if it has a filter or files other than Parquet."""
    from pyarrow.dataset import ParquetFileFormat

    if not isinstance(getattr(X, "format", None), ParquetFileFormat):
        return None
    try:
        return X.get_fragments()
    except ValueError:  # a filter, which pyarrow does not apply to fragments
        return None


def _alike(files, X):
    """Yield the files of a dataset, which must have the columns of the first one.

    If the dataset was given a schema that differs from that of the first file, pyarrow converts, adds and drops columns
    accordingly.
    """
    first, wanted = None, dict(zip(X.schema.names, X.schema.types))
    folders = [] if X.partitioning is None else X.partitioning.schema.names
    for file in files:
        columns = dict(zip(file.physical_schema.names, file.physical_schema.types))
        first = columns if first is None else first
        found = first.items() <= wanted.items() and wanted.keys() - first.keys() <= {*folders}
        different = sorted(name for name, _ in columns.items() ^ first.items())
        if found and different and file.count_rows():
            name = different[0]
            ours, theirs = (each.get(name, "none") for each in (columns, first))
            raise ValueError(
                f"The file {file.path!r} of X and the first one differ in the column {name!r}: {ours}, and {theirs} in the first. Write "
                "all files alike, or let pyarrow convert and leave out what differs: give X.scanner()."
            )
        yield file


def _read(file, schema):
    """Yield the batches of one file; errors name its path."""
    try:
        yield from _batches_of_file(file, schema)
    except OSError as error:  # from pyarrow, if a file is incomplete
        raise OSError(f"The file {file.path!r} of X could not be read: {error}") from error


def _batches_of_file(file, schema):
    """Yield the batches of one file of a dataset, decoded on demand if its columns are those of the dataset.

    Otherwise a row group is decoded at once, and pyarrow adds the columns that come from other files or folder names.
    """
    from pyarrow.dataset import ParquetFragmentScanOptions
    from pyarrow.fs import LocalFileSystem
    from pyarrow.parquet import ParquetFile

    if not file.physical_schema.equals(schema):
        reading = ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
        options = {"batch_size": _PART_ROWS, "batch_readahead": 1, "fragment_scan_options": reading}
        for group in file.split_by_row_group():
            yield from group.to_batches(schema=schema, **options)
        return
    if isinstance(file.filesystem, LocalFileSystem):
        opened = ParquetFile(file.path, memory_map=True)
    else:
        opened = ParquetFile(file.open(), pre_buffer=True)
    with opened:
        groups = [group.id for group in file.row_groups]
        yield from opened.iter_batches(_PART_ROWS, row_groups=groups)


def _record_batch(batch):
    columns = [_numbers(*each) for each in zip(batch.schema.names, batch.columns)]
    # Whether values are missing must not decide the dtype of a part.
    dtype = np.result_type(bool, *map(_numpy_dtype, batch.columns))
    if dtype.kind != "f":
        dtype = np.result_type(bool, *columns)
    return Part(_side_by_side(columns, batch.num_rows, dtype), batch.schema.names)


def _numbers(name, column):
    """Return the values of a column of pyarrow, NaN where they are missing."""
    from pyarrow import float64, types

    kind = column.type
    if types.is_decimal(kind) or (types.is_boolean(kind) and column.null_count):
        column = column.cast(float64())
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "fiub":
        refuse_column(name, kind)
    return values


def _numpy_dtype(column):
    """Return the dtype of numpy of a column of pyarrow without missing values."""
    from pyarrow import types

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    return np.dtype(float if types.is_decimal(kind) else kind.to_pandas_dtype())


def _side_by_side(columns, n_rows, dtype):
    """Return columns as a C-ordered array, filled in blocks of rows that stay in the cache."""
    rows = np.empty((n_rows, len(columns)), dtype)
    for some in gen_batches(len(rows), _BLOCK_ROWS):
        for place, column in enumerate(columns):
            rows[some, place] = column[some]
    return rows


def _polars(X):
    """Read a lazy frame; other frames are in memory."""
    from polars import LazyFrame

    if not isinstance(X, LazyFrame):
        return None
    return (Part(*rows_and_names(frame)) for frame in _frames(X) if len(frame))


def _frames(X):
    """Return the frames of a query, which is computed once (by polars before 1.34, once for each frame)."""
    import polars

    if "collect_batches" in vars(polars.LazyFrame):
        return X.collect_batches(chunk_size=_PART_ROWS, lazy=True)
    n_rows = X.select(polars.len()).collect().item()
    return (X.slice(start, _PART_ROWS).collect() for start in range(0, n_rows, _PART_ROWS))


def _dask(X):
    """Read an array or a data frame of Dask, partition by partition."""
    from dask import array

    if isinstance(X, array.Array) and X.ndim > 2:
        return None  # images, which are read at once
    if isinstance(X, array.Array) and X.ndim == 2:
        X = X.rechunk({1: -1})
        blocks = (X.blocks[number] for number in range(X.numblocks[0]))
        computed = (_computed(each, number) for number, each in enumerate(blocks))
        return (Part(rows) for rows in computed if rows.shape[0])
    if type(X).__name__ != "DataFrame":
        raise TypeError(
            f"X is of the type {type(X).__name__} of Dask: give an array with a row for each sample, or a data frame."
        )
    computed = (_computed(each, number) for number, each in enumerate(X.partitions))
    return (Part(*rows_and_names(frame)) for frame in computed if len(frame))  # as filters leave


def _computed(partition, number):
    try:
        return partition.compute()
    except Exception as error:  # of any kind, since other code computes it
        raise RuntimeError(
            f"Part {number} of X, counted from 0, could not be computed ({type(error).__name__}: {error})."
        ) from error


_READERS = {"pyarrow": _arrow, "polars": _polars, "dask": _dask, "dask_expr": _dask}
