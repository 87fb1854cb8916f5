import numpy as np
import pytest
from scipy.linalg import sqrtm
from sklearn.datasets import load_digits

from skae import AutoEncoder, ContractiveAE, DenoisingAE, RecurrentAE, StackedAE
from skae.generative import ball_moments, local_moments, sample_local_moments
from skae.generative._moments import reconstruction_and_jacobian

X = load_digits().data[:100] / 16
GAUSSIAN = {"loss": "gaussian", "standardize": False, "random_state": 0}
ROOT = np.array([[1.0, 0.0, 0.0], [0.4, 0.5, 0.0], [-0.3, 0.2, 0.3]])
COVARIANCE, MEAN, SIGMA = ROOT @ ROOT.T, np.array([1.0, -2.0, 0.5]), 0.6
OPTIMUM = COVARIANCE @ np.linalg.inv(COVARIANCE + SIGMA**2 * np.eye(3))


def _optimal_denoiser(tied, dtype):
    """Return the linear denoiser of normal data: r(x) - x = -sigma^2 (S + sigma^2 I)^-1 (x - mean)."""
    noise = {"corruption": "gaussian", "corruption_level": SIGMA}
    options = {"activation": "identity", "tied_weights": tied, "max_iter": 1, **noise, **GAUSSIAN}
    data = np.random.default_rng(0).standard_normal((20, 3)).astype(dtype)
    model = DenoisingAE(3, **options).fit(data)
    if tied:
        model.components_[...] = sqrtm(OPTIMUM)
    else:
        model.components_[...], model.decoder_components_[...] = np.eye(3), OPTIMUM.T
    model.encoder_bias_[...] = 0
    model.decoder_bias_[...] = MEAN - OPTIMUM @ MEAN
    return model


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-4), (np.float64, 1e-9)])
@pytest.mark.parametrize("tied", [True, False])
def test_an_optimal_linear_denoiser_knows_the_covariance_of_normal_data(tied, dtype, rtol):
    points = np.random.default_rng(1).standard_normal((40, 3))
    mean, covariance = local_moments(_optimal_denoiser(tied, dtype), points)
    assert mean.dtype == covariance.dtype == dtype and covariance.shape == (40, 3, 3)
    np.testing.assert_allclose(covariance, np.tile(COVARIANCE, (40, 1, 1)), atol=rtol)
    score = -(points - MEAN) @ np.linalg.inv(COVARIANCE + SIGMA**2 * np.eye(3))
    np.testing.assert_allclose(mean - points, SIGMA**2 * score, atol=rtol)


@pytest.mark.slow
@pytest.mark.parametrize(("tied", "dtype"), [(True, np.float32), (False, np.float64)])
def test_chains_of_local_moments_have_the_distribution_of_normal_data(tied, dtype):
    model = _optimal_denoiser(tied, dtype)
    options = {"burn_in": 30, "thin": 15, "random_state": 0}
    samples = sample_local_moments(model, np.zeros((3000, 3)), 60, **options)
    assert samples.shape == (2, 3000, 3) and samples.dtype == dtype
    samples = samples.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(samples.mean(axis=0), MEAN, atol=0.06)
    np.testing.assert_allclose(np.cov(samples, rowvar=False), COVARIANCE, atol=0.06)


def test_chains_of_local_moments_refuse_other_losses():
    model = DenoisingAE(8, loss="bernoulli", max_iter=1).fit(X)
    with pytest.raises(ValueError, match="model must have loss='gaussian' in all columns"):
        sample_local_moments(model, X[:2])


def test_contraction_of_the_reconstruction_learns_the_covariance_of_normal_data():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((2000, 3)) @ ROOT.T
    options = {"activation": "identity", "tied_weights": False, "solver": "lbfgs", "tol": 1e-12}
    contracted = {"contracted": "reconstruction", "contraction": SIGMA**2 / 2, "max_iter": 2000}
    model = ContractiveAE(3, **options, **contracted, **GAUSSIAN).fit(data)
    _, covariance = local_moments(model, data[:5])
    sample = data.T @ data / len(data)
    np.testing.assert_allclose(covariance, np.tile(sample, (5, 1, 1)), atol=0.02)


