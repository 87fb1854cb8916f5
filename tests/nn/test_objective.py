"""Every gradient against finite differences, in float64."""

import numpy as np
import pytest
from common import relative_gradient_error

from skae.nn.activations import ACTIVATIONS
from skae.nn.corruption import Masking
from skae.nn.jacobian_penalties import JacobianContraction, JacobianCurvature
from skae.nn.losses import Bernoulli, Gaussian, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.penalties import Contraction, Curvature, Penalty, WeightDecay
from skae.training.batches import Batches

COLUMNS = np.arange(7)
LOSSES = {
    "gaussian": lambda: [Gaussian(COLUMNS)],
    "bernoulli": lambda: [Bernoulli(COLUMNS)],
    "multinomial": lambda: [Multinomial(COLUMNS)],
    "mixed": lambda: [Gaussian(COLUMNS[:3]), Bernoulli(COLUMNS[3:5]), Multinomial(COLUMNS[5:])],
}
PENALTIES = {
    "none": lambda network, loss: [],
    "decay": lambda network, loss: [WeightDecay(0.3)],
    "contraction": lambda network, loss: [Contraction(0.5, network.activations[0])],
    "curvature": lambda network, loss: [
        Contraction(0.5, network.activations[0]),
        Curvature(0.7, network.activations[0], 0.4, 2),
    ],
    "exact": lambda network, loss: [JacobianContraction(0.5, network)],
    "stochastic": lambda network, loss: [JacobianContraction(0.5, network, n_directions=3)],
    "reconstruction": lambda network, loss: [JacobianContraction(0.5, network, loss=loss)],
    "stochastic reconstruction": lambda network, loss: [
        JacobianContraction(0.5, network, loss=loss, n_directions=2)
    ],
    "deep curvature": lambda network, loss: [JacobianCurvature(0.7, 0.4, 2)],
    "decoder": lambda network, loss: [_OfDecoder()],
    "stochastic deep curvature": lambda network, loss: [
        JacobianCurvature(0.7, 0.4, 2, n_directions=2)
    ],
}
ELEMENTWISE = [name for name, unit in ACTIVATIONS.items() if unit.kind is not None]
FORWARD_MODE = ["exact", "stochastic", "deep curvature", "stochastic deep curvature"]


def _batch(rng):
    X = rng.random((6, 7))
    X[:, 3:5] = X[:, 3:5] > 0.5
    X[:, 5:] = np.eye(2)[rng.integers(0, 2, 6)]
    return next(Batches(X, rng.random(6), 6).epoch(None))


def _error(loss, activation, penalties, tied, hidden, **options):
    rng = np.random.default_rng(0)
    network = Network((7, *hidden, 3), activation, decoder="tied" if tied else "untied")
    loss = Reconstruction(LOSSES[loss]())
    objective = Objective(network, loss, penalties=PENALTIES[penalties](network, loss), **options)
    params = network.initial(rng, np.float64) + 0.1 * rng.standard_normal(network.size)
    return relative_gradient_error(objective, params, _batch(rng))


