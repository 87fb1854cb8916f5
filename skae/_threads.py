"""Threads of our own for the products of a training step, in place of those of BLAS.

In a product that BLAS cuts up each core reads what the other one has packed. Here each thread has the same units
in every product, so that weights and gradients stay near the core that works on them.
"""

import os
import threading
import time
from collections import deque
from contextlib import contextmanager
from functools import cache
from queue import SimpleQueue
from timeit import repeat

import numpy as np

from ._cores import BlasLimit, allowed_cores, own_cores
from ._kernels.signals import DONE, GO, SIZE, wait_for_done, wait_for_go
from ._pace import Pace

# Costs are in multiplications of a matrix product.
ELEMENT = 16  # one element of an elementwise kernel
_SMALLEST_WORK = 1_000_000  # the smallest work that is shared
_MOST_THREADS = 8  # threads: narrower parts gain nothing
_SPIN_SECONDS = 3e-4  # seconds that a thread looks for work before it goes to sleep
_SLACK_SHARE = 0.25  # of the time of its own part that a thread busy-waits for the rest,
_SLACK = 5e-5  # and seconds beyond that
_HEAD_START = 12e-6  # seconds that a woken worker spins so that the caller can release the GIL
_local, _blas = threading.local(), BlasLimit()


@cache
def _looks_a_second():
    """Return how often a thread can look at a signal."""
    flags, n = np.zeros(SIZE, np.int64), 20_000
    wait_for_done(flags, 1, 1)
    # The quickest of some: in the others the thread may have had to stand back.
    return n / min(repeat(lambda: wait_for_done(flags, 1, n), number=1, repeat=5))


