"""Anomalies: the scores by hand, thresholds, units, and anomalies that are planted."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
)
from skae.autoencoders._detector import left_out, quantile

RNG = np.random.default_rng(0)
HIDDEN = RNG.standard_normal((500, 2))
X = np.hstack([HIDDEN, np.sin(2 * HIDDEN), HIDDEN[:, :1] * HIDDEN[:, 1:]])
X += 0.1 * RNG.standard_normal(X.shape)
FAST = {"max_iter": 40, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return AnomalyDetector(ContractiveAE(20, **FAST)).fit(X)


def test_scores_by_hand(fitted):
    base = fitted.base_
    residuals, codes = X - base.reconstruct(X), base.transform(X)
    usual, kept = np.mean(residuals**2, axis=0), np.arange(len(X))
    for _ in range(4):
        covariance = np.cov(codes[kept].T, bias=True)
        covariance += 1e-3 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
        away = codes - codes[kept].mean(axis=0)
        variance = np.maximum(np.mean(residuals[kept] ** 2, axis=0), 0.3 * usual)
        distances = (residuals**2 / variance).sum(axis=1)
        distances += np.sum(away * np.linalg.solve(covariance, away.T).T, axis=1)
        kept = distances <= np.quantile(distances, 0.9)
    np.testing.assert_allclose(fitted.residual_variance_, variance)
    np.testing.assert_allclose(fitted.score_samples(X), -distances / 2, rtol=1e-6)


@pytest.mark.parametrize("contamination", ["auto", 0.1])
@pytest.mark.parametrize("solver", ["lbfgs", None])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_row_of_weight_n_is_n_rows(solver, contamination, fitted):
    """With L-BFGS, or with a fitted auto-encoder; rows of weight 0 do not count."""
    weights = np.random.default_rng(0).integers(0, 4, len(X)).astype(float)
    rows, options = X.copy(), {"contamination": contamination, "random_state": 0}
    rows[weights == 0] = 100.0
    unfitted = ContractiveAE(20, solver=solver, max_iter=10)
    detector = AnomalyDetector(unfitted if solver else FrozenEstimator(fitted.base_), **options)
    weighted = clone(detector).fit(rows, sample_weight=weights)
    repeated = clone(detector).fit(np.repeat(X, weights.astype(int), axis=0))
    tolerance = 1e-4 if solver else 1e-9
    np.testing.assert_allclose(weighted.offset_, repeated.offset_, rtol=tolerance)
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), tolerance)


@pytest.mark.usefixtures("few_epochs")
def test_weights_set_the_size_of_the_default_auto_encoder():
    weights = np.full(40, 3.0)
    assert (
        AnomalyDetector(random_state=0).fit(X[:40], sample_weight=weights).base_.n_components == 24
    )


@pytest.mark.parametrize("share", [0.0, 0.1, 1 / 3, 0.5, 0.9, 1.0])
def test_quantiles_of_repeated_values(share):
    rng = np.random.default_rng(0)
    values, weights = rng.standard_normal(30), rng.integers(0, 5, 30).astype(float)
    repeated = np.repeat(values, weights.astype(int))
    assert quantile(values, share, weights) == pytest.approx(np.quantile(repeated, share))
    assert quantile(values, share, np.full(30, 0.1)) == pytest.approx(np.quantile(values, share))


@pytest.mark.parametrize("digit", [0, 3, 6])
def test_few_rows_of_many_columns(digit):
    """Three other digits among forty stand out, although the network could reproduce each of the rows."""
    images, digits = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    usual = rng.choice(np.flatnonzero(digits == digit), 40, replace=False)
    others = rng.choice(np.flatnonzero(digits != digit), 3, replace=False)
    rows = images[np.concatenate([usual, others])]
    scores = AnomalyDetector(random_state=0).fit(rows).score_samples(rows)
    assert roc_auc_score(np.arange(43) >= 40, -scores) > 0.85


def test_a_linear_model_is_beside_principal_components():
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((600, 3)) @ rng.standard_normal((3, 6))
    rows = StandardScaler().fit_transform(rows + 0.5 * rng.standard_normal((600, 6)))
    linear = AutoEncoder(3, activation="identity", solver="lbfgs", max_iter=2000, random_state=0)
    scores = AnomalyDetector(linear).fit(rows).score_samples(rows)
    pca = PCA(3).fit(rows)
    residuals = rows - pca.inverse_transform(pca.transform(rows))
    distances = (residuals**2 / np.mean(residuals**2, axis=0)).sum(axis=1)
    distances += (pca.transform(rows) ** 2 / pca.explained_variance_).sum(axis=1)
    # What is normal is found here in all rows, and there in nine tenths of them.
    assert spearmanr(scores, -distances).statistic > 0.99


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.5])
def test_the_threshold_is_a_quantile(contamination, fitted):
    detector = clone(fitted).set_params(contamination=contamination).fit(X)
    scores = detector.score_samples(X)
    assert detector.offset_ == pytest.approx(np.percentile(scores, 100 * contamination))
    assert np.mean(detector.predict(X) == -1) == pytest.approx(contamination, abs=2 / len(X))
    np.testing.assert_array_equal(detector.decision_function(X), scores - detector.offset_)
    np.testing.assert_array_equal(detector.fit_predict(X), detector.predict(X))


def _terms(rows, codes, row, code):
    """Return the terms of D of one row after a linear regression of ``rows`` on ``codes``, with variances of 1."""
    design = np.column_stack([np.ones(len(codes)), codes])
    weights = np.linalg.lstsq(design, rows, rcond=None)[0]
    away = code - codes.mean(axis=0)
    covariance = np.cov(codes.T, bias=True)
    return np.sum((row - weights[0] - code @ weights[1:]) ** 2), away @ np.linalg.solve(
        covariance, away
    )


def test_what_a_row_would_have_if_it_were_left_out():
    rng = np.random.default_rng(0)
    rows, codes = rng.standard_normal((25, 4)), rng.standard_normal((25, 3))
    weights = rng.integers(1, 4, 25)
    rows[:, 0] += codes[:, 0]
    places = np.repeat(np.arange(25), weights)
    terms = np.array([_terms(rows[places], codes[places], rows[i], codes[i]) for i in range(25)])
    others = [np.delete(places, np.searchsorted(places, i)) for i in range(25)]
    expected = [sum(_terms(rows[o], codes[o], rows[i], codes[i])) for i, o in enumerate(others)]
    np.testing.assert_allclose(left_out(*terms.T, weights), expected)


def test_the_automatic_threshold_by_hand(fitted):
    residuals = (X - fitted.base_.reconstruct(X)) ** 2 / fitted.residual_variance_
    first, whole = residuals.sum(axis=1), -2 * fitted.score_samples(X)
    leverage = (1 + whole - first) / 500
    roots = np.cbrt(first / (1 - leverage) ** 2 + (whole - first) / (1 - leverage))
    low, high = np.percentile(roots, [25, 75])
    assert fitted.offset_ == pytest.approx(-((high + 2 * (high - low)) ** 3) / 2)


@pytest.mark.parametrize(
    ("n_rows", "base"),
    [(60, None), (300, None), (60, AutoEncoder(100))],
    ids=["few rows", "more rows", "more units than rows"],
)
def test_few_new_rows_are_marked(n_rows, base):
    """Codes and residuals of training rows are more normal than those of new rows."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n_rows + 2000, 10)) @ rng.standard_normal((10, 30))
    rows += 1.5 * rng.standard_normal(rows.shape)
    detector = AnomalyDetector(base, random_state=0).fit(rows[:n_rows])
    assert np.mean(detector.predict(rows[n_rows:]) == -1) < 0.05
    assert (detector.predict(10 * rows[n_rows:]) == -1).mean() > 0.9


