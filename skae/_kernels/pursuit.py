"""Orthogonal matching pursuit of one sample in the Gram domain (Rubinstein et al. 2008, Batch-OMP)."""

import numpy as np

from ._jit import kernel
from .gap import add_rows
from .homotopy import append, backward, forward


@kernel
def pursue_rows(gram, n_nonzero, correlations, codes):
    """Fill zeroed ``codes`` with at most ``n_nonzero`` atoms a row, each time the one that r points to most."""
    n_atoms = gram.shape[0]
    zero = gram.dtype.type(0)
    smallest = gram.dtype.type(1e-5) if gram.itemsize == 4 else gram.dtype.type(1e-11)
    pull = np.empty(n_atoms, gram.dtype)
    values = np.empty(n_atoms, gram.dtype)
    target = np.empty(n_atoms, gram.dtype)
    solved = np.empty(n_atoms, gram.dtype)
    support = np.empty(n_atoms, np.int64)
    chosen = np.empty(n_atoms, np.bool_)
    factor = np.empty((n_nonzero, n_nonzero), gram.dtype)
    for i in range(codes.shape[0]):
        pull[:] = correlations[i]
        chosen[:] = False
        count = 0
        for _ in range(n_atoms):
            best, size = -1, zero
            for j in range(n_atoms):
                if not chosen[j] and abs(pull[j]) > size:
                    best, size = j, abs(pull[j])
            if best < 0 or count == n_nonzero:
                break
            chosen[best] = True
            if not append(factor, gram, support, count, best, smallest):
                continue
            support[count], target[count] = best, correlations[i, best]
            count += 1
            forward(factor, target, count - 1, count, solved)
            for k in range(count):
                values[k] = solved[k]
            backward(factor, count, values)
            pull[:] = correlations[i]
            for k in range(count):
                values[k] = -values[k]
            add_rows(gram, support, values, count, pull)
        for k in range(count):
            codes[i, support[k]] = -values[k]
