"""Displays: what an auto-encoder learned, drawn with matplotlib (extra ``plot``)."""

from ._filters import FilterDisplay
from ._reconstructions import ReconstructionDisplay
from ._spectrum import SpectrumDisplay

__all__ = ["FilterDisplay", "ReconstructionDisplay", "SpectrumDisplay"]
