"""Duality gap of lasso codes, the stopping criterion of every algorithm: it bounds the objective minus its optimum.

For one sample, P(h) = q/2 - c'h + h'Gh/2 + alpha ||h||_1 with q = ||x||^2, c = D x and G = D D' (any ridge
already in G). The residual x - D'h, scaled by s until ||s (c - Gh)||_inf <= alpha, is dual feasible; the
best such s bounds the optimum from below.
"""

from typing import NamedTuple

import numpy as np

from ._jit import kernel


class RowStatistics(NamedTuple):
    """What the lasso of some samples depends on, besides the Gram matrix.

    Parameters
    ----------
    correlations : ndarray of shape (n_samples, n_atoms)
        c of each sample.
    squared_norms : ndarray of shape (n_samples,)
        q of each sample, in float64.
    alphas : ndarray of shape (n_samples,)
        Weights of the penalty.
    """

    correlations: np.ndarray
    squared_norms: np.ndarray
    alphas: np.ndarray


@kernel
def copy(values, out):
    """out <- values: for ``out[:] = values``, numba compiles an error message, which takes seconds."""
    for j in range(out.size):
        out[j] = values[j]


@kernel
def add_rows(gram, support, weights, count, out):
    """out <- out + sum_k weights_k gram[support_k], four rows at a time."""
    k = 0
    while k + 4 <= count:
        a, b, c, d = weights[k], weights[k + 1], weights[k + 2], weights[k + 3]
        row_a, row_b = gram[support[k]], gram[support[k + 1]]
        row_c, row_d = gram[support[k + 2]], gram[support[k + 3]]
        for j in range(out.size):
            out[j] += a * row_a[j] + b * row_b[j] + c * row_c[j] + d * row_d[j]
        k += 4
    while k < count:
        a = weights[k]
        row_a = gram[support[k]]
        for j in range(out.size):
            out[j] += a * row_a[j]
        k += 1


@kernel
def violation(residual_corr, positive):
    """Return max_j |r_j|, or max_j r_j (at least 0) for codes that must be positive."""
    top = residual_corr.dtype.type(0)
    if positive:
        for j in range(residual_corr.size):
            top = max(top, residual_corr[j])
    else:
        for j in range(residual_corr.size):
            top = max(top, abs(residual_corr[j]))
    return top


@kernel
def duality_gap(squared_norm, alpha, positive, correlation, residual_corr, support, codes, count):
    """Return an upper bound on P(h) - min P, in float64.

    ``residual_corr`` is c - Gh, the correlations of all atoms with the residual; ``codes[:count]`` are the values of h
    at the atoms ``support``.
    """
    explained, moved, size = 0.0, 0.0, 0.0
    for k in range(count):
        value = np.float64(codes[k])
        explained += value * correlation[support[k]]
        moved += value * residual_corr[support[k]]
        size += abs(value)
    residual = max(squared_norm - explained - moved, 0.0)
    inner = squared_norm - explained
    bound = np.float64(violation(residual_corr, positive))
    largest = alpha / bound if bound > alpha else 1.0
    scale = min(inner / residual, largest) if residual > 0 else 0.0
    if not positive:
        scale = max(scale, -largest)
    else:
        scale = max(scale, 0.0)
    return max(0.5 * residual + alpha * size - scale * inner + 0.5 * scale * scale * residual, 0.0)
