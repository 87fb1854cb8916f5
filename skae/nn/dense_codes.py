"""Codes with many nonzeros, for which products of whole matrices are faster than those of the active features alone."""

import numpy as np

from .._arrays.namespace import is_numpy
from .._threads import product
from .sparse_codes import SparseCodes

_DENSE = 1 / 8  # share of nonzeros from which on they do


class DenseCodes(SparseCodes):
    """Sparse codes whose products with atoms and gradients are those of matrices with their zeros."""

    def explain(self, atoms, bias, ends, targets, weights, errors, losses):
        """Fill ``errors`` and ``losses`` as sparse codes do; return the gradient at the codes."""
        codes, now = self.filled(self.values, len(atoms)), bias - targets
        share, losses[:] = losses.dtype.type(1 / len(ends)), 0
        for error, first, last in zip(errors, [0, *ends], ends):
            now += product(codes[:, first:last], atoms[first:last])
            losses += share / 2 * np.einsum("ij,ij->i", now, now)
            np.multiply(now, share * weights[:, np.newaxis], out=error)
        for error, above in zip(errors[-2::-1], errors[:0:-1]):
            error += above
        return self.gradients(atoms, ends, errors)

    def gradients(self, atoms, ends, errors):
        """Return the gradient at the codes of the groups that end at ``ends``."""
        out = np.empty((len(self), len(atoms)), atoms.dtype)
        for error, first, last in zip(errors, [0, *ends], ends):
            product(error, atoms[first:last].T, out[:, first:last])
        return out[self.rows, self.columns]

    def by_column(self, n_columns):
        """Return what adds up gradients over samples."""
        return _Filled(self, n_columns)

    def filled(self, values, n_columns):
        """Return a dense matrix with ``values`` where the codes are."""
        out = np.zeros((len(self), n_columns), values.dtype)
        out[self.rows, self.columns] = values
        return out


class _Filled:
    """What ``ByColumn`` does, by products of matrices."""

    def __init__(self, codes, n_columns):
        self._codes, self._n_columns = codes, n_columns

    def add(self, coefficients, vectors, out, columns=slice(None)):
        """out_j <- out_j + sum_i coefficient_ij v_i, for some of the columns j."""
        matrix = self._codes.filled(coefficients, self._n_columns)
        out[columns] += product(matrix[:, columns].T, vectors)


def suited(codes, n_columns):
    """Return the codes as those whose products take the least time."""
    if not is_numpy(codes.values) or len(codes.values) <= _DENSE * len(codes) * n_columns:
        return codes
    return DenseCodes(codes.starts, codes.columns, codes.values)
