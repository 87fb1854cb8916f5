"""Patches of images, their codes and pooled codes, by bands of positions that stay in the cache.

Positions of a block of images are numbered image by image, row by row.
"""

from typing import NamedTuple

import numpy as np

from ._jit import kernel

SUM, MAX, SQUARES = 0, 1, 2


class Windows(NamedTuple):
    """Pooling windows over the positions of an image, and what the codes in a window are pooled by.

    Parameters
    ----------
    n_down, n_across : int
        Number of positions.
    rows, columns : ndarray of shape (n_windows, 2)
        Pairs [start, stop) of rows or columns of positions.
    kind : int
        SUM, MAX or SQUARES.
    """

    n_down: int
    n_across: int
    rows: np.ndarray
    columns: np.ndarray
    kind: int


@kernel
def gather_patches(images, height, width, first, patches):
    """patches_r <- the patch at position ``first + r`` of images (n, rows, columns, channels)."""
    gather_tile(images, height, width, 0, 0, 1, 1, first, patches)


@kernel
def gather_tile(images, height, width, top, left, down, across, first, patches):
    """Do ``gather_patches`` with every ``down``-th row and ``across``-th column from (top, left) on as positions."""
    n_down = (images.shape[1] - height - top) // down + 1
    n_across = (images.shape[2] - width - left) // across + 1
    n_channels, length = images.shape[3], width * images.shape[3]
    lines = images.reshape(images.shape[0], images.shape[1], images.shape[2] * n_channels)
    for r in range(patches.shape[0]):
        image, place = divmod(first + r, n_down * n_across)
        row, column = divmod(place, n_across)
        row, column = top + row * down, left + column * across
        for i in range(height):
            line, patch = lines[image, row + i], patches[r, i * length : (i + 1) * length]
            for k in range(length):
                patch[k] = line[column * n_channels + k]


@kernel
def add_patches(patches, height, width, images):
    """Add the patches of all positions to ``images``: the adjoint of ``gather_patches``."""
    n_down, n_across = images.shape[1] - height + 1, images.shape[2] - width + 1
    n_channels, length = images.shape[3], width * images.shape[3]
    lines = images.reshape(images.shape[0], images.shape[1], images.shape[2] * n_channels)
    for r in range(patches.shape[0]):
        image, place = divmod(r, n_down * n_across)
        top, left = divmod(place, n_across)
        for i in range(height):
            line, patch = lines[image, top + i], patches[r, i * length : (i + 1) * length]
            for k in range(length):
                line[left * n_channels + k] += patch[k]


@kernel
def normalize_patches(patches, floor):
    """x <- (x - mean(x)) / sqrt(var(x) + floor) in each row, except for its last column."""
    one, n = patches.dtype.type(1), patches.shape[1] - 1
    for r in range(patches.shape[0]):
        # A sum of large pixels would lose the digits in which they differ.
        total, pivot = patches.dtype.type(0), patches[r, 0]
        for j in range(n):
            patches[r, j] -= pivot
        for j in range(n):
            total += patches[r, j]
        mean = total / patches.dtype.type(n)
        squares = patches.dtype.type(0)
        for j in range(n):
            patches[r, j] -= mean
            squares += patches[r, j] * patches[r, j]
        scale = one / np.sqrt(squares / patches.dtype.type(n) + floor)
        for j in range(n):
            patches[r, j] *= scale


@kernel
def center_patches(patches, center):
    """x <- x - center in each row, except for its last column."""
    for r in range(patches.shape[0]):
        for j in range(center.shape[0]):
            patches[r, j] -= center[j]


@kernel
def split_threshold(products, alpha, codes):
    """codes_r <- max(0, p - alpha) and then max(0, -p - alpha) of each product p of the row."""
    zero, n = products.dtype.type(0), products.shape[1]
    for r in range(products.shape[0]):
        for j in range(n):
            codes[r, j] = max(products[r, j] - alpha, zero)
        for j in range(n):
            codes[r, n + j] = max(-products[r, j] - alpha, zero)


@kernel
def triangle(products, squared_norms, codes):
    """codes_r <- max(0, mean distance - distance to each center), see ``distances_of``."""
    for r in range(products.shape[0]):
        mean = distances_of(products[r], squared_norms, codes[r])
        for j in range(codes.shape[1]):
            codes[r, j] = max(mean - codes[r, j], codes.dtype.type(0))


@kernel
def distances_of(products, squared_norms, distances):
    """Fill in the distances of a patch to the centers and return their mean.

    ``products`` are the patch's inner products with the centers and, last, with itself.
    """
    zero, two = products.dtype.type(0), products.dtype.type(2)
    n, square, total = distances.shape[0], zero, zero
    for j in range(n, products.shape[0]):
        square += products[j] * products[j]
    for j in range(n):
        distances[j] = np.sqrt(max(square + squared_norms[j] - two * products[j], zero))
    # Not in the loop that writes, whose order of additions would depend on where in memory arrays lie.
    for j in range(n):
        total += distances[j]
    return total / products.dtype.type(n)


