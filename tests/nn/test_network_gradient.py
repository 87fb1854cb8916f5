"""Plain gradient descent on few rows, compared with steps by a gradient vector in float64."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from skae._arrays import products
from skae._threads import team
from skae.nn.losses import Gaussian, Reconstruction
from skae.nn.network import Network
from skae.nn.network_gradient import NetworkGradient
from skae.nn.objective import Objective
from skae.nn.penalties import Contraction, Curvature, WeightDecay
from skae.training.batches import Batches, Steps
from skae.training.loop import TrainingState
from skae.training.solvers import SGD

N_COLUMNS, N_UNITS, RATE = 533, 501, 0.05
X = np.random.default_rng(0).random((24, N_COLUMNS), np.float32)


@pytest.fixture(autouse=True)
def wide_registers(monkeypatch):
    monkeypatch.setattr(products, "has_wide_registers", lambda: True)


def _objective(hidden=(), decoder="tied", penalties=(), n_frozen=0):
    network = Network((N_COLUMNS, N_UNITS, *hidden), "sigmoid", decoder=decoder)
    loss = Reconstruction([Gaussian(np.arange(N_COLUMNS))])
    penalties = [make(network.activations[0]) for make in penalties]
    return Objective(network, loss, penalties=penalties, n_frozen=n_frozen)


def _steps(objective, solver, batch_size=8):
    params = objective.network.initial(np.random.default_rng(1), np.float32)
    state = TrainingState(params, solver.start(params), np.random.default_rng(2), 0)
    return Steps(objective, state, solver, Batches(X, None, batch_size))


def _expected(objective, params, batch_size):
    """Return the parameters after an epoch of steps in float64."""
    params, grad = params.astype(np.float64), np.empty(params.size)
    rng = np.random.default_rng(2)
    for batch in Batches(X.astype(np.float64), None, batch_size).epoch(rng):
        objective(params, batch, grad, rng)
        params -= RATE * grad
    return params


def _check(objective, batch_size=8):
    steps = _steps(objective, SGD(momentum=0), batch_size)
    assert isinstance(steps.grad, NetworkGradient)
    before = steps.state.params.copy()
    steps.epoch(lambda n_seen: RATE, lambda: None)
    moved = _expected(objective, before, batch_size) - before
    assert np.abs(moved).max() > 0.01
    np.testing.assert_allclose(steps.state.params - before, moved, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decoder": "untied"},
        {"hidden": (20,)},
        {"hidden": (20,), "n_frozen": 1},
        {"penalties": [lambda activation: WeightDecay(0.1)]},
        {"penalties": [lambda activation: Contraction(0.2, activation)]},
        {
            "penalties": [
                lambda activation: WeightDecay(0.1),
                lambda activation: Contraction(0.2, activation),
                lambda activation: Curvature(0.2, activation, 0.3, 2),
            ]
        },
    ],
    ids=["tied", "untied", "deep", "frozen", "decay", "contraction", "all"],
)
def test_plain_descent(options, n_threads):
    with threadpool_limits(n_threads, user_api="blas"), team():
        _check(_objective(**options))


def test_batches_of_more_rows():
    """As those to which unlabeled rows are added."""
    objective = _objective(penalties=[lambda activation: WeightDecay(0.1)])
    steps = _steps(objective, SGD(momentum=0))
    steps.batches = Batches(np.concatenate([X] * 3), None, 70)
    before = steps.state.params.copy()
    steps.epoch(lambda n_seen: RATE, lambda: None)
    other = _steps(objective, SGD(momentum=0), 70)
    assert isinstance(other.grad, np.ndarray)
    other.batches = steps.batches
    other.epoch(lambda n_seen: RATE, lambda: None)
    np.testing.assert_allclose(
        steps.state.params - before, other.state.params - before, rtol=1e-3, atol=1e-6
    )


def test_other_solvers_have_a_vector():
    class Own(SGD):
        """A solver of a user."""

    objective = _objective()
    for solver in (SGD(), SGD(momentum=0.5, nesterov=False), Own(momentum=0)):
        assert isinstance(_steps(objective, solver).grad, np.ndarray)
