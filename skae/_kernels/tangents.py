"""Products of a batch's tangents and cotangents: with an elementwise unit's Jacobian, with each other, and squares.

Tangents and cotangents are rows, several for each of some samples: rows ``starts[p]`` to ``starts[p + 1]`` belong to
the p-th of these, which is row ``samples[p]`` of the batch. If there are only as many tangents as one sample has, all
samples share them. Kernels process the samples p from ``first`` to ``last``.
"""

import numpy as np

from ._jit import kernel
from .elementary import unpacked


@kernel
def scale_rows(derivatives, samples, starts, tangents, out, first, last):
    """out_r <- s'(a_i) t_r for the rows t_r of sample i."""
    shared = tangents.shape[0] < out.shape[0]
    for p in range(first, last):
        derivative, offset = derivatives[samples[p]], starts[p] if shared else 0
        for r in range(starts[p], starts[p + 1]):
            tangent, scaled = tangents[r - offset], out[r]
            for j in range(scaled.size):
                scaled[j] = derivative[j] * tangent[j]


@kernel
def scale_rows_backward(
    derivatives, second_derivatives, samples, starts, tangents, cotangents, delta, first, last
):
    """From cotangents u of s'(a) t: u_r <- s'(a_i) u_r, the one at t; delta_i += s''(a_i) t_r u_r, the one at a."""
    shared = tangents.shape[0] < cotangents.shape[0]
    for p in range(first, last):
        i, offset = samples[p], starts[p] if shared else 0
        derivative, second, total = derivatives[i], second_derivatives[i], delta[i]
        for r in range(starts[p], starts[p + 1]):
            tangent, cotangent = tangents[r - offset], cotangents[r]
            for j in range(cotangent.size):
                total[j] += second[j] * tangent[j] * cotangent[j]
                cotangent[j] *= derivative[j]


@kernel
def inner_products(starts, tangents, cotangents, out, first, last):
    """out_rk <- u_r' t_k for the tangents t_k of each sample; all samples have the same number of them."""
    n_tangents = out.shape[1]
    for p in range(first, last):
        for k in range(n_tangents):
            tangent = tangents[p * n_tangents + k]
            for r in range(starts[p], starts[p + 1]):
                cotangent, total = cotangents[r], tangent.dtype.type(0)
                for j in range(tangent.size):
                    total += cotangent[j] * tangent[j]
                out[r, k] = total


@kernel
def combine(coefficients, starts, tangents, out, first, last):
    """out_r <- sum_k c_rk t_k, of the tangents t_k of each sample."""
    n_tangents = coefficients.shape[1]
    for p in range(first, last):
        for r in range(starts[p], starts[p + 1]):
            _combine(coefficients[r], tangents[p * n_tangents : (p + 1) * n_tangents], out[r])


@kernel
def combine_backward(
    coefficients,
    derivatives,
    second_derivatives,
    samples,
    starts,
    tangents,
    cotangents,
    combined,
    out,
    delta,
    first,
    last,
):
    """For combined tangents c_r = sum_k c_rk t_k, and cotangents u_r of s'(a) c_r, do :func:`scale_rows_backward`.

    combined_r <- s'(a_i) c_r, which is scaled here.
    """
    n_tangents, row = coefficients.shape[1], np.empty_like(tangents[0])
    for p in range(first, last):
        i = samples[p]
        derivative, second, total = derivatives[i], second_derivatives[i], delta[i]
        for r in range(starts[p], starts[p + 1]):
            _combine(coefficients[r], tangents[p * n_tangents : (p + 1) * n_tangents], row)
            cotangent, down, up = cotangents[r], out[r], combined[r]
            # One loop per written array: a loop that writes several is not vectorized.
            for j in range(row.size):
                total[j] += second[j] * cotangent[j] * row[j]
            for j in range(row.size):
                up[j] = derivative[j] * row[j]
            for j in range(row.size):
                down[j] = derivative[j] * cotangent[j]


@kernel
def _combine(coefficients, tangents, out):
    out[:] = 0
    n_tangents = len(coefficients)
    # Four at once, so that the sum is read and written less often.
    for k in range(0, n_tangents - 3, 4):
        a, b, c, d = coefficients[k], coefficients[k + 1], coefficients[k + 2], coefficients[k + 3]
        t, u, v, w = tangents[k], tangents[k + 1], tangents[k + 2], tangents[k + 3]
        for j in range(out.size):
            out[j] += a * t[j] + b * u[j] + c * v[j] + d * w[j]
    for k in range(n_tangents - n_tangents % 4, n_tangents):
        coefficient, tangent = coefficients[k], tangents[k]
        for j in range(out.size):
            out[j] += coefficient * tangent[j]


@kernel
def squares(tangents, sample_weights, gradient):
    """Return sum_ik v_i ||t_ik||^2; ``gradient`` <- its gradient, perhaps in the array of ``tangents``."""
    two = tangents.dtype.type(2)
    value = 0.0
    for i in range(tangents.shape[0]):
        for k in range(tangents.shape[1]):
            total = tangents.dtype.type(0)
            for j in range(tangents.shape[2]):
                total += tangents[i, k, j] * tangents[i, k, j]
                gradient[i, k, j] = two * sample_weights[i] * tangents[i, k, j]
            value += sample_weights[i] * total
    return value


@kernel
def gather(basis, places, out, start, stop):
    """out_ik <- the k-th vector of basis[places[i]], for i from ``start`` to ``stop``; half precision as bits."""
    for i in range(start, stop):
        vectors = basis[places[i]]
        for k in range(vectors.shape[0]):
            vector, into = vectors[k], out[i, k]
            for j in range(into.size):
                into[j] = unpacked(vector[j])


@kernel
def gather_sum(basis, places, signs, out, start, stop):
    """out_i <- the sum over k of these vectors, each times its sign."""
    for i in range(start, stop):
        vectors, into = basis[places[i]], out[i]
        into[:] = 0
        for k in range(vectors.shape[0]):
            vector, sign = vectors[k], signs[i, k]
            for j in range(into.size):
                into[j] += sign * unpacked(vector[j])
