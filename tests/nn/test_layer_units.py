"""Units that need their whole row, defined here in plain numpy: right wherever a network goes, without being taught there."""

from functools import partial

import numpy as np
import pytest
from common import FixedDirections, relative_gradient_error
from scipy.special import softmax

from skae._threads import team
from skae.nn.activations import Activation, Derivatives, Diagonal
from skae.nn.corruption import Masking
from skae.nn.jacobian_penalties import JacobianContraction, JacobianCurvature
from skae.nn.linear_maps import encoder_map
from skae.nn.losses import Bernoulli, Gaussian, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.penalties import WeightDecay
from skae.nn.recurrent import RecurrentNetwork
from skae.nn.sparse_units import TopK
from skae.nn.tangent_propagation import TangentPropagation
from skae.training.batches import Batches

ALL = slice(None)


class _TopK(Activation):
    """The three largest pre-activations of a row; 0 elsewhere."""

    def forward(self, a, bias, rows=ALL, units=ALL):
        part = a[rows] + bias
        part[part < np.sort(part, axis=1)[:, [-3]]] = 0
        a[rows] = part

    def derivatives(self, outputs, order=1, memory=None):
        return Diagonal((outputs != 0).astype(outputs.dtype), np.zeros_like(outputs))


class _Softmax(Activation):
    """Outputs of a sum of 1, whose Jacobian has no zeros."""

    def forward(self, a, bias, rows=ALL, units=ALL):
        a[rows] = softmax(a[rows] + bias, axis=1)

    def derivatives(self, outputs, order=1, memory=None):
        return _SoftmaxDerivatives(outputs)


class _SoftmaxDerivatives(Derivatives):
    def __init__(self, outputs):
        self.outputs = outputs

    def jvp(self, tangents, out=None, rows=None):
        p = self.outputs if rows is None else self.outputs[rows.owners]
        t = tangents if rows is None else rows.each(tangents)
        moved = p * (t - (p * t).sum(axis=1, keepdims=True))
        if out is None:
            return moved
        out[...] = moved
        return out

    def jvp_backward(self, tangents, cotangents, delta, rows):
        # u'Jt = sum_j p_j u_j t_j - (p'u) (p't), whose derivative by p goes through J once more.
        p, t, u = self.outputs[rows.owners], rows.each(tangents), cotangents
        pt, pu = (p * t).sum(axis=1, keepdims=True), (p * u).sum(axis=1, keepdims=True)
        by_outputs = u * t - u * pt - t * pu
        np.add.at(delta, rows.owners, self.jvp(by_outputs, rows=rows))
        u[...] = self.jvp(u, rows=rows)

    def take(self, samples):
        return _SoftmaxDerivatives(self.outputs[samples])


class _Leaky(Activation):
    """A unit of one pre-activation, parts of whose rows may be computed by several threads."""

    whole_row = False

    def forward(self, a, bias, rows=ALL, units=ALL):
        part = a[rows, units] + bias[units]
        a[rows, units] = np.maximum(part, 0.1 * part)

    def derivatives(self, outputs, order=1, memory=None):
        first = np.where(outputs > 0, 1, 0.1).astype(outputs.dtype)
        return Diagonal(first, np.zeros_like(outputs))


UNITS = {"top-k": _TopK(), "positive top-k": TopK(3), "softmax": _Softmax()}
COLUMNS = np.arange(7)


def _point(network, rng):
    return network.initial(rng, np.float64) + 0.5 * rng.standard_normal(network.size)


def _batch(rng):
    return next(Batches(rng.random((6, 7)), rng.random(6), 6).epoch(None))


