"""Callbacks of scikit-learn: called in all ways of training, shown what is fitted so far, and always torn down."""

import threading

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from skae import (
    RBM,
    AutoEncoder,
    DenoisingAE,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
)
from skae.boltzmann import DBM

callback = pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")
X, y = load_iris(return_X_y=True)
X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*codes of .* are constant"),
]


def _n_awaited():
    """Return the number of threads without whose end the process does not end."""
    return sum(not thread.daemon for thread in threading.enumerate())


class Recorder:
    """A callback that notes codes of each task's model, and how often it was set up and torn down."""

    def __init__(self, method="transform"):
        self.method, self.tasks, self.codes = method, [], []
        self.n_set_up = self.n_torn_down = 0

    def setup(self, estimator, context):
        """Begin."""
        self.n_set_up += 1

    def teardown(self, estimator, context):
        """End."""
        self.n_torn_down += 1

    def on_fit_task_begin(self, estimator, context):
        """Nothing to do."""

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        """Note the codes."""
        self.tasks.append(context.task_name)
        if self.method is not None:
            self.codes.append(getattr(fitted_estimator, self.method)(X))


SHORT = {"max_iter": 2, "random_state": 0}
LAYERS = [("low", DenoisingAE(4, **SHORT)), ("high", AutoEncoder(3, **SHORT))]
EPOCHS = ["epoch"] * 2
LAYERS_FIRST = ["layer", "layer"]
STACKS = {
    "greedy": (StackedAE(LAYERS, **SHORT), [*LAYERS_FIRST, "fit"]),
    "fine-tuned": (
        StackedAE(LAYERS, fine_tune="reconstruction", **SHORT),
        [*LAYERS_FIRST, *EPOCHS, "training", "fit"],
    ),
    "supervised": (
        StackedAE(LAYERS, fine_tune="supervised", **SHORT),
        [*LAYERS_FIRST, *EPOCHS, "training", "fit"],
    ),
    "at once": (StackedAE(LAYERS, schedule="simultaneous", **SHORT), [*EPOCHS, "training", "fit"]),
    "at once, fine-tuned": (
        StackedAE(LAYERS, schedule="simultaneous", fine_tune="reconstruction", **SHORT),
        [*EPOCHS, "training", *EPOCHS, "training", "fit"],
    ),
    "recurrent": (RecurrentAE(LAYERS, **SHORT), [*LAYERS_FIRST, *EPOCHS, "training", "fit"]),
    "recurrent from random weights": (
        RecurrentAE(LAYERS, pretraining=None, **SHORT),
        [*EPOCHS, "fit"],
    ),
    "classifier": (
        StackedAEClassifier(LAYERS, pretraining="partial", **SHORT),
        [*LAYERS_FIRST, *EPOCHS, "training", "fit"],
    ),
    "classifier from random weights": (
        StackedAEClassifier(LAYERS, pretraining=None, **SHORT),
        [*EPOCHS, "fit"],
    ),
    "classifier, again on all rows": (
        StackedAEClassifier(LAYERS, early_stopping=True, refit=True, max_iter=1, random_state=0),
        [*LAYERS_FIRST, "epoch", "training", "epoch", "training", "fit"],
    ),
    "tangents, again on all rows": (
        ManifoldTangentClassifier(
            AutoEncoder(4, **SHORT), early_stopping=True, refit=True, max_iter=1, random_state=0
        ),
        ["epoch", "training", "epoch", "training", "fit"],
    ),
}


@pytest.mark.parametrize(("stack", "tasks"), STACKS.values(), ids=STACKS)
def test_callbacks_of_stacks(stack, tasks):
    predicts = stack.get_params().get("fine_tune", "supervised") == "supervised"
    predicts &= not isinstance(stack, RecurrentAE)
    method = "predict_proba" if predicts else "transform"
    recorder = Recorder(method)
    stack = clone(stack).set_callbacks(recorder).fit(X, y)
    assert recorder.tasks == tasks
    assert recorder.n_set_up == recorder.n_torn_down == 1
    np.testing.assert_array_equal(recorder.codes[-1], getattr(stack, method)(X))
    assert not np.array_equal(recorder.codes[0], recorder.codes[-1])
    # The predictor of a stack has no callbacks of its own.
    assert not hasattr(getattr(stack, "predictor_", None), "_skl_callbacks")


def _learned(stack):
    """Return the parameters and the history of a fitted stack."""
    state = stack.predictor_._state if hasattr(stack, "predictor_") else stack._state
    return np.concatenate([state["params"], state["loss_curve"]])


@pytest.mark.parametrize("stack", [each for each, _ in STACKS.values()], ids=STACKS)
def test_callbacks_change_nothing(stack):
    expected = clone(stack).fit(X, y)
    found = clone(stack).set_callbacks(Recorder(None)).fit(X, y)
    np.testing.assert_array_equal(_learned(found), _learned(expected))


class _Stop(Recorder):
    """A callback that interrupts the second epoch."""

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        """Interrupt."""
        self.tasks.append(context.task_name)
        if self.tasks.count("epoch") == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stack", [each for each, _ in STACKS.values()], ids=STACKS)
def test_callbacks_of_a_training_that_is_resumed(stack, tmp_path):
    """What is shown and kept in the end are the weights of the checkpoint and of later epochs, not those before them."""
    expected = clone(stack).fit(X, y)
    stack = clone(stack).set_params(checkpoint=tmp_path / "file", resume=True)
    for callback_of_fit in (_Stop(), Recorder(None), Recorder(None)):
        found = clone(stack).set_callbacks(callback_of_fit)
        try:
            found.fit(X, y)
        except KeyboardInterrupt:
            continue
        np.testing.assert_array_equal(_learned(found), _learned(expected))


