"""Products in bfloat16, compared with those of rounded factors in double precision."""

import numpy as np
import pytest
from numba import config, njit

from skae._kernels import bfloat16

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="these instructions need numba")
RNG = np.random.default_rng(0)
LAYOUTS = "C", "F", "part", "part of F", "strided", "repeated"


def rounded(x):
    """Return the nearest numbers with 8 bits, of two that are as near the even one, in double precision."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    return np.ldexp(np.rint(mantissa * 2**8), exponent - 8)


def matrix(n_rows, n_columns, layout):
    """Return random numbers."""
    x = RNG.standard_normal((2 * n_rows, 2 * n_columns)).astype(np.float32)
    if layout == "part":
        return x[1 : n_rows + 1, n_columns // 2 : n_columns // 2 + n_columns]
    if layout == "part of F":
        return np.asfortranarray(x)[1 : n_rows + 1, n_columns // 2 : n_columns // 2 + n_columns]
    if layout == "strided":
        return x[::-2, ::2]
    if layout == "repeated":
        return np.broadcast_to(x[0, :n_columns], (n_rows, n_columns))
    return np.array(x[:n_rows, :n_columns], order=layout)


def check(shape, layouts, products=bfloat16.products):
    """Compare the product of an m x k and a k x n matrix."""
    m, k, n = shape
    a, b = matrix(m, k, layouts[0]), matrix(k, n, layouts[1])
    out = np.full((m, n), np.nan, np.float32)
    if layouts[2] != "C":
        out = matrix(m, n, layouts[2])
    surrounding = out.base.copy() if layouts[2] == "part" else None
    products(a, b, out)
    bound = 1e-6 * (np.abs(a).astype(float) @ np.abs(b))
    assert (np.abs(out - rounded(a) @ rounded(b)) <= bound).all()
    if surrounding is not None:
        changed = out.base != surrounding
        assert changed.sum() <= m * n


@pytest.mark.parametrize("shape", [(1, 1, 1), (9, 31, 49), (16, 32, 96), (70, 3, 100), (8, 50, 1)])
@pytest.mark.parametrize("a", LAYOUTS)
@pytest.mark.parametrize("b", LAYOUTS)
def test_products_of_any_strides(shape, a, b):
    if not bfloat16.has_products():
        pytest.skip("the processor has no AVX512-BF16")
    for out in ("C", "F", "part", "strided"):
        check(shape, (a, b, out))


@pytest.mark.parametrize("layouts", [("C", "F", "C"), ("F", "C", "part")])
@pytest.mark.parametrize("size", [64, 900])
def test_factors_larger_than_the_cache(size, layouts):
    """A row's products are the same bits in any batch, though its panel is multiplied in another order."""
    if not bfloat16.has_products():
        pytest.skip("the processor has no AVX512-BF16")
    check((700, size, 1500), layouts)
    a, b = matrix(700, size, layouts[0]), matrix(size, 1500, layouts[1])
    out, part = np.empty((700, 1500), np.float32), np.empty((50, 1500), np.float32)
    bfloat16.products(a, b, out)
    bfloat16.products(a[600:650], b, part)
    np.testing.assert_array_equal(part, out[600:650])


@pytest.mark.parametrize("layouts", [("C", "F", "C"), ("F", "C", "part")])
def test_the_same_on_other_processors(layouts, monkeypatch):
    monkeypatch.setattr(bfloat16, "has_products", lambda: False)
    compiled = njit(bfloat16._multiply.py_func)
    monkeypatch.setattr(bfloat16, "_multiply", compiled)
    for shape in ((9, 31, 49), (16, 32, 96)):
        check(shape, layouts)


def test_sums_of_nothing():
    out = np.ones((3, 4), np.float32)
    bfloat16.products(np.ones((3, 0), np.float32), np.ones((0, 4), np.float32), out)
    assert not out.any()
    bfloat16.products(np.ones((0, 3), np.float32), np.ones((3, 4), np.float32), out[:0])
    bfloat16.products(np.ones((3, 3), np.float32), np.ones((3, 0), np.float32), out[:, :0])


def test_numbers_are_rounded_to_even_and_stay_infinite_or_nan():
    numbers = [1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8 - 2**-23, 3.4e38, np.inf, -np.inf, np.nan, 0]
    expected = [1, 1 + 2**-6, -1 - 2**-7, np.inf, np.inf, -np.inf, np.nan, 0]
    x = np.array([numbers], np.float32)
    bits = x.view(np.uint32)
    one = np.ones((1, 1), np.float32)
    # NaNs whose bits would become those of infinity, or of 0, if they were rounded as numbers.
    odd = np.array([[0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF]], np.uint32)
    x = np.concatenate((bits, odd), axis=1).view(np.float32)
    expected = [*expected, *[np.nan] * 4]
    for a, b in ((one, x), (x.T, one)):
        for each in (b, np.asfortranarray(b)):
            out = np.empty((len(a), b.shape[1]), np.float32)
            bfloat16.products(a, each, out)
            np.testing.assert_array_equal(out.ravel(), expected)


def test_rows_do_not_depend_on_others():
    a, b = matrix(20, 37, "C"), matrix(37, 60, "F")
    whole, part = np.empty((20, 60), np.float32), np.empty((3, 11), np.float32)
    bfloat16.products(a, b, whole)
    bfloat16.products(a[5:8], b[:, 40:51], part)
    np.testing.assert_array_equal(part, whole[5:8, 40:51])
