"""Supervised, unrolled, recurrent and layer-wise objectives: gradients, and what they compute."""

import numpy as np
import pytest
from common import relative_gradient_error
from scipy.special import expit, softmax

from skae.nn.activations import ACTIVATIONS
from skae.nn.corruption import Masking
from skae.nn.jacobian_penalties import JacobianContraction, JacobianCurvature
from skae.nn.layerwise import JointSolver, Layerwise, OnCodes
from skae.nn.losses import Bernoulli, Gaussian, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.penalties import Contraction, WeightDecay
from skae.nn.recurrent import RecurrentNetwork
from skae.training.batches import Batches
from skae.training.solvers import SGD, Adam

UNITS = {"gaussian": Gaussian, "bernoulli": Bernoulli, "multinomial": Multinomial}


def _rows(rng, n=6, width=7):
    return rng.random((n, width))


def _batch(rng, X, targets=None):
    return next(Batches(X, rng.random(len(X)), len(X), targets=targets).epoch(None))


def _point(network, rng):
    return network.initial(rng, np.float64) + 0.1 * rng.standard_normal(network.size)


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("hidden", [(5,), (5, 4)], ids=["depth2", "depth3"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("unit", UNITS)
def test_supervised_gradient(unit, activation, hidden, dropout):
    rng = np.random.default_rng(0)
    activations = (*[activation] * len(hidden), "identity")
    network = Network((7, *hidden, 3), activations, decoder=None, dropout=dropout)
    loss = Reconstruction([UNITS[unit](np.arange(3))])
    targets = np.eye(3)[rng.integers(0, 3, 6)]
    objective = Objective(network, loss, penalties=[WeightDecay(0.3)])
    batch = _batch(rng, _rows(rng), targets)
    assert relative_gradient_error(objective, _point(network, rng), batch) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["tied", "untied"])
@pytest.mark.parametrize(
    "activations",
    [("sigmoid", "identity"), ("relu", "tanh", "sigmoid"), ("softplus", "sigmoid")],
    ids=str,
)
def test_unrolled_gradient(activations, decoder):
    rng = np.random.default_rng(0)
    network = Network((7, 5, 4, 3)[: len(activations) + 1], activations, decoder=decoder)
    loss = Reconstruction([Bernoulli(np.arange(7))])
    penalties = [
        WeightDecay(0.2),
        JacobianContraction(0.5, network),
        JacobianContraction(0.4, network, loss=loss),
        JacobianCurvature(0.3, 0.4, 1),
    ]
    objective = Objective(network, loss, penalties=penalties)
    point = _point(network, rng)
    assert relative_gradient_error(objective, point, _batch(rng, _rows(rng))) < 1e-6


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize(
    "activations",
    [("sigmoid", "sigmoid"), ("tanh", "softplus", "sigmoid"), ("relu", "identity")],
    ids=str,
)
def test_recurrent_gradient(activations, n_steps):
    rng = np.random.default_rng(0)
    network = RecurrentNetwork((7, 5, 4, 3)[: len(activations) + 1], activations, n_steps)
    loss = Reconstruction([Gaussian(np.arange(7))])
    objective = Objective(network, loss, corruption=Masking(0.3), penalties=[WeightDecay(0.2)])
    point = _point(network, rng)
    assert relative_gradient_error(objective, point, _batch(rng, _rows(rng))) < 1e-6


@pytest.mark.parametrize("noise_below", [False, True])
def test_layerwise_gradient_is_that_of_each_layer_on_fixed_codes(noise_below):
    rng = np.random.default_rng(0)
    X = _rows(rng)
    networks = [Network(sizes, "sigmoid") for sizes in ((7, 5), (5, 4), (4, 3))]
    objectives = [
        Objective(
            network,
            Reconstruction([Bernoulli(np.arange(network.sizes[0]))]),
            corruption=Masking(0.3),
            penalties=[Contraction(0.2, network.activations[0])],
        )
        for network in networks
    ]
    together = Layerwise(objectives, noise_below)
    points = [_point(network, rng) for network in networks]
    grad = np.empty(sum(map(len, points)))
    flat = np.concatenate(points)
    batch = next(Batches(X, None, 6).epoch(None))
    value = together(flat, batch, grad, np.random.default_rng(3))

    generator, total = np.random.default_rng(3), 0.0
    for level, objective in enumerate(objectives):

        def encode(rows, out, level=level):
            for network, point in zip(networks[:level], points):
                rows = network.encode(network.views(point), rows)
            out[...] = rows

        codes = np.empty((6, networks[level].sizes[0]))
        encode(X, codes)
        below = batch
        if not noise_below:
            below = next(Batches(codes, None, 6).epoch(None))
        elif level:
            objective = OnCodes(objective, 7, encode)
        own = np.empty_like(points[level])
        total += objective(points[level], below, own, generator)
        np.testing.assert_allclose(together.split(grad)[level], own, rtol=1e-10)
    assert value == pytest.approx(total)


def test_on_codes_gradient_and_where_noise_comes_in():
    rng = np.random.default_rng(0)
    X, weights = _rows(rng, 50), rng.standard_normal((4, 7))
    network = Network((4, 3), "sigmoid")
    seen = []

    def halve(rows, seed, out):
        seen.append(rows.copy())
        out[...] = rows / 2

    def encode(rows, out):
        out[...] = expit(rows @ weights.T)

    loss = Reconstruction([Gaussian(np.arange(4))])
    objective = OnCodes(Objective(network, loss, corruption=halve), 7, encode)
    flat, batch = _point(network, rng), next(Batches(X, None, 50).epoch(None))
    assert relative_gradient_error(objective, flat, batch) < 1e-6
    np.testing.assert_array_equal(seen[0], X)
    params = network.views(flat)
    clean, noisy = (expit(rows @ weights.T) for rows in (X, X / 2))
    outputs = network.decode(params, network.encode(params, noisy))
    expected = 0.5 * np.mean(np.sum((outputs - clean) ** 2, axis=1))
    assert objective(flat, batch, None, rng) == pytest.approx(expected)


def test_a_joint_solver_is_each_solver_on_its_part():
    rng = np.random.default_rng(0)
    params, grads = rng.standard_normal(9), rng.standard_normal((5, 9))
    parts = [slice(0, 4), slice(4, 9)]
    solvers = [(Adam(), 0.1), (SGD(), 0.01)]
    joint, together = JointSolver(solvers, [4, params.size]), params.copy()
    state = joint.start(together)
    for grad in grads:
        joint.step(together, grad, state, 1.0)
    for part, (solver, rate) in zip(parts, solvers):
        alone = params[part].copy()
        own = solver.start(alone)
        for grad in grads:
            solver.step(alone, grad[part], own, rate)
        np.testing.assert_array_equal(together[part], alone)


def test_dropout_leaves_out_a_share_and_scales_the_rest_up():
    rng = np.random.default_rng(0)
    network = Network((20, 300, 2), ("sigmoid", "identity"), decoder=None, dropout=0.25)
    flat, X = _point(network, rng), rng.random((200, 20))
    trace = network.trace(200, flat)
    trace.inputs[...] = X
    network.forward(network.views(flat), trace, np.uint64(5))
    passed, full = trace.encoder[1].inputs, trace.encoder[0].outputs
    kept = passed != 0
    assert kept.mean() == pytest.approx(0.75, abs=0.01)
    np.testing.assert_allclose(passed[kept], full[kept] / 0.75)
    np.testing.assert_allclose(full, network.encode(network.views(flat), X, n_layers=1))


def test_a_network_without_decoder_is_a_multilayer_perceptron():
    rng = np.random.default_rng(0)
    network = Network((7, 5, 4, 3), ("tanh", "sigmoid", "identity"), decoder=None)
    flat, X = _point(network, rng), _rows(rng)
    params = network.views(flat)
    first, second, third = params.encoder_weights
    b, c, d = params.encoder_biases
    logits = expit(np.tanh(X @ first.T + b) @ second.T + c) @ third.T + d
    np.testing.assert_allclose(network.encode(params, X), logits)
    targets = np.eye(3)[rng.integers(0, 3, 6)]
    loss = Reconstruction([Multinomial(np.arange(3))])
    batch = next(Batches(X, None, 6, targets=targets).epoch(None))
    value = Objective(network, loss)(flat, batch, None, rng)
    expected = -np.mean(np.sum(targets * np.log(softmax(logits, axis=1)), axis=1))
    assert value == pytest.approx(expected)


def test_recurrent_steps_are_the_published_ones():
    rng = np.random.default_rng(0)
    network = RecurrentNetwork((7, 5, 4, 3), ("sigmoid", "tanh", "sigmoid"), 2)
    flat, X = _point(network, rng), _rows(rng)
    params = network.views(flat)
    (u, v, w), (b, c, d), (e,) = (
        params.encoder_weights,
        params.encoder_biases,
        params.decoder_biases,
    )
    one = expit(X @ u.T + b)
    two = np.tanh(one @ v.T + c)
    three = expit(two @ w.T + d)
    for _ in range(2):
        one = expit((X @ u.T + two @ v) / 2 + b)
        two = np.tanh((one @ v.T + three @ w) / 2 + c)
        three = expit(two @ w.T + d)
    np.testing.assert_allclose(network.encode(params, X), three)
    np.testing.assert_allclose(network.reconstruct(params, X), one @ u + e)
    down = expit(np.tanh(three @ w + c) @ v + b) @ u + e
    np.testing.assert_allclose(network.decode(params, three), down)


def test_recurrent_jacobian():
    rng = np.random.default_rng(0)
    network = RecurrentNetwork((7, 5, 4), ("sigmoid", "tanh"), 3)
    params, X = network.views(_point(network, rng)), _rows(rng)
    step = 1e-6
    columns = [
        (network.encode(params, X + step * unit) - network.encode(params, X - step * unit))
        / (2 * step)
        for unit in np.eye(7)
    ]
    np.testing.assert_allclose(
        network.jacobian(params, X), np.stack(columns, axis=2), rtol=1e-6, atol=1e-9
    )
