"""One step of an optimizer over the flat parameter vector; the step counter moves with the parameters.

Numbers that no step can tell from 0 become 0. Weight decay alone moves the weights of units that are never active: they
would shrink to subnormal numbers, with which processors compute several times more slowly.
"""

import numpy as np

from ._jit import kernel
from .elementary import zero_if_tiny


@kernel
def adam(params, grad, first, second, rate, beta_1, beta_2, epsilon):
    """Kingma & Ba 2015, algorithm 1, with both bias corrections already in ``rate`` and ``epsilon``."""
    one = params.dtype.type(1)
    for i in range(params.size):
        g = grad[i]
        m = first[i] + (one - beta_1) * (g - first[i])
        v = second[i] + (one - beta_2) * (g * g - second[i])
        first[i] = zero_if_tiny(m)
        second[i] = zero_if_tiny(v)
        params[i] = zero_if_tiny(params[i] - rate * m / (np.sqrt(v) + epsilon))


@kernel
def descend(params, grad, rate):
    """params <- params - rate * grad."""
    for i in range(params.size):
        params[i] = zero_if_tiny(params[i] - rate * grad[i])


@kernel
def momentum(params, grad, velocity, rate, decay, nesterov):
    """velocity <- decay * velocity - rate * grad; params move by it, or by the next one (Nesterov)."""
    for i in range(params.size):
        v = decay * velocity[i] - rate * grad[i]
        velocity[i] = zero_if_tiny(v)
        step = decay * v - rate * grad[i] if nesterov else v
        params[i] = zero_if_tiny(params[i] + step)
