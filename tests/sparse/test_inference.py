"""Codes against scikit-learn's coordinate descent, run to the end in float64."""

import numpy as np
import pytest
from scipy.optimize import nnls
from sklearn.decomposition import sparse_encode
from sklearn.linear_model import orthogonal_mp_gram

from skae.sparse._inference import ALGORITHMS, Lasso, lasso_codes, pursuit_codes


def _unit(atoms):
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def _problems():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 12))
    random = _unit(rng.standard_normal((8, 12)))
    shared = _unit(rng.standard_normal((10, 12)) + 3 * rng.standard_normal(12))
    wide = _unit(rng.standard_normal((40, 12)))
    return {
        "random": (X, random, 0.3),
        "correlated": (X, shared, 0.1),
        "duplicated": (X, np.vstack([random, random[:4]]), 0.2),
        "overcomplete": (X, wide, 0.1),
        "unscaled": (X, wide * rng.uniform(0.1, 10, (40, 1)), 0.1),
        "zero atom": (X, np.vstack([random, np.zeros((1, 12))]), 0.3),
        "zero rows": (np.vstack([X, np.zeros((2, 12))]), random, 0.3),
        "one feature": (X[:, :1].copy(), np.array([[1.0], [-0.5]]), 0.1),
        "no penalty": (X, random, 0.0),
        "all penalty": (X, random, 1.1 * np.abs(X @ random.T).max()),
    }


PROBLEMS = _problems()


def _objective(X, atoms, alpha, codes, ridge=0.0):
    errors = X - codes @ atoms
    return (
        0.5 * np.sum(errors**2, axis=1)
        + alpha * np.abs(codes).sum(axis=1)
        + 0.5 * ridge * np.sum(codes**2, axis=1)
    )


def _optimum(X, atoms, alpha, positive=False):
    if alpha == 0 and positive:
        return np.array([0.5 * nnls(atoms.T, x)[1] ** 2 for x in X])
    if alpha == 0:
        codes = np.linalg.lstsq(atoms.T, X.T, rcond=None)[0].T
    else:
        codes = sparse_encode(
            X, atoms, algorithm="lasso_cd", alpha=alpha, max_iter=200_000, positive=positive
        )
    # A long run of proximal steps takes the last digits from scikit-learn's codes.
    step = 1 / np.linalg.norm(atoms @ atoms.T, 2)
    for _ in range(20_000):
        codes = codes + step * (X - codes @ atoms) @ atoms.T
        codes = np.sign(codes) * np.maximum(np.abs(codes) - alpha * step, 0)
        codes = np.maximum(codes, 0) if positive else codes
    return _objective(X, atoms, alpha, codes)


@pytest.fixture(params=PROBLEMS, scope="module")
def problem(request):
    """A problem with its optima, with and without the constraint."""
    X, atoms, alpha = PROBLEMS[request.param]
    return X, atoms, alpha, {p: _optimum(X, atoms, alpha, p) for p in (False, True)}


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_codes_are_optimal(problem, algorithm, positive):
    X, atoms, alpha, optima = problem
    lasso = Lasso(atoms, alpha, positive=positive)
    if algorithm == "ista" and np.ptp(np.linalg.norm(atoms, axis=1)) > 5:
        pytest.skip("atoms of norms from 0.1 to 10 make plain proximal steps tiny")
    codes, gaps = lasso_codes(X, lasso, tol=1e-10, max_iter=100_000, algorithm=algorithm)
    scale = np.maximum(0.5 * np.sum(X**2, axis=1), 1e-300)
    excess = _objective(X, atoms, alpha, codes) - optima[positive]
    assert (excess / np.maximum(optima[positive], 1e-6 * scale)).max() < 1e-6
    assert (excess <= gaps + 1e-12 * scale).all()
    assert (codes >= 0).all() or not positive


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_iter", [1, 3, 100_000])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_gap_is_an_upper_bound(problem, algorithm, max_iter, dtype):
    X, atoms, alpha, optima = problem
    lasso = Lasso(atoms.astype(dtype), alpha)
    options = {"tol": 1e-4, "max_iter": max_iter, "algorithm": algorithm}
    codes, gaps = lasso_codes(X.astype(dtype), lasso, **options)
    values = _objective(X, atoms, alpha, codes.astype(np.float64))
    rounding = 20 * np.finfo(dtype).eps * np.sum(X**2, axis=1) * max(1, np.sum(atoms**2))
    assert codes.dtype == dtype
    assert (values - optima[False] <= gaps + rounding).all()
    assert (gaps <= 0.5e-4 * np.sum(X**2, axis=1) + rounding).all() or max_iter < 1000 or alpha == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_ridge_and_prior(algorithm):
    X, atoms, alpha = PROBLEMS["overcomplete"]
    prior = np.random.default_rng(1).standard_normal((len(X), len(atoms)))
    for p in (None, prior):
        lasso = Lasso(atoms, alpha, ridge=0.7)
        options = {"algorithm": algorithm, "tol": 1e-10, "max_iter": 100_000}
        codes, _ = lasso_codes(X, lasso, prior=p, **options)
        # The ridge is a lasso over more features.
        longer = np.hstack([atoms, np.sqrt(0.7) * np.eye(40)])
        pulled = np.hstack([X, np.sqrt(0.7) * (np.zeros_like(prior) if p is None else p)])
        optimum = _optimum(pulled, longer, alpha)
        values = _objective(pulled, longer, alpha, codes)
        np.testing.assert_allclose(values, optimum, rtol=1e-8)


@pytest.mark.parametrize("algorithm", ["cd", "fista", "ista"])
def test_warm_start_at_the_answer_stays(algorithm):
    X, atoms, alpha = PROBLEMS["overcomplete"]
    lasso = Lasso(atoms, alpha)
    codes, _ = lasso_codes(X, lasso, tol=1e-12)
    again, gaps = lasso_codes(X, lasso, algorithm=algorithm, init=codes, tol=1e-8, max_iter=1)
    np.testing.assert_array_equal(again, codes)
    assert (gaps <= 1e-8 * np.sum(X**2, axis=1)).all()


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("sparse_output", [False, True])
def test_blocks_threads_and_sparse_output_change_nothing(n_jobs, sparse_output):
    rng = np.random.default_rng(0)
    X, atoms = rng.standard_normal((1300, 12)), PROBLEMS["overcomplete"][1]
    lasso = Lasso(atoms, 0.5)
    codes, _ = lasso_codes(X, lasso, n_jobs=n_jobs, sparse_output=sparse_output, tol=1e-10)
    one_by_one = [lasso_codes(x[np.newaxis], lasso, tol=1e-10)[0][0] for x in X[::100]]
    codes = codes.toarray() if sparse_output else codes
    np.testing.assert_allclose(codes[::100], one_by_one, atol=1e-10)


@pytest.mark.parametrize("n_nonzero", [1, 3, 100])
def test_pursuit_is_scikit_learns(n_nonzero):
    X, atoms, _ = PROBLEMS["random"]
    codes = pursuit_codes(X, atoms, n_nonzero)
    gram, correlations = atoms @ atoms.T, atoms @ X.T
    expected = orthogonal_mp_gram(gram, correlations, n_nonzero_coefs=min(n_nonzero, 8)).T
    np.testing.assert_allclose(codes, expected, atol=1e-9)
