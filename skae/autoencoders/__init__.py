"""Auto-encoders: one short file each."""

from .._estimators.parameters import estimator
from ._autoencoder import AutoEncoder
from ._base import BaseAutoEncoder
from ._contractive import ContractiveAE
from ._denoising import DenoisingAE
from ._detector import AnomalyDetector
from ._sparse import SparseAutoEncoder

__all__ = [
    "AnomalyDetector",
    "AutoEncoder",
    "BaseAutoEncoder",
    "ContractiveAE",
    "DenoisingAE",
    "SparseAutoEncoder",
    "estimator",
]
