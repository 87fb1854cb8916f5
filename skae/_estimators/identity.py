"""Descriptions of a training by content: only one with the same class, parameters and data resumes a checkpoint."""

import hashlib
import types
from functools import partial

import joblib
import numpy as np
from sklearn.base import BaseEstimator

from .._version import __version__
from ..nn.scaling import ScaledRows, unscaled
from .devices import averages
from .parameters import kind_of_seed
from .subestimators import is_prefit, unfrozen

# Parameters that may change when training goes on, also those of sub-estimators; random states count by their kind.
_FREE = {"max_iter", "verbose", "checkpoint", "resume", "random_state", "n_jobs"}
# Classes of these packages are identified by name and version; for others, their code counts too.
_KNOWN = {"builtins", "numpy", "scipy", "skae", "sklearn"}
_PLACE = {"__doc__", "__module__", "__firstlineno__"}  # location of a class, which may change
_WRAPPED = "__func__", "fget", "func"  # of static and class methods, properties, cached properties
_PLAIN = str, bytes, bool, int, float, complex, type(None), type(...)


def identity(estimator, problem, fixed=()):
    """Return a dict of values, all of which are equal only if one training may continue the other.

    Parameters
    ----------
    estimator : estimator
    problem : Problem
        Its data, and the ``identity`` of its objective.
    fixed : sequence of str
        Parameters in ``_FREE`` that must not change in this training.
    """
    known = {"version of skae": __version__, "class": _name(type(estimator)), **_given(estimator)}
    objective = {name: content(value) for name, value in problem.objective.identity.items()}
    return {
        **known,
        **described(estimator, fixed),
        **averages(),
        **objective,
        **_described_data(problem),
    }


def _described_data(problem):
    """Return hashes of the data of ``problem``, after all that determines how they are scaled."""
    data = {
        "y": [problem.targets],
        "sample_weight": [problem.sample_weight],
        "X": [unscaled(problem.X), problem.rows],
        "scale of X": [problem.X.scaling if isinstance(problem.X, ScaledRows) else None],
    }
    return {name: joblib.hash(list(map(_in_c_order, parts))) for name, parts in data.items()}


def described(estimator, fixed=()):
    """Return the class of an estimator, the :func:`content` of its parameters but those in ``_FREE``, and its seeds."""
    params = {
        name: content(value)
        for name, value in estimator.get_params().items()
        if name.rpartition("__")[2] not in _FREE.difference(fixed)
    }
    return {"class": _name(type(estimator)), **params, **seeds(estimator)}


def seeds(estimator):
    """Return the :func:`kind_of_seed` of each seed among the parameters, by its name."""
    return {
        name: kind_of_seed(value)
        for name, value in estimator.get_params().items()
        if name.rpartition("__")[2] == "random_state"
    }


def _in_c_order(value):
    """Return an array in C order, as a hash depends on the order; everything else as it is."""
    return np.asarray(value, order="C") if type(value) is np.ndarray else value


def _given(estimator):
    """Return what is not a parameter: the weights of a fitted ``base``."""
    if not is_prefit(estimator):
        return {}
    return {"weights of base": joblib.hash(unfrozen(estimator.base).model_.flat)}


def content(value):
    """Return a string that is equal for values of equal content, also in another process."""
    return _content(value, ())


def _content(value, above):
    """Return the content of a part of the values ``above``, one of which may be the part itself."""
    if isinstance(value, np.generic):
        value = value.item()  # np.float64(0.1), as of np.logspace, is 0.1
    if isinstance(value, (*_PLAIN, np.generic)):
        return repr(value)
    if any(value is each for each in above):
        return f"above {[value is each for each in above].index(True)}"
    above = (*above, value)
    if type(value) is np.ndarray:
        return joblib.hash(_in_c_order(value))
    if hasattr(value, "columns") and hasattr(value, "to_numpy"):
        # The memory of a frame depends on how it was made.
        names = list(value.columns)
        columns = [np.asarray(value[name]) for name in dict.fromkeys(names)]
        return f"{_name(type(value))}({_content([names, columns], above)})"
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = [_content(each, above) for each in value]
        return f"[{', '.join(sorted(parts) if isinstance(value, (set, frozenset)) else parts)}]"
    if isinstance(value, dict):
        parts = [f"{_content(key, above)}: {_content(item, above)}" for key, item in value.items()]
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, (types.FunctionType, types.MethodType, partial)):
        return _content_of_function(value, above)
    if isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType)):
        return _name(value)
    if isinstance(value, BaseEstimator):
        return _name(type(value))  # its parameters are compared by their own names
    return _content_of_object(value, above)


