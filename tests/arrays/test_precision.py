"""Products in bfloat16, and what ``show_engines`` says of them."""

import warnings

import numpy as np
import pytest
from common import in_library, some_digits
from sklearn import config_context
from sklearn.base import clone

import skae
from skae import DBN, RBM, AutoEncoder, ContractiveAE, StackedAE
from skae._arrays import products
from skae._estimators import devices

pytest.importorskip("array_api_compat")
torch = pytest.importorskip("torch")
SHORT = {"max_iter": 2, "random_state": 0}
HALF = {"precision": "bfloat16", **SHORT}


def _rounds():
    """Return whether PyTorch rounds the factors of products on this processor; others compute in float32."""
    a, b = torch.rand(64, 64), torch.rand(64, 64)
    torch.set_float32_matmul_precision("medium")
    error = float((a @ b - a.double() @ b.double()).abs().max())
    torch.set_float32_matmul_precision("highest")
    return error > 1e-3


@pytest.mark.filterwarnings("ignore")
def test_bfloat16_rounds_products_and_learns_as_much():
    X = some_digits("float32")
    model = ContractiveAE(16, loss="bernoulli", max_iter=10, random_state=0)
    half, full = clone(model).set_params(precision="bfloat16").fit(X), clone(model).fit(X)
    assert half.loss_ == pytest.approx(full.loss_, rel=5e-3)
    assert half.components_.dtype == np.float32
    if _rounds():
        difference = np.abs(half.transform(X) - full.transform(X)).max()
        assert 1e-4 < difference < 0.1
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("model", [AutoEncoder(4, **HALF), StackedAE([("a", RBM(4, **HALF))])])
def test_a_processor_that_does_not_round_is_told(model, monkeypatch, capsys):
    X, message = some_digits("float32"), "bfloat16' has no effect on this processor"
    assert products.rounds_on_cpu() == _rounds()
    for module in (devices, skae._engines):
        monkeypatch.setattr(module, "rounds_on_cpu", lambda: False)
    with pytest.warns(UserWarning, match=message):
        clone(model).fit(X)
    with config_context(array_api_dispatch=True), pytest.warns(UserWarning, match=message):
        clone(model).fit(torch.from_numpy(X))
    skae.show_engines()
    assert "bfloat16': PyTorch" in (lines := capsys.readouterr().out)
    assert "which computes in float32: this processor has no AMX" in lines
    for module in (devices, skae._engines):
        monkeypatch.setattr(module, "rounds_on_cpu", lambda: True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(model).fit(X)
    skae.show_engines()
    assert "float32: this" not in capsys.readouterr().out


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
    assert "precision='bfloat16': needs PyTorch (pip install 'skae[torch]')" in lines
    assert "device='cuda': needs PyTorch and a GPU" in lines
    monkeypatch.setattr(devices, "torch_or_none", lambda: None)
    with pytest.raises(ValueError, match="needs PyTorch: pip install"):
        AutoEncoder(4, **HALF).fit(some_digits("float32"))
    with pytest.raises(ValueError, match="device='cuda' is not available"):
        AutoEncoder(4, device="cuda").fit(some_digits("float32"))
