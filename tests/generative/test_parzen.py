import tracemalloc
from functools import cache

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.neighbors import KernelDensity

from skae.generative import parzen_comparison, parzen_log_likelihood
from skae.generative._parzen import _baselines

SAMPLES = np.random.default_rng(0).standard_normal((300, 5)) * [1, 2, 0.5, 1, 3] + 1
X_TEST, X_VALIDATION = np.random.default_rng(1).standard_normal((2, 130, 5)) * [1, 2, 0.5, 1, 3] + 1


def _log_densities(samples, X, sigma):
    squares = ((X[:, np.newaxis] - samples) ** 2).sum(axis=2)
    log_constant = np.log(len(samples)) + X.shape[1] * np.log(sigma * np.sqrt(2 * np.pi))
    return logsumexp(-squares / (2 * sigma**2), axis=1) - log_constant


@pytest.mark.parametrize("sigma", [0.05, 0.7, 20])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 2e-5), (np.float64, 1e-10)])
def test_log_densities_are_those_of_the_formula(sigma, dtype, rtol):
    samples, X = SAMPLES.astype(dtype), X_TEST.astype(dtype)
    likelihood = parzen_log_likelihood(samples, X, sigma)
    expected = _log_densities(samples.astype(np.float64), X.astype(np.float64), sigma)
    assert likelihood.log_likelihoods.dtype == np.float64
    np.testing.assert_allclose(likelihood.log_likelihoods, expected, rtol=rtol)
    assert likelihood.mean == pytest.approx(expected.mean(), rel=rtol)
    assert likelihood.standard_error == pytest.approx(expected.std(ddof=1) / 130**0.5, rel=1e-4)
    assert likelihood.sigma == sigma


def test_log_densities_are_those_of_scikit_learn():
    density = KernelDensity(kernel="gaussian", bandwidth=0.4).fit(SAMPLES)
    likelihood = parzen_log_likelihood(SAMPLES, X_TEST, 0.4)
    np.testing.assert_allclose(likelihood.log_likelihoods, density.score_samples(X_TEST), rtol=1e-9)


@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 0.05), (np.float64, 1e-7)])
def test_data_far_from_the_origin(dtype, atol):
    samples, X = (SAMPLES + 5000).astype(dtype), (X_TEST + 5000).astype(dtype)
    expected = _log_densities(samples.astype(np.float64), X.astype(np.float64), 0.5)
    values = parzen_log_likelihood(samples, X, 0.5).log_likelihoods
    np.testing.assert_allclose(values, expected, atol=atol)


def test_far_data_underflow_to_no_infinity():
    X = X_TEST + 1000
    values = parzen_log_likelihood(SAMPLES, X, 0.1).log_likelihoods
    np.testing.assert_allclose(values, _log_densities(SAMPLES, X, 0.1), rtol=1e-10)
    assert (values < -1e8).all()


@pytest.mark.slow
@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_and_threads_change_rounding_only(order, dtype):
    samples = SAMPLES[np.argsort(SAMPLES[:, 4])][order].astype(dtype)
    X = X_TEST.astype(dtype)
    whole = parzen_log_likelihood(samples, X, 0.2, n_jobs=1)
    rtol = 1e-4 if dtype == np.float32 else 1e-11
    for block_size in (1, 7, 64, 130, 299):
        blocks = parzen_log_likelihood(samples, X, 0.2, n_jobs=2, block_size=block_size)
        np.testing.assert_allclose(blocks.log_likelihoods, whole.log_likelihoods, rtol=rtol)
    threads = parzen_log_likelihood(samples, X, 0.2, n_jobs=2, block_size=7).log_likelihoods
    alone = parzen_log_likelihood(samples, X, 0.2, n_jobs=1, block_size=7).log_likelihoods
    np.testing.assert_array_equal(threads, alone)


def test_memory_is_that_of_the_data_and_some_blocks():
    samples, X = np.random.default_rng(0).standard_normal((2, 4000, 10), np.float32)
    parzen_log_likelihood(samples[:10], X[:10], 0.5)
    tracemalloc.start()
    parzen_log_likelihood(samples, X, 0.5, n_jobs=2, block_size=256)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3e6


def test_a_sequence_of_sigmas_is_chosen_from_by_validation():
    sigmas = [0.1, 0.4, 0.8, 3]
    means = [_log_densities(SAMPLES, X_VALIDATION, sigma).mean() for sigma in sigmas]
    likelihood = parzen_log_likelihood(SAMPLES, X_TEST, sigmas, X_validation=X_VALIDATION)
    assert likelihood.sigma == sigmas[np.argmax(means)]
    alone = parzen_log_likelihood(SAMPLES, X_TEST, likelihood.sigma)
    np.testing.assert_allclose(likelihood.log_likelihoods, alone.log_likelihoods, rtol=1e-12)
    one = parzen_log_likelihood(SAMPLES, X_TEST, [3])
    assert one.sigma == 3


