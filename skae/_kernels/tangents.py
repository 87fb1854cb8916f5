"""One elementwise layer of forward-mode tangents, k directions for each of n samples, and back again."""

from ._jit import kernel
from .elementary import unpacked


@kernel
def scale(slopes, tangents, out, start, stop):
    """out_ki <- s'(a_i) t_ki, for samples i from ``start`` to ``stop``; ``tangents`` of one sample are those of all."""
    shared = tangents.shape[1] == 1
    for k in range(tangents.shape[0]):
        for i in range(start, stop):
            slope, tangent, scaled = slopes[i], tangents[k, 0 if shared else i], out[k, i]
            for j in range(scaled.size):
                scaled[j] = slope[j] * tangent[j]


@kernel
def scale_back(slopes, bends, tangents, pull, push, start, stop):
    """For some samples, from ``pull``, the gradient at s'(a) t: leave the one at t in its place, add the one at a to ``push``."""
    shared = tangents.shape[1] == 1
    for k in range(tangents.shape[0]):
        for i in range(start, stop):
            slope, bend, tangent = slopes[i], bends[i], tangents[k, 0 if shared else i]
            pulls, pushes = pull[k, i], push[i]
            for j in range(pulls.size):
                pushes[j] += bend[j] * tangent[j] * pulls[j]
                pulls[j] *= slope[j]


@kernel
def squares(tangents, sample_weights, pull):
    """Return sum_ki v_i ||t_ki||^2; ``pull`` <- its gradient. They may be one array."""
    two = tangents.dtype.type(2)
    value = 0.0
    for k in range(tangents.shape[0]):
        for i in range(tangents.shape[1]):
            total = tangents.dtype.type(0)
            for j in range(tangents.shape[2]):
                total += tangents[k, i, j] * tangents[k, i, j]
                pull[k, i, j] = two * sample_weights[i] * tangents[k, i, j]
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
