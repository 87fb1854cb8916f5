"""Arrays of other libraries give the numbers of numpy: torch on the CPU, and array-api-strict."""

import pickle

import numpy as np
import pytest
from common import assert_same_numbers, in_library, some_digits, tolerance_of
from scipy.sparse import csr_matrix
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import (
    DBN,
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
    _arrays,
)
from skae._arrays import activations
from skae._arrays.corruption import add_normal
from skae._estimators import unsupervised
from skae.autoencoders import TopK
from skae.boltzmann import BoltzmannClassifier
from skae.generative import EnergyAE
from skae.images import ZCA
from skae.manifold import LocalPCA
from skae.nn.losses import Bernoulli, Multinomial
from skae.training import loop

pytest.importorskip("array_api_compat")
pytestmark = pytest.mark.filterwarnings("ignore")  # few epochs learn little

OPTIONS = {"max_iter": 2, "random_state": 0}
DEEP = {"hidden_layer_sizes": (12,), **OPTIONS}
MACHINES = [("low", RBM(8, **OPTIONS)), ("high", RBM(5, gradient="pcd", **OPTIONS))]
# No feature stays dead by chance: Adam would enlarge the rounding errors of its first steps.
FEATURES = {"sparse_output": False, **OPTIONS}
DEAD = {"k": 2, "dead_after": 1, "aux": 0.5, "solver": "sgd", **FEATURES}
MODELS = {
    "sigmoid": AutoEncoder(8, **OPTIONS),
    "relu, deep, sgd, decay": AutoEncoder(
        8, activation="relu", solver="sgd", weight_decay=1e-2, **DEEP
    ),
    "tanh, untied": AutoEncoder(8, activation="tanh", tied_weights=False, **OPTIONS),
    "k largest": ContractiveAE(8, activation=TopK(3), **OPTIONS),
    "softplus, multinomial": AutoEncoder(8, activation="softplus", loss="multinomial", **OPTIONS),
    "lbfgs": AutoEncoder(8, solver="lbfgs", **OPTIONS),
    "early stopping": AutoEncoder(8, early_stopping=True, **OPTIONS),
    "masking": DenoisingAE(8, **OPTIONS),
    "salt and pepper": DenoisingAE(8, corruption="salt_and_pepper", emphasis=(1, 0.5), **OPTIONS),
    "swap": DenoisingAE(8, corruption="swap", **OPTIONS),
    "gaussian": DenoisingAE(8, corruption="gaussian", **DEEP),
    "masking, lbfgs": DenoisingAE(8, solver="lbfgs", **OPTIONS),
    "contraction": ContractiveAE(8, **OPTIONS),
    "curvature": ContractiveAE(8, curvature=0.1, **OPTIONS),
    "exact, deep": ContractiveAE(8, n_directions="all", **DEEP),
    "stochastic, deep": ContractiveAE(8, n_directions=2, curvature=0.1, **DEEP),
    "reconstruction": ContractiveAE(8, contracted="reconstruction", **OPTIONS),
    "top-k, groups": SparseAutoEncoder(48, groups=(8, 20, 48), **FEATURES),
    "top-k, dead": SparseAutoEncoder(48, early_stopping=True, **DEAD),
    "batch top-k": SparseAutoEncoder(48, activation="batch_topk", **DEAD),
    "jumprelu": SparseAutoEncoder(48, activation="jumprelu", **FEATURES),
    "relu features": SparseAutoEncoder(48, activation="relu", **FEATURES),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_fit_and_methods_are_those_of_numpy(model, library, dtype):
    X, weights = some_digits(dtype), np.linspace(0.5, 2, 150, dtype=dtype)
    theirs, their_weights = in_library(library, X, weights)
    expected, found = clone(model).fit(X, sample_weight=weights), clone(model)
    tolerance = tolerance_of(dtype)
    with config_context(array_api_dispatch=True):
        found.fit(theirs, sample_weight=their_weights)
        codes = found.transform(theirs)
        pairs = [
            (found.encoder_weights_[0], expected.encoder_weights_[0]),
            (found.center_, expected.center_),
            (codes, expected.transform(X)),
            (found.inverse_transform(codes), expected.reconstruct(X)),
            (found.reconstruct(theirs), expected.reconstruct(X)),
            (found.score_samples(theirs), expected.score_samples(X)),
        ]
        score = found.score(theirs, sample_weight=their_weights)
    assert_same_numbers(pairs, theirs, **tolerance)
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-5)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, **tolerance)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_normal_numbers_are_exactly_those_of_numpy(library):
    rng, clean = np.random.default_rng(0), np.zeros((300, 1000), np.float32)
    keys, expected = [rng.integers(0, 2**32, n) for n in clean.shape], np.empty_like(clean)
    add_normal(clean, *(each.astype(np.uint32) for each in keys), np.float32(1), expected)
    theirs, found, *their_keys = in_library(library, clean, np.empty_like(clean), *keys)
    add_normal(theirs, *their_keys, 1.0, found)
    np.testing.assert_array_equal(np.from_dlpack(found), expected)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_missing_values_and_constant_columns(library):
    X = some_digits("float64")
    X[::3, 20] = np.nan
    (theirs,) = in_library(library, X)
    model = AutoEncoder(8, loss="gaussian", **OPTIONS)
    expected, found = clone(model).fit(X), clone(model)
    with config_context(array_api_dispatch=True):
        found.fit(theirs)
        pairs = [
            (found.reconstruct(theirs), expected.reconstruct(X)),
            (found.score_samples(theirs), expected.score_samples(X)),
            (found.impute(theirs), expected.impute(X)),
        ]
    for ours, numbers in pairs:
        np.testing.assert_allclose(np.from_dlpack(ours), numbers, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("Model", [DenoisingAE, SparseAutoEncoder])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_partial_fit_and_warm_start_go_on(library, Model):
    X = some_digits("float64")
    (theirs,) = in_library(library, X)
    model = Model(8, learning_rate="constant", warm_start=True, **OPTIONS)
    expected = clone(model).partial_fit(X).partial_fit(X).fit(X)
    with config_context(array_api_dispatch=True):
        found = clone(model).partial_fit(theirs).partial_fit(theirs).fit(theirs)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-10)


