"""Parameters with a value that is computed from the data: ``'auto'``, or a multiple of it such as ``'0.5*auto'``."""

from numbers import Real

import numpy as np

from .._compat import Interval, StrOptions

# Constraints of estimators that choose the step size by the data: see ``TrainedModel._auto_step_size``.
AUTO_STEP_SIZE = {
    "learning_rate_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})]
}


def factor(value, name):
    """Return the factor of the automatic value, or None where ``value`` is a number.

    Raises
    ------
    ValueError
        If ``value`` is not a number >= 0, ``'auto'`` or ``'<factor>*auto'`` with a factor >= 0.
    """
    if isinstance(value, str):
        number, star, word = value.rpartition("*")
        if word.strip() == "auto":
            try:
                times = float(number) if star else 1.0
            except ValueError:
                times = np.nan
            if 0 <= times < np.inf:
                return times
    elif isinstance(value, Real) and not isinstance(value, bool) and 0 <= value < np.inf:
        return None
    raise ValueError(
        f"{name} must be a number >= 0, 'auto', or a multiple of it such as '0.5*auto'; got {value!r}."
    )


def resolved(value, name, automatic):
    """Return ``value`` as a number, where ``'auto'`` stands for ``automatic``."""
    times = factor(value, name)
    return float(value) if times is None else times * automatic
