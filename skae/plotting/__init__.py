"""Displays of what an auto-encoder learned, drawn with matplotlib (extra ``plot``)."""

from ._chains import ChainDisplay
from ._codes import CodeDisplay
from ._curves import LossCurveDisplay
from ._features import SparseFeatureDisplay
from ._filters import FilterDisplay
from ._maps import FeatureMapDisplay
from ._reconstructions import ReconstructionDisplay
from ._saturation import SaturationDisplay
from ._spectrum import SpectrumDisplay
from ._tangents import TangentDisplay

__all__ = [
    "ChainDisplay",
    "CodeDisplay",
    "FeatureMapDisplay",
    "FilterDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "SaturationDisplay",
    "SparseFeatureDisplay",
    "SpectrumDisplay",
    "TangentDisplay",
]
