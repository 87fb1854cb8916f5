"""Products in bfloat16, and what ``show_engines`` says of them."""

import warnings

import numba
import numpy as np
import pytest
from common import in_library, some_digits
from sklearn import config_context
from sklearn.base import clone

import skae
from skae import (
    DBN,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae._arrays import products
from skae._estimators import devices
from skae._kernels.bfloat16 import has_products

pytest.importorskip("array_api_compat")
torch = pytest.importorskip("torch")
SHORT = {"max_iter": 2, "random_state": 0}
HALF = {"precision": "bfloat16", **SHORT}


def _torch_rounds():
    """Return whether PyTorch rounds the factors of products on this processor; others compute in float32."""
    a, b = torch.rand(64, 64), torch.rand(64, 64)
    torch.set_float32_matmul_precision("medium")
    error = float((a @ b - a.double() @ b.double()).abs().max())
    torch.set_float32_matmul_precision("highest")
    return error > 1e-3


@pytest.fixture(params=["torch", "numba"])
def engine(request, monkeypatch):
    """Let this multiply in bfloat16."""
    if not (has_products() if request.param == "numba" else _torch_rounds()):
        pytest.skip("the processor has no such instructions")
    monkeypatch.setattr(products, "reduced_on_cpu", lambda: request.param)
    return request.param


def test_bfloat16_rounds_products_and_learns_as_much(engine):
    X = some_digits("float32")
    model = ContractiveAE(16, loss="bernoulli", max_iter=10, random_state=0)
    half, full = clone(model).set_params(precision="bfloat16").fit(X), clone(model).fit(X)
    assert half.loss_ == pytest.approx(full.loss_, rel=5e-3)
    assert half.components_.dtype == np.float32
    difference = np.abs(half.transform(X) - full.transform(X)).max()
    assert 1e-4 < difference < 0.1
    np.testing.assert_allclose(half.transform(X[:3]), half.transform(X)[:3], atol=1e-5)
    with config_context(array_api_dispatch=True):
        theirs = clone(half).fit(torch.from_numpy(X)).transform(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(theirs, half.transform(X), atol=0.02)
    assert np.abs(theirs - full.transform(X)).max() > 1e-4
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "model",
    [
        DenoisingAE(8, **HALF),
        StackedAE([8, 4], precision="bfloat16"),
        StackedAEClassifier([8], **HALF),
        StackedAERegressor([8], **HALF),
        ManifoldTangentClassifier(StackedAE([8]), n_tangents=2, **HALF),
        RBM(8, **HALF),
    ],
    ids=lambda model: type(model).__name__,
)
def test_products_of_every_estimator_are_rounded(model, monkeypatch):
    if not has_products():
        pytest.skip("the processor has no AVX512-BF16")
    X, calls = some_digits("float32"), []

    multiply = products.bfloat16.products

    def counted(a, b, out):
        calls.append(out.shape)
        multiply(a, b, out)

    monkeypatch.setattr(products, "reduced_on_cpu", lambda: "numba")
    monkeypatch.setattr(products.bfloat16, "products", counted)
    y = np.arange(len(X)) % 3
    clone(model).fit(X, y)
    assert calls


@pytest.mark.parametrize(
    ("has_instructions", "amx", "torch_rounds", "expected"),
    [
        (True, False, None, "numba"),
        (True, True, True, "torch"),
        (True, True, False, "numba"),
        (False, False, True, "torch"),
        (False, False, False, None),
    ],
)
def test_the_engine_of_a_processor(has_instructions, amx, torch_rounds, expected, monkeypatch):
    monkeypatch.setattr(products.bfloat16, "has_products", lambda: has_instructions)
    monkeypatch.setattr(products, "compiles_for", lambda feature: amx)
    monkeypatch.setattr(products, "_torch_rounds", lambda: torch_rounds)
    assert products.reduced_on_cpu.__wrapped__() == expected
    monkeypatch.setattr(products, "torch_or_none", lambda: None)
    without = "numba" if has_instructions else None
    assert products.reduced_on_cpu.__wrapped__() == without


@pytest.mark.parametrize("model", [AutoEncoder(4, **HALF), StackedAE([("a", RBM(4, **HALF))])])
def test_a_processor_that_does_not_round_is_told(model, monkeypatch, capsys):
    X, message = some_digits("float32"), "bfloat16' has no effect on this processor"
    for module in (devices, products, skae._engines):
        monkeypatch.setattr(module, "reduced_on_cpu", lambda: None)
    with pytest.warns(UserWarning, match=message):
        clone(model).fit(X)
    with config_context(array_api_dispatch=True), pytest.warns(UserWarning, match=message):
        clone(model).fit(torch.from_numpy(X))
    skae.show_engines()
    assert (
        "bfloat16': as float32, since this processor has no AVX512-BF16" in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("engine", "line"),
    [
        ("torch", f"bfloat16': PyTorch {torch.__version__}, by AMX"),
        ("numba", f"bfloat16': numba {numba.__version__}, by AVX512-BF16"),
    ],
)
def test_a_processor_that_rounds_needs_no_warning(engine, line, monkeypatch, capsys):
    for module in (devices, skae._engines):
        monkeypatch.setattr(module, "reduced_on_cpu", lambda: engine)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        AutoEncoder(4, **HALF).fit(some_digits("float32"))
    skae.show_engines()
    assert line in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "model",
    [
        AutoEncoder(4, **HALF),
        StackedAE([4], **HALF),
        StackedAE([("a", AutoEncoder(4, **HALF))]),
        DBN([("a", RBM(4, **HALF))]),
    ],
)
def test_bfloat16_is_for_numpy_and_torch(model):
    (theirs,) = in_library("array_api_strict", some_digits("float32"))
    with config_context(array_api_dispatch=True):
        with pytest.raises(
            ValueError, match="takes arrays of numpy and PyTorch; X is of array_api"
        ):
            clone(model).fit(theirs)


def test_engines_without_pytorch(monkeypatch, capsys):
    monkeypatch.setattr(skae._engines, "torch_or_none", lambda: None)
    skae.show_engines()
    lines = capsys.readouterr().out
    assert "device='cuda': needs PyTorch and a GPU" in lines
    monkeypatch.setattr(devices, "torch_or_none", lambda: None)
    with pytest.raises(ValueError, match="device='cuda' is not available"):
        AutoEncoder(4, device="cuda").fit(some_digits("float32"))
