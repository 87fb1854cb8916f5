"""Encoders of patches: each is a matrix product and a function of the products.

``matrix`` includes the whitening, given in float64; its last row belongs to the 1 at the end of each normalized patch.
``width`` is the number of values, products and codes, that a position needs at once. ``encode`` turns products into
codes. ``pool`` adds the codes of positions from ``first`` on to windows, if possible by a kernel that does not store
the codes.
"""

import numpy as np

from .._arrays.namespace import dense
from .._estimators.reading import named_array
from .._estimators.subestimators import plain_codes
from .._kernels.patches import pool, pool_split, pool_triangle, split_threshold, triangle


class Linear:
    """Products of a whitened patch and the atoms, or their absolute values."""

    def __init__(self, whitening, atoms, rectification, dtype):
        self.matrix = (whitening @ atoms.T).astype(dtype)
        self.n_maps, self.width = len(atoms), 2 * len(atoms)
        self._rectification = rectification

    def encode(self, products):
        """Return codes."""
        return rectified(products, self._rectification)

    def pool(self, products, first, windows, pooled):
        """Add codes to ``pooled``."""
        pool(self.encode(products), first, windows, pooled)


class Threshold:
    """Soft threshold of these products, positive parts followed by negative parts (Coates & Ng 2011)."""

    def __init__(self, whitening, atoms, alpha, dtype):
        self.matrix = (whitening @ atoms.T).astype(dtype)
        self.n_maps, self.width = 2 * len(atoms), len(atoms)
        self._alpha = dtype.type(alpha)

    def encode(self, products):
        """Return codes."""
        return split(products, self._alpha)

    def pool(self, products, first, windows, pooled):
        """Add codes to ``pooled``."""
        pool_split(products, self._alpha, first, windows, pooled)


class Triangle:
    """Mean distance to the centers minus the distance to each, where positive (Coates, Lee & Ng 2011)."""

    def __init__(self, whitening, centers, dtype):
        # Relative to their mean, so that squares are not much larger than distances.
        mean = centers.mean(axis=0)
        centers, whitening = centers - mean, np.vstack([whitening[:-1], whitening[-1:] - mean])
        self.matrix = np.hstack([whitening @ centers.T, whitening]).astype(dtype)
        self.n_maps, self.width = len(centers), self.matrix.shape[1]
        self._squared_norms = np.einsum("ij,ij->i", centers, centers).astype(dtype)

    def encode(self, products):
        """Return codes."""
        codes = np.empty((len(products), self.n_maps), products.dtype)
        triangle(products, self._squared_norms, codes)
        return codes

    def pool(self, products, first, windows, pooled):
        """Add codes to ``pooled``."""
        distances = np.empty(self.n_maps, products.dtype)
        pool_triangle(products, self._squared_norms, distances, first, windows, pooled)


class Coder:
    """Rectified ``transform`` of an estimator on whitened patches."""

    def __init__(self, whitening, estimator, rectification):
        self.matrix = np.ascontiguousarray(whitening)
        self._estimator, self._rectification = estimator, rectification
        self._check_codes(np.linspace([0, 1], [1, 0], whitening.shape[1], dtype=whitening.dtype).T)
        self.n_maps = self.encode(np.zeros((1, whitening.shape[1]), whitening.dtype)).shape[1]
        self.width = whitening.shape[1] + self.n_maps

    def _check_codes(self, patches):
        """Raise unless the estimator transforms two patches into two rows of numbers."""
        name = f"transform of dictionary={type(self._estimator).__name__}"
        codes = dense(plain_codes(self._estimator, patches))
        if codes.shape[:1] != (2,) or named_array(codes, name).ndim != 2:
            raise ValueError(
                f"{name} must return a row of codes for each patch; got the shape {codes.shape} for two."
            )

    def encode(self, products):
        """Return codes."""
        codes = np.ascontiguousarray(
            dense(plain_codes(self._estimator, products)), dtype=products.dtype
        )
        # SparsePCA of scikit-learn returns a vector for one row.
        return rectified(codes.reshape(len(products), -1), self._rectification)

    def pool(self, products, first, windows, pooled):
        """Add codes to ``pooled``."""
        pool(self.encode(products), first, windows, pooled)


def rectified(codes, kind):
    """Return codes, their absolute values, or their positive parts followed by their negative parts."""
    if kind == "split":
        return split(codes, codes.dtype.type(0))
    return np.abs(codes) if kind == "absolute" else codes


def split(products, alpha):
    """Return the excess of products over ``alpha``, followed by that of minus the products."""
    codes = np.empty((len(products), 2 * products.shape[1]), products.dtype)
    split_threshold(products, alpha, codes)
    return codes


def tile_encoders(stage, learned, whitening, dtype):
    """Return the encoder of each tile; raise if their numbers of maps differ.

    Parameters
    ----------
    stage : ConvolutionalFeatures
        Stage whose parameters say how to encode.
    learned : list of (estimator or None, ndarray or None)
        Dictionary and filters of each tile, see :func:`~skae.images._dictionaries.learned_dictionaries`.
    whitening : ndarray
        Result of :func:`whitening_matrix`.
    dtype : dtype
        Dtype of the codes.
    """
    encoders = [
        _encoder(stage, whitening, dictionary, filters, dtype) for dictionary, filters in learned
    ]
    numbers = sorted({each.n_maps for each in encoders})
    if len(numbers) > 1:
        raise ValueError(
            f"dictionary={stage.dictionary!r} makes {numbers[0]} maps in a tile and {numbers[-1]} in another, but all need "
            "the same: set their number in dictionary, or tiling=1."
        )
    return encoders


def _encoder(stage, whitening, dictionary, filters, dtype):
    if stage.encoder == "code":
        return Coder(whitening.astype(dtype), dictionary, stage.rectification)
    atoms = np.asarray(filters, dtype=whitening.dtype)
    if stage.encoder == "triangle":
        return Triangle(whitening, atoms, dtype)
    norms = np.linalg.norm(atoms, axis=1, keepdims=True)
    atoms = atoms / np.where(norms > 0, norms, 1)
    if stage.encoder == "threshold":
        return Threshold(whitening, atoms, stage.alpha, dtype)
    if stage.rectification == "split":
        return Threshold(whitening, atoms, 0, dtype)
    return Linear(whitening, atoms, stage.rectification, dtype)


def whitening_matrix(zca, center, n_values):
    """Return the matrix, in float64, that maps a normalized or centered patch, followed by a 1, to the whitened one.

    Parameters
    ----------
    zca : ZCA or None
        Fitted whitening, if any.
    center : ndarray of shape (n_values,) or None
        What was subtracted from the patch, if contrasts stay as they are.
    n_values : int
        Number of values of a patch.
    """
    offset = np.zeros(n_values) if center is None else center.astype(float)
    if zca is None:
        return np.vstack([np.eye(n_values), offset])
    whitening = zca.whitening_.astype(float)
    return np.vstack([whitening, (offset - zca.mean_) @ whitening])
