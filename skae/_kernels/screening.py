"""Entries of a matrix A = x W' + bias above limits: products of integers tell which ones have to be computed."""

import math

import numpy as np

from ._jit import kernel
from .integers import LARGEST_NORM, TILE_ROWS, integer_products, round_row
from .top_k import biased_maxima, keep, lower_bound, n_maxima, padded, places_of

BLOCK = 8 * TILE_ROWS  # rows whose products of integers stay in the cache


@kernel
def rounded_products(x, integers, step, pairs, sums, scales):
    """Make A about scales_i sums_ij + bias_j for at most ``BLOCK`` rows, where W is about ``step`` times ``integers``.

    ``pairs`` is space for the integers of x.
    """
    for i in range(x.shape[0]):
        scales[i] = step * round_row(x[i], pairs[i, : x.shape[1]])
    integer_products(pairs.view(np.int32), integers, sums)


@kernel
def _error(x):
    """Return the largest error of ``sums``: that of rounding to integers, and that of floating-point products."""
    norm, size = LARGEST_NORM + 1.0, x.shape[1]
    return x.dtype.type(1.02 * norm * math.sqrt(size) + np.finfo(x.dtype).eps * size * norm * norm)


@kernel
def _fill_exact(x, weights, bias, limits, count, places, values):
    """Move those of ``count`` places j where x'w_j + b_j is above its limit to the front, and fill these ``values``.

    Return their number.
    """
    kept = 0
    for p in range(count):
        j, value = places[p], x.dtype.type(0)
        w = weights[j]
        for c in range(x.size):
            value += x[c] * w[c]
        value += bias[j]
        places[kept] = j
        values[kept] = value
        kept += value > limits[j]
    return kept


@kernel
def exact_top_k(x, weights, bias, sums, scales, k, most, columns, values, counts):
    """Find the k largest positive entries of each row of A, by column.

    counts_i <- the number of entries, or -1 if more than ``most`` would have to be computed.
    """
    n, error, zero = bias.size, _error(x), x.dtype.type(0)
    row, zeros = np.empty(n, x.dtype), np.zeros(n, x.dtype)
    largest = np.empty(n_maxima(n, k), x.dtype)
    mask, places = padded(n)
    scratch, found = np.empty(n, x.dtype), np.empty(most, x.dtype)
    for i in range(x.shape[0]):
        scale, products = scales[i], sums[i]
        margin = error * scale
        for j in range(n):
            row[j] = scale * x.dtype.type(products[j])
        biased_maxima(row, bias, largest)
        # k entries are at least the bound less a margin, which entries below the bound less two cannot be.
        limit = max(lower_bound(largest, k) - margin - margin, -margin)
        for j in range(n):
            mask[j] = row[j] + bias[j] >= limit
        count = places_of(mask, places)
        if count > most:
            counts[i] = -1
            continue
        count = _fill_exact(x[i], weights, bias, zeros, count, places, found)
        counts[i] = keep(k, zero, count, found, places, scratch, columns[i], values[i])


@kernel
def exact_above(x, weights, bias, sums, scales, limits, most, columns, values, counts):
    """Find the entries of each row of A above ``limits``, one for each column, as ``exact_top_k`` does."""
    n, error = bias.size, _error(x)
    found = np.empty(most, x.dtype)
    mask, places = padded(n)
    for i in range(x.shape[0]):
        scale, products = scales[i], sums[i]
        margin = error * scale
        for j in range(n):
            mask[j] = scale * x.dtype.type(products[j]) + bias[j] + margin >= limits[j]
        count = places_of(mask, places)
        if count > most:
            counts[i] = -1
            continue
        counts[i] = _fill_exact(x[i], weights, bias, limits, count, places, found)
        for p in range(counts[i]):
            columns[i, p] = places[p]
            values[i, p] = found[p]
