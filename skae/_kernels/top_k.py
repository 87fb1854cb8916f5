"""The largest pre-activations of a row, and those above a threshold, found without sorting the row."""

import numpy as np

from ._jit import kernel
from .gap import copy

_GROUPS = 4  # groups of entries of a row, per entry that is kept
_BISECTIONS = 12  # bisections of the range of the largest entries


@kernel
def kth_largest(values, count, k):
    """Return the k-th largest of the first ``count`` values, which are reordered (Hoare 1961)."""
    low, high, place = 0, count - 1, count - k
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if place <= j:
            high = j
        elif place >= i:
            low = i
        else:
            break
    return values[place]


@kernel
def biased_maxima(row, bias, out):
    """out_j <- the largest of b_j, b_(j + m), b_(j + 2m), ..., where b = row + bias and m is the size of ``out``."""
    m = out.size
    for j in range(m):
        out[j] = row[j] + bias[j]
    for start in range(m, row.size, m):
        part, shift = row[start : start + m], bias[start : start + m]
        for j in range(part.size):
            value, best = part[j] + shift[j], out[j]
            out[j] = value if value > best else best


@kernel
def n_maxima(size, k):
    """Return the number of groups of entries whose maxima give ``lower_bound``."""
    return min(size, max(_GROUPS * k, 64))


@kernel
def lower_bound(largest, k):
    """Return a non-negative number slightly below the k-th of the ``largest``.

    It is 0 if fewer than k are positive.
    """
    low = high = largest.dtype.type(0)
    half = largest.dtype.type(0.5)
    for j in range(largest.size):
        high = largest[j] if largest[j] > high else high
    for _ in range(_BISECTIONS):
        middle, count = low + half * (high - low), np.int32(0)
        for j in range(largest.size):
            count += np.int32(largest[j] >= middle)
        if count >= k:
            low = middle
        else:
            high = middle
        if count == k:
            break
    return low


@kernel
def places_of(mask, places):
    """Fill ``places`` with the indices at which ``mask``, of a size that 8 divides, is true; return their number."""
    words, count = mask.view(np.uint64), 0
    for w in range(words.size):
        if words[w] != 0:
            for j in range(8 * w, 8 * w + 8):
                places[count] = j
                count += mask[j]
    return count


@kernel
def padded(size):
    """Return a mask of at least this size for ``places_of``, and an array for the indices."""
    mask = np.zeros((size + 7) // 8 * 8, np.bool_)
    return mask, np.empty(mask.size + 1, np.int32)


@kernel
def keep(k, bound, count, found, places, scratch, columns, values):
    """Write the k largest of ``count`` candidates, where ties go to the first; return their number."""
    limit, n_ties = bound, k
    if count > k:
        copy(found, scratch[:count])
        limit = kth_largest(scratch, count, k)
        for c in range(count):
            n_ties -= found[c] > limit
    kept = 0
    for c in range(count):
        tie = found[c] == limit
        if found[c] > limit or (tie and n_ties > 0):
            n_ties -= tie
            columns[kept] = places[c]
            values[kept] = found[c]
            kept += 1
    return kept


@kernel
def top_k_rows(a, bias, k, columns, values, counts):
    """Find the k largest positive entries of each row of ``a`` + ``bias``, by column; ties go to the first.

    Row i has ``counts_i`` of them, at the beginning of row i of ``columns`` and ``values``.
    """
    n, zero = a.shape[1], a.dtype.type(0)
    largest = np.empty(n_maxima(n, k), a.dtype)
    mask, places = padded(n)
    scratch, found = np.empty(n, a.dtype), np.empty(n, a.dtype)
    for i in range(a.shape[0]):
        row = a[i]
        biased_maxima(row, bias, largest)
        # At least k entries, and few more, reach the k-th largest of the maxima of groups.
        bound = lower_bound(largest, k)
        for j in range(n):
            value = row[j] + bias[j]
            mask[j] = (value >= bound) & (value > zero)
        count = places_of(mask, places)
        for c in range(count):
            found[c] = row[places[c]] + bias[places[c]]
        counts[i] = keep(k, bound, count, found, places, scratch, columns[i], values[i])


@kernel
def maxima_rows(a, bias, out):
    """out_i <- maxima of groups of row i of ``a`` + ``bias``."""
    for i in range(a.shape[0]):
        biased_maxima(a[i], bias, out[i])


@kernel
def count_above(a, bias, limits, counts):
    """counts_i <- the number of entries of row i of ``a`` + ``bias`` above the ``limits``, one for each column."""
    for i in range(a.shape[0]):
        row, count = a[i], np.int32(0)
        for j in range(row.size):
            count += np.int32(row[j] + bias[j] > limits[j])
        counts[i] = count


@kernel
def take_above(a, bias, limits, starts, columns, values):
    """Fill ``columns`` and ``values`` from ``starts_i`` on with the entries of row i of a + bias above ``limits``."""
    for i in range(a.shape[0]):
        row, place = a[i], starts[i]
        for j in range(row.size):
            value = row[j] + bias[j]
            if value > limits[j]:
                columns[place] = j
                values[place] = value
                place += 1
