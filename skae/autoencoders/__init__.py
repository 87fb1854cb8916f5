"""Auto-encoders: one short file each."""

from ._autoencoder import AutoEncoder
from ._base import BaseAutoEncoder
from ._contractive import ContractiveAE
from ._denoising import DenoisingAE

__all__ = ["AutoEncoder", "BaseAutoEncoder", "ContractiveAE", "DenoisingAE"]
