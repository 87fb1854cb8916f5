"""Rows of tangents or gradients, some for each of some samples, through one elementwise layer and together.

The rows of the p-th sample, number ``samples[p]`` of the batch, are those from ``starts[p]`` to ``starts[p + 1]``.
Each kernel takes samples p from ``first`` to ``last``.
"""

import numpy as np

from ._jit import kernel


@kernel
def scale_rows(slopes, samples, starts, rows, out, first, last):
    """out_r <- s'(a_i) t_r for the rows t_r of sample i."""
    for p in range(first, last):
        slope = slopes[samples[p]]
        for r in range(starts[p], starts[p + 1]):
            row, scaled = rows[r], out[r]
            for j in range(scaled.size):
                scaled[j] = slope[j] * row[j]


@kernel
def scale_rows_back(slopes, bends, samples, starts, rows, pull, push, first, last):
    """From ``pull``, the gradient at s'(a) t: leave the one at t in its place, add the one at a to ``push``."""
    for p in range(first, last):
        slope, bend, pushes = slopes[samples[p]], bends[samples[p]], push[samples[p]]
        for r in range(starts[p], starts[p + 1]):
            row, pulls = rows[r], pull[r]
            for j in range(pulls.size):
                pushes[j] += bend[j] * row[j] * pulls[j]
                pulls[j] *= slope[j]


@kernel
def inner_products(slopes, samples, starts, tangents, gradients, out, first, last):
    """out_rk <- g_r' s'(a_i) t_k for the tangents t_k of each sample, as many of all; without slopes s' is 1."""
    n_tangents, scaled = out.shape[1], np.empty_like(tangents[0])
    for p in range(first, last):
        for k in range(n_tangents):
            scaled[:] = tangents[p * n_tangents + k]
            if len(slopes):
                slope = slopes[samples[p]]
                for j in range(scaled.size):
                    scaled[j] *= slope[j]
            for r in range(starts[p], starts[p + 1]):
                gradient, total = gradients[r], scaled.dtype.type(0)
                for j in range(scaled.size):
                    total += gradient[j] * scaled[j]
                out[r, k] = total


@kernel
def combine(coefficients, starts, tangents, out, first, last):
    """out_r <- sum_k c_rk t_k, of the tangents t_k of each sample."""
    n_tangents = coefficients.shape[1]
    for p in range(first, last):
        for r in range(starts[p], starts[p + 1]):
            _combine(coefficients[r], tangents[p * n_tangents : (p + 1) * n_tangents], out[r])


@kernel
def combine_back(
    coefficients,
    slopes,
    bends,
    samples,
    starts,
    tangents,
    gradients,
    scaled,
    out,
    push,
    first,
    last,
):
    """Do :func:`combine`, of tangents t that s'(a) then scales, where gradients g_r come down from above.

    out_r <- s'(a_i) sum_k c_rk t_k, ``scaled`` <- s'(a_i) g_r, and the sum over r of
    s''(a_i) g_r sum_k c_rk t_k is added to ``push``.
    """
    n_tangents, combined = coefficients.shape[1], np.empty_like(tangents[0])
    for p in range(first, last):
        slope, bend, pushes = slopes[samples[p]], bends[samples[p]], push[samples[p]]
        for r in range(starts[p], starts[p + 1]):
            _combine(coefficients[r], tangents[p * n_tangents : (p + 1) * n_tangents], combined)
            gradient, down, up = gradients[r], scaled[r], out[r]
            # One loop for each array that is written: more are not vectorized.
            for j in range(combined.size):
                pushes[j] += bend[j] * gradient[j] * combined[j]
            for j in range(combined.size):
                up[j] = slope[j] * combined[j]
            for j in range(combined.size):
                down[j] = slope[j] * gradient[j]


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
