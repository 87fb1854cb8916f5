"""Auto-encoders: one short file each."""

from .._estimators.parameters import estimator
from ..nn.activations import Activation
from ..nn.sparse_units import TopK
from ._autoencoder import AutoEncoder
from ._base import BaseAutoEncoder
from ._contractive import ContractiveAE
from ._denoising import DenoisingAE
from ._detector import AnomalyDetector
from ._imputer import Imputer
from ._sparse import SparseAutoEncoder

__all__ = [
    "AnomalyDetector",
    "AutoEncoder",
    "BaseAutoEncoder",
    "ContractiveAE",
    "DenoisingAE",
    "Imputer",
    "SparseAutoEncoder",
    "TopK",
    "Activation",
    "estimator",
]
