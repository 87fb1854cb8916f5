"""Boltzmann machines: energies of visible and hidden units, their samples and their likelihood."""

from ._classifier import BoltzmannClassifier
from ._dbm import DBM
from ._dbn import DBN
from ._partition import LogPartition
from ._rbm import RBM

__all__ = ["BoltzmannClassifier", "DBM", "DBN", "RBM", "LogPartition"]
