"""A parameter that changes nothing beside the values of others is told, by name; one that counts is not."""

import re
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skae import (
    DBM,
    DBN,
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    BoltzmannClassifier,
    ContractiveAE,
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
from skae.generative import EnergyAE, parzen_log_likelihood, sample_walkback
from skae.images import ConvolutionalFeatures, ConvolutionalPSD

SHORT = {"max_iter": 3, "random_state": 0}
LAYERS = [("low", AutoEncoder(5, **SHORT)), ("high", DenoisingAE(3, **SHORT))]
CLEAN = [("low", DenoisingAE(5, **SHORT)), ("high", AutoEncoder(3, **SHORT))]
MACHINES = [("low", RBM(4, **SHORT)), ("high", RBM(3, **SHORT))]
BASE = ContractiveAE(3, **SHORT)
ATOMS = np.eye(6)[:3]
rng = np.random.default_rng(0)
X, Y, IMAGES = rng.random((40, 6)), np.arange(40) % 2, rng.random((12, 8, 8))
FEATURES = ConvolutionalFeatures(4, patch_size=3, random_state=0)


def _fitted(model):
    data = (IMAGES,) if isinstance(model, (ConvolutionalFeatures, ConvolutionalPSD)) else (X, Y)
    with threadpool_limits(1):
        return clone(model).fit(*data)


def _told(model):
    """Return the fitted model and what its warnings say of parameters without effect."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = _fitted(model)
    texts = [str(each.message) for each in caught]
    return model, [text for text in texts if "no effect" in text]


def _names(texts):
    """Return the parameters that are told to have no effect."""
    return [name for text in texts for name in re.findall(r"(\w+)=", text.split("no effect")[0])]


def _results(model):
    """Return numbers that depend on all that a model has learned."""
    state = vars(model).get("_state", {})
    found = [np.asarray(state[each]) for each in ("params", "loss_curve") if each in state]
    for name in ("transform", "predict_proba", "predict"):
        if hasattr(model, name):
            x = IMAGES if isinstance(model, (ConvolutionalFeatures, ConvolutionalPSD)) else X
            codes = getattr(model, name)(x)
            found.append(codes.toarray() if hasattr(codes, "toarray") else codes)
    return found


def _equal(ours, others):
    return all(np.array_equal(*pair) for pair in zip(ours, others, strict=True))


# A model, parameters without effect in it, and what the warning asks for, in which they are not told.
UNUSED = [
    (RBM(3, **SHORT), {"n_chains": 7}, {"gradient": "pcd"}),
    (RBM(3, **SHORT), {"sparsity_target": 0.4}, {"sparsity": 0.1}),
    (RBM(3, **SHORT), {"tol": 0.9, "n_iter_no_change": 1}, {"early_stopping": True}),
    (RBM(3, learning_rate="constant", **SHORT), {"tol": 0.9}, {"gradient": "autoencoder"}),
    (RBM(3, gradient="autoencoder", **SHORT), {"n_gibbs_steps": 2}, {"gradient": "cd"}),
    (DBM(MACHINES, **SHORT), {"tol": 0.9, "n_iter_no_change": 1}, {"early_stopping": True}),
    (DBN([("low", RBM(4, **SHORT))]), {"low__n_chains": 7}, {"low__gradient": "pcd"}),
    (AutoEncoder(3, **SHORT), {"validation_fraction": 0.4}, {"early_stopping": True}),
    (AutoEncoder(3, **SHORT), {"tol": 0.9}, {"learning_rate": "constant"}),
    (AutoEncoder(3, **SHORT), {"n_iter_no_change": 1}, {"learning_rate": "constant"}),
    (
        AutoEncoder(3, solver="lbfgs", **SHORT),
        {"batch_size": 7, "shuffle": False, "learning_rate_init": 0.1, "learning_rate": "constant"},
        {"solver": "adam"},
    ),
    (
        AutoEncoder(3, solver="lbfgs", **SHORT),
        {"n_iter_no_change": 1},
        {"early_stopping": True},
    ),
    (ContractiveAE(3, **SHORT), {"curvature_noise": 0.3}, {"curvature": 0.1}),
    (ContractiveAE(3, **SHORT), {"n_curvature_samples": 2}, {"curvature": 0.1}),
    (ContractiveAE(3, **SHORT), {"n_directions": 2}, {"hidden_layer_sizes": (4,)}),
    (ContractiveAE(3, **SHORT), {"n_directions": 2}, {"contracted": "reconstruction"}),
    (SparseAutoEncoder(8, **SHORT), {"expansion": 2}, {"n_components": None}),
    (SparseAutoEncoder(8, **SHORT), {"alpha": 0.1}, {"activation": "relu"}),
    (SparseAutoEncoder(8, activation="relu", **SHORT), {"k": 2}, {"activation": "batch_topk"}),
    (SparseCoder(3, alpha=0.1, **SHORT), {"n_nonzero_coefs": 1}, {"algorithm": "omp"}),
    (SparseCoder(3, algorithm="omp", **SHORT), {"alpha": 0.3}, {"algorithm": "cd"}),
    (SparseCoder(3, algorithm="omp", **SHORT), {"gap_tol": 0.3}, {"algorithm": "cd"}),
    (SparseCoder(3, algorithm="omp", **SHORT), {"max_inference_iter": 3}, {"algorithm": "cd"}),
    (
        SparseCoder(alpha=0.1, dictionary=ATOMS),
        {"batch_size": 7, "max_iter": 2, "tol": 0.9, "shuffle": False, "early_stopping": True},
        {"dictionary": None},
    ),
    (SparseCoder(alpha=0.1, dictionary=ATOMS), {"n_components": 2}, {"dictionary": None}),
    (PSD(4, alpha=0.1, **SHORT), {"n_steps": 2}, {"encoder": "lista"}),
    (PSD(4, alpha=0.1, **SHORT), {"pool_size": 3}, {"topology": (2, 2)}),
    (
        StackedAE(LAYERS, random_state=0),
        {"max_iter": 3, "batch_size": 7, "corruption": "masking", "weight_decay": 0.1},
        {"fine_tune": "reconstruction"},
    ),
    (
        StackedAE(LAYERS, fine_tune="reconstruction", **SHORT),
        {"corruption_level": 0.1},
        {"corruption": "gaussian"},
    ),
    (
        StackedAE(LAYERS, fine_tune="supervised", **SHORT),
        {"corruption_level": 0.1},
        {"corruption": "masking"},
    ),
    (StackedAE(CLEAN, random_state=0), {"corrupted": "input"}, {"layers": LAYERS}),
    (StackedAEClassifier(LAYERS, **SHORT), {"corruption_level": 0.1}, {"corruption": "masking"}),
    (
        StackedAEClassifier(LAYERS, pretraining="supervised", **SHORT),
        {"schedule": "simultaneous", "corrupted": "input"},
        {"pretraining": "unsupervised"},
    ),
    (StackedAERegressor(LAYERS, **SHORT), {"supervision_weight": 3.0}, {"pretraining": "partial"}),
    (StackedAERegressor(LAYERS, batch_size=1, **SHORT), {"corruption": "swap"}, {"batch_size": 2}),
    (
        BoltzmannClassifier(DBN(MACHINES), **SHORT),
        {"corruption_level": 0.1},
        {"corruption": "swap"},
    ),
    (
        ManifoldTangentClassifier(BASE, n_tangents=2, frozen="all", **SHORT),
        {"update_tangents": 1},
        {"frozen": 0},
    ),
    (FEATURES, {"alpha": 0.1}, {"encoder": "threshold"}),
    (clone(FEATURES).set_params(pool_size=2), {"pool_grid": 3}, {"pool_size": None}),
    (
        clone(FEATURES).set_params(dictionary=rng.random((4, 9)), n_filters=256),
        {"n_filters": 3},
        {"dictionary": "patches"},
    ),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model", "params", "cure"), UNUSED, ids=lambda each: str(each)[:40])
def test_parameters_without_effect_are_told(model, params, cure):
    plain, before = _told(model)
    changed, told = _told(clone(model).set_params(**params))
    assert not _names(before)
    assert sorted(_names(told)) == sorted(name.rpartition("__")[2] for name in params)
    assert _equal(_results(plain), _results(changed))
    for name in cure.keys() - {"layers"}:
        assert name.rpartition("__")[2] in "".join(told)
    _, told = _told(clone(model).set_params(**params, **cure))
    assert not set(_names(told)) & set(params)


# What the user has turned off, by a value that is not the default, and parameters that need it.
TURNED_OFF = [
    (RecurrentAE(LAYERS, corruption=None, **SHORT), {"corruption_level": 0.1}),
    (
        RecurrentAE(LAYERS, pretraining=None, **SHORT),
        {"schedule": "simultaneous", "corrupted": "input"},
    ),
    (StackedAEClassifier(LAYERS, corruption=None, **SHORT), {"corruption_level": 0.1}),
    (
        ManifoldTangentClassifier(BASE, tangent_penalty=0, **SHORT),
        {"n_tangents": 1, "tangent_sampling": "exact", "tangent_storage": None},
    ),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model", "params"), TURNED_OFF, ids=lambda each: str(each)[:40])
def test_parameters_of_what_is_turned_off_are_not_told(model, params):
    plain, _ = _told(model)
    changed, told = _told(clone(model).set_params(**params))
    assert not told
    assert _equal(_results(plain), _results(changed))


def test_a_control_in_a_search_is_quiet():
    model = ManifoldTangentClassifier(BASE, n_tangents=2, tangent_storage="float32", **SHORT)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        GridSearchCV(model, {"tangent_penalty": [0, "auto"]}, cv=2, error_score="raise").fit(X, Y)
    assert not [each for each in caught if "no effect" in str(each.message)]


OTHERS = {
    "learning_rate_init": [0.02], "learning_rate": ["constant", "cosine"], "batch_size": [7], "max_iter": [2],
    "shuffle": [False], "early_stopping": [True], "validation_fraction": [0.3], "weight_decay": [0.1],
    "solver": ["sgd"], "corruption": ["masking", "gaussian"], "corruption_level": [0.15],
    "n_gibbs_steps": [3], "n_chains": [3], "sparsity": [0.5], "sparsity_target": [0.3],
    "gradient": ["pcd", "autoencoder"], "dropout": [0.4], "frozen": [1], "supervision_weight": [3.0],
    "reconstruction_weight": [0.5], "schedule": ["simultaneous"], "corrupted": ["input"], "pretraining": [None],
    "activation": ["tanh", "batch_topk"], "emphasis": [(1.0, 0.5)], "hidden_layer_sizes": [(5,)],
    "contraction": ["3*auto"], "curvature": [0.3], "curvature_noise": [0.3], "n_curvature_samples": [3],
    "contracted": ["reconstruction"], "n_directions": [2], "n_tangents": [1], "tangent_penalty": ["9*auto"],
    "tangent_sampling": ["exact"], "update_tangents": [1], "tangent_storage": ["float32"], "output": ["sigmoid"],
    "alpha": [0.05, 1.0], "beta": [0.3], "encoder": ["tanh", "threshold"], "n_steps": [2], "topology": [(2, 2)],
    "pool_size": [2], "transform_algorithm": ["lasso"], "n_nonzero_coefs": [1], "ridge": [0.3], "positive": [True],
    "split_sign": [True], "transform_encoder": ["soft_threshold"], "expansion": [2], "k": [2], "noise": [0.2],
    "n_mean_field_steps": [2], "n_filters": [3], "contrast": [None], "whitening": [None], "local_contrast": [1.0],
    "pooling": ["max"], "pool_grid": [3], "n_patches": [50], "tiling": [2], "patch_size": [4], "momentum": [0.5],
}  # fmt: skip
MODELS = [
    *(Model(3, **SHORT) for Model in (AutoEncoder, DenoisingAE, ContractiveAE, RBM, EnergyAE)),
    *(Model(4, alpha=0.1, **SHORT) for Model in (SparseCoder, PSD)),
    SparseAutoEncoder(8, **SHORT),
    DBM(MACHINES, **SHORT),
    StackedAE(LAYERS, **SHORT),
    RecurrentAE(LAYERS, **SHORT),
    StackedAEClassifier(LAYERS, **SHORT),
    StackedAERegressor(LAYERS, **SHORT),
    BoltzmannClassifier(DBN(MACHINES), **SHORT),
    ManifoldTangentClassifier(BASE, n_tangents=2, **SHORT),
    FEATURES,
    ConvolutionalPSD(3, patch_size=3, **SHORT),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_each_parameter_counts_or_is_told(model):
    plain, _ = _told(model)
    for name in OTHERS.keys() & model.get_params(deep=False).keys():
        for value in OTHERS[name]:
            try:
                changed, told = _told(clone(model).set_params(**{name: value}))
            except ValueError:  # it is refused
                continue
            if np.array_equal(value, model.get_params(deep=False)[name]) or name in _names(told):
                continue
            assert not _equal(_results(plain), _results(changed)), (name, value)


@pytest.mark.filterwarnings("ignore")
def test_grids_over_parameters_without_effect_work():
    grid = {"gradient": ["cd", "pcd"], "n_chains": [None, 3], "sparsity_target": [0.1, 0.3]}
    search = GridSearchCV(RBM(3, **SHORT), grid, cv=2, error_score="raise").fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_layers_trained_at_once_are_told_what_the_first_one_decides():
    high = AutoEncoder(3, max_iter=5, batch_size=7, random_state=0)
    stack = StackedAE([("low", AutoEncoder(5, **SHORT)), ("high", high)], schedule="simultaneous")
    _, told = _told(stack)
    assert sorted(_names(told)) == ["batch_size", "max_iter"] and "'high'" in told[0]
    high.set_params(**SHORT, batch_size=64)
    assert not _told(stack)[1]


@pytest.mark.filterwarnings("ignore:.*codes of:UserWarning")
@pytest.mark.filterwarnings("ignore:.*converge")
@pytest.mark.parametrize(
    "model",
    [
        AnomalyDetector(BASE),
        Imputer(BASE),
        StackedAE([("base", BASE)]),
        StackedAE([("base", BASE)], schedule="simultaneous"),
        StackedAEClassifier([("base", BASE)], **SHORT),
        DBN([("base", RBM(3, **SHORT))]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_parts_are_told_that_they_start_anew(model):
    model = clone(model)
    part = model.layers[0][1] if hasattr(model, "layers") else model.base
    part.set_params(warm_start=True)
    _, told = _told(model)
    assert _names(told) == ["base__warm_start"]
    part.set_params(warm_start=False)
    assert not _told(model)[1]


def test_arguments_of_functions_without_effect_are_told():
    rbm, energy = RBM(3, **SHORT).fit(X), EnergyAE(3, **SHORT).fit(X)
    coder = SparseCoder(3, algorithm="homotopy", alpha=0.1, **SHORT).fit(X)
    dae = DenoisingAE(3, loss="gaussian", **SHORT).fit(X)
    zeros = np.zeros((len(X), 3))

    def noise(X, seed, out):
        out[...] = X

    calls = {
        "n_samples=5": lambda: rbm.sample(5, start=X[:3], n_steps=1),
        "n_samples=4": lambda: DBN(MACHINES).fit(X).sample(4, start=X[:3], n_steps=1),
        "n_samples=6": lambda: energy.sample(6, start=X[:3], n_steps=1),
        "n_leapfrog=3": lambda: energy.sample(method="langevin", n_leapfrog=3, n_steps=1),
        "init": lambda: coder.infer(X, init=zeros),
        "corruption_level=0.3": lambda: sample_walkback(
            dae, X[:2], n_steps=1, corruption=noise, corruption_level=0.3
        ),
        "X_validation": lambda: parzen_log_likelihood(X, X, 0.5, X_validation=X),
    }
    for text, call in calls.items():
        with pytest.warns(UserWarning, match=text):
            call()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rbm.sample(start=X[:3], n_steps=1)
        energy.sample(3, start=X[:3], n_steps=1)
        sample_walkback(dae, X[:2], n_steps=1, corruption="masking", corruption_level=0.3)
