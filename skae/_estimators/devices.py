"""Where an estimator computes: beside an array of another library, on a device of a parameter, or where a block says."""

import importlib
import threading
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.utils import get_tags

from .._arrays.namespace import device, is_array, is_numpy, like, namespace, to_numpy, torch_or_none
from .._arrays.products import precision
from .._compat import StrOptions
from .._threads import alone, has_workers

_place_of_minibatches = ContextVar("place of minibatches", default=None)
_averages = ContextVar("averages of parameters", default=(None, None))

CONSTRAINTS = {"device": [str, None], "precision": [StrOptions({"float32", "bfloat16"})]}


class _Local(threading.local):
    # Of the fit of an estimator of several parts: an empty array where its parts compute, and the ``Place`` of its X.
    beside = place = None


_local = _Local()


class Place(NamedTuple):
    """A library of arrays and one of its devices, by their names: what pickles keep of an array."""

    library: str
    device: str


def place_of(x):
    """Return the ``Place`` of an array of another library, or None for numpy and everything else."""
    if x is None or is_numpy(x) or not is_array(x):
        return None
    return Place(namespace(x).__name__, str(device(x)))


def dispatched(X):
    """Return the ``Place`` of X if it is an array of another library and scikit-learn's dispatch is on, else None."""
    return place_of(X) if get_config()["array_api_dispatch"] else None


def in_numpy(X):
    """Return an array of any library as one of numpy, on the CPU; everything else as it is."""
    return to_numpy(X) if is_array(X) else X


def check_dispatch(estimator, X):
    """Return what :func:`dispatched` does.

    Raise where the estimator, or scikit-learn as configured, does not take X.
    """
    place, name = place_of(X), type(estimator).__name__
    if place is None:
        return None
    if not get_config()["array_api_dispatch"]:
        if place.device == "cpu":
            return None  # read by numpy as any array-like
        raise TypeError(
            f"X is on the device {place.device}: turn scikit-learn's dispatch on, "
            "sklearn.set_config(array_api_dispatch=True), or give an array of numpy."
        )
    if not get_tags(estimator).array_api_support:
        raise TypeError(
            f"{name} takes arrays of numpy only: convert X, which is of {place.library.rpartition('.')[2]}."
        )
    return place


def check_place(before, X, method):
    """Raise where X is not at the ``Place`` of the X of ``fit``, with scikit-learn's dispatch on."""
    if not get_config()["array_api_dispatch"]:
        return
    now = place_of(X)
    if before != now:
        raise ValueError(
            f"Inputs passed to {method}() must use the same namespace and the same device as those "
            f"passed to fit(): fit had {before or 'numpy'}, this is {now or 'numpy'}. Convert X; or pickle and "
            "unpickle the estimator, whose weights are arrays of numpy then."
        )


def check_beside(X, **others):
    """Raise where, with scikit-learn's dispatch on, one of the ``others`` is not of the library and on the device of X."""
    for name, array in others.items():
        if get_config()["array_api_dispatch"] and place_of(array) != place_of(X):
            raise TypeError(
                f"{name} must be an array of the library and on the device of X, {place_of(X) or 'numpy'}; got "
                f"{place_of(array) or 'numpy'}. Convert it."
            )


def reference(estimator, X):
    """Return an empty array of the library and on the device on which to compute for X; None for numpy on the CPU.

    Raises
    ------
    ValueError
        If the parameters need a library or device that is not available, or contradict X.
    """
    if _local.beside is not None:
        return _local.beside
    name, place = getattr(estimator, "device", None), dispatched(X)
    if place is not None:
        if name is not None:
            raise ValueError(
                f"device={name!r} is for arrays of numpy: X is on the device {place.device} already. Set device=None."
            )
        return namespace(X).empty((0,), dtype=X.dtype, device=device(X))
    _check_precision(estimator)
    if name in (None, "cpu"):
        return None
    torch = torch_or_none()
    if torch is None or not name.startswith("cuda"):
        raise ValueError(
            f"device={name!r} is not available: it must be 'cpu' or None, or 'cuda' or 'cuda:1' with PyTorch and a GPU. See "
            "skae.show_engines()."
        )
    if not torch.cuda.is_available():
        raise ValueError(f"device={name!r} needs a GPU that PyTorch sees. See skae.show_engines().")
    return torch.empty(0, device=name)


