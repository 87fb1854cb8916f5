"""Products of matrices of 16-bit integers, which take half the time of those of float32 where there is AVX-512."""

import math

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from ._jit import kernel

TILE_ROWS, TILE_COLUMNS = 6, 64  # of the part of a product that stays in registers
LARGEST_NORM = 46340  # of a row of integers: a product of two then fits into 32 bits
LARGEST_INTEGER = 32767
_LANES = 16  # integers of 32 bits in a register

_INT32, _INT16 = ir.IntType(32), ir.IntType(16)
_SUMS, _PAIRS = ir.VectorType(_INT32, _LANES), ir.VectorType(_INT16, 2 * _LANES)


def has_pair_products():
    """Return whether numba compiles for processors that multiply 32 pairs of 16-bit integers at once."""
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return "+avx512bw" in features and not config.DISABLE_JIT


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


@kernel
def integer_products(a, b, out):
    """Fill ``out`` with the products of rows of int16, of which two numbers at a time are one int32 of ``a`` and ``b``.

    ``TILE_ROWS`` divides the number of rows of ``a``. A block of ``b`` has ``TILE_COLUMNS`` other rows, transposed.
    """
    for block in range(b.shape[0]):
        columns = slice(block * TILE_COLUMNS, (block + 1) * TILE_COLUMNS)
        for i in range(0, a.shape[0], TILE_ROWS):
            _fill_tile(a[i : i + TILE_ROWS], b[block], out[i : i + TILE_ROWS, columns])


@intrinsic
def _fill_tile(typing_context, a, b, out):
    """Fill ``out``, of ``TILE_ROWS`` x ``TILE_COLUMNS``; LLVM's vectorizer does not find these instructions."""
    signature = types.void(a, b, out)

    def generate(context, builder, signature, arguments):
        tile = _Tile(context, builder, signature.args, arguments)
        with cgutils.for_range(builder, tile.n_pairs()) as loop:
            tile.add_products(loop.index)
        tile.store()
        return context.get_dummy_value()

    return signature, generate


class _Tile:
    """Writes the instructions of ``_fill_tile``."""

    def __init__(self, context, builder, kinds, arrays):
        self._context, self._builder, self._kinds = context, builder, kinds
        self._arrays = [context.make_array(k)(context, builder, a) for k, a in zip(kinds, arrays)]
        self._columns = range(0, TILE_COLUMNS, _LANES)
        zero = ir.Constant(_SUMS, None)
        self._sums = {
            (i, j): cgutils.alloca_once_value(builder, zero)
            for i in range(TILE_ROWS)
            for j in self._columns
        }

    def n_pairs(self):
        return self._builder.extract_value(self._arrays[0].shape, 1)

    def add_products(self, pair):
        """Add the products of a pair of columns of ``a`` with those of ``b``."""
        builder = self._builder
        columns = {j: self._load(1, pair, self._index(j), _PAIRS) for j in self._columns}
        for i in range(TILE_ROWS):
            row = self._everywhere(self._load(0, self._index(i), pair, _INT32))
            for j in self._columns:
                total = builder.add(builder.load(self._sums[i, j]), self._products(row, columns[j]))
                builder.store(total, self._sums[i, j])

    def store(self):
        """Write the sums to ``out``."""
        for (i, j), total in self._sums.items():
            place = self._pointer(2, self._index(i), self._index(j), _SUMS)
            self._builder.store(self._builder.load(total), place).align = 4

    def _products(self, a, b):
        """Return a_0 b_0 + a_1 b_1, a_2 b_2 + a_3 b_3, ..., as int32."""
        builder = self._builder
        if has_pair_products():
            kind = ir.FunctionType(_SUMS, [_PAIRS, _PAIRS])
            name = "llvm.x86.avx512.pmaddw.d.512"
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b])
        even, odd = (
            builder.mul(self._every_second(a, first), self._every_second(b, first))
            for first in (0, 1)
        )
        return builder.add(even, odd)

    def _every_second(self, pairs, first):
        places = ir.Constant(_SUMS, list(range(first, 2 * _LANES, 2)))
        return self._builder.sext(self._builder.shuffle_vector(pairs, pairs, places), _SUMS)

    def _everywhere(self, pair):
        """Return a vector of this pair."""
        first = self._builder.insert_element(ir.Constant(_SUMS, None), pair, _INT32(0))
        copies = self._builder.shuffle_vector(first, first, ir.Constant(_SUMS, None))
        return self._builder.bitcast(copies, _PAIRS)

    def _load(self, array, i, j, kind):
        value = self._builder.load(self._pointer(array, i, j, kind))
        value.align = 4
        return value

    def _pointer(self, array, i, j, kind):
        arguments = self._kinds[array], self._arrays[array], [i, j]
        place = cgutils.get_item_pointer(self._context, self._builder, *arguments)
        return self._builder.bitcast(place, kind.as_pointer())

    def _index(self, value):
        return self._context.get_constant(types.intp, value)
