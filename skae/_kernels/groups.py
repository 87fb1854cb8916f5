"""Shrinkage of overlapping groups of atoms.

The proximal step of ``t sum_g ||h_g||`` at u is u minus its projection onto the vectors ``sum_g z_g``, where z_g is
zero outside g and of norm at most t (Jenatton et al. 2011, section 3). The projection is found group by group. Group g
is ``members[starts[g]:starts[g + 1]]``; the z_g of a sample are one vector ``duals``.
"""

import numpy as np

from ._jit import kernel

_MOST_SWEEPS = 100


@kernel
def _group_norm(rest, members, duals, start, stop):
    """Return the norm of the sum of the group ``start:stop``'s part of the rest and its dual vector."""
    total = 0.0
    for k in range(start, stop):
        total += np.float64(rest[members[k]] + duals[k]) ** 2
    return np.sqrt(total)


@kernel
def project(limit, precision, starts, members, duals, rest):
    """Move parts of ``rest`` into ``duals``, whose groups have norms of at most ``limit``, to minimize the rest.

    Block coordinate descent, group by group, until no entry changes by more than ``precision`` in a sweep.
    """
    for _ in range(_MOST_SWEEPS):
        moved = rest.dtype.type(0)
        for g in range(starts.size - 1):
            norm = _group_norm(rest, members, duals, starts[g], starts[g + 1])
            factor = rest.dtype.type(limit / norm if norm > limit else 1.0)
            for k in range(starts[g], starts[g + 1]):
                j = members[k]
                new = factor * (rest[j] + duals[k])
                change = new - duals[k]
                moved = max(moved, abs(change))
                duals[k], rest[j] = new, rest[j] - change
        if moved <= precision:
            break


@kernel
def shrink_groups(points, alphas, step, positive, precision, starts, members, duals, out):
    """out_i <- the proximal step at points_i with t = alphas_i * step; ``duals`` are its start and its solution."""
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
            if _group_norm(out[i], members, duals[i], starts[g], starts[g + 1]) < limit:
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
def group_bounds(residual_corr, alphas, positive, precision, starts, members, counts, duals, out):
    """out_i <- an upper bound on the dual norm of r = ``residual_corr_i``, which is close if the norm is near alphas_i.

    The dual norm is the minimum of ``max_g ||v_g||`` over vectors v_g of the groups that add up to r. The bound takes
    those of the projection, started from ``duals``, and splits the rest evenly among the ``counts`` groups of an atom.
    """
    rest = np.empty(residual_corr.shape[1], residual_corr.dtype)
    zero = residual_corr.dtype.type(0)
    for i in range(residual_corr.shape[0]):
        for j in range(rest.size):
            rest[j] = max(residual_corr[i, j], zero) if positive else residual_corr[i, j]
        for k in range(members.size):
            rest[members[k]] -= duals[i, k]
        project(alphas[i], precision * alphas[i], starts, members, duals[i], rest)
        out[i] = 0.0
        for g in range(starts.size - 1):
            total = 0.0
            for k in range(starts[g], starts[g + 1]):
                total += np.float64(duals[i, k] + rest[members[k]] / counts[members[k]]) ** 2
            out[i] = max(out[i], np.sqrt(total))
