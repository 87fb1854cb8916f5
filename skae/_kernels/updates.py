"""One step of an optimizer, or of a chain, over the flat parameter vector; the step counter moves with the parameters."""

import numpy as np

from ._jit import kernel
from .random import draw, mix, normal


@kernel
def adam(params, grad, first, second, rate, beta_1, beta_2, epsilon):
    """Kingma & Ba 2015, algorithm 1, with both bias corrections already in ``rate`` and ``epsilon``."""
    one = params.dtype.type(1)
    for i in range(params.size):
        g = grad[i]
        m = first[i] + (one - beta_1) * (g - first[i])
        v = second[i] + (one - beta_2) * (g * g - second[i])
        first[i] = m
        second[i] = v
        params[i] -= rate * m / (np.sqrt(v) + epsilon)


@kernel
def momentum(params, grad, velocity, rate, decay, nesterov):
    """velocity <- decay * velocity - rate * grad; params move along it (or ahead of it: Nesterov)."""
    for i in range(params.size):
        v = decay * velocity[i] - rate * grad[i]
        velocity[i] = v
        if nesterov:
            params[i] += decay * v - rate * grad[i]
        else:
            params[i] += v


@kernel
def equilibrate(params, grad, second, scales, decay, share, floor):
    """second <- the mean of squared gradients (with ``decay`` of the parameters) so far; scales <- 1 / (floor + its root)."""
    one = params.dtype.type(1)
    for i in range(params.size):
        g = grad[i] + decay * params[i]
        v = second[i] + share * (g * g - second[i])
        second[i] = v
        scales[i] = one / (floor + np.sqrt(v))


@kernel
def langevin(params, grad, scales, first, key, rate, decay, noise):
    """params <- params - rate * scale * (grad + decay * params) + noise * sqrt(scale) * e, e standard normal.

    e belongs to ``key`` and to a parameter's place, which is ``first`` for the first one.
    """
    number = params.dtype.type
    for i in range(params.size):
        place = mix(np.uint32(np.uint32(first + i + 1) * np.uint32(0x9E3779B9)))
        e = number(normal(draw(key, place)))
        s = scales[i]
        params[i] += noise * np.sqrt(s) * e - rate * s * (grad[i] + decay * params[i])
