"""The surrogate of online dictionary learning and its descent: see :mod:`skae._kernels.dictionary`."""

from .._kernels import dictionary as compiled
from .choice import portable
from .namespace import namespace


@portable(compiled.accumulate)
def accumulate(codes, rows, weights, decay, second, cross):
    """second <- decay second + sum_i v_i h_i h_i'; cross the same with h_i x_i'."""
    xp, weighted = namespace(codes), (weights[:, None] * codes).T
    second[...] = decay * second + xp.matmul(weighted, codes)
    cross[...] = decay * cross + xp.matmul(weighted, rows)


@portable(compiled.update_atoms)
def update_atoms(second, cross, dictionary):
    """Minimize tr(D' A D)/2 - tr(D' B) atom by atom, each inside the unit ball, with A = ``second``.

    Atoms that no code has used stay unchanged.
    """
    xp = namespace(dictionary)
    for j in range(dictionary.shape[0]):
        curvature, before = second[j, j], dictionary[j, ...]
        used = curvature > 0
        descent = cross[j, ...] - xp.matmul(second[j, ...], dictionary)
        atom = before + descent / xp.where(used, curvature, xp.ones_like(curvature))
        norm = xp.sqrt(xp.sum(atom * atom))
        atom = atom / xp.maximum(norm, xp.ones_like(norm))
        dictionary[j, ...] = xp.where(used, atom, before)