def test_pickles_and_checkpoints_are_numpy(tmp_path):
    X = some_digits("float64")
    (theirs,) = in_library("torch", X)
    model = AutoEncoder(8, checkpoint=tmp_path / "file", learning_rate="constant", **OPTIONS)
    with config_context(array_api_dispatch=True):
        fitted = clone(model).fit(theirs)
    assert b"torch" not in pickle.dumps(fitted)
    read = pickle.loads(pickle.dumps(fitted))
    with config_context(array_api_dispatch=True):
        assert {type(read.transform(X)), type(read.components_), type(read.impute(X))} == {
            np.ndarray
        }
        assert type(read.transform(theirs)) is type(read.impute(theirs)) is type(theirs)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).components_, fitted.components_
    )
    # A training begun on one library goes on with another one.
    longer = clone(model).set_params(max_iter=4, resume=True).fit(X)
    whole = clone(model).set_params(max_iter=4, checkpoint=None, resume=False).fit(X)
    np.testing.assert_allclose(longer.components_, whole.components_, atol=1e-10)


@pytest.mark.parametrize("model", [AutoEncoder(8, **OPTIONS), SparseAutoEncoder(8, **FEATURES)])
@pytest.mark.parametrize("kind", ["gradient", "bfloat16", "half"])
def test_tensors_of_other_kinds_are_read_as_numbers(kind, model):
    torch = pytest.importorskip("torch")
    (theirs,) = in_library("torch", some_digits("float64").round(1))
    with config_context(array_api_dispatch=True):
        fitted = clone(model).fit(theirs)
        codes = fitted.transform(theirs).round()
        if kind == "gradient":
            given, given_codes = theirs.clone().requires_grad_(), codes.clone().requires_grad_()
        else:
            given, given_codes = (
                each.to(getattr(torch, kind)) for each in (theirs.round(), codes.round())
            )
            fitted = clone(model).fit(theirs.round())
        found = clone(model).fit(given)
        for method, array, same in (
            ("transform", given, given.detach().double()),
            ("inverse_transform", given_codes, given_codes.detach().double()),
        ):
            result = getattr(found, method)(array)
            assert not result.requires_grad
            np.testing.assert_allclose(result, getattr(fitted, method)(same), atol=1e-12)


@pytest.mark.parametrize("model", [AutoEncoder(8, **OPTIONS), StackedAEClassifier([8], **OPTIONS)])
def test_tensors_are_read_by_numpy_without_the_dispatch(model, monkeypatch):
    """In their dtype, and without array-api-compat."""

    def missing():
        raise ImportError("need array-api-compat")

    monkeypatch.setattr(_arrays.namespace, "_compat", missing)
    X, y = some_digits("float32"), load_digits().target[:150]
    theirs, their_y = in_library("torch", X, y)
    found, expected = clone(model).fit(theirs, their_y), clone(model).fit(X, y)
    for result in (found.transform(theirs), found.transform(theirs.clone().requires_grad_())):
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, expected.transform(X))
    with config_context(array_api_dispatch=True), pytest.raises(ImportError, match="array-api-co"):
        clone(model).fit(theirs, their_y)


