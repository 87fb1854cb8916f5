"""Public methods of estimators, in which underflow is no error."""

from inspect import getattr_static
from types import FunctionType

from .._arrays.underflow import ignoring_underflow
from .._compat import AvailableIf

# Beginnings of names that are private, or of methods that compute nothing.
_OTHERS = "_", "get_", "set_", "layer_", "objective"


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
