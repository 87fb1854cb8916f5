"""Tangents of n samples, k of each: looked up, and their squares."""

from ._jit import kernel
from .elementary import unpacked


@kernel
def squares(tangents, sample_weights, gradient):
    """Return sum_ik v_i ||t_ik||^2; ``gradient`` <- its gradient. They may be one array."""
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
    """out_ik <- the k-th of the vectors that ``basis`` has at the i-th of ``places``, for some i; halves as their bits."""
    for i in range(start, stop):
        vectors = basis[places[i]]
        for k in range(vectors.shape[0]):
            vector, into = vectors[k], out[i, k]
            for j in range(into.size):
                into[j] = unpacked(vector[j])


@kernel
def gather_sum(basis, places, signs, out, start, stop):
    """out_i <- the sum of these vectors, each times its sign."""
    for i in range(start, stop):
        vectors, into = basis[places[i]], out[i]
        into[:] = 0
        for k in range(vectors.shape[0]):
            vector, sign = vectors[k], signs[i, k]
            for j in range(into.size):
                into[j] += sign * unpacked(vector[j])
