"""Sparse coding: inference, dictionary learning, predictive sparse decomposition."""

from ._coder import SparseCoder
from ._psd import PSD

__all__ = ["PSD", "SparseCoder"]
