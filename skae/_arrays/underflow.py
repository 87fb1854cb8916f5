"""Underflow is no error, whatever users have set in numpy: results that are too small are 0."""

from functools import wraps

import numpy as np

from .._typing import Function


def ignoring_underflow(function: Function) -> Function:
    """Return ``function``, a function in which underflow is no error."""

    @wraps(function)
    def ignoring(*args, **kwargs):
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return ignoring
