"""Group sparsity against plain numpy, quadratic programs and closed forms."""

from functools import cache

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_digits

from skae import SparseCoder
from skae._kernels.groups import group_bounds, group_norms, shrink_groups
from skae.sparse._groups import GroupLasso, group_members
from skae.sparse._inference import infer_codes
from skae.sparse._problems import Lasso

OVERLAPPING = [[0, 1, 2], [2, 3, 4], [4, 5, 0], [6], [6, 7]]
DISJOINT = [[0, 1, 2], [3, 4], [5, 6, 7]]


def _size(h, groups):
    return sum(np.linalg.norm(h[..., group], axis=-1) for group in groups)


def _arrays():
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((8, 10))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    return rng.standard_normal((20, 10)), atoms


def _optimum(x, atoms, groups, alpha, ridge=0.0, positive=False):
    """The least objective over codes that are sums of z_g, as a smooth problem in a second-order cone's bound."""
    low, n = 1e-9, len(atoms)
    bounds = [(0, None)] * n if positive else None

    def value(h):
        roots = [np.sqrt(np.sum(h[g] ** 2) + low**2) for g in groups]
        slope = -(x - h @ atoms) @ atoms.T + ridge * h
        for g, root in zip(groups, roots):
            slope[g] += alpha * h[g] / root
        error = x - h @ atoms
        return 0.5 * error @ error + alpha * sum(roots) + 0.5 * ridge * h @ h, slope

    found = [
        minimize(value, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 5000, "maxfun": 20_000, "ftol": 1e-15, "gtol": 1e-10}).fun
        for start in (np.full(n, 0.1), np.full(n, 1e-3))
    ]  # fmt: skip
    return min(found)


@cache
def _optima(disjoint, positive):
    """Return the optimum of each of ``_arrays`` for the penalty of ``test_codes_are_optimal_and_certified``."""
    X, atoms = _arrays()
    groups = DISJOINT if disjoint else OVERLAPPING
    return [_optimum(x, atoms, groups, 0.3, 0.1, positive) for x in X]


def _objective(X, h, atoms, groups, alpha, ridge=0.0):
    errors = X - h @ atoms
    return (
        0.5 * np.sum(errors**2, axis=1)
        + alpha * _size(h, groups)
        + 0.5 * ridge * np.sum(h**2, axis=1)
    )


@pytest.mark.slow
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("groups", [DISJOINT, OVERLAPPING], ids=["disjoint", "overlapping"])
def test_shrinking_is_the_proximal_step(groups, positive):
    rng = np.random.default_rng(0)
    points = rng.standard_normal((30, 8))
    starts, members = group_members(groups, 8)
    out, duals = np.empty_like(points), np.zeros((30, members.size))
    shrink_groups(points, np.full(30, 0.8), 0.5, positive, 1e-14, starts, members, duals, out)
    expected = [_optimum(point, np.eye(8), groups, 0.4, positive=positive) for point in points]
    values = _objective(points, out, np.eye(8), groups, 0.4)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
    assert (out == 0).any()
    assert (out >= 0).all() or not positive


def test_disjoint_groups_shrink_in_closed_form():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((30, 8))
    starts, members = group_members(DISJOINT, 8)
    out, duals = np.empty_like(points), np.zeros((30, members.size))
    shrink_groups(points, np.ones(30), 0.7, False, 0.0, starts, members, duals, out)
    expected = points.copy()
    for group in DISJOINT:
        norms = np.linalg.norm(points[:, group], axis=1, keepdims=True)
        expected[:, group] *= np.maximum(1 - 0.7 / norms, 0)
    np.testing.assert_allclose(out, expected, atol=1e-14)


@pytest.mark.parametrize("groups", [DISJOINT, OVERLAPPING], ids=["disjoint", "overlapping"])
def test_norms_and_their_bounds(groups):
    rng = np.random.default_rng(0)
    codes, pulls = rng.standard_normal((2, 30, 8))
    starts, members = group_members(groups, 8)
    sizes, bounds = np.empty(30), np.empty(30)
    group_norms(codes, starts, members, sizes)
    np.testing.assert_allclose(sizes, _size(codes, groups))
    counts = np.bincount(members).astype(float)
    duals = np.zeros((30, members.size))
    group_bounds(pulls, np.full(30, 0.5), False, 1e-12, starts, members, counts, duals, bounds)
    assert (np.sum(codes * pulls, axis=1) <= bounds * sizes + 1e-12).all()
    if groups is DISJOINT:
        expected = np.max([np.linalg.norm(pulls[:, g], axis=1) for g in groups], axis=0)
        np.testing.assert_allclose(bounds, expected)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["auto", "fista", "ista"])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("groups", [DISJOINT, OVERLAPPING], ids=["disjoint", "overlapping"])
def test_codes_are_optimal_and_certified(groups, positive, algorithm):
    X, atoms = _arrays()
    problem = GroupLasso(atoms, 0.3, group_members(groups, 8), ridge=0.1, positive=positive)
    expected = _optima(groups is DISJOINT, positive)
    for tol, max_iter in ((1e-8, 100_000), (1e-4, 7)):
        codes, gaps = infer_codes(X, problem, algorithm=algorithm, tol=tol, max_iter=max_iter)
        excess = _objective(X, codes, atoms, groups, 0.3, 0.1) - expected
        assert (excess <= gaps + 1e-7).all()
        if tol == 1e-8:
            assert excess.max() < 1e-6
            assert (gaps <= 0.5e-8 * np.sum(X**2, axis=1)).all()


def test_groups_of_one_are_the_lasso():
    X, atoms = _arrays()
    single = GroupLasso(atoms, 0.3, group_members([[j] for j in range(8)], 8))
    codes, _ = infer_codes(X, single, tol=1e-12, max_iter=100_000)
    expected, _ = infer_codes(X, Lasso(atoms, 0.3), tol=1e-12)
    np.testing.assert_allclose(codes, expected, atol=1e-5)


def test_the_bound_of_a_row_of_zeros_is_0():
    X, atoms = _arrays()
    X[1] = 0
    problem = GroupLasso(atoms, 0.0, group_members([[0, 1, 2], [3, 4, 5, 6, 7]], 8))
    with np.errstate(all="raise"):
        codes, gaps = infer_codes(X, problem, tol=1e-8, max_iter=1000)
    assert gaps[1] == 0 and not codes[1].any() and np.isfinite(gaps).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_coder_with_groups(dtype):
    X = (load_digits().data[:500] / 16).astype(dtype)
    groups = [range(g, g + 4) for g in range(0, 28, 2)]
    coder = SparseCoder(30, alpha=0.5, groups=groups, max_iter=3, random_state=0).fit(X)
    codes = coder.transform(X)
    assert codes.dtype == dtype
    assert coder.loss_curve_[-1] < coder.loss_curve_[0]
    zero = np.array([(codes[:, list(group)] == 0).all(axis=1) for group in groups])
    assert 0.1 < zero.mean() < 0.95


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"groups": [[0, 1], [3]]}, "\\[2\\] are in none"),
        ({"groups": [[0, 1, 2, 3, 4]]}, "from 0 to 3"),
        ({"groups": [[-1, 0, 1, 2, 3]]}, "from 0 to 3"),
        ({"groups": [[0, 1], [2, 3]], "algorithm": "homotopy"}, "does not go with groups"),
    ],
    ids=["missing", "beyond", "negative", "algorithm"],
)
def test_bad_groups(parameters, words):
    with pytest.raises(ValueError, match=words):
        SparseCoder(4, max_iter=1, **parameters).fit(load_digits().data)
