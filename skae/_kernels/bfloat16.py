"""Products of float32 matrices with factors rounded to bfloat16 and sums in float32, by the instructions AVX512-BF16.

Both factors are packed first: rounded, in pairs of numbers that are neighbors along the sum, and in panels, of which a
tile of the product needs one each. These instructions take subnormal numbers as 0.
"""

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import kernel
from .tiles import INT16, INT32, LANES, PAIRS, compiles_for, filler

# Of a tile; a block of ``_ROWS`` pairs and ``_ROWS`` columns is packed at a time.
_ROWS, _COLUMNS = 8, 48
_CACHED = 2**17  # pairs of numbers that stay in a cache of 1 MB and leave half of it
_FLOATS = ir.VectorType(ir.FloatType(), LANES)


def has_products():
    """Return whether numba compiles for processors with these instructions."""
    return compiles_for("avx512bf16")


def products(a, b, out):
    """Fill the float32 matrix ``out`` with a b. The order of a sum depends on its length only.

    The kernel takes addresses, so that one compilation serves arrays of any strides.
    """
    if out.strides[1] != out.itemsize:
        if out.strides[0] == out.itemsize:
            products(b.T, a.T, out.T)
        else:
            filled = np.empty(out.shape, out.dtype)
            products(a, b, filled)
            np.copyto(out, filled)
        return
    a, b = _with_lines(a), _with_lines(b)
    _multiply(_place(a), _place(b), _place(out), *out.shape, a.shape[1])


def _with_lines(x):
    """Return x, or a copy if neither its rows nor its columns are contiguous."""
    size = x.itemsize
    for step, unit in (x.strides, x.strides[::-1]):
        if unit == size and step >= 0 and step % size == 0:
            return x
    return np.ascontiguousarray(x)


def _place(x):
    """Return the address of x, the distance of its lines, and whether these are its rows."""
    has_rows = x.strides[1] == x.itemsize
    return x.ctypes.data, x.strides[0 if has_rows else 1] // x.itemsize, has_rows


