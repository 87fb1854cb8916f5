"""One layer's step up, its step back and the gradient of its weights, by units of which each thread has its own."""

import numpy as np

from .._kernels import activations as kernels
from .._kernels.contraction import add_scaled_rows
from .._threads import ELEMENT, share


def propagate(inputs, matrix, activation, bias, out):
    """out <- s(inputs matrix + bias)."""

    def some(units):
        np.matmul(inputs, matrix[:, units], out=out[:, units])
        activation.apply(out, bias, units)

    share(some, out.shape[1], len(out) * (inputs.shape[1] + ELEMENT))


def pull_back(units, above, matrix, mask, kind, outputs, push, delta, sums):
    """delta <- (above matrix * mask) * s'(a) + push, the gradient at a; sums <- its sum over samples; for some units.

    Without ``above`` the gradient at the outputs is in ``delta`` already. An empty ``push`` is none, and so is a
    ``mask`` that is None.
    """
    if above is not None:
        np.matmul(above, matrix[:, units], out=delta[:, units])
    if mask is not None:
        delta[:, units] *= mask[:, units]
    kernels.backpropagate(kind, outputs, delta, push, sums, units.start, units.stop)


def add_up(units, upper, lower, weights, row_scales, out):
    """out <- upper' lower, plus each of ``row_scales`` times the rows of ``weights``; for some units."""
    np.matmul(upper[:, units].T, lower, out=out[units])
    for scales in row_scales:
        add_scaled_rows(scales[units], weights[units], out[units])
