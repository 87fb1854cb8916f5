"""One pass of block coordinate descent over the atoms (Mairal et al. 2010, algorithm 2)."""

import numpy as np

from ._jit import kernel
from .gap import add_rows


@kernel
def update_atoms(second, cross, positive, dictionary):
    """Minimise tr(D' A D)/2 - tr(D' B) atom by atom, each inside the unit ball, with A = ``second``.

    Atoms that no code has used stay.
    """
    n_atoms, n_features = dictionary.shape
    zero, one = dictionary.dtype.type(0), dictionary.dtype.type(1)
    everyone = np.arange(n_atoms)
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
        add_rows(dictionary, everyone, weights, n_atoms, atom)
        norm = zero
        for f in range(n_features):
            if positive:
                atom[f] = max(atom[f], zero)
            norm += atom[f] * atom[f]
        scale = one / max(np.sqrt(norm), one)
        for f in range(n_features):
            dictionary[j, f] = scale * atom[f]