@pytest.mark.parametrize("hidden", [(), (4,)], ids=["depth1", "depth2"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("penalties", [pytest.param("none", marks=pytest.mark.slow), "decay"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_gradient(loss, activation, penalties, tied, hidden):
    assert _error(loss, activation, penalties, tied, hidden) < 1e-6


@pytest.mark.parametrize("penalties", ["contraction", "curvature"])
@pytest.mark.parametrize("activation", ELEMENTWISE)
@pytest.mark.parametrize("loss", LOSSES)
def test_contractive_gradient(loss, activation, penalties):
    assert _error(loss, activation, penalties, True, ()) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(), (4,)], ids=["depth1", "depth2"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("penalties", FORWARD_MODE)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_forward_mode_gradient(activation, penalties, tied, hidden):
    """With the loss that has all others: these penalties are of the encoder alone."""
    assert _error("mixed", activation, penalties, tied, hidden) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(), (4,)], ids=["depth1", "depth2"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("penalties", ["reconstruction", "stochastic reconstruction"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", ["gaussian", "bernoulli"])
def test_contraction_of_the_reconstruction_gradient(loss, activation, penalties, tied, hidden):
    assert _error(loss, activation, penalties, tied, hidden) < 1e-6


@pytest.mark.parametrize("penalties", ["none", "decay", "contraction"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_few_rows_and_large_weights_in_float32(tied, penalties):
    rng = np.random.default_rng(0)
    X = rng.random((9, 533), np.float32)
    network = Network((533, 501), "sigmoid", decoder="tied" if tied else "untied")
    loss = Reconstruction([Bernoulli(np.arange(533))])
    objective = Objective(network, loss, penalties=PENALTIES[penalties](network, loss))
    params, results = network.initial(rng, np.float32), []
    for dtype in (np.float32, np.float64):
        batch = next(Batches(X.astype(dtype), None, 9).epoch(None))
        grad = np.empty(network.size, dtype)
        value = objective(params.astype(dtype), batch, grad, np.random.default_rng(0))
        results.append(np.append(grad, value))
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-6)


class _OfDecoder(Penalty):
    """Half the squared norm of the decoder's biases and weights."""

    def __call__(self, params, trace, seed):
        value = 0.0
        for number, record in enumerate(reversed(trace.decoder)):
            weights, bias = params.decoder_weights[number], params.decoder_biases[number]
            record.row_scales.append(np.ones(len(weights)))
            record.bias_terms.append(bias.copy())
            value += (np.sum(weights**2) + np.sum(bias**2)) / 2
        return value


@pytest.mark.parametrize("hidden", [(), (4,)], ids=["depth1", "depth2"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_gradient_of_a_penalty_on_the_decoder(tied, hidden):
    assert _error("mixed", "tanh", "decoder", tied, hidden) < 1e-6


@pytest.mark.parametrize("loss", LOSSES)
def test_emphasized_denoising_gradient(loss):
    options = {"corruption": Masking(0.4), "emphasis": (2.0, 0.5)}
    assert _error(loss, "sigmoid", "decay", True, (), **options) < 1e-6


def _value(network, loss, penalties, flat, X, seed=0):
    """Return what ``penalties`` add to the objective."""
    batch = next(Batches(X, None, len(X)).epoch(None))
    with_them, without = (
        Objective(network, loss, penalties=chosen)(flat, batch, None, np.random.default_rng(seed))
        for chosen in (penalties, [])
    )
    return with_them - without


def _jacobian(function, x, step=1e-6):
    columns = [
        (function(x + step * unit) - function(x - step * unit)) / (2 * step)
        for unit in np.eye(len(x))
    ]
    return np.transpose(columns)


def _problem(hidden, activation, loss):
    rng = np.random.default_rng(1)
    network = Network((5, *hidden, 4), activation)
    flat = network.initial(rng, np.float64) + 0.3 * rng.standard_normal(network.size)
    return network, Reconstruction([loss(np.arange(5))]), flat, rng.standard_normal((8, 5))


@pytest.mark.parametrize("hidden", [(), (6,)], ids=["depth1", "depth2"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus"])
def test_contraction_is_the_squared_norm_of_the_jacobian(activation, hidden):
    network, loss, flat, X = _problem(hidden, activation, Gaussian)
    params = network.views(flat)
    jacobians = [_jacobian(lambda x: network.encode(params, x[np.newaxis])[0], x) for x in X]
    expected = 0.7 * np.mean(np.sum(np.square(jacobians), axis=(1, 2)))
    penalty = JacobianContraction(0.7, network)
    assert _value(network, loss, [penalty], flat, X) == pytest.approx(expected, rel=1e-6)
    if not hidden:
        penalty = Contraction(0.7, network.activations[0])
        assert _value(network, loss, [penalty], flat, X) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss", [Gaussian, Bernoulli])
def test_contraction_of_the_reconstruction(loss):
    network, loss, flat, X = _problem((6,), "tanh", loss)
    params = network.views(flat)

    def reconstruct(x):
        return loss.activate(network.decode(params, network.encode(params, x[np.newaxis])))[0]

    expected = np.mean([np.sum(_jacobian(reconstruct, x) ** 2) for x in X])
    penalty = JacobianContraction(1.0, network, loss=loss)
    assert _value(network, loss, [penalty], flat, X) == pytest.approx(expected, rel=1e-6)


@pytest.mark.slow
def test_stochastic_penalties_are_unbiased():
    network, loss, flat, X = _problem((6,), "tanh", Gaussian)
    for exact, estimate in (
        (JacobianContraction(1.0, network), JacobianContraction(1.0, network, n_directions=1)),
        (
            JacobianCurvature(1.0, 0.5, 5),
            JacobianCurvature(1.0, 0.5, 5, n_directions=1),
        ),
    ):
        draws = [
            [_value(network, loss, [penalty], flat, X, seed) for seed in range(400)]
            for penalty in (exact, estimate)
        ]
        error = np.std(np.subtract(*draws)) / np.sqrt(400)
        assert abs(np.mean(np.subtract(*draws))) < 4 * error
        assert error > 0


def test_curvature_agrees_with_forward_mode():
    network, loss, flat, X = _problem((), "sigmoid", Gaussian)
    closed = Curvature(1.0, network.activations[0], 0.5, 3)
    forward = JacobianCurvature(1.0, 0.5, 3)
    value = _value(network, loss, [closed], flat, X)
    assert value == pytest.approx(_value(network, loss, [forward], flat, X), rel=1e-10)
