"""scikit-learn's own checks, legacy ones too."""

import inspect
from functools import partial

import pytest
from common import sklearn_checks
from sklearn.base import clone

import skae
from skae import (
    DBM,
    DBN,
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    BoltzmannClassifier,
    DenoisingAE,
    Imputer,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.autoencoders import BaseAutoEncoder
from skae.manifold import LocalPCA, TangentNeighborsClassifier

NOISE = "minibatches of repeated and of weighted rows are not the same; exact with lbfgs"
WEIGHT_CHECKS = (
    "check_sample_weight_equivalence_on_dense_data",
    "check_sample_weight_equivalence_on_sparse_data",
)


AUTOENCODERS = [
    each
    for each in vars(skae).values()
    if inspect.isclass(each) and issubclass(each, BaseAutoEncoder)
]
SPARSE = ["topk", "batch_topk", "jumprelu", "relu"]
LAYERS = [("low", AutoEncoder(8, max_iter=3)), ("high", AutoEncoder(6, max_iter=3))]
MACHINES = [
    (name, RBM(n, max_iter=3, learning_rate_init=0.01)) for name, n in (("low", 8), ("high", 6))
]
# Checks of predictions ask for a good model of few rows, the others do not.
PREDICTIONS = "check_classifiers_train", "check_regressors_train"
ENOUGH = {"max_iter": 25, "learning_rate_init": 0.1}
BOLTZMANN = [
    RBM(3, max_iter=5, learning_rate_init=0.01),
    RBM(3, max_iter=5, learning_rate_init=0.01, gradient="pcd"),
    DBN(MACHINES),
    DBM(MACHINES, max_iter=3),
    BoltzmannClassifier(DBN(MACHINES), **ENOUGH),
    BoltzmannClassifier(DBM(MACHINES, max_iter=3), **ENOUGH),
]
STACKS = [
    StackedAE(LAYERS),
    StackedAE(LAYERS, fine_tune="reconstruction", max_iter=5),
    StackedAE(LAYERS, fine_tune="supervised", **ENOUGH),
    StackedAEClassifier(LAYERS, **ENOUGH),
    StackedAERegressor(LAYERS, **ENOUGH),
    RecurrentAE(LAYERS, max_iter=5),
    RecurrentAE(LAYERS, max_iter=5, pretraining=None, solver="lbfgs"),
]


def _expected_failures(estimator):
    if isinstance(estimator, StackedAE) and estimator.fine_tune == "supervised":
        return {"check_classifiers_regression_target": "it is a regressor for a y of other numbers"}
    if isinstance(estimator, (DenoisingAE, RecurrentAE)) and estimator.solver == "adam":
        return dict.fromkeys(WEIGHT_CHECKS, NOISE)
    if isinstance(estimator, (RBM, DBN, DBM, BoltzmannClassifier)):
        return dict.fromkeys(
            WEIGHT_CHECKS, "chains of repeated and of weighted rows are not the same"
        )
    batch_topk = getattr(estimator, "activation", None) == "batch_topk"
    if isinstance(estimator, (SparseCoder, PSD)) or batch_topk:
        return dict.fromkeys(WEIGHT_CHECKS, "minibatches of weighted and of repeated rows differ")
    return {}


QUICK = [AutoEncoder(n_components=3, max_iter=5), SparseCoder(3, max_iter=3)]
OTHERS = [
    *[
        Estimator(n_components=3, max_iter=5, solver=solver)
        for Estimator in AUTOENCODERS
        for solver in ("adam", "lbfgs")
        if (Estimator, solver) != (AutoEncoder, "adam")
    ],
    *STACKS,
    *BOLTZMANN,
    SparseCoder(3, max_iter=3, split_sign=True),
    PSD(3, max_iter=3),
    *[SparseAutoEncoder(6, activation=each, max_iter=3) for each in SPARSE],
    AnomalyDetector(AutoEncoder(3, max_iter=5)),
    AnomalyDetector(),
    Imputer(AutoEncoder(3, max_iter=5)),
    Imputer(),
    LocalPCA(2),
    TangentNeighborsClassifier(LocalPCA(3), n_neighbors=1, n_tangents=1),
    ManifoldTangentClassifier(AutoEncoder(8, max_iter=3), n_tangents=1, **ENOUGH),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@sklearn_checks(QUICK, expected_failures=_expected_failures)
def test_sklearn(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@sklearn_checks(OTHERS, expected_failures=_expected_failures)
def test_sklearn_for_the_others(estimator, check, monkeypatch):
    # The bases that they have by default train for as many epochs as the other ones here.
    for module, Base in (("_imputer", DenoisingAE), ("_detector", AutoEncoder)):
        short = partial(Base, max_iter=5)
        monkeypatch.setattr(f"skae.autoencoders.{module}.{Base.__name__}", short)
    enough = estimator.get_params().get("max_iter") == ENOUGH["max_iter"]
    if enough and check.func.__name__ not in PREDICTIONS:
        estimator = clone(estimator).set_params(max_iter=3)
    check(estimator)