def _circle(n_samples, rng):
    angles = rng.uniform(0, 2 * np.pi, n_samples)
    radii = 1 + 0.1 * rng.standard_normal(n_samples)
    return radii[:, np.newaxis] * np.column_stack([np.cos(angles), np.sin(angles)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:L-BFGS stopped")
def test_a_denoiser_of_a_circle_has_the_moments_of_its_points():
    rng, sigma = np.random.default_rng(0), 0.25
    noise = {"corruption": "gaussian", "corruption_level": sigma}
    widths = {"n_components": 20, "hidden_layer_sizes": (20,), "tied_weights": False}
    options = {"activation": "tanh", "solver": "lbfgs", "max_iter": 120, "tol": 1e-9, **GAUSSIAN}
    model = DenoisingAE(**widths, **options, **noise).fit(_circle(6000, rng))
    points, centers = _circle(50_000, rng), 1.1 * _circle(10, rng)
    mean, covariance = local_moments(model, centers)
    reach = np.linalg.norm(mean - centers, axis=1).mean()
    # Exactly: r = E[x | x~] and sigma^2 J = Cov[x | x~], where C0^-1 + sigma^-2 I is the inverse of sigma^2 J.
    squares = ((centers[:, np.newaxis] - points) ** 2).sum(axis=2)
    weights = np.exp(-squares / (2 * sigma**2))
    weights /= weights.sum(axis=1, keepdims=True)
    exact = weights @ points
    assert np.abs(mean - exact).max() < 0.3 * reach
    within = np.linalg.inv(np.linalg.inv(covariance) + np.eye(2) / sigma**2)
    exact_within = [np.cov(points, rowvar=False, aweights=w, ddof=0) for w in weights]
    assert np.abs(within - exact_within).max() < 0.15 * np.abs(exact_within).max()
    # Roughly, within balls that are as wide as the noise.
    ball_mean, ball_covariance = ball_moments(points, centers, sigma * 2)
    assert np.linalg.norm(mean - ball_mean, axis=1).max() < 0.4 * reach
    assert np.abs(within - ball_covariance).max() < 0.45 * np.abs(exact_within).max()


def _models():
    low = AutoEncoder(30, activation="tanh", max_iter=2, **GAUSSIAN)
    high = AutoEncoder(12, hidden_layer_sizes=(20,), max_iter=2, random_state=0)
    layers = [("low", low), ("high", high)]
    return {
        "tied": AutoEncoder(20, max_iter=5, **GAUSSIAN),
        "untied, three layers": AutoEncoder(
            10,
            hidden_layer_sizes=(30, 20),
            activation="softplus",
            tied_weights=False,
            max_iter=5,
            **GAUSSIAN,
        ),
        "stack": StackedAE(layers, random_state=0),
        "tuned stack": StackedAE(layers, fine_tune="reconstruction", max_iter=2, random_state=0),
    }


@pytest.mark.parametrize("name", _models())
def test_jacobians_are_finite_differences(name):
    model = _models()[name].fit(X)
    mean, jacobian = reconstruction_and_jacobian(model._network.views(model._params), X[:5])
    step = 1e-6 * np.eye(64)
    for x, r, exact in zip(X, mean, jacobian):
        np.testing.assert_allclose(r, model.reconstruct([x])[0], rtol=1e-10, atol=1e-12)
        numeric = (model.reconstruct(x + step) - model.reconstruct(x - step)).T / 2e-6
        assert np.abs(exact).max() > 1e-4
        np.testing.assert_allclose(exact, numeric, atol=1e-7 * np.abs(exact).max() + 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", _models())
def test_covariances_are_positive_and_bounded(name):
    model = _models()[name].fit(X)
    moments = local_moments(model, X[:40], 0.3, margin=0.01)
    np.testing.assert_allclose(moments.mean, model.reconstruct(X[:40]), rtol=1e-9)
    variances = np.linalg.eigvalsh(moments.covariance)
    assert variances.min() > -1e-12
    assert variances.max() <= 0.3**2 * 0.99 / 0.01 * (1 + 1e-9)
    (alone,) = local_moments(model, X[39:40], 0.3, margin=0.01).covariance
    np.testing.assert_allclose(alone, moments.covariance[39], atol=1e-12)


def test_eigenvalues_out_of_range_are_brought_into_it():
    model = _optimal_denoiser(False, np.float64)
    rotation = np.linalg.qr(ROOT)[0]
    for values in ([1.5, 0.5, -0.2], [1.0, 0.5, 0.0]):
        model.decoder_components_[...] = rotation * values @ rotation.T
        (covariance,) = local_moments(model, np.ones((1, 3)), 2.0, margin=0.1).covariance
        expected = 4 * rotation * [9, 1, 0] @ rotation.T
        np.testing.assert_allclose(covariance, expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_balls_are_those_of_brute_force(dtype):
    data = np.random.default_rng(0).standard_normal((300, 3)).astype(dtype)
    mean, covariance = ball_moments(data, data[:10], 1.2)
    assert mean.dtype == covariance.dtype == dtype
    for center, m, c in zip(data, mean, covariance):
        ball = data[np.linalg.norm(data - center, axis=1) <= 1.2]
        np.testing.assert_allclose(m, ball.mean(axis=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(c, np.cov(ball, rowvar=False), rtol=1e-4, atol=1e-6)


def test_balls_of_one_feature():
    mean, covariance = ball_moments([[0.0], [2.0], [9.0]], [[1.0]], 1.5)
    assert mean.tolist() == [[1.0]] and covariance.tolist() == [[[2.0]]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0}, "sigma must be a positive number"),
        ({"sigma": None}, "sigma must be given"),
        ({"margin": 0}, "margin must be between 0 and 1"),
        ({"margin": 1}, "margin must be between 0 and 1"),
        ({"X": np.full((2, 64), np.nan)}, "contains NaN"),
        ({"X": np.ones((2, 3))}, "X has 3 features"),
    ],
)
def test_bad_input(options, message):
    model = AutoEncoder(8, max_iter=1, loss="gaussian").fit(X)
    with pytest.raises(ValueError, match=message):
        local_moments(model, **{"X": X[:2], "sigma": 0.1, **options})


def test_models_without_moments():
    with pytest.raises(ValueError, match="model must have loss='gaussian' in all columns"):
        local_moments(AutoEncoder(8, max_iter=1, loss="bernoulli").fit(X), X[:2], 0.1)
    layers = [("low", AutoEncoder(8, max_iter=1)), ("high", AutoEncoder(6, max_iter=1))]
    with pytest.raises(TypeError, match="model must be feed-forward"):
        local_moments(RecurrentAE(layers, max_iter=1).fit(X), X[:2], 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, "radius must be a positive number"),
        ({"radius": 0.1}, "radius=0.1 leaves 1 rows of X in a ball"),
        ({"centers": [[50.0] * 64]}, "radius=5 leaves 0 rows of X in a ball"),
        ({"centers": [[np.nan] * 64]}, "centers contains NaN"),
        ({"X": [[np.inf] * 64]}, "contains infinity"),
    ],
)
def test_bad_balls(options, message):
    with pytest.raises(ValueError, match=message):
        ball_moments(**{"X": X, "centers": X[:3], "radius": 5, **options})
