"""Units, codes and the objective of sparse auto-encoders, beside plain numpy and finite differences."""

import numpy as np
import pytest
from common import in_library

from skae._threads import team
from skae.nn.sparse_codes import ByColumn, above, batch_top_k, top_k, weighted_batch_top_k
from skae.nn.sparse_network import SparseNetwork
from skae.nn.sparse_objective import SparseObjective
from skae.training.batches import Batches

N_SAMPLES, N_INPUTS, N_FEATURES, K, ALPHA = 9, 5, 12, 3, 0.3
ACTIVATIONS = ["topk", "batch_topk", "jumprelu", "relu"]


def _largest(a, count):
    """Return ``a`` with 0 in place of all but its ``count`` largest positive entries, the first of equal ones."""
    kept = np.zeros(a.size)
    order = np.argsort(-a.ravel(), kind="stable")[:count]
    kept[order] = np.maximum(a.ravel()[order], 0)
    return kept.reshape(a.shape)


def _largest_by_weight(a, total, weights):
    """Return the same up to the first entry with which the weights of their rows exceed ``total``."""
    kept, left = np.zeros(a.size, a.dtype), total * (1 + 1e-6)
    for place in np.argsort(-a.ravel(), kind="stable"):
        left -= weights[place // a.shape[1]]
        if left < 0:
            break
        kept[place] = max(a.ravel()[place], 0)
    return kept.reshape(a.shape)


def _dense(codes, n):
    assert all(np.all(np.diff(row.indices) > 0) for row in codes.matrix(n))
    return codes.matrix(n).toarray()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape, k", [((7, 1000), 5), ((40, 65), 8), ((5, 6), 6), ((3, 1), 1)])
@pytest.mark.parametrize("ties", [False, True])
def test_winners_are_those_of_a_sort(ties, shape, k, dtype):
    rng = np.random.default_rng(0)
    a = rng.standard_normal(shape).astype(dtype)
    bias = rng.standard_normal(shape[1]).astype(dtype)
    if ties:
        a, bias = np.round(a), np.round(bias)
    total = a + bias
    expected = np.array([_largest(row, k) for row in total])
    np.testing.assert_array_equal(_dense(top_k(a, bias, k), shape[1]), expected)
    expected = _largest(total, k * shape[0])
    np.testing.assert_array_equal(_dense(batch_top_k(a, bias, k * shape[0]), shape[1]), expected)
    limits = rng.random(shape[1]).astype(dtype)
    expected = np.where(total > limits, total, 0)
    np.testing.assert_array_equal(_dense(above(a, bias, limits), shape[1]), expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("library", ["numpy", "array_api_strict"])
@pytest.mark.parametrize("heaviest", [3, 500])
@pytest.mark.parametrize("ties", [False, True])
def test_a_row_of_weight_n_is_n_rows(ties, heaviest, library, dtype):
    rng = np.random.default_rng(0)
    a, bias = rng.standard_normal((11, 30)).astype(dtype), rng.standard_normal(30).astype(dtype)
    if ties:
        a, bias = np.round(a), np.round(bias)
    times = rng.integers(0, 4, 11)
    times[5] = heaviest
    weights = (times / times.sum()).astype(dtype)
    for k in range(1, 8):
        expected = _largest_by_weight(a + bias, k * times.sum(), times)
        arrays = in_library(library, a, bias, weights, np.empty_like(a))
        with np.errstate(all="raise"):
            codes = weighted_batch_top_k(arrays[0], arrays[1], k * len(a), arrays[2])
        codes.fill(arrays[3])
        np.testing.assert_array_equal(np.asarray(arrays[3]), expected)


def test_products_of_codes():
    rng = np.random.default_rng(0)
    codes = top_k(rng.standard_normal((20, 8)), np.zeros(8), 3)
    atoms, bias, vectors = (
        rng.standard_normal(shape) for shape in [(8, N_INPUTS), N_INPUTS, (20, N_INPUTS)]
    )
    h = codes.matrix(8).toarray()
    np.testing.assert_allclose(codes.decode(atoms, bias), h @ atoms + bias)
    out = np.ones((8, N_INPUTS))
    ByColumn(codes, 8).add(codes.values, vectors, out, slice(2, 7))
    expected = np.ones((8, N_INPUTS))
    expected[2:7] += (h.T @ vectors)[2:7]
    np.testing.assert_allclose(out, expected)


def _network(activation):
    return SparseNetwork((N_INPUTS, N_FEATURES), activation, K)


def _point(network, seed=0):
    rng = np.random.default_rng(seed)
    return network.initial(rng, np.float64) + 0.3 * rng.standard_normal(network.size)


def _batch(seed=0):
    rng = np.random.default_rng(seed)
    X = 2 * rng.standard_normal((N_SAMPLES, N_INPUTS))
    return X, next(Batches(X, 0.5 + rng.random(N_SAMPLES), N_SAMPLES).epoch(None))


def _weights(batch):
    weights = np.empty(N_SAMPLES)
    batch.rows(np.empty((N_SAMPLES, N_INPUTS)), weights)
    return weights


def _codes(activation, params, X, weights):
    """Return the codes of training, in plain numpy."""
    a = X @ params.encoder_weights[0].T + params.encoder_biases[0]
    if activation == "topk":
        return np.array([_largest(row, K) for row in a])
    if activation == "batch_topk":
        return _largest_by_weight(a, K * weights.sum(), weights)
    limits = np.exp(params.thresholds) if activation == "jumprelu" else 0
    return np.where(a > limits, a, 0)


def _winners(a):
    """Return the pre-activations of dead features that are to reconstruct the rest."""
    return np.array([_largest(row, N_INPUTS // 2) for row in a])


def _value(activation, ends, network, flat, X, weights, held=None):
    """Return the objective in plain numpy; ``held`` has dead features and the rest that they are to reconstruct."""
    params = network.views(flat)
    D, c = params.decoder_weights[0], params.decoder_biases[0]
    h = _codes(activation, params, X, weights)
    losses = [np.sum((h[:, :end] @ D[:end] + c - X) ** 2, axis=1) / 2 for end in ends]
    value = weights @ np.mean(losses, axis=0)
    if activation == "relu":
        value += ALPHA * weights @ h.sum(axis=1)
    if activation == "jumprelu":
        value += ALPHA * weights @ (h > 0).sum(axis=1)
    if held is not None:
        dead, rest, aux, scale = held
        a = X @ params.encoder_weights[0][dead].T + params.encoder_biases[0][dead]
        winners = _winners(a)
        value += aux * weights @ np.sum((scale * winners @ D[dead] - rest) ** 2, axis=1) / 2
    return value


def _numeric(function, flat, step=1e-6):
    steps = step * np.eye(flat.size)
    return np.array([(function(flat + s) - function(flat - s)) / (2 * step) for s in steps])


@pytest.mark.parametrize("ends", [(N_FEATURES,), (2, 3, 7, N_FEATURES)], ids=str)
@pytest.mark.parametrize("n_dead", [0, 1, 4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dense", [False, True])
def test_gradients(dense, activation, n_dead, ends, monkeypatch):
    monkeypatch.setattr("skae.nn.dense_codes._DENSE", 0 if dense else 1)
    network, aux, dead = _network(activation), 0.7, np.arange(n_dead) * 2 + 1
    flat, (X, batch) = _point(network), _batch()
    objective = SparseObjective(network, ends, alpha=ALPHA, aux=aux, dead_after=50)
    objective.idle[dead] = 50
    weights, params = _weights(batch), network.views(flat)
    h = _codes(activation, params, X, weights)
    rest = X - h @ params.decoder_weights[0] - params.decoder_biases[0]
    variation = weights @ np.sum((X - np.average(X, axis=0, weights=weights)) ** 2, axis=1)
    unexplained = weights @ np.sum(rest**2, axis=1) / variation
    a = X @ params.encoder_weights[0][dead].T + params.encoder_biases[0][dead]
    made = _winners(a) @ params.decoder_weights[0][dead]
    scale = weights @ np.sum(made * rest, axis=1) / max(weights @ np.sum(made**2, axis=1), 1e-9)
    scale = max(scale, 0.01)
    held = (dead, rest, aux / unexplained, scale) if n_dead else None
    grad = np.empty_like(flat)
    value = objective(flat.copy(), batch, grad, None)
    arguments = X, weights
    np.testing.assert_allclose(value, _value(activation, ends, network, flat, *arguments))
    arguments = X, weights, held
    numeric = _numeric(lambda at: _value(activation, ends, network, at, *arguments), flat)
    smooth = flat.size - network.training.n_thresholds
    np.testing.assert_allclose(grad[:smooth], numeric[:smooth], atol=1e-7)


def test_gradient_at_thresholds_is_the_straight_through_estimate():
    network = _network("jumprelu")
    flat, (X, batch) = _point(network), _batch()
    params = network.views(flat)
    theta, weights = 1.2, _weights(batch)
    params.thresholds[:], bandwidth = np.log(theta), 0.2 * theta
    a = X @ params.encoder_weights[0].T + params.encoder_biases[0]
    kernel = (np.abs(a - theta) < bandwidth / 2) / bandwidth
    assert 3 < np.count_nonzero(kernel) < a.size / 2
    h = np.where(a > theta, a, 0)
    errors = h @ params.decoder_weights[0] + params.decoder_biases[0] - X
    by_code = errors @ params.decoder_weights[0].T
    by_theta = -weights @ (kernel * (theta * by_code + ALPHA))
    grad = np.empty_like(flat)
    SparseObjective(network, [N_FEATURES], alpha=ALPHA, aux=0, dead_after=1)(
        flat, batch, grad, None
    )
    np.testing.assert_allclose(grad[-N_FEATURES:], theta * by_theta, atol=1e-12)


def test_threshold_of_batches_is_the_running_mean_of_the_smallest_code():
    network = _network("batch_topk")
    flat, objective = (
        _point(network),
        SparseObjective(network, [12], alpha=ALPHA, aux=0, dead_after=1),
    )
    flat[-1] = 0
    expected = []
    for seed in range(3):
        X, batch = _batch(seed)
        h = _codes("batch_topk", network.views(flat), X, _weights(batch))
        expected.append(h[h > 0].min())
        objective(flat, batch, np.empty_like(flat), None)
    mean = 0.99 * (0.99 * expected[0] + 0.01 * expected[1]) + 0.01 * expected[2]
    np.testing.assert_allclose(flat[-1], mean)
    objective(flat, batch, None, None)
    np.testing.assert_allclose(flat[-1], mean)


def test_batches_without_codes_leave_the_threshold():
    network = _network("batch_topk")
    flat = _point(network)
    network.views(flat).encoder_biases[0][:] = -100
    flat[-1] = 0.5
    objective = SparseObjective(network, [N_FEATURES], alpha=ALPHA, aux=0, dead_after=1)
    objective(flat, _batch()[1], np.empty_like(flat), None)
    assert flat[-1] == 0.5


def test_idle_features_are_counted():
    network = _network("topk")
    flat, (X, batch) = _point(network), _batch()
    objective = SparseObjective(network, [N_FEATURES], alpha=ALPHA, aux=0, dead_after=1)
    active = _codes("topk", network.views(flat), X, _weights(batch)).any(axis=0)
    assert 0 < active.sum() < N_FEATURES
    for times in (1, 2):
        objective(flat, batch, np.empty_like(flat), None)
        np.testing.assert_array_equal(objective.idle, np.where(active, 0, times))
    objective(flat, batch, None, None)
    np.testing.assert_array_equal(objective.idle, np.where(active, 0, 2))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fitted_units(activation):
    """Dense and sparse codes are the same, and Jacobians those of finite differences."""
    network, (X, _) = _network(activation), _batch()
    flat = _point(network)
    params = network.views(flat)
    codes = network.encode(params, X)
    np.testing.assert_allclose(network.sparse_codes(params, X).matrix(12).toarray(), codes)
    jacobian = network.jacobian(params, X[:2])
    for x, exact in zip(X, jacobian):
        steps = 1e-6 * np.eye(N_INPUTS)
        numeric = (network.encode(params, x + steps) - network.encode(params, x - steps)).T / 2e-6
        np.testing.assert_allclose(exact, numeric, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_threads_change_nothing_but_the_last_bits(activation, monkeypatch):
    monkeypatch.setattr("skae._threads._SMALLEST_WORK", 1)
    network, (_, batch) = _network(activation), _batch()
    grads = []
    for n_threads in (1, 3):
        flat, grad = _point(network), np.empty(network.size)
        objective = SparseObjective(network, [4, N_FEATURES], alpha=ALPHA, aux=0.5, dead_after=50)
        objective.idle[:3] = 50
        with team(n_threads):
            objective(flat, batch, grad, None)
        grads.append(grad)
    np.testing.assert_allclose(*grads, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ends", [(N_FEATURES,), (3, N_FEATURES)], ids=str)
@pytest.mark.parametrize("activation", ["topk", "batch_topk", "relu"])
def test_gradients_are_those_of_pytorch(activation, ends):
    torch = pytest.importorskip("torch")
    network = _network(activation)
    flat, (X, batch) = _point(network), _batch()
    weights, grad = _weights(batch), np.empty_like(flat)
    SparseObjective(network, ends, alpha=ALPHA, aux=0, dead_after=1)(flat, batch, grad, None)
    parts = [torch.tensor(part, requires_grad=True) for part in network.parts(flat)[:4]]
    D, W, b, c = parts
    a = torch.tensor(X) @ W.T + b
    h = torch.relu(a)
    if activation == "topk":
        h = torch.zeros_like(a).scatter(1, *torch.topk(h, K, dim=1)[::-1])
    elif activation == "batch_topk":
        # As many of the largest as have the weight of K entries of each row.
        values, places = torch.sort(h.ravel(), descending=True)
        shares = np.repeat(weights, a.shape[1])[places.numpy()]
        kept = np.cumsum(shares) <= K * weights.sum() * (1 + 1e-9)
        values = torch.where(torch.tensor(kept), values, 0.0)
        h = torch.zeros(a.numel(), dtype=a.dtype).scatter(0, places, values).reshape(a.shape)
    losses = [(h[:, :end] @ D[:end] + c - torch.tensor(X)).square().sum(1) / 2 for end in ends]
    total = torch.tensor(weights) @ (sum(losses) / len(ends))
    if activation == "relu":
        total = total + ALPHA * torch.tensor(weights) @ h.sum(1)
    total.backward()
    for found, part in zip(network.parts(grad), parts):
        np.testing.assert_allclose(found, part.grad.numpy(), atol=1e-12)
