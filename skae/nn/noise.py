"""Keys of the kernels' draws: one for each row, from its content and a seed, and one for each column."""

from functools import lru_cache

import numpy as np

from .._arrays import random as portable
from .._arrays.fusion import run
from .._arrays.namespace import Constant, is_numpy, like
from .._kernels import random as kernels
from .._threads import ELEMENT, share


def keys(X, seed, n_columns=None):
    """Return the row keys of ``X`` under ``seed`` and column keys, arrays of uint32.

    The key of a row depends on its values, the seed, and the number of equal rows before it in the batch, which get
    other keys. Values are rounded first, so that rounding errors hardly ever change a key in float64, and do in a few
    rows in a hundred in float32. ``n_columns`` is the number of column keys, by default that of the columns of ``X``.
    """
    if not is_numpy(X):
        return _keys_on_device(X, seed, n_columns)
    columns, rows = _column_keys(X.shape[1]), np.empty(len(X), np.uint32)
    offset = kernels.grid(X.shape[1])

    def work(part):
        kernels.row_keys(X[part], columns, offset, np.uint64(seed), rows[part])

    share(work, len(X), ELEMENT * X.shape[1] // 4)
    places = np.full(2 << int(len(X)).bit_length(), -1, np.int32)
    kernels.separate(rows, places, np.empty(len(X), np.int32))
    return rows, _column_keys(n_columns or X.shape[1])


def _keys_on_device(X, seed, n_columns):
    """Return the same for an array of another library."""
    bits = portable.words(X)
    columns = _wide_column_keys(bits.shape[1]).like(X)
    rows = run(portable.row_keys, (bits, columns, seed))
    return rows, _wide_column_keys(n_columns or X.shape[1]).like(X)


def shifted_seed(seed, number):
    """Return ``seed`` plus ``number``, where ``seed`` is an integer of numpy or an array on a device."""
    return seed + np.uint64(number) if isinstance(seed, np.uint64) else seed + number


def fresh_keys(x, rng):
    """Return random keys of the rows of ``x``, whatever their content, and keys of the columns."""
    n_rows, n_columns = x.shape
    if isinstance(rng, portable.Drawn):
        return rng.take(n_rows), _wide_column_keys(n_columns).like(x)
    rows = draw_keys(n_rows, rng)
    if is_numpy(x):
        return rows, _column_keys(n_columns)
    return like(rows.astype(np.int64), x), _wide_column_keys(n_columns).like(x)


def draw_seeds(rng):
    """Return three new seeds, as the batches draw them, in int64."""
    return rng.integers(2**63, size=3, dtype=np.uint64).astype(np.int64)


def draw_keys(n_rows, rng):
    """Return new keys of rows."""
    return rng.integers(2**32, size=n_rows, dtype=np.uint32)


@lru_cache(maxsize=16)
def _column_keys(n_columns):
    out = portable.column_keys(n_columns).astype(np.uint32)
    out.flags.writeable = False
    return out


@lru_cache(maxsize=16)
def _wide_column_keys(n_columns):
    """Return the column keys in int64."""
    return Constant(portable.column_keys(n_columns))
