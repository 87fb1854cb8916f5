"""Sums of Gaussian kernels, from their exponents."""

import numpy as np

from ._jit import kernel
from .elementary import exp


@kernel
def add_exponentials(exponents, tops, precisions, totals):
    """totals_ki <- totals_ki + sum_j exp(precision_k (exponent_ij - top_i))."""
    for i in range(exponents.shape[0]):
        row, top = exponents[i], tops[i]
        for k in range(precisions.size):
            precision = precisions[k]
            total = np.float64(0)
            for j in range(row.size):
                total += np.float64(exp(precision * (row[j] - top)))
            totals[k, i] += total