@intrinsic
def _pointer(typing_context, address):
    """Return an address as a pointer."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(address), generate


def _added(builder, total, a, b):
    """Return total + a_0 b_0 + a_1 b_1 for vectors of pairs."""
    if has_products():
        # LLVM still takes int32 for pairs, as it did before it had bfloat16.
        kind = ir.FunctionType(_FLOATS, [_FLOATS, PAIRS, PAIRS])
        name = "llvm.x86.avx512bf16.dpbf16ps.512"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [total, a, b])
    for half in (_first, _second):
        factors = [builder.bitcast(half(builder, each), _FLOATS) for each in (a, b)]
        total = builder.fadd(total, builder.fmul(*factors))
    return total


def _first(builder, pairs):
    return builder.shl(pairs, _everywhere(pairs, 16))


def _second(builder, pairs):
    return builder.and_(pairs, _everywhere(pairs, 0xFFFF0000))


def _everywhere(vector, value):
    """Return a constant like ``vector``."""
    return ir.Constant(vector.type, [value] * vector.type.count)


_fill_tile = filler((_ROWS, _COLUMNS), ir.FloatType(), _added)


def _packer(pack):
    """Return a function ``fill(x, i, j, out)`` for kernels: out <- the rows of pairs that ``pack`` makes of x[i:, j:].

    ``pack(builder, load)`` calls ``load(row, n)`` for the first n numbers of a row.
    """

    @intrinsic
    def fill(typing_context, x, i, j, out):
        signature = types.void(x, i, j, out)

        def generate(context, builder, signature, arguments):
            x, i, j, out = arguments
            kind, _, _, out_kind = signature.args

            def at(kind, array, i, j, vector):
                array = context.make_array(kind)(context, builder, array)
                place = cgutils.get_item_pointer(context, builder, kind, array, [i, j])
                return builder.bitcast(place, vector.as_pointer())

            def load(row, n):
                row = builder.add(i, context.get_constant(types.intp, row))
                numbers = builder.load(at(kind, x, row, j, ir.VectorType(ir.FloatType(), n)))
                numbers.align = 4
                return numbers

            for row, pairs in enumerate(pack(builder, load)):
                index = [context.get_constant(types.intp, each) for each in (row, 0)]
                builder.store(pairs, at(out_kind, out, *index, pairs.type)).align = 4
            return context.get_dummy_value()

        return signature, generate

    return fill


def _rounded(builder, numbers):
    """Return the bits of float32 numbers, of which the upper half is the nearest bfloat16; ties go to even ones."""
    bits = builder.bitcast(numbers, ir.VectorType(INT32, numbers.type.count))
    is_odd = builder.and_(builder.lshr(bits, _everywhere(bits, 16)), _everywhere(bits, 1))
    nearest = builder.add(builder.add(bits, _everywhere(bits, 0x7FFF)), is_odd)
    nan = builder.or_(bits, _everywhere(bits, 0x400000))
    return builder.select(builder.fcmp_unordered("uno", numbers, numbers), nan, nearest)


def _pair_rows(builder, load):
    """Pair numbers of two rows each."""
    for row in range(0, 2 * _ROWS, 2):
        low, high = (_rounded(builder, load(row + each, _ROWS)) for each in (0, 1))
        yield builder.or_(builder.lshr(low, _everywhere(low, 16)), _second(builder, high))


def _pair_columns(builder, load):
    """Pair numbers of two columns each, and transpose the pairs."""
    rows = [_upper_halves(builder, _rounded(builder, load(i, 2 * _ROWS))) for i in range(_ROWS)]
    half = _ROWS // 2
    kind = ir.VectorType(INT32, _ROWS)
    # Each time, row i and row i + half become two rows in which their pairs take turns.
    turns = [
        ir.Constant(kind, [start + j // 2 + _ROWS * (j % 2) for j in range(_ROWS)])
        for start in (0, half)
    ]
    for _ in range(3):  # log2(_ROWS)
        couples = zip(rows[:half], rows[half:])
        rows = [builder.shuffle_vector(*each, turn) for each in couples for turn in turns]
    return rows


def _upper_halves(builder, bits):
    """Return the upper halves of int32 numbers, two of them in each int32."""
    halves = builder.trunc(
        builder.lshr(bits, _everywhere(bits, 16)), ir.VectorType(INT16, 2 * _ROWS)
    )
    return builder.bitcast(halves, ir.VectorType(INT32, _ROWS))


_fill_from_rows, _fill_from_columns = _packer(_pair_rows), _packer(_pair_columns)


@kernel
def _fill_panels(x, along_rows, start, stop, size, corner, panels):
    """Fill panels with the lines ``start`` to ``stop`` of x; sums go along its rows or columns, over ``size`` numbers.

    Numbers are read in the order of the memory.
    """
    width = panels.shape[2]
    height = _ROWS if along_rows else 2 * _ROWS
    corner = corner.reshape(height, 2 * _ROWS**2 // height)
    if along_rows:
        for number, begin in enumerate(range(start, stop, width)):
            for line in range(begin, min(begin + width, stop), _ROWS):
                for first in range(0, size, 2 * _ROWS):
                    block = panels[number, first // 2 :, line - begin :]
                    _fill_block(x, True, line, first, stop, size, corner, block)
    else:
        for first in range(0, size, 2 * _ROWS):
            for number, begin in enumerate(range(start, stop, width)):
                for line in range(begin, min(begin + width, stop), _ROWS):
                    block = panels[number, first // 2 :, line - begin :]
                    _fill_block(x, False, line, first, stop, size, corner, block)


@kernel
def _fill_block(x, along_rows, line, first, stop, size, padded, out):
    """Pack the numbers from ``first`` of the lines from ``line``, by way of ``padded``, with zeros, if they are few."""
    height, width = (_ROWS, 2 * _ROWS) if along_rows else (2 * _ROWS, _ROWS)
    i, j = (line, first) if along_rows else (first, line)
    n_lines, n = min(_ROWS, stop - line), min(2 * _ROWS, size - first)
    n_rows, n_columns = (n_lines, n) if along_rows else (n, n_lines)
    source = x
    if n_rows < height or n_columns < width:
        padded.fill(0)
        for row in range(n_rows):
            for column in range(n_columns):
                padded[row, column] = x[i + row, j + column]
        source, i, j = padded, 0, 0
    if along_rows:
        _fill_from_columns(source, i, j, out)
    else:
        _fill_from_rows(source, i, j, out)


@kernel
def _multiply(a, b, out, n_rows, n_columns, size):
    """Fill the matrix at ``out`` with the product of those at a and b; all three are as ``_place`` returns them."""
    (a_address, a_step, a_rows), (b_address, b_step, b_rows) = a, b
    a_lines, b_lines = n_rows if a_rows else size, size if b_rows else n_columns
    left = carray(_pointer(a_address), (a_lines, a_step), np.float32)
    right = carray(_pointer(b_address), (b_lines, b_step), np.float32)
    whole = carray(_pointer(out[0]), (n_rows, out[1]), np.float32)
    n_pairs, n_panels = -(-size // (2 * _ROWS)) * _ROWS, -(-n_rows // _ROWS)
    panels = np.empty((n_panels, n_pairs, _ROWS), np.int32)
    tile, corner = np.empty((_ROWS, _COLUMNS), np.float32), np.empty(2 * _ROWS**2, np.float32)
    _fill_panels(left, a_rows, 0, n_rows, size, corner, panels)
    # Several panels of b are packed at a time where lines of the memory go through them, or where not all panels of a
    # stay in the cache; they are then multiplied with those that do.
    n_cached = _CACHED // max(n_pairs, 1)  # lines of a factor
    together, n_others = max(n_cached // _ROWS, 1), 1
    if b_rows or n_panels > together:
        n_others = max(min(n_cached // 2, n_columns) // _COLUMNS, 1)
    others = np.empty((n_others, n_pairs, _COLUMNS), np.int32)
    for first in range(0, n_columns, n_others * _COLUMNS):
        last = min(first + n_others * _COLUMNS, n_columns)
        _fill_panels(right, not b_rows, first, last, size, corner, others)
        for begin in range(0, n_panels, together):
            some = panels[begin : begin + together]
            for number, start in enumerate(range(first, last, _COLUMNS)):
                part = whole[begin * _ROWS :, start : min(start + _COLUMNS, last)]
                _fill_columns(some, others[number], tile, part)


@kernel
def _fill_columns(panels, other, tile, out):
    """Fill columns of ``out`` with the products of ``panels`` and of ``other``, by way of ``tile`` at the edges."""
    n_rows, n_columns = out.shape
    for number in range(panels.shape[0]):
        start = number * _ROWS
        stop = min(start + _ROWS, n_rows)
        if stop - start == _ROWS and n_columns == _COLUMNS:
            _fill_tile(panels[number].T, other, out[start:stop])
            continue
        _fill_tile(panels[number].T, other, tile)
        for i in range(start, stop):
            for j in range(n_columns):
                out[i, j] = tile[i - start, j]
