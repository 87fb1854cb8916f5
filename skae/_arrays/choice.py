"""Kernels for any array: compiled by numba for numpy, and made of array functions for all other libraries."""

from functools import wraps

import numpy as np

from . import fusion


def portable(compiled, at=0, places=()):
    """Make the decorated function replace the kernel ``compiled`` if the argument ``at`` is no array of numpy.

    It gets the arguments ``places``, integer arrays of numpy, as nested tuples; other arrays of numpy and named tuples
    of them, which it does not need, as None; and scalars of numpy as Python scalars.
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
                elif isinstance(value, tuple):
                    args[place] = None
            return fusion.run(function, args)

        return kernel

    return decorate


def _tuples(values):
    """Return nested lists as nested tuples."""
    return tuple(map(_tuples, values)) if isinstance(values, list) else values
