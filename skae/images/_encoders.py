"""How patches become codes: each encoder is one matrix product and what follows it.

``matrix`` has the whitening multiplied in; its last row belongs to the 1 that ends each normalized patch. ``threshold`` is
that of codes that are a soft threshold, which pooling then does on the way; otherwise None.
"""

import numpy as np
import scipy.sparse

from .._kernels.pictures import split_threshold, triangle


class Linear:
    """The products of a whitened patch and atoms, or their absolute values."""

    threshold = None

    def __init__(self, whitening, atoms, rectification):
        self.matrix = whitening @ atoms.T
        self.n_maps = len(atoms)
        self._rectification = rectification

    def encode(self, products, codes):
        """Fill ``codes`` from the products of normalized patches and ``matrix``."""
        rectify(products, self._rectification, codes)


class Threshold:
    """The soft threshold of these products, positive parts and then negative parts (Coates & Ng 2011)."""

    def __init__(self, whitening, atoms, alpha):
        self.matrix = whitening @ atoms.T
        self.n_maps = 2 * len(atoms)
        self.threshold = atoms.dtype.type(alpha)

    def encode(self, products, codes):
        """Fill ``codes``, see :meth:`Linear.encode`."""
        split_threshold(products, self.threshold, codes)


class Triangle:
    """By how much a center is nearer to the patch than centers are on average (Coates, Lee & Ng 2011)."""

    threshold = None

    def __init__(self, whitening, centers):
        self.matrix = np.hstack([whitening @ centers.T, whitening])
        self.n_maps = len(centers)
        self._squared_norms = np.einsum("ij,ij->i", centers, centers)

    def encode(self, products, codes):
        """Fill ``codes``, see :meth:`Linear.encode`."""
        triangle(products, self._squared_norms, codes)


class Coder:
    """What an estimator's ``transform`` makes of whitened patches, rectified."""

    threshold = None

    def __init__(self, whitening, estimator, rectification):
        self.matrix = np.ascontiguousarray(whitening)
        self._estimator, self._rectification = estimator, rectification
        width = self._transform(np.zeros((1, whitening.shape[1]), whitening.dtype)).shape[1]
        self.n_maps = 2 * width if rectification == "split" else width

    def encode(self, products, codes):
        """Fill ``codes``, see :meth:`Linear.encode`."""
        rectify(self._transform(products), self._rectification, codes)

    def _transform(self, patches):
        codes = self._estimator.transform(patches)
        codes = codes.toarray() if scipy.sparse.issparse(codes) else np.asarray(codes)
        return np.ascontiguousarray(codes, dtype=patches.dtype)


def rectify(codes, kind, out):
    """Fill ``out`` with codes, their absolute values, or their positive and then negative parts."""
    if kind == "split":
        split_threshold(codes, codes.dtype.type(0), out)
    elif kind == "absolute":
        np.abs(codes, out=out)
    else:
        out[:] = codes
