"""Every gradient against finite differences, in float64."""

import numpy as np
import pytest
from common import relative_gradient_error

from skae.nn.activations import ACTIVATIONS
from skae.nn.corruption import Masking
from skae.nn.losses import Bernoulli, Gaussian, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.penalties import Contraction, Curvature, WeightDecay
from skae.training.batches import Batches

COLUMNS = np.arange(7)
LOSSES = {
    "gaussian": lambda: [Gaussian(COLUMNS)],
    "bernoulli": lambda: [Bernoulli(COLUMNS)],
    "multinomial": lambda: [Multinomial(COLUMNS)],
    "mixed": lambda: [Gaussian(COLUMNS[:3]), Bernoulli(COLUMNS[3:5]), Multinomial(COLUMNS[5:])],
}
PENALTIES = {
    "none": lambda activation: [],
    "decay": lambda activation: [WeightDecay(0.3)],
    "contraction": lambda activation: [Contraction(0.5, activation)],
    "curvature": lambda activation: [
        Contraction(0.5, activation),
        Curvature(0.7, activation, 0.4, 2),
    ],
}


def _batch(rng):
    X = rng.random((6, 7))
    X[:, 3:5] = X[:, 3:5] > 0.5
    X[:, 5:] = np.eye(2)[rng.integers(0, 2, 6)]
    return next(Batches(X, rng.random(6), 6).epoch(None))


def _error(loss, activation, penalties, tied, hidden, **options):
    rng = np.random.default_rng(0)
    network = Network((7, *hidden, 3), activation, tied)
    objective = Objective(
        network,
        Reconstruction(LOSSES[loss]()),
        penalties=PENALTIES[penalties](network.activation),
        **options,
    )
    params = network.initial(rng, np.float64) + 0.1 * rng.standard_normal(network.size)
    return relative_gradient_error(objective, params, _batch(rng))


@pytest.mark.parametrize("hidden", [(), (4,)], ids=["depth1", "depth2"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("penalties", ["none", "decay"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient(loss, activation, penalties, tied, hidden):
    assert _error(loss, activation, penalties, tied, hidden) < 1e-6


@pytest.mark.parametrize("penalties", ["contraction", "curvature"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_contractive_gradient(loss, activation, penalties):
    assert _error(loss, activation, penalties, True, ()) < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_emphasized_denoising_gradient(loss):
    options = {"corruption": Masking(0.4), "emphasis": (2.0, 0.5)}
    assert _error(loss, "sigmoid", "decay", True, (), **options) < 1e-6


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_contraction_is_the_squared_norm_of_the_jacobian(activation):
    rng = np.random.default_rng(1)
    network = Network((5, 4), activation, True)
    loss = Reconstruction([Gaussian(np.arange(5))])
    flat = network.initial(rng, np.float64)
    X = rng.standard_normal((8, 5))
    batch = next(Batches(X, None, 8).epoch(None))
    values = [
        Objective(network, loss, penalties=penalties)(flat, batch, None, rng)
        for penalties in ([Contraction(0.7, network.activation)], [])
    ]

    def code(x):
        return network.encode(network.views(flat), x[np.newaxis])[0]

    step = 1e-6
    jacobians = [
        [(code(x + step * unit) - code(x - step * unit)) / (2 * step) for unit in np.eye(5)]
        for x in X
    ]
    expected = 0.7 * np.mean(np.sum(np.square(jacobians), axis=(1, 2)))
    assert values[0] - values[1] == pytest.approx(expected, rel=1e-6)
