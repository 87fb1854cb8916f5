"""Coordinate descent for the sparse codes of one image, which keeps the image's residual up to date.

Codes are numbered by position, row by row, and by filter within a position. Images are arrays of lines, (rows,
columns * channels), and filters are rows in the format of ``gather_patches``. A ``layout`` is (offsets, height,
n_across, n_channels): the first filter of each position, the height of patches, positions per row, and channels.
"""

from ._jit import kernel
from .coordinate_descent import shrink

_LEAST_GAIN = 0.02  # fraction of the first pass's gain: passes continue while they gain more


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
        place = members[q] // n_filters
        top, left = divmod(place, n_across)
        read_patch(residual, top, left * n_channels, height, length, patch)
        while q < members.shape[0] and members[q] // n_filters == place:
            weight = codes[members[q]]
            row = filters[offsets[place] + members[q] - place * n_filters]
            for j in range(row.shape[0]):
                patch[j] -= weight * row[j]
            q += 1
        write_patch(residual, top, left * n_channels, height, length, patch)


@kernel
def working_places(pulls, codes, alpha, n_filters, members):
    """List the nonzero codes and, at each position, the zero code that violates optimality most; return their number.
    ``pulls`` are minus the gradients of the codes.
    """
    count = 0
    for first in range(0, codes.shape[0], n_filters):
        strongest, top = -1, alpha
        for p in range(first, first + n_filters):
            if codes[p] != 0:
                members[count] = p
                count += 1
            elif abs(pulls[p]) > top:
                strongest, top = p, abs(pulls[p])
        if strongest >= 0:
            members[count] = strongest
            count += 1
    return count


@kernel
def sweep_places(
    filters, curvatures, layout, alpha, ridge, weights, prior, members, codes, residual
):
    """Minimize over each code of ``members`` in turn; return a lower bound on the decrease of the objective.

    ``residual`` is the image minus the sum of filters. ``curvatures`` are the second derivatives by the codes of
    filters, including ``ridge``; the ``weights`` of codes are added to them. ``weights`` and ``prior`` may be empty.
    """
    patch = filters[0].copy()
    offsets, height, n_across, n_channels = layout
    n_filters, length = codes.shape[0] // offsets.shape[0], filters.shape[1] // height
    fall, q = 0.0, 0
    while q < members.shape[0]:
        place = members[q] // n_filters
        top, left = divmod(place, n_across)
        read_patch(residual, top, left * n_channels, height, length, patch)
        changed = False
        while q < members.shape[0] and members[q] // n_filters == place:
            p = members[q]
            q += 1
            k = offsets[place] + p - place * n_filters
            row, curvature = filters[k], curvatures[k]
            if curvature <= 0:
                continue
            pull = curvature * codes[p]
            for j in range(row.shape[0]):
                pull += patch[j] * row[j]
            if prior.shape[0] > 0:
                pull += ridge * (prior[p] - codes[p])
            if weights.shape[0] > 0:
                curvature += weights[p]
            new = shrink(pull, alpha, False) / curvature
            step = new - codes[p]
            if step != 0:
                codes[p], changed = new, True
                fall += 0.5 * curvature * step * step
                for j in range(row.shape[0]):
                    patch[j] -= step * row[j]
        if changed:
            write_patch(residual, top, left * n_channels, height, length, patch)
    return fall


@kernel
def descend_places(
    filters, curvatures, layout, alpha, ridge, weights, prior, members, max_iter, codes, residual
):
    """Call ``sweep_places`` until it lowers the objective by at most ``_LEAST_GAIN`` of the first decrease.

    Return the number of calls and the total decrease.
    """
    total, first = 0.0, 0.0
    for n in range(max_iter):
        fall = sweep_places(
            filters, curvatures, layout, alpha, ridge, weights, prior, members, codes, residual
        )
        total += fall
        first = fall if n == 0 else first
        if fall <= _LEAST_GAIN * first:
            return n + 1, total
    return max_iter, total
