"""Kernels for any array: those that numba has compiled for numpy, and array functions for all others."""

from functools import wraps

import numpy as np

from . import fusion


def portable(compiled, at=0, places=()):
    """Make the decorated function stand in for the kernel ``compiled`` where the argument ``at`` is no array of numpy.

    It gets the arguments ``places``, arrays of numpy with integers, as nested tuples; other arrays of numpy, of which
    it has no need, as None; and numbers of numpy as Python's.
    """

    def decorate(function):
        @wraps(function)
        def kernel(*args):
            if isinstance(args[at], np.ndarray):
                return compiled(*args)
            args = list(args)
            for place, value in enumerate(args):
                if isinstance(value, np.ndarray):
                    args[place] = _tuples(value.tolist()) if place in places else None
                elif isinstance(value, np.generic):
                    args[place] = value.item()
            return fusion.run(function, args)

        return kernel

    return decorate


def _tuples(values):
    """Return lists in lists as tuples in tuples."""
    return tuple(map(_tuples, values)) if isinstance(values, list) else values
