"""Predictive sparse decomposition."""

import pickle
import warnings
from functools import cache

import numpy as np
import pytest
from common import relative_gradient_error
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits, load_sample_images
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import PSD, SparseCoder
from skae.images import ZCA, sample_patches
from skae.nn.code_encoders import ENCODERS, make_encoder
from skae.sparse._inference import infer_codes
from skae.sparse._prediction import PSDObjective
from skae.sparse._problems import Lasso
from skae.sparse._topography import SmoothGroups, pooling
from skae.training.batches import Batches

X = load_digits().data / 16
SMALL = {"n_components": 20, "alpha": 0.2, "max_iter": 3, "random_state": 0}


def _infer(dictionary, X, prediction):
    problem = Lasso(dictionary, 0.2, ridge=0.7)
    codes, _ = infer_codes(X, problem, prior=prediction, algorithm="homotopy", tol=1e-13)
    return codes, 0.2 * np.abs(codes).sum(axis=1)


def _infer_groups(dictionary, X, prediction):
    problem = SmoothGroups(dictionary, 0.2, pooling((2, 3), 3), ridge=0.7)
    start = {"init": prediction, "prior": prediction}
    codes, _ = infer_codes(X, problem, **start, tol=1e-14, max_iter=20_000)
    return codes, 0.2 * problem.size(codes)


@pytest.mark.slow
@pytest.mark.parametrize("infer", [_infer, _infer_groups], ids=["lasso", "groups"])
@pytest.mark.parametrize("name", ENCODERS)
def test_gradient(name, infer):
    rng = np.random.default_rng(0)
    encoder = make_encoder(name, 6, 8, 3, scale=0.25)
    atoms = rng.standard_normal((6, 8))
    params = encoder.initial(atoms, 0.3, 0.7)
    params += 0.1 * rng.standard_normal(params.size)
    objective = PSDObjective(encoder, infer, 0.7, 6)
    batch = next(Batches(rng.standard_normal((7, 8)), rng.random(7), 7).epoch(None))
    flat = np.concatenate([atoms.ravel(), params])
    assert relative_gradient_error(objective, flat, batch) < 1e-5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("alpha", [0.0, 1e-7, 0.3])
@pytest.mark.parametrize(("name", "n_steps"), [("soft_threshold", 1), ("lista", 3)])
def test_encoders_begin_as_steps_of_ista_in_any_units(name, n_steps, alpha, dtype):
    rng = np.random.default_rng(0)
    atoms, rows = rng.standard_normal((6, 8)), rng.standard_normal((5, 8))
    curvature = np.linalg.norm(atoms, 2) ** 2 + 0.7
    expected = np.zeros((5, 6))
    for _ in range(n_steps):
        moved = expected + (rows - expected @ atoms) @ atoms.T / curvature
        expected = np.sign(moved) * np.maximum(np.abs(moved) - alpha / curvature, 0)
    encoder = make_encoder(name, 6, 8, n_steps)
    for unit in 1, 1e-6:
        params = encoder.initial(atoms.astype(dtype), alpha * unit, 0.7)
        codes, _ = encoder.forward(params, (unit * rows).astype(dtype))
        np.testing.assert_allclose(codes / unit, expected, rtol=1e-4, atol=1e-5)


def test_group_codes_are_optimal():
    rng = np.random.default_rng(0)
    atoms, x, prior = rng.standard_normal((6, 8)), rng.standard_normal((1, 8)), np.ones((1, 6))
    weights = pooling((2, 3), 3)
    problem = SmoothGroups(atoms, 0.3, weights, ridge=0.5)

    def value(h):
        error, miss = x[0] - h @ atoms, h - prior[0]
        penalty = np.sqrt(weights @ h**2 + (1e-4 * 0.3) ** 2).sum()
        return 0.5 * error @ error + 0.3 * penalty + 0.25 * miss @ miss

    codes = infer_codes(x, problem, init=prior, prior=prior, tol=1e-12, max_iter=20_000)[0][0]
    expected = minimize(value, prior[0], method="BFGS", options={"gtol": 1e-9}).fun
    assert value(codes) == pytest.approx(expected, rel=1e-7)


def test_pools_are_windows_of_a_torus():
    weights = pooling((4, 5), 3)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    around = weights[0].reshape(4, 5)
    assert around[0, 0] == around.max()
    np.testing.assert_array_equal(np.argwhere(around.any(axis=0)).ravel(), [0, 1, 4])
    np.testing.assert_array_equal(np.argwhere(around.any(axis=1)).ravel(), [0, 1, 3])
    np.testing.assert_array_equal(around[1], around[3])


