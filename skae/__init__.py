"""Regularized auto-encoders and sparse coding for scikit-learn."""

from ._engines import show_engines
from ._version import __version__
from .autoencoders import (
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    SparseAutoEncoder,
)
from .boltzmann import DBM, DBN, RBM, BoltzmannClassifier
from .deep import RecurrentAE, StackedAE, StackedAEClassifier, StackedAERegressor, make_stack
from .manifold import ManifoldTangentClassifier
from .sparse import PSD, SparseCoder

__all__ = [
    "DBM",
    "DBN",
    "PSD",
    "RBM",
    "AnomalyDetector",
    "AutoEncoder",
    "BoltzmannClassifier",
    "ContractiveAE",
    "DenoisingAE",
    "ManifoldTangentClassifier",
    "RecurrentAE",
    "SparseAutoEncoder",
    "SparseCoder",
    "StackedAE",
    "StackedAEClassifier",
    "StackedAERegressor",
    "__version__",
    "make_stack",
    "show_engines",
]
