"""Contractive penalties of a one-layer encoder: see :mod:`skae._kernels.contraction`."""

from .._kernels import contraction as compiled
from .activations import derivative, second_derivative
from .choice import portable
from .namespace import namespace


@portable(compiled.squared_row_norms)
def squared_row_norms(weights, out):
    """out_j <- ||w_j||^2."""
    out[...] = namespace(weights).sum(weights * weights, axis=1)


@portable(compiled.add_scaled_rows, at=1)
def add_scaled_rows(scales, weights, grad):
    """grad_j <- grad_j + scales_j w_j."""
    grad += scales[:, None] * weights


@portable(compiled.differentiate_contraction, at=1)
def differentiate_contraction(
    kind, codes, row_norms, sample_weights, delta, row_scales, start, stop
):
    """Differentiate P = sum_i v_i sum_j d_ij^2 n_j, for units ``start`` to ``stop``.

    delta_ij <- dP/da_ij; row_scales_j <- the factor c_j in dP/dw_j = c_j w_j.
    """
    h = codes[:, start:stop]
    term = 2 * sample_weights[:, None] * derivative(kind, h)
    delta[:, start:stop] = term * second_derivative(kind, h) * row_norms[start:stop]
    row_scales[start:stop] = namespace(codes).sum(term * derivative(kind, h), axis=0)


@portable(compiled.differentiate_curvature, at=1)
def differentiate_curvature(
    kind, codes, shifted, row_norms, sample_weights, delta, shifted_delta, row_scales, start, stop
):
    """Do the same for P = sum_i v_i sum_j (d_ij - d~_ij)^2 n_j, the Jacobian's change from x to x~.

    ``delta`` and ``row_scales`` are added to; shifted_delta_ij <- dP/da~_ij.
    """
    here, there = codes[:, start:stop], shifted[:, start:stop]
    change = derivative(kind, here) - derivative(kind, there)
    weights = 2 * sample_weights[:, None]
    term = weights * change * row_norms[start:stop]
    delta[:, start:stop] += term * second_derivative(kind, here)
    shifted_delta[:, start:stop] = -term * second_derivative(kind, there)
    row_scales[start:stop] += namespace(codes).sum(weights * change * change, axis=0)
