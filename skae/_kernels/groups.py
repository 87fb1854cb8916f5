"""Shrinkage of overlapping groups of atoms.

The proximal step of ``t sum_g ||h_g||`` at u is u minus its projection onto the vectors ``sum_g z_g``, where z_g is zero
outside g and of norm at most t (Jenatton et al. 2011, section 3). The projection is found group by group.
Group g is ``members[starts[g]:starts[g + 1]]``; the z_g of a sample are one vector ``duals``.
"""

import numpy as np

from ._jit import kernel

_MOST_SWEEPS = 100


@kernel
def _offer(rest, members, duals, start, stop):
    """Return the norm of what group ``start:stop`` could take: the rest and what it has."""
    total = 0.0
    for k in range(start, stop):
        total += np.float64(rest[members[k]] + duals[k]) ** 2
    return np.sqrt(total)


@kernel
def project(limit, precision, starts, members, duals, rest):
    """Move into ``duals`` what groups of norm ``limit`` can take of ``rest``, until a sweep moves less than ``precision``."""
    for _ in range(_MOST_SWEEPS):
        moved = rest.dtype.type(0)
        for g in range(starts.size - 1):
            norm = _offer(rest, members, duals, starts[g], starts[g + 1])
            share = rest.dtype.type(limit / norm if norm > limit else 1.0)
            for k in range(starts[g], starts[g + 1]):
                j = members[k]
                new = share * (rest[j] + duals[k])
                change = new - duals[k]
                moved = max(moved, abs(change))
                duals[k], rest[j] = new, rest[j] - change
        if moved <= precision:
            break


@kernel
def shrink_groups(points, alphas, step, positive, precision, starts, members, duals, out):
    """out_i <- points_i shrunk by groups at alphas_i * step, from and to ``duals``."""
    zero = out.dtype.type(0)
    for i in range(points.shape[0]):
        limit = alphas[i] * step
        largest = zero
        for j in range(points.shape[1]):
            out[i, j] = max(points[i, j], zero) if positive else points[i, j]
            largest = max(largest, abs(out[i, j]))
        for k in range(members.size):
            out[i, members[k]] -= duals[i, k]
        project(limit, precision * largest, starts, members, duals[i], out[i])
        for g in range(starts.size - 1):
            if _offer(out[i], members, duals[i], starts[g], starts[g + 1]) < limit:
                for k in range(starts[g], starts[g + 1]):
                    out[i, members[k]] = zero


@kernel
def group_norms(codes, starts, members, out):
    """out_i <- sum_g ||h_g||."""
    for i in range(codes.shape[0]):
        out[i] = 0.0
        for g in range(starts.size - 1):
            total = 0.0
            for k in range(starts[g], starts[g + 1]):
                total += np.float64(codes[i, members[k]]) ** 2
            out[i] += np.sqrt(total)


@kernel
def group_bounds(pulls, alphas, positive, precision, starts, members, counts, duals, out):
    """out_i <- a bound of the dual norm of ``pulls_i``, near alphas_i where that suffices.

    The dual norm is the least ``max_g ||v_g||`` of any split of the pull among groups. This one is the projection,
    found from ``duals``, with what is left split evenly among the ``counts`` groups of an atom.
    """
    rest = np.empty(pulls.shape[1], pulls.dtype)
    zero = pulls.dtype.type(0)
    for i in range(pulls.shape[0]):
        for j in range(rest.size):
            rest[j] = max(pulls[i, j], zero) if positive else pulls[i, j]
        for k in range(members.size):
            rest[members[k]] -= duals[i, k]
        project(alphas[i], precision * alphas[i], starts, members, duals[i], rest)
        out[i] = 0.0
        for g in range(starts.size - 1):
            total = 0.0
            for k in range(starts[g], starts[g + 1]):
                total += np.float64(duals[i, k] + rest[members[k]] / counts[members[k]]) ** 2
            out[i] = max(out[i], np.sqrt(total))
