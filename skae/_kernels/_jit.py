"""The one place that says how kernels are compiled."""

import os

from numba import njit

# Everything of fastmath except the flags that would make isfinite(nan) true.
_OPTIONS = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp", "afn"},
}
_CACHE = os.environ.get("SKAE_NUMBA_CACHE", "1") != "0"


def kernel(function):
    """Compile ``function`` at its first call, and keep the result on disk where that is possible.

    Numba raises when it finds no folder to cache in (read-only install and no home); the kernel
    then lives in memory only. Set ``SKAE_NUMBA_CACHE=0`` to never write.
    """
    if _CACHE:
        try:
            return njit(cache=True, **_OPTIONS)(function)
        except RuntimeError:
            pass
    return njit(**_OPTIONS)(function)
