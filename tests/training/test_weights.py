"""Rows of weight 0 are as if they were not there, whatever they hold."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from skae import (
    DBN,
    PSD,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.boltzmann import DBM, BoltzmannClassifier
from skae.generative import EnergyAE, JointEnergy

X, y = load_iris(return_X_y=True)
X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
rng = np.random.default_rng(0)
WEIGHTS = rng.random(len(X)) * (rng.random(len(X)) < 0.5)
KEPT = WEIGHTS > 0
WILD = np.where(KEPT[:, np.newaxis], X, 1e3 * rng.standard_normal(X.shape))
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*codes of .* are constant"),
]

SHORT = {"max_iter": 2, "random_state": 0}
LAYERS = [("low", ContractiveAE(4, **SHORT)), ("high", AutoEncoder(3, **SHORT))]
MACHINES = [("low", RBM(4, **SHORT)), ("high", RBM(3, **SHORT))]
NOISY = [("low", DenoisingAE(4, **SHORT)), ("high", RBM(3, **SHORT))]
MODELS = {
    "early stopping": AutoEncoder(3, early_stopping=True, **SHORT),
    "automatic epochs": AutoEncoder(3, random_state=0),
    "L-BFGS": ContractiveAE(3, solver="lbfgs", **SHORT),
    "noise": DenoisingAE(3, **SHORT),
    "sparse machine": RBM(3, sparsity=0.1, batch_size=3, **SHORT),
    "persistent chains": RBM(3, gradient="pcd", **SHORT),
    "coder": SparseCoder(5, alpha=0.1, **SHORT),
    "psd": PSD(5, alpha=0.1, **SHORT),
    "sparse": SparseAutoEncoder(6, k=2, sparse_output=False, **SHORT),
    "energy": EnergyAE(3, **SHORT),
    "draws": JointEnergy(AutoEncoder(3, **SHORT), n_draws=1, thin=1, burn_in=2, batch_size=20),
    "stack": StackedAE(LAYERS, fine_tune="reconstruction", **SHORT),
    "all layers at once": StackedAE(MACHINES, schedule="simultaneous", random_state=0),
    "noise below": StackedAE(NOISY, corrupted="input", random_state=0),
    "recurrent": RecurrentAE(LAYERS, **SHORT),
    "belief network": DBN(MACHINES, random_state=0),
    "deep machine": DBM(MACHINES, **SHORT),
    "classifier": StackedAEClassifier(LAYERS, class_weight="balanced", **SHORT),
    "partly": StackedAEClassifier(LAYERS, pretraining="partial", **SHORT),
    "beside": StackedAEClassifier(LAYERS, reconstruction_weight=1.0, **SHORT),
    "regressor": StackedAERegressor(LAYERS, **SHORT),
    "tangents": ManifoldTangentClassifier(ContractiveAE(4, **SHORT), **SHORT),
    "machine": BoltzmannClassifier(DBM(MACHINES, **SHORT), **SHORT),
}


def _arrays(thing):
    """Return the numbers that a fit has learned."""
    if isinstance(thing, np.ndarray):
        return [thing.ravel()]
    if isinstance(thing, dict):
        return [each for value in thing.values() for each in _arrays(value)]
    if isinstance(thing, JointEnergy):
        return [thing.draws_.ravel()]
    if isinstance(thing, DBN):
        return _arrays(thing.stack_)
    if hasattr(thing, "_state"):
        imputation = getattr(thing, "_imputation", None)
        return _arrays(thing._state) + _arrays(vars(imputation) if imputation else {})
    return []


def _same(one, other):
    np.testing.assert_array_equal(np.concatenate(_arrays(one)), np.concatenate(_arrays(other)))


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_rows_of_weight_0_do_not_count(model):
    model = clone(model).set_params(random_state=0)
    expected = clone(model).fit(X[KEPT], y[KEPT], sample_weight=WEIGHTS[KEPT])
    _same(clone(model).fit(WILD, y, sample_weight=WEIGHTS), expected)


@pytest.mark.parametrize("name", ["classifier", "partly", "beside", "tangents", "machine"])
def test_rows_of_weight_0_do_not_count_beside_unlabeled_ones(name):
    model, labels = MODELS[name], np.where(np.arange(len(y)) % 3, -1, y)
    expected = clone(model).fit(X[KEPT], labels[KEPT], sample_weight=WEIGHTS[KEPT])
    _same(clone(model).fit(WILD, labels, sample_weight=WEIGHTS), expected)


@pytest.mark.parametrize("name", ["early stopping", "sparse machine", "coder", "energy"])
def test_rows_of_weight_0_do_not_count_in_one_pass(name):
    model = clone(MODELS[name])
    model.set_params(early_stopping=False)
    expected = clone(model).partial_fit(X[KEPT], sample_weight=WEIGHTS[KEPT])
    _same(model.partial_fit(WILD, sample_weight=WEIGHTS), expected)


@pytest.mark.parametrize(
    "options",
    [{"schedule": "simultaneous"}, {"corrupted": "input"}],
    ids=["at once", "noise below"],
)
def test_layers_begin_at_the_weighted_means_of_all_codes(options):
    rows = np.sort(np.random.default_rng(0).random((3000, 4)), axis=0)
    weights = np.linspace(0.5, 2, 3000)
    still = {"learning_rate_init": 1e-300, "max_iter": 1, "random_state": 0}
    layers = [("low", RBM(4, **still)), ("high", RBM(3, **still))]
    stack = StackedAE(layers, random_state=0, **options).fit(rows, sample_weight=weights)
    low, high = (layer for _, layer in stack.layers_)
    means = (weights @ low.transform(rows) + 0.5) / (weights.sum() + 1)
    np.testing.assert_allclose(high.decoder_bias_, np.log(means / (1 - means)), rtol=1e-6)


@pytest.mark.parametrize("weight", [-1.0, 0.0, 1e308])
@pytest.mark.parametrize("name", ["early stopping", "coder", "deep machine"])
def test_weights_without_a_mean_are_refused(name, weight):
    """Of the huge ones each is finite, but their sum is not."""
    model, weights = clone(MODELS[name]), np.full(len(X), weight)
    with pytest.raises(ValueError, match="[sS]ample.weight"):
        model.fit(X, sample_weight=weights)
    model.fit(X)
    with pytest.raises(ValueError, match="[sS]ample.weight"):
        model.score(X, sample_weight=weights)


@pytest.mark.parametrize("name", ["early stopping", "coder", "deep machine", "draws", "energy"])
def test_scores_of_weight_0_do_not_count(name):
    model = clone(MODELS[name]).fit(X)
    beyond = np.where(KEPT[:, np.newaxis], X, 1e200)
    expected = model.score(X[KEPT], sample_weight=WEIGHTS[KEPT])
    with np.errstate(all="ignore"):
        assert model.score(beyond, sample_weight=WEIGHTS) == pytest.approx(expected)


@pytest.mark.parametrize(("dtype", "weight"), [(np.float64, 5e-324), (np.float32, 1e-42)])
def test_weights_without_digits_are_refused(dtype, weight):
    model = AutoEncoder(3, **SHORT)
    with pytest.raises(ValueError, match="sample_weight has the sum .* multiply all weights"):
        model.fit(X.astype(dtype), sample_weight=np.full(len(X), weight))
