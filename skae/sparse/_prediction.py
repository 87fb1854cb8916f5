"""Objective of predictive sparse decomposition, and its gradient."""

import numpy as np

from .._protocols import TrainingObjective
from .._threads import product


class PSDObjective(TrainingObjective):
    """Mean of the three terms at the optimal codes of a batch, and its gradient by D and the encoder.

    Since the codes are optimal, the gradient is the partial one at fixed codes (the envelope theorem).

    Parameters
    ----------
    encoder : encoder
        See ``nn.code_encoders``.
    infer : callable
        ``infer(dictionary, X, prediction) -> codes, penalty`` minimizes the three terms; ``penalty`` is alpha
        times the sparsity of each row.
    beta : float
    n_atoms : int
    """

    def __init__(self, encoder, infer, beta, n_atoms):
        self.encoder, self.infer, self.beta, self.n_atoms = encoder, infer, beta, n_atoms

    def split(self, flat, n_features):
        """Return views of the dictionary and of the parameters of the encoder."""
        size = self.n_atoms * n_features
        return flat[:size].reshape(self.n_atoms, n_features), flat[size:]

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` unless it is None."""
        if not np.isfinite(flat).all():
            return np.nan  # training has diverged, which inference does not detect
        n_features = (flat.size - self.encoder.size) // self.n_atoms
        dictionary, params = self.split(flat, n_features)
        X = np.empty((batch.n_rows, n_features), flat.dtype)
        weights = np.empty(batch.n_rows, flat.dtype)
        batch.rows(X, weights)
        prediction, memory = self.encoder.forward(params, X)
        codes, penalty = self.infer(dictionary, X, prediction)
        errors, misses = product(codes, dictionary) - X, prediction - codes
        values = 0.5 * np.einsum("ij,ij->i", errors, errors) + penalty
        values += 0.5 * self.beta * np.einsum("ij,ij->i", misses, misses)
        if grad is not None:
            d_dictionary, d_params = self.split(grad, n_features)
            product((codes * weights[:, np.newaxis]).T, errors, d_dictionary)
            delta = misses * (flat.dtype.type(self.beta) * weights[:, np.newaxis])
            self.encoder.backward(params, X, memory, delta, d_params)
        return float(values @ weights)
