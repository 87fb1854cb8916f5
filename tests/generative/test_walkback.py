from itertools import product

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov
from sklearn.datasets import load_digits

from skae import PSD, AutoEncoder, DenoisingAE, StackedAE
from skae.generative import sample_walkback
from skae.nn.corruption import CORRUPTIONS

X = load_digits().data[:300] / 16
BITS = (X > 0.5).astype(float)
LINEAR = {"activation": "identity", "loss": "gaussian", "standardize": False, "random_state": 0}


def _linear_model(matrix, shift, dtype=np.float64, **noise):
    """Return a linear denoiser with r(x) = matrix x + shift."""
    width = len(matrix)
    data = np.random.default_rng(0).standard_normal((20, width)).astype(dtype)
    model = DenoisingAE(width, tied_weights=False, max_iter=1, **LINEAR, **noise).fit(data)
    model.components_[...], model.decoder_components_[...] = np.eye(width), matrix.T
    model.encoder_bias_[...], model.decoder_bias_[...] = 0, shift
    return model


MATRIX = np.array([[0.6, 0.2, 0.0], [-0.1, 0.7, 0.1], [0.0, 0.1, 0.5]])
SHIFT = np.array([1.0, 0.0, -0.5])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("output_noise", "dtype"),
    [(None, np.float32), (0.4, np.float64), ([0.1, 0.2, 0.5], np.float32)],
)
def test_chains_of_a_linear_denoiser_are_autoregressive(output_noise, dtype):
    model = _linear_model(MATRIX, SHIFT, dtype, corruption="gaussian", corruption_level=0.5)
    options = {"output_noise": output_noise, "burn_in": 30, "thin": 5, "random_state": 0}
    samples = sample_walkback(model, np.zeros((3000, 3)), 80, **options)
    assert samples.shape == (10, 3000, 3) and samples.dtype == dtype
    width = 0 if output_noise is None else np.array(output_noise)
    noise = 0.5**2 * MATRIX @ MATRIX.T + width**2 * np.eye(3)
    covariance = solve_discrete_lyapunov(MATRIX, noise)
    samples = samples.reshape(-1, 3).astype(float)
    mean = np.linalg.solve(np.eye(3) - MATRIX, SHIFT)
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(samples, rowvar=False), covariance, atol=0.02)


@pytest.mark.slow
def test_with_the_width_of_the_conditional_the_law_is_that_of_the_data():
    variance, noise = 2.0, 0.7
    share = variance / (variance + noise**2)
    model = _linear_model(share * np.eye(3), np.zeros(3), corruption="gaussian")
    options = {"corruption": "gaussian", "corruption_level": noise, "random_state": 0}
    right = {"output_noise": np.sqrt(noise**2 * share), "burn_in": 100, **options}
    samples = sample_walkback(model, np.zeros((2000, 3)), 110, **right)
    assert samples.var() == pytest.approx(variance, rel=0.03)
    narrow = sample_walkback(model, np.zeros((2000, 3)), 110, burn_in=100, **options)
    assert narrow.var() < 0.8 * variance


def _stationary(model, level):
    """Return the states of two bits and their stationary probabilities, by all masks and all draws."""
    states = np.array(list(product([0.0, 1.0], repeat=2)))
    transition = np.zeros((4, 4))
    for mask in states:
        chance = np.prod(np.where(mask, 1 - level, level))
        means = model.reconstruct(states * mask)[:, np.newaxis, :]
        transition += chance * np.prod(np.where(states, means, 1 - means), axis=2)
    values, vectors = np.linalg.eig(transition.T)
    stationary = np.real(vectors[:, np.argmax(np.real(values))])
    return states, stationary / stationary.sum()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_bits_have_the_law_of_their_transition_matrix(dtype):
    # All chains start alike, and are in four states ever after.
    data = np.array([[0, 0], [1, 1], [1, 1], [1, 0]] * 50, dtype)
    model = DenoisingAE(5, loss="bernoulli", learning_rate_init=0.1, random_state=0).fit(data)
    states, expected = _stationary(model, 0.3)
    options = {"burn_in": 20, "thin": 2, "random_state": 0}
    samples = sample_walkback(model, np.zeros((300, 2)), 140, **options).reshape(-1, 2)
    assert samples.dtype == dtype
    shares = [(samples == state).all(axis=1).mean() for state in states]
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(shares, expected, atol=0.015)


@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "gaussian"])
def test_equal_starts_get_different_noise(corruption):
    model = DenoisingAE(20, corruption=corruption, loss="gaussian", max_iter=2, random_state=0)
    samples = sample_walkback(model.fit(X), np.tile(X[:1], (40, 1)), 1, random_state=0)
    assert len(np.unique(samples[0], axis=0)) == 40


