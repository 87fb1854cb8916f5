"""Auto-encoders: one short file each."""

from ._autoencoder import AutoEncoder
from ._contractive import ContractiveAE
from ._denoising import DenoisingAE

__all__ = ["AutoEncoder", "ContractiveAE", "DenoisingAE"]
