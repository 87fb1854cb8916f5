"""Portable kernels compiled to one device kernel each, by ``torch.compile``, within captured steps."""

import threading
from contextlib import contextmanager
from types import FunctionType

from .._warnings import warn


class _Local(threading.local):
    active = False


_local = _Local()
_compiled = {}


@contextmanager
def fused():
    """Run portable kernels within the block as compiled by torch."""
    before, _local.active = _local.active, True
    try:
        yield
    finally:
        _local.active = before


def run(function, args):
    """Call a portable kernel."""
    if not _local.active:
        return function(*args)
    key = function, *map(_signature, args)
    if key not in _compiled:
        return _first_run(function, args, key)
    return _compiled[key](*args)


def _first_run(function, args, key):
    """Compile a kernel for arguments like these, and call it.

    If compilation fails, for example without a C compiler, the kernel stays as it is.
    """
    import torch

    # A new code object, since torch compiles each one only a few times.
    code = function.__code__.replace(co_name=f"{function.__name__}_{len(_compiled)}")
    parts = function.__globals__, function.__name__, function.__defaults__, function.__closure__
    _compiled[key] = torch.compile(FunctionType(code, *parts), dynamic=False, fullgraph=True)
    try:
        return _compiled[key](*args)
    except Exception as error:
        _compiled[key] = function
        warn(
            f"PyTorch cannot compile {function.__name__} ({type(error).__name__}): training goes on, more slowly.",
            RuntimeWarning,
        )
        return function(*args)


def _signature(value):
    """Return what a compiled kernel depends on: everything but the content of arrays."""
    if hasattr(value, "shape"):
        return tuple(value.shape), str(value.dtype), value.stride()
    return value
