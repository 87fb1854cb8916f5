"""What predictive sparse decomposition minimizes, and the solver that keeps its atoms at norm 1."""

import numpy as np

from .._threads import product
from ._dictionary import unit_rows


class PSDObjective:
    """The mean of the three terms at the best codes of a batch, and its gradient by D and the encoder.

    The codes are optimal, so that the gradient of the optimum is the partial one with codes held fixed.

    Parameters
    ----------
    encoder : encoder
        See ``_encoders``.
    infer : callable
        ``infer(dictionary, X, prediction) -> codes, penalty`` minimizes the three terms; ``penalty`` is alpha
        times the sparsity of each row.
    beta : float
    n_atoms : int
    """

    def __init__(self, encoder, infer, beta, n_atoms):
        self.encoder, self.infer, self.beta, self.n_atoms = encoder, infer, beta, n_atoms

    def split(self, flat, n_features):
        """Return views of the dictionary and of the encoder's parameters."""
        size = self.n_atoms * n_features
        return flat[:size].reshape(self.n_atoms, n_features), flat[size:]

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` unless it is None."""
        if not np.isfinite(flat).all():
            return np.nan  # training has diverged, which inference cannot tell
        n_features = (flat.size - self.encoder.size) // self.n_atoms
        dictionary, params = self.split(flat, n_features)
        X, shares = np.empty((len(batch), n_features), flat.dtype), np.empty(len(batch), flat.dtype)
        batch.rows(out=X)
        batch.weights(out=shares)
        prediction, memory = self.encoder.forward(params, X)
        codes, penalty = self.infer(dictionary, X, prediction)
        errors, misses = product(codes, dictionary) - X, prediction - codes
        values = 0.5 * np.einsum("ij,ij->i", errors, errors) + penalty
        values += 0.5 * self.beta * np.einsum("ij,ij->i", misses, misses)
        if grad is not None:
            d_dictionary, d_params = self.split(grad, n_features)
            product((codes * shares[:, np.newaxis]).T, errors, d_dictionary)
            pull = misses * (flat.dtype.type(self.beta) * shares[:, np.newaxis])
            self.encoder.backward(params, X, memory, pull, d_params)
        return float(values @ shares)


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
        atoms = params[: self._shape[0] * self._shape[1]].reshape(self._shape)
        atoms[...] = unit_rows(atoms)
