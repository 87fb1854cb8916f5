"""Coordinate descent for the sparse codes of one image, which keeps the image's residual up to date.

Codes are numbered by position, row by row, and by filter within a position. Images are arrays of lines, (rows,
columns * channels), and filters are rows in the format of ``gather_patches``.
"""

from typing import NamedTuple

import numpy as np

from ._jit import kernel
from .coordinate_descent import shrink

_LEAST_GAIN = 0.02  # fraction of the first pass's gain: passes continue while they gain more


class Layout(NamedTuple):
    """Where filters are in an image.

    Parameters
    ----------
    offsets : ndarray of int of shape (n_positions,)
        Index of the first filter of each position.
    height : int
        Height of patches.
    n_across : int
        Number of positions in a row.
    n_channels : int
    """

    offsets: np.ndarray
    height: int
    n_across: int
    n_channels: int


class CodeProblem(NamedTuple):
    """What the codes of an image minimize, besides their penalty.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_values)
    curvatures : ndarray of shape (n_filters,)
        Second derivatives by the codes of each filter, including ``ridge``.
    layout : Layout
    ridge : float
        Weight of half the squared distance from ``prior``.
    prior : ndarray of shape (n_codes,) or (0,)
        May be empty.
    """

    filters: np.ndarray
    curvatures: np.ndarray
    layout: Layout
    ridge: float
    prior: np.ndarray


@kernel
def read_patch(lines, top, start, height, length, patch):
    """patch <- ``height`` parts of lines from ``top`` and ``start`` on."""
    for i in range(height):
        line, part = lines[top + i, start : start + length], patch[i * length : (i + 1) * length]
        for k in range(length):
            part[k] = line[k]


@kernel
def write_patch(lines, top, start, height, length, patch):
    """Write ``patch`` to where ``read_patch`` reads it."""
    for i in range(height):
        line, part = lines[top + i, start : start + length], patch[i * length : (i + 1) * length]
        for k in range(length):
            line[k] = part[k]


@kernel
def subtract_filters(codes, members, filters, layout, residual):
    """residual <- residual - sum of filters times their ``codes``, which are zero outside of ``members``."""
    offsets, height, n_across, n_channels = layout
    n_filters, length, q = codes.shape[0] // offsets.shape[0], filters.shape[1] // height, 0
    patch = filters[0].copy()
    while q < members.shape[0]:
        position = members[q] // n_filters
        top, left = divmod(position, n_across)
        read_patch(residual, top, left * n_channels, height, length, patch)
        while q < members.shape[0] and members[q] // n_filters == position:
            weight = codes[members[q]]
            row = filters[offsets[position] + members[q] - position * n_filters]
            for j in range(row.shape[0]):
                patch[j] -= weight * row[j]
            q += 1
        write_patch(residual, top, left * n_channels, height, length, patch)


@kernel
def working_set(residual_corr, codes, alpha, n_filters, members):
    """List the nonzero codes and, at each position, the zero code that violates optimality most; return their number.

    ``residual_corr`` are minus the gradients of the codes.
    """
    count = 0
    for first in range(0, codes.shape[0], n_filters):
        strongest, top = -1, alpha
        for p in range(first, first + n_filters):
            if codes[p] != 0:
                members[count] = p
                count += 1
            elif abs(residual_corr[p]) > top:
                strongest, top = p, abs(residual_corr[p])
        if strongest >= 0:
            members[count] = strongest
            count += 1
    return count


@kernel
def sweep(problem, alpha, weights, members, codes, residual):
    """Minimize over each code of ``members`` in turn; return a lower bound on the decrease of the objective.

    ``residual`` is the image minus the sum of filters. The penalty has the weight ``alpha`` on absolute values and, if
    they are not empty, half the ``weights`` of codes on squares.
    """
    filters, curvatures, layout, ridge, prior = problem
    patch = filters[0].copy()
    offsets, height, n_across, n_channels = layout
    n_filters, length = codes.shape[0] // offsets.shape[0], filters.shape[1] // height
    decrease, q = 0.0, 0
    while q < members.shape[0]:
        position = members[q] // n_filters
        top, left = divmod(position, n_across)
        read_patch(residual, top, left * n_channels, height, length, patch)
        changed = False
        while q < members.shape[0] and members[q] // n_filters == position:
            p = members[q]
            q += 1
            k = offsets[position] + p - position * n_filters
            row, curvature = filters[k], curvatures[k]
            if curvature <= 0:
                continue
            correlation = curvature * codes[p]
            for j in range(row.shape[0]):
                correlation += patch[j] * row[j]
            if prior.shape[0] > 0:
                correlation += ridge * (prior[p] - codes[p])
            if weights.shape[0] > 0:
                curvature += weights[p]
            new = shrink(correlation, alpha, False) / curvature
            step = new - codes[p]
            if step != 0:
                codes[p], changed = new, True
                decrease += 0.5 * curvature * step * step
                for j in range(row.shape[0]):
                    patch[j] -= step * row[j]
        if changed:
            write_patch(residual, top, left * n_channels, height, length, patch)
    return decrease


@kernel
def descend(problem, alpha, weights, members, max_iter, codes, residual):
    """Call ``sweep`` until it lowers the objective by at most ``_LEAST_GAIN`` of the first decrease.

    Return the number of calls and the total decrease.
    """
    total, first = 0.0, 0.0
    for n in range(max_iter):
        decrease = sweep(problem, alpha, weights, members, codes, residual)
        total += decrease
        first = decrease if n == 0 else first
        if decrease <= _LEAST_GAIN * first:
            return n + 1, total
    return max_iter, total
