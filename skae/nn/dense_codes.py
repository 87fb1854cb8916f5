"""Codes with many nonzeros, for which dense matrix products are faster than products of the active features."""

import numpy as np

from .._arrays.namespace import is_numpy
from .._threads import product
from .sparse_codes import SparseCodes

_DENSE = 1 / 8  # fraction of nonzeros above which they are


class DenseCodes(SparseCodes):
    """Sparse codes whose products with atoms and gradients are dense matrix products."""

    def fill_errors(self, atoms, bias, ends, targets, weights, errors, losses):
        """Fill ``errors`` and ``losses`` as sparse codes do."""
        codes, residual = self.filled(self.values, len(atoms)), bias - targets
        fraction = losses.dtype.type(1 / len(ends))
        losses[:] = 0
        for error, first, last in zip(errors, [0, *ends], ends):
            residual += product(codes[:, first:last], atoms[first:last])
            losses += fraction / 2 * np.einsum("ij,ij->i", residual, residual)
            np.multiply(residual, fraction * weights[:, np.newaxis], out=error)
        for error, above in zip(errors[-2::-1], errors[:0:-1]):
            error += above

    def gradients(self, atoms, ends, errors):
        """Return the gradient at the codes of the groups that end at ``ends``."""
        out = np.empty((len(self), len(atoms)), atoms.dtype)
        for error, first, last in zip(errors, [0, *ends], ends):
            product(error, atoms[first:last].T, out[:, first:last])
        return out[self.rows, self.columns]

    def by_column(self, n_columns):
        """Return an object that adds up gradients over samples."""
        return _Filled(self, n_columns)

    def filled(self, values, n_columns):
        """Return a dense matrix with ``values`` at the positions of the codes."""
        out = np.zeros((len(self), n_columns), values.dtype)
        out[self.rows, self.columns] = values
        return out


class _Filled:
    """The counterpart of ``ByColumn`` for dense matrix products."""

    def __init__(self, codes, n_columns):
        self._codes, self._n_columns = codes, n_columns

    def add(self, coefficients, vectors, out, columns=slice(None)):
        """out_j <- out_j + sum_i coefficient_ij v_i, for some of the columns j."""
        matrix = self._codes.filled(coefficients, self._n_columns)
        out[columns] += product(matrix[:, columns].T, vectors)


def suited(codes, n_columns):
    """Return the codes in the form whose products are faster."""
    if not is_numpy(codes.values) or len(codes.values) <= _DENSE * len(codes) * n_columns:
        return codes
    return DenseCodes(codes.starts, codes.columns, codes.values)