def _check_precision(estimator):
    if getattr(estimator, "precision", "float32") == "float32":
        return
    if torch_or_none() is None:
        raise ValueError(
            "precision='bfloat16' needs PyTorch: pip install 'skae[torch]', or set precision='float32'."
        )


def note_place(estimator, place):
    """Keep the ``Place`` of the X of ``fit`` in an attribute, or no attribute for numpy."""
    vars(estimator).pop("_place", None)
    if place is not None:
        vars(estimator)["_place"] = place


def place_of_fit(estimator):
    """Return the ``Place`` of the X of ``fit``, None for numpy."""
    return vars(estimator).get("_place")


@contextmanager
def fitting_parts(estimator, X):
    """Fit an estimator and its parts in the block where ``estimator`` and X say.

    The rest of the fit is on arrays of numpy.
    """
    check_dispatch(estimator, X)
    before = _local.beside, _local.place
    _local.beside = reference(estimator, X)
    _local.place = dispatched(X) or _local.place
    note_place(estimator, _local.place)
    try:
        with precision(getattr(estimator, "precision", "float32")):
            yield
    finally:
        _local.beside, _local.place = before


def current():
    """Return an empty array where the parts of the estimator that is fitted compute; None for numpy on the CPU."""
    return _local.beside


@contextmanager
def computing(estimator, beside, dtype):
    """Compute in the block with the estimator's precision, and beside ``beside`` if it is not None."""
    reduced = getattr(estimator, "precision", "float32")
    if reduced != "float32" and str(dtype).rpartition(".")[2] != "float32":
        raise ValueError(
            f"precision={reduced!r} needs X in float32; got {dtype}. Convert X, X.astype('float32'), or set "
            "precision='float32'."
        )
    shared = beside is None and has_workers()
    with precision(reduced, shared), nullcontext() if beside is None else alone():
        try:
            yield
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            raise MemoryError(
                f"The device has too little memory ({error}). Lower batch_size, give fewer rows, or compute on the CPU."
            ) from error


@contextmanager
def training_there(estimator, problem, state, solver):
    """Yield the problem as it is where its training computes: on a device, or where :func:`computing_at` says.

    The state is on the device in the block.
    """
    beside = _local.beside if problem.beside is None else problem.beside
    place = _place_of_minibatches.get()
    with (
        computing(estimator, beside, state.params.dtype),
        nullcontext(problem) if beside is None else _moved(problem, state, beside) as there,
        nullcontext(there) if place is None else place(there, solver) as there,
    ):
        yield there


@contextmanager
def _moved(problem, state, beside):
    """Bring the data and the state of a training to the device of ``beside``; the state comes back after the block."""
    try:
        state.move(lambda array: like(array, beside))
        yield problem.moved(beside)
    finally:
        state.move(to_numpy)


def as_given(result, X):
    """Return a result, an array of numpy, in the library and on the device of X, where there are such numbers."""
    numbers = isinstance(result, np.ndarray) and result.dtype.kind in "bif"
    return like(result, X) if numbers and dispatched(X) else result


def shown(place, array):
    """Return a fitted attribute at the ``Place`` of the X of ``fit``, while scikit-learn's dispatch is on."""
    if place is None or not get_config()["array_api_dispatch"]:
        return array
    return like(array, _beside(place))


def _beside(place):
    """Return an empty array at a ``Place``."""
    xp = importlib.import_module(place.library)
    devices = {str(each): each for each in xp.__array_namespace_info__().devices() if each}
    return xp.empty((0,), device=devices.get(place.device, place.device))


@contextmanager
def computing_at(place, averages=(None, None)):
    """Let trainings in the block compute minibatches where ``place`` says.

    That is a function from a ``Problem`` and its solver to a context manager of the same problem elsewhere.
    ``averages`` are steps and parts that parameters are averaged over there, ``sync_every`` and ``n_parts``: it is
    another training then.
    """
    tokens = _place_of_minibatches.set(place), _averages.set(averages)
    try:
        yield
    finally:
        _place_of_minibatches.reset(tokens[0])
        _averages.reset(tokens[1])


def averages():
    """Return what :func:`computing_at` says about averages of parameters, a dict."""
    return dict(zip(("sync_every", "n_parts"), _averages.get()))
