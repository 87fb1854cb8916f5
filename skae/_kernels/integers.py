"""Products of matrices of 16-bit integers, which take half the time of those of float32 where there is AVX-512."""

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils

from ._jit import kernel
from .tiles import INT16, INT32, LANES, PAIRS, compiles_for, filler

TILE_ROWS, TILE_COLUMNS = 6, 64  # of the part of a product that stays in registers
LARGEST_NORM = 46340  # of a row of integers: a product of two then fits into 32 bits
LARGEST_INTEGER = 32767


def has_pair_products():
    """Return whether numba compiles for processors that multiply 32 pairs of 16-bit integers at once."""
    return compiles_for("avx512bw")


@kernel
def largest_factor(norm, size):
    """Return the largest factor of ``size`` numbers of at most 1, with this norm, whose rounded products are allowed."""
    # Rounding adds less than sqrt(size) to the norm.
    return min((LARGEST_NORM - math.sqrt(size)) / norm, LARGEST_INTEGER)


@kernel
def round_row(x, out):
    """out <- x / scale, rounded, with the largest norm and entries that are allowed; return the scale."""
    largest, squares = x.dtype.type(0), x.dtype.type(0)
    for j in range(x.size):
        size = abs(x[j])
        largest = size if size > largest else largest
    if largest < np.finfo(x.dtype).tiny:  # its inverse may be infinite
        out[:] = 0
        return largest
    inverse = x.dtype.type(1) / largest
    for j in range(x.size):
        part = x[j] * inverse
        squares += part * part
    factor = x.dtype.type(largest_factor(math.sqrt(squares), x.size))
    for j in range(x.size):
        out[j] = np.int16(np.rint(x[j] * inverse * factor))
    return largest / factor


@kernel
def pack_rows(x, factor, out):
    """Fill the second factor of ``integer_products`` with the rounded rows of ``factor`` * x; the rest of it is 0."""
    numbers = out.view(np.int16)
    for i in range(x.shape[0]):
        block, row = numbers[i // TILE_COLUMNS], i % TILE_COLUMNS
        for j in range(x.shape[1]):
            block[j // 2, 2 * row + j % 2] = np.int16(np.rint(factor * x[i, j]))


def _added(builder, total, a, b):
    """Return total + a_0 b_0 + a_1 b_1 for vectors of pairs."""
    pairs = ir.VectorType(INT16, 2 * LANES)
    return builder.add(total, _products(builder, *(builder.bitcast(x, pairs) for x in (a, b))))


def _products(builder, a, b):
    """Return a_0 b_0 + a_1 b_1, a_2 b_2 + a_3 b_3, ..., as int32."""
    if has_pair_products():
        kind = ir.FunctionType(PAIRS, [a.type, b.type])
        name = "llvm.x86.avx512.pmaddw.d.512"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b])
    even, odd = (
        builder.mul(_every_second(builder, a, first), _every_second(builder, b, first))
        for first in (0, 1)
    )
    return builder.add(even, odd)


def _every_second(builder, pairs, first):
    places = ir.Constant(PAIRS, list(range(first, 2 * LANES, 2)))
    return builder.sext(builder.shuffle_vector(pairs, pairs, places), PAIRS)


_fill_tile = filler((TILE_ROWS, TILE_COLUMNS), INT32, _added)


@kernel
def integer_products(a, b, out):
    """Fill ``out`` with the products of rows of int16, of which two numbers at a time are one int32 of ``a`` and ``b``.

    ``TILE_ROWS`` divides the number of rows of ``a``. A block of ``b`` has ``TILE_COLUMNS`` other rows, transposed.
    """
    for block in range(b.shape[0]):
        columns = slice(block * TILE_COLUMNS, (block + 1) * TILE_COLUMNS)
        for i in range(0, a.shape[0], TILE_ROWS):
            _fill_tile(a[i : i + TILE_ROWS], b[block], out[i : i + TILE_ROWS, columns])
