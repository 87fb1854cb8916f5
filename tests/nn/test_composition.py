"""Sums of objectives with layers in common: finite differences, and the parts themselves."""

import numpy as np
import pytest
from common import relative_gradient_error

from skae.nn.activations import ACTIVATIONS
from skae.nn.composition import SharedEncoder
from skae.nn.corruption import Masking
from skae.nn.losses import Bernoulli, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.penalties import Contraction, weight_decays
from skae.training.batches import Batches

LABELLED = np.arange(8) % 3 > 0


def _batch():
    rng = np.random.default_rng(0)
    targets = np.eye(3)[rng.integers(0, 3, 8)] * LABELLED[:, np.newaxis]
    batches = Batches(rng.random((8, 5)), rng.random(8), 8, targets=targets)
    return next(batches.epoch(None))


def _predictor(dropout=0.0, **options):
    names = "tanh", "sigmoid", "identity"
    network = Network((5, 6, 4, 3), names, decoder=None, dropout=dropout)
    loss = Reconstruction([Multinomial(np.arange(3))])
    return Objective(network, loss, row_factors=LABELLED / LABELLED.mean(), **options)


def _autoencoder(decoder, **options):
    network = Network((5, 6, 4), ("tanh", "sigmoid"), decoder=decoder)
    return Objective(network, Reconstruction([Bernoulli(np.arange(5))]), **options)


def _point(*objectives):
    rng = np.random.default_rng(1)
    return [
        each.network.initial(rng, np.float64) + 0.3 * rng.standard_normal(each.network.size)
        for each in objectives
    ]


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("decoder", ["tied", "untied"])
def test_gradient_of_prediction_with_reconstruction(decoder, noise):
    corruption = Masking(0.4) if noise else None
    first = _predictor(
        corruption=corruption, penalties=weight_decays(0.2), dropout=0.3 if noise else 0.0
    )
    second = _autoencoder(decoder, corruption=corruption)
    both = SharedEncoder(first, second, 0.7)
    assert relative_gradient_error(both, both.join(*_point(first, second)), _batch()) < 1e-6


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_of_reconstruction_with_prediction(activation):
    loss = Reconstruction([Bernoulli(np.arange(5))])
    penalties = [Contraction(0.5, ACTIVATIONS[activation])]
    first = Objective(Network((5, 4), activation), loss, penalties=penalties)
    network = Network((5, 4, 3), (activation, "identity"), decoder=None)
    second = Objective(network, Reconstruction([Multinomial(np.arange(3))]))
    both = SharedEncoder(first, second, 0.7)
    assert relative_gradient_error(both, both.join(*_point(first, second)), _batch()) < 1e-6


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("decoder", ["tied", "untied"])
def test_value_is_the_sum_of_the_parts(decoder, order):
    first, second = [_predictor(), _autoencoder(decoder)][::order]
    both, points = SharedEncoder(first, second, 0.7), _point(first, second)
    flat = both.join(*points)
    mine, other = (each.network.views(point) for each, point in zip((first, second), points))
    for kind in ("encoder_weights", "encoder_biases"):
        for source, target in zip(getattr(mine, kind), getattr(other, kind)):
            target[...] = source
    assert flat.size == first.network.size + second.network.size - (5 * 6 + 6 * 4 + 6 + 4)
    values = [
        each(point, _batch(), None, np.random.default_rng(0))
        for each, point in ((first, points[0]), (second, points[1]), (both, flat))
    ]
    assert values[2] == pytest.approx(values[0] + 0.7 * values[1], rel=1e-12)


@pytest.mark.parametrize("n_frozen", [0, 1, 2])
def test_frozen_layers_have_no_gradient_from_either(n_frozen):
    first, second = _predictor(n_frozen=n_frozen), _autoencoder("tied", n_frozen=n_frozen)
    both = SharedEncoder(first, second, 0.7)
    flat = both.join(*_point(first, second))
    grad = np.full_like(flat, np.nan)
    both(flat, _batch(), grad, np.random.default_rng(0))
    views = first.network.views(grad)
    moved = [weights.any() for weights in views.encoder_weights]
    assert moved == [layer >= n_frozen for layer in range(3)]
    assert grad[first.network.size :].all()


def test_rows_without_a_factor_do_not_count():
    objective, other = _predictor(), _predictor()
    other.row_factors = None
    (flat,), grads = _point(objective), []
    rng = np.random.default_rng(0)
    X, targets, weights = rng.random((8, 5)), np.eye(3)[rng.integers(0, 3, 8)], rng.random(8)
    whole, few = (
        next(Batches(X, weights, 8, targets=targets, indices=rows).epoch(None))
        for rows in (np.arange(8), np.flatnonzero(LABELLED))
    )
    for each, batch, scale in (
        (objective, whole, weights.mean()),
        (other, few, weights[LABELLED].mean()),
    ):
        grads.append(np.empty_like(flat))
        value = each(flat, batch, grads[-1], rng)
        grads[-1] = np.append(grads[-1], value) * scale
    np.testing.assert_allclose(*grads, rtol=1e-10, atol=1e-14)
