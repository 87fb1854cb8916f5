"""Codes that are found by products of integers, compared with those of numpy's products."""

import numpy as np
import pytest

from skae import SparseAutoEncoder
from skae.nn import screening as module
from skae.nn.activations import ACTIVATIONS
from skae.nn.layer import DenseLayer
from skae.nn.screening import screening
from skae.nn.sparse_units import Above, TopK

N_SAMPLES, N_FEATURES, N_INPUTS, K = 1100, 1033, 37, 9


@pytest.fixture(autouse=True)
def any_processor(monkeypatch):
    """Products of integers are slower without AVX-512, but right."""
    monkeypatch.setattr(module, "has_pair_products", lambda: True)


def _layer(dtype, activation, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((N_FEATURES, N_INPUTS)) * rng.exponential(size=(N_FEATURES, 1))
    return DenseLayer(
        weights.astype(dtype), rng.standard_normal(N_FEATURES).astype(dtype), activation
    )


def _inputs(dtype):
    """Return rows of several sizes, one of zeros and one with a spike."""
    rng = np.random.default_rng(1)
    X = rng.standard_normal((N_SAMPLES, N_INPUTS)) * rng.exponential(size=(N_SAMPLES, 1)) ** 3
    X[3], X[5, 2] = 0, 1e4
    return X.astype(dtype)


def _top_k(a, k):
    """Return the k largest positive entries of each row; of equal ones, the first."""
    places = np.argsort(-a, axis=1, kind="stable")[:, :k]
    out = np.zeros_like(a)
    np.put_along_axis(out, places, np.maximum(np.take_along_axis(a, places, axis=1), 0), axis=1)
    return out


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_top_k(dtype):
    layer, X = _layer(dtype, TopK(K)), _inputs(dtype)
    codes = screening(layer, N_SAMPLES).codes(X).matrix(N_FEATURES).toarray()
    a = X.astype(float) @ layer.weights.astype(float).T + layer.bias
    _assert_same(codes, _top_k(a, K), a, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_above_limits(dtype):
    layer, X = _layer(dtype, None), _inputs(dtype)
    X /= np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-9)
    a = X.astype(float) @ layer.weights.astype(float).T + layer.bias
    layer.activation = Above(np.quantile(a, 0.98, axis=0).astype(dtype))
    codes = screening(layer, N_SAMPLES).codes(X).matrix(N_FEATURES).toarray()
    expected = np.where(a > layer.activation.limits, a, 0)
    _assert_same(codes, expected, a, dtype)


def _assert_same(codes, expected, a, dtype):
    """Check values, and places wherever no rounding error decides."""
    scale = np.abs(a).max(axis=1, keepdims=True)
    different = (codes != 0) != (expected != 0)
    assert different.mean() < (1e-5 if dtype == np.float32 else 1e-9)
    error = np.abs(codes - expected) / scale
    assert error[~different].max() < 100 * np.finfo(dtype).eps


def test_equal_features_are_kept_in_order():
    layer, X = _layer(np.float32, TopK(3)), _inputs(np.float32)[:50]
    layer.weights[1:] = layer.weights[0]
    layer.bias[:] = 1e5
    codes = screening(layer, N_SAMPLES)
    assert codes.codes(X) is None  # all of them would have to be computed
    layer.bias[20:] = 0
    found = screening(layer, N_SAMPLES).codes(X).matrix(N_FEATURES)
    np.testing.assert_array_equal(found.indices.reshape(50, 3), np.tile(np.arange(3), (50, 1)))


def test_features_that_differ_less_than_their_integers():
    rng = np.random.default_rng(2)
    layer, X = _layer(np.float64, TopK(1)), np.abs(rng.standard_normal((N_SAMPLES, N_INPUTS)))
    layer.bias[:] = 0
    layer.weights[:] = -1
    layer.weights[:100] = 1 + 1e-5 * rng.standard_normal((100, N_INPUTS))
    found = screening(layer, N_SAMPLES).codes(X).matrix(N_FEATURES)
    np.testing.assert_array_equal(found.indices, (X @ layer.weights.T).argmax(axis=1))


def test_rows_with_few_positive_entries():
    layer, X = _layer(np.float32, TopK(K)), _inputs(np.float32)
    layer.bias[:] = -1e6
    layer.bias[[4, 700]] = 1e6
    found = screening(layer, N_SAMPLES).codes(X).matrix(N_FEATURES)
    np.testing.assert_array_equal(found.indices.reshape(-1, 2), np.tile([4, 700], (N_SAMPLES, 1)))


def test_where_it_is_not_used():
    layer = _layer(np.float32, TopK(K))
    assert screening(layer, 1000) is None
    layer.weights[...] = 0
    assert screening(layer, N_SAMPLES) is None
    narrow = DenseLayer(np.ones((9, 4), np.float32), np.ones(9, np.float32), ACTIVATIONS["relu"])
    assert screening(narrow, N_SAMPLES) is None


@pytest.mark.parametrize("activation", ["topk", "batch_topk", "jumprelu"])
def test_transform_of_many_rows_as_of_few(activation):
    X = np.random.default_rng(0).standard_normal((N_SAMPLES, 16), dtype=np.float32)
    options = {"k": K} if "top" in activation else {"alpha": 0.1}
    model = SparseAutoEncoder(
        N_FEATURES, activation=activation, max_iter=1, random_state=0, **options
    )
    with pytest.warns(match="max_iter"):
        model.fit(X)
    many = model.transform(X).toarray()
    few = np.vstack([model.transform(part).toarray() for part in np.array_split(X, 4)])
    assert ((many != 0) == (few != 0)).mean() > 0.9999
    np.testing.assert_allclose(many, few, atol=1e-4)
