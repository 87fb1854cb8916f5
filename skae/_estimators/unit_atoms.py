"""Atoms of norm 1, and a solver that keeps them so."""

import numpy as np

from .._arrays.namespace import reshape
from .._arrays.powers import power_of_two
from .._arrays.sparse_codes import normalize_rows, project_rows
from .._threads import ELEMENT, share
from ..training.solvers import Adam

_SMOOTHING = 1e-4  # of the roots of groups, in units of the weight of their penalty


def unit_rows(rows):
    """Return ``rows`` of any scale, divided by their norms; rows of zeros stay as they are."""
    largest = np.abs(rows).max(axis=1, keepdims=True)
    rows = rows / power_of_two(np.where(largest > 0, largest, 1)).astype(rows.dtype)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(norms > 0, norms, 1)


def smoothing(alpha, dtype):
    """Return the smallest root of a group's sum of squares, which keeps its derivative finite.

    It has the units of codes, as ``alpha`` has, so that the units of X do not matter. Its square is a normal number.
    """
    return np.dtype(dtype).type(max(_SMOOTHING * alpha, 2 * float(np.finfo(dtype).tiny) ** 0.5))


class UnitAtoms:
    """A solver whose steps end with atoms of norm 1.

    Adam sees X in units of about ``alpha``, unless that is 0: its epsilon is a number, and the units of X must not
    matter. Steps of other solvers are what their step size makes of the gradient.
    """

    def __init__(self, solver, n_atoms, n_features, alpha=0.0):
        self._solver, self._shape = solver, (n_atoms, n_features)
        self._unit = float(power_of_two(alpha)) if alpha and isinstance(solver, Adam) else 1.0

    def start(self, params):
        """Return the solver's state before the first step."""
        return self._solver.start(params)

    def step(self, params, grad, state, learning_rate):
        """Take a step and rescale."""
        for _ in range(0 if self._unit == 1 else 2):
            grad /= grad.dtype.type(self._unit)
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
