"""The version of skae in files of pickle, joblib and skops, and a warning if another version reads them."""

from sklearn.base import BaseEstimator

from .._version import __version__
from .._warnings import warn
from .devices import ANY

_KEY = "_skae_version"
_RENAMED = {"trained_with_": "_trained_with", "pixels_": "_pixels"}  # attributes of early files


def getstate(estimator):
    """Return the attributes of an estimator with the version that writes them: a class's ``__getstate__``."""
    state = {**BaseEstimator.__getstate__(estimator), _KEY: __version__}
    if "_backend" in state:
        state["_backend"] = ANY  # files hold numpy arrays, wherever the estimator was fitted
    return state


def setstate(estimator, state):
    """Set attributes, and warn if another version wrote them: a class's ``__setstate__``."""
    version = state.get(_KEY, "an unknown version")
    if version != __version__:
        warn(
            f"This {type(estimator).__name__} was saved by skae {version} and is read by {__version__}: its methods may fail "
            f"or give other results. Fit it anew, or read it with skae {version}."
        )
    kept = {_RENAMED.get(name, name): value for name, value in state.items() if name != _KEY}
    BaseEstimator.__setstate__(estimator, kept)


def versioned(cls):
    """Make instances of ``cls`` store the version of skae in files."""
    cls.__getstate__, cls.__setstate__ = getstate, setstate
    return cls