@pytest.mark.parametrize("contamination", ["auto", 0.3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(4))
def test_most_rows_are_equal_and_so_are_normal(seed, dtype, contamination):
    """The quartiles are then equal, and the threshold is the score of the equal rows."""
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((200, 8)).astype(dtype)
    rows[:170] = rows[0]
    base = AutoEncoder(4, max_iter=50, random_state=seed)
    detector = AnomalyDetector(base, contamination=contamination).fit(rows)
    np.testing.assert_array_equal(detector.predict(rows) == -1, np.arange(200) >= 170)
    assert detector.predict(rows[:1]) == 1  # by another matrix product


def test_units_do_not_matter(fitted):
    moved = clone(fitted).fit(X * 1000 + 5)
    np.testing.assert_allclose(
        moved.score_samples(X * 1000 + 5), fitted.score_samples(X), rtol=1e-3
    )
    np.testing.assert_array_equal(moved.predict(X * 1000 + 5), fitted.predict(X))


def test_planted_anomalies_are_found(fitted):
    rng = np.random.default_rng(1)
    # Each column has usual values, but they do not fit together.
    planted = np.column_stack([rng.permutation(column) for column in X.T])[:25]
    far = X[:1] + 40
    rows, labels = np.vstack([X, planted]), np.arange(len(X) + 25) >= len(X)
    detector = clone(fitted).fit(rows)
    area = roc_auc_score(labels, -detector.score_samples(rows))
    forest = IsolationForest(random_state=0).fit(rows)
    assert area > roc_auc_score(labels, -forest.score_samples(rows)) + 0.05
    assert detector.predict(far) == -1
    assert detector.score_samples(far) < detector.score_samples(rows).min()


def test_missing_values_are_as_usual_as_others(fitted):
    holes = X.copy()
    holes[RNG.random(X.shape) < 0.2] = np.nan
    detector = clone(fitted).fit(holes)
    scores = detector.score_samples(holes)
    assert np.isfinite(scores).all()
    assert detector.predict(X[:1] + 40) == -1
    empty = detector.score_samples(np.full((1, X.shape[1]), np.nan))
    assert np.isfinite(empty) and empty > detector.offset_


def test_constant_columns_are_not_looked_at(fitted):
    wide = np.hstack([X, np.full((len(X), 1), 7.0)])
    detector = clone(fitted).fit(wide)
    scores = detector.score_samples(wide)
    np.testing.assert_allclose(scores, fitted.score_samples(X), rtol=1e-5)
    wide[::2, -1] = 8
    with pytest.warns(
        UserWarning, match="Column 5 was always 7 .* from 7 to 8. Scores ignore that"
    ):
        changed = detector.score_samples(wide)
    np.testing.assert_allclose(changed, scores, rtol=1e-5)


def test_categories_and_names(fitted):
    colors = np.eye(3)[(X[:, 0] > 0).astype(int) + (X[:, 0] > 1)]
    frame = pd.DataFrame(np.hstack([X, colors]), columns=[*"abcdefgh"])
    detector = clone(fitted).fit(frame)
    assert list(detector.feature_names_in_) == [*"abcdefgh"]
    wrong = frame.head(1).copy()
    wrong[["f", "g", "h"]] = [[0.0, 0.0, 1.0]] if X[0, 0] < 0 else [[1.0, 0.0, 0.0]]
    assert detector.score_samples(wrong) < detector.score_samples(frame.head(1))


def test_sparse_rows(fitted):
    sparse = scipy.sparse.csr_matrix(X)
    scores = clone(fitted).fit(sparse).score_samples(sparse)
    np.testing.assert_allclose(scores, fitted.score_samples(X), rtol=1e-5)


def test_a_base_that_is_fitted_stays():
    base = DenoisingAE(10, **FAST).fit(X)
    detector = AnomalyDetector(base, prefit=True).fit(X)
    np.testing.assert_array_equal(detector.base_.components_, base.components_)
    with pytest.raises(NotFittedError):
        AnomalyDetector(DenoisingAE(10), prefit=True).fit(X)
    with pytest.raises(ValueError, match="base"):
        AnomalyDetector(prefit=True).fit(X)
    stack = StackedAE([("low", AutoEncoder(8, **FAST)), ("high", AutoEncoder(4, **FAST))])
    assert np.isfinite(AnomalyDetector(stack).fit(X).score_samples(X)).all()


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_variances_out_of_range_are_told(scale):
    detector = AnomalyDetector(AutoEncoder(5, **FAST))
    with pytest.warns(UserWarning, match="residual_variance_ is 0 or infinite.*scale X") as caught:
        scores = clone(detector).fit(scale * X).score_samples(scale * X)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = detector.fit(X).score_samples(X)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_contamination_is_checked():
    for bad in (0, 0.6, "some"):
        with pytest.raises(ValueError, match="contamination"):
            AnomalyDetector(contamination=bad).fit(X)


@pytest.mark.parametrize(
    "base",
    [SparseAutoEncoder(8, k=2), SparseCoder(8, alpha=0.1)],
    ids=lambda each: type(each).__name__,
)
def test_sparse_codes_are_those_of_dense_ones(base):
    scores = [
        AnomalyDetector(clone(base).set_params(sparse_output=sparse, max_iter=2, random_state=0))
        .fit(X)
        .score_samples(X)
        for sparse in (False, True)
    ]
    np.testing.assert_array_equal(*scores)


@pytest.mark.slow
def test_whitening_shows_cells_that_do_not_fit_correlated_columns():
    rng = np.random.default_rng(0)
    cells = load_breast_cancer().data.copy()
    wrong = np.arange(len(cells)) < 25
    donors = rng.integers(len(cells), size=(25, 30))
    cells[wrong] = cells[donors, np.arange(30)]

    def auc(X):
        return roc_auc_score(wrong, -AnomalyDetector(random_state=0).fit(X).score_samples(X))

    whitened = make_pipeline(StandardScaler(), PCA(whiten=True)).fit_transform(cells)
    assert auc(whitened) > auc(cells) + 0.01
    assert auc(whitened) > 0.98
