"""Orthogonal matching pursuit of one sample in the Gram domain (Rubinstein et al. 2008, Batch-OMP)."""

from typing import NamedTuple

import numpy as np

from ._jit import kernel
from .cholesky import append, backward, forward
from .gap import add_rows, copy


class PursuitBuffers(NamedTuple):
    """Memory of a pursuit for one sample.

    Parameters
    ----------
    residual_corr : ndarray of shape (n_atoms,)
        Correlations of the atoms with the residual.
    chosen : ndarray of bool of shape (n_atoms,)
        Whether an atom was tried.
    support, values : ndarray of shape (n_atoms,)
        The atoms of the code, and minus their codes.
    solved : ndarray of shape (n_atoms,)
        Memory for solving triangular systems.
    factor : ndarray of shape (n_nonzero, n_nonzero)
        The Cholesky factor of their Gram matrix.
    """

    residual_corr: np.ndarray
    chosen: np.ndarray
    support: np.ndarray
    values: np.ndarray
    solved: np.ndarray
    factor: np.ndarray


@kernel
def _best_atom(residual_corr, scales, chosen):
    """Return the atom not yet chosen that, scaled to norm 1, correlates most with the residual, and how much."""
    best, size = -1, residual_corr.dtype.type(0)
    for j in range(residual_corr.size):
        if not chosen[j] and scales[j] * abs(residual_corr[j]) > size:
            best, size = j, scales[j] * abs(residual_corr[j])
    return best, size


@kernel
def _pursue(gram, scales, n_nonzero, correlation, buffers):
    """Return the number of atoms of the code, which ``buffers.support`` and ``buffers.values`` then have."""
    residual_corr, chosen, support, values, solved, factor = buffers
    exact = residual_corr.dtype.type(1e-6 if gram.itemsize == 4 else 1e-14)
    smallest = residual_corr.dtype.type(1e-5 if gram.itemsize == 4 else 1e-11)
    copy(correlation, residual_corr)
    chosen[:] = False
    count, first = np.int64(0), _best_atom(residual_corr, scales, chosen)[1]
    while count < n_nonzero:
        best, size = _best_atom(residual_corr, scales, chosen)
        if best < 0 or size <= exact * first:
            break
        chosen[best] = True
        if not append(factor, gram, support, count, best, smallest):
            continue
        support[count] = best
        count += 1
        for k in range(count):
            values[k] = -correlation[support[k]]
        forward(factor, values, count - 1, count, solved)
        for k in range(count):
            values[k] = solved[k]
        backward(factor, count, values)
        copy(correlation, residual_corr)
        add_rows(gram, support, values, count, residual_corr)
    return count


@kernel
def pursue_rows(gram, n_nonzero, correlations, codes):
    """Choose up to ``n_nonzero`` atoms for each row of ``codes`` (0 on entry), each time the most correlated one."""
    n_atoms = gram.shape[0]
    scales = np.zeros(n_atoms, gram.dtype)
    for j in range(n_atoms):
        if gram[j, j] > 0:
            scales[j] = 1 / np.sqrt(gram[j, j])
    buffers = PursuitBuffers(
        np.empty(n_atoms, gram.dtype),
        np.empty(n_atoms, np.bool_),
        np.empty(n_atoms, np.int64),
        np.empty(n_atoms, gram.dtype),
        np.empty(n_atoms, gram.dtype),
        np.empty((n_nonzero, n_nonzero), gram.dtype),
    )
    for i in range(codes.shape[0]):
        count = _pursue(gram, scales, n_nonzero, correlations[i], buffers)
        for k in range(count):
            codes[i, buffers.support[k]] = -buffers.values[k]
