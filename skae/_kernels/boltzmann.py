"""Random states of units, drawn cell by cell from row and column keys."""

import numpy as np

from ._jit import kernel
from .elementary import exp
from .random import draw, normals


@kernel
def _uniform(row_key, column_key):
    """Return a uniform number in [0, 1), in float32."""
    return np.float32(draw(row_key, column_key) >> np.uint32(8)) * np.float32(2.0**-24)


@kernel
def draw_bernoulli(means, rows, columns, out):
    """out <- 1 with probability ``means``, else 0."""
    one = means.dtype.type(1)
    for i in range(means.shape[0]):
        for j in range(means.shape[1]):
            out[i, j] = one if _uniform(rows[i], columns[j]) < means[i, j] else one - one


@kernel
def bernoulli_units(a, bias, rows, columns, start, stop):
    """a <- 1 with probability sigmoid(a + bias), else 0; for units ``start`` to ``stop``."""
    one = a.dtype.type(1)
    bias, columns = bias[start:stop], columns[start:stop]
    for i in range(a.shape[0]):
        row = a[i, start:stop]
        for j in range(row.size):
            u = a.dtype.type(_uniform(rows[i], columns[j]))
            row[j] = one if u * (one + exp(-(row[j] + bias[j]))) < one else one - one


@kernel
def gaussian_units(a, runs, rows, columns):
    """a <- a + e, e standard normal, in the columns of ``runs``."""
    number = a.dtype.type
    buffers = np.empty((2, a.shape[1]), np.float32)
    for i in range(a.shape[0]):
        for run in range(runs.shape[0]):
            # Slices, since an index from an array might be negative, which prevents vectorization.
            means, keys = a[i, runs[run, 0] : runs[run, 1]], columns[runs[run, 0] : runs[run, 1]]
            work, noise = buffers[0, : means.size], buffers[1, : means.size]
            normals(rows[i], keys, work, noise)
            for j in range(means.size):
                means[j] += number(noise[j])


@kernel
def multinomial_units(a, indices, rows, columns):
    """a <- 1 in one of the columns ``indices``, with probability softmax(a), and 0 in the others."""
    zero = a.dtype.type(0)
    for i in range(a.shape[0]):
        top, total = a[i, indices[0]], zero
        for j in indices:
            top = max(top, a[i, j])
        for j in indices:
            a[i, j] = exp(a[i, j] - top)
            total += a[i, j]
        rest = a.dtype.type(_uniform(rows[i], columns[indices[0]])) * total
        chosen = indices[-1]
        for j in indices:
            if rest < a[i, j]:
                chosen = j
                break
            rest -= a[i, j]
        for j in indices:
            a[i, j] = zero
        a[i, chosen] = zero + a.dtype.type(1)


@kernel
def weigh(coefficients, a, sums, start, stop):
    """a_i <- coefficients_i a_i; sums <- its sum over rows; for units ``start`` to ``stop``."""
    zero = a.dtype.type(0)
    sums = sums[start:stop]
    sums[:] = zero
    for i in range(a.shape[0]):
        row = a[i, start:stop]
        for j in range(row.size):
            row[j] *= coefficients[i]
            sums[j] += row[j]
