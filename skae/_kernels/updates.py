"""One step of an optimizer over the flat parameter vector; the step counter moves with the parameters."""

import numpy as np

from ._jit import kernel


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
    """velocity <- decay * velocity - rate * grad; params move by it, or by the next one (Nesterov)."""
    for i in range(params.size):
        v = decay * velocity[i] - rate * grad[i]
        velocity[i] = v
        if nesterov:
            params[i] += decay * v - rate * grad[i]
        else:
            params[i] += v
