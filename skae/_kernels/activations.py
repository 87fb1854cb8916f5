"""Activations in place, and their derivatives read off the activated value.

Every activation s here is monotone enough that s'(a) and s''(a) are functions of h = s(a): the
pre-activation need not be kept. The integer codes below choose among them inside the kernels.
"""

from ._jit import kernel
from .elementary import exp, log1p_unit

SIGMOID, TANH, RELU, SOFTPLUS, IDENTITY = range(5)


@kernel
def sigmoid(a, bias):
    """a <- 1 / (1 + exp(-(a + bias)))."""
    one = a.dtype.type(1)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] = one / (one + exp(-(a[i, j] + bias[j])))


@kernel
def tanh(a, bias):
    """a <- 2 / (1 + exp(-2 (a + bias))) - 1."""
    one, two = a.dtype.type(1), a.dtype.type(2)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] = two / (one + exp(-two * (a[i, j] + bias[j]))) - one


@kernel
def relu(a, bias):
    """a <- max(a + bias, 0)."""
    zero = a.dtype.type(0)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] = max(a[i, j] + bias[j], zero)


@kernel
def softplus(a, bias):
    """a <- log(1 + exp(a + bias)), without overflow."""
    zero = a.dtype.type(0)
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            value = a[i, j] + bias[j]
            a[i, j] = max(value, zero) + log1p_unit(exp(-abs(value)))


@kernel
def identity(a, bias):
    """a <- a + bias."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] += bias[j]


@kernel
def slope(kind, h, one):
    """Return s'(a) from h = s(a); ``one`` carries the precision."""
    if kind == SIGMOID:
        return h * (one - h)
    if kind == TANH:
        return one - h * h
    if kind == RELU:
        return one if h > 0 else one - one
    if kind == SOFTPLUS:
        return one - exp(-h)
    return one


@kernel
def bend(kind, h, one):
    """Return s''(a) from h = s(a); ``one`` carries the precision."""
    two = one + one
    if kind == SIGMOID:
        return h * (one - h) * (one - two * h)
    if kind == TANH:
        return -two * h * (one - h * h)
    if kind == SOFTPLUS:
        return exp(-h) * (one - exp(-h))
    return one - one


@kernel
def backpropagate(kind, h, delta, push, sums):
    """delta <- delta * s'(a) + push, from a gradient at h to one at a; sums <- its sum over samples.

    An empty ``push`` is none.
    """
    one = h.dtype.type(1)
    sums[:] = one - one
    for i in range(h.shape[0]):
        if push.size:
            for j in range(h.shape[1]):
                pull = delta[i, j] * slope(kind, h[i, j], one) + push[i, j]
                delta[i, j] = pull
                sums[j] += pull
        else:
            for j in range(h.shape[1]):
                pull = delta[i, j] * slope(kind, h[i, j], one)
                delta[i, j] = pull
                sums[j] += pull


@kernel
def slopes(kind, h, out):
    """out <- s'(a)."""
    one = h.dtype.type(1)
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            out[i, j] = slope(kind, h[i, j], one)


@kernel
def bends(kind, h, out):
    """out <- s''(a)."""
    one = h.dtype.type(1)
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            out[i, j] = bend(kind, h[i, j], one)
