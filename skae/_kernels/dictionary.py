"""The surrogate of online dictionary learning and its descent (Mairal et al. 2010, algorithms 1 and 2)."""

import numpy as np

from ._jit import kernel
from .coordinate_descent import list_nonzeros
from .gap import add_rows


@kernel
def accumulate(codes, rows, weights, decay, second, cross):
    """second <- decay second + sum_i v_i h_i h_i'; cross the same with h_i x_i'. Only nonzeros of h are used."""
    values = np.empty(codes.shape[1], codes.dtype)
    support = np.empty(codes.shape[1], np.int64)
    for j in range(second.shape[0]):
        for k in range(second.shape[1]):
            second[j, k] *= decay
        for k in range(cross.shape[1]):
            cross[j, k] *= decay
    for i in range(codes.shape[0]):
        count = list_nonzeros(codes[i], support, values)
        for a in range(count):
            weight = weights[i] * values[a]
            row = second[support[a]]
            for b in range(count):
                row[support[b]] += weight * values[b]
            row = cross[support[a]]
            for k in range(row.size):
                row[k] += weight * rows[i, k]


@kernel
def update_atoms(second, cross, dictionary):
    """Minimize tr(D' A D)/2 - tr(D' B) atom by atom, each inside the unit ball, with A = ``second``.

    Atoms that no code has used stay unchanged.
    """
    n_atoms, n_features = dictionary.shape
    zero, one = dictionary.dtype.type(0), dictionary.dtype.type(1)
    all_atoms = np.arange(n_atoms)
    weights = np.empty(n_atoms, dictionary.dtype)
    atom = np.empty(n_features, dictionary.dtype)
    for j in range(n_atoms):
        curvature = second[j, j]
        if not curvature > zero:
            continue
        for k in range(n_atoms):
            weights[k] = -second[j, k] / curvature
        for f in range(n_features):
            atom[f] = dictionary[j, f] + cross[j, f] / curvature
        add_rows(dictionary, all_atoms, weights, n_atoms, atom)
        norm = zero
        for f in range(n_features):
            norm += atom[f] * atom[f]
        scale = one / max(np.sqrt(norm), one)
        for f in range(n_features):
            dictionary[j, f] = scale * atom[f]