class _Worker:
    """Worker that busy-waits for its next task: waking a sleeping thread takes about 50 microseconds.

    Ctrl-C may interrupt the caller between any two lines of its methods. Each leaves what the next one copes with: a task
    that was not announced is taken back, and a worker that was not woken is woken by who waits for it.

    Parameters
    ----------
    spins : bool
        Whether to look for work before going to sleep.
    """

    def __init__(self, spins):
        self._flags, self._tasks, self._error = np.zeros(SIZE, np.int64), deque(), None
        self._looks = [1, 0]
        self._rate = _looks_a_second() if spins else 0
        if spins:
            self._looks = [int(self._rate * seconds) for seconds in (_SPIN_SECONDS, _HEAD_START)]
        self._asleep, self._wake = False, SimpleQueue()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self):
        """Start the thread."""
        self._thread.start()

    def end(self):
        """End the thread; one that is only about to start ends by itself."""
        self.give(None, None)
        if self._thread.ident is not None:
            self.finish(0)
            self._thread.join()

    def give(self, work, part):
        """Begin ``work(part)`` in the thread; without work it ends."""
        self._error = None
        self._tasks.append((work, part))
        self._flags[GO] += 1
        if self._asleep:
            self._wake.put(None)

    def take_back(self):
        """Return the task if the thread has not begun it, or None."""
        try:
            return self._tasks.pop()
        except IndexError:
            return None

    def finish(self, seconds):
        """Wait until nothing is done: busy for ``seconds``, then with sleeps, since the worker may need this core."""
        turn, n_looks = int(self._flags[GO]), max(int(self._rate * seconds), 1)
        while not wait_for_done(self._flags, turn, n_looks) and self._thread.is_alive():
            if self._asleep:
                self._wake.put(None)
            time.sleep(1e-4)
            n_looks = 1

    def check(self):
        """Raise what ``work`` raised."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _serve(self):
        # Nested calls run serially.
        _local.team, turn = [], 0
        while True:
            while not wait_for_go(self._flags, turn, *self._looks):
                self._sleep(turn)
            turn += 1
            work, part = self.take_back() or (_nothing, None)
            if work is None:
                self._flags[DONE] = turn
                return
            try:
                work(part)
            except BaseException as error:
                self._error = error

    def _sleep(self, turn):
        """Block until new work; ``_asleep`` is set before the flag is read, so no wake-up is lost."""
        self._asleep = True
        if self._flags[GO] == turn:
            self._wake.get()
        self._asleep = False


def _nothing(part):
    """Stand in for a task that was taken back."""


class _Team:
    """Workers beside this thread, with BLAS limited to one thread."""

    def __init__(self, n_threads):
        spins = n_threads <= own_cores()
        self._workers = [_Worker(spins) for _ in range(n_threads - 1)]
        self.is_open = True

    def open(self):
        """Start; whatever interrupts this, ``close`` is right."""
        _blas.hold(self)
        for worker in self._workers:
            worker.start()
        _local.team, _local.pace = self._workers, Pace()

    def close(self):
        """End; after an interrupt, call it again."""
        _local.team = None
        for worker in self._workers:
            worker.end()
        _blas.release(self)
        self.is_open = False


@contextmanager
def team(n_threads=None):
    """Let ``share`` and ``share_items`` use so many threads, by default those of BLAS, which has one meanwhile.

    They are never more than the cores that a container allows. Within another team it is that one.
    """
    n_blas = _blas.n_threads()
    n_threads = min(n_blas, _MOST_THREADS) if n_threads is None else n_threads
    if n_threads > 1:
        n_threads = max(int(min(n_threads, allowed_cores())), 1)
    if n_blas == n_threads == 1 or getattr(_local, "team", None) is not None:
        yield
        return
    own = _Team(n_threads)
    try:
        own.open()
        yield
    finally:
        interrupt = None
        while own.is_open:
            try:
                own.close()
            except BaseException as error:  # Ctrl-C, or what another signal handler raises
                interrupt = error
        if interrupt is not None:
            raise interrupt


def _after_fork():
    """Forget the threads that a new process does not have."""
    _local.team = None
    _blas.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def is_shared(cost):
    """Return whether work of this cost, in multiplications of a matrix product, is cut into parts."""
    return cost >= 2 * _SMALLEST_WORK and bool(_workers())


def share(work, size, cost):
    """Call ``work(part)`` for slices that together are ``range(size)``: in a ``team`` side by side.

    Parameters
    ----------
    work : callable
    size : int
    cost : int
        Of one of ``size``, in multiplications of a matrix product; small work stays in this thread.
    """
    if size < 2 or not is_shared(size * cost):
        work(slice(0, size))
        return
    n_parts = min(len(_workers()) + 1, size, size * cost // _SMALLEST_WORK)
    bounds = [size * i // n_parts for i in range(n_parts + 1)]
    parts = list(map(slice, bounds[:-1], bounds[1:]))
    start, pace = time.perf_counter(), _local.pace
    own_seconds = _run(work, parts, pace.alone)
    pace.note(size * cost, time.perf_counter() - start, own_seconds)


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
    if not is_shared(n_rows * n_columns * cost):
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
    """Return the other threads of the present team, if there is one."""
    return getattr(_local, "team", None) or []


def _run(work, parts, alone=False):
    """Call ``work`` of each part, and return the processor time of the first one.

    That is done in this thread, and so are those that no other has begun; with ``alone``, all.
    """
    present = getattr(_local, "team", None)  # None where there is no team
    workers = [] if alone else _workers()[: len(parts) - 1]
    busy, interrupt, start = list(workers), None, time.perf_counter()
    _local.team = []  # nested calls run serially
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
        _local.team = present
        # Whatever is raised meanwhile: they write to arrays of the caller.
        while busy:
            try:
                busy[-1].take_back()
                patience = _SLACK_SHARE * (time.perf_counter() - start) + _SLACK
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
        out = np.empty((len(a), b.shape[1]), np.result_type(a, b))

    def some(rows, columns):
        np.matmul(a[rows], b[:, columns], out=out[rows, columns])

    share_matrix(some, *out.shape, a.shape[1])
    return out
