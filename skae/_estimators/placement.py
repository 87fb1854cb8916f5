"""Where the minibatches of a training are computed: in this process, or as a block of code says."""

from contextlib import contextmanager
from contextvars import ContextVar

_place = ContextVar("place", default=None)


@contextmanager
def computing_at(place):
    """Let trainings in the block compute where ``place`` says: a function from a ``Problem`` and its solver to a context manager of another one."""
    token = _place.set(place)
    try:
        yield
    finally:
        _place.reset(token)


@contextmanager
def placed(problem, solver):
    """Yield the problem whose minibatches are computed where the block around says."""
    place = _place.get()
    if place is None:
        yield problem
        return
    with place(problem, solver) as elsewhere:
        yield elsewhere
