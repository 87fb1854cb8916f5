"""One step of an optimizer over the flat parameter vector; the step counter moves with the parameters.

Numbers that no step can tell from 0 become 0. Weight decay alone moves the weights of units that are never active: they
would shrink to subnormal numbers, with which processors compute several times more slowly.
"""

import numpy as np

from ._jit import kernel


@kernel
def _zero_if_tiny(x):
    """Return x, or 0 if its products with numbers of the size of a rounding error would be subnormal."""
    limits = np.finfo(type(x))
    return type(x)(0) if abs(x) < limits.tiny / limits.eps else x  # NaN stays


@kernel
def adam(params, grad, first, second, rate, beta_1, beta_2, epsilon):
    """Kingma & Ba 2015, algorithm 1, with both bias corrections already in ``rate`` and ``epsilon``."""
    one = params.dtype.type(1)
    for i in range(params.size):
        g = grad[i]
        m = first[i] + (one - beta_1) * (g - first[i])
        v = second[i] + (one - beta_2) * (g * g - second[i])
        first[i] = _zero_if_tiny(m)
        second[i] = _zero_if_tiny(v)
        params[i] = _zero_if_tiny(params[i] - rate * m / (np.sqrt(v) + epsilon))


@kernel
def momentum(params, grad, velocity, rate, decay, nesterov):
    """velocity <- decay * velocity - rate * grad; params move by it, or by the next one (Nesterov)."""
    for i in range(params.size):
        v = decay * velocity[i] - rate * grad[i]
        velocity[i] = _zero_if_tiny(v)
        step = decay * v - rate * grad[i] if nesterov else v
        params[i] = _zero_if_tiny(params[i] + step)
