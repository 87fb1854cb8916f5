"""The step sizes of a training against their formula."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skae import AutoEncoder, ManifoldTangentClassifier, StackedAE, StackedAEClassifier
from skae.training.solvers import auto_epochs

X, y = load_digits(return_X_y=True)
X = (X[:250] / 16).astype(np.float32)
SMALL = {"n_components": 5, "batch_size": 100, "random_state": 0, "tol": 0}


@dataclass
class Recorder:
    """A solver of plain gradient steps that notes their sizes."""

    rates: list = field(default_factory=list)

    def start(self, params):
        return {}

    def step(self, params, grad, state, learning_rate):
        self.rates.append(learning_rate)
        params -= params.dtype.type(learning_rate) * grad


def _rates(**options):
    solver = Recorder()
    model = AutoEncoder(**SMALL, solver=solver, learning_rate_init=0.02, **options)
    return model, solver.rates


def test_constant_steps():
    model, rates = _rates(max_iter=3, learning_rate="constant")
    model.fit(X)
    assert rates == [0.02] * 9


def test_steps_fall_along_half_a_cosine():
    model, rates = _rates(max_iter=4, learning_rate="cosine")
    model.fit(X)
    # Three batches of 100, 100 and 50 rows: the share of the rows of all epochs that are behind.
    behind = (np.arange(4)[:, np.newaxis] + [0, 0.4, 0.8]).ravel() / 4
    np.testing.assert_allclose(rates, 0.02 * (1 + np.cos(np.pi * behind)) / 2, rtol=1e-12)


def test_they_fall_anew_in_each_warm_start():
    model, rates = _rates(max_iter=2, learning_rate="cosine", warm_start=True)
    model.fit(X).fit(X)
    assert len(rates) == 12
    np.testing.assert_allclose(rates[:6], rates[6:], rtol=1e-12)


def test_partial_fit_takes_constant_steps():
    model, rates = _rates(learning_rate="cosine")
    model.partial_fit(X).partial_fit(X)
    assert rates == [0.02] * 6


@pytest.mark.parametrize("Model", [StackedAE, StackedAEClassifier])
def test_all_kinds_of_training_take_it(Model):
    solver = Recorder()
    layers = [("low", AutoEncoder(5, max_iter=1))]
    options = {"fine_tune": "reconstruction"} if Model is StackedAE else {}
    options |= {"learning_rate": "cosine", "learning_rate_init": 1e-3, "batch_size": 250}
    model = Model(layers, solver=solver, max_iter=3, **options)
    model.fit(X, y[:250])
    np.testing.assert_allclose(solver.rates, 1e-3 * np.array([1, 0.75, 0.25]), rtol=1e-12)


@dataclass
class _Breaking:
    """A corruption of nothing that interrupts the training at its ``n_calls``-th call."""

    n_calls: int

    def __call__(self, X, seed, out):
        self.n_calls -= 1
        out[:] = X
        if not self.n_calls:
            raise KeyboardInterrupt


@pytest.mark.parametrize("early_stopping", [False, True])
def test_resumed_steps_are_those_of_one_training(early_stopping, tmp_path, monkeypatch):
    options = {**SMALL, "learning_rate": "cosine", "max_iter": 6, "early_stopping": early_stopping}
    whole = AutoEncoder(**options).fit(X)
    model = AutoEncoder(**options, checkpoint=tmp_path / "state", resume=True)
    objective = AutoEncoder.objective

    def breaking(self, network, loss):
        inner = objective(self, network, loss)
        inner.corruption = _Breaking(11)
        return inner

    with monkeypatch.context() as patch:
        patch.setattr(AutoEncoder, "objective", breaking)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X)
    assert 0 < model.n_iter_ < 6
    model.fit(X)
    np.testing.assert_array_equal(model.components_, whole.components_)
    assert model.loss_curve_ == whole.loss_curve_
    with pytest.raises(ValueError, match="max_iter differs"):
        model.set_params(max_iter=7).fit(X)


def test_bad_schedule():
    with pytest.raises(ValueError, match="learning_rate"):
        AutoEncoder(learning_rate="linear").fit(X)


@pytest.mark.parametrize(
    ("n_rows", "n_steps"),
    [
        (1, 1000),
        (50, 1000),
        (129, 1000),
        (300, 1000),
        (640, 1280),
        (1000, 2000),
        (10_000, 2000),
        (10**7, 2000),
    ],
)
@pytest.mark.parametrize("batch_size", [1, 64, 500])
def test_automatic_epochs_have_two_minibatches_for_each_row(n_rows, n_steps, batch_size):
    n_epochs, n_batches = auto_epochs("adam", n_rows, batch_size), -(-n_rows // batch_size)
    assert 12 <= n_epochs <= 1000
    # As few epochs as have them, where the limits allow it.
    assert n_epochs == 1000 or n_epochs * n_batches >= n_steps
    assert n_epochs == 12 or (n_epochs - 1) * n_batches < n_steps


@pytest.mark.slow
@pytest.mark.parametrize(("n_rows", "n_epochs"), [(40, 1000), (640, 128), (20_000, 12)])
def test_a_fit_has_the_automatic_epochs(n_rows, n_epochs):
    data = np.random.default_rng(0).random((n_rows, 2))
    model = AutoEncoder(2, random_state=0).fit(data)
    assert model.n_iter_ == n_epochs
    # Of rows that are held out none are counted out: epochs are the same.
    held = AutoEncoder(2, random_state=0, early_stopping=True, n_iter_no_change=10**6).fit(data)
    assert held.n_iter_ == n_epochs


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_automatic_iterations_of_lbfgs():
    model = AutoEncoder(20, solver="lbfgs", tol=0, random_state=0).fit(X)
    assert model.n_iter_ == 200


@pytest.mark.slow
def test_epochs_of_few_labels_count_the_labeled_rows():
    labels = np.where(np.arange(250) < 40, y[:250], -1)
    base = AutoEncoder(5, max_iter=2, random_state=0)
    options = {"batch_size": 4, "tangent_penalty": 0.1, "random_state": 0}
    model = ManifoldTangentClassifier(base, n_tangents=2, **options).fit(X, labels)
    assert model.n_iter_ == auto_epochs("adam", 40, 4) == 100
    whole = ManifoldTangentClassifier(base, n_tangents=2, unlabeled_per_labeled=None, **options)
    assert whole.fit(X, labels).n_iter_ == auto_epochs("adam", 250, 4) == 16
