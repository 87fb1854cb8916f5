"""Checks of the activations, corruptions and penalties that users write, in the first minibatch of a training.

Most mistakes would train too, or end far from their cause. Exceptions that users raise are not changed.
"""

import inspect
from copy import deepcopy

import numpy as np

from .._arrays.namespace import all_finite, copy, is_numpy, namespace
from .activations import ALL, Derivatives, Diagonal
from .corruption import Noise


def check_activation(activation, width, dtype):
    """Raise unless ``activation``, of ``width`` units, changes the given rows in place, and has derivatives there."""
    name = f"activation={type(activation).__name__}"
    activation = deepcopy(activation)  # which may draw random numbers of its own
    a = np.random.default_rng(0).standard_normal((3, width)).astype(dtype)
    _check_signature(activation.forward, f"{name}: forward", "forward(a, bias, rows, units)", 4)
    _check_signature(
        activation.derivatives, f"{name}: derivatives", "derivatives(outputs, order, memory)", 3
    )
    bias, before = np.full(a.shape[1], 0.5, a.dtype), a.copy()
    returned = activation.forward(a, bias, slice(0, 2), ALL)
    if returned is not None or np.array_equal(a[:2], before[:2]):
        raise ValueError(
            f"{name}: forward must change a in place, as in a[rows, units] = ..., and return nothing."
        )
    if not np.array_equal(a[2:], before[2:]):
        raise ValueError(f"{name}: forward must change a[rows, units] alone, not other rows.")
    if activation.whole_row:
        activation.forward(a, bias, slice(2, 3), ALL)
    else:
        _check_parts_of_rows(activation, a, bias, name)
    if not np.isfinite(a).all():
        raise ValueError(f"{name}: forward gives NaN or infinity at pre-activations of about 1.")
    outputs = a.copy()
    check_derivatives(activation, activation.derivatives(outputs, 1, None), a, order=1)
    if not np.array_equal(outputs, a):
        raise ValueError(f"{name}: derivatives must not change outputs.")


def _check_parts_of_rows(activation, a, bias, name):
    """Call ``forward`` for both halves of the last row; raise if it does not change the given half alone."""
    half = -(-a.shape[1] // 2)
    for units in (slice(0, half), slice(half, None))[: a.shape[1]]:
        before, problem = a.copy(), "it changed others"
        try:
            activation.forward(a, bias, slice(2, 3), units)
        except ValueError as error:
            before, problem = None, error
        else:
            before[2, units] = a[2, units]
        if before is None or not np.array_equal(a, before):
            raise ValueError(
                f"{name}: forward must change a[rows, units] alone, with bias[units], as whole_row is False: {problem}."
            )


def check_derivatives(activation, derivatives, outputs, *, order):
    """Raise unless ``derivatives`` are those of ``activation`` at ``outputs``, up to this ``order``."""
    name = f"activation={type(activation).__name__}: derivatives must return"
    if not isinstance(derivatives, Derivatives):
        raise TypeError(
            f"{name} Derivatives, such as Diagonal(first, second); got {_described(derivatives)}."
        )
    if not (isinstance(derivatives, Diagonal) and is_numpy(outputs)):
        return
    parts = {"first": derivatives.first}
    if order == 2:
        parts["second"] = derivatives.second
    for part, array in parts.items():
        if not _is_like(array, outputs.shape) or not np.isfinite(array).all():
            raise ValueError(
                f"{name} a Diagonal whose {part} derivatives are finite float32 or float64 of the shape {outputs.shape}; "
                f"got {_described(array)}."
            )


def checked_corruption(corruption):
    """Return a function that calls ``corruption`` and raises unless it has filled ``out``; None for None."""
    if corruption is None or isinstance(corruption, Noise):
        return corruption
    name = f"corruption={corruption!r}"
    _check_signature(corruption, name, "f(X, seed, out)", 3)

    def corrupt(X, seed, out):
        before = copy(X)
        out[...] = float("nan")
        returned = corruption(X, seed, out)
        if not all_finite(out) or not _is_out(returned, out):
            raise ValueError(
                f"{name} must fill all of out with finite numbers, as in out[...] = ..., and return nothing."
            )
        if not bool(namespace(X).all(before == X)):
            raise ValueError(f"{name} must not change X, the clean rows, but fill out.")

    return corrupt


def _is_out(returned, out):
    """Return whether ``returned`` is None, ``out`` or a view of it."""
    if returned is None or returned is out:
        return True
    return is_numpy(returned) and is_numpy(out) and np.may_share_memory(returned, out)


def checked_penalty(penalty, flat):
    """Return a function that calls ``penalty`` and raises unless it returns its value and adds gradients.

    It must not change the parameters ``flat``.
    """
    name = f"The penalty {type(penalty).__name__}"
    _check_signature(penalty, name, "penalty(params, trace, seed)", 3)

    def penalize(params, trace, seed):
        kept = flat, trace.inputs, trace.codes
        before = [np.vdot(each, each) for each in kept]
        value = penalty(params, trace, seed)
        if not _is_number(value):
            raise ValueError(f"{name} must return its value, a number; got {_described(value)}.")
        if not np.array_equal(before, [np.vdot(each, each) for each in kept], equal_nan=True):
            raise ValueError(f"{name} must not change parameters, inputs or codes.")
        for record in trace.encoder:
            n_upper, n_lower = record.outputs.shape[1], record.inputs.shape[1]
            _check_terms(name, record, n_upper, n_lower)
        for record in trace.decoder:
            n_upper, n_lower = record.inputs.shape[1], record.outputs.shape[1]
            _check_terms(name, record, n_upper, n_lower)
        return value

    return penalize


def _is_number(value):
    """Return whether ``value`` is a real number, finite or not, or an array of no dimensions."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return np.shape(value) == () and not isinstance(value, str)


def _check_terms(name, record, n_upper, n_lower):
    """Raise unless what a penalty added to a ``LayerRecord`` has the shapes of what it is added to."""
    expected = {
        "delta_terms": (record.delta_terms, record.outputs.shape),
        "weight_terms": (record.weight_terms, (n_upper, n_lower)),
        "bias_terms": (record.bias_terms, record.outputs.shape[1:]),
        "row_scales": (record.row_scales, (n_upper,)),
    }
    for part, (terms, shape) in expected.items():
        for term in terms:
            if not _is_like(term, shape):
                raise ValueError(
                    f"{name} must add float32 or float64 of shape {shape} to the {part} of this layer; got "
                    f"{_described(term)}."
                )
    shared = record.inputs, record.outputs
    if any(np.may_share_memory(term, each) for term in record.delta_terms for each in shared):
        raise ValueError(
            f"{name} must add an array of its own to delta_terms, where others are added to it: copy the outputs."
        )


def _check_signature(function, name, expected, n_arguments):
    """Raise TypeError unless ``function`` takes this number of arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of a compiled function
        return
    try:
        signature.bind(*[None] * n_arguments)
    except TypeError as error:
        raise TypeError(f"{name} is called as {expected}: {error}.") from None


def _is_like(array, shape):
    """Return whether ``array`` has this shape and a dtype of the kernels."""
    return is_numpy(array) and array.shape == shape and array.dtype in (np.float32, np.float64)


def _described(value):
    return f"shape {value.shape}, {value.dtype}" if is_numpy(value) else repr(value)
