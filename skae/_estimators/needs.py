"""Parameters at the beginning of a fit: errors of invalid ones, and warnings of those that have no effect.

Each :class:`Need` in the attribute ``_needs`` of classes says of parameters that they count only beside certain values
of others.

There is no warning where the user has turned off what a parameter needs: by 0, None or False where that is not the
default. A search over ``tangent_penalty=0`` and other values thus does not warn.
"""

import inspect
from collections.abc import Callable
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator

from .._warnings import warn
from ..nn.corruption import CORRUPTIONS
from ..training.solvers import is_full_batch


class Need(NamedTuple):
    """Parameters that count only beside certain values of others.

    Parameters
    ----------
    names : str
        Names of these parameters, with spaces between them.
    others : str
        Names of the parameters whose values decide.
    needed : str
        What they need, in words.
    is_there : callable
        ``is_there(estimator)`` returns whether the estimator has what they need.
    """

    names: str
    others: str
    needed: str
    is_there: Callable

    @classmethod
    def of_value(cls, names, other, *values):
        """Return the need of a parameter that has one of ``values``."""
        needed = f"{other}={' or '.join(map(repr, values))}"
        return cls(names, other, needed, lambda self: getattr(self, other) in values)

    @classmethod
    def of_positive(cls, names, other):
        """Return the need of a parameter above 0."""
        return cls(names, other, f"{other} > 0", lambda self: getattr(self, other) > 0)


def changed_parameters(estimator):
    """Return the parameters of ``estimator`` that are not the default, by name."""
    signature = inspect.signature(type(estimator)).parameters
    params = estimator.get_params(deep=False).items()
    return {name: value for name, value in params if np.any(value != signature[name].default)}


def warn_of_unused(estimator):
    """Warn of parameters that are not the default but have no effect, by the ``_needs`` of the classes of ``estimator``.

    If several apply to a parameter, the warning names the first; if the user has turned that off, there is none.
    """
    changed = changed_parameters(estimator)
    untold = changed.copy()
    for cls in type(estimator).__mro__:
        for names, others, needed, is_there in vars(cls).get("_needs", ()):
            if untold.keys().isdisjoint(names.split()) or is_there(estimator):
                continue
            unused = [f"{name}={untold.pop(name)!r}" for name in names.split() if name in untold]
            if any(_is_off(changed[other]) for other in others.split() if other in changed):
                continue
            verb = "has no effect: it needs" if len(unused) == 1 else "have no effect: they need"
            warn(f"{', '.join(unused)} of {type(estimator).__name__} {verb} {needed}.")


def _is_off(value):
    return value is None or (isinstance(value, (Real, np.bool_)) and value == 0)


def warn_of_argument(given, needed):
    """Warn that ``given``, an argument of a function as text, has no effect without ``needed``."""
    warn(f"{given} has no effect: it needs {needed}.")


def check_params(estimator):
    """Raise if a parameter is invalid, or if there is no checkpoint to resume from."""
    BaseEstimator._validate_params(estimator)
    if "resume" in vars(estimator) and estimator.resume and estimator.checkpoint is None:
        raise ValueError(
            f"resume=True of {type(estimator).__name__} continues from the file of its checkpoint, which is None: set "
            "checkpoint to the path of that file, or resume=False."
        )


def validate_params(self):
    """Raise if parameters are invalid, and warn of those that have no effect: a ``_validate_params``."""
    check_params(self)
    warn_of_unused(self)


def _stops_early(estimator):
    return estimator.early_stopping


def _takes_steps(estimator):
    return not is_full_batch(estimator.solver)


LEVEL_NEED = Need(
    "corruption_level",
    "corruption",
    f"a corruption from {', '.join(map(repr, CORRUPTIONS))}",
    lambda self: isinstance(self.corruption, str) and self.corruption in CORRUPTIONS,
)

SWAP_NEED = Need(
    "corruption",
    "corruption batch_size",
    "batch_size above 1, to take values of other rows",
    lambda self: self.corruption != "swap" or self.batch_size > 1 or not _takes_steps(self),
)

# What parameters of all estimators that train need.
TRAINING_NEEDS = (
    Need.of_value("validation_fraction", "early_stopping", True),
    Need(
        "n_iter_no_change",
        "early_stopping solver",
        "early_stopping=True, with solver='lbfgs'",
        lambda self: _stops_early(self) or _takes_steps(self),
    ),
    Need(
        "tol n_iter_no_change",
        "early_stopping learning_rate solver",
        "early_stopping=True or learning_rate='constant'",
        lambda self: (
            _stops_early(self) or self.learning_rate == "constant" or not _takes_steps(self)
        ),
    ),
    Need(
        "learning_rate_init learning_rate batch_size shuffle",
        "solver",
        "a solver of minibatches, such as 'adam'",
        _takes_steps,
    ),
)
