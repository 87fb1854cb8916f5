"""Tiles of products of matrices of 16-bit numbers: instructions that LLVM's vectorizer does not find.

A tile's sums stay in registers. The factors hold pairs of numbers that are neighbors along the sum, each one int32.
"""

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

LANES = 16  # numbers of 32 bits in a register
INT32, INT16 = ir.IntType(32), ir.IntType(16)
PAIRS = ir.VectorType(INT32, LANES)


def compiles_for(feature):
    """Return whether numba compiles for processors with this feature of LLVM's list, such as 'avx512bw'."""
    features = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return f"+{feature}" in features and not config.DISABLE_JIT


def everywhere(builder, number):
    """Return a vector of copies of one number."""
    first = builder.insert_element(
        ir.Constant(ir.VectorType(number.type, LANES), None), number, INT32(0)
    )
    return builder.shuffle_vector(first, first, ir.Constant(PAIRS, None))


def filler(shape, number, added):
    """Return a function ``fill(a, b, out)`` for kernels, where ``out``, of this ``shape``, becomes the products.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of a tile; ``LANES`` divides the latter.
    number : llvmlite.ir.Type
        That of the sums.
    added : callable
        ``added(builder, total, a, b)`` returns ``total + a_0 b_0 + a_1 b_1`` for vectors of pairs.
    """

    @intrinsic
    def fill(typing_context, a, b, out):
        signature = types.void(a, b, out)

        def generate(context, builder, signature, arguments):
            tile = _Tile(context, builder, signature.args, arguments, shape, number)
            with cgutils.for_range(builder, tile.n_pairs()) as loop:
                tile.add_products(loop.index, added)
            tile.store()
            return context.get_dummy_value()

        return signature, generate

    return fill


class _Tile:
    """Writes the instructions: ``a`` has the rows of the tile and a column for each pair, ``b`` a row for each pair."""

    def __init__(self, context, builder, kinds, arrays, shape, number):
        self._context, self._builder, self._kinds = context, builder, kinds
        self._arrays = [context.make_array(k)(context, builder, a) for k, a in zip(kinds, arrays)]
        self._rows, self._columns = range(shape[0]), range(0, shape[1], LANES)
        self._vector = ir.VectorType(number, LANES)
        zero = ir.Constant(self._vector, None)
        self._sums = {
            (i, j): cgutils.alloca_once_value(builder, zero)
            for i in self._rows
            for j in self._columns
        }

    def n_pairs(self):
        return self._builder.extract_value(self._arrays[0].shape, 1)

    def add_products(self, pair, added):
        """Add the products of a column of ``a`` with a row of ``b``."""
        builder = self._builder
        columns = {j: self._load(1, pair, self._index(j), PAIRS) for j in self._columns}
        for i in self._rows:
            row = everywhere(builder, self._load(0, self._index(i), pair, INT32))
            for j in self._columns:
                place = self._sums[i, j]
                builder.store(added(builder, builder.load(place), row, columns[j]), place)

    def store(self):
        """Write the sums to ``out``."""
        for (i, j), total in self._sums.items():
            place = self._pointer(2, self._index(i), self._index(j), self._vector)
            self._builder.store(self._builder.load(total), place).align = 4

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
