"""Corruptions of a block of rows, drawn cell by cell from row and column keys."""

import numpy as np

from ._jit import kernel
from .random import draw, mix, normals


@kernel
def mask(clean, rows, columns, threshold, out):
    """out <- clean, with 0 in the cells drawn below ``threshold``."""
    zero = clean.dtype.type(0)
    for i in range(clean.shape[0]):
        for j in range(clean.shape[1]):
            bits = draw(rows[i], columns[j])
            out[i, j] = clean[i, j] if bits >= threshold else zero


@kernel
def salt_and_pepper(clean, rows, columns, threshold, low, high, out):
    """out <- clean, with the column's ``low`` or ``high`` (a fair coin) in the cells drawn below ``threshold``."""
    for i in range(clean.shape[0]):
        for j in range(clean.shape[1]):
            bits = draw(rows[i], columns[j])
            extreme = low[j] if mix(bits) & np.uint32(1) else high[j]
            out[i, j] = clean[i, j] if bits >= threshold else extreme


@kernel
def swap(clean, first, rows, columns, threshold, out):
    """out <- rows of clean from ``first`` on; cells drawn below ``threshold`` take the column's value of another row."""
    n_rows = clean.shape[0]
    for k in range(out.shape[0]):
        i = first + k
        for j in range(clean.shape[1]):
            bits = draw(rows[k], columns[j])
            step = np.int64(np.uint64(mix(bits)) * np.uint64(n_rows - 1) >> np.uint64(32))
            other = i + 1 + step
            other = other - n_rows if other >= n_rows else other
            out[k, j] = clean[i, j] if bits >= threshold else clean[other, j]


@kernel
def add_normal(clean, rows, columns, level, out):
    """out <- clean + level * e, e standard normal."""
    number, n_columns = clean.dtype.type, clean.shape[1]
    work, noise = np.empty(n_columns, np.float32), np.empty(n_columns, np.float32)
    for i in range(clean.shape[0]):
        normals(rows[i], columns, work, noise)
        for j in range(n_columns):
            out[i, j] = clean[i, j] + level * number(noise[j])


@kernel
def emphasize(rows, columns, threshold, corrupted, clean, out):
    """out <- ``corrupted`` in the cells drawn below ``threshold``, ``clean`` elsewhere."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = clean if draw(rows[i], columns[j]) >= threshold else corrupted
