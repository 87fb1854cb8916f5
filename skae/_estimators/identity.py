"""Descriptions of a training, by content: a checkpoint is only resumed by one with the same class, parameters and data."""

import hashlib
import types
from dataclasses import is_dataclass
from functools import partial

import joblib
import numpy as np
from sklearn.base import BaseEstimator

from .._version import __version__
from .frozen import is_prefit, unfrozen


def identity(estimator, data, free):
    """Return a dict of strings that differs between any two trainings.

    Parameters
    ----------
    estimator : estimator
    data : list
        X, weights and targets.
    free : set of str
        Parameters that may change when training goes on, also those of sub-estimators.
    """
    params = {
        name: content(value)
        for name, value in estimator.get_params().items()
        if name.rpartition("__")[2] not in free
    }
    known = {"skae": __version__, "class": _name(type(estimator)), "X": joblib.hash(data)}
    return {**known, **_given(estimator), **params}


def _given(estimator):
    """Return what is no parameter: the ``scales`` that a DBM sets in its layers, and the weights of a fitted ``base``."""
    given, scales = {}, getattr(estimator, "scales", None)
    if scales is not None:
        given["scales"] = repr(scales)
    if is_prefit(estimator):
        given["weights of base"] = joblib.hash(unfrozen(estimator.base).model_.flat)
    return given


def content(value):
    """Return a string that is equal for values of equal content, also in another process."""
    if value is None or isinstance(value, (str, bytes, bool, int, float, complex, np.generic)):
        return repr(value)
    if isinstance(value, np.ndarray):
        return joblib.hash(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = map(content, value)
        return ", ".join(sorted(parts) if isinstance(value, (set, frozenset)) else parts)
    if isinstance(value, dict):
        return ", ".join(f"{content(key)}: {content(item)}" for key, item in value.items())
    if isinstance(value, (types.FunctionType, types.MethodType, partial)):
        return _content_of_function(value)
    if isinstance(value, type):
        return _name(value)
    if isinstance(value, BaseEstimator):
        return _name(type(value))  # its parameters are compared by their own names
    if type(value).__repr__ is not object.__repr__ and not is_dataclass(value):
        return repr(value)
    return f"{_name(type(value))}({content(getattr(value, '__dict__', {}))})"


def _content_of_function(value):
    if isinstance(value, partial):
        return f"partial({content(value.func)}, {content(value.args)}, {content(value.keywords)})"
    if isinstance(value, types.MethodType):
        return f"{content(value.__self__)}.{value.__name__}"
    closure = [cell.cell_contents for cell in value.__closure__ or ()]
    code = hashlib.sha1(_code(value.__code__)).hexdigest()
    return f"{_name(value)} {code} {content([value.__defaults__, value.__kwdefaults__, closure])}"


def _code(code):
    """Return the instructions and constants of a function, without its place in a file."""
    constants = [
        _code(each) if isinstance(each, types.CodeType) else repr(each).encode()
        for each in code.co_consts
    ]
    return b"|".join([code.co_code, repr(code.co_names).encode(), *constants])


def _name(value):
    return f"{value.__module__}.{value.__qualname__}"
