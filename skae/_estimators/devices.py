"""The library and device on which an estimator computes: those of X, of the parameter ``device``, or of a block.

A ``Backend`` names the library and device of X, where results are given back. A prototype is an empty array of the
library and on the device that compute, or None for numpy on the CPU. Each training enters :func:`moved_problem`, which
takes its data there. Within the block of another function it computes elsewhere: in :func:`fitting_parts` on the device
of the estimator that it is a part of, and in :func:`computing_on_workers` in other processes.
"""

import importlib
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.utils import get_tags

from .._arrays.namespace import (
    device,
    is_array,
    is_numpy,
    is_torch,
    like,
    namespace,
    on_cpu,
    to_numpy,
    torch_or_none,
)
from .._arrays.products import precision, reduced_on_cpu
from .._compat import StrOptions
from .._threads import alone
from .._warnings import warn
from .._workers import local

DEVICE_CONSTRAINTS = {"device": [str, None], "precision": [StrOptions({"float32", "bfloat16"})]}


class Backend(NamedTuple):
    """Names of an array library and of one of its devices; pickles keep these instead of arrays."""

    library: str
    device: str


ANY = "any"  # the backend of an estimator that was read from a file


class _OfParts(NamedTuple):
    """What the parts of an estimator take from it while it is fitted: the prototype, and the backend of X."""

    prototype: Any = None
    backend: Backend | None = None


class _Cluster(NamedTuple):
    """The arguments of :func:`computing_on_workers`."""

    on_workers: Any = None
    sync_every: int | None = None
    n_parts: int | None = None


_NO_PARTS, _NO_CLUSTER = _OfParts(), _Cluster()
_of_parts = ContextVar("what parts of the estimator that is being fitted take", default=_NO_PARTS)
_cluster = ContextVar("the cluster on which trainings compute", default=_NO_CLUSTER)

# The library of X and of results.


def backend_of(x):
    """Return the ``Backend`` of an array of another library, or None for numpy and everything else."""
    if x is None or is_numpy(x) or not is_array(x):
        return None
    return Backend(namespace(x).__name__, str(device(x)))


def dispatched(X):
    """Return the ``Backend`` of X if it is an array of another library and scikit-learn's dispatch is on, else None."""
    return backend_of(X) if get_config()["array_api_dispatch"] else None


def check_library(estimator, X):
    """Raise if the estimator, or scikit-learn as configured, does not accept the library and the device of X."""
    if is_numpy(X) or not is_array(X):
        return
    if not get_config()["array_api_dispatch"]:
        if str(device(X)) == "cpu":
            return  # read by numpy as any array-like
        raise TypeError(
            f"X is on the device {device(X)}: turn scikit-learn's dispatch on, "
            "sklearn.set_config(array_api_dispatch=True), or give an array of numpy."
        )
    if not get_tags(estimator).array_api_support:
        library = backend_of(X).library.rpartition(".")[2]
        raise TypeError(
            f"{type(estimator).__name__} takes arrays of numpy only: convert X, which is of {library}."
        )


def check_backend(before, X, method):
    """Raise if scikit-learn's dispatch is on and X has another ``Backend`` than the X of ``fit``."""
    if before == ANY or not get_config()["array_api_dispatch"]:
        return
    now = backend_of(X)
    if before != now:
        raise ValueError(
            f"Inputs passed to {method}() must use the same namespace and the same device as those "
            f"passed to fit(): fit had {before or 'numpy'}, this is {now or 'numpy'}. Convert X; or pickle and "
            "unpickle the estimator, which then takes arrays of any library."
        )


def check_same_backend(X, **others):
    """Raise if scikit-learn's dispatch is on and one of ``others`` is not in the library and on the device of X."""
    for name, array in others.items():
        if get_config()["array_api_dispatch"] and backend_of(array) != backend_of(X):
            raise TypeError(
                f"{name} must be an array of the library and on the device of X, {backend_of(X) or 'numpy'}; got "
                f"{backend_of(array) or 'numpy'}. Convert it."
            )


def backend_of_fit(estimator):
    """Return the ``Backend`` of the X of ``fit``, None for numpy, or ``ANY``."""
    return vars(estimator).get("_backend")


def as_given(result, X):
    """Return a numeric numpy array in the library and on the device of X; return other results as they are."""
    numbers = isinstance(result, np.ndarray) and result.dtype.kind in "bif"
    return like(result, X) if numbers and dispatched(X) else result


def shown(backend, array):
    """Return a fitted attribute in the ``Backend`` of the X of ``fit``, while scikit-learn's dispatch is on."""
    if backend in (None, ANY) or not get_config()["array_api_dispatch"]:
        return array
    return like(array, _empty_array(backend))


def _empty_array(backend):
    """Return an empty array of a ``Backend``."""
    xp = importlib.import_module(backend.library)
    devices = {str(each): each for each in xp.__array_namespace_info__().devices() if each}
    return xp.empty((0,), device=devices.get(backend.device, backend.device))


# Where it computes.


