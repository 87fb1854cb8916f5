"""The number of cores that this process can use."""

import os
from functools import cache
from math import inf

_MEMBERSHIP, _GROUPS = "/proc/self/cgroup", "/sys/fs/cgroup"


@cache
def allowed_cores():
    """Return the number of cores that control groups allow this process; infinity if they set no limit."""
    limits = [inf]
    for line in _text(_MEMBERSHIP).splitlines():
        _, names, group = line.split(":", 2)
        if names and "cpu" not in names.split(","):
            continue
        while True:
            limits.append(_allowed_in(os.path.join(_GROUPS, names, group.strip("/"))))
            # A container may see its own group as the root, whatever its name.
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
    """Return the number of cores on which threads of this process can run at once."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
