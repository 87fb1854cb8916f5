"""Jacobians of some samples at once, as linear maps that are never formed."""

import numpy as np

from .._kernels.activations import slopes
from .layer import propagate


class ChainMap:
    """J_i = D_L W_L ... D_1 W_1, where the samples i share the weights and differ in the diagonals D.

    Parameters
    ----------
    weights : list of ndarray of shape (n_upper, n_lower)
    diagonals : list of ndarray of shape (n_samples, n_upper)
    """

    def __init__(self, weights, diagonals):
        self.weights, self.diagonals = weights, diagonals
        self.n_samples, self.n_features = len(diagonals[0]), weights[0].shape[1]
        self.dtype = weights[0].dtype

    def jvp(self, vectors):
        """Return J_i v_i, a row for each sample."""
        for weights, diagonal in zip(self.weights, self.diagonals):
            vectors = vectors @ weights.T
            vectors *= diagonal
        return vectors

    def vjp(self, vectors):
        """Return J_i' u_i, a row for each sample."""
        for weights, diagonal in zip(reversed(self.weights), reversed(self.diagonals)):
            vectors = (vectors * diagonal) @ weights
        return vectors

    def take(self, samples):
        """Return the map of some of the samples."""
        return ChainMap(self.weights, [diagonal[samples] for diagonal in self.diagonals])


class DenseMap:
    """J_i as they are, in an array of shape (n_samples, n_outputs, n_features)."""

    def __init__(self, matrices):
        self.matrices = matrices
        self.n_samples, _, self.n_features = matrices.shape
        self.dtype = matrices.dtype

    def jvp(self, vectors):
        """Return J_i v_i, a row for each sample."""
        return np.matmul(self.matrices, vectors[:, :, np.newaxis])[:, :, 0]

    def vjp(self, vectors):
        """Return J_i' u_i, a row for each sample."""
        return np.matmul(vectors[:, np.newaxis, :], self.matrices)[:, 0, :]

    def take(self, samples):
        """Return the map of some of the samples."""
        return DenseMap(self.matrices[samples])


def encoder_map(network, params, X, n_layers):
    """Return the Jacobians of the network's first layers at the rows of ``X``.

    Units that are saturated at every row, so that their part of any J v is lost in rounding, are left out.
    """
    weights, diagonals = [], []
    columns = slice(None)
    for layer in range(n_layers):
        matrix, activation = params.encoder_weights[layer], network.activations[layer]
        outputs = np.empty((len(X), len(matrix)), matrix.dtype)
        propagate(X, matrix.T, activation, params.encoder_biases[layer], outputs)
        X, diagonal = outputs, np.empty_like(outputs)
        slopes(activation.kind, X, diagonal)
        largest = np.abs(diagonal).max(axis=0)
        alive = largest > np.finfo(X.dtype).eps * largest.max() / len(largest)
        if alive.all() or not alive.any():
            alive = slice(None)
        weights.append(matrix[alive][:, columns])
        diagonals.append(np.ascontiguousarray(diagonal[:, alive]))
        columns = alive
    return ChainMap(weights, diagonals)


def spectra(matrices, width):
    """Return the singular values of each matrix, largest first, of shape (n_matrices, width).

    Rows and columns that are lost in rounding beside the largest are left out: those of saturated units are, and their
    denormal numbers would cost a hundred times as much.
    """
    values = np.zeros((len(matrices), width), matrices.dtype)
    for matrix, out in zip(matrices, values):
        norms = np.abs(matrix).max(axis=1)
        matrix = matrix[norms > np.finfo(matrix.dtype).eps * norms.max() / matrix.size]
        matrix = matrix[:, matrix.any(axis=0)]
        if not matrix.size:
            continue
        if matrix.dtype == np.float32:
            # The squares of the singular values, from the smaller of the two Gram matrices.
            matrix = matrix.astype(np.float64)
            gram = matrix @ matrix.T if len(matrix) < matrix.shape[1] else matrix.T @ matrix
            found = np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0))
        else:
            found = np.linalg.svd(matrix, compute_uv=False)
        out[: len(found)] = found[:width]
    return values
