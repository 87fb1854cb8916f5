"""Regularized auto-encoders for scikit-learn."""

from ._version import __version__
from .autoencoders import AutoEncoder, ContractiveAE, DenoisingAE

__all__ = ["AutoEncoder", "ContractiveAE", "DenoisingAE", "__version__"]