WAYS = {
    "greedy": StackedAE(LAYERS, random_state=0),
    "at once": StackedAE(LAYERS, schedule="simultaneous", random_state=0),
    "noise at the input": StackedAE(LAYERS, corrupted="input", random_state=0),
    "supervised": StackedAEClassifier(LAYERS, pretraining="supervised", **SHORT),
    "partly": StackedAEClassifier(LAYERS, pretraining="partial", **SHORT),
    "tangents": ManifoldTangentClassifier(StackedAE(LAYERS), **SHORT),
}


@pytest.mark.parametrize("model", WAYS.values(), ids=WAYS)
def test_callbacks_of_layers(model):
    low, high = Recorder(), Recorder()
    model = clone(model)
    layers = model.base.layers if isinstance(model, ManifoldTangentClassifier) else model.layers
    layers[0][1].set_callbacks(low)
    layers[1][1].set_callbacks(high)
    model.fit(X, y)
    fitted = model.base_ if isinstance(model, ManifoldTangentClassifier) else model
    (_, first), (_, second) = fitted.layers_
    for recorder in (low, high):
        assert recorder.tasks == [*EPOCHS, "fit"]
        assert recorder.n_set_up == recorder.n_torn_down == 1
        assert not np.array_equal(recorder.codes[0], recorder.codes[1])
    np.testing.assert_array_equal(low.codes[-1], first.transform(X))
    np.testing.assert_allclose(high.codes[-1], second.transform(first.transform(X)), rtol=1e-12)


HELD_OUT = {"early_stopping": True, "validation_fraction": 1e-3}
FAILING = {
    "model": AutoEncoder(2, **HELD_OUT),
    "coder": SparseCoder(2, **HELD_OUT),
    "sparse": SparseAutoEncoder(2, **HELD_OUT),
    "machine": DBM([("low", RBM(3, **SHORT)), ("high", RBM(2, **SHORT))], **HELD_OUT),
    "fine-tuning": StackedAE(LAYERS, fine_tune="reconstruction", **HELD_OUT),
    "supervised fine-tuning": StackedAE(LAYERS, fine_tune="supervised", **HELD_OUT),
    "layer": StackedAE([("low", AutoEncoder(2, **HELD_OUT))]),
    "layers at once": StackedAE([("low", AutoEncoder(2, **HELD_OUT))], schedule="simultaneous"),
    "classifier": StackedAEClassifier(LAYERS, **HELD_OUT),
    "tangents": ManifoldTangentClassifier(AutoEncoder(4, **SHORT), **HELD_OUT),
}


@pytest.mark.parametrize("model", FAILING.values(), ids=FAILING)
def test_a_failed_fit_tears_its_callbacks_down(model):
    pytest.importorskip("rich")
    before, recorder = _n_awaited(), Recorder(None)
    model = clone(model).set_callbacks(callback.ProgressBar(), recorder)
    attributes = set(vars(model))
    for layer in getattr(model, "layers", None) or []:
        layer[1].set_callbacks(callback.ProgressBar())
    with pytest.raises(ValueError, match="samples for validation"):
        model.fit(X, y)
    assert _n_awaited() == before
    assert recorder.n_set_up == recorder.n_torn_down
    assert set(vars(model)) == attributes


@pytest.mark.parametrize("model", WAYS.values(), ids=WAYS)
def test_progress_bars_of_layers_end(model):
    pytest.importorskip("rich")
    before, model = _n_awaited(), clone(model)
    layers = model.base.layers if isinstance(model, ManifoldTangentClassifier) else model.layers
    for _, layer in layers:
        layer.set_callbacks(callback.ProgressBar())
    model.fit(X, y)
    assert _n_awaited() == before


class _TornDown(Recorder):
    """A callback whose teardown first raises ``errors``."""

    def __init__(self, *errors):
        super().__init__(None)
        self.errors = list(errors)

    def teardown(self, estimator, context):
        """End, unless there is an error left."""
        if self.errors:
            raise self.errors.pop(0)
        super().teardown(estimator, context)


INTERRUPTED = {
    "model": lambda *callbacks: AutoEncoder(2, **SHORT).set_callbacks(*callbacks),
    "layer above noise": lambda *callbacks: StackedAE(
        [LAYERS[0], ("high", AutoEncoder(3, **SHORT).set_callbacks(*callbacks))], corrupted="input"
    ),
    "layers at once": lambda one, other: StackedAE(
        [
            ("low", DenoisingAE(4, **SHORT).set_callbacks(one)),
            ("high", AutoEncoder(3, **SHORT).set_callbacks(other)),
        ],
        schedule="simultaneous",
    ),
}


@pytest.mark.parametrize("make", INTERRUPTED.values(), ids=INTERRUPTED)
@pytest.mark.parametrize("later", [(), (KeyError("already ended"),)], ids=["", "second error"])
def test_an_interrupted_teardown_is_made_up_for(make, later):
    """A ``ProgressBar`` that is not torn down never lets the process end; one that is raises KeyError the second time."""
    interrupted, other = _TornDown(KeyboardInterrupt(), *later), _TornDown()
    with pytest.raises(KeyboardInterrupt):
        make(interrupted, other).fit(X)
    assert other.n_torn_down >= other.n_set_up == 1
    assert not interrupted.errors and interrupted.n_torn_down == (0 if later else 1)
