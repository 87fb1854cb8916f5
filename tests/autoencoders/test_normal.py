"""The joint normal distribution of imputation: closed forms, and tables that depend on it."""

import numpy as np
import pytest
from common import conditional_means
from sklearn.datasets import load_breast_cancer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.preprocessing import StandardScaler

from skae import AutoEncoder, DenoisingAE, Imputer
from skae.autoencoders import _imputation
from skae.autoencoders._imputation import JointNormal, fitted_normal, imputation_of

RNG = np.random.default_rng(0)
CENTER = RNG.standard_normal(5)
COVARIANCE = np.cov(RNG.standard_normal((5, 8)))
ROWS = RNG.multivariate_normal(CENTER, COVARIANCE, size=600)


def test_missing_values_have_their_conditional_means():
    holes = np.where(RNG.random(ROWS.shape) < 0.4, np.nan, ROWS)
    holes[0], holes[1] = np.nan, ROWS[1]
    found = JointNormal(CENTER, np.linalg.inv(COVARIANCE)).estimates(holes)
    expected = [conditional_means(CENTER, COVARIANCE, row) for row in holes]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    np.testing.assert_array_equal(found[1], ROWS[1])
    single = JointNormal(CENTER, np.linalg.inv(COVARIANCE)).estimates(holes.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=1e-4, atol=1e-5)


def test_whole_rows_have_their_own_covariance():
    normal = fitted_normal(ROWS)
    expected = np.cov(ROWS.T, bias=True)
    found = np.linalg.inv(normal.precision) - 1e-3 * np.diag(expected).mean() * np.eye(5)
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    np.testing.assert_allclose(normal.center, ROWS.mean(axis=0), rtol=1e-8)


@pytest.mark.slow
def test_em_reaches_the_maximum_of_the_likelihood(monkeypatch):
    """Where the second column alone has gaps it is a regression on the first (Anderson 1957)."""
    table = ROWS[:, :2].copy()
    table[table[:, 0] > CENTER[0] + 0.5 * np.sqrt(COVARIANCE[0, 0]), 1] = np.nan
    known = ~np.isnan(table[:, 1])
    slope, intercept = np.polyfit(table[known, 0], table[known, 1], 1)
    residuals = table[known, 1] - intercept - slope * table[known, 0]
    variance = table[:, 0].var()
    expected = [[variance, slope * variance]]
    expected.append([slope * variance, slope**2 * variance + np.mean(residuals**2)])
    monkeypatch.setattr(_imputation, "_N_STEPS", 500)
    monkeypatch.setattr(_imputation, "_RIDGE", 1e-12)
    normal = fitted_normal(table)
    np.testing.assert_allclose(np.linalg.inv(normal.precision), expected, rtol=1e-6)
    np.testing.assert_allclose(normal.center[1], intercept + slope * table[:, 0].mean(), rtol=1e-6)


def test_columns_without_spread_or_values_or_that_determine_each_other():
    """Some rows of X may have these where X itself has not."""
    table = np.column_stack([ROWS, ROWS[:, 0], np.full(600, 0.1), np.full(600, np.nan)])
    table[::3, 0] = np.nan
    found = fitted_normal(table).estimates(table)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[::3, 0], ROWS[::3, 0], atol=0.02)
    asked = np.array([[np.nan, 0, 0, 0, 0, 0, 5.0, 5.0]])
    without = np.array([[np.nan, 0, 0, 0, 0, 0, np.nan, np.nan]])
    normal = fitted_normal(table)
    np.testing.assert_allclose(normal.estimates(asked)[0, 0], normal.estimates(without)[0, 0])
    assert np.isfinite(fitted_normal(np.full((3, 2), np.nan)).precision).all()


def test_many_inputs_have_the_means_of_their_columns():
    wide = np.where(RNG.random((40, 200)) < 0.1, np.nan, RNG.random((40, 200)))
    normal = JointNormal(np.arange(200.0), None)
    expected = np.where(np.isnan(wide), np.arange(200.0), wide)
    np.testing.assert_array_equal(normal.estimates(wide), expected)
    model = AutoEncoder(4, max_iter=2, standardize=False).fit(wide)
    learned = imputation_of(model.model_, wide, None).normal
    assert learned.precision is None
    np.testing.assert_allclose(learned.center, np.nanmean(wide, axis=0), rtol=1e-6)
    assert np.isfinite(model.impute(wide)).all()


@pytest.mark.parametrize("base", [AutoEncoder, DenoisingAE])
def test_sums_of_columns_are_filled_in(base):
    parts = RNG.standard_normal((300, 4))
    whole = np.column_stack([parts, parts.sum(axis=1), parts @ [1, -1, 2, 0]])
    holes = np.random.default_rng(1).random(whole.shape) < 0.1
    holes &= np.cumsum(holes, axis=1) == 1
    filled = Imputer(base(30, max_iter=20, random_state=0)).fit_transform(
        np.where(holes, np.nan, whole)
    )
    errors = ((filled - whole) / whole.std(axis=0))[holes]
    assert np.sqrt(np.mean(errors**2)) < 0.1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_it_is_beside_the_iterative_imputer_where_columns_are_linear():
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    holes = np.random.default_rng(0).random(X.shape) < 0.2
    table = np.where(holes, np.nan, X)
    errors = [
        np.sqrt(np.mean((model.fit_transform(table) - X)[holes] ** 2))
        for model in (Imputer(random_state=0), IterativeImputer(random_state=0, max_iter=5))
    ]
    assert errors[0] < 1.05 * errors[1]


def test_units_do_not_matter():
    table = np.where(RNG.random(ROWS.shape) < 0.2, np.nan, ROWS)
    units, zeros = np.array([1000.0, 1, 1e-3, 20, 1e6]), np.array([5.0, -3, 0, 1, 1e6])
    imputer = Imputer(DenoisingAE(20, max_iter=20, random_state=0))
    found = imputer.fit_transform(table * units + zeros)
    expected = imputer.fit_transform(table) * units + zeros
    np.testing.assert_allclose((found - expected) / units, 0, atol=1e-4)


def test_a_row_of_weight_2_is_two_rows():
    table = np.where(RNG.random(ROWS.shape) < 0.2, np.nan, ROWS)[:80]
    weights = RNG.integers(1, 4, 80)
    found = fitted_normal(table, weights.astype(np.float32))
    expected = fitted_normal(np.repeat(table, weights, axis=0))
    np.testing.assert_allclose(found.center, expected.center, rtol=1e-10)
    np.testing.assert_allclose(found.precision, expected.precision, rtol=1e-8)
