"""Activations in place, and their derivatives read off the activated value.

For every activation s here, s'(a) and s''(a) are functions of h = s(a), so pre-activations need not be kept. The
integer codes below select the activation inside the kernels.
Results that are tiny, as those of saturated units, become 0.
Units ``start`` to ``stop`` are those of one thread. They are taken as slices, since an index from a variable might be
negative, which prevents vectorization.
"""

from ._jit import kernel
from .elementary import exp, log1p_unit, zero_if_tiny

SIGMOID, TANH, RELU, SOFTPLUS, IDENTITY = range(5)


@kernel
def sigmoid(a, bias, start, stop):
    """a <- 1 / (1 + exp(-(a + bias)))."""
    one = a.dtype.type(1)
    bias = bias[start:stop]
    for i in range(a.shape[0]):
        row = a[i, start:stop]
        for j in range(row.size):
            row[j] = zero_if_tiny(one / (one + exp(-(row[j] + bias[j]))))


@kernel
def tanh(a, bias, start, stop):
    """a <- 2 / (1 + exp(-2 (a + bias))) - 1."""
    one, two = a.dtype.type(1), a.dtype.type(2)
    bias = bias[start:stop]
    for i in range(a.shape[0]):
        row = a[i, start:stop]
        for j in range(row.size):
            row[j] = two / (one + exp(-two * (row[j] + bias[j]))) - one


@kernel
def relu(a, bias, start, stop):
    """a <- max(a + bias, 0)."""
    zero = a.dtype.type(0)
    bias = bias[start:stop]
    for i in range(a.shape[0]):
        row = a[i, start:stop]
        for j in range(row.size):
            row[j] = max(row[j] + bias[j], zero)


@kernel
def softplus(a, bias, start, stop):
    """a <- log(1 + exp(a + bias)), without overflow."""
    zero = a.dtype.type(0)
    bias = bias[start:stop]
    for i in range(a.shape[0]):
        row = a[i, start:stop]
        for j in range(row.size):
            value = row[j] + bias[j]
            row[j] = zero_if_tiny(max(value, zero) + log1p_unit(exp(-abs(value))))


def identity(a, bias, start, stop):
    """a <- a + bias, by numpy: compiling this took a tenth of the first fit."""
    a[:, start:stop] += bias[start:stop]


@kernel
def derivative(kind, h, one):
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
def second_derivative(kind, h, one):
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
def backpropagate(kind, h, delta, extra, sums, start, stop):
    """delta <- delta * s'(a) + extra, which turns a gradient at h into one at a; sums <- its sum over samples.

    An ``extra`` without rows stands for 0: None would compile the kernel twice.
    """
    one = h.dtype.type(1)
    sums = sums[start:stop]
    sums[:] = one - one
    for i in range(h.shape[0]):
        outputs, gradients = h[i, start:stop], delta[i, start:stop]
        if extra.size:
            terms = extra[i, start:stop]
            for j in range(outputs.size):
                gradient = gradients[j] * derivative(kind, outputs[j], one) + terms[j]
                gradient = zero_if_tiny(gradient)
                gradients[j] = gradient
                sums[j] += gradient
        elif kind == IDENTITY:
            for j in range(outputs.size):
                sums[j] += gradients[j]
        else:
            for j in range(outputs.size):
                gradient = zero_if_tiny(gradients[j] * derivative(kind, outputs[j], one))
                gradients[j] = gradient
                sums[j] += gradient


@kernel
def derivatives(kind, h, out):
    """out <- s'(a)."""
    one = h.dtype.type(1)
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            out[i, j] = derivative(kind, h[i, j], one)


@kernel
def second_derivatives(kind, h, out):
    """out <- s''(a)."""
    one = h.dtype.type(1)
    for i in range(h.shape[0]):
        for j in range(h.shape[1]):
            out[i, j] = second_derivative(kind, h[i, j], one)
