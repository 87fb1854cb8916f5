"""Boltzmann machines: energies of visible and hidden units, their samples and their likelihood."""

from ._partition import LogPartition
from ._rbm import RBM

__all__ = ["RBM", "LogPartition"]
