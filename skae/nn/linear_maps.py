"""Jacobians of some samples at once, as linear maps that are never formed."""

import numpy as np

from .._arrays.namespace import like, to_numpy
from .layer import LinearLayer

_FEW = 4  # a space of the inputs with this many times fewer dimensions is worth the change to its coordinates


class ProductMap:
    """J_i = D_iL W_L ... D_i1 W_1, where the samples i share the weights and differ in the activations' Jacobians D.

    Parameters
    ----------
    layers : list of LinearLayer
        Layers from the lowest up.
    n_samples : int

    Attributes
    ----------
    n_features : int
    prototype : array
        Array with the library, device and dtype of vectors.
    """

    def __init__(self, layers, n_samples):
        self.layers, self.n_samples = layers, n_samples
        self.n_features, self.prototype = layers[0].weights.shape[1], layers[0].weights

    def jvp(self, vectors):
        """Return J_i v_i, a row for each sample."""
        for layer in self.layers:
            moved = vectors @ layer.weights.T
            vectors = layer.derivatives.jvp(moved, out=moved)
        return vectors

    def vjp(self, vectors):
        """Return J_i' u_i, a row for each sample."""
        for layer in reversed(self.layers):
            vectors = layer.derivatives.vjp(vectors) @ layer.weights
        return vectors

    def take(self, samples, n_samples):
        """Return the map of some of the samples."""
        return ProductMap([layer.take(samples) for layer in self.layers], n_samples)

    def in_row_space(self, n_least):
        """Return this map for coordinates of vectors in its :func:`row_space`, and the basis of that space.

        If the space is not much smaller than that of all vectors, or has fewer than ``n_least`` dimensions, return this
        map itself and None.
        """
        lowest, *others = self.layers
        if not n_least <= lowest.weights.shape[0] <= self.n_features // _FEW:
            return self, None
        basis = like(row_space(to_numpy(lowest.weights)), lowest.weights)
        lowest = LinearLayer(lowest.weights @ basis.T, lowest.derivatives)
        return ProductMap([lowest, *others], self.n_samples), basis


class DenseMap:
    """Explicit J_i, in an array of shape (n_samples, n_outputs, n_features)."""

    def __init__(self, matrices):
        self.matrices = matrices
        self.n_samples, _, self.n_features = matrices.shape
        self.prototype = matrices

    def jvp(self, vectors):
        """Return J_i v_i, a row for each sample."""
        return np.matmul(self.matrices, vectors[:, :, np.newaxis])[:, :, 0]

    def vjp(self, vectors):
        """Return J_i' u_i, a row for each sample."""
        return np.matmul(vectors[:, np.newaxis, :], self.matrices)[:, 0, :]

    def take(self, samples, n_samples):
        """Return the map of some of the samples."""
        return DenseMap(self.matrices[samples])

    def in_row_space(self, n_least):
        """Return this map and None: the matrices have no rows in common."""
        return self, None


def row_space(weights):
    """Return as many orthonormal rows as ``weights`` has, which span a space that contains these.

    There are fewer rows than columns. A part of x that is orthogonal to the space does not change ``weights @ x``.
    """
    basis, _ = np.linalg.qr(weights.T.astype(np.float64))
    return basis.T.astype(weights.dtype)


def encoder_map(params, X, n_layers):
    """Return the Jacobians of the first layers of a network with ``params`` at the rows of ``X``.

    Units saturated at every row are left out, since their part of any J v is lost in rounding.
    """
    layers, n_samples, columns = [], X.shape[0], slice(None)
    for layer in params.encoder_layers[:n_layers]:
        X = layer.forward(X)
        linear, active = layer.linearize(X).active()
        layers.append(LinearLayer(linear.weights[:, columns], linear.derivatives))
        columns = active
    return ProductMap(layers, n_samples)


def spectra(matrices, width):
    """Return the singular values of each matrix, largest first, of shape (n_matrices, width).

    Rows and columns that are lost in rounding, relative to the largest, are left out: those of saturated units are, and
    their denormal values would cost a hundred times as much.
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
