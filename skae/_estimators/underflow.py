"""Underflow is no error in public methods, whatever users have set in numpy: results that are too small are 0."""

from functools import wraps
from inspect import getattr_static
from types import FunctionType

import numpy as np

from .._compat import AvailableIf
from .._typing import Function

# Beginnings of names that are private, or of methods that compute nothing.
_OTHERS = "_", "get_", "set_", "layer_", "objective"


def ignoring_underflow(function: Function) -> Function:
    """Return ``function``, a function in which underflow is no error."""

    @wraps(function)
    def ignoring(*args, **kwargs):
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return ignoring


def underflow_ignored(cls):
    """Return ``cls``, in whose public methods and properties, inherited ones too, underflow is no error."""
    for name in dir(cls):
        if name.startswith(_OTHERS):
            continue
        member = getattr_static(cls, name)
        wrapped = _wrapped(member)
        if wrapped is not member:
            setattr(cls, name, wrapped)
    return cls


def _wrapped(member):
    """Return a method or property with :func:`ignoring_underflow`, and everything else as it is."""
    if isinstance(member, FunctionType):
        return ignoring_underflow(member)
    if isinstance(member, classmethod):
        return classmethod(ignoring_underflow(member.__func__))
    if isinstance(member, property):
        return property(ignoring_underflow(member.fget), doc=member.__doc__)
    if isinstance(member, AvailableIf):
        return AvailableIf(ignoring_underflow(member.fn), member.check, member.attribute_name)
    return member
