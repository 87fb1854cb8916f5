"""How many threads there are to use, and BLAS with one of them while others work."""

import os
import threading
from math import inf

from ._compat import _get_threadpool_controller, set_blas_threads

_MEMBERSHIP, _GROUPS = "/proc/self/cgroup", "/sys/fs/cgroup"


class BlasLimit:
    """BLAS has one thread while anyone holds this, then as many as before: the first to come notes it for all.

    Each method may be called again after an interrupt.
    """

    def __init__(self):
        self._lock, self._holders, self._counts = threading.Lock(), set(), []

    def n_threads(self):
        """Return how many threads BLAS has where nobody holds this."""
        with self._lock:
            return min((count for _, count in self._counts or _blas_threads()), default=1)

    def hold(self, holder):
        """Let BLAS have one thread until ``holder`` releases it."""
        with self._lock:
            self._counts = self._counts or _blas_threads()
            self._holders.add(holder)
            for library, _ in self._counts:
                set_blas_threads(library, 1)

    def release(self, holder):
        """Give the threads back, unless someone else holds this."""
        with self._lock:
            self._holders.discard(holder)
            if not self._holders:
                self._restore()

    def after_fork(self):
        """Give the threads back in a process that has only the thread that forked."""
        self._lock = threading.Lock()
        self._holders.clear()
        self._restore()

    def _restore(self):
        for library, count in self._counts:
            set_blas_threads(library, count)
        self._counts = []


def _blas_threads():
    libraries = _get_threadpool_controller().lib_controllers
    return [(each, each.get_num_threads()) for each in libraries if each.user_api == "blas"]


def allowed_cores():
    """Return how many cores' time the control groups of this process allow it; infinity where they set no limit."""
    limits = [inf]
    for line in _text(_MEMBERSHIP).splitlines():
        _, names, group = line.split(":", 2)
        if names and "cpu" not in names.split(","):
            continue
        while True:
            limits.append(_allowed_in(os.path.join(_GROUPS, names, group.strip("/"))))
            # A container may see its own group as the top one, whatever the name.
            if group in {"", "/"}:
                break
            group = os.path.dirname(group)
    return min(limits)


def _allowed_in(folder):
    """Return the limit of one control group, of version 2 or 1."""
    limit = _text(f"{folder}/cpu.max").split()
    if not limit:
        names = "cpu.cfs_quota_us", "cpu.cfs_period_us"
        limit = [_text(f"{folder}/{name}") for name in names]
    try:
        quota, period = map(float, limit)
    except ValueError:  # 'max', or there is none
        return inf
    return quota / period if quota > 0 else inf


def _text(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def own_cores():
    """Return on how many cores threads of this process can run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
