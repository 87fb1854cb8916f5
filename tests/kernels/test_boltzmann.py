"""Draws of units have the probabilities that numpy computes, and sums are numpy's."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from skae._kernels import boltzmann as kernels
from skae._kernels.parzen import add_exponentials
from skae.nn.noise import fresh_keys

rng = np.random.default_rng(0)
N, WIDTH = 60_000, 5
LOGITS = np.array([-30.0, -1.5, 0.0, 2.0, 30.0])
# Four standard errors of a share.
TOLERANCE = 4 * 0.5 / np.sqrt(N)


def rows_of(values, dtype):
    return np.repeat(np.array(values, dtype)[np.newaxis], N, axis=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bernoulli_draws(dtype):
    means, out = rows_of([0.0, 0.2, 0.5, 0.9, 1.0], dtype), np.empty((N, WIDTH), dtype)
    kernels.draw_bernoulli(means, *fresh_keys(out, rng), out)
    assert set(np.unique(out)) == {0, 1}
    np.testing.assert_allclose(out.mean(axis=0), means[0], atol=TOLERANCE)
    assert out[:, 0].max() == 0 and out[:, 4].min() == 1
    assert np.abs(np.corrcoef(out[:, 1:4].T) - np.eye(3)).max() < 4 / np.sqrt(N)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bernoulli_units(dtype):
    bias = np.array([0, 1, -1, 0, 0], dtype)
    a = rows_of(LOGITS, dtype)
    a[:, 0] = 7
    kernels.bernoulli_units(a, bias, *fresh_keys(a, rng), 1, WIDTH)
    assert (a[:, 0] == 7).all()  # not one of the units
    np.testing.assert_allclose(a[:, 1:].mean(axis=0), expit(LOGITS + bias)[1:], atol=TOLERANCE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaussian_units(dtype):
    a = rows_of([-2, 0, 1, 3, 5], dtype)
    kernels.gaussian_units(a, np.array([[0, 2], [3, 5]]), *fresh_keys(a, rng))
    assert (a[:, 2] == 1).all()
    np.testing.assert_allclose(a.mean(axis=0), [-2, 0, 1, 3, 5], atol=4 / np.sqrt(N))
    np.testing.assert_allclose(np.cov(a.T), np.diag([1, 1, 0, 1, 1]), atol=0.03)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_multinomial_units(dtype):
    logits = np.array([0.5, 9.0, -1.0, 2.0, 500.0])
    a, columns = rows_of(logits, dtype), np.array([3, 0, 2])
    kernels.multinomial_units(a, columns, *fresh_keys(a, rng))
    np.testing.assert_array_equal(a[:, columns].sum(axis=1), 1)
    expected = softmax(logits[columns])
    np.testing.assert_allclose(a[:, columns].mean(axis=0), expected, atol=TOLERANCE)
    assert (a[:, 1] == 9).all() and (a[:, 4] == 500).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_weigh(dtype):
    coefficients, a = rng.standard_normal(7).astype(dtype), rng.random((7, WIDTH)).astype(dtype)
    sums, expected = np.zeros(WIDTH, dtype), coefficients[:, np.newaxis] * a
    kernels.weigh(coefficients, a, sums, 1, 4)
    np.testing.assert_allclose(a[:, 1:4], expected[:, 1:4], rtol=1e-6)
    np.testing.assert_allclose(sums, [0, *expected[:, 1:4].sum(axis=0), 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sums_of_exponentials(dtype):
    exponents = (-10 * rng.random((4, 9))).astype(dtype)
    tops, precisions = exponents.max(axis=1), np.array([0.3, 4.0], dtype)
    totals = np.ones((2, 4))
    add_exponentials(exponents, tops, precisions, totals)
    differences = (exponents - tops[:, np.newaxis]).astype(float)
    expected = [1 + np.exp(p * differences).sum(axis=1) for p in precisions]
    np.testing.assert_allclose(totals, expected, rtol=1e-6 if dtype == np.float32 else 1e-13)