def test_stacks_read_tensors_of_bfloat16():
    X, y = some_digits("float32").round(), load_digits().target[:150]
    model = StackedAEClassifier([8], **OPTIONS)
    theirs, their_y = in_library("torch", X, y)
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(theirs.bfloat16(), their_y).predict(theirs)
    np.testing.assert_array_equal(found, clone(model).fit(X, y).predict(X))


@pytest.mark.parametrize("Model", [AutoEncoder, RBM, SparseAutoEncoder])
def test_complex_tensors_are_refused(Model):
    (theirs,) = in_library("torch", some_digits("float32") + 1j)
    with config_context(array_api_dispatch=True):
        with pytest.raises(ValueError, match="Complex data not supported"):
            Model(8, **OPTIONS).fit(theirs)


def test_divergence_keeps_the_last_finite_epoch():
    X = some_digits("float32")
    (theirs,) = in_library("torch", X)
    model = AutoEncoder(8, activation="relu", solver="sgd", loss="gaussian", **OPTIONS)
    with config_context(array_api_dispatch=True):
        fitted = clone(model).set_params(max_iter=1, learning_rate_init=1e-3).fit(theirs)
        before = fitted.components_.clone()
        fitted.set_params(warm_start=True, learning_rate_init=1e9)
        with pytest.raises(ValueError, match="not finite"):
            fitted.fit(theirs)
        assert bool((fitted.components_ == before).all())


def test_what_is_not_there_is_refused():
    X = some_digits("float32")
    (theirs,) = in_library("torch", X)
    with pytest.raises(ValueError, match="device='cuda:99'"):
        AutoEncoder(8, device="cuda:99").fit(X)
    with pytest.raises(ValueError, match="device='mps'"):
        AutoEncoder(8, device="mps").fit(X)
    with pytest.raises(ValueError, match="float32"):
        AutoEncoder(8, precision="bfloat16").fit(X.astype(float))
    fitted = AutoEncoder(8, **OPTIONS).fit(X)
    with config_context(array_api_dispatch=True):
        with pytest.raises(ValueError, match="Set device=None"):
            AutoEncoder(8, device="cpu").fit(theirs)
        with pytest.raises(ValueError, match=r"AutoEncoder.transform\(\) must use the same"):
            fitted.transform(theirs)
        for other in (fitted, SparseAutoEncoder(8, **OPTIONS).fit(X)):
            with pytest.raises(ValueError, match=r"inverse_transform\(\) must use the same"):
                other.inverse_transform(theirs[:, :8])
            with pytest.raises(ValueError, match=r"inverse_transform\(\) must use the same"):
                clone(other).fit(theirs).inverse_transform(X[:, :8])
        for Model in (SparseCoder, RecurrentAE, LocalPCA, ZCA, EnergyAE):
            with pytest.raises(TypeError, match="arrays of numpy only"):
                Model().fit(theirs)
        with pytest.raises(TypeError, match="BoltzmannClassifier takes arrays of numpy only"):
            BoltzmannClassifier(DBN(MACHINES)).fit(theirs, np.arange(150) % 2)


LAYERS = [("low", ContractiveAE(8, **OPTIONS)), ("high", AutoEncoder(5, **OPTIONS))]
STACKS = {
    "greedy": StackedAE(LAYERS, fine_tune="reconstruction", **OPTIONS),
    "simultaneous": StackedAE(LAYERS, schedule="simultaneous", corrupted="input", **OPTIONS),
    "noise below": StackedAE(
        [LAYERS[0], ("high", DenoisingAE(5, **OPTIONS))], corrupted="input", **OPTIONS
    ),
    "supervised": StackedAE(LAYERS, fine_tune="supervised", **OPTIONS),
    "classifier": StackedAEClassifier(
        LAYERS, dropout=0.2, corruption="masking", early_stopping=True, **OPTIONS
    ),
    "supervised layers": StackedAEClassifier(LAYERS, pretraining="supervised", **OPTIONS),
    "partial": StackedAEClassifier(
        LAYERS, pretraining="partial", reconstruction_weight=0.5, **OPTIONS
    ),
    "regressor": StackedAERegressor(LAYERS, **OPTIONS),
    "tangents": ManifoldTangentClassifier(ContractiveAE(8, **OPTIONS), n_tangents=3, **OPTIONS),
    "tangents, exact": ManifoldTangentClassifier(
        StackedAE(LAYERS, **OPTIONS),
        n_tangents=3,
        tangent_sampling="exact",
        update_tangents=1,
        **OPTIONS,
    ),
    "tangents, not stored": ManifoldTangentClassifier(
        ContractiveAE(8, **OPTIONS), n_tangents=3, tangent_storage=None, **OPTIONS
    ),
    "tangents, labels": ManifoldTangentClassifier(
        ContractiveAE(8, **OPTIONS), n_tangents=3, output="sigmoid", **OPTIONS
    ),
    "cd": RBM(8, weight_decay=1e-3, **OPTIONS),
    "centered": RBM(8, centered=True, **OPTIONS),
    "sparse": RBM(8, sparsity=0.5, **OPTIONS),
    "gaussian": RBM(8, visible="gaussian", **OPTIONS),
    "pcd": RBM(8, gradient="pcd", n_chains=30, n_gibbs_steps=2, **OPTIONS),
    "multinomial": RBM(
        8,
        visible=[("multinomial", slice(32)), ("bernoulli", slice(32, 64))],
        standardize=False,
        **OPTIONS,
    ),
}


