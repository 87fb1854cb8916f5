"""Codes against scikit-learn's coordinate descent, run to the end in float64."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import nnls
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning

from skae import PSD, RBM, AutoEncoder, SparseCoder
from skae.sparse._inference import infer_codes
from skae.sparse._problems import Lasso, Pursuit


def _unit(atoms):
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


def _problems():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 12))
    random = _unit(rng.standard_normal((8, 12)))
    shared = _unit(rng.standard_normal((10, 12)) + 3 * rng.standard_normal(12))
    wide = _unit(rng.standard_normal((40, 12)))
    # As estimators have it: float32 times a number of numpy is float64, of which kernels are compiled once more.
    largest = float(np.abs(X @ random.T).max())
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
        "no penalty, overcomplete": (X, wide, 0.0),
        "least full penalty": (X, random, largest),
        "all penalty": (X, random, 1.1 * largest),
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
    """The least objective of each row by scikit-learn, certified here to a relative gap of 1e-10."""
    if alpha == 0 and positive:
        return np.array([0.5 * nnls(atoms.T, x)[1] ** 2 for x in X])
    if alpha == 0:
        codes = np.linalg.lstsq(atoms.T, X.T, rcond=None)[0].T
        return _objective(X, atoms, 0, codes)
    options = {"fit_intercept": False, "tol": 1e-13, "max_iter": 1_000_000, "positive": positive}
    peer = linear_model.Lasso(alpha / X.shape[1], **options).fit(atoms.T, X.T)
    codes = peer.coef_.reshape(len(X), len(atoms))
    values, errors = _objective(X, atoms, alpha, codes), X - codes @ atoms
    pulls = errors @ atoms.T if positive else np.abs(errors @ atoms.T)
    scale = alpha / np.maximum(pulls.max(axis=1, keepdims=True), alpha)
    norms = np.sum(X**2, axis=1)
    bounds = 0.5 * norms - 0.5 * np.sum((X - scale * errors) ** 2, axis=1)
    assert (values - bounds <= 1e-10 * norms).all()
    return values


def _most(max_iter, alpha):
    """Without a penalty no gap tells that steps may end, long after they have arrived."""
    return max_iter if alpha else min(max_iter, 10_000)


@pytest.fixture(params=PROBLEMS, scope="module")
def problem(request):
    """A problem with its optima, with and without the constraint."""
    X, atoms, alpha = PROBLEMS[request.param]
    return X, atoms, alpha, {p: _optimum(X, atoms, alpha, p) for p in (False, True)}


@pytest.mark.slow
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("algorithm", Lasso.algorithms)
def test_codes_are_optimal(problem, algorithm, positive):
    X, atoms, alpha, optima = problem
    lasso = Lasso(atoms, alpha, positive=positive)
    if algorithm == "ista" and np.ptp(np.linalg.norm(atoms, axis=1)) > 5:
        pytest.skip("atoms of norms from 0.1 to 10 make plain proximal steps tiny")
    options = {"tol": 1e-10, "max_iter": _most(100_000, alpha), "algorithm": algorithm}
    codes, gaps = infer_codes(X, lasso, **options)
    scale = np.maximum(0.5 * np.sum(X**2, axis=1), 1e-300)
    excess = _objective(X, atoms, alpha, codes) - optima[positive]
    assert (excess / np.maximum(optima[positive], 1e-4 * scale)).max() < 1e-6
    assert (excess <= gaps + 1e-12 * scale).all()
    assert (codes >= 0).all() or not positive


@pytest.mark.slow
@pytest.mark.parametrize(
    ("max_iter", "dtype"),
    [(1, np.float64), (3, np.float32), (100_000, np.float32), (100_000, np.float64)],
)
@pytest.mark.parametrize("algorithm", Lasso.algorithms)
def test_the_gap_is_an_upper_bound(problem, algorithm, max_iter, dtype):
    X, atoms, alpha, optima = problem
    lasso = Lasso(atoms.astype(dtype), alpha)
    options = {"tol": 1e-4, "max_iter": _most(max_iter, alpha), "algorithm": algorithm}
    codes, gaps = infer_codes(X.astype(dtype), lasso, **options)
    values = _objective(X, atoms, alpha, codes.astype(np.float64))
    rounding = 20 * np.finfo(dtype).eps * np.sum(X**2, axis=1) * max(1, np.sum(atoms**2))
    assert codes.dtype == dtype
    assert (values - optima[False] <= gaps + rounding).all()
    assert (gaps <= 0.5e-4 * np.sum(X**2, axis=1) + rounding).all() or max_iter < 1000 or alpha == 0


@pytest.mark.parametrize("algorithm", Lasso.algorithms)
def test_ridge_and_prior(algorithm):
    X, atoms, alpha = PROBLEMS["overcomplete"]
    prior = np.random.default_rng(1).standard_normal((len(X), len(atoms)))
    for p in (None, prior):
        lasso = Lasso(atoms, alpha, ridge=0.7)
        options = {"algorithm": algorithm, "tol": 1e-10, "max_iter": 100_000}
        codes, _ = infer_codes(X, lasso, prior=p, **options)
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
    codes, _ = infer_codes(X, lasso, tol=1e-12)
    again, gaps = infer_codes(X, lasso, algorithm=algorithm, init=codes, tol=1e-8, max_iter=1)
    np.testing.assert_array_equal(again, codes)
    assert (gaps <= 1e-8 * np.sum(X**2, axis=1)).all()


@pytest.mark.parametrize("algorithm", Lasso.algorithms)
@pytest.mark.parametrize("exponent", [-300, 300])
def test_codes_are_the_same_in_any_units(exponent, algorithm):
    X, atoms, alpha = PROBLEMS["overcomplete"]
    unit = 2.0**exponent  # which rounds nothing
    codes, _ = infer_codes(X, Lasso(atoms, alpha), algorithm=algorithm)
    others, _ = infer_codes(unit * X, Lasso(atoms, unit * alpha), algorithm=algorithm)
    np.testing.assert_array_equal(others / unit, codes)


@pytest.mark.parametrize("algorithm", ["cd", "fista"])
@pytest.mark.parametrize("name", ["overcomplete", "zero atom", "zero rows"])
def test_any_codes_to_start_from_lead_to_the_optimum(name, algorithm):
    X, atoms, alpha = PROBLEMS[name]
    init = np.random.default_rng(0).standard_normal((len(X), len(atoms)))
    codes, gaps = infer_codes(X, Lasso(atoms, alpha), algorithm=algorithm, init=init, tol=1e-6)
    squares = np.sum(X**2, axis=1)
    assert (gaps <= 5e-7 * squares).all()
    excess = _objective(X, atoms, alpha, codes) - _optimum(X, atoms, alpha)
    assert (excess <= 1e-6 * squares).all()


@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("sparse_output", [False, True])
def test_blocks_threads_and_sparse_output_change_nothing(n_jobs, sparse_output):
    rng = np.random.default_rng(0)
    X, atoms = rng.standard_normal((1300, 12)), PROBLEMS["overcomplete"][1]
    lasso = Lasso(atoms, 0.5)
    codes, _ = infer_codes(X, lasso, n_jobs=n_jobs, sparse_output=sparse_output, tol=1e-10)
    one_by_one = [infer_codes(x[np.newaxis], lasso, tol=1e-10)[0][0] for x in X[::100]]
    codes = codes.toarray() if sparse_output else codes
    np.testing.assert_allclose(codes[::100], one_by_one, atol=1e-10)


@pytest.mark.parametrize("n_nonzero", [1, 3, 100])
def test_pursuit_is_scikit_learns(n_nonzero):
    X, atoms, _ = PROBLEMS["random"]
    codes, _ = infer_codes(X, Pursuit(atoms, n_nonzero))
    gram, correlations = atoms @ atoms.T, atoms @ X.T
    expected = linear_model.orthogonal_mp_gram(
        gram, correlations, n_nonzero_coefs=min(n_nonzero, 8)
    ).T
    np.testing.assert_allclose(codes, expected, atol=1e-9)


def test_pursuit_compares_atoms_at_norm_one():
    X, atoms, _ = PROBLEMS["random"]
    lengths = np.random.default_rng(1).uniform(0.1, 10, (8, 1))
    expected, _ = infer_codes(X, Pursuit(atoms, 3))
    codes, gaps = infer_codes(X, Pursuit(lengths * atoms, 3))
    np.testing.assert_allclose(codes * lengths.T, expected, atol=1e-9)
    np.testing.assert_allclose(gaps, 0.5 * np.sum((X - expected @ atoms) ** 2, axis=1), atol=1e-12)


@pytest.mark.parametrize("dtype", [pytest.param(np.float32, marks=pytest.mark.slow), np.float64])
def test_pursuit_ends_where_nothing_is_left(dtype):
    atoms = PROBLEMS["random"][1].astype(dtype)
    planted = np.zeros((2, 8), dtype)
    planted[0, 2], planted[1, [3, 5]] = 2, [1, -3]
    codes, _ = infer_codes(planted @ atoms, Pursuit(np.vstack([atoms, 0 * atoms[:1]]), 9))
    assert (np.count_nonzero(codes, axis=1) <= 3).all()
    np.testing.assert_allclose(codes[:, :8], planted, atol=1e-5)


@pytest.mark.parametrize(
    "problem", [Lasso(PROBLEMS["overcomplete"][1], 0.5), Pursuit(PROBLEMS["overcomplete"][1], 3)]
)
def test_sparse_rows_have_the_same_codes(problem):
    X = np.random.default_rng(0).standard_normal((600, 12))
    X[X < 0.5] = 0
    codes, gaps = infer_codes(X, problem)
    again, bounds = infer_codes(scipy.sparse.csr_matrix(X), problem)
    np.testing.assert_array_equal(again, codes)
    np.testing.assert_array_equal(bounds, gaps)


@pytest.mark.parametrize("algorithm", ["homotopy", "cd", "fista", "ista"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_positive_codes_are_not_negative(algorithm, dtype):
    """Not even by rounding, where several codes become 0 at once, as they do among whole numbers."""
    rng = np.random.default_rng(0)
    atoms = rng.integers(-1, 2, (12, 5)).astype(dtype)
    X = rng.integers(-2, 3, (200, 5)).astype(dtype)
    codes, _ = infer_codes(X, Lasso(atoms, 0.1, positive=True), algorithm=algorithm, tol=1e-4)
    assert codes.min() == 0 < codes.max()


@pytest.mark.slow
def test_rounding_bends_no_path():
    """Hardly sparse codes of nearly parallel atoms in float32, where steps of the path are lost in rounding."""
    rng = np.random.default_rng(0)
    atoms = _unit(rng.standard_normal((64, 64)) + 3 * rng.standard_normal(64)).astype(np.float32)
    X = _unit(rng.standard_normal((20, 64))).astype(np.float32)
    codes, gaps = infer_codes(X, Lasso(atoms, 1e-3), tol=1e-4)
    assert codes.dtype == np.float32
    assert (gaps <= 0.5e-4 * np.sum(X**2, axis=1)).all()
    X, atoms = X.astype(np.float64), atoms.astype(np.float64)
    excess = _objective(X, atoms, 1e-3, codes.astype(np.float64)) - _optimum(X, atoms, 1e-3)
    assert (excess <= gaps + 1e-6).all()


def test_codes_beyond_their_tolerance_warn_once():
    rng = np.random.default_rng(0)
    X, dictionary = rng.standard_normal((60, 10)), rng.standard_normal((30, 10))
    options = {"dictionary": dictionary, "alpha": 0.5, "algorithm": "fista"}
    short = SparseCoder(max_inference_iter=3, **options).fit(X)
    for method in ("transform", "score", "reconstruct"):
        with pytest.warns(ConvergenceWarning, match="of 60 codes .*gap_tol=0.0001") as caught:
            getattr(short, method)(X)
        assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SparseCoder(max_inference_iter=5000, **options).fit(X).transform(X)
        short.infer(X)  # returns the gaps
        for algorithm in ("homotopy", "cd"):
            exact = SparseCoder(**{**options, "algorithm": algorithm}, gap_tol=1e-9).fit(X)
            exact.transform(X.astype(np.float32))
        SparseCoder(dictionary=dictionary, algorithm="omp", n_nonzero_coefs=2).fit(X).transform(X)


@pytest.mark.parametrize("Model", [AutoEncoder, SparseCoder, PSD, RBM])
def test_max_iter_warns_once_in_fit_and_never_in_partial_fit(Model):
    X = np.random.default_rng(0).random((60, 10))
    model = Model(3, max_iter=2, tol=0.0, random_state=0)
    if Model in (AutoEncoder, PSD):
        model.set_params(learning_rate="constant")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    n_reached = sum("max_iter=2" in str(each.message) for each in caught)
    assert n_reached == (0 if Model is RBM else 1)  # whose samples do not converge
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        model.partial_fit(X)
