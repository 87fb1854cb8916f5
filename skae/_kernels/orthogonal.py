"""Gram-Schmidt for many samples at once, each with its own basis."""

import numpy as np

from ._jit import kernel

_KEPT_LENGTH = 0.5  # a vector that keeps a smaller fraction of its norm takes another pass (Daniel et al. 1976)


@kernel
def orthonormalize(basis, count, vectors, lengths):
    """vectors_i <- the part orthogonal to the first rows of basis_i, at norm 1; lengths_i <- its norm before."""
    zero = vectors.dtype.type(0)
    for i in range(vectors.shape[0]):
        vector = vectors[i]
        before, after = zero, _length(vector)
        tiny = after * np.finfo(vector.dtype).eps
        while after > tiny and (before == zero or after < _KEPT_LENGTH * before):
            _remove(basis[i], count, vector)
            before, after = after, _length(vector)
        if after <= tiny:
            after = zero
            vector[:] = zero
        lengths[i] = after
        if after > zero:
            for j in range(vector.size):
                vector[j] /= after


@kernel
def _length(vector):
    total = vector.dtype.type(0)
    for j in range(vector.size):
        total += vector[j] * vector[j]
    return np.sqrt(total)


@kernel
def _remove(directions, count, vector):
    """Subtract the components along the first ``count`` directions, four at a time to access ``vector`` less often."""
    zero = vector.dtype.type(0)
    whole = count // 4 * 4
    for q in range(0, whole, 4):
        a, b, c, d = directions[q], directions[q + 1], directions[q + 2], directions[q + 3]
        pa, pb, pc, pd = zero, zero, zero, zero
        for j in range(vector.size):
            pa += a[j] * vector[j]
            pb += b[j] * vector[j]
            pc += c[j] * vector[j]
            pd += d[j] * vector[j]
        for j in range(vector.size):
            vector[j] -= pa * a[j] + pb * b[j] + pc * c[j] + pd * d[j]
    for q in range(whole, count):
        a, part = directions[q], zero
        for j in range(vector.size):
            part += a[j] * vector[j]
        for j in range(vector.size):
            vector[j] -= part * a[j]
