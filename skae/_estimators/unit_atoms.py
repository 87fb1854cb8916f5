"""Atoms of norm 1, and a solver that keeps them so."""

import numpy as np

from .._arrays.namespace import reshape
from .._arrays.sparse_codes import normalize_rows, project_rows
from .._threads import ELEMENT, share
from .columns import power_of_two


def unit_rows(rows):
    """Return ``rows`` of any scale, divided by their norms; rows of zeros stay as they are."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / power_of_two(np.where(largest > 0, largest, 1)).astype(rows.dtype)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


class UnitAtoms:
    """A solver whose steps end with atoms of norm 1."""

    def __init__(self, solver, n_atoms, n_features):
        self._solver, self._shape = solver, (n_atoms, n_features)

    def start(self, params):
        """Return the solver's state before the first step."""
        return self._solver.start(params)

    def step(self, params, grad, state, learning_rate):
        """Take a step and rescale."""
        self._solver.step(params, grad, state, learning_rate)
        self.restrict(params)

    def restrict(self, params):
        """Scale the atoms, the first of ``params``, to norm 1."""
        atoms = params[: self._shape[0] * self._shape[1]].reshape(self._shape)
        atoms[...] = unit_rows(atoms)


class ProjectedAtoms(UnitAtoms):
    """A solver that sees no gradient along the atoms, and whose steps end with atoms of norm 1."""

    def step(self, params, grad, state, learning_rate):
        """Take a step."""
        (n_atoms, n_features), size = self._shape, self._shape[0] * self._shape[1]
        atoms, gradients = (reshape(each[:size], self._shape) for each in (params, grad))
        cost = ELEMENT * n_features
        share(lambda part: project_rows(gradients[part, ...], atoms[part, ...]), n_atoms, cost)
        self._solver.step(params, grad, state, learning_rate)
        share(lambda part: normalize_rows(atoms[part, ...]), n_atoms, cost)
