"""The manifold near which data live: its tangents, and a classifier invariant to movement along them."""

from ._classifier import ManifoldTangentClassifier
from ._local_pca import LocalPCA
from ._neighbors import TangentNeighborsClassifier
from ._tangents import Tangents, iter_tangents, tangent_basis
from ._terms import tangent_terms

__all__ = [
    "LocalPCA",
    "ManifoldTangentClassifier",
    "TangentNeighborsClassifier",
    "Tangents",
    "iter_tangents",
    "tangent_basis",
    "tangent_terms",
]
