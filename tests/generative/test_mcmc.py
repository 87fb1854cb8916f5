import warnings

import numpy as np
import pytest

from skae.generative._mcmc import hamiltonian, langevin

COVARIANCE = np.array([[2.0, 0.9, 0.0], [0.9, 1.0, -0.3], [0.0, -0.3, 0.5]])
MEAN = np.array([1.0, -2.0, 0.5])


def _gaussian(x):
    precision = np.linalg.inv(COVARIANCE).astype(x.dtype)
    deviations = x - MEAN.astype(x.dtype)
    pull = deviations @ precision
    return -(deviations * pull).sum(axis=1) / 2, -pull


def _two_modes(x):
    """Return the log density of 0.3 N(-1.2, 0.6^2) + 0.7 N(1.2, 0.6^2), and its gradient."""
    centers, shares = np.array([-1.2, 1.2]), np.array([0.3, 0.7])
    terms = shares * np.exp(-((x - centers) ** 2) / 0.72)
    pulls = (centers - x) / 0.36
    total = terms.sum(axis=1)
    return np.log(total), (terms * pulls).sum(axis=1, keepdims=True) / total[:, np.newaxis]


def _states(chain, burn_in):
    return np.concatenate([x for step, (x, _) in enumerate(chain) if step >= burn_in])


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("step_size", "n_leapfrog"), [(0.7, 1), (0.5, 4)])
def test_hamiltonian_has_the_moments_of_a_gaussian(step_size, n_leapfrog, dtype):
    start, rng = np.zeros((2000, 3), dtype), np.random.default_rng(0)
    samples = _states(hamiltonian(_gaussian, start, 250, step_size, n_leapfrog, rng), 50)
    assert samples.dtype == dtype
    np.testing.assert_allclose(samples.mean(axis=0), MEAN, atol=0.03)
    np.testing.assert_allclose(np.cov(samples, rowvar=False), COVARIANCE, atol=0.03)
    fourth = ((samples - MEAN) ** 4).mean(axis=0)
    np.testing.assert_allclose(fourth, 3 * np.diag(COVARIANCE) ** 2, rtol=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("step_size", "n_leapfrog"), [(0.9, 1), (0.5, 3)])
def test_hamiltonian_has_the_moments_of_two_modes(step_size, n_leapfrog):
    start, rng = np.zeros((4000, 1)), np.random.default_rng(0)
    samples = _states(hamiltonian(_two_modes, start, 300, step_size, n_leapfrog, rng), 100)
    assert samples.mean() == pytest.approx(0.4 * 1.2, abs=0.03)
    assert (samples**2).mean() == pytest.approx(1.2**2 + 0.36, rel=0.02)
    fourth = 1.2**4 + 6 * 1.2**2 * 0.36 + 3 * 0.36**2
    assert (samples**4).mean() == pytest.approx(fourth, rel=0.03)


def test_large_steps_are_rejected_and_small_ones_accepted():
    for step_size, low, high in ((0.05, 0.99, 1), (2.5, 0, 0.2)):
        chain = hamiltonian(
            _gaussian, np.zeros((500, 3)), 20, step_size, 3, np.random.default_rng(0)
        )
        shares = [accepted.mean() for _, accepted in chain]
        assert low <= np.mean(shares) <= high


def test_rejected_chains_stay():
    before = np.zeros((500, 3))
    for x, accepted in hamiltonian(_gaussian, before, 10, 1.0, 2, np.random.default_rng(0)):
        assert 0 < accepted.sum() < 500
        np.testing.assert_array_equal((x != before).any(axis=1), accepted)
        before = x


def test_diverging_trajectories_are_rejected_without_a_warning():
    def quartic(x):
        return -(x**4).sum(axis=1), -4 * x**3

    start = np.full((50, 2), 10.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        steps = list(hamiltonian(quartic, start, 3, 1.0, 10, np.random.default_rng(0)))
    for x, accepted in steps:
        assert not accepted.any()
        np.testing.assert_array_equal(x, start)


def test_gradients_are_kept():
    calls = []

    def counted(x):
        calls.append(len(x))
        return _gaussian(x)

    list(hamiltonian(counted, np.zeros((5, 3)), 7, 0.3, 4, np.random.default_rng(0)))
    assert calls == [5] * (1 + 7 * 4)


def test_one_leapfrog_step_proposes_a_step_of_langevin():
    start = np.random.default_rng(1).standard_normal((200, 3))
    adjusted, accepted = next(hamiltonian(_gaussian, start, 1, 0.8, 1, np.random.default_rng(0)))
    free = next(langevin(lambda x: _gaussian(x)[1], start, 1, 0.8**2, np.random.default_rng(0)))
    assert 0 < accepted.sum() < 200
    np.testing.assert_allclose(adjusted[accepted], free[accepted], rtol=1e-12)
    np.testing.assert_array_equal(adjusted[~accepted], start[~accepted])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_langevin_has_the_variance_of_its_step(dtype):
    variance, step_size = np.array([0.5, 2.0]), 0.6
    scale = variance.astype(dtype)
    start, rng = np.zeros((5000, 2), dtype), np.random.default_rng(0)
    states = list(langevin(lambda x: -x / scale, start, 300, np.float64(step_size), rng))
    samples = np.concatenate(states[100:])
    assert samples.dtype == dtype and not start.any()
    expected = variance / (1 - step_size / (4 * variance))
    np.testing.assert_allclose(samples.var(axis=0), expected, rtol=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_features", [1, 30])
def test_langevin_steps_are_told_to_be_too_large_beyond_four_variances(n_features, dtype):
    """Where the linear recursion, with the factor 1 - step_size / (2 variance), grows."""
    start, variance = np.zeros((100, n_features), dtype), dtype(0.25)

    def last(step_size):
        rng = np.random.default_rng(0)
        return list(langevin(lambda x: -x / variance, start, 60, step_size, rng))[-1]

    for factor in (1.0, 2.0, 3.0):
        assert np.abs(last(factor * 0.25)).max() < 10
    for factor in (5.0, 10.0):
        with pytest.warns(UserWarning, match="Lower step_size"):
            last(factor * 0.25)
