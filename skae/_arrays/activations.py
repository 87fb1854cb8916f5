"""Activations in place, and their derivatives: see :mod:`skae._kernels.activations`."""

from .._kernels import activations as compiled
from .._kernels.activations import IDENTITY, RELU, SIGMOID, SOFTPLUS, TANH
from .choice import portable
from .namespace import namespace, zero_if_tiny


def logistic(a):
    """Return 1 / (1 + exp(-a)), without overflow; tiny values are 0."""
    xp = namespace(a)
    if hasattr(xp, "sigmoid"):
        return zero_if_tiny(xp.sigmoid(a))
    e = xp.exp(-xp.abs(a))
    return zero_if_tiny(xp.where(a >= 0, xp.ones_like(a), e) / (1 + e))


def softplus_of(a):
    """Return log(1 + exp(a)), without overflow; tiny values are 0."""
    xp = namespace(a)
    return zero_if_tiny(xp.logaddexp(a, xp.zeros_like(a)))


def positive_part(a):
    """Return max(a, 0)."""
    return namespace(a).maximum(a, namespace(a).zeros_like(a))


def _applied(function):
    """Return the kernel that replaces a by ``function(a + bias)``, in place."""

    def kernel(a, bias, start, stop):
        a[:, start:stop] = function(a[:, start:stop] + bias[start:stop])

    kernel.__name__ = kernel.__qualname__ = f"{function.__name__}_in_place"
    return kernel


def hyperbolic(a):
    """Return tanh a."""
    return namespace(a).tanh(a)


def unchanged(a):
    """Return a."""
    return a


sigmoid = portable(compiled.sigmoid)(_applied(logistic))
tanh = portable(compiled.tanh)(_applied(hyperbolic))
relu = portable(compiled.relu)(_applied(positive_part))
softplus = portable(compiled.softplus)(_applied(softplus_of))
identity = portable(compiled.identity)(_applied(unchanged))


def derivative(kind, h):
    """Return s'(a) from h = s(a)."""
    xp = namespace(h)
    if kind == SIGMOID:
        return h * (1 - h)
    if kind == TANH:
        return 1 - h * h
    if kind == RELU:
        return xp.astype(h > 0, h.dtype)
    if kind == SOFTPLUS:
        return 1 - xp.exp(-h)
    return xp.ones_like(h)


def second_derivative(kind, h):
    """Return s''(a) from h = s(a)."""
    xp = namespace(h)
    if kind == SIGMOID:
        return h * (1 - h) * (1 - 2 * h)
    if kind == TANH:
        return -2 * h * (1 - h * h)
    if kind == SOFTPLUS:
        return xp.exp(-h) * (1 - xp.exp(-h))
    return xp.zeros_like(h)


@portable(compiled.backpropagate, at=1)
def backpropagate(kind, h, delta, extra, sums, start, stop):
    """delta <- delta * s'(a) + extra, which turns a gradient at h into one at a; sums <- its sum over samples."""
    gradients = delta[:, start:stop]
    if kind != IDENTITY:
        gradients = gradients * derivative(kind, h[:, start:stop])
    if extra.shape[0]:
        gradients = gradients + extra[:, start:stop]
    if kind != IDENTITY:
        gradients = zero_if_tiny(gradients)
    if kind != IDENTITY or extra.shape[0]:
        delta[:, start:stop] = gradients
    sums[start:stop] = namespace(h).sum(gradients, axis=0)


@portable(compiled.derivatives, at=1)
def derivatives(kind, h, out):
    """out <- s'(a)."""
    out[...] = derivative(kind, h)


@portable(compiled.second_derivatives, at=1)
def second_derivatives(kind, h, out):
    """out <- s''(a)."""
    out[...] = second_derivative(kind, h)


__all__ = [
    "IDENTITY",
    "RELU",
    "SIGMOID",
    "SOFTPLUS",
    "TANH",
    "backpropagate",
    "derivatives",
    "identity",
    "relu",
    "second_derivatives",
    "sigmoid",
    "softplus",
    "tanh",
]
