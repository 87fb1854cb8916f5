"""The penalty on movement along tangents, against its definition and finite differences."""

import numpy as np
import pytest
from common import FixedDirections, relative_gradient_error
from scipy.special import expit, softmax

from skae._arrays.tangents import exceeds
from skae._threads import team
from skae.nn import tangent_propagation
from skae.nn.corruption import InputDropout
from skae.nn.losses import Bernoulli, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.tangent_passes import switch_layer
from skae.nn.tangent_propagation import TangentPropagation, kept_outputs
from skae.training.batches import Batches

UNITS = {"softmax": (Multinomial, softmax), "sigmoid": (Bernoulli, expit)}


def _problem(output, activation, hidden, n_directions=2, strength=0.7, dropout=0.0):
    rng = np.random.default_rng(0)
    network = Network(
        (5, *hidden, 3), (*[activation] * len(hidden), "identity"), decoder=None, dropout=dropout
    )
    loss = Reconstruction([UNITS[output][0](np.arange(3))])
    basis = rng.standard_normal((8, n_directions, 5))
    penalty = TangentPropagation(strength, network, loss, FixedDirections(basis))
    X, y = rng.random((8, 5)), np.eye(3)[rng.integers(0, 3, 8)]
    batches = Batches(X, rng.random(8), 6, targets=y, indices=np.arange(1, 7))
    point = network.initial(rng, np.float64) + 0.3 * rng.standard_normal(network.size)
    return network, loss, penalty, batches, point, basis


@pytest.mark.slow
@pytest.mark.parametrize("n_directions", [1, 2, 9])
@pytest.mark.parametrize("hidden", [(), (4,), (4, 6), (6, 7, 4)], ids=str)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus"])
@pytest.mark.parametrize("output", UNITS)
def test_gradient(output, activation, hidden, n_directions):
    network, loss, penalty, batches, point, _ = _problem(output, activation, hidden, n_directions)
    objective = Objective(network, loss, penalties=[penalty])
    batch = next(batches.epoch(None))
    assert relative_gradient_error(objective, point, batch) < 1e-6


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
@pytest.mark.parametrize("output", UNITS)
def test_gradient_does_not_depend_on_the_layer_where_passes_meet(output, layer, monkeypatch):
    monkeypatch.setattr(tangent_propagation, "switch_layer", lambda *_: layer)
    network, loss, penalty, batches, point, _ = _problem(output, "tanh", (6, 7), n_directions=4)
    objective = Objective(network, loss, penalties=[penalty])
    batch = next(batches.epoch(None))
    assert relative_gradient_error(objective, point, batch) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("layer", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("corruption", [None, InputDropout(0.4)], ids=["clean", "noisy"])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
@pytest.mark.parametrize("output", UNITS)
def test_gradient_with_noise(output, dropout, corruption, layer, monkeypatch):
    if layer is not None:
        monkeypatch.setattr(tangent_propagation, "switch_layer", lambda *_: layer)
    network, loss, penalty, batches, point, _ = _problem(
        output, "tanh", (6, 7), 1 if layer is None else 4, dropout=dropout
    )
    objective = Objective(network, loss, corruption=corruption, penalties=[penalty])
    assert relative_gradient_error(objective, point, next(batches.epoch(None))) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(4,), (6, 7, 4)], ids=str)
@pytest.mark.parametrize("output", UNITS)
def test_a_large_penalty_counts_by_its_logarithm(output, hidden):
    network, loss, penalty, batches, point, _ = _problem(output, "tanh", hidden, n_directions=4)
    batch = next(batches.epoch(None))

    def value(penalties):
        objective = Objective(network, loss, penalties=penalties)
        assert relative_gradient_error(objective, point, batch) < 1e-6
        return objective(point, batch, None, np.random.default_rng(0))

    plain = value([penalty]) - value([])
    for share in (0.1, 0.9, 1.1):
        penalty.largest = share * plain
        expected = plain if share > 1 else share * plain * (1 - np.log(share))
        assert value([penalty]) - value([]) == pytest.approx(expected)


@pytest.mark.parametrize("n_directions", [1, 4])
@pytest.mark.parametrize("output", UNITS)
def test_slopes_are_those_of_the_thinned_network_at_the_noisy_inputs(output, n_directions):
    network, loss, penalty, batches, point, basis = _problem(
        output, "tanh", (6, 7), n_directions, dropout=0.4
    )
    batch = next(batches.epoch(None))
    with_it, without = (
        Objective(network, loss, corruption=InputDropout(0.4), penalties=penalties)
        for penalties in ([penalty], [])
    )
    value = with_it(point, batch, None, np.random.default_rng(0))
    value -= without(point, batch, None, np.random.default_rng(0))
    [(trace, *_)] = with_it._workspaces.values()
    expected = 0.0
    for i, row in enumerate(batch.indices):
        # Leaving units out for one sample is a network of its own, without the weights above them.
        thin = Network(network.sizes, network.activation_names, decoder=None)
        flat = point.copy()
        for weights, record in zip(thin.views(flat).encoder_weights[1:], trace.encoder):
            weights *= record.mask[i]
        own = TangentPropagation(
            0.7 * trace.sample_weights[i], thin, loss, FixedDirections(basis[row : row + 1])
        )
        lone = next(Batches(trace.inputs[i : i + 1], None, 1, targets=batches.targets).epoch(None))
        parts = [
            Objective(thin, loss, penalties=each)(flat, lone, None, np.random.default_rng(0))
            for each in ([own], [])
        ]
        expected += parts[0] - parts[1]
    assert not np.array_equal(trace.inputs, batches.X[batch.indices])
    assert value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("n_directions", [1, 4])
