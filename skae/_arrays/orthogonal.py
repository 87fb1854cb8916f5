"""Gram-Schmidt for many samples at once: see :mod:`skae._kernels.orthogonal`."""

from .._kernels import orthogonal as compiled
from .choice import portable
from .namespace import namespace, precision_of, row_norms

_PASSES = 3  # the later ones remove the components that rounding left


@portable(compiled.orthonormalize)
def orthonormalize(basis, count, vectors, lengths):
    """vectors_i <- the part orthogonal to the first rows of basis_i, at norm 1; lengths_i <- its norm before."""
    xp = namespace(vectors)
    known, rest, length = basis[:, :count, :], vectors, row_norms(vectors)
    tiny = precision_of(vectors) * length
    for _ in range(_PASSES if count else 0):
        along = xp.matmul(known, rest[:, :, None])[:, :, 0]
        after = rest - xp.matmul(along[:, None, :], known)[:, 0, :]
        # A vector of rounding errors alone would never become orthogonal.
        rest = xp.where((length > tiny)[:, None], after, rest)
        length = row_norms(rest)
    left = length > tiny
    scale = xp.where(left, length, xp.ones_like(length))[:, None]
    vectors[...] = xp.where(left[:, None], rest / scale, xp.zeros_like(rest))
    lengths[...] = xp.where(left, length, xp.zeros_like(length))
