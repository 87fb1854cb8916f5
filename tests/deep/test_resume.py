"""Stacks that are killed go on at the layer and epoch that they had."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae import AutoEncoder, DenoisingAE, StackedAE, StackedAEClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
STEADY = {"batch_size": 100, "tol": 0, "n_iter_no_change": 10**6, "random_state": 0}


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


def _kill_when(script, path):
    """Run ``script`` until ``path`` exists and a little longer."""
    setup = f"""
        import sys
        sys.path.insert(0, {os.path.dirname(__file__)!r})
        from test_resume import *
    """
    code = textwrap.dedent(setup) + textwrap.dedent(script)
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert os.path.exists(path)


@pytest.mark.parametrize("schedule, suffix", [("greedy", ".high"), ("simultaneous", ".layers")])
def test_killed_in_pretraining(schedule, suffix, tmp_path):
    path = str(tmp_path / "stack.npz")
    options = {"schedule": schedule, "random_state": 0}
    _kill_when(
        f"""
        layers = layers_of(10**6)
        layers[0][1].max_iter = 10**6 if {schedule == "simultaneous"} else 30
        StackedAE(layers, schedule={schedule!r}, checkpoint={path!r}, random_state=0).fit(X)
        """,
        path + suffix,
    )
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


@pytest.mark.parametrize("kind", ["reconstruction", "classifier"])
def test_killed_in_fine_tuning(kind, tmp_path):
    path = str(tmp_path / "stack.npz")
    _kill_when(f"tuned({kind!r}, 10**6, checkpoint={path!r}).fit(X, y)", path)
    with np.load(path) as file:
        n_done = len(json.loads(str(file["header"]))["state"]["loss_curve"])
    resumed = tuned(kind, n_done + 3, checkpoint=path, resume=True).fit(X, y)
    whole = tuned(kind, n_done + 3).fit(X, y)
    np.testing.assert_array_equal(resumed._params, whole._params)
    assert resumed.loss_curve_ == whole.loss_curve_
