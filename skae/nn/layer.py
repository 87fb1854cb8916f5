"""One layer's step up, its step back and the gradient of its weights, by units of which each thread has its own."""

import numpy as np

from .._kernels import activations as kernels
from .._kernels.contraction import add_scaled_rows
from .._threads import ELEMENT, share_matrix
from .trace import add_all


def propagate(inputs, matrix, activation, bias, out):
    """out <- s(inputs matrix + bias)."""

    def some(rows, units):
        np.matmul(inputs[rows], matrix[:, units], out=out[rows, units])
        activation.apply(out, bias, rows, units)

    share_matrix(some, *out.shape, inputs.shape[1] + ELEMENT)


def backpropagate(above, matrix, mask, kind, outputs, push, delta, sums):
    """Do :func:`backpropagate_part` for all rows and units; sums <- the sum of ``delta`` over samples."""
    parts = {}

    def some(rows, units):
        start = rows.start or 0, units.start or 0
        part = parts[start] = np.zeros_like(sums)
        backpropagate_part(rows, units, above, matrix, mask, kind, outputs, push, delta, part)

    cost = ELEMENT + (0 if above is None else len(matrix))
    share_matrix(some, *delta.shape, cost)
    # In order, so that the last bit does not depend on which thread was first.
    np.sum([parts[start] for start in sorted(parts)], axis=0, out=sums)


def backpropagate_part(rows, units, above, matrix, mask, kind, outputs, push, delta, sums):
    """delta <- (above matrix * mask) * s'(a) + push, the gradient at a; sums <- its sum; of some rows and units.

    Without ``above`` the gradient at the outputs is in ``delta`` already. An empty ``push`` is none, and so is a
    ``mask`` that is None.
    """
    if above is not None:
        np.matmul(above[rows], matrix[:, units], out=delta[rows, units])
    if mask is not None:
        delta[rows, units] *= mask[rows, units]
    start, stop, _ = units.indices(delta.shape[1])
    kernels.backpropagate(kind, outputs[rows], delta[rows], push[rows], sums, start, stop)


def add_up(units, upper, lower, weights, row_scales, pulls, out):
    """out <- upper' lower, each of ``row_scales`` times the rows of ``weights``, and ``pulls``; for some units."""
    np.matmul(upper[:, units].T, lower, out=out[units])
    for scales in row_scales:
        add_scaled_rows(scales[units], weights[units], out[units])
    add_all((pull[units] for pull in pulls), out[units])
