"""A thread that busy-waits for its tasks."""

import threading
import time
from collections import deque
from functools import cache
from queue import SimpleQueue
from timeit import repeat

import numpy as np

from ._kernels.signals import DONE, GO, SIZE, wait_for_done, wait_for_go

_SPIN_SECONDS = 3e-4  # seconds for which a thread looks for work before it sleeps
_HEAD_START = 12e-6  # seconds that a woken worker spins, so that the caller can release the GIL


class _Local(threading.local):
    # For each thread: the threads to which it may give work (None outside of a team), and their ``Pace``.
    team = pace = None


local = _Local()


@cache
def _looks_a_second():
    """Return how many times per second a thread can read a signal."""
    flags, n = np.zeros(SIZE, np.int64), 20_000
    wait_for_done(flags, 1, 1)
    # The fastest of several trials: the thread may have been interrupted in the others.
    return n / min(repeat(lambda: wait_for_done(flags, 1, n), number=1, repeat=5))


class Worker:
    """Worker that busy-waits for its next task: waking a sleeping thread takes about 50 microseconds.

    Its thread starts with the first task, since small fits have none.

    Ctrl-C may interrupt the caller between any two lines of its methods, and the other methods still work: a task that
    was not announced is taken back, and a worker that was not woken is woken by the thread that waits for it.

    Parameters
    ----------
    spins : bool
        Whether to look for work before going to sleep.
    """

    def __init__(self, spins):
        self._flags, self._tasks, self._error = np.zeros(SIZE, np.int64), deque(), None
        self._spins, self._rate, self._looks = spins, 0, [1, 0]
        self._asleep, self._wake = False, SimpleQueue()
        self._thread, self._may_start = threading.Thread(target=self._serve, daemon=True), True

    def _start(self):
        """Start the thread, only once: if this is interrupted, its tasks are taken back."""
        self._may_start = False
        if self._spins:
            self._rate = _looks_a_second()
            self._looks = [int(self._rate * seconds) for seconds in (_SPIN_SECONDS, _HEAD_START)]
        try:
            self._thread.start()
        except RuntimeError as error:
            if "unlocked lock" not in str(error):
                raise
            raise KeyboardInterrupt from error  # which came while ``threading`` waited for the start

    def end(self):
        """End the thread, if there is one; one that is about to start ends when it does."""
        self._may_start = False
        self._announce(None, None)
        if self._thread.is_alive():  # and may be joined, which needs more than an ident
            self.finish(0)
            self._thread.join()

    def give(self, work, part):
        """Begin ``work(part)`` in the thread."""
        if self._may_start:
            self._start()
        self._error = None
        self._announce(work, part)

    def _announce(self, work, part):
        """Put a task in the queue of the thread, which ends if ``work`` is None."""
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
        """Wait until the task is done: busy-wait for ``seconds``, then sleep, since the worker may need this core."""
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
        # Which warnings of numpy a thread ignores, such as of overflow in training, others do not know.
        with np.errstate(all="ignore"):
            self._do_tasks()

    def _do_tasks(self):
        # Nested calls run serially.
        local.team, turn = [], 0
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
            # A thread that waits must not keep the arrays of its last task alive.
            work = part = None

    def _sleep(self, turn):
        """Block until new work; ``_asleep`` is set before the flag is read, so no wake-up is lost."""
        self._asleep = True
        if self._flags[GO] == turn:
            self._wake.get()
        self._asleep = False


def _nothing(part):
    """Stand in for a task that was taken back."""