def place_for(estimator, X):
    """Return an empty array in the library and on the device that compute for X, and the ``Backend`` of X.

    Both are None for numpy on the CPU.

    Raises
    ------
    ValueError
        If the parameters need a library or device that is not available, or contradict X.
    """
    of_parts, name, backend = _of_parts.get(), getattr(estimator, "device", None), dispatched(X)
    if of_parts.prototype is not None:
        return of_parts.prototype, backend
    if backend is not None:
        if name is not None:
            raise ValueError(
                f"device={name!r} is for arrays of numpy: X is on the device {backend.device} already. Set device=None."
            )
        return namespace(X).empty((0,), dtype=X.dtype, device=device(X)), backend
    if name in (None, "cpu"):
        return None, None
    torch = torch_or_none()
    if torch is None or not name.startswith("cuda"):
        raise ValueError(
            f"device={name!r} is not available: it must be 'cpu' or None, or 'cuda' or 'cuda:1' with PyTorch and a GPU. See "
            "skae.show_engines()."
        )
    if not torch.cuda.is_available():
        raise ValueError(f"device={name!r} needs a GPU that PyTorch sees. See skae.show_engines().")
    return torch.empty(0, device=name), None


def _check_reduced(prototype):
    """Raise unless arrays like ``prototype``, or those of numpy if it is None, have products in bfloat16."""
    if not (prototype is None or is_torch(prototype)):
        library = namespace(prototype).__name__.rpartition(".")[2]
        raise ValueError(
            f"precision='bfloat16' takes arrays of numpy and PyTorch; X is of {library}. Set precision='float32'."
        )


def _warn_of_full_precision(prototype):
    """Warn if work on such arrays is done by a processor that does not round factors of products to bfloat16."""
    if on_cpu(prototype) and not reduced_on_cpu():
        warn(
            "precision='bfloat16' has no effect on this processor, which has no AVX512-BF16: products are in float32."
        )


@contextmanager
def fitting_parts(estimator, X):
    """Let the parts of an estimator compute, within the block, on the device that ``estimator`` and X choose.

    The rest of the fit uses numpy arrays. The block gets the ``Backend`` of X, or of the whole that this is a part of.
    """
    check_library(estimator, X)
    prototype, backend = place_for(estimator, X)
    of_parts = _OfParts(prototype, backend or _of_parts.get().backend)
    reduced = getattr(estimator, "precision", "float32")
    if reduced != "float32":
        _check_reduced(of_parts.prototype)
    token = _of_parts.set(of_parts)
    try:
        with precision(reduced):
            yield of_parts.backend
    finally:
        _of_parts.reset(token)


def prototype_of_parts():
    """Return an empty array on the device that :func:`fitting_parts` chose; None for numpy on the CPU."""
    return _of_parts.get().prototype


def computing(estimator, prototype, dtype):
    """Return a context that computes with the estimator's precision, on the device of ``prototype`` if it is not None."""
    reduced = getattr(estimator, "precision", "float32")
    if reduced != "float32":
        _check_reduced(prototype)
    if reduced != "float32" and str(dtype).rpartition(".")[2] != "float32":
        raise ValueError(
            f"precision={reduced!r} needs X in float32; got {dtype}. Convert X, X.astype('float32'), or set "
            "precision='float32'."
        )
    if prototype is None:
        return precision(reduced, shared=bool(local.team))
    return _on_device(reduced, prototype)


@contextmanager
def _on_device(reduced, prototype):
    """Compute in the block on the device of ``prototype``, with the precision ``reduced``, in this thread alone."""
    with precision(reduced, prototype=prototype), alone():
        try:
            yield
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            raise MemoryError(
                f"The device has too little memory ({error}). Lower batch_size, give fewer rows, or compute on the CPU."
            ) from error


@contextmanager
def moved_problem(estimator, problem, state, solver):
    """Yield the problem moved to where its training computes: a device, or the workers of :func:`computing_on_workers`.

    The state is on the device within the block.
    """
    prototype, on_workers = problem.prototype, _cluster.get().on_workers
    if prototype is None:
        prototype = _of_parts.get().prototype
    if getattr(estimator, "precision", "float32") != "float32":
        _warn_of_full_precision(prototype)
    # Not with an ExitStack: an interrupt while it begins another context would leave that one open.
    with (
        computing(estimator, prototype, state.params.dtype),
        nullcontext(problem) if prototype is None else _moved(problem, state, prototype) as moved,
        nullcontext(moved) if on_workers is None else on_workers(moved, solver) as moved,
    ):
        yield moved


@contextmanager
def _moved(problem, state, prototype):
    """Move the data and the state of a training to the device of ``prototype``; the state comes back after the block."""
    try:
        state.move(lambda array: like(array, prototype))
        yield problem.moved(prototype)
    finally:
        state.move(to_numpy)


@contextmanager
def computing_on_workers(on_workers, sync_every=None, n_parts=None):
    """Let trainings in the block compute their minibatches in other processes.

    Parameters
    ----------
    on_workers : callable
        Function from a ``Problem`` and its solver to a context manager of the same problem on the workers of a cluster.
    sync_every, n_parts : int or None
        Number of steps after which parameters are averaged, if they are, and number of parts of the data.
    """
    token = _cluster.set(_Cluster(on_workers, sync_every, n_parts))
    try:
        yield
    finally:
        _cluster.reset(token)


def averages():
    """Return ``sync_every`` and ``n_parts`` of :func:`computing_on_workers`, which make it another training, as a dict."""
    return {"sync_every": _cluster.get().sync_every, "n_parts": _cluster.get().n_parts}