def _content_of_function(value, above):
    if isinstance(value, partial):
        parts = [value.func, value.args, value.keywords]
        return f"partial({_content(parts, above)})"
    if isinstance(value, types.MethodType):
        return f"{_content(value.__self__, above)}.{value.__name__}"
    closure = [cell.cell_contents for cell in value.__closure__ or ()]
    names = sorted(_names(value.__code__) & value.__globals__.keys())
    outside = {name: _seen(value.__globals__[name], value.__module__) for name in names}
    code = hashlib.sha1(_code(value.__code__)).hexdigest()
    sees = [value.__defaults__, value.__kwdefaults__, closure, outside]
    return f"{_name(value)} {code} {_content(sees, above)}"


def _content_of_object(value, above):
    """Return the content of an instance: attributes, or the pickle if its class defines one, and code of the class."""
    name = f"{_name(type(value))}{_code_of_class(type(value))}"
    if hasattr(value, "py_func"):  # compiled by numba
        return f"{name}({_content(value.py_func, above)})"
    made_by_class = type(value).__reduce__ is not object.__reduce__
    own_state = getattr(type(value), "__getstate__", None) is not getattr(
        object, "__getstate__", None
    )
    kept = dict(getattr(value, "__dict__", {}))
    for Class in type(value).__mro__:
        slots = Class.__dict__.get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else slots
        kept |= {each: getattr(value, each) for each in names if hasattr(value, each)}
    is_plain = kept or hasattr(value, "__dict__")
    if is_plain and not made_by_class and not own_state:
        return f"{name}({_content(kept, above)})"
    try:
        return f"{name}({joblib.hash(value)})"
    except Exception:  # value cannot be pickled
        return f"{name}({_content(kept, above) if kept else repr(value)})"


def _code_of_class(Class):
    """Return a string for what classes outside of ``_KNOWN`` define: methods, numbers, strings and arrays."""
    parts = []
    for each in Class.__mro__:
        if each.__module__.partition(".")[0] not in _KNOWN:
            own = {name: _member(vars(each)[name]) for name in vars(each).keys() - _PLACE}
            parts += [f"{name}={own[name]}" for name in sorted(own) if own[name]]
    return f" {hashlib.sha1('|'.join(parts).encode()).hexdigest()}" if parts else ""


def _member(value):
    """Return the content of a class member that is a function, number, string or array; else an empty string."""
    for name in _WRAPPED:
        value = getattr(value, name, value)
    if isinstance(value, types.FunctionType):
        return hashlib.sha1(_code(value.__code__)).hexdigest()
    return content(value) if isinstance(value, (*_PLAIN, np.generic, np.ndarray)) else ""


def _seen(value, module):
    """Return ``value`` as a function of ``module`` sees it; for functions of other modules, the name is enough."""
    foreign = isinstance(value, types.FunctionType) and value.__module__ != module
    return _name(value) if foreign else value


def _names(code):
    """Return the names that a function and the functions in it look up."""
    inner = [_names(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return {*code.co_names}.union(*inner)


def _code(code):
    """Return the instructions and constants of a function, without its position in a file."""
    constants = [
        _code(each) if isinstance(each, types.CodeType) else content(each).encode()
        for each in code.co_consts
    ]
    return b"|".join([code.co_code, repr(code.co_names).encode(), *constants])


def _name(value):
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value.__name__)}"
