"""On a GPU: the numbers of numpy, whether steps are recorded and compiled or not. Skipped where there is none."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator

from skae import (
    DBM,
    DBN,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
    StackedAEClassifier,
)
from skae.training import device_steps

pytest.importorskip("array_api_compat")
torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
    pytest.mark.filterwarnings("ignore"),  # few epochs learn little
]
OPTIONS = {"max_iter": 4, "random_state": 0, "batch_size": 50}
MODELS = {
    "auto-encoder": AutoEncoder(8, **OPTIONS),
    "deep, sgd": AutoEncoder(8, hidden_layer_sizes=(12,), solver="sgd", **OPTIONS),
    "masking": DenoisingAE(8, **OPTIONS),
    "gaussian noise": DenoisingAE(8, corruption="gaussian", **OPTIONS),
    "contraction": ContractiveAE(8, curvature=0.1, **OPTIONS),
    "stochastic": ContractiveAE(8, hidden_layer_sizes=(12,), n_directions=2, **OPTIONS),
    "RBM": RBM(8, **OPTIONS),
    "chains": RBM(8, gradient="pcd", n_gibbs_steps=2, **OPTIONS),
    "stack": StackedAEClassifier([("one", ContractiveAE(8, **OPTIONS))], dropout=0.2, **OPTIONS),
    # Of one base: the tangents of another one, equal up to rounding, can be found with another number of iterations.
    "tangents": ManifoldTangentClassifier(
        FrozenEstimator(
            ContractiveAE(8, **OPTIONS).fit(load_digits().data[:330].astype("float32") / 16)
        ),
        n_tangents=3,
        tangent_sampling="exact",
        **OPTIONS,
    ),
}
# Those without a parameter ``device``.
OTHERS = {
    "features": SparseAutoEncoder(32, sparse_output=False, **OPTIONS),
    "codes": SparseCoder(8, algorithm="fista", alpha=0.3, gap_tol=1e-6, **OPTIONS),
    "belief network": DBN([("low", RBM(8, **OPTIONS)), ("high", RBM(5, **OPTIONS))]),
    "deep machine": DBM([("low", RBM(8, **OPTIONS)), ("high", RBM(5, **OPTIONS))], **OPTIONS),
}
COMPILED = "masking", "contraction", "RBM", "tangents"


def _rows():
    X = load_digits().data[:330].astype("float32") / 16
    X[0] = X[1]  # equal rows have noise of their own
    return X


HOW = [(name, how) for name in MODELS for how in ("steps", "recorded")]
HOW += [(name, "compiled") for name in COMPILED]


@pytest.mark.parametrize(("name", "how"), HOW)
def test_training_is_that_of_numpy(name, how, monkeypatch):
    model = MODELS[name]
    monkeypatch.setattr(device_steps, "_RECORDED_AFTER", 10**9 if how == "steps" else 0)
    monkeypatch.setattr(device_steps, "_COMPILED_AFTER", 0 if how == "compiled" else 10**9)
    X, y = _rows(), load_digits().target[:330]
    expected, found = clone(model).fit(X, y), clone(model).set_params(device="cuda").fit(X, y)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(found.transform(X), expected.transform(X), rtol=1e-3, atol=1e-3)
    assert type(found.transform(X)) is np.ndarray


@pytest.mark.parametrize("library", ["torch", "cupy"])
@pytest.mark.parametrize("model", [*MODELS.values(), *OTHERS.values()], ids=[*MODELS, *OTHERS])
def test_arrays_on_the_device_stay_there(model, library):
    xp = pytest.importorskip(library)
    X, y = _rows(), load_digits().target[:330]
    theirs, their_y = (
        torch.from_numpy(each).cuda() if library == "torch" else xp.asarray(each) for each in (X, y)
    )
    expected = clone(model).fit(X, y)
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(theirs, their_y)
        codes = found.transform(theirs)
        assert type(codes) is type(theirs)
        assert codes.device == theirs.device
        assert isinstance(found.score(theirs, their_y), float)
        if hasattr(found, "inverse_transform"):
            found.inverse_transform(codes)
    codes = codes.cpu().numpy() if library == "torch" else codes.get()
    if hasattr(expected, "loss_curve_"):
        np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(codes, expected.transform(X), rtol=1e-3, atol=1e-3)


def test_bfloat16_learns_as_much():
    X = np.random.default_rng(0).random((2000, 784), dtype=np.float32)
    model = ContractiveAE(100, loss="bernoulli", max_iter=5, random_state=0, device="cuda")
    half = clone(model).set_params(precision="bfloat16").fit(X)
    assert half.loss_ == pytest.approx(model.fit(X).loss_, rel=2e-3)


def test_data_on_a_device_need_the_dispatch():
    with pytest.raises(TypeError, match="array_api_dispatch=True"):
        AutoEncoder(8).fit(torch.from_numpy(_rows()).cuda())


def test_too_little_memory_is_an_error_that_leaves_the_model():
    X, model = _rows(), AutoEncoder(8, device="cuda", **OPTIONS).fit(_rows())
    before = model.components_.copy()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-4)
    try:
        with pytest.raises(MemoryError, match="batch_size"):
            model.set_params(n_components=50_000).fit(X)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    np.testing.assert_array_equal(model.components_, before)
