"""Kernels beside plain numpy, in both precisions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, softmax

from skae._kernels import activations, losses, updates
from skae._kernels import tangents as kernels
from skae._kernels.contraction import (
    add_scaled_rows,
    differentiate_contraction,
    differentiate_curvature,
    squared_row_norms,
)
from skae._kernels.tangents import gather, gather_sum, squares
from skae.nn.losses import Bernoulli, Multinomial
from skae.training import SGD, Adam

DTYPES = [np.float32, np.float64]
KINDS = {
    "sigmoid": (activations.SIGMOID, expit),
    "tanh": (activations.TANH, np.tanh),
    "relu": (activations.RELU, lambda a: np.maximum(a, 0)),
    "softplus": (activations.SOFTPLUS, lambda a: np.logaddexp(0, a)),
    "identity": (activations.IDENTITY, lambda a: a),
}
NONE = np.empty((0, 0))


def _close(actual, expected, units=8):
    eps = np.finfo(actual.dtype).eps
    np.testing.assert_allclose(actual, expected, rtol=units * eps, atol=units * eps)


def _arrays(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_activations_over_their_whole_range(name, dtype):
    a = np.concatenate([np.linspace(-120, 120, 20001), [-1e30, -1e-30, 0, 1e-30, 1e30]]).astype(
        dtype
    )
    out, bias = np.tile(a, (2, 1)), np.zeros(a.size, dtype)
    getattr(activations, name)(out, bias, 0, a.size)
    _close(out[1], KINDS[name][1](a.astype(np.float64)).astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_backpropagate(name, dtype):
    kind, function = KINDS[name]
    a, delta, push = _arrays(dtype, (7, 5), (7, 5), (7, 5))
    a64 = a.astype(np.float64)
    derivative = (function(a64 + 1e-6) - function(a64 - 1e-6)) / 2e-6
    for extra in (push, push[:0]):
        out, sums = delta.copy(), np.empty(5, dtype)
        activations.backpropagate(kind, function(a64).astype(dtype), out, extra, sums, 0, 5)
        expected = delta * derivative + (push if len(extra) else 0)
        np.testing.assert_allclose(out, expected, atol=1e-5 if dtype == np.float32 else 1e-8)
        np.testing.assert_allclose(sums, out.sum(axis=0), atol=1e-5)


def _subnormal(values):
    return (values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
def test_saturated_units_leave_no_subnormal_numbers(name, dtype):
    """Such codes and gradients made products with them up to a hundred times slower."""
    a = np.linspace(-800, 800, 16001).astype(dtype)[np.newaxis]
    bias, gradients, sums = np.zeros(a.size, dtype), np.full_like(a, 1e-7), np.zeros(a.size, dtype)
    getattr(activations, name)(a, bias, 0, a.size)
    activations.backpropagate(KINDS[name][0], a, gradients, a[:0], sums, 0, a.size)
    for values in (a, gradients):
        assert (values == 0).any() and not _subnormal(values).any()
    missing = np.array([[np.nan]], dtype)
    getattr(activations, name)(missing, bias, 0, 1)
    assert np.isnan(missing).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["bernoulli", "multinomial"])
def test_losses_of_certain_outputs_leave_no_subnormal_numbers(name, dtype):
    logits = np.linspace(-800, 0, 801).astype(dtype)[np.newaxis]
    target = np.zeros_like(logits)
    target[0, -1] = 1
    where = (np.array([[0, 801]]),) if name == "bernoulli" else (np.arange(801), np.array([0, 801]))
    weights, none = np.full(1, 1e-4, dtype), NONE.astype(dtype)
    getattr(losses, name)(logits, target, *where, weights, none, np.zeros(1, dtype))
    assert (logits[0, :-1] == 0).any() and not _subnormal(logits).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("unit", "expected"), [(Bernoulli, expit), (Multinomial, softmax)])
def test_means_of_certain_outputs_are_no_subnormal_numbers(unit, expected, dtype):
    """Products of such reconstructions, as in chains, took 25 times longer."""
    logits = np.linspace(-800, 800, 16001).astype(dtype)[np.newaxis]
    means = logits.copy()
    unit(np.arange(16001)).activate(means)
    assert (means == 0).any() and not _subnormal(means).any()
    assert_allclose(means, expected(logits), rtol=2e-4, atol=2e-31)


@pytest.mark.parametrize("emphasized", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_losses(dtype, emphasized):
    logits, noise, cells = _arrays(dtype, (6, 9), (6, 9), (6, 9))
    logits *= 10
    cells = np.abs(cells) if emphasized else NONE.astype(dtype)
    weights = np.linspace(0.1, 1, 6).astype(dtype)
    target = np.abs(noise) / np.abs(noise).max()
    a, x = logits.astype(np.float64), target.astype(np.float64)
    w = cells.astype(np.float64) if emphasized else 1.0
    log_means = log_softmax(a, axis=1)
    mass = np.sum(w * x, axis=1, keepdims=True)
    columns, indices = np.array([[0, 4], [4, 9]]), np.arange(9)
    expected = {
        "gaussian": (0.5 * (a - x) ** 2 * w, (a - x) * w),
        "bernoulli": ((np.logaddexp(0, a) - x * a) * w, (expit(a) - x) * w),
        "multinomial": (-w * x * log_means, mass * np.exp(log_means) - w * x),
    }
    for name, (values, pulls) in expected.items():
        out, totals = logits.copy(), np.ones(6, dtype)
        where = (indices, np.array([0, 9])) if name == "multinomial" else (columns,)
        getattr(losses, name)(out, target, *where, weights, cells, totals)
        _close(totals, 1 + values.sum(axis=1), 32)
        _close(out, weights[:, np.newaxis] * pulls, 32)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adam(dtype):
    params, grad, first, second = _arrays(dtype, 50, 50, 50, 50)
    second = np.abs(second)
    m = 0.9 * first + 0.1 * grad
    v = 0.99 * second + 0.01 * grad**2
    expected = params - 0.1 * m / (np.sqrt(v) + 1e-3)
    number = dtype
    updates.adam(params, grad, first, second, number(0.1), number(0.9), number(0.99), number(1e-3))
    for actual, wanted in ((params, expected), (first, m), (second, v)):
        _close(actual, wanted, 32)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_momentum(dtype, nesterov):
    params, grad, velocity = _arrays(dtype, 50, 50, 50)
    v = 0.9 * velocity - 0.1 * grad
    expected = params + (0.9 * v - 0.1 * grad if nesterov else v)
    updates.momentum(params, grad, velocity, dtype(0.1), dtype(0.9), nesterov)
    _close(params, expected, 32)
    _close(velocity, v, 32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", ["adam", "momentum", "nesterov"])
def test_steps_leave_no_subnormal_numbers(kernel, dtype):
    limits = np.finfo(dtype)
    sizes = np.geomspace(1, float(limits.smallest_subnormal), 400).astype(dtype)
    params, state, grad = sizes.copy(), [sizes.copy()], np.zeros_like(sizes)
    if kernel == "adam":
        state.append(sizes.copy())
        updates.adam(params, grad, *state, *map(dtype, (0, 0.9, 0.9, 1)))
    else:
        updates.momentum(params, grad, *state, dtype(0.1), dtype(0.9), kernel == "nesterov")
    factors = {"adam": (1, 0.9, 0.9), "momentum": (1.9, 0.9), "nesterov": (1.81, 0.9)}
    for array, factor in zip((params, *state), factors[kernel]):
        kept = factor * sizes.astype(np.longdouble)
        kept[kept < limits.tiny / limits.eps] = 0
        assert (kept > 0).any() and (kept == 0).any()
        assert_allclose(array, kept, rtol=8 * limits.eps, atol=0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("solver", [Adam(), SGD()], ids=["adam", "sgd"])
def test_steps_keep_nan(solver, dtype):
    params = np.ones(3, dtype)
    solver.step(params, np.array([np.nan, 0, 1], dtype), solver.start(params), 0.1)
    assert_array_equal(np.isnan(params), [True, False, False])


@pytest.mark.parametrize("dtype", DTYPES)
def test_contraction_kernels(dtype):
    a, shift, weights = _arrays(dtype, (6, 5), (6, 5), (5, 8))
    h, other = expit(a), expit(a + shift)
    shares = np.linspace(0.1, 1, 6).astype(dtype)
    norms = np.empty(5, dtype)
    squared_row_norms(weights, norms)
    _close(norms, np.sum(weights.astype(np.float64) ** 2, axis=1), 16)
    d, e = h * (1 - h), other * (1 - other)
    push, scales = np.empty_like(h), np.empty(5, dtype)
    for units in ((0, 2), (2, 5)):
        differentiate_contraction(activations.SIGMOID, h, norms, shares, push, scales, *units)
    v = 2 * shares[:, np.newaxis]
    _close(push, v * d * d * (1 - 2 * h) * norms, 32)
    _close(scales, (v * d * d).sum(axis=0), 32)
    push, far, scales = np.zeros_like(h), np.zeros_like(h), np.zeros(5, dtype)
    differentiate_curvature(activations.SIGMOID, h, other, norms, shares, push, far, scales, 0, 5)
    _close(push, v * (d - e) * norms * d * (1 - 2 * h), 32)
    _close(far, -v * (d - e) * norms * e * (1 - 2 * other), 32)
    _close(scales, (v * (d - e) ** 2).sum(axis=0), 32)
    grad = np.ones_like(weights)
    add_scaled_rows(scales, weights, grad)
    _close(grad, 1 + scales[:, np.newaxis] * weights, 32)


@pytest.mark.parametrize("shared", [False, True], ids=["own", "shared"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tangent_kernels(dtype, shared):
    first, second, pull = _arrays(dtype, (4, 5), (4, 5), (4, 3, 5))
    tangents = _arrays(dtype, (1 if shared else 4, 3, 5))[0]
    out, delta, below = np.empty((12, 5), dtype), np.zeros_like(first), pull.copy()
    where = kernels.RowRange(np.arange(4), np.arange(0, 13, 3), 0, 4)
    rows = tangents.reshape(-1, 5)
    kernels.scale_rows(first, rows, out, where)
    _close(out.reshape(4, 3, 5), first[:, np.newaxis] * tangents)
    flat = below.reshape(12, 5)
    kernels.scale_rows_backward(first, second, rows, flat, delta, where)
    _close(below, first[:, np.newaxis] * pull)
    _close(delta, second * (tangents * pull).sum(axis=1), 32)
    shares, out = np.linspace(0.1, 1, 4).astype(dtype), np.empty_like(pull)
    value = squares(pull, shares, out)
    expected = np.sum(shares[:, np.newaxis, np.newaxis] * pull.astype(np.float64) ** 2)
    assert value == pytest.approx(expected, rel=1e-5)
    _close(out, 2 * shares[:, np.newaxis, np.newaxis] * pull, 16)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_tangents", [1, 3, 4, 6])
def test_rows_of_some_samples(dtype, n_tangents):
    samples, starts = np.array([5, 0, 3]), np.array([0, 2, 2, 7])
    owners, n_rows = np.repeat([0, 1, 2], np.diff(starts)), 7
    slopes, bends, push = _arrays(dtype, (6, 11), (6, 11), (6, 11))
    rows, pull, coefficients = _arrays(dtype, (n_rows, 11), (n_rows, 11), (n_rows, n_tangents))
    tangents = _arrays(dtype, (3 * n_tangents, 11))[0]
    own = tangents.reshape(3, n_tangents, 11)[owners]
    slope, bend = slopes[samples[owners]], bends[samples[owners]]
    parts = [kernels.RowRange(samples, starts, *part) for part in ((0, 1), (1, 3))]
    out, inner = np.empty_like(rows), np.empty_like(coefficients)

    def pushed(terms):
        total = push.copy()
        np.add.at(total, samples[owners], terms)
        return total

    for part in parts:
        kernels.scale_rows(slopes, rows, out, part)
    _close(out, slope * rows)

    below, total = pull.copy(), push.copy()
    for part in parts:
        kernels.scale_rows_backward(slopes, bends, rows, below, total, part)
    _close(below, slope * pull)
    _close(total, pushed(bend * rows * pull), 64)

    for part in parts:
        kernels.inner_products(tangents, rows, inner, part)
    _close(inner, np.einsum("rj,rkj->rk", rows, own), 256)

    combined = np.einsum("rk,rkj->rj", coefficients, own)
    for part in parts:
        kernels.combine(coefficients, tangents, out, part)
    _close(out, combined, 256)

    total, scaled = push.copy(), rows.copy()
    for part in parts:
        kernels.combine_backward(slopes, bends, coefficients, tangents, scaled, out, total, part)
    _close(out, slope * combined, 256)
    _close(scaled, slope * rows)
    _close(total, pushed(bend * rows * combined), 256)


def test_halves_are_unpacked_from_all_their_bits():
    bits = np.arange(2**16, dtype=np.uint16)
    halves = bits.view(np.float16)
    finite = np.isfinite(halves)
    out = np.empty((1, 1, finite.sum()), np.float32)
    gather(bits[finite][np.newaxis, np.newaxis], np.zeros(1, np.intp), out, 0, 1)
    expected = halves[finite].astype(np.float32)
    assert np.array_equal(out[0, 0].view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize(
    "stored", [np.float16, np.float32, pytest.param(np.float64, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_vectors_are_gathered(dtype, stored):
    (vectors,) = _arrays(stored, (9, 3, 5))
    places, signs = np.array([4, 0, 8, 4]), np.sign(_arrays(dtype, (4, 3))[0])
    expected = vectors[places].astype(dtype)
    basis = vectors.view(np.uint16) if stored == np.float16 else vectors
    out, total = np.zeros((4, 3, 5), dtype), np.zeros((4, 5), dtype)
    for start, stop in ((0, 1), (1, 4)):
        gather(basis, places, out, start, stop)
        gather_sum(basis, places, signs, total, start, stop)
    assert np.array_equal(out, expected)
    _close(total, np.einsum("ik,ikj->ij", signs, expected))
