"""EnergyAE against finite differences, and against the known density of mixtures."""

import warnings
from functools import cache

import numpy as np
import pytest
from common import sklearn_checks
from scipy.special import logsumexp
from sklearn.datasets import load_wine
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAE, StackedAE
from skae.generative import EnergyAE
from skae.manifold import tangent_basis

rng = np.random.default_rng(0)
OPTIONS = {"standardize": False, "solver": "lbfgs", "max_iter": 500, "tol": 1e-7, "random_state": 0}


@pytest.mark.slow
@sklearn_checks(
    [EnergyAE(3, max_iter=5, solver=solver) for solver in ("adam", "lbfgs")],
    expected_failures=lambda estimator: (
        dict.fromkeys(
            [f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")],
            "minibatches of repeated and of weighted rows are not the same; exact with lbfgs",
        )
        if estimator.solver == "adam"
        else {}
    ),
)
def test_sklearn(estimator, check):
    check(estimator)


class Mixture:
    """Equal mixture of normal densities of the same width around ``centers``."""

    def __init__(self, centers, width):
        self.centers, self.width = np.array(centers, float), width

    def draw(self, n, rng=rng):
        centers = self.centers[rng.integers(len(self.centers), size=n)]
        return centers + self.width * rng.standard_normal(centers.shape)

    def log_density(self, X, noise):
        """Return the log density of the data with noise, up to a constant."""
        squares = ((X[:, None] - self.centers) ** 2).sum(axis=2)
        return logsumexp(-squares / (2 * (self.width**2 + noise**2)), axis=1)

    def score(self, X, noise):
        steps = self.centers - X[:, None]
        variance = self.width**2 + noise**2
        shares = np.exp(-(steps**2).sum(axis=2) / (2 * variance))
        shares /= shares.sum(axis=1, keepdims=True)
        return (shares[:, :, None] * steps).sum(axis=1) / variance


LINE = Mixture([[-1.5], [1.5]], 0.4)
PLANE = Mixture([[-1.5, -1.5], [1.5, -1.5], [-1.5, 1.5], [1.5, 1.5]], 0.3)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "identity"])
def test_score_field_is_minus_the_gradient(activation):
    X = rng.standard_normal((50, 3))
    model = EnergyAE(7, activation=activation, standardize=False, max_iter=3, random_state=0)
    model.fit(X)
    model.components_[...] = rng.standard_normal((7, 3))
    model.encoder_bias_[...] = rng.standard_normal(7)
    steps = 1e-6 * np.eye(3)
    numeric = [(model.energy(X - e) - model.energy(X + e)) / 2e-6 for e in steps]
    score = model.score_field(X) / model.noise**2
    np.testing.assert_allclose(score, np.transpose(numeric), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(model.score_samples(X), -model.energy(X))


def test_code_and_its_slopes():
    X = rng.standard_normal((6, 3))
    model = EnergyAE(4, noise=0.7, max_iter=3, random_state=0).fit(X)
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), model.reconstruct(X))
    steps = 1e-6 * np.eye(3)
    numeric = [(model.transform(X + e) - model.transform(X - e)) / 2e-6 for e in steps]
    jacobian = model.jacobian(X)
    np.testing.assert_allclose(jacobian, np.transpose(numeric, (1, 2, 0)), rtol=1e-5, atol=1e-9)
    expected = np.linalg.svd(jacobian, compute_uv=False)[:, :2]
    np.testing.assert_allclose(tangent_basis(model, X, 2).singular_values, expected, rtol=1e-5)


@cache
def _fitted(mixture, noise, dtype):
    # Few rows between the modes tell how much each of them weighs: the same rows in any order of the tests.
    X = mixture.draw(20_000, np.random.default_rng(0)).astype(dtype)
    return X, EnergyAE({LINE: 10, PLANE: 20}[mixture], noise=noise, **OPTIONS).fit(X)


@pytest.mark.slow
@pytest.mark.parametrize("mixture", [LINE, PLANE])
def test_density_of_a_mixture(mixture):
    """The log density is right to 0.15 nats (root mean square) where data are, and the score to 10%."""
    noise = 0.5
    _, model = _fitted(mixture, noise, np.float64)
    X = mixture.draw(2000)
    X += noise * rng.standard_normal(X.shape)
    differences = model.score_samples(X) - mixture.log_density(X, noise)
    assert differences.std() < 0.15
    score = mixture.score(X, noise)
    error = model.score_field(X) / noise**2 - score
    assert np.linalg.norm(error) < 0.1 * np.linalg.norm(score)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:L-BFGS stopped")