@pytest.mark.parametrize("topology", [None, (4, 5)])
@pytest.mark.parametrize("algorithm", ["inference", "lasso"])
def test_codes_of_a_row_do_not_depend_on_the_others(algorithm, topology):
    # Rows of several lengths need different numbers of steps.
    rows = np.geomspace(0.1, 10, 40)[:, np.newaxis] * X[:40]
    model = PSD(**SMALL, topology=topology, transform_algorithm=algorithm).fit(X[:200])
    single = np.vstack([model.transform(row[np.newaxis]) for row in rows])
    np.testing.assert_allclose(model.transform(rows), single, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("topology", [None, (4, 5)])
@pytest.mark.parametrize("algorithm", ["inference", "lasso"])
def test_codes_beyond_their_tolerance_warn_once(algorithm, topology):
    options = {"transform_algorithm": algorithm, "topology": topology}
    options["algorithm"] = "fista" if topology is None else "auto"
    model = PSD(**SMALL, **options).fit(X[:200])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(max_inference_iter=5000).transform(X[:30])
    model.set_params(max_inference_iter=1, gap_tol=1e-6)
    with pytest.warns(ConvergenceWarning, match="of 30 codes .*gap_tol=1e-06") as caught:
        model.transform(X[:30])
    assert len(caught) == 1


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ENCODERS)
def test_training_lowers_the_objective_and_keeps_unit_atoms(encoder):
    model = PSD(**{**SMALL, "max_iter": 15}, encoder=encoder).fit(X)
    assert model.loss_curve_[-1] < 0.85 * model.loss_curve_[0]
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1)


@pytest.mark.parametrize("algorithm", ["homotopy", "cd", "fista"])
def test_inference_minimizes_all_three_terms(algorithm):
    model = PSD(**SMALL, gap_tol=1e-9, max_inference_iter=5000, algorithm=algorithm).fit(X[:200])
    prediction = model.transform(X[:200])
    codes = model.set_params(transform_algorithm="inference").transform(X[:200])
    atoms, beta = model.components_, 1.0
    # The encoder's term is that of more features.
    longer = np.hstack([atoms, np.sqrt(beta) * np.eye(20)])
    pulled = np.hstack([X[:200], np.sqrt(beta) * prediction])
    expected = sparse_encode(pulled, longer, algorithm="lasso_cd", alpha=0.2, max_iter=100_000)
    np.testing.assert_allclose(codes, expected, atol=1e-3)


def _r2(codes, prediction):
    return 1 - np.sum((codes - prediction) ** 2) / np.sum((codes - codes.mean(axis=0)) ** 2)


@pytest.mark.slow
@pytest.mark.parametrize("encoder, margin", [("soft_threshold", 0.1), ("lista", 0.2)])
def test_the_encoder_predicts_better_than_a_soft_threshold(encoder, margin):
    model = PSD(32, alpha=0.1, encoder=encoder, max_iter=25, random_state=0).fit(X[:1200])
    prediction = model.transform(X[1200:])
    exact = SparseCoder(dictionary=model.components_, alpha=0.1)
    codes = exact.fit(X).transform(X[1200:])
    exact.set_params(transform_encoder="soft_threshold")
    thresholds = [exact.set_params(alpha=alpha).transform(X[1200:]) for alpha in (0.1, 0.3, 1, 2)]
    soft = max(
        _r2(codes, scale * each) for each in thresholds for scale in (0.05, 0.1, 0.2, 0.5, 1.0)
    )
    assert _r2(codes, prediction) > soft + margin


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["soft_threshold", "lista"])
def test_predicted_codes_classify_as_exact_ones_do(encoder):
    y = load_digits().target
    options = {"encoder": encoder, "learning_rate_init": 1e-2, "max_iter": 20}
    model = PSD(64, alpha=0.1, **options, random_state=0).fit(X[:1000])
    scores = []
    for algorithm in ("encoder", "lasso"):
        codes = model.set_params(transform_algorithm=algorithm).transform(X)
        linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
        scores.append(linear.fit(codes[:1200], y[:1200]).score(codes[1200:], y[1200:]))
    assert scores[0] > scores[1] - 0.01


def _edge_angles(atoms, side):
    """Twice the angle of each atom's edges, from the structure tensor."""
    down, across = np.gradient(atoms.reshape(-1, side, side), axis=(1, 2))
    real = (across**2 - down**2).sum(axis=(1, 2))
    return np.arctan2((2 * across * down).sum(axis=(1, 2)), real)


@pytest.mark.slow
def test_neighbors_on_the_torus_have_like_orientations():
    photographs = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    patches = sample_patches(photographs, (8, 8), 6000, random_state=0)
    white = ZCA(epsilon=0.1).fit_transform(patches).astype(np.float32)
    white /= white.std()
    options = {"max_inference_iter": 30, "learning_rate_init": 0.06, "max_iter": 10}
    options |= {"encoder": "tanh", "gap_tol": 1e-2}
    psd = PSD(144, topology=(12, 12), alpha=1.0, **options, random_state=0).fit(white)
    angles = _edge_angles(psd.components_, 8).reshape(12, 12)
    near = [np.cos(angles - np.roll(angles, 1, axis)).mean() for axis in (0, 1)]
    rng = np.random.default_rng(0)
    chance = [
        np.cos(shuffled - np.roll(shuffled, 1, axis=0)).mean()
        for shuffled in (rng.permutation(angles.ravel()).reshape(12, 12) for _ in range(1000))
    ]
    assert min(near) > 2 * np.quantile(chance, 0.999)


