"""Products of float32 matrices, one of them with few rows: the other one is read once, and sums stay in registers."""

from functools import cache

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._jit import kernel
from .tiles import INT32, LANES, compiles_for, everywhere

# A tile is the part of a product that stays in registers: its rows, and its columns or vectors of LANES columns.
N_ROWS, N_VECTORS = 5, 4
_CACHED = 2**17  # numbers of a matrix that stay in the cache for all rows of the other one

_FLOAT = ir.FloatType()
_VECTOR, _INTEGERS = ir.VectorType(_FLOAT, LANES), ir.VectorType(INT32, LANES)
_ZEROS = ir.Constant(_VECTOR, None)
_LEAST = float(np.finfo(np.float32).tiny / np.finfo(np.float32).eps)  # as in zero_if_tiny


@cache
def has_wide_registers():
    """Return whether numba compiles for AVX-512: with smaller tiles these products take as long as those of BLAS."""
    return compiles_for("avx512f")


@kernel
def row_products(a, b, out):
    """out <- a b', for contiguous rows of ``a`` and ``b``."""
    for j in range(0, out.shape[1], N_VECTORS):
        for i in range(0, out.shape[0], N_ROWS):
            _fill_products(a, b, out, i, j)


@kernel
def products(a, b, out):
    """out <- a b, for contiguous rows of ``b`` and ``out``."""
    n_terms = max(_CACHED // out.shape[1], 1)
    out[:] = 0
    for first in range(0, b.shape[0], n_terms):
        terms = slice(first, first + n_terms)
        add_sums(a[:, terms], b[terms], None, None, out.dtype.type(1), out)


@kernel
def add_sums(a, b, factors, weights, scale, out):
    """Add ``scale`` times the rows (a b)_i + factors_i weights_i to ``out``, or replace it if ``scale`` is None.

    Rows of ``b``, ``weights`` and ``out`` are contiguous. ``factors`` may be None for 0, and ``weights`` None for
    ``out``. Tiny numbers become 0, as after other steps of a solver.
    """
    n_columns, width = out.shape[1], N_VECTORS * LANES
    whole = n_columns - n_columns % width
    for i in range(0, out.shape[0], N_ROWS):
        for k in range(0, whole, width):
            _fill_sums(a, b, factors, weights, scale, out, i, k, N_VECTORS)
        for k in range(whole, n_columns, LANES):
            _fill_sums(a, b, factors, weights, scale, out, i, k, 1)


@intrinsic
def _fill_products(typing_context, a, b, out, i, j):
    """Fill a tile of ``out`` from row i and column j."""
    signature = types.void(a, b, out, i, j)

    def generate(context, builder, signature, arguments):
        write = _Writer(context, builder, signature.args, arguments)
        rows = write.places(2, 0, arguments[3], N_ROWS)
        columns = write.places(2, 1, arguments[4], N_VECTORS)
        sums = [[write.variable() for _ in columns] for _ in rows]

        def add(k, mask=None):
            others = [write.load(1, column, k, mask) for column in columns]
            for row, own in zip(rows, sums):
                write.add_products(own, write.load(0, row, k, mask), others)

        write.for_vectors(0, add)
        for row, own in zip(rows, sums):
            for column, total in zip(columns, own):
                builder.store(write.sum_of(builder.load(total)), write.pointer(2, row, column))
        return context.get_dummy_value()

    return signature, generate


@intrinsic(prefer_literal=True)
def _fill_sums(typing_context, a, b, factors, weights, scale, out, i, k, n_vectors):
    """Fill a tile of ``out`` from row i and column k, or one vector of its rows, which may exceed them."""
    signature = types.void(a, b, factors, weights, scale, out, i, k, n_vectors)

    def generate(context, builder, signature, arguments):
        write = _Writer(context, builder, signature.args, arguments)
        rows, k = write.places(5, 0, arguments[6], N_ROWS), arguments[7]
        mask = write.mask(5, k) if n_vectors.literal_value == 1 else None
        columns = [write.plus(k, LANES * number) for number in range(n_vectors.literal_value)]
        sums = [[write.variable() for _ in columns] for _ in rows]
        with cgutils.for_range(builder, write.length(0, 1)) as loop:
            others = [write.load(1, loop.index, column, mask) for column in columns]
            for row, own in zip(rows, sums):
                write.add_products(own, write.everywhere(0, row, loop.index), others)
        totals = [[builder.load(each) for each in own] for own in sums]
        for row, own in zip(rows, totals):
            before = [write.load(5, row, column, mask) for column in columns]
            if factors != types.none:
                factor, others = write.everywhere(2, row), before
                if weights != types.none:
                    others = [write.load(3, row, column, mask) for column in columns]
                own[:] = [write.product_sum(factor, *each) for each in zip(others, own)]
            if scale != types.none:
                factor = everywhere(builder, arguments[4])
                own[:] = [write.product_sum(factor, *each) for each in zip(own, before)]
        # After all loads, since several of the last rows may be the same one.
        for row, own in zip(rows, totals):
            for column, total in zip(columns, own):
                write.store(write.zero_if_tiny(total), 5, row, column, mask)
        return context.get_dummy_value()

    return signature, generate


class _Writer:
    """Writes the instructions of a tile; LLVM's vectorizer keeps no sums of several rows in registers.

    Arrays are numbers of arguments. With a ``mask``, memory beyond a row is neither read nor written.
    """

    def __init__(self, context, builder, kinds, arguments):
        self._context, self._builder, self._kinds = context, builder, kinds
        self._arrays = {
            number: context.make_array(kind)(context, builder, argument)
            for number, (kind, argument) in enumerate(zip(kinds, arguments))
            if isinstance(kind, types.Array)
        }

    def index(self, value):
        return self._context.get_constant(types.intp, value)

    def plus(self, place, number):
        return self._builder.add(place, self.index(number)) if number else place

    def length(self, array, axis):
        return self._builder.extract_value(self._arrays[array].shape, axis)

    def places(self, array, axis, first, n):
        """Return ``n`` places from ``first``; those beyond the end are the last one."""
        builder, last = self._builder, self.plus(self.length(array, axis), -1)
        places = [self.plus(first, number) for number in range(n)]
        return [builder.select(builder.icmp_signed("<", p, last), p, last) for p in places]

    def variable(self):
        """Return the place of a vector, of zeros."""
        place = cgutils.alloca_once(self._builder, _VECTOR)
        self._builder.store(_ZEROS, place)
        return place

    def for_vectors(self, array, add):
        """Call ``add(k)`` in a loop over the vectors of a row, and ``add(k, mask)`` for its rest."""
        builder, n = self._builder, self.length(array, 1)
        whole = builder.sub(n, builder.urem(n, self.index(LANES)))
        with cgutils.for_range_slice(builder, self.index(0), whole, self.index(LANES)) as (k, _):
            add(k)
        with builder.if_then(builder.icmp_signed("<", whole, n)):
            add(whole, self.mask(array, whole))

    def mask(self, array, k):
        """Return the mask of the columns of an array from k."""
        builder = self._builder
        rest = builder.trunc(builder.sub(self.length(array, 1), k), INT32)
        numbers = ir.Constant(_INTEGERS, list(range(LANES)))
        return builder.icmp_signed("<", numbers, everywhere(builder, rest))

    def load(self, array, row, k, mask=None):
        place = self._builder.bitcast(self.pointer(array, row, k), _VECTOR.as_pointer())
        if mask is None:
            return self._builder.load(place, align=4)
        return self._call("llvm.masked.load", _VECTOR, [place, INT32(4), mask, _ZEROS])

    def store(self, value, array, row, k, mask=None):
        place = self._builder.bitcast(self.pointer(array, row, k), _VECTOR.as_pointer())
        if mask is None:
            self._builder.store(value, place, align=4)
        else:
            self._call("llvm.masked.store", ir.VoidType(), [value, place, INT32(4), mask])

    def pointer(self, array, *places):
        kind, values = self._kinds[array], self._arrays[array]
        return cgutils.get_item_pointer(self._context, self._builder, kind, values, places)

    def everywhere(self, array, *places):
        """Return a vector of copies of one number."""
        return everywhere(self._builder, self._builder.load(self.pointer(array, *places)))

    def add_products(self, sums, vector, others):
        for place, other in zip(sums, others):
            total = self.product_sum(vector, other, self._builder.load(place))
            self._builder.store(total, place)

    def product_sum(self, a, b, c):
        product = self._builder.fmul(a, b, flags=("contract",))
        return self._builder.fadd(product, c, flags=("contract",))

    def sum_of(self, vector):
        return self._call("llvm.vector.reduce.fadd", _FLOAT, [_FLOAT(0.0), vector], ("reassoc",))

    def zero_if_tiny(self, vector):
        size = self._call("llvm.fabs", _VECTOR, [vector])
        is_tiny = self._builder.fcmp_ordered("<", size, ir.Constant(_VECTOR, [_LEAST] * LANES))
        return self._builder.select(is_tiny, _ZEROS, vector)

    def _call(self, name, kind, arguments, flags=()):
        """Call a function of LLVM for vectors."""
        name += f".v{LANES}f32.p0" if "masked" in name else f".v{LANES}f32"
        function = ir.FunctionType(kind, [each.type for each in arguments])
        function = cgutils.get_or_insert_function(self._builder.module, function, name)
        return self._builder.call(function, arguments, fastmath=flags)
