"""Contractive penalties of a one-layer encoder h = s(W x + b), in closed form.

With d_j = s'(a_j) and n_j = ||w_j||^2, ||dh/dx||_F^2 = sum_j d_j^2 n_j: no Jacobian is formed.
"""

from ._jit import kernel
from .activations import bend, slope


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
def contract(kind, codes, row_norms, sample_weights, push, row_scales):
    """Add d/da of sum_i v_i sum_j d_ij^2 n_j to ``push`` and its weight of w_j to ``row_scales``."""
    one = codes.dtype.type(1)
    two = one + one
    for i in range(codes.shape[0]):
        weight = two * sample_weights[i]
        for j in range(codes.shape[1]):
            d = slope(kind, codes[i, j], one)
            push[i, j] += weight * d * bend(kind, codes[i, j], one) * row_norms[j]
            row_scales[j] += weight * d * d


@kernel
def curve(kind, codes, shifted, row_norms, sample_weights, push, shifted_push, row_scales):
    """The same for sum_i v_i sum_j (d_ij - d~_ij)^2 n_j: the Jacobian's change from x to x~."""
    one = codes.dtype.type(1)
    two = one + one
    for i in range(codes.shape[0]):
        weight = two * sample_weights[i]
        for j in range(codes.shape[1]):
            change = slope(kind, codes[i, j], one) - slope(kind, shifted[i, j], one)
            pull = weight * change * row_norms[j]
            push[i, j] += pull * bend(kind, codes[i, j], one)
            shifted_push[i, j] = -pull * bend(kind, shifted[i, j], one)
            row_scales[j] += weight * change * change
