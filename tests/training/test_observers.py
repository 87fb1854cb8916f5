"""What is told during training."""

import io
import re
import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae import PSD, AutoEncoder, ContractiveAE, SparseCoder, StackedAE
from skae.generative import JointEnergy

callback = pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
X = load_digits().data[:200] / 16


class Recorder:
    """A callback that scores the model of each epoch, and asks to stop after ``last``."""

    def __init__(self, last=None):
        self.last, self.scores = last, []

    def setup(self, estimator, context):
        """Begin."""

    def teardown(self, estimator, context):
        """End."""

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        """Note the score."""
        if context.task_name != "epoch":
            return False
        self.scores.append(fitted_estimator.score(X))
        return len(self.scores) == self.last


def test_callbacks_see_the_model_of_each_epoch():
    recorder = Recorder()
    options = {"n_components": 5, "batch_size": 50, "random_state": 0}
    options |= {"learning_rate": "constant"}
    AutoEncoder(**options, max_iter=4).set_callbacks(recorder).fit(X)
    model, expected = AutoEncoder(**options), []
    for _ in range(4):
        expected.append(model.partial_fit(X).score(X))
    assert recorder.scores == expected


@pytest.mark.parametrize("Coder", [SparseCoder, PSD])
def test_callbacks_see_the_coder_of_each_epoch(Coder):
    recorder = Recorder()
    options = {"alpha": 0.3, "batch_size": 50, "random_state": 0}
    if Coder is PSD:
        options["learning_rate"] = "constant"
    Coder(5, **options, max_iter=4).set_callbacks(recorder).fit(X)
    model, expected = Coder(5, **options), []
    for _ in range(4):
        expected.append(model.partial_fit(X).score(X))
    assert recorder.scores == expected


def test_callbacks_see_no_epoch_where_the_dictionary_is_given():
    recorder = Recorder()
    SparseCoder(dictionary=X[:5]).set_callbacks(recorder).fit(X)
    assert recorder.scores == []


@pytest.mark.parametrize("Model", [AutoEncoder, SparseCoder, PSD])
def test_callbacks_may_stop(Model):
    recorder = Recorder(last=2)
    model = Model(5, max_iter=9, random_state=0).set_callbacks(recorder).fit(X)
    assert model.n_iter_ == len(recorder.scores) == 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_progress_bar_shows_epochs(solver, capsys):
    model = AutoEncoder(5, max_iter=3, solver=solver, tol=0, random_state=0)
    model.set_callbacks(callback.ProgressBar()).fit(X)
    shown = capsys.readouterr().out
    assert "AutoEncoder" in shown and "100%" in shown


def test_verbose_tells_loss_seconds_and_speed(capsys):
    ContractiveAE(5, max_iter=4, verbose=2, random_state=0).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.search(r"epoch 4/4: loss = [\d.]+, [\de.-]+ s, [\d,]+ samples/s", lines[1])
    assert lines[2] == "[ContractiveAE] stopped after 4 epochs: max_iter"


def test_verbose_names_the_layer_and_why_training_stopped(capsys):
    layers = [("low", AutoEncoder(5, max_iter=2)), ("high", AutoEncoder(3, max_iter=1))]
    StackedAE(layers, fine_tune="reconstruction", max_iter=1, verbose=1, random_state=0).fit(X)
    names = [line.split("]")[0][1:] for line in capsys.readouterr().out.splitlines()]
    assert names == ["low: AutoEncoder"] * 3 + ["high: AutoEncoder"] * 2 + ["StackedAE"] * 2
    options = {"learning_rate": "constant", "tol": 10, "n_iter_no_change": 2, "random_state": 0}
    AutoEncoder(5, max_iter=50, verbose=50, **options).fit(X)
    (last,) = capsys.readouterr().out.splitlines()
    assert last == "[AutoEncoder] stopped after 3 epochs: the training loss no longer improves"
    AutoEncoder(5, max_iter=50, verbose=50, early_stopping=True, **options).fit(X)
    assert "error on held-out samples no longer improves" in capsys.readouterr().out


class _Broken(io.StringIO):
    """A pipe that nobody reads."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("kind", [io.StringIO, _Broken])
def test_an_output_that_is_closed_does_not_end_the_training(monkeypatch, kind):
    output = kind()
    if kind is io.StringIO:
        output.close()
    expected = AutoEncoder(3, max_iter=2, random_state=0).fit(X)
    monkeypatch.setattr(sys, "stdout", output)
    with pytest.warns(RuntimeWarning, match="Lines of verbose cannot be printed"):
        model = AutoEncoder(3, max_iter=2, verbose=1, random_state=0).fit(X)
    np.testing.assert_array_equal(model.components_, expected.components_)
    with pytest.warns(RuntimeWarning, match="Lines of verbose cannot be printed"):
        JointEnergy(AutoEncoder(2, max_iter=2), n_draws=2, burn_in=1, verbose=1).fit(X)


def test_an_output_without_the_letters_of_a_name_does_not_end_the_training(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    layer = AutoEncoder(3, max_iter=2, learning_rate="constant", verbose=1, random_state=0)
    StackedAE([("größe", layer)], random_state=0).fit(X)
    sys.stdout.flush()
    lines = written.getvalue().decode().splitlines()
    assert len(lines) == 3 and all(line.startswith(r"[gr\xf6\xdfe: ") for line in lines)
