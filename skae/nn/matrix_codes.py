"""Codes with few nonzeros in arrays of libraries other than numpy: a dense matrix, and dense matrix products."""

from dataclasses import dataclass
from typing import Any

from .._arrays import sparse_codes as kernels
from .._arrays.namespace import cast, empty_like, namespace
from .._threads import product


@dataclass(eq=False)
class MatrixCodes:
    """The counterpart of :class:`~skae.nn.sparse_codes.SparseCodes` for a dense matrix: each of its cells is an entry.

    Parameters
    ----------
    values : array of shape (n_samples, n_features)
    """

    values: Any
    columns = None  # columns of the entries: all of them

    @property
    def active(self):
        """Array: 1 where a feature is active, else 0."""
        return cast(self.values > 0, self.values.dtype)

    def spread(self, by_sample):
        """Return a value for each entry, from one for each sample."""
        return by_sample[:, None]

    def fill(self, out):
        """Fill a matrix."""
        out[...] = self.values

    def decode(self, atoms, bias):
        """Return h D + bias."""
        return product(self.values, atoms) + bias

    def fill_errors(self, atoms, bias, ends, targets, weights, errors, losses):
        """Fill ``errors`` and ``losses`` as sparse codes do."""
        residual, fraction = bias - targets, 1 / len(ends)
        losses[...] = 0
        for place, group in enumerate(_groups(ends)):
            residual = residual + product(self.values[:, group], atoms[group, ...])
            losses += fraction / 2 * namespace(residual).sum(residual * residual, axis=1)
            errors[place, ...] = fraction * weights[:, None] * residual
        for place in range(len(ends) - 1, 0, -1):
            errors[place - 1, ...] += errors[place, ...]

    def gradients(self, atoms, ends, errors):
        """Return the gradient at the codes of the groups that end at ``ends``."""
        out = empty_like(self.values)
        for place, group in enumerate(_groups(ends)):
            product(errors[place, ...], atoms[group, ...].T, out[:, group])
        return out

    def by_column(self, n_columns):
        """Return an object that adds up gradients over samples."""
        return self

    def add(self, coefficients, vectors, out, columns=slice(None)):
        """out_j <- out_j + sum_i coefficient_ij v_i, for some of the columns j."""
        out[columns, ...] += product(coefficients[:, columns].T, vectors)

    def reset(self, counts):
        """counts_j <- 0 for features that are active in any sample."""
        xp = namespace(counts)
        active = xp.any(self.values > 0, axis=0)
        counts[...] = xp.where(active, xp.zeros_like(counts), counts)

    def move_below_smallest(self, threshold, fraction):
        """Move ``threshold`` a ``fraction`` of the way to just below the smallest code; all the way while it is 0."""
        kernels.move_below_smallest(threshold, kernels.least_positive(self.values), fraction)


def _groups(ends):
    """Return the slice of each group."""
    ends = [int(end) for end in ends]
    return list(map(slice, [0, *ends[:-1]], ends))


def top_k(a, bias, k):
    """Return the k largest positive entries of each row of a + bias."""
    return MatrixCodes(kernels.top_k(a + bias, k))


def top_k_of(a, bias, chosen, k):
    """Return the same for the columns in the mask ``chosen``."""
    xp = namespace(a)
    a = xp.where(chosen, a + bias, xp.full_like(a, -float("inf")))
    return MatrixCodes(kernels.top_k(a, min(k, a.shape[1])))


def above(a, bias, limits):
    """Return the entries of a + bias above the ``limits``, one for each column."""
    return MatrixCodes(kernels.above(a + bias, limits))


def batch_top_k(a, bias, count):
    """Return the ``count`` largest positive entries of a + bias; ties go to the first."""
    xp = namespace(a)
    codes = kernels.top_k(xp.reshape(a + bias, (1, -1)), count)
    return MatrixCodes(xp.reshape(codes, a.shape))


def weighted_batch_top_k(a, bias, count, weights):
    """Return the largest positive entries of a + bias, ``count`` of the mean weight; ties go to the first."""
    xp = namespace(a)
    if bool(xp.all(weights == weights[0])):
        return batch_top_k(a, bias, count)
    a, weights = a + bias, xp.astype(weights, xp.float64)
    by_entry = xp.reshape(xp.broadcast_to((weights / xp.mean(weights))[:, None], a.shape), (-1,))
    codes = kernels.weighted_top_k(xp.reshape(a, (-1,)), by_entry, count)
    return MatrixCodes(xp.reshape(codes, a.shape))
