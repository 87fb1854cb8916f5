"""Codes with few nonzeros, as CSR arrays: their selection from pre-activations, and their products with atoms."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse

from .._arrays.namespace import is_numpy
from .._arrays.sparse_codes import WEIGHT_ROUNDING
from .._kernels import sparse_codes as kernels
from .._kernels.top_k import count_above, maxima_rows, take_above, top_k_rows
from .._threads import ELEMENT, share
from . import matrix_codes

_GROUP = 16  # entries of a row that are represented by their largest


@dataclass(eq=False)
class SparseCodes:
    """Row i has ``values[starts[i]:starts[i + 1]]`` in ascending ``columns``.

    Parameters
    ----------
    starts : ndarray of shape (n_samples + 1,)
    columns : ndarray of int32
    values : ndarray
    """

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray

    def __len__(self):
        return len(self.starts) - 1

    @property
    def rows(self):
        """ndarray of int: the row of each value."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    @property
    def _arrays(self):
        return self.starts, self.columns, self.values

    @property
    def active(self):
        """ndarray of bool: whether each value is positive."""
        return self.values > 0

    def spread(self, by_sample):
        """Return a value for each entry, from one for each sample."""
        return by_sample[self.rows]

    def where(self, mask):
        """Return the entries where ``mask`` is true."""
        starts = _starts(np.bincount(self.rows[mask], minlength=len(self)))
        return SparseCodes(starts, self.columns[mask], self.values[mask])

    def fill(self, out):
        """Fill a matrix."""
        out[...] = 0
        out[self.rows, self.columns] = self.values

    def matrix(self, n_columns):
        """Return them as a CSR matrix."""
        arrays = self.values, self.columns, self.starts
        return scipy.sparse.csr_matrix(arrays, shape=(len(self), n_columns))

    def decode(self, atoms, bias):
        """Return h D + bias."""
        out = np.empty((len(self), atoms.shape[1]), atoms.dtype)

        def work(rows):
            kernels.decode_rows(*self._arrays, atoms, bias, out, rows.start, rows.stop)

        self._share_rows(work, atoms)
        return out

    def fill_errors(self, atoms, bias, ends, targets, weights, errors, losses):
        """Fill ``errors`` and ``losses`` of reconstructions by nested groups: see the kernel of this name."""

        def work(rows):
            batch = targets, weights, errors, losses, rows.start, rows.stop
            kernels.fill_errors(*self._arrays, atoms, bias, ends, *batch)

        self._share_rows(work, atoms)

    def gradients(self, atoms, ends, errors):
        """Return the gradient at the codes of the groups that end at ``ends``, from the ``errors`` of each group."""
        gradient = np.empty_like(self.values)

        def work(rows):
            own = self.starts, self.columns, atoms, ends, errors
            kernels.code_gradients(*own, gradient, rows.start, rows.stop)

        self._share_rows(work, atoms)
        return gradient

    def by_column(self, n_columns):
        """Return an object that adds up gradients over samples."""
        return ByColumn(self, n_columns)

    def reset(self, counts):
        """counts_j <- 0 for features that are active in any sample."""
        counts[self.columns[self.active]] = 0

    def move_below_smallest(self, threshold, fraction):
        """Move ``threshold`` a ``fraction`` of the way to just below the smallest value; all the way while it is 0."""
        smallest = self.values.min(initial=np.inf)
        if np.isfinite(smallest):
            fraction = threshold.dtype.type(fraction if threshold[0] > 0 else 1)
            threshold += fraction * (np.nextafter(smallest, 0) - threshold)

    def _share_rows(self, work, atoms):
        mean = 1 + len(self.values) // max(len(self), 1)
        share(work, len(self), ELEMENT * mean * atoms.shape[1] // 4)


class ByColumn:
    """The entries of codes, sorted by column, for the sum over samples in a gradient."""

    def __init__(self, codes, n_columns):
        size = len(codes.values)
        self.starts = np.empty(n_columns + 1, np.int64)
        self.rows, self.places = np.empty(size, np.int32), np.empty(size, np.int32)
        kernels.by_column(codes.starts, codes.columns, self.starts, self.rows, self.places)

    def add(self, coefficients, vectors, out, columns=slice(None)):
        """out_j <- out_j + sum_i coefficient_ij v_i, for some of the columns j."""
        first, last, _ = columns.indices(len(out))
        n_entries = int(self.starts[last] - self.starts[first])
        arrays = self.starts, self.rows, self.places, coefficients, vectors

        def work(part):
            kernels.add_weighted_rows(*arrays, first + part.start, first + part.stop, out)

        cost = ELEMENT * n_entries * out.shape[1] // (4 * max(last - first, 1))
        share(work, last - first, cost)


def top_k(a, bias, k):
    """Return the k largest positive entries of each row of a + bias."""
    if not is_numpy(a):
        return matrix_codes.top_k(a, bias, k)
    columns, values = np.empty((len(a), k), np.int32), np.empty((len(a), k), a.dtype)
    counts = np.empty(len(a), np.int64)

    def work(rows):
        top_k_rows(a[rows], bias, k, columns[rows], values[rows], counts[rows])

    share(work, len(a), ELEMENT * a.shape[1])
    return codes_of_rows(columns, values, counts)


def codes_of_rows(columns, values, counts):
    """Return the codes whose row i is the first ``counts_i`` entries of row i of ``columns`` and ``values``."""
    starts = _starts(counts)
    if starts[-1] == columns.size:
        return SparseCodes(starts, columns.ravel(), values.ravel())
    found = np.arange(columns.shape[1]) < counts[:, np.newaxis]
    return SparseCodes(starts, columns[found], values[found])


def top_k_of(a, bias, chosen, k):
    """Return the same for the columns in the mask ``chosen``."""
    if not is_numpy(a):
        return matrix_codes.top_k_of(a, bias, chosen, k)
    places = np.flatnonzero(chosen).astype(np.int32)
    codes = top_k(np.take(a, places, axis=1), bias[places], min(k, len(places)))  # in C order
    codes.columns = places[codes.columns]
    return codes


def above(a, bias, limits):
    """Return the entries of a + bias above the ``limits``, one for each column."""
    if not is_numpy(a):
        return matrix_codes.above(a, bias, limits)
    counts = np.empty(len(a), np.int64)

    def count(rows):
        count_above(a[rows], bias, limits, counts[rows])

    def take(rows):
        take_above(a[rows], bias, limits, starts[rows], columns, values)

    share(count, len(a), ELEMENT * a.shape[1])
    starts = _starts(counts)
    columns, values = np.empty(starts[-1], np.int32), np.empty(starts[-1], a.dtype)
    share(take, len(a), ELEMENT * a.shape[1])
    return SparseCodes(starts, columns, values)


def batch_top_k(a, bias, count):
    """Return the ``count`` largest positive entries of a + bias; ties go to the first."""
    if not is_numpy(a):
        return matrix_codes.batch_top_k(a, bias, count)
    n_samples, n = a.shape
    largest = np.empty((n_samples, -(-n // _GROUP)), a.dtype)

    def work(rows):
        maxima_rows(a[rows], bias, largest[rows])

    share(work, n_samples, ELEMENT * n)
    bound = a.dtype.type(0)
    if count < largest.size:
        # At least ``count`` entries reach it, and few more.
        bound = max(bound, np.nextafter(_nth_largest(largest, count), -np.inf, dtype=a.dtype))
    codes = above(a, bias, np.full(n, bound))
    if len(codes.values) <= count:
        return codes
    limit = _nth_largest(codes.values, count)
    kept = codes.values > limit
    ties = np.flatnonzero(codes.values == limit)
    kept[ties[: count - np.count_nonzero(kept)]] = True
    return codes.where(kept)


def weighted_batch_top_k(a, bias, count, weights):
    """Return the largest positive entries of a + bias, ``count`` of the mean weight; ties go to the first.

    An entry counts as much as its row, in multiples of the mean of the ``weights`` of the rows.
    """
    if not is_numpy(a):
        return matrix_codes.weighted_batch_top_k(a, bias, count, weights)
    if (weights == weights[0]).all():
        return batch_top_k(a, bias, count)
    weights = weights.astype(np.float64) / weights.mean(dtype=np.float64)
    n_largest = 2 * count
    while True:  # until entries are left out by their weight, or there are no others
        codes = batch_top_k(a, bias, n_largest)
        order = np.argsort(-codes.values, kind="stable")
        within = np.cumsum(weights[codes.rows[order]]) <= count * (1 + WEIGHT_ROUNDING)
        if len(order) < n_largest or not within[-1]:
            break
        n_largest *= 4
    kept = np.empty(len(order), bool)
    kept[order] = within
    return codes.where(kept)


def above_or_near(a, bias, limits, fraction):
    """Return the entries of a + bias above the ``limits``, and a + bias at all entries.

    Values below their limit by less than this ``fraction`` of it are entries too, with the value 0.
    """
    if not is_numpy(a):
        return matrix_codes.above(a, bias, limits), a + bias
    near = above(a, bias, limits * limits.dtype.type(1 - fraction))
    active = near.values > limits[near.columns]
    return SparseCodes(near.starts, near.columns, near.values * active), near.values


def _nth_largest(values, n):
    return np.partition(values, values.size - n, axis=None)[values.size - n]


def _starts(counts):
    return np.concatenate([[0], np.cumsum(counts)])
