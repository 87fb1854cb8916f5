"""Small models of the kinds that the tests of all of them have in common, before they are fitted."""

from skae import (
    DBM,
    DBN,
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    BoltzmannClassifier,
    ContractiveAE,
    Imputer,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.generative import EnergyAE, JointEnergy
from skae.images import ZCA
from skae.manifold import LocalPCA

SHORT = {"max_iter": 2, "random_state": 0}
LAYERS = [("low", AutoEncoder(4, **SHORT)), ("high", AutoEncoder(3, **SHORT))]
MACHINES = [("low", RBM(4, **SHORT)), ("high", RBM(3, **SHORT))]
TRAINED = [
    SparseCoder(4, **SHORT),
    PSD(4, **SHORT),
    DBM(MACHINES, **SHORT),
    EnergyAE(3, **SHORT),
    RecurrentAE(LAYERS, **SHORT),
    StackedAE(LAYERS, fine_tune="reconstruction", **SHORT),
    StackedAEClassifier(LAYERS, **SHORT),
    StackedAERegressor(LAYERS, **SHORT),
    ManifoldTangentClassifier(ContractiveAE(3, **SHORT), n_tangents=2, **SHORT),
    BoltzmannClassifier(DBN(MACHINES), **SHORT),
]
OTHERS = [
    DBN(MACHINES, random_state=0),
    AnomalyDetector(AutoEncoder(3, **SHORT)),
    Imputer(AutoEncoder(3, **SHORT)),
    LocalPCA(4),
    JointEnergy(AutoEncoder(3, **SHORT), n_draws=2, burn_in=1, n_chains=2, random_state=0),
    ZCA(),
]
