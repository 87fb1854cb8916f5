"""Portable kernels as one kernel of the device each, by ``torch.compile``, inside of steps that are captured."""

import threading
from contextlib import contextmanager
from functools import cache


class _Local(threading.local):
    active = False


_local = _Local()


@contextmanager
def fused():
    """Run portable kernels in the block as compiled by torch."""
    before, _local.active = _local.active, True
    try:
        yield
    finally:
        _local.active = before


def run(function, args):
    """Call a portable kernel."""
    if _local.active:
        return _compiled(function)(*args)
    return function(*args)


@cache
def _compiled(function):
    import torch

    return torch.compile(function, dynamic=False, fullgraph=True)
