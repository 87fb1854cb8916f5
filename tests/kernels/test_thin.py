"""Products of few rows or few terms, compared with numpy's in float64."""

from itertools import product

import numpy as np
import pytest

from skae._kernels.thin import LANES, N_ROWS, N_VECTORS, add_sums, products, row_products

# Rows, columns and terms, of which some fill tiles and some do not.
SHAPES = [
    (1, 1, 1),
    (N_ROWS, N_VECTORS * LANES, LANES),
    (N_ROWS + 1, 2 * N_VECTORS * LANES + 3 * LANES, 2 * LANES + 1),
    (2 * N_ROWS - 1, N_VECTORS * LANES + 5, 3000),
    (N_ROWS, 0, 3),
    (3, 70, 0),
]


def _framed(shape, seed=0):
    """Return an array of random numbers within a larger one, in which a kernel would find NaN beyond it."""
    rng = np.random.default_rng(seed)
    frame = np.full((shape[0] + 2, shape[1] + 2), np.nan, np.float32)
    frame[1:-1, 1:-1] = rng.standard_normal(shape)
    return frame, frame[1:-1, 1:-1]


def _check(frame, out, expected):
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=2e-4)
    assert np.isnan(frame).sum() == frame.size - out.size


@pytest.mark.parametrize("multiply", [products, row_products])
@pytest.mark.parametrize("shape", SHAPES)
def test_products(shape, multiply):
    n_rows, n_columns, n_terms = shape
    of_rows = multiply is row_products
    b_shape = (n_columns, n_terms) if of_rows else (n_terms, n_columns)
    (_, a), (_, b) = _framed((n_rows, n_terms)), _framed(b_shape, 1)
    frame, out = _framed((n_rows, n_columns), 2)
    multiply(a, b, out)
    _check(frame, out, a.astype(float) @ (b.T if of_rows else b))


# A kernel for each shape that is also contiguous, and all kernels of the others.
@pytest.mark.parametrize(
    ("shape", "scale", "own"),
    [
        (SHAPES[0], np.float32(-0.5), False),
        *product(SHAPES[1:4], [None, np.float32(-0.5)], [True, False]),
        (SHAPES[4], None, True),
        (SHAPES[5], np.float32(-0.5), True),
    ],
)
def test_sums(shape, scale, own):
    n_rows, n_columns, n_terms = shape
    (_, a), (_, b) = _framed((n_terms, n_rows)), _framed((n_terms, n_columns), 1)
    frame, out = _framed((n_rows, n_columns), 2)
    weights = None if own else _framed((n_rows, n_columns), 3)[1]
    factors = np.linspace(-1, 1, n_rows, dtype=np.float32)
    expected = a.astype(float).T @ b + factors[:, np.newaxis] * (out if own else weights)
    if scale is not None:
        expected = out + scale * expected
    add_sums(a.T, b, factors, weights, scale, out)
    _check(frame, out, expected)


@pytest.mark.parametrize("scale", [None, np.float32(2)])
def test_sums_of_products_alone(scale):
    (_, a), (_, b) = _framed((7, 3)), _framed((3, 90), 1)
    frame, out = _framed((7, 90), 2)
    expected = a.astype(float) @ b if scale is None else out + 2 * a.astype(float) @ b
    add_sums(a, b, None, None, scale, out)
    _check(frame, out, expected)


def test_values_that_are_not_finite_stay():
    a, b, out = (np.ones(shape, np.float32) for shape in ((6, 2), (2, 70), (6, 70)))
    b[0, 3], b[1, 66] = np.nan, np.inf
    add_sums(a, b, None, None, None, out)
    np.testing.assert_array_equal(out, a @ b)


def test_tiny_numbers_become_0():
    ones, out = np.ones((6, 1), np.float32), np.ones((6, 70), np.float32)
    b = np.full((1, 70), 1e-33, np.float32)
    b[0, 1] = -1e-30
    add_sums(ones, b, None, None, None, out)
    np.testing.assert_array_equal(out, np.where(b < -1e-31, b, 0) * ones)
