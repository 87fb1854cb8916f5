"""The largest pre-activations of a row, and those above a threshold, found without sorting the row."""

import numpy as np

from ._jit import kernel


@kernel
def kth_largest(values, count, k):
    """Return the k-th largest of the first ``count`` values, which are moved about (Hoare 1961)."""
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
def maxima(row, out):
    """out_j <- the largest of row_j, row_(j + m), row_(j + 2m), ..., where m is the size of ``out``."""
    m = out.size
    out[:] = row[:m]
    for start in range(m, row.size, m):
        part = row[start : start + m]
        for j in range(part.size):
            value, best = part[j], out[j]
            out[j] = value if value > best else best


@kernel
def add_bias(row, bias):
    """row <- row + bias."""
    for j in range(row.size):
        row[j] += bias[j]


@kernel
def add_bias_rows(a, bias):
    """Add ``bias`` to the rows of ``a``."""
    for i in range(a.shape[0]):
        add_bias(a[i], bias)


@kernel
def _lower_bound(row, k, largest, scratch):
    """Return a number that is at most the k-th largest of ``row``, and 0 or more; k values are not below it."""
    bound = row.dtype.type(0)
    if k <= largest.size:
        maxima(row, largest)
        scratch[: largest.size] = largest
        bound = max(bound, kth_largest(scratch, largest.size, k))
    return bound


@kernel
def _candidates(row, bound, largest, columns, values):
    """Fill ``columns`` and ``values`` with the positive entries of at least ``bound``, by column; return their number."""
    zero, count, m = row.dtype.type(0), 0, largest.size
    for start in range(0, row.size, m):
        part = row[start : start + m]
        for j in range(part.size):
            value = part[j]
            if value >= bound and value > zero:
                columns[count] = start + j
                values[count] = value
                count += 1
    return count


@kernel
def top_k_rows(a, bias, k, columns, values, counts):
    """Add ``bias`` to the rows of ``a``, and find the k largest positive entries of each, by column; of equal ones the first.

    Row i has ``counts_i`` of them, at the beginning of row i of ``columns`` and ``values``.
    """
    n = a.shape[1]
    # The k-th largest of the maxima of groups is a bound that few entries reach.
    largest = np.empty(min(n, max(8 * k, 64)), a.dtype)
    scratch, found = np.empty(n, a.dtype), np.empty(n, a.dtype)
    places = np.empty(n, np.int32)
    for i in range(a.shape[0]):
        row = a[i]
        add_bias(row, bias)
        bound = _lower_bound(row, k, largest, scratch)
        count = _candidates(row, bound, largest, places, found)
        limit, n_ties = bound, k
        if count > k:
            scratch[:count] = found[:count]
            limit = kth_largest(scratch, count, k)
            n_above = 0
            for c in range(count):
                n_above += found[c] > limit
            n_ties = k - n_above
        kept = 0
        for c in range(count):
            tie = found[c] == limit
            if found[c] > limit or (tie and n_ties > 0):
                n_ties -= tie
                columns[i, kept] = places[c]
                values[i, kept] = found[c]
                kept += 1
        counts[i] = kept


@kernel
def maxima_rows(a, bias, out):
    """Add ``bias`` to the rows of ``a``; out_i <- maxima of groups of row i."""
    for i in range(a.shape[0]):
        add_bias(a[i], bias)
        maxima(a[i], out[i])


@kernel
def count_above(a, limits, counts):
    """counts_i <- the number of entries of row i above the ``limits``, one for each column."""
    for i in range(a.shape[0]):
        row, count = a[i], 0
        for j in range(row.size):
            count += row[j] > limits[j]
        counts[i] = count


@kernel
def take_above(a, limits, starts, columns, values):
    """Fill ``columns`` and ``values`` from ``starts_i`` on with the entries of row i above the ``limits``."""
    for i in range(a.shape[0]):
        row, place = a[i], starts[i]
        for j in range(row.size):
            if row[j] > limits[j]:
                columns[place] = j
                values[place] = row[j]
                place += 1
