"""Parameters of estimators: declared as fields of a dataclass, checked by ``fit``, and values that depend on the data."""

import inspect
import re
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator

from .._compat import (
    HasMethods,
    Interval,
    StrOptions,
    _get_output_config,
    validate_parameter_constraints,
)
from .._typing import Estimator, dataclass_transform
from .._warnings import warn
from .doc_links import linked
from .underflow import underflow_ignored
from .versions import versioned

Class = TypeVar("Class")

# For estimators that choose the step size by the data: see ``TrainedModel._auto_step_size``.
AUTO_STEP_SIZE_CONSTRAINTS = {
    "learning_rate_init": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})]
}


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
def estimator(declared: type[Class]) -> type[Class]:
    """Make ``declared`` a dataclass whose fields and signature have the order of the parameters in its docstring.

    Fields are keyword-only unless they say otherwise. A base class without such a docstring keeps the order of its
    fields.

    Parameters
    ----------
    declared : type
        Class with annotated fields.

    Returns
    -------
    declared : type
        The same class, whose fields are parameters.
    """
    declared = dataclass(kw_only=True, eq=False, repr=False)(declared)
    declared = linked(versioned(underflow_ignored(declared)))
    if getattr(declared, "set_params", None) is BaseEstimator.set_params:
        declared.set_params = set_params
    names, fields = documented(declared), declared.__dataclass_fields__
    signature = inspect.signature(declared.__init__)
    if set(names) != fields.keys() & signature.parameters.keys():
        return declared
    declared.__dataclass_fields__ = {
        name: fields[name] for name in (*names, *set(fields).difference(names))
    }
    own, *_ = signature.parameters.values()
    parameters = [signature.parameters[name] for name in names]
    declared.__init__.__signature__ = signature.replace(parameters=[own, *parameters])
    return declared


def set_params(self: Estimator, **params: Any) -> Estimator:
    """Set parameters of this estimator, or by ``name__parameter`` those of the estimator that its parameter ``name`` is.

    Parameters
    ----------
    **params : dict
        Parameters by name.

    Returns
    -------
    self : object
        The estimator.

    Raises
    ------
    ValueError
        If there is no such parameter, or ``name`` is no estimator.
    """
    check_parts(self, params)
    return BaseEstimator.set_params(self, **params)


def check_parts(whole, params):
    """Raise if one of ``params`` of ``whole``, in ``name__parameter``, is meant for an estimator where there is none."""
    values = whole.get_params(deep=False) | params
    for key in params:
        name, is_nested, _ = key.partition("__")
        if is_nested and name in values and not hasattr(values[name], "set_params"):
            cure = f"set {name} itself to another value."
            if takes_estimator(whole, name):
                cure = f"set {name} to one, before or in the same call."
            raise ValueError(
                f"{key} cannot be set, since {name}={values[name]!r} of {type(whole).__name__} is no estimator: {cure}"
            )


def takes_estimator(whole, name):
    """Return whether the parameter ``name`` of ``whole`` may be an estimator, by its constraints."""
    constraints = getattr(whole, "_parameter_constraints", {}).get(name, [])
    return any(isinstance(each, HasMethods) and "fit" in each.methods for each in constraints)


def documented(cls):
    """Return the names in the section "Parameters" of the docstring of ``cls``, in its order."""
    text = inspect.cleandoc(cls.__doc__ or "")
    _, _, section = text.partition("Parameters\n----------\n")
    section = re.split(r"\n\n\w[\w ]*\n-+\n", section)[0]
    return re.findall(r"^(\w+) :", section, flags=re.M)


def changed_parameters(estimator):
    """Return the parameters of ``estimator`` that are not the default, by name."""
    signature = inspect.signature(type(estimator)).parameters
    params = estimator.get_params(deep=False).items()
    return {name: value for name, value in params if np.any(value != signature[name].default)}


def warn_of_unused(estimator):
    """Warn of parameters that are not the default but have no effect, by the ``_needs`` of the classes of ``estimator``.

    If several apply to a parameter, the warning names the first. There is none if the user has turned off what the
    parameter needs: by 0, None or False where that is not the default. So a search over ``tangent_penalty=0`` and other
    values has none.
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


def check_set(estimator, *names):
    """Raise if parameters that are used after ``fit`` have values that ``fit`` would refuse."""
    constraints = {name: estimator._parameter_constraints[name] for name in names}
    params = {name: getattr(estimator, name) for name in names}
    validate_parameter_constraints(constraints, params, type(estimator).__name__)


def check_part(name, part):
    """Raise if a parameter of ``part``, the layer ``name`` of an estimator, has a value that its ``fit`` would refuse."""
    constraints = getattr(part, "_parameter_constraints", {})  # classes of users have none
    params = part.get_params(deep=False)
    try:
        check_set(part, *(each for each in constraints if each in params))
    except ValueError as error:
        error.args = (f"In the layer {name!r}: {error}",)
        raise


def check_sparse_output(estimator):
    """Raise if ``transform`` of ``estimator`` is set to return data frames, which hold no sparse codes."""
    library = _get_output_config("transform", estimator)["dense"]
    if library != "default":
        raise ValueError(
            f"Codes of {type(estimator).__name__} are sparse, which data frames of {library} are not: set sparse_output=False, or "
            "set_output(transform='default')."
        )


def resolved(value, name, automatic):
    """Return the parameter ``value`` as a number, where ``'auto'`` stands for ``automatic``.

    Raises
    ------
    ValueError
        If ``value`` is not a number >= 0, ``'auto'`` or ``'<factor>*auto'`` with a factor >= 0.
    """
    if isinstance(value, str):
        number, star, word = value.rpartition("*")
        if word.strip() == "auto":
            try:
                factor = float(number) if star else 1.0
            except ValueError:
                factor = np.nan
            if 0 <= factor < np.inf:
                return float(factor * automatic)
    elif isinstance(value, Real) and not isinstance(value, bool) and 0 <= value < np.inf:
        return float(value)
    raise ValueError(
        f"{name} must be a number >= 0, 'auto', or a multiple of it such as '0.5*auto'; got {value!r}."
    )


class DrawnSeed(int):
    """The seed of a part of another estimator that has none: a new one in each fit, which no checkpoint compares."""


def kind_of_seed(random_state):
    """Return a string that identifies an integer seed by its value, and any other random state by its class."""
    fixed = isinstance(random_state, Integral) and not isinstance(random_state, DrawnSeed)
    return str(random_state) if fixed else type(random_state).__name__


@property
def resolved_alpha(self):
    """The ``alpha`` of a coder as a number, before ``fit``, too; ``'auto'`` is its ``_spread``."""
    return resolved(self.alpha, "alpha", self._spread)


@property
def alpha_(self) -> float:
    """The weight of the penalty: ``alpha``, or what ``'auto'`` stands for."""
    self._history("alpha_")
    return self._alpha
