"""Threads of our own for the products of a training step, in place of those of BLAS.

In a product that BLAS cuts up each core reads what the other one has packed. Here each thread has the same units
in every product, so that weights and gradients stay near the core that works on them.
"""

import threading
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from functools import cache
from timeit import repeat

import numpy as np

from ._compat import _get_threadpool_controller
from ._kernels.signals import GO, SIZE, wait_for_done, wait_for_go

# Costs are in multiplications of a matrix product.
ELEMENT = 16  # one element of an elementwise kernel
_SMALLEST_WORK = 1_000_000  # the smallest work that is shared
_MOST_THREADS = 8  # threads: narrower parts gain nothing
_SPIN_SECONDS = 3e-4  # seconds that a thread looks for work before it goes to sleep
_SLACK_SHARE = 0.25  # of the time of its own part that a thread busy-waits for the rest,
_SLACK = 5e-5  # and seconds beyond that
_HEAD_START = 12e-6  # seconds that a woken worker spins so that the caller can release the GIL
_local, _limiting = threading.local(), threading.Lock()


@cache
def _looks_a_second():
    """Return how often a thread can look at a signal."""
    flags, n = np.zeros(SIZE, np.int64), 20_000
    wait_for_done(flags, 1, 1)
    # The quickest of some: in the others the thread may have had to stand back.
    return n / min(repeat(lambda: wait_for_done(flags, 1, n), number=1, repeat=5))


class _Worker:
    """Worker that busy-waits for its next task: waking a sleeping thread takes about 50 microseconds."""

    def __init__(self):
        self._flags, self._turn = np.zeros(SIZE, np.int64), 0
        self._rate = _looks_a_second()
        self._job = self._error = None
        self._asleep, self._wake = False, threading.Semaphore(0)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.give(None, None)
        self._thread.join()

    def give(self, work, part):
        """Begin ``work(part)`` in the thread; without work it ends."""
        self._job, self._turn = (work, part), self._turn + 1
        self._flags[GO] = self._turn
        if self._asleep:
            self._wake.release()

    def wait(self, seconds):
        """Wait until it is done: busy for ``seconds``, then with sleeps, since the worker may need this core."""
        if not wait_for_done(self._flags, self._turn, int(self._rate * seconds)):
            while not wait_for_done(self._flags, self._turn, 1):
                time.sleep(1e-4)

    def check(self):
        """Raise what ``work`` raised."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _serve(self):
        turn, looks = 0, [int(self._rate * seconds) for seconds in (_SPIN_SECONDS, _HEAD_START)]
        while True:
            while not wait_for_go(self._flags, turn, *looks):
                self._sleep(turn)
            turn += 1
            work, part = self._job
            if work is None:
                return
            try:
                work(part)
            except BaseException as error:
                self._error = error

    def _sleep(self, turn):
        """Block until new work; ``_asleep`` is set before the flag is read, so no wake-up is lost."""
        self._asleep = True
        if self._flags[GO] == turn:
            self._wake.acquire()
        self._asleep = False


def _n_blas_threads():
    libraries = _get_threadpool_controller().info()
    counts = [each["num_threads"] for each in libraries if each["user_api"] == "blas"]
    return min(counts, default=1)


@contextmanager
def _single_threaded_blas():
    """Let BLAS have one thread, unless another thread has seen to that: two that overlap would restore each other's limit."""
    if not _limiting.acquire(blocking=False):
        yield
        return
    try:
        with _get_threadpool_controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limiting.release()


@contextmanager
def team(n_threads=None):
    """Let ``share`` and ``share_items`` use so many threads, by default those of BLAS, which has one meanwhile.

    Within another team it is that one.
    """
    if n_threads is None:
        n_threads = min(_n_blas_threads(), _MOST_THREADS)
    if n_threads == 1 or hasattr(_local, "team"):
        yield
        return
    with _single_threaded_blas(), ExitStack() as stack:
        _local.team = [stack.enter_context(_Worker()) for _ in range(n_threads - 1)]
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
    n_parts = min(len(_workers()) + 1, size, size * cost // _SMALLEST_WORK)
    if n_parts <= 1:
        work(slice(0, size))
        return
    bounds = [size * i // n_parts for i in range(n_parts + 1)]
    _run(work, list(map(slice, bounds[:-1], bounds[1:])))


def share_matrix(work, n_rows, n_columns, cost, *, whole_rows=False):
    """Call ``work(rows, columns)`` for parts of a matrix, cut across its longer side: near-square products are quicker.

    Parameters
    ----------
    work : callable
    n_rows, n_columns : int
    cost : int
        Of one element, in multiplications of a matrix product.
    whole_rows : bool
        Whether rows must not be cut.
    """
    everything = slice(None)
    if n_rows * n_columns * cost < 2 * _SMALLEST_WORK or not _workers():
        work(everything, everything)
    elif whole_rows or n_rows > n_columns:
        share(lambda rows: work(rows, everything), n_rows, n_columns * cost)
    else:
        share(lambda columns: work(everything, columns), n_columns, n_rows * cost)


def share_items(function, items):
    """Return ``function`` of each item; a thread of the ``team`` that is done takes the next one."""
    waiting, results = deque(enumerate(items)), [None] * len(items)

    def work(_):
        while True:
            try:
                place, item = waiting.popleft()
            except IndexError:
                return
            results[place] = function(item)

    _run(work, [None] * min(len(items), len(_workers()) + 1))
    return results


def _workers():
    return getattr(_local, "team", [])


def _run(work, parts):
    """Call ``work`` of each part, the first one in this thread."""
    everyone = _workers()
    workers = everyone[: len(parts) - 1]
    if not workers:
        work(parts[0])
        return
    for worker, part in zip(workers, parts[1:]):
        worker.give(work, part)
    # Nested calls run serially.
    _local.team, start = [], time.perf_counter()
    try:
        work(parts[0])
    finally:
        _local.team = everyone
        patience = _SLACK_SHARE * (time.perf_counter() - start) + _SLACK
        for worker in workers:
            worker.wait(patience)
    for worker in workers:
        worker.check()


def product(a, b, out=None):
    """Return a b, in ``out`` if it is given."""
    if out is None:
        out = np.empty((len(a), b.shape[1]), np.result_type(a, b))

    def some(rows, columns):
        np.matmul(a[rows], b[:, columns], out=out[rows, columns])

    share_matrix(some, *out.shape, a.shape[1])
    return out
