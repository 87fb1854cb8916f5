"""Answers that are known exactly."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import AutoEncoder, ContractiveAE, DenoisingAE
from skae.training import LBFGS


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_linear_autoencoder_is_pca(tied):
    X = load_digits().data[:300] / 16
    model = AutoEncoder(
        3,
        activation="identity",
        loss="gaussian",
        standardize=False,
        tied_weights=tied,
        solver=LBFGS(n_corrections=50),
        max_iter=5000,
        tol=1e-13,
        random_state=0,
    ).fit(X)
    pca = PCA(3).fit(X)
    residual = X - pca.inverse_transform(pca.transform(X))
    expected = 0.5 * np.mean(np.sum(residual**2, axis=1))
    assert -model.score(X) == pytest.approx(expected, rel=1e-6)


def _gaussian_data(n_samples):
    """Return data whose sample mean and covariance are exactly 0 and ``covariance``."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_samples, 4))
    X -= X.mean(axis=0)
    X = X @ np.linalg.inv(np.linalg.cholesky(X.T @ X / n_samples)).T
    root = 0.3 * rng.standard_normal((4, 4)) + np.eye(4)
    return X @ root.T, root @ root.T


LINEAR = {
    "activation": "identity",
    "loss": "gaussian",
    "standardize": False,
    "tied_weights": False,
    "solver": "lbfgs",
    "max_iter": 2000,
    "tol": 1e-12,
    "random_state": 0,
}


def _assert_score_of_the_smoothed_density(model, X, covariance, sigma):
    smoothed = covariance + sigma**2 * np.eye(4)
    expected = covariance @ np.linalg.inv(smoothed)
    jacobian = model.decoder_components_.T @ model.components_
    assert np.linalg.norm(jacobian - expected) < 1e-2 * np.linalg.norm(expected)
    field, score = model.score_field(X), -(sigma**2) * X @ np.linalg.inv(smoothed)
    assert np.linalg.norm(field - score) < 1e-2 * np.linalg.norm(score)


@pytest.mark.slow
def test_linear_denoising_gives_the_score_of_the_smoothed_density():
    X, covariance = _gaussian_data(200_000)
    noise = {"corruption": "gaussian", "corruption_level": 0.8}
    model = DenoisingAE(4, **LINEAR, **noise, batch_size=20_000).fit(X)
    _assert_score_of_the_smoothed_density(model, X[:1000], covariance, 0.8)


def test_linear_contraction_of_the_reconstruction_has_the_optimum_of_denoising():
    X, covariance = _gaussian_data(2000)
    model = ContractiveAE(4, **LINEAR, contracted="reconstruction", contraction=0.8**2 / 2).fit(X)
    _assert_score_of_the_smoothed_density(model, X, covariance, 0.8)


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [AutoEncoder, ContractiveAE])
def test_three_hidden_layers_reconstruct_better_than_pca(estimator):
    X = load_digits().data
    deep = estimator(4, hidden_layer_sizes=(100, 50, 25), random_state=0).fit(X)
    pca = PCA(4).fit(X)
    expected = np.sum((X - pca.inverse_transform(pca.transform(X))) ** 2)
    assert np.sum((X - deep.reconstruct(X)) ** 2) < expected


def test_score_in_the_units_of_X():
    data, _ = _gaussian_data(500)
    X = data * [1, 10, 0.1, 100] + [0, 5, -1, 300]
    options = {**LINEAR, "standardize": "columns"}
    model = ContractiveAE(4, **options, contracted="reconstruction", contraction=0.8**2 / 2).fit(X)
    smoothed = np.cov(X.T, bias=True) + np.diag((0.8 * model.scale_) ** 2)
    expected = -(X - X.mean(axis=0)) @ np.linalg.inv(smoothed)
    found = model.score_field(X) / (0.8 * model.scale_) ** 2
    for column, exact in zip(found.T, expected.T):
        assert np.linalg.norm(column - exact) < 1e-2 * np.linalg.norm(exact)
