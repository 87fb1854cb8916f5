"""Displays: what an auto-encoder learned, drawn with matplotlib (extra ``plot``)."""

from ._features import SparseFeatureDisplay
from ._filters import FilterDisplay
from ._reconstructions import ReconstructionDisplay
from ._spectrum import SpectrumDisplay
from ._tangents import TangentDisplay

__all__ = [
    "FilterDisplay",
    "ReconstructionDisplay",
    "SparseFeatureDisplay",
    "SpectrumDisplay",
    "TangentDisplay",
]
