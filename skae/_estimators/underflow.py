"""Underflow is no error in public methods, whatever users have set in numpy: results that are too small are 0."""

from functools import wraps
from inspect import getattr_static
from types import FunctionType

import numpy as np

from .._compat import AvailableIf


def ignoring_underflow(function):
    """Return ``function``, a function in which underflow is no error."""

    @wraps(function)
    def quiet(*args, **kwargs):
        with np.errstate(under="ignore"):
            return function(*args, **kwargs)

    return quiet


def quiet_methods(cls):
    """Return ``cls``, in whose public methods and properties, inherited ones too, underflow is no error."""
    for name in dir(cls):
        if name.startswith(("_", "get_", "set_")):  # methods that get and set compute nothing
            continue
        member = getattr_static(cls, name)
        quiet = _quiet_member(member)
        if quiet is not member:
            setattr(cls, name, quiet)
    return cls


def _quiet_member(member):
    if isinstance(member, FunctionType):
        return ignoring_underflow(member)
    if isinstance(member, classmethod):
        return classmethod(ignoring_underflow(member.__func__))
    if isinstance(member, property):
        return property(ignoring_underflow(member.fget), doc=member.__doc__)
    if isinstance(member, AvailableIf):
        return AvailableIf(ignoring_underflow(member.fn), member.check, member.attribute_name)
    return member