@kernel
def pool(codes, first, windows, pooled):
    """Add the codes of positions ``first``, ... to ``pooled`` (n, n_windows_down, n_windows_across, n_maps)."""
    n_down, n_across, rows, columns, kind = windows
    for r in range(codes.shape[0]):
        image, place = divmod(first + r, n_down * n_across)
        i, j = divmod(place, n_across)
        for a in range(rows.shape[0]):
            if rows[a, 0] <= i < rows[a, 1]:
                for b in range(columns.shape[0]):
                    if columns[b, 0] <= j < columns[b, 1]:
                        pool_row(codes[r], kind, pooled[image, a, b])


@kernel
def pool_row(codes, kind, pooled):
    """Add one position to one window."""
    if kind == MAX:
        for k in range(codes.shape[0]):
            pooled[k] = max(pooled[k], codes[k])
    elif kind == SQUARES:
        for k in range(codes.shape[0]):
            pooled[k] += codes[k] * codes[k]
    else:
        for k in range(codes.shape[0]):
            pooled[k] += codes[k]


@kernel
def pool_split(products, alpha, first, windows, pooled):
    """Do ``split_threshold`` and then ``pool`` at once, without storing the codes."""
    n_down, n_across, rows, columns, kind = windows
    n, r = products.shape[0], 0
    while r < n:
        image, place = divmod(first + r, n_down * n_across)
        i, j = divmod(place, n_across)
        end = min(r + n_across - j, n)  # of this row of positions
        for a in range(rows.shape[0]):
            if rows[a, 0] <= i < rows[a, 1]:
                for b in range(columns.shape[0]):
                    start, stop = r + max(columns[b, 0] - j, 0), min(r + columns[b, 1] - j, end)
                    if start < stop:
                        pool_split_run(products[start:stop], alpha, kind, pooled[image, a, b])
        r = end


@kernel
def pool_split_run(products, alpha, kind, pooled):
    """Add adjacent positions to one window, four at a time if codes are summed."""
    n, r = products.shape[1], 0
    if kind == SUM:
        while r + 4 <= products.shape[0]:
            a, b, c, d = products[r], products[r + 1], products[r + 2], products[r + 3]
            add_split_four(a, b, c, d, alpha, pooled[:n], pooled[n:])
            r += 4
    while r < products.shape[0]:
        pool_split_row(products[r], alpha, kind, pooled)
        r += 1


@kernel
def add_split_four(a, b, c, d, alpha, above, below):
    """Add both parts of four positions: max(0, p - alpha) is max(p, alpha) - alpha."""
    four = a.dtype.type(4) * alpha
    for k in range(a.shape[0]):
        high = max(a[k], alpha) + max(b[k], alpha) + max(c[k], alpha) + max(d[k], alpha)
        low = min(a[k], -alpha) + min(b[k], -alpha) + min(c[k], -alpha) + min(d[k], -alpha)
        above[k] += high - four
        below[k] -= low + four


@kernel
def pool_split_row(products, alpha, kind, pooled):
    """Add both parts of one position to one window."""
    zero, n = products.dtype.type(0), products.shape[0]
    above, below = pooled[:n], pooled[n:]
    if kind == MAX:
        for k in range(n):
            above[k] = max(above[k], max(products[k] - alpha, zero))
            below[k] = max(below[k], max(-products[k] - alpha, zero))
    elif kind == SQUARES:
        for k in range(n):
            above[k] += max(products[k] - alpha, zero) ** 2
            below[k] += max(-products[k] - alpha, zero) ** 2
    else:
        for k in range(n):
            above[k] += max(products[k] - alpha, zero)
            below[k] += max(-products[k] - alpha, zero)


@kernel
def pool_triangle(products, squared_norms, distances, first, windows, pooled):
    """Do ``triangle`` and then ``pool`` at once, without storing the codes.

    ``distances`` is a buffer for one position.
    """
    n_down, n_across, rows, columns, kind = windows
    for r in range(products.shape[0]):
        mean = distances_of(products[r], squared_norms, distances)
        image, place = divmod(first + r, n_down * n_across)
        i, j = divmod(place, n_across)
        for a in range(rows.shape[0]):
            if rows[a, 0] <= i < rows[a, 1]:
                for b in range(columns.shape[0]):
                    if columns[b, 0] <= j < columns[b, 1]:
                        pool_ramp_row(mean, distances, kind, pooled[image, a, b])


@kernel
def pool_ramp_row(mean, distances, kind, pooled):
    """Add max(0, mean - distance) of one position to one window."""
    zero, n = distances.dtype.type(0), distances.shape[0]
    if kind == MAX:
        for k in range(n):
            pooled[k] = max(pooled[k], max(mean - distances[k], zero))
    elif kind == SQUARES:
        for k in range(n):
            pooled[k] += max(mean - distances[k], zero) ** 2
    else:
        for k in range(n):
            pooled[k] += max(mean - distances[k], zero)
