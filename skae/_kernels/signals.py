"""Signals between threads that wait without the GIL: a word in memory, which is read until it changes."""

from numba import config, types
from numba.extending import intrinsic

from ._jit import kernel

GO, DONE = 0, 8  # words of ``flags``, in separate cache lines
SIZE = 16


@intrinsic
def _load(context, flags, index):
    """Return flags[index], read anew each time."""

    def emit(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "acquire", 8)

    return types.int64(flags, types.int64), emit


@intrinsic
def _store(context, flags, index, value):
    """flags[index] <- value, after all that was written before."""

    def emit(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        builder.store_atomic(arguments[2], builder.gep(data, [arguments[1]]), "release", 8)
        return context.get_dummy_value()

    return types.void(flags, types.int64, types.int64), emit


if config.DISABLE_JIT:

    def _load(flags, index):
        return flags[index]

    def _store(flags, index, value):
        flags[index] = value


@kernel
def wait_for_go(flags, turn, n_looks, n_more):
    """Report ``turn`` as done, and look for the next one until it is there, plus ``n_more`` times; return whether it is."""
    _store(flags, DONE, turn)
    for _ in range(n_looks):
        if _load(flags, GO) != turn:
            for _ in range(n_more):
                _load(flags, GO)
            return True
    return False


@kernel
def wait_for_done(flags, turn, n_looks):
    """Return whether ``turn`` is done, after at most ``n_looks`` looks."""
    for _ in range(n_looks):
        if _load(flags, DONE) == turn:
            return True
    return False
