"""Samples from auto-encoders, and what they say about the density of the data."""

from ._chains import sample_chain, sample_langevin
from ._diagnostics import ChainDiagnostics
from ._energy import EnergyAE
from ._joint import JointEnergy, ReconstructionMoments
from ._local_chain import sample_local_moments
from ._moments import LocalMoments, ball_moments, local_moments
from ._parzen import ParzenLikelihood, parzen_comparison, parzen_log_likelihood
from ._walkback import sample_walkback

__all__ = [
    "ChainDiagnostics",
    "EnergyAE",
    "JointEnergy",
    "LocalMoments",
    "ParzenLikelihood",
    "ReconstructionMoments",
    "ball_moments",
    "local_moments",
    "parzen_comparison",
    "parzen_log_likelihood",
    "sample_chain",
    "sample_langevin",
    "sample_local_moments",
    "sample_walkback",
]
