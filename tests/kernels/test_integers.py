"""Products of integers, compared with numpy's in 64 bits."""

import numpy as np
import pytest
from numba import njit

from skae._kernels import integers
from skae._kernels.integers import LARGEST_INTEGER, LARGEST_NORM, TILE_ROWS


@pytest.mark.parametrize("has_pairs", [True, False])
@pytest.mark.parametrize("n_inputs", [1, 7, 64])
def test_products_of_integers(has_pairs, n_inputs, monkeypatch):
    if has_pairs and not integers.has_pair_products():
        pytest.skip("the processor has no AVX-512")
    monkeypatch.setattr(integers, "has_pair_products", lambda: has_pairs)
    a, b = _integers(2 * TILE_ROWS, n_inputs, 0), _integers(70, n_inputs, 1)
    pairs = np.zeros((len(a), n_inputs + n_inputs % 2), np.int16)
    pairs[:, :n_inputs] = a
    packed = np.zeros((2, pairs.shape[1] // 2, 64), np.int32)
    integers.pack_rows(b.astype(np.float64), 1.0, packed)
    out = np.empty((len(a), 128), np.int32)
    products = _compiled() if not has_pairs else integers.integer_products
    products(pairs.view(np.int32), packed, out)
    np.testing.assert_array_equal(out[:, :70], a @ b.T)
    assert not out[:, 70:].any()


def _integers(n, n_inputs, seed):
    """Return rows of integers, of which the first have the largest values and products that are allowed."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((n, n_inputs))
    rows[0], rows[1] = 1, -1
    factors = np.minimum(
        (LARGEST_NORM - np.sqrt(n_inputs)) / np.linalg.norm(rows, axis=1),
        LARGEST_INTEGER / np.abs(rows).max(axis=1),
    )
    return np.rint(rows * factors[:, np.newaxis]).astype(np.int64)


def _compiled():
    """Return ``integer_products``, compiled once more."""
    return njit(integers.integer_products.py_func)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_rounding_of_rows(dtype, scale):
    rng = np.random.default_rng(0)
    spike = np.zeros(300)
    spike[7] = -1
    for x in (rng.standard_normal(300), rng.standard_normal(1), np.ones(300), spike):
        x, out = (x * scale).astype(dtype), np.empty(x.size, np.int16)
        step = integers.round_row(x, out)
        assert np.abs(x / step - out).max() <= 0.51
        assert np.linalg.norm(out.astype(float)) <= LARGEST_NORM
        assert np.abs(out.astype(int)).max() <= LARGEST_INTEGER


def test_rounding_of_tiny_rows():
    for x in (np.zeros(5, np.float32), np.full(5, 1e-42, np.float32)):
        out = np.ones(5, np.int16)
        assert integers.round_row(x, out) == x[0]
        assert not out.any()