@pytest.mark.parametrize("output", UNITS)
def test_gradient_where_some_samples_have_no_weight(output, n_directions):
    network, loss, penalty, batches, point, _ = _problem(output, "tanh", (6, 7), n_directions)
    batches.sample_weight = np.array([1.0, 0.0, 2.0, 0.0, 0.0, 0.5, 1.0, 0.0])
    objective = Objective(network, loss, penalties=[penalty])
    batch = next(batches.epoch(None))
    assert relative_gradient_error(objective, point, batch) < 1e-6


@pytest.mark.parametrize("tolerance", [0.0, 1e-3, 0.3])
def test_what_is_left_out_is_less_than_the_tolerance(tolerance):
    rng = np.random.default_rng(0)
    significance = np.exp(4 * rng.standard_normal((40, 5)))
    significance[[3, 7]] = 0
    rows = kept_outputs(exceeds(significance, tolerance))
    kept = np.zeros(significance.shape, bool)
    kept[rows.samples[rows.places], rows.outputs] = True
    assert kept.sum() == len(rows.outputs) == rows.starts[-1]
    assert significance[~kept].sum() <= tolerance * significance.sum()
    assert np.all(significance[kept].min() > significance[~kept].max())
    assert np.array_equal(rows.samples, np.flatnonzero(kept.any(axis=1)))
    for place, sample in enumerate(rows.samples):
        own = rows.outputs[rows.starts[place] : rows.starts[place + 1]]
        assert np.array_equal(own, np.flatnonzero(kept[sample]))


@pytest.mark.parametrize("rounding", [0.0, 1e-3])
@pytest.mark.parametrize("n_directions", [1, 4])
@pytest.mark.parametrize("output", UNITS)
def test_leaving_out_what_is_sure_changes_the_gradient_like_rounding(
    output, n_directions, rounding
):
    network, loss, penalty, batches, point, _ = _problem(output, "tanh", (6, 7), n_directions)
    network.views(point).encoder_weights[-1][...] *= 12
    grads, kept = [], []
    for dtype, penalty.directions.rounding in ((np.float64, 0.0), (np.float32, rounding)):
        X, point = batches.X.astype(dtype), point.astype(dtype)
        batch = next(Batches(X, None, 8, targets=batches.targets).epoch(None))
        grads.append(np.empty(network.size, dtype))
        Objective(network, loss, penalties=[penalty])(
            point, batch, grads[-1], np.random.default_rng(0)
        )
        means = loss.activate(network.encode(network.views(point), X))
        kept.append(penalty.significant(means, np.ones(8, dtype)).sum())
    exact, less = grads
    assert kept[1] < 0.8 * kept[0]
    tolerance = max(100 * np.finfo(np.float32).eps, 0.1 * rounding)
    assert np.linalg.norm(less - exact) < tolerance * np.linalg.norm(exact)


def test_what_is_not_a_number_is_not_left_out():
    significance = np.array([[1.0, 0.0], [np.nan, 1.0]])
    assert exceeds(significance, 0.1)[1, 0]


@pytest.mark.parametrize("output", UNITS)
def test_a_strength_beyond_the_largest_float_does_not_vanish(output):
    network, loss, penalty, batches, point, _ = _problem(output, "tanh", (6, 7), 4, strength=1e39)
    X, point = batches.X.astype(np.float32), point.astype(np.float32)
    batch = next(Batches(X, None, 8, targets=batches.targets.astype(np.float32)).epoch(None))
    with np.errstate(all="ignore"):
        value = Objective(network, loss, penalties=[penalty])(
            point, batch, None, np.random.default_rng(0)
        )
    assert not np.isfinite(value)


def test_without_anything_significant_the_penalty_is_nothing():
    network, loss, penalty, batches, point, _ = _problem("softmax", "tanh", (6, 7), 4)
    batches.sample_weight = np.r_[0.0, np.ones(7)]
    batch = next(Batches(batches.X, batches.sample_weight, 1, targets=batches.targets).epoch(None))
    grads = []
    for penalties in ([penalty], []):
        grads.append(np.full_like(point, np.nan))
        objective = Objective(network, loss, penalties=penalties)
        assert objective(point, batch, grads[-1], np.random.default_rng(0)) == 0
    assert np.array_equal(*grads)


@pytest.mark.parametrize("n_directions", [1, 2, 9])
@pytest.mark.parametrize("n_rows", [1, 2, 6])
def test_threads_change_nothing(n_rows, n_directions, monkeypatch):
    monkeypatch.setattr("skae._threads._SMALLEST_WORK", 1)
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
    sizes = (784, 1000, 1000, 10)
    assert switch_layer(sizes, n_up=1, n_down=9) == 3
    assert switch_layer(sizes, n_up=10, n_down=9) == 1
    assert switch_layer(sizes, n_up=25, n_down=9) == 0
    assert switch_layer((784, 10), n_up=25, n_down=9) == 0


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