PENALTIES = {
    "none": lambda network, loss: [],
    "decay": lambda network, loss: [WeightDecay(0.3)],
    "contraction": lambda network, loss: [JacobianContraction(0.5, network)],
    "stochastic": lambda network, loss: [JacobianContraction(0.5, network, n_directions=3)],
    "reconstruction": lambda network, loss: [JacobianContraction(0.5, network, loss=loss)],
    "curvature": lambda network, loss: [JacobianCurvature(0.7, 0.01, 2)],
}


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(), (6,), (6, 5)], ids=str)
@pytest.mark.parametrize("decoder", ["tied", "untied"])
@pytest.mark.parametrize("penalties", PENALTIES)
@pytest.mark.parametrize("unit", UNITS)
def test_gradients_of_autoencoders_and_their_penalties(unit, penalties, decoder, hidden):
    rng = np.random.default_rng(0)
    network = Network((7, *hidden, 5), UNITS[unit], decoder=decoder)
    loss = Reconstruction([Gaussian(COLUMNS[:3]), Bernoulli(COLUMNS[3:])])
    objective = Objective(network, loss, penalties=PENALTIES[penalties](network, loss))
    assert relative_gradient_error(objective, _point(network, rng), _batch(rng)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("n_directions", [1, 3, 9])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("unit", UNITS)
def test_gradient_of_a_penalty_along_tangents(unit, dropout, n_directions):
    rng = np.random.default_rng(0)
    units = UNITS[unit], "tanh", UNITS[unit], "identity"
    network = Network((7, 6, 7, 5, 3), units, decoder=None, dropout=dropout)
    loss = Reconstruction([Multinomial(np.arange(3))])
    directions = FixedDirections(rng.standard_normal((6, n_directions, 7)))
    penalty = TangentPropagation(0.7, network, loss, directions)
    targets = np.eye(3)[rng.integers(0, 3, 6)]
    batch = next(Batches(rng.random((6, 7)), rng.random(6), 6, targets=targets).epoch(None))
    objective = Objective(network, loss, corruption=Masking(0.2), penalties=[penalty])
    assert relative_gradient_error(objective, _point(network, rng), batch) < 1e-6


@pytest.mark.parametrize("unit", UNITS)
def test_gradient_of_a_recurrent_network(unit):
    rng = np.random.default_rng(0)
    network = RecurrentNetwork((7, 6, 5), [UNITS[unit]] * 2, 2)
    objective = Objective(network, Reconstruction([Gaussian(COLUMNS)]))
    assert relative_gradient_error(objective, _point(network, rng), _batch(rng)) < 1e-6


def _numeric_jacobian(function, x, step=1e-6):
    steps = step * np.eye(len(x))
    return (function(x + steps) - function(x - steps)).T / (2 * step)


@pytest.mark.parametrize("unit", UNITS)
def test_jacobians(unit):
    rng = np.random.default_rng(0)
    networks = [
        Network((7, 6, 5), UNITS[unit]),
        RecurrentNetwork((7, 6, 5), [UNITS[unit]] * 2, 1),
    ]
    X = rng.standard_normal((60, 7))
    for network in networks:
        params = network.views(_point(network, rng))
        exact, encode = network.jacobian(params, X), partial(network.encode, params)
        for x, jacobian in zip(X[:4], exact):
            np.testing.assert_allclose(jacobian, _numeric_jacobian(encode, x), atol=1e-8)
    network = networks[0]
    params = network.views(_point(network, rng))
    jacobian, chain = network.jacobian(params, X), encoder_map(params, X, 2)
    vectors, covectors = rng.standard_normal((60, 7)), rng.standard_normal((60, 5))
    np.testing.assert_allclose(
        chain.jvp(vectors), np.einsum("nhd,nd->nh", jacobian, vectors), atol=1e-12
    )
    expected = np.einsum("nhd,nh->nd", jacobian, covectors)
    np.testing.assert_allclose(chain.vjp(covectors), expected, atol=1e-12)
    some = chain.take(np.array([2, 0]), 2)
    np.testing.assert_allclose(some.vjp(covectors[[2, 0]]), expected[[2, 0]], atol=1e-12)


@pytest.mark.parametrize("sizes", [(7, 6, 9), (7, 30, 20)], ids=str)
@pytest.mark.parametrize("unit", [*UNITS.values(), _Leaky()], ids=[*UNITS, "leaky"])
def test_threads_do_not_cut_rows(unit, sizes, monkeypatch):
    monkeypatch.setattr("skae._threads._SMALLEST_WORK", 1)
    rng = np.random.default_rng(0)
    network = Network(sizes, unit)
    loss = Reconstruction([Gaussian(COLUMNS)])
    objective = Objective(network, loss, penalties=[JacobianContraction(0.5, network)])
    point, batch, grads = _point(network, rng), _batch(rng), []
    for n_threads in (1, 3):
        grads.append(np.empty_like(point))
        with team(n_threads):
            objective(point, batch, grads[-1], np.random.default_rng(0))
    np.testing.assert_allclose(*grads, rtol=0, atol=1e-12)
