"""Threads for the products of a training step, instead of those of BLAS.

With BLAS threads, each core reads memory that another one has written. Here each thread has the same units in every
product, so weights and gradients stay in the cache of its core.
"""

import os
import threading
import time
import weakref
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass

from ._arrays.namespace import empty
from ._arrays.products import multiplier
from ._compat import _get_threadpool_controller, set_blas_threads
from ._cores import allowed_cores, own_cores
from ._pace import Pace
from ._workers import Worker, local

# Costs are in multiplications of a matrix product.
ELEMENT = 16  # one element of an elementwise kernel
_SMALLEST_WORK = 1_000_000  # the smallest part
LEAST_SHARED = 2 * _SMALLEST_WORK  # work that costs less is not cut into parts
_MAX_THREADS = 8  # more, with smaller parts, are no faster
_SLACK_FRACTION = 0.25  # fraction of its own part's time that a thread busy-waits for the others,
_SLACK = 5e-5  # plus this many seconds


class _BlasLimit:
    """Limits BLAS to one thread while there is a holder, and restores its threads when the last one releases it.

    Each method may be called again after an interrupt, and ``release`` within each, by the garbage collector.
    """

    def __init__(self):
        self._lock, self._holders, self._counts = threading.RLock(), set(), []

    def n_threads(self):
        """Return the number of threads of BLAS without the limit."""
        with self._lock:
            return min(dict(self._counts or _blas_threads()).values(), default=1)

    def hold(self, holder):
        """Limit BLAS to one thread until ``holder`` releases it."""
        with self._lock:
            self._holders.add(holder)
            self._counts = self._counts or _blas_threads()
            for library, _ in self._counts:
                set_blas_threads(library, 1)

    def release(self, holder):
        """Restore the threads of BLAS, unless there is another holder."""
        with self._lock:
            self._holders.discard(holder)
            if not self._holders:
                self._restore()

    def after_fork(self):
        """Restore the threads of BLAS in a forked process, which has no other threads."""
        self._lock = threading.RLock()
        self._holders.clear()
        self._restore()

    def _restore(self):
        for library, count in self._counts:
            set_blas_threads(library, count)
        self._counts = []


def _blas_threads():
    libraries = _get_threadpool_controller().lib_controllers
    return [(each, each.get_num_threads()) for each in libraries if each.user_api == "blas"]


_blas = _BlasLimit()


@dataclass(eq=False)
class team:
    """Let ``share`` and ``share_items`` use ``n_threads`` threads (default: those of BLAS, which has one meanwhile).

    The number of threads is at most that of the cores that a container allows. Within another team this does nothing.

    This is no generator: if Ctrl-C keeps Python from ending one, it ends when its traceback does, which may be within a
    later team. The late end of this one leaves others as they are.
    """

    n_threads: float | None = None
    _is_open, _late_end = False, None

    def __enter__(self):
        if local.team is not None:
            return
        n_blas = _blas.n_threads()
        n_threads = min(n_blas, _MAX_THREADS) if self.n_threads is None else self.n_threads
        if n_threads > 1:
            n_threads = max(int(min(n_threads, allowed_cores())), 1)
        if n_blas == n_threads == 1:
            return
        spins = n_threads <= own_cores()
        # BLAS keeps the holder and not the team, which could then not end with its traceback.
        self._workers, self._holder = [Worker(spins) for _ in range(n_threads - 1)], object()
        self._is_open = True
        try:
            self._late_end = weakref.finalize(self, _close, self._workers, self._holder)
            self._late_end.atexit = False
            _blas.hold(self._holder)
            local.team, local.pace = self._workers, Pace()
        except BaseException:  # Ctrl-C, after which __exit__ is not called
            self.__exit__()
            raise

    def __exit__(self, *_):
        interrupt = None
        while self._is_open:
            try:
                _close(self._workers, self._holder)
                if self._late_end is not None:
                    self._late_end.detach()
                self._is_open = False
            except BaseException as error:  # Ctrl-C, or what another signal handler raises
                interrupt = error
        if interrupt is not None:
            raise interrupt


