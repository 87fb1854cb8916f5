"""Threads of our own for the products of a training step, in place of those of BLAS.

In a product that BLAS cuts up each core reads what the other one has packed. Here each thread has the same units
in every product, so that weights and gradients stay near the core that works on them.
"""

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import numpy as np

from ._compat import _get_threadpool_controller

# Costs are in multiplications of a matrix product.
ELEMENT = 16  # one element of an elementwise kernel
_LEAST = 4_000_000  # what is worth waking a thread
_MOST = 8  # threads: narrower parts gain nothing
_local = threading.local()


def blas_in_one_thread():
    """Return a context in which BLAS starts no threads: those wait for work in a loop that takes a core from ours."""
    return _get_threadpool_controller().limit(limits=1, user_api="blas")


def _n_blas_threads():
    libraries = _get_threadpool_controller().info()
    counts = [each["num_threads"] for each in libraries if each["user_api"] == "blas"]
    return min(counts, default=1)


@contextmanager
def team():
    """Let ``share`` use as many threads as BLAS has, which has one meanwhile."""
    n_threads = min(_n_blas_threads(), _MOST)
    if n_threads == 1 or hasattr(_local, "team"):
        yield
        return
    with blas_in_one_thread(), ThreadPoolExecutor(n_threads - 1) as pool:
        _local.team = pool, n_threads
        try:
            yield
        finally:
            del _local.team


def share(work, size, cost):
    """Call ``work(part)`` for slices that together are ``range(size)``: in a ``team`` side by side.

    Parameters
    ----------
    work : callable
    size : int
    cost : int
        Of one of ``size``, in multiplications of a matrix product; small work stays in this thread.
    """
    pool, n_threads = getattr(_local, "team", (None, 1))
    n_parts = min(n_threads, size * cost // _LEAST)
    if n_parts <= 1:
        work(slice(0, size))
        return
    bounds = [size * i // n_parts for i in range(n_parts + 1)]
    first, *parts = map(slice, bounds[:-1], bounds[1:])
    others = [pool.submit(work, part) for part in parts]
    try:
        work(first)
    finally:
        wait(others)
    for other in others:
        other.result()


def product(a, b, out=None):
    """Return a b, in ``out`` if it is given, by parts of the longer side."""
    if out is None:
        out = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    n_rows, n_columns = out.shape

    def rows(part):
        np.matmul(a[part], b, out=out[part])

    def columns(part):
        np.matmul(a, b[:, part], out=out[:, part])

    if n_rows > n_columns:
        share(rows, n_rows, n_columns * a.shape[1])
    else:
        share(columns, n_columns, n_rows * a.shape[1])
    return out
