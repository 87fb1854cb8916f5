"""The way of recorded steps without a GPU: what would be recorded is run."""

from contextlib import nullcontext

import numpy as np
import pytest
from scipy.special import expit
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import (
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    StackedAE,
    StackedAEClassifier,
)
from skae._arrays import activations, fusion
from skae.autoencoders import Activation, TopK
from skae.nn.activations import Diagonal
from skae.training import device_steps

pytest.importorskip("array_api_compat")
torch = pytest.importorskip("torch")
TorchDispatchMode = pytest.importorskip("torch.utils._python_dispatch").TorchDispatchMode

OPTIONS = {"max_iter": 3, "random_state": 0, "batch_size": 40}
asarray = torch.asarray
N_WARM_UP = 3  # as those of Recorded, in which constants go to the device
LAYERS = [("one", ContractiveAE(8, **OPTIONS))]
TANGENTS = {"n_tangents": 3, "tangent_sampling": "exact"}
MODELS = [
    AutoEncoder(8, hidden_layer_sizes=(12,), solver="sgd", **OPTIONS),
    DenoisingAE(8, **OPTIONS),
    DenoisingAE(8, activation=TopK(3), corruption="swap", **OPTIONS),
    ContractiveAE(8, curvature=0.1, **OPTIONS),
    RBM(8, gradient="pcd", n_gibbs_steps=2, centered=True, sparsity=0.5, **OPTIONS),
    StackedAEClassifier(LAYERS, dropout=0.2, reconstruction_weight=0.5, **OPTIONS),
    ManifoldTangentClassifier(ContractiveAE(8, **OPTIONS), **TANGENTS, **OPTIONS),
    ManifoldTangentClassifier(ContractiveAE(8, **OPTIONS), n_tangents=3, **OPTIONS),
]


# What a recording cannot hold: numbers of the processor go to the device, or it is waited for.
WAITS = (
    (torch, ("asarray", "tensor", "from_numpy")),
    (torch.Tensor, ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__")),
)


def _refusing(function):
    def refusing(x, *args, **kwargs):
        if function is asarray and isinstance(x, torch.Tensor):
            return asarray(x, *args, **kwargs)
        raise AssertionError(f"{function} in a recorded step waits for the device")

    return refusing


class _Refusing(TorchDispatchMode):
    """Refuses operations of tensors whose results, or their sizes, the processor has to know."""

    names = "_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2", "index_put_"

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.name().rpartition("::")[2].partition(".")[0]
        masked = name == "index" and any(
            each is not None and each.dtype in (torch.bool, torch.uint8) for each in args[1]
        )
        if name in self.names or masked:
            raise AssertionError(f"{function.name()} in a recorded step waits for the device")
        return function(*args, **(kwargs or {}))


class _Played:
    """Takes the place of a recording."""

    n_plays = 0

    def __init__(self, work, compiled):
        self._work = work

    def __call__(self):
        type(self).n_plays += 1
        recorded = type(self).n_plays > N_WARM_UP
        with pytest.MonkeyPatch.context() as patch, _Refusing() if recorded else nullcontext():
            if recorded:
                for owner, names in WAITS:
                    for name in names:
                        patch.setattr(owner, name, _refusing(getattr(owner, name)))
            self._work()


@pytest.fixture
def played(monkeypatch):
    """Count the steps that would be replayed."""
    monkeypatch.setattr(device_steps, "Recorded", _Played)
    monkeypatch.setattr(device_steps, "captures", lambda x: True)
    monkeypatch.setattr(device_steps, "_RECORDED_AFTER", 5)
    monkeypatch.setattr(_Played, "n_plays", 0)
    return _Played


@pytest.mark.filterwarnings("ignore")  # few epochs learn little
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_recorded_steps_draw_and_learn_the_same(model, played):
    X, y = (each[:170] for each in load_digits(return_X_y=True))
    X = X / 16
    if isinstance(model, ManifoldTangentClassifier):
        y[60:100] = -1  # batches with unlabeled rows beside the labeled ones
    expected = clone(model).fit(X, y)
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(torch.from_numpy(X), torch.from_numpy(y))
    assert played.n_plays > 5
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-6)


@pytest.mark.parametrize("work", [lambda x: x[x > 0], lambda x: (x > 0).any() and x])
def test_what_waits_for_a_device_is_found(work):
    x = torch.ones(3)
    with pytest.raises(AssertionError, match="waits for the device"), _Refusing():
        work(x)


def test_the_smaller_last_batch_is_recorded_too(played):
    X = torch.from_numpy(load_digits().data[:170] / 16)
    with config_context(array_api_dispatch=True):
        AutoEncoder(8, **OPTIONS).fit(X)
    assert played.n_plays == 2 * 5  # five steps an epoch; those of the first one are not recorded


def test_steps_with_the_users_own_noise_are_not_recorded(played):
    X = load_digits().data[:170] / 16

    def halved(X, seed, out):
        out[...] = X / 2

    model = DenoisingAE(8, corruption=halved, **OPTIONS)
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(torch.from_numpy(X))
    assert played.n_plays == 0
    np.testing.assert_allclose(found.loss_curve_, clone(model).fit(X).loss_curve_, rtol=1e-9)


class _Tripled(Activation):
    """An activation of a user, written with the operators that all arrays have; it may wait for a device."""

    def forward(self, a, bias, rows=slice(None), units=slice(None)):
        a[rows, ...] = 3 * (a[rows, ...] + bias)

    def derivatives(self, outputs, order=1, memory=None):
        return Diagonal(0 * outputs + 3, 0 * outputs)


@pytest.mark.parametrize("Model", [AutoEncoder, ContractiveAE])
def test_steps_with_the_users_own_activations_are_not_recorded(Model, played):
    X = load_digits().data[:170] / 16
    model = Model(8, activation=_Tripled(), **OPTIONS)
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(torch.from_numpy(X))
    assert played.n_plays == 0
    np.testing.assert_allclose(found.loss_curve_, clone(model).fit(X).loss_curve_, rtol=1e-9)
    layers = [("low", model), ("high", DenoisingAE(5, **OPTIONS))]
    with config_context(array_api_dispatch=True):
        StackedAE(layers, corrupted="input", random_state=0).fit(torch.from_numpy(X))
    assert played.n_plays == 0


def test_kernels_that_torch_cannot_compile_stay_as_they_are(monkeypatch):
    def fails(function, **options):
        def compiled(*args):
            raise RuntimeError("there is no compiler")

        return compiled

    monkeypatch.setattr(torch, "compile", fails)
    monkeypatch.setattr(fusion, "_compiled", {})
    a, bias = torch.randn(5, 3, dtype=torch.float64), torch.ones(3, dtype=torch.float64)
    expected = expit(a.numpy() + 1)
    with fusion.fused():
        with pytest.warns(RuntimeWarning, match="there is no compiler|cannot compile"):
            activations.sigmoid(a, bias, 0, 3)
        np.testing.assert_allclose(a, expected, rtol=1e-12)
        activations.sigmoid(a, bias, 0, 3)
    np.testing.assert_allclose(a, expit(expected + 1), rtol=1e-12)