@cache
def _best_sigma():
    grid = np.logspace(-2, 1, 301)
    return grid[np.argmax([_log_densities(SAMPLES, X_VALIDATION, each).mean() for each in grid])]


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_search_finds_the_best_sigma_at_any_scale(scale, dtype):
    samples, X, held_out = (
        (scale * each).astype(dtype) for each in (SAMPLES, X_TEST, X_VALIDATION)
    )
    likelihood = parzen_log_likelihood(samples, X, X_validation=held_out)
    assert likelihood.sigma == pytest.approx(scale * _best_sigma(), rel=0.05)


def test_search_warns_at_its_ends():
    with pytest.warns(UserWarning, match="rows that X_validation shares with samples"):
        parzen_log_likelihood(SAMPLES, X_TEST, X_validation=SAMPLES)


@pytest.mark.slow
def test_comparison_is_with_training_data_and_k_means():
    rng = np.random.default_rng(0)
    X_train, X_test, X_validation = rng.standard_normal((3, 800, 4))
    models = {"good": rng.standard_normal((40, 4)), "bad": rng.standard_normal((40, 4)) + 2}
    options = {"random_state": 0, "n_jobs": 1}
    table = parzen_comparison(models, X_train, X_test, X_validation, **options)
    assert list(table) == ["good", "bad", "training data", "k-means"]
    assert table["bad"].mean < table["training data"].mean < table["k-means"].mean
    for name, baseline in _baselines(X_train, 40, 0).items():
        again = parzen_log_likelihood(baseline, X_test, X_validation=X_validation)
        assert again.mean == pytest.approx(table[name].mean, rel=1e-9)
    repeated = parzen_comparison(models["bad"], X_train, X_test, X_validation, **options)
    assert list(repeated) == ["samples", "training data", "k-means"]
    assert repeated["k-means"].mean == table["k-means"].mean
    assert repeated["samples"].mean == table["bad"].mean


@pytest.mark.slow
def test_baselines_are_rows_and_centers_of_the_training_data():
    few = _baselines(SAMPLES, 40, 0)
    rows = {tuple(row) for row in SAMPLES}
    drawn = {tuple(row) for row in few["training data"]}
    assert len(drawn) == 40 and drawn <= rows
    assert few["k-means"].shape == (40, 5)
    many = _baselines(SAMPLES, 1000, 0)
    assert {tuple(row) for row in many["training data"]} == rows
    assert many["k-means"].shape == (150, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0}, "sigma must be positive"),
        ({"sigma": [1, -1], "X_validation": X_VALIDATION}, "sigma must be positive"),
        ({"sigma": np.inf}, "sigma must be positive"),
        ({"sigma": np.nan}, "sigma must be positive"),
        ({"sigma": "auto"}, "sigma must be a number, some numbers or 'cv'"),
        ({"sigma": []}, "sigma must be a number, some numbers or 'cv'"),
        ({"sigma": [[1, 2]]}, "sigma must be a number, some numbers or 'cv'"),
        ({}, "X_validation must be given"),
        ({"sigma": [1, 2]}, "X_validation must be given"),
        ({"X_validation": X_VALIDATION[:, :3]}, "X_validation must have the 5 features of samples"),
        ({"X_test": X_TEST[:, :3], "sigma": 1}, "X_test must have the 5 features of samples"),
        ({"X_test": X_TEST[:1], "sigma": 1}, "X_test must have two rows or more"),
        ({"X_test": np.full((3, 5), np.nan), "sigma": 1}, "X_test contains NaN"),
        ({"samples": np.full((3, 5), np.nan), "sigma": 1}, "samples contains NaN"),
        ({"samples": np.ones((3, 5)), "X_validation": X_VALIDATION}, "samples must differ"),
        ({"block_size": 0, "sigma": 1}, "block_size == 0, must be >= 1"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        parzen_log_likelihood(**{"samples": SAMPLES, "X_test": X_TEST, **options})


@pytest.mark.parametrize("samples", [{}, {"k-means": SAMPLES}])
def test_bad_names_in_a_comparison(samples):
    with pytest.raises(ValueError, match="samples must be an array, or a dict"):
        parzen_comparison(samples, X_TEST, X_TEST, X_VALIDATION)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("power", [-600, 600])
def test_samples_beyond_the_range_of_squares_are_to_be_scaled(power):
    rows = np.ldexp(np.random.default_rng(0).standard_normal((3, 20, 4)), power)
    with pytest.raises(ValueError, match="Log-densities are not finite .* scale samples and data"):
        parzen_log_likelihood(rows[0], rows[1], X_validation=rows[2])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("power", [-300, 300])
def test_the_chosen_sigma_has_the_unit_of_samples(power):
    rows = np.random.default_rng(0).standard_normal((3, 60, 4))
    usual = parzen_log_likelihood(rows[0], rows[1], X_validation=rows[2])
    samples, test, validation = np.ldexp(rows, power)
    scaled = parzen_log_likelihood(samples, test, X_validation=validation)
    np.testing.assert_allclose(np.ldexp(scaled.sigma, -power), usual.sigma, rtol=1e-9)
    # A density of x = 2^p u is that of u, times 2^-p for each of four columns.
    np.testing.assert_allclose(scaled.mean, usual.mean - 4 * power * np.log(2), rtol=1e-9)