def test_a_group_has_one_of_its_columns():
    rng = np.random.default_rng(0)
    data = np.hstack([np.eye(3)[rng.choice(3, 400, p=[0.6, 0.3, 0.1])], rng.random((400, 2))])
    loss = [("multinomial", [0, 1, 2]), ("gaussian", [3]), ("bernoulli", [4])]
    for dtype in (np.float32, np.float64):
        model = DenoisingAE(5, loss=loss, max_iter=5, random_state=0).fit(data.astype(dtype))
        start = np.tile(data[:1], (4000, 1))
        options = {"corruption": _nothing, "output_noise": [9, 9, 9, 0.5, 9], "random_state": 0}
        (samples,) = sample_walkback(model, start, 1, **options)
        means = model.reconstruct(data[:1])[0]
        assert set(np.unique(samples[:, :3])) == {0, 1} == set(np.unique(samples[:, 4]))
        assert (samples[:, :3].sum(axis=1) == 1).all()
        np.testing.assert_allclose(samples.mean(axis=0), means, atol=0.03)
        assert samples[:, 3].std() == pytest.approx(0.5, rel=0.05)


def _nothing(X, seed, out):
    out[...] = X


def test_corruptions_come_from_the_model_or_the_caller():
    seeds = []

    def corruption(X, seed, out):
        seeds.append(int(seed))
        out[...] = 0

    model = DenoisingAE(8, corruption=corruption, loss="bernoulli", max_iter=1, random_state=0)
    model.fit(BITS)
    seeds.clear()
    options = {"corruption": "masking", "corruption_level": 1, "random_state": 0}
    # Equal rows are corrupted one by one, so that there are two draws of seeds for two of them.
    sample_walkback(model, BITS[[0, 0, 1]], 1, random_state=0)
    assert len(set(seeds)) == 2
    own = sample_walkback(model, BITS[:3], 1, random_state=0)
    np.testing.assert_array_equal(sample_walkback(model, BITS[:3], 1, **options), own)
    less = sample_walkback(model, BITS[:3], 1, **{**options, "corruption_level": 0})
    assert (less != own).any()


@pytest.mark.parametrize("name", ["masking", "swap"])
def test_one_hot_groups_are_corrupted_together_as_in_training(name):
    rng = np.random.default_rng(0)
    rows = np.hstack([np.eye(3)[rng.integers(3, size=50)] for _ in range(2)])
    model = DenoisingAE(4, corruption=name, max_iter=2, random_state=0).fit(rows)
    together = CORRUPTIONS[name](0.3, np.array([0, 0, 0, 3, 3, 3]))
    options = {"n_steps": 3, "random_state": 0}
    np.testing.assert_array_equal(
        sample_walkback(model, rows, **options),
        sample_walkback(model, rows, corruption=together, **options),
    )


def test_copies_of_a_row_take_values_of_the_other_chains():
    # r(x) = x, so that states are corrupted ones.
    model = _linear_model(np.eye(20), np.zeros(20), corruption="swap", corruption_level=1.0)
    one, other = np.zeros(20), np.ones(20)
    states = sample_walkback(model, np.stack([one, one, other, one]), 1, random_state=0)[0]
    np.testing.assert_array_equal(states[[0, 2]], [other, one])
    assert (states[[1, 3]].max(axis=1) == 1).all()
    with pytest.raises(ValueError, match="corruption='swap'.* give rows that differ in x0"):
        sample_walkback(model, np.stack([one, one]), 1)


def test_seeds_schedules_and_stacks():
    low = DenoisingAE(20, loss="bernoulli", max_iter=2)
    model = StackedAE([("low", low), ("high", AutoEncoder(8, max_iter=2))], random_state=0)
    model.fit(BITS)
    options = {"corruption": "salt_and_pepper", "corruption_level": 0.2}
    whole = sample_walkback(model, BITS[:5], 17, random_state=0, **options)
    assert set(np.unique(whole)) == {0, 1}
    again = sample_walkback(model, BITS[:5], 17, burn_in=4, thin=6, random_state=0, **options)
    np.testing.assert_array_equal(again, whole[[9, 15]])
    assert (sample_walkback(model, BITS[:5], 17, random_state=1, **options) != whole).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "corruption must be one of .* for a model that was trained without one.*sample_chain"),
        ({"corruption": "blur"}, "corruption must be one of"),
        ({"corruption": "masking"}, "corruption_level must be a number >= 0"),
        ({"corruption": "masking", "corruption_level": -1}, "corruption_level must be a number"),
        ({"corruption": "masking", "corruption_level": 2}, "corruption_level must be a fraction"),
        ({"corruption": _nothing, "output_noise": -1}, "output_noise must be a number >= 0"),
        ({"corruption": _nothing, "output_noise": [1, 2]}, "one for each of 64 features"),
        ({"corruption": _nothing, "output_noise": np.nan}, "output_noise must be a number >= 0"),
        ({"corruption": _nothing, "n_steps": 3, "thin": 4}, "n_steps must be at least"),
        ({"corruption": _nothing, "x0": np.full((2, 64), np.nan)}, "contains NaN"),
    ],
)
def test_bad_input(options, message):
    model = AutoEncoder(8, max_iter=1).fit(X)
    with pytest.raises(ValueError, match=message):
        sample_walkback(model, **{"x0": X[:2], **options})


def test_models_without_a_decoder():
    with pytest.raises(TypeError, match="model must be an auto-encoder with a decoder"):
        sample_walkback(PSD(8, max_iter=1).fit(X), X[:2])