@pytest.mark.parametrize("mixture", [LINE, PLANE])
def test_score_of_a_denoising_autoencoder(mixture):
    """r(x) - x of a free decoder is noise^2 times the score, to 10% where data with noise are."""
    noise = 0.5
    options = {"corruption": "gaussian", "corruption_level": noise, "loss": "gaussian"}
    options = {**OPTIONS, **options, "max_iter": 200}
    model = DenoisingAE(40, tied_weights=False, **options).fit(
        mixture.draw(10_000, np.random.default_rng(0))
    )
    X = mixture.draw(2000)
    X += noise * rng.standard_normal(X.shape)
    score = mixture.score(X, noise)
    error = model.score_field(X) / noise**2 - score
    assert np.linalg.norm(error) < 0.1 * np.linalg.norm(score)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method, dtype", [("hmc", np.float64), ("hmc", np.float32), ("langevin", np.float64)]
)
def test_samples_have_the_moments(method, dtype):
    noise = 0.5
    X, model = _fitted(LINE, noise, dtype)
    step = {"hmc": None, "langevin": 0.02}[method]
    samples = model.sample(
        method=method, start=X[:2000], n_steps=50, step_size=step, random_state=0
    )
    assert samples.dtype == dtype
    variance = LINE.width**2 + noise**2
    np.testing.assert_allclose(samples.mean(), 0, atol=0.15)
    np.testing.assert_allclose(np.abs(samples).mean(), 1.5, atol=0.1)
    near = samples[samples > 1.5] - 1.5
    np.testing.assert_allclose((near**2).mean(), variance, rtol=0.1)
    options = {"start": X[:20], "n_steps": 5, "step_size": step, "random_state": 0}
    few = [model.sample(method=method, **options) for _ in range(2)]
    np.testing.assert_array_equal(*few)
    assert model.sample(3, n_steps=2, random_state=0).shape == (3, 1)


def test_noise_is_that_of_the_fit():
    X = rng.standard_normal((40, 3))
    model = EnergyAE(4, max_iter=3, random_state=0).fit(X)
    before = model.energy(X)
    model.set_params(noise=2.0, activation="relu")
    np.testing.assert_array_equal(model.energy(X), before)
    with pytest.raises(ValueError, match="noise"):
        model.set_params(activation="sigmoid").partial_fit(X)
    with pytest.raises(TypeError, match="layers"):
        StackedAE([("a", EnergyAE(4))]).fit(X)


@pytest.mark.parametrize(
    "arguments", [{"n_samples": 0}, {"method": "gibbs"}, {"step_size": -1.0}, {"n_steps": 0}]
)
def test_bad_requests(arguments):
    model = EnergyAE(3, max_iter=2).fit(rng.standard_normal((20, 2)))
    with pytest.raises(ValueError, match=next(iter(arguments))):
        model.sample(**arguments)


@pytest.mark.slow
@pytest.mark.parametrize("mixture", [LINE, PLANE])
def test_default_training_finds_the_score(mixture):
    """The score of 2000 rows is right to 20%, and nothing warns."""
    model = EnergyAE(standardize=False, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(mixture.draw(2000))
    X = mixture.draw(2000)
    X += model.noise * rng.standard_normal(X.shape)
    score = mixture.score(X, model.noise)
    error = model.score_field(X) / model.noise**2 - score
    assert np.linalg.norm(error) < 0.2 * np.linalg.norm(score)


@pytest.mark.slow
def test_samples_of_denser_places_than_the_data_are_told():
    """Samples without noise are nearer to the data than draws of a normal density, unless noise is too small."""
    data = StandardScaler().fit_transform(load_wine().data)
    normal = np.random.default_rng(0).multivariate_normal(np.zeros(13), np.cov(data.T), 100)
    nearest = NearestNeighbors(n_neighbors=1).fit(data)

    def distance(X):
        return nearest.kneighbors(X)[0].mean()

    narrow = EnergyAE(noise=0.2, random_state=0).fit(data)
    with pytest.warns(UserWarning, match="modes far from the data.*Raise noise, which is 0.2"):
        samples = narrow.sample(100, random_state=0)
    assert np.median(narrow.energy(samples)) < np.quantile(narrow.energy(data), 0.25)
    assert distance(narrow.reconstruct(samples)) > distance(normal)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide = EnergyAE(noise=1.0, random_state=0).fit(data)
        samples = wide.sample(100, random_state=0)
        assert (
            distance(wide.reconstruct(samples)) < 0.8 * distance(normal) < 0.8 * distance(samples)
        )
        narrow.sample(9, random_state=0)  # too few to tell
        narrow.partial_fit(data).sample(
            100, random_state=0
        )  # the energies are no longer those of fit
