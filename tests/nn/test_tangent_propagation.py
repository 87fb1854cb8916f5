"""The penalty on movement along tangents, against its definition and finite differences."""

import numpy as np
import pytest
from common import relative_gradient_error
from scipy.special import expit, softmax

from skae._threads import team
from skae.nn.losses import Bernoulli, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.tangent_propagation import TangentPropagation, meeting_layer
from skae.training.batches import Batches

UNITS = {"softmax": (Multinomial, softmax), "sigmoid": (Bernoulli, expit)}


class _Fixed:
    """Directions that are given."""

    def __init__(self, basis):
        self.basis, self.n_directions = basis, basis.shape[1]

    def __call__(self, rows, inputs, seed, out):
        out[...] = self.basis[rows].transpose(1, 0, 2)


def _problem(output, activation, hidden, n_directions=2, strength=0.7):
    rng = np.random.default_rng(0)
    network = Network((5, *hidden, 3), (*[activation] * len(hidden), "identity"), decoder=None)
    loss = Reconstruction([UNITS[output][0](np.arange(3))])
    basis = rng.standard_normal((8, n_directions, 5))
    penalty = TangentPropagation(strength, network, loss, _Fixed(basis))
    X, y = rng.random((8, 5)), np.eye(3)[rng.integers(0, 3, 8)]
    batches = Batches(X, rng.random(8), 6, targets=y, indices=np.arange(1, 7))
    point = network.initial(rng, np.float64) + 0.3 * rng.standard_normal(network.size)
    return network, loss, penalty, batches, point, basis


@pytest.mark.parametrize("n_directions", [1, 2, 9])
@pytest.mark.parametrize("hidden", [(), (4,), (4, 6), (6, 7, 4)], ids=str)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus"])
@pytest.mark.parametrize("output", UNITS)
def test_gradient(output, activation, hidden, n_directions):
    network, loss, penalty, batches, point, _ = _problem(output, activation, hidden, n_directions)
    objective = Objective(network, loss, penalties=[penalty])
    batch = next(batches.epoch(None))
    assert relative_gradient_error(objective, point, batch) < 1e-6


@pytest.mark.parametrize("n_directions", [1, 2, 9])
@pytest.mark.parametrize("n_rows", [1, 2, 6])
def test_threads_change_nothing(n_rows, n_directions, monkeypatch):
    monkeypatch.setattr("skae._threads._LEAST", 1)
    network, loss, penalty, batches, point, _ = _problem("softmax", "tanh", (4, 6), n_directions)
    objective = Objective(network, loss, penalties=[penalty])
    batches.indices, grads = batches.indices[:n_rows], []
    for n_threads in (1, 2, 2, 3):
        grad = np.empty_like(point)
        with team(n_threads):
            objective(point, next(batches.epoch(None)), grad, np.random.default_rng(0))
        grads.append(grad)
    assert np.array_equal(grads[1], grads[2])
    np.testing.assert_allclose(grads[1:], [grads[0]] * 3, rtol=0, atol=1e-12)


def test_directions_meet_gradients_where_few_rows_go_through_wide_layers():
    assert meeting_layer((784, 1000, 1000, 10), n_directions=1, n_gradients=9) == 3
    assert meeting_layer((784, 1000, 1000, 10), n_directions=10, n_gradients=9) == 1
    assert meeting_layer((784, 1000, 1000, 10), n_directions=25, n_gradients=9) == 0
    assert meeting_layer((784, 10), n_directions=25, n_gradients=9) == 1


@pytest.mark.parametrize("n_directions", [1, 2, 9])
@pytest.mark.parametrize("output", UNITS)
def test_value_is_the_squared_slope_along_each_direction(output, n_directions):
    network, loss, penalty, batches, point, basis = _problem(output, "tanh", (4, 6), n_directions)
    batch, params = next(batches.epoch(None)), network.views(point)
    values = [
        Objective(network, loss, penalties=penalties)(point, batch, None, np.random.default_rng(0))
        for penalties in ([penalty], [])
    ]
    step, expected = 1e-5, 0.0
    for share, row in zip(batches.sample_weight[1:7] / 6, range(1, 7)):
        for u in basis[row]:
            ends = np.stack([batches.X[row] + step * u, batches.X[row] - step * u])
            outputs = UNITS[output][1](network.encode(params, ends), **_along_rows(output))
            slope = (outputs[0] - outputs[1]) / (2 * step)
            expected += 0.7 * share * (slope @ slope)
    np.testing.assert_allclose(values[0] - values[1], expected, rtol=1e-6)


def _along_rows(output):
    return {"axis": 1} if output == "softmax" else {}
