"""Parameters at the beginning of a fit: errors of invalid ones, and warnings of those that have no effect.

Rows of the attribute ``_needs`` of classes say which parameters count only beside certain values of others: their
names, what they need, in words, and a function of the estimator that says whether it is there.

A parameter is not told where the user has turned off what it needs: by 0, None or False where that is not the default.
A search over ``tangent_penalty=0`` and other values is thus quiet, and whoever forgets ``gradient='pcd'`` is told.
"""

import inspect
import re
from numbers import Real

import numpy as np
from sklearn.base import BaseEstimator

from .._warnings import warn
from ..nn.corruption import CORRUPTIONS
from ..training.solvers import is_full_batch


def changed_parameters(estimator):
    """Return the parameters of ``estimator`` that are not the default, by name."""
    signature = inspect.signature(type(estimator)).parameters
    params = estimator.get_params(deep=False).items()
    return {name: value for name, value in params if np.any(value != signature[name].default)}


def warn_of_unused(estimator):
    """Warn of parameters that are not the default but have no effect, by the ``_needs`` of the classes of ``estimator``.

    If several rows apply to a parameter, the first one is told; none is if it needs what the user has turned off.
    """
    changed = changed_parameters(estimator)
    given = dict(changed)
    rows = [row for each in type(estimator).__mro__ for row in vars(each).get("_needs", ())]
    for names, needed, is_there in rows:
        concerned = [name for name in names.split() if name in changed]
        if not concerned or is_there(estimator):
            continue
        values = ", ".join(f"{name}={changed.pop(name)!r}" for name in concerned)
        if any(_is_off(given.get(word, True)) for word in re.findall(r"\w+", needed)):
            continue
        verb = "has no effect: it needs" if len(concerned) == 1 else "have no effect: they need"
        message = f"{values} of {type(estimator).__name__} {verb} {needed}."
        warn(message)


def _is_off(value):
    """Return whether a parameter that has this ``value`` turns off what it is named after."""
    return value is None or (isinstance(value, (Real, np.bool_)) and value == 0)


def warn_of_argument(given, needed):
    """Warn that ``given``, an argument of a function as text, has no effect without ``needed``."""
    warn(f"{given} has no effect: it needs {needed}.")


def warn_of_n_samples(n_samples, start, name):
    """Warn if ``start``, an array called ``name`` or None, has another number of chains than ``n_samples``."""
    if start is not None and n_samples not in (1, len(start)):
        warn(
            f"n_samples={n_samples} has no effect: there is one chain for each of the {len(start)} rows of {name}."
        )


def check_params(self):
    """Raise if a parameter is invalid, or if there is no checkpoint to resume from."""
    BaseEstimator._validate_params(self)
    if "resume" in vars(self) and self.resume and self.checkpoint is None:
        raise ValueError(
            f"resume=True of {type(self).__name__} continues from the file of its checkpoint, which is None: set "
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


def _has_level(estimator):
    return isinstance(estimator.corruption, str) and estimator.corruption in CORRUPTIONS


STOPS_EARLY = "early_stopping=True", _stops_early
HAS_LEVEL = f"a corruption from {', '.join(map(repr, CORRUPTIONS))}", _has_level

# Rows that have all estimators that train.
OF_TRAINING = (
    ("validation_fraction", *STOPS_EARLY),
    (
        "n_iter_no_change",
        "early_stopping=True, with solver='lbfgs'",
        lambda self: _stops_early(self) or _takes_steps(self),
    ),
    (
        "tol n_iter_no_change",
        "early_stopping=True or learning_rate='constant'",
        lambda self: (
            _stops_early(self) or self.learning_rate == "constant" or not _takes_steps(self)
        ),
    ),
    (
        "learning_rate_init learning_rate batch_size shuffle",
        "a solver of minibatches, such as 'adam'",
        _takes_steps,
    ),
)
