"""Products of a batch's tangents and cotangents: with an elementwise Jacobian, with each other, and squares.

Tangents t and cotangents u are rows, several for each of some samples: see :class:`RowRange`. If there are only as many
tangents as one sample has, all samples share them. Arguments that are written come after those that are read.
"""

from typing import NamedTuple

import numpy as np

from ._jit import kernel
from .elementary import unpacked


class RowRange(NamedTuple):
    """Rows of vectors that belong to some samples of a batch, and which of these samples a kernel processes.

    Attributes
    ----------
    samples : ndarray of int
        Index in the batch of the p-th sample that has rows.
    starts : ndarray of int of shape (n_samples + 1,)
        Its rows are those from ``starts[p]`` to ``starts[p + 1]``.
    first, last : int
        The kernel processes the samples p from ``first`` to ``last``.
    """

    samples: np.ndarray
    starts: np.ndarray
    first: int
    last: int


@kernel
def scale_rows(derivatives, tangents, out, rows):
    """out_r <- s'(a_i) t_r for the rows t_r of sample i."""
    samples, starts = rows.samples, rows.starts
    shared = tangents.shape[0] < out.shape[0]
    for p in range(rows.first, rows.last):
        derivative, offset = derivatives[samples[p]], starts[p] if shared else 0
        for r in range(starts[p], starts[p + 1]):
            tangent, scaled = tangents[r - offset], out[r]
            for j in range(scaled.size):
                scaled[j] = derivative[j] * tangent[j]


@kernel
def scale_rows_backward(derivatives, second_derivatives, tangents, cotangents, delta, rows):
    """From cotangents u of s'(a) t: u_r <- s'(a_i) u_r, the one at t; delta_i += s''(a_i) t_r u_r, the one at a."""
    samples, starts = rows.samples, rows.starts
    shared = tangents.shape[0] < cotangents.shape[0]
    for p in range(rows.first, rows.last):
        i, offset = samples[p], starts[p] if shared else 0
        derivative, second, total = derivatives[i], second_derivatives[i], delta[i]
        for r in range(starts[p], starts[p + 1]):
            tangent, cotangent = tangents[r - offset], cotangents[r]
            for j in range(cotangent.size):
                total[j] += second[j] * tangent[j] * cotangent[j]
                cotangent[j] *= derivative[j]


@kernel
def inner_products(tangents, cotangents, out, rows):
    """out_rk <- u_r' t_k for the tangents t_k of each sample; all samples have the same number of them."""
    n_tangents, starts = out.shape[1], rows.starts
    for p in range(rows.first, rows.last):
        for k in range(n_tangents):
            tangent = tangents[p * n_tangents + k]
            for r in range(starts[p], starts[p + 1]):
                cotangent, total = cotangents[r], tangent.dtype.type(0)
                for j in range(tangent.size):
                    total += cotangent[j] * tangent[j]
                out[r, k] = total


@kernel
def combine(coefficients, tangents, out, rows):
    """out_r <- sum_k c_rk t_k, of the tangents t_k of each sample."""
    n_tangents, starts = coefficients.shape[1], rows.starts
    for p in range(rows.first, rows.last):
        for r in range(starts[p], starts[p + 1]):
            _combine(coefficients[r], tangents[p * n_tangents : (p + 1) * n_tangents], out[r])


@kernel
def combine_backward(
    derivatives, second_derivatives, coefficients, tangents, cotangents, combined, delta, rows
):
    """Do :func:`scale_rows_backward` for the tangents c_r = sum_k c_rk t_k; combined_r <- s'(a_i) c_r."""
    n_tangents, row = coefficients.shape[1], np.empty_like(tangents[0])
    samples, starts = rows.samples, rows.starts
    for p in range(rows.first, rows.last):
        i = samples[p]
        derivative, second, total = derivatives[i], second_derivatives[i], delta[i]
        for r in range(starts[p], starts[p + 1]):
            _combine(coefficients[r], tangents[p * n_tangents : (p + 1) * n_tangents], row)
            cotangent, scaled = cotangents[r], combined[r]
            # One loop per written array: a loop that writes several is not vectorized.
            for j in range(row.size):
                total[j] += second[j] * cotangent[j] * row[j]
            for j in range(row.size):
                scaled[j] = derivative[j] * row[j]
            for j in range(row.size):
                cotangent[j] *= derivative[j]


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
