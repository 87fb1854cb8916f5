"""Coordinate descent on a working set: the lasso of one sample, down to a duality gap."""

from typing import NamedTuple

import numpy as np

from ._jit import kernel
from .gap import add_rows, copy, duality_gap, violation


class DescentBuffers(NamedTuple):
    """Memory of ``descend`` for one sample.

    Parameters
    ----------
    residual_corr : ndarray of shape (n_atoms,)
    support : ndarray of int of shape (n_atoms,)
    values : ndarray of shape (n_atoms,)
    local : ndarray of shape (n_atoms + 1, n_atoms)
        Gram matrix and ``residual_corr`` of a working set.
    """

    residual_corr: np.ndarray
    support: np.ndarray
    values: np.ndarray
    local: np.ndarray


@kernel
def descent_buffers(gram):
    """Return the ``DescentBuffers`` for problems with this Gram matrix."""
    n_atoms = gram.shape[0]
    return DescentBuffers(
        np.empty(n_atoms, gram.dtype),
        np.empty(n_atoms, np.int64),
        np.empty(n_atoms, gram.dtype),
        np.empty((n_atoms + 1, n_atoms), gram.dtype),
    )


@kernel
def shrink(value, alpha, positive):
    """Return the soft threshold of ``value``: the lasso of one coordinate."""
    if value > alpha:
        return value - alpha
    if value < -alpha and not positive:
        return value + alpha
    return value - value


@kernel
def list_nonzeros(codes, support, values):
    """List the nonzeros of ``codes`` in ``support`` and ``values``; return their number."""
    count = 0
    for j in range(codes.size):
        if codes[j] != 0:
            support[count], values[count] = j, codes[j]
            count += 1
    return count


@kernel
def _working_set(residual_corr, codes, alpha, top, positive, members):
    """List the atoms with nonzero codes, and those whose violation is beyond the midpoint of alpha and ``top``."""
    limit = residual_corr.dtype.type(0.5) * (alpha + top)
    count = 0
    for j in range(residual_corr.size):
        size = residual_corr[j] if positive else abs(residual_corr[j])
        if codes[j] != 0 or (size > alpha and size >= limit):
            members[count] = j
            count += 1
    return count


@kernel
def _sweep(gram, alpha, positive, members, codes, residual_corr):
    """Make one pass over a working set with its own Gram matrix; return the decrease of the objective."""
    decrease = 0.0
    for k in range(members.size):
        row, old = gram[k], codes[members[k]]
        if row[k] <= 0:  # an atom of zeros, whose code is only penalized
            decrease += alpha * abs(old)
            codes[members[k]] = old - old
            continue
        new = shrink(residual_corr[k] + row[k] * old, alpha, positive) / row[k]
        if new == old:
            continue
        step = new - old
        codes[members[k]] = new
        for j in range(residual_corr.size):
            residual_corr[j] -= step * row[j]
        decrease += 0.5 * row[k] * step * step
    return decrease


@kernel
def descend(gram, alpha, positive, tol, max_iter, squared_norm, correlation, codes, buffers):
    """Improve ``codes`` until the gap is at most ``tol / 2`` times the squared norm; return the gap.

    It ends earlier if the gap is at the level of rounding. On return ``buffers.residual_corr`` is c - Gh, up to
    rounding.
    """
    residual_corr, support, values, local = buffers
    target = 0.5 * tol * squared_norm
    precision = 0.1 * target
    noise = squared_norm * (1e-14 if residual_corr.itemsize == 4 else 1e-31)
    stalled = False
    for iteration in range(max_iter + 1):
        count = list_nonzeros(codes, support, values)
        copy(correlation, residual_corr)
        for k in range(count):
            values[k] = -values[k]
        add_rows(gram, support, values, count, residual_corr)
        for k in range(count):
            values[k] = -values[k]
        gap = duality_gap(
            squared_norm, alpha, positive, correlation, residual_corr, support, values, count
        )
        if gap <= target or stalled or iteration == max_iter:
            break
        size = _working_set(
            residual_corr, codes, alpha, violation(residual_corr, positive), positive, support
        )
        members = support[:size]
        small, near = local[:size, :size], local[size, :size]
        for k in range(size):
            near[k] = residual_corr[members[k]]
            for j in range(size):
                small[k, j] = gram[members[k], members[j]]
        total = 0.0
        for _ in range(100):
            decrease = _sweep(small, alpha, positive, members, codes, near)
            total += decrease
            if decrease <= precision:
                break
        stalled = total <= noise
        precision *= 0.3
    return gap


@kernel
def descend_rows(gram, rows, positive, tol, max_iter, codes, gaps):
    """Call ``descend`` for each row of ``codes``, starting from these codes; ``rows`` are ``RowStatistics``."""
    buffers = descent_buffers(gram)
    for i in range(codes.shape[0]):
        alpha, correlation = rows.alphas[i], rows.correlations[i]
        squared_norm = rows.squared_norms[i]
        gaps[i] = descend(
            gram, alpha, positive, tol, max_iter, squared_norm, correlation, codes[i], buffers
        )
