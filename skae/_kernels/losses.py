"""Reconstruction losses from logits: per-sample values, and the gradient, which overwrites the logits.

``columns`` are the runs [start, stop) of columns with that loss. ``sample_weights`` multiply the gradient but not
``values``; ``cell_weights`` (an empty array if all are 1) multiply both.
"""

import numpy as np

from ._jit import kernel
from .elementary import exp, log1p_unit, zero_if_tiny


@kernel
def gaussian(logits, target, columns, sample_weights, cell_weights, values):
    """Add sum_j (a_j - x_j)^2 / 2 to ``values``."""
    half = logits.dtype.type(0.5)
    for i in range(logits.shape[0]):
        weight = sample_weights[i]
        for run in range(columns.shape[0]):
            total = logits.dtype.type(0)
            # Slices, since an index from an array might be negative, which prevents vectorization.
            a = logits[i, columns[run, 0] : columns[run, 1]]
            x = target[i, columns[run, 0] : columns[run, 1]]
            if cell_weights.size:
                cells = cell_weights[i, columns[run, 0] : columns[run, 1]]
                for j in range(a.size):
                    error = a[j] - x[j]
                    total += half * error * error * cells[j]
                    a[j] = weight * error * cells[j]
            else:
                for j in range(a.size):
                    error = a[j] - x[j]
                    total += half * error * error
                    a[j] = weight * error
            values[i] += total


@kernel
def _cross_entropy(a, x, zero, one):
    """Return softplus(a) - x a and its derivative sigmoid(a) - x."""
    e = exp(-abs(a))
    mean = (one if a >= zero else e) / (one + e)
    return max(a, zero) + log1p_unit(e) - x * a, mean - x


@kernel
def bernoulli(logits, target, columns, sample_weights, cell_weights, values):
    """Add sum_j softplus(a_j) - x_j a_j, the cross-entropy of sigmoid(a_j), to ``values``."""
    zero = logits.dtype.type(0)
    one = logits.dtype.type(1)
    for i in range(logits.shape[0]):
        weight = sample_weights[i]
        for run in range(columns.shape[0]):
            total = zero
            # Slices, since an index from an array might be negative, which prevents vectorization.
            a = logits[i, columns[run, 0] : columns[run, 1]]
            x = target[i, columns[run, 0] : columns[run, 1]]
            if cell_weights.size:
                cells = cell_weights[i, columns[run, 0] : columns[run, 1]]
                for j in range(a.size):
                    loss, gradient = _cross_entropy(a[j], x[j], zero, one)
                    total += loss * cells[j]
                    a[j] = zero_if_tiny(weight * gradient * cells[j])
            else:
                for j in range(a.size):
                    loss, gradient = _cross_entropy(a[j], x[j], zero, one)
                    total += loss
                    a[j] = zero_if_tiny(weight * gradient)
            values[i] += total


@kernel
def multinomial(logits, target, indices, offsets, sample_weights, cell_weights, values):
    """Add -sum_j x_j log softmax(a)_j, for each group of columns, to ``values``."""
    zero = logits.dtype.type(0)
    one = logits.dtype.type(1)
    emphasized = cell_weights.size > 0
    for i in range(logits.shape[0]):
        total = zero
        for group in range(offsets.size - 1):
            start, stop = offsets[group], offsets[group + 1]
            top = logits[i, indices[start]]
            for k in range(start + 1, stop):
                top = max(top, logits[i, indices[k]])
            normalizer, mass, inner = zero, zero, zero
            for k in range(start, stop):
                j = indices[k]
                cell = cell_weights[i, j] if emphasized else one
                normalizer += exp(logits[i, j] - top)
                mass += cell * target[i, j]
                inner += cell * target[i, j] * (logits[i, j] - top)
            total += mass * np.log(normalizer) - inner
            for k in range(start, stop):
                j = indices[k]
                cell = cell_weights[i, j] if emphasized else one
                mean = exp(logits[i, j] - top) / normalizer
                gradient = sample_weights[i] * (mass * mean - cell * target[i, j])
                logits[i, j] = zero_if_tiny(gradient)
        values[i] += total
