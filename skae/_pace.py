"""The choice between several threads and one, which can be faster when other processes are busy."""

import time

_TRIAL_PIECES = 8  # pieces of work for timing each way
_MAX_WAIT_RATIO = 1.5  # of wall time to a part's CPU time, above which one thread alone is tried
_MIN_PAUSE, _MAX_PAUSE = 0.1, 3.0  # seconds between trials


class Pace:
    """Choose between all threads of a team and one alone, by the times of the last pieces of work.

    If another process runs on a core, a thread can be suspended in its part for longer than the whole work takes, while
    the others wait. One thread alone is not tried while work takes about as long as the CPU time of a part, nor after a
    single slow measurement.
    """

    def __init__(self):
        self.alone, self._trying, self._calm, self._rates = False, False, False, {}
        self._due, self._pause = 0.0, _MIN_PAUSE
        self._restart()

    def _restart(self):
        self._n, self._size, self._seconds, self._own_seconds = 0, 0, 0.0, 0.0

    def note(self, size, seconds, own_seconds):
        """Record a piece of work of ``size``: its time, and the CPU time of this thread's part."""
        self._n += 1
        self._size += size
        self._seconds += seconds
        self._own_seconds += own_seconds
        if self._n == _TRIAL_PIECES or self._hopeless():
            self._rates[self.alone] = self._seconds / self._size
            self._choose(self._seconds > _MAX_WAIT_RATIO * self._own_seconds)
            self._restart()

    def _hopeless(self):
        """Return whether a trial of all threads has already taken longer than one thread would for the whole trial."""
        whole = _TRIAL_PIECES * self._size / self._n
        return self._trying and not self.alone and self._seconds > self._rates[True] * whole

    def _choose(self, waits):
        now, calm = time.perf_counter(), self._calm
        self._calm = not waits
        if self._trying:
            alone = self._rates[True] < self._rates[False]
            self._pause = _MIN_PAUSE if alone == self.alone else min(2 * self._pause, _MAX_PAUSE)
            self.alone, self._trying, self._due = alone, False, now + self._pause
        elif now >= self._due and (self.alone or (waits and not calm)):
            self.alone, self._trying = not self.alone, True
