"""One step of an optimizer over the flat parameter vector: see :mod:`skae._kernels.updates`.

Tiny numbers stay as they are here: GPUs compute with subnormal ones at full speed.
"""

import math

from .._kernels import updates as compiled
from .choice import portable
from .namespace import namespace


def corrected(n_steps, dtype, rate, beta_1, beta_2, epsilon):
    """Return Adam's step size and epsilon with both bias corrections after ``n_steps``, an array of one integer."""
    xp = namespace(n_steps)
    t = xp.astype(n_steps, xp.float64)
    correction = xp.sqrt(-xp.expm1(t * math.log(beta_2)))
    rate = -rate * correction / xp.expm1(t * math.log(beta_1))
    return xp.astype(rate, dtype), xp.astype(epsilon * correction, dtype)


@portable(compiled.adam)
def adam(params, grad, first, second, rate, beta_1, beta_2, epsilon):
    """Kingma & Ba 2015, algorithm 1, with both bias corrections already in ``rate`` and ``epsilon``."""
    first += (1 - beta_1) * (grad - first)
    second += (1 - beta_2) * (grad * grad - second)
    params -= rate * first / (namespace(params).sqrt(second) + epsilon)


descend = compiled.descend  # only for numpy


@portable(compiled.momentum)
def momentum(params, grad, velocity, rate, decay, nesterov):
    """velocity <- decay * velocity - rate * grad; params move by it, or by the next one (Nesterov)."""
    velocity *= decay
    velocity -= rate * grad
    params += decay * velocity - rate * grad if nesterov else velocity
