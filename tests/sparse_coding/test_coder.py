"""SparseCoder: learning, its methods, and what it refuses."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import lsq_linear
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import DictionaryLearning, sparse_encode
from sklearn.linear_model import ElasticNet

from skae import PSD, ContractiveAE, SparseCoder
from skae._kernels.dictionary import accumulate, update_atoms
from skae.sparse._dictionary import DictionaryObjective, DictionarySolver, first_atoms
from skae.sparse._problems import Lasso
from skae.training.batches import Batches

X = load_digits().data / 16
SMALL = {"n_components": 30, "alpha": 0.3, "max_iter": 3, "batch_size": 100, "random_state": 0}


def _mean_objective(X, atoms, alpha):
    codes = sparse_encode(X, atoms, algorithm="lasso_cd", alpha=alpha, max_iter=5000)
    errors = 0.5 * np.sum((X - codes @ atoms) ** 2, axis=1)
    return np.mean(errors + alpha * np.abs(codes).sum(axis=1))


@pytest.mark.slow
def test_learning_finds_as_good_a_dictionary_as_scikit_learn():
    coder = SparseCoder(30, alpha=0.3, max_iter=30, batch_size=50, random_state=0).fit(X[:600])
    peer = DictionaryLearning(
        30, alpha=0.3, max_iter=30, fit_algorithm="cd", random_state=0, tol=1e-4
    ).fit(X[:600])
    ours, theirs = (_mean_objective(X[:600], m.components_, 0.3) for m in (coder, peer))
    assert ours < 1.01 * theirs
    assert (np.linalg.norm(coder.components_, axis=1) <= 1 + 1e-9).all()


def _found(atoms, learned):
    """How like each atom the nearest learned one is."""
    return np.abs(atoms @ learned.T / np.linalg.norm(learned, axis=1)).max(axis=1)


def test_planted_atoms_are_found():
    rng = np.random.default_rng(0)
    atoms = rng.standard_normal((12, 20))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = rng.standard_normal((3000, 12)) * (rng.random((3000, 12)) < 0.15)
    data = codes @ atoms + 0.01 * rng.standard_normal((3000, 20))
    coder = SparseCoder(12, alpha=0.2, max_iter=20, random_state=0).fit(data)
    assert (_found(atoms, coder.components_) > 0.98).all()


@pytest.mark.slow
def test_pursuit_finds_planted_atoms():
    rng = np.random.default_rng(1)
    atoms = rng.standard_normal((12, 20))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    pairs = np.argsort(rng.random((3000, 12)), axis=1) < 2
    data = (rng.standard_normal((3000, 12)) * pairs) @ atoms
    coder = SparseCoder(12, algorithm="omp", n_nonzero_coefs=2, random_state=0).fit(data)
    assert (_found(atoms, coder.components_) > 0.98).all()
    assert (np.count_nonzero(coder.transform(data), axis=1) <= 2).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_statistics_are_accumulated(dtype):
    rng = np.random.default_rng(0)
    codes = (rng.standard_normal((50, 5)) * (rng.random((50, 5)) < 0.4)).astype(dtype)
    data, shares = rng.standard_normal((50, 7)).astype(dtype), rng.random(50).astype(dtype)
    second, cross = np.ones((5, 5), dtype), np.ones((5, 7), dtype)
    accumulate(codes, data, shares, dtype(0.5), second, cross)
    weighted = codes * shares[:, np.newaxis]
    np.testing.assert_allclose(second, 0.5 + weighted.T @ codes, rtol=1e-4)
    np.testing.assert_allclose(cross, 0.5 + weighted.T @ data, rtol=1e-4, atol=1e-5)


def test_an_atom_update_minimizes_the_surrogate_over_each_atom():
    rng = np.random.default_rng(0)
    codes, data = rng.standard_normal((50, 5)), rng.standard_normal((50, 7))
    second, cross = codes.T @ codes / 50, codes.T @ data / 50
    atoms = 0.1 * rng.standard_normal((5, 7))
    expected = atoms.copy()
    for j in range(5):
        others = np.delete(np.arange(5), j)
        free = (cross[j] - second[j, others] @ expected[others]) / second[j, j]
        expected[j] = free / max(np.linalg.norm(free), 1)
    update_atoms(second, cross, atoms)
    np.testing.assert_allclose(atoms, expected, rtol=1e-12)


def test_dead_atoms_come_back():
    atoms = np.zeros((4, 64))
    atoms[:, 0] = 1  # this pixel is black in every digit
    objective = DictionaryObjective(4, lambda atoms: Lasso(atoms, 0.1), {})
    solver = DictionarySolver(objective, patience=2)
    state = solver.start(atoms.ravel())
    rng = np.random.default_rng(0)
    for _ in range(4):
        for batch in Batches(X, None, 500).epoch(rng):
            objective(atoms.ravel(), batch, None, rng)
            solver.step(atoms.reshape(-1), None, state, 1.0)
    assert (sparse_encode(X, atoms, algorithm="lasso_cd", alpha=0.1) != 0).any(axis=0).all()


def _marked():
    """Return rows of which some are apart in the first, empty pixel, and weights that leave these out."""
    marked = X[:300].copy()
    marked[::3, 0] = 100
    return marked, (marked[:, 0] == 0).astype(float)


@pytest.mark.parametrize("n_atoms", [50, 250])
def test_rows_of_weight_0_are_no_first_atoms(n_atoms):
    marked, weights = _marked()
    for rows in (marked, scipy.sparse.csr_matrix(marked)):
        atoms = first_atoms(rows, weights, np.arange(300), n_atoms, np.random.default_rng(0))
        assert (np.abs(atoms[:, 0]) < 0.1).all()


def test_rows_of_weight_0_do_not_replace_atoms():
    marked, weights = _marked()
    atoms = np.zeros((4, 64))
    atoms[:, 0] = 1  # what rows of weight 0 alone use
    objective = DictionaryObjective(4, lambda atoms: Lasso(atoms, 0.1), {})
    solver = DictionarySolver(objective, patience=1)
    state = solver.start(atoms.ravel())
    batch = next(Batches(marked, weights, 300).epoch(None))
    objective(atoms.ravel(), batch, None, None)
    solver.step(atoms.reshape(-1), None, state, 1.0)
    assert (atoms[:, 0] == 0).all() and (np.linalg.norm(atoms, axis=1) > 0.99).all()


@pytest.mark.parametrize("Estimator", [SparseCoder, PSD])
def test_rows_of_weight_0_teach_nothing(Estimator):
    marked, weights = _marked()
    model = Estimator(60, alpha=0.1, batch_size=20, max_iter=4, random_state=0)
    model.fit(marked, sample_weight=weights)
    assert (np.abs(model.components_[:, 0]) < 0.1).all()


def test_partial_fits_equal_one_fit():
    whole = SparseCoder(**SMALL, n_iter_no_change=100).fit(X)
    parts = SparseCoder(**SMALL)
    for _ in range(3):
        parts.partial_fit(X)
    np.testing.assert_array_equal(parts.components_, whole.components_)
    assert parts.loss_curve_ == whole.loss_curve_
    assert pickle.loads(pickle.dumps(parts)).partial_fit(X).n_iter_ == 4


@pytest.mark.slow
def test_a_stream_in_chunks_teaches_as_an_array_does():
    chunks = SparseCoder(30, alpha=0.3, batch_size=50, random_state=0)
    for _ in range(10):
        for start in range(0, 600, 100):
            chunks.partial_fit(X[start : start + 100])
    whole = SparseCoder(30, alpha=0.3, batch_size=50, max_iter=10, random_state=0).fit(X[:600])
    streamed, fitted = (_mean_objective(X[:600], m.components_, 0.3) for m in (chunks, whole))
    assert streamed < 1.01 * fitted


@pytest.mark.slow
def test_given_atoms_stay():
    atoms = X[:20] / np.linalg.norm(X[:20], axis=1, keepdims=True)
    coder = SparseCoder(dictionary=atoms, alpha=0.2, gap_tol=1e-10).fit(X)
    np.testing.assert_array_equal(coder.components_, atoms)
    expected = sparse_encode(X, atoms, algorithm="lasso_cd", alpha=0.2, max_iter=100_000)
    np.testing.assert_allclose(coder.transform(X), expected, atol=1e-3)
    np.testing.assert_allclose(
        _mean_objective(X, atoms, 0.2),
        -coder.score(X) + 0.2 * np.abs(coder.transform(X)).sum(axis=1).mean(),
        rtol=1e-6,
    )


@pytest.mark.slow
@pytest.mark.parametrize("sparse_output", [False, True])
@pytest.mark.parametrize("split_sign", [False, True])
@pytest.mark.parametrize(
    "way",
    [{}, {"algorithm": "omp"}, {"transform_encoder": "soft_threshold"}],
    ids=["lasso", "omp", "soft threshold"],
)
def test_methods_agree(way, split_sign, sparse_output):
    coder = SparseCoder(**SMALL, **way, split_sign=split_sign, sparse_output=sparse_output).fit(X)
    codes = coder.transform(X)
    assert scipy.sparse.issparse(codes) == sparse_output
    assert codes.shape[1] == len(coder.get_feature_names_out()) == (60 if split_sign else 30)
    assert codes.min() >= 0 or not split_sign
    reconstruction = coder.inverse_transform(codes)
    np.testing.assert_allclose(reconstruction, coder.reconstruct(X), atol=1e-12)
    errors = 0.5 * np.sum((X - reconstruction) ** 2, axis=1)
    np.testing.assert_allclose(coder.score_samples(X), -errors)
    assert coder.score(X) == pytest.approx(-errors.mean())
    np.testing.assert_allclose(coder.score_samples(scipy.sparse.csr_matrix(X)), -errors, atol=1e-10)


def test_soft_threshold_explains_nothing_away():
    atoms = np.array([[1.0, 0.0], [0.8, 0.6]])
    data = np.array([[2.0, 0.0]])
    exact = SparseCoder(dictionary=atoms, alpha=0.1).fit(data)
    quick = SparseCoder(dictionary=atoms, alpha=0.1, transform_encoder="soft_threshold").fit(data)
    np.testing.assert_allclose(exact.transform(data), [[1.9, 0]], atol=1e-6)
    np.testing.assert_allclose(quick.transform(data), [[1.9, 1.5]])


@pytest.mark.parametrize(
    "estimator",
    [ContractiveAE(20, max_iter=2, random_state=0), KMeans(20, n_init=1, random_state=0)],
    ids=["auto-encoder", "k-means"],
)
def test_filters_of_another_model(estimator):
    coder = SparseCoder.from_estimator(estimator.fit(X), alpha=0.1).fit(X)
    np.testing.assert_allclose(np.linalg.norm(coder.components_, axis=1), 1)
    assert coder.score(X) > -0.5 * np.mean(np.sum(X**2, axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("n_atoms", [6, 20])
def test_codes_without_a_penalty_are_certified(n_atoms, positive, ridge, dtype):
    rng = np.random.default_rng(0)
    atoms, rows = rng.standard_normal((n_atoms, 10)), rng.standard_normal((30, 10)).astype(dtype)
    options = {"alpha": 0.0, "ridge": ridge, "positive": positive}
    coder = SparseCoder(dictionary=atoms, **options).fit(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coder.transform(rows)
    codes, gaps = coder.infer(rows)
    # Least squares, with rows for the ridge.
    factors = np.vstack([coder.components_.T, np.sqrt(ridge) * np.eye(n_atoms)]).astype(float)
    targets = np.hstack([rows, np.zeros((30, n_atoms))]).astype(float)
    bounds = 0 if positive else -np.inf, np.inf
    least = np.array([lsq_linear(factors, row, bounds, tol=1e-14).cost for row in targets])
    excess = 0.5 * np.sum((targets - codes.astype(float) @ factors.T) ** 2, axis=1) - least
    squares = np.sum(rows**2, axis=1)
    assert (excess <= gaps + 1e-6 * squares).all()
    assert (gaps <= 0.5 * coder.gap_tol * squares).all()


def test_certificates_and_codes_to_start_from():
    atoms = X[:80] / np.linalg.norm(X[:80], axis=1, keepdims=True)
    coder = SparseCoder(dictionary=atoms, alpha=0.2, gap_tol=1e-8).fit(X)
    codes, gaps = coder.infer(X)
    assert (gaps <= 0.5e-8 * np.sum(X**2, axis=1)).all()
    for init in (codes, scipy.sparse.csr_matrix(codes)):
        again, bounds = coder.infer(X, init=init)
        np.testing.assert_array_equal(again, codes)
        np.testing.assert_allclose(bounds, gaps, atol=1e-12)
    nonnegative = coder.set_params(positive=True).infer(X, init=-np.abs(codes))[0]
    assert (nonnegative >= 0).all()


@pytest.mark.parametrize(
    "init, words",
    [(np.zeros((3, 7)), "init must be of shape"), (np.full((3, 8), np.nan), "NaN")],
    ids=["shape", "nan"],
)
def test_bad_codes_to_start_from(init, words):
    with pytest.raises(ValueError, match=words):
        SparseCoder(dictionary=np.eye(8, 64)).fit(X).infer(X[:3], init=init)


@pytest.mark.parametrize("positive", [False, True])
def test_a_ridge_is_scikit_learns_elastic_net(positive):
    atoms = X[:20] / np.linalg.norm(X[:20], axis=1, keepdims=True)
    options = {"ridge": 0.5, "positive": positive}
    coder = SparseCoder(dictionary=atoms, alpha=0.2, gap_tol=1e-12, **options)
    codes = coder.fit_transform(X[:50])
    peer = ElasticNet(
        0.7 / 64,
        l1_ratio=0.2 / 0.7,
        fit_intercept=False,
        positive=positive,
        tol=1e-14,
        max_iter=10**6,
    )
    np.testing.assert_allclose(codes, peer.fit(atoms.T, X[:50].T).coef_, atol=1e-5)


def test_float32_stays():
    coder = SparseCoder(**SMALL).fit(X.astype(np.float32))
    assert coder.components_.dtype == coder.transform(X.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"alpha": -1.0}, "alpha"),
        ({"n_components": 0}, "n_components"),
        ({"gap_tol": -1e-3}, "'gap_tol' parameter of SparseCoder"),
        ({"tol": -1e-3}, "'tol' parameter of SparseCoder"),
        ({"dictionary": np.ones((3, 5))}, "dictionary has atoms of 5 features, but X has 64"),
        ({"dictionary": np.ones((0, 64))}, "0 sample"),
        ({"dictionary": np.full((3, 64), np.nan)}, "NaN"),
        ({"dictionary": np.full((3, 64), np.inf)}, "infinity"),
        ({"dictionary": np.ones(64)}, "2D array"),
        ({"algorithm": "simplex"}, "algorithm"),
        ({"algorithm": "omp", "positive": True}, "neither positive, ridge nor groups"),
        ({"algorithm": "cd", "groups": [range(30)]}, "does not go with groups"),
        ({"dictionary": np.eye(3, 64), "groups": [[0, 3]]}, "groups must hold"),
        # As indices, these would be 0, 0 and 1, and no number.
        ({"dictionary": np.eye(3, 64), "groups": [[0, 1, 2], [0.5]]}, "lists of indices of atoms"),
        (
            {"dictionary": np.eye(2, 64), "groups": [[False, True], [0, 1]]},
            "lists of indices of atoms",
        ),
        ({"dictionary": np.eye(3, 64), "groups": [[0, 1, 2], ["a"]]}, "lists of indices of atoms"),
        ({"n_jobs": 0}, "n_jobs"),
    ],
)
def test_bad_parameters_leave_the_model(parameters, words):
    coder = SparseCoder(**SMALL).fit(X)
    before = pickle.dumps(vars(coder))
    old = {name: getattr(coder, name) for name in parameters}
    with pytest.raises(ValueError, match=words):
        coder.set_params(**parameters).fit(X)
    assert pickle.dumps(vars(coder.set_params(**old))) == before


def test_an_unfitted_estimator_has_no_filters():
    with pytest.raises(ValueError, match="fit it first"):
        SparseCoder.from_estimator(KMeans())


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("Estimator", [SparseCoder, PSD])
def test_values_that_are_not_finite_are_refused(Estimator, value):
    bad = X[:200].copy()
    bad[7, 3] = value
    model = Estimator(20, alpha=0.3, max_iter=1, random_state=0).fit(X[:200])
    for method in (model.fit, model.partial_fit, model.transform, model.score_samples):
        with pytest.raises(ValueError, match="X contains"):
            method(bad)
    for method in (model.partial_fit, model.transform, model.reconstruct):
        with pytest.raises(ValueError, match="63 features"):
            method(X[:, 1:])


@pytest.mark.parametrize("alpha, expected", [(0.3, "homotopy"), (0.001, "fista")])
def test_auto_goes_by_shape_and_sparsity(alpha, expected):
    rng = np.random.default_rng(0)
    atoms, X = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (
        rng.standard_normal((128, 512)), rng.standard_normal((40, 512))
    ))  # fmt: skip
    options = {"dictionary": atoms, "gap_tol": 1e-8}
    coder = SparseCoder(**options, alpha=alpha * np.abs(X @ atoms.T).max())
    assert coder.fit(X).algorithm_ == expected
    path = SparseCoder(**options, alpha=coder.alpha, algorithm="homotopy").fit(X)
    assert path.algorithm_ == "homotopy"
    np.testing.assert_allclose(coder.transform(X), path.transform(X), atol=1e-4)
    # Overcomplete atoms make FISTA slow, however dense codes are.
    wide = SparseCoder(dictionary=atoms[:, :64], alpha=1e-3).fit(X[:, :64])
    assert wide.algorithm_ == "homotopy"


@pytest.mark.parametrize("max_inference_iter, expected", [(1000, "fista"), (20, "homotopy")])
def test_auto_is_not_what_stops_before_the_tolerance(max_inference_iter, expected):
    rng = np.random.default_rng(0)
    atoms, X = rng.standard_normal((128, 512)), rng.standard_normal((40, 512))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    coder = SparseCoder(dictionary=atoms, alpha=1e-3, max_inference_iter=max_inference_iter)
    assert coder.fit(X).algorithm_ == expected
    coder.set_params(algorithm=expected, max_inference_iter=1000).fit(X)
    assert (coder.infer(X)[1] <= 0.5e-4 * np.sum(X**2, axis=1)).all()
