"""Stacks and sparse coders that are killed go on at the layer and epoch that they had."""

import json

import numpy as np
import pytest
from processes import kill_fit_when
from sklearn.datasets import load_digits

from skae import PSD, AutoEncoder, DenoisingAE, SparseCoder, StackedAE, StackedAEClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
STEADY = {"batch_size": 100, "tol": 0, "n_iter_no_change": 10**6, "random_state": 0}
STEADY |= {"learning_rate": "constant"}


def layers_of(n_epochs):
    return [
        ("low", DenoisingAE(20, loss="bernoulli", max_iter=30, **STEADY)),
        ("high", AutoEncoder(10, max_iter=n_epochs, **STEADY)),
    ]


def tuned(kind, n_epochs, **options):
    """Return a stack of which the joint training takes ``n_epochs``."""
    options |= {**STEADY, "max_iter": n_epochs}
    if kind == "classifier":
        return StackedAEClassifier(layers_of(5), dropout=0.3, **options)
    return StackedAE(layers_of(5), fine_tune="reconstruction", **options)


@pytest.mark.slow
@pytest.mark.parametrize("schedule, suffix", [("greedy", ".high"), ("simultaneous", ".layers")])
def test_killed_in_pretraining(schedule, suffix, tmp_path):
    path = str(tmp_path / "stack.npz")
    options = {"schedule": schedule, "random_state": 0}
    layers = layers_of(10**6)
    if schedule == "simultaneous":
        layers[0][1].max_iter = 10**6
    kill_fit_when(path + suffix, StackedAE(layers, checkpoint=path, **options), X)
    with np.load(path + suffix) as file:
        n_done = len(json.loads(str(file["header"]))["state"]["loss_curve"])
    layers = layers_of(n_done + 3)
    if schedule == "simultaneous":
        layers[0][1].max_iter = n_done + 3
    assert n_done > 1
    resumed = StackedAE(layers, checkpoint=path, resume=True, **options).fit(X)
    whole = StackedAE(layers, **options).fit(X)
    np.testing.assert_array_equal(resumed._params, whole._params)
    assert resumed.layers_[1][1].loss_curve_ == whole.layers_[1][1].loss_curve_


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["reconstruction", "classifier"])
def test_killed_in_fine_tuning(kind, tmp_path):
    path = str(tmp_path / "stack.npz")
    kill_fit_when(path, tuned(kind, 10**6, checkpoint=path), X, y)
    with np.load(path) as file:
        n_done = len(json.loads(str(file["header"]))["state"]["loss_curve"])
    resumed = tuned(kind, n_done + 3, checkpoint=path, resume=True).fit(X, y)
    whole = tuned(kind, n_done + 3).fit(X, y)
    np.testing.assert_array_equal(resumed._params, whole._params)
    assert resumed.loss_curve_ == whole.loss_curve_


CODERS = {
    "dictionary": (SparseCoder, {"n_components": 20, "alpha": 0.2}),
    "psd": (
        PSD,
        {"n_components": 20, "alpha": 0.2, "encoder": "tanh", "learning_rate": "constant"},
    ),
}


def coder(kind, n_epochs, **options):
    """Return a coder that learns for ``n_epochs``."""
    Coder, params = CODERS[kind]
    steady = {"tol": 0, "n_iter_no_change": 10**6, "random_state": 0}
    return Coder(**params, **steady, max_iter=n_epochs, **options)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CODERS)
def test_killed_coder(kind, tmp_path):
    path = str(tmp_path / "coder.npz")
    kill_fit_when(path, coder(kind, 10**6, checkpoint=path), X)
    with np.load(path) as file:
        n_done = len(json.loads(str(file["header"]))["state"]["loss_curve"])
    resumed = coder(kind, n_done + 2, checkpoint=path, resume=True).fit(X)
    whole = coder(kind, n_done + 2).fit(X)
    np.testing.assert_array_equal(resumed.components_, whole.components_)
    assert resumed.loss_curve_ == whole.loss_curve_
    with pytest.raises(ValueError, match="belongs to another training: X differs"):
        resumed.fit(X[1:])
    np.testing.assert_array_equal(resumed.components_, whole.components_)


def test_a_coder_that_has_converged_stays(tmp_path):
    options = {"checkpoint": tmp_path / "coder", "n_iter_no_change": 1, "tol": 1.0}
    options["learning_rate"] = "constant"
    first = PSD(10, random_state=0, **options).fit(X)
    again = PSD(10, random_state=0, resume=True, **options).fit(X)
    assert again.n_iter_ == first.n_iter_ < first.max_iter
    again.partial_fit(X)
    assert again.n_iter_ == first.n_iter_ + 1


@pytest.mark.slow
def test_a_layer_of_psd_resumes_in_a_stack(tmp_path):
    path = tmp_path / "stack"
    stacks = [
        StackedAE(
            [("ae", AutoEncoder(30, max_iter=5)), ("psd", coder("psd", n_epochs))], random_state=0
        )
        for n_epochs in (2, 4, 4)
    ]
    for stack, resume in zip(stacks, (False, True, None)):
        stack.set_params(checkpoint=None if resume is None else path, resume=bool(resume)).fit(X)
    part, resumed, whole = (stack.named_layers_["psd"] for stack in stacks)
    assert part.loss_curve_ == resumed.loss_curve_[:2]
    np.testing.assert_array_equal(resumed.components_, whole.components_)