def test_partial_fits_equal_one_fit():
    whole = PSD(**SMALL, learning_rate="constant", n_iter_no_change=100).fit(X[:500])
    parts = PSD(**SMALL)
    for _ in range(3):
        parts.partial_fit(X[:500])
    np.testing.assert_array_equal(parts.components_, whole.components_)
    np.testing.assert_array_equal(parts.transform(X), whole.transform(X))
    again = pickle.loads(pickle.dumps(whole))
    np.testing.assert_array_equal(again.transform(X), whole.transform(X))


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"alpha": -1.0}, "alpha"),
        ({"beta": 0.0}, "beta"),
        ({"gap_tol": -1e-3}, "'gap_tol' parameter of PSD"),
        ({"topology": (3, 5)}, "rows \\* columns = n_components=20"),
        ({"topology": (-4, -5)}, "rows \\* columns = n_components=20"),
        ({"topology": (4.0, 5.0)}, "rows \\* columns = n_components=20"),
        ({"topology": (4, 5), "algorithm": "cd"}, "does not go with a topology; use 'auto'[.]"),
        ({"encoder": "linear"}, "encoder"),
        ({"n_components": 0}, "n_components"),
    ],
)
def test_bad_parameters_leave_the_model(parameters, words):
    model = PSD(**SMALL).fit(X[:300])
    before = pickle.dumps(vars(model))
    old = {name: getattr(model, name) for name in parameters}
    with pytest.raises(ValueError, match=words):
        model.set_params(**parameters).fit(X[:300])
    assert pickle.dumps(vars(model.set_params(**old))) == before


ROWS = csr_matrix(np.where(X > 0.5, X, 0))


@cache
def _of_sparse_and_of_dense_rows(name):
    return [PSD(**SMALL, encoder=name).fit(rows) for rows in (ROWS, ROWS.toarray())]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["encoder", "inference", "lasso"])
@pytest.mark.parametrize("name", ENCODERS)
def test_sparse_rows_are_rows(name, algorithm):
    rows, models = ROWS, _of_sparse_and_of_dense_rows(name)
    for model in models:
        model.set_params(transform_algorithm=algorithm)
    for method in ("transform", "reconstruct", "score_samples", "score"):
        ours, dense = (getattr(model, method)(rows) for model in models)
        np.testing.assert_allclose(ours, dense, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours, getattr(models[0], method)(rows.toarray()), atol=1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_within_an_epoch_is_told_as_such():
    X = np.float32(1e15) * np.random.default_rng(0).standard_normal((24, 9)).astype(np.float32)
    model = PSD(alpha=0.1, batch_size=3, beta=2.0, max_iter=2, pool_size=2, random_state=1)
    with pytest.raises(ValueError, match="not finite in epoch 1"):
        model.fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options",
    [
        {"encoder": "soft_threshold"},
        {"encoder": "lista"},
        {"encoder": "tanh"},
        {"topology": (4, 5), "pool_size": 3, "transform_algorithm": "inference"},
    ],
    ids=["soft_threshold", "lista", "tanh", "topology"],
)
def test_the_units_of_x_do_not_matter(options, dtype):
    """Codes, alpha and X have the same units; those of the objective are their squares."""
    options = {**SMALL, "max_iter": 2, **options}
    model = PSD(**options).fit(X[:200].astype(dtype))
    codes = model.transform(X[:50].astype(dtype))
    for unit in (2.0**-13, 1e-12, 1e6):
        data = (unit * X[:200]).astype(dtype)
        other = PSD(**options).set_params(alpha=0.2 * unit).fit(data)
        np.testing.assert_allclose(other.components_, model.components_, atol=2e-5)
        np.testing.assert_allclose(other.transform(data[:50]) / unit, codes, atol=2e-3)
        ratio = np.divide(other.loss_curve_, model.loss_curve_) / unit**2
        np.testing.assert_allclose(ratio, 1, rtol=1e-4)


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e5])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_coefficients_of_tanh_are_those_of_the_formula(unit):
    model = PSD(**SMALL, encoder="tanh").set_params(alpha=0.2 * unit).fit(unit * X)
    gains, filters, biases = model.encoder_parameters_
    expected = gains * np.tanh(unit * X @ filters.T + biases)
    np.testing.assert_allclose(model.transform(unit * X), expected, rtol=1e-7, atol=1e-12 * unit)
    assert 0.05 < np.abs(expected).max() / unit < 50


@pytest.mark.parametrize("encoder", ["tanh", "soft_threshold"])
def test_squares_that_overflow_are_told(encoder):
    X = 1e22 * np.random.default_rng(0).random((20, 5), np.float32)
    with pytest.raises(ValueError, match="Scale X"):
        PSD(3, encoder=encoder, max_iter=2).fit(X)
