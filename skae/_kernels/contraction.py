"""Contractive penalties of a one-layer encoder h = s(W x + b), in closed form.

With d_j = s'(a_j) and n_j = ||w_j||^2, ||dh/dx||_F^2 = sum_j d_j^2 n_j: no Jacobian is formed. v_i are the weights of
the samples.
"""

from ._jit import kernel
from .activations import derivative, second_derivative


@kernel
def squared_row_norms(weights, out):
    """out_j <- ||w_j||^2."""
    for j in range(weights.shape[0]):
        total = weights.dtype.type(0)
        for k in range(weights.shape[1]):
            total += weights[j, k] * weights[j, k]
        out[j] = total


@kernel
def add_scaled_rows(scales, weights, grad):
    """grad_j <- grad_j + scales_j w_j."""
    for j in range(weights.shape[0]):
        for k in range(weights.shape[1]):
            grad[j, k] += scales[j] * weights[j, k]


@kernel
def differentiate_contraction(
    kind, codes, row_norms, sample_weights, delta, row_scales, start, stop
):
    """Differentiate P = sum_i v_i sum_j d_ij^2 n_j, for units ``start`` to ``stop``.

    delta_ij <- dP/da_ij; row_scales_j <- the factor c_j in dP/dw_j = c_j w_j.
    """
    one = codes.dtype.type(1)
    two = one + one
    norms, scales = row_norms[start:stop], row_scales[start:stop]
    scales[:] = one - one
    for i in range(codes.shape[0]):
        weight = two * sample_weights[i]
        row, deltas = codes[i, start:stop], delta[i, start:stop]
        for j in range(row.size):
            d = derivative(kind, row[j], one)
            deltas[j] = weight * d * second_derivative(kind, row[j], one) * norms[j]
            scales[j] += weight * d * d


@kernel
def differentiate_curvature(
    kind, codes, shifted, row_norms, sample_weights, delta, shifted_delta, row_scales, start, stop
):
    """Do the same for P = sum_i v_i sum_j (d_ij - d~_ij)^2 n_j, the Jacobian's change from x to x~.

    ``delta`` and ``row_scales`` are added to; shifted_delta_ij <- dP/da~_ij.
    """
    one = codes.dtype.type(1)
    two = one + one
    norms, scales = row_norms[start:stop], row_scales[start:stop]
    for i in range(codes.shape[0]):
        weight = two * sample_weights[i]
        here, there = codes[i, start:stop], shifted[i, start:stop]
        deltas, shifted_deltas = delta[i, start:stop], shifted_delta[i, start:stop]
        for j in range(here.size):
            change = derivative(kind, here[j], one) - derivative(kind, there[j], one)
            term = weight * change * norms[j]
            deltas[j] += term * second_derivative(kind, here[j], one)
            shifted_deltas[j] = -term * second_derivative(kind, there[j], one)
            scales[j] += weight * change * change
