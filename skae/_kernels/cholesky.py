"""A Cholesky factor L of the Gram matrix of active atoms, which are added and removed one at a time."""

import numpy as np

from ._jit import kernel


@kernel
def append(factor, gram, support, count, atom, smallest):
    """Extend the Cholesky factor by ``atom``; return whether it is independent enough of the others."""
    row = factor[count]
    diagonal = gram[atom, atom]
    limit = smallest * diagonal
    for i in range(count):
        total = gram[atom, support[i]]
        above = factor[i]
        for j in range(i):
            total -= above[j] * row[j]
        row[i] = total / above[i]
        diagonal -= row[i] * row[i]
    if not diagonal > limit:
        return False
    row[count] = np.sqrt(diagonal)
    return True


@kernel
def remove(factor, count, place):
    """Remove row and column ``place`` from the Cholesky factor by Givens rotations."""
    for i in range(place, count - 1):
        for j in range(i + 2):
            factor[i, j] = factor[i + 1, j]
    for j in range(place, count - 1):
        a, b = factor[j, j], factor[j, j + 1]
        length = np.sqrt(a * a + b * b)
        cos, sin = a / length, b / length
        for i in range(j, count - 1):
            left, right = factor[i, j], factor[i, j + 1]
            factor[i, j] = cos * left + sin * right
            factor[i, j + 1] = cos * right - sin * left


@kernel
def forward(factor, signs, first, count, out):
    """Solve L y = signs from row ``first`` on; earlier rows are already solved."""
    for i in range(first, count):
        total = signs[i]
        row = factor[i]
        for j in range(i):
            total -= row[j] * out[j]
        out[i] = total / row[i]


@kernel
def backward(factor, count, out):
    """Solve L' d = out in place."""
    for i in range(count - 1, -1, -1):
        row = factor[i]
        value = out[i] / row[i]
        out[i] = value
        for j in range(i):
            out[j] -= row[j] * value