@pytest.mark.parametrize(
    "model",
    [AutoEncoder(8), STACKS["greedy"], STACKS["classifier"], STACKS["tangents"], DBN(MACHINES)],
    ids=lambda model: type(model).__name__,
)
def test_arrays_on_a_device_need_the_dispatch(model):
    (theirs,) = in_library("array_api_strict", some_digits("float64"))
    with pytest.raises(TypeError, match="array_api_dispatch=True"):
        model.fit(theirs, load_digits().target[:150])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("name", STACKS)
def test_stacks_classifiers_and_machines_are_those_of_numpy(name, library, dtype):
    model, X = STACKS[name], some_digits(dtype)
    if name == "multinomial":
        X[:, :32] = np.eye(32)[np.arange(150) % 32]
    y = load_digits().target[:150]
    y = y * 1.5 if name == "regressor" else y
    y[50:90] = -1 if name in ("partial", "tangents") else y[50:90]
    theirs, their_y = in_library(library, X, y)
    expected, found = clone(model).fit(X, y), clone(model)
    with config_context(array_api_dispatch=True):
        found.fit(theirs, their_y)
        pairs = [(found.transform(theirs), expected.transform(X))]
        for method in ("predict", "predict_proba", "reconstruct", "score_samples"):
            if hasattr(expected, method):
                numbers = getattr(expected, method)(X)
                pairs.append((getattr(found, method)(theirs), numbers))
        score = found.score(theirs, their_y)
    assert_same_numbers(pairs, theirs, **tolerance_of(dtype))
    assert score == pytest.approx(expected.score(X, y), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("sparse", [False, True])
def test_data_larger_than_the_device_go_there_by_batches(sparse, monkeypatch):
    X = some_digits("float64")
    (theirs,) = in_library("torch", X)
    model = DenoisingAE(8, **OPTIONS)
    expected = clone(model).fit(X)
    monkeypatch.setattr(loop, "free_memory", lambda x: 1000)
    if sparse:  # rows that only a parameter brings to a device
        monkeypatch.setattr(unsupervised, "place_for", lambda estimator, X: (theirs[:0], None))
        found = clone(model).fit(csr_matrix(X))
    else:
        with config_context(array_api_dispatch=True):
            found = clone(model).fit(theirs)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saturated_units_leave_no_subnormal_numbers(dtype):
    """Processors compute products with them up to a hundred times more slowly, also in other libraries."""
    numbers = np.linspace(-800, 800, 16001).astype(dtype)[np.newaxis]
    results = []
    for name in ("sigmoid", "softplus"):
        (a,) = in_library("torch", numbers.copy())
        gradients, sums = a * 0 + 1e-7, a[0, ...] * 0
        getattr(activations, name)(a, a[0, ...] * 0, 0, a.shape[1])
        kind = getattr(activations, name.upper())
        activations.backpropagate(kind, a, gradients, a[:0, ...], sums, 0, a.shape[1])
        results += [a, gradients]
    for unit in (Bernoulli, Multinomial):
        part = unit(np.arange(16001))
        means, logits = in_library("torch", numbers.copy(), numbers.copy())
        target, none = logits * 0, logits[:0, ...]
        target[0, 0] = 1
        part.activate(means)
        part.loss_and_gradient(logits, target, target[:, 0] * 0 + 1e-4, none, target[:, 0] * 0)
        results += [means, logits[:, 1:]]
    for values in map(np.asarray, results):
        size = np.abs(values)
        assert (size == 0).any() and not ((size > 0) & (size < np.finfo(dtype).tiny)).any()