def _close(workers, holder):
    """End a team; call this again if it was interrupted."""
    if local.team is workers:
        local.team = None
    for worker in workers:
        worker.end()
    _blas.release(holder)


@contextmanager
def alone():
    """Share nothing among threads within the block, for example because the arrays are on a device."""
    before, local.team = local.team, []
    try:
        yield
    finally:
        local.team = before


def _after_fork():
    """Forget the threads that a new process does not have."""
    local.team = None
    _blas.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def share(work, size, cost):
    """Call ``work(part)`` for slices that together are ``range(size)``, in parallel within a ``team``.

    Parameters
    ----------
    work : callable
    size : int
    cost : int
        Cost of one of ``size``, in multiplications of a matrix product; small work stays in this thread.
    """
    if size < 2 or size * cost < LEAST_SHARED or not local.team:
        work(slice(0, size))
        return
    n_parts = min(len(local.team) + 1, size, size * cost // _SMALLEST_WORK)
    bounds = [size * i // n_parts for i in range(n_parts + 1)]
    parts = list(map(slice, bounds[:-1], bounds[1:]))
    start, pace = time.perf_counter(), local.pace
    own_seconds = _run(work, parts, pace.alone)
    pace.note(size * cost, time.perf_counter() - start, own_seconds)


def share_matrix(work, n_rows, n_columns, cost, *, whole_rows=False):
    """Call ``work(rows, columns)`` for parts of a matrix, cut across its longer side: near-square products are faster.

    It is meant for work of at least ``LEAST_SHARED`` within a team; other work needs no parts.

    Parameters
    ----------
    work : callable
    n_rows, n_columns : int
    cost : int
        Cost of one element, in multiplications of a matrix product.
    whole_rows : bool
        Whether to keep rows whole.
    """
    everything = slice(None)
    if whole_rows or n_rows > n_columns:
        share(lambda rows: work(rows, everything), n_rows, n_columns * cost)
    else:
        share(lambda columns: work(everything, columns), n_columns, n_rows * cost)


def share_items(function, items):
    """Return ``function`` of each item; each thread of the ``team`` takes the next item when it is done."""
    waiting, results = deque(enumerate(items)), [None] * len(items)

    def work(_):
        while True:
            try:
                place, item = waiting.popleft()
            except IndexError:
                return
            results[place] = function(item)

    _run(work, [None] * min(len(items), len(local.team or []) + 1))
    return results


def _run(work, parts, alone=False):
    """Call ``work`` for each part, and return the CPU time of the first one.

    This thread does the first part and those that no worker has started meanwhile; with ``alone``, all parts.
    """
    present = local.team
    workers = [] if alone else (present or [])[: len(parts) - 1]
    busy, interrupt, start = list(workers), None, time.perf_counter()
    local.team = []  # nested calls run serially
    try:
        for worker, part in zip(workers, parts[1:]):
            worker.give(work, part)
        before = time.thread_time()
        work(parts[0])
        own_seconds = time.thread_time() - before
        for part in parts[len(workers) + 1 :]:
            work(part)
        for worker in workers:
            task = worker.take_back()
            if task is not None:
                busy.remove(worker)
                work(task[1])
    finally:
        local.team = present
        # Wait for all workers even after an error, as they write to arrays of the caller.
        while busy:
            try:
                busy[-1].take_back()
                patience = _SLACK_FRACTION * (time.perf_counter() - start) + _SLACK
                busy[-1].finish(patience)
                busy.pop()
            except BaseException as error:  # Ctrl-C, or what another signal handler raises
                interrupt = error
        if interrupt is not None:
            raise interrupt
    for worker in workers:
        worker.check()
    return own_seconds


def product(a, b, out=None):
    """Return a b, in ``out`` if it is given."""
    if out is None:
        out = empty((a.shape[0], b.shape[1]), a)
    multiply = multiplier(out)
    if not local.team or out.shape[0] * out.shape[1] * a.shape[1] < LEAST_SHARED:
        multiply(a, b, out)
        return out

    def work(rows, columns):
        multiply(a[rows, ...], b[:, columns], out[rows, columns])

    share_matrix(work, *out.shape, a.shape[1])
    return out
