"""Steps on the parameters of the centered machine, and what they are for: data of which many columns are on."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skae import RBM, StackedAE
from skae.boltzmann import DBM
from skae.nn.centering import CenteredSteps
from skae.nn.network import Network
from skae.training.solvers import SGD, Adam

rng = np.random.default_rng(0)
MEANS = np.array([0.9, 0.5, -2.0])
MASK = np.array([[1, 0, 1], [1, 1, 0.0]])


def loss(weights, bias, decoder_bias):
    """Return some smooth function of the parameters of 3 visible and 2 hidden units."""
    return np.sum(np.sin(weights + bias[:, None])) + (bias**2).sum() + np.cos(decoder_bias).sum()


def gradient(function, point):
    steps = 1e-6 * np.eye(point.size)
    return np.array([(function(point + e) - function(point - e)) / 2e-6 for e in steps])


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("solver", [SGD(momentum=0), SGD(momentum=0.9), Adam()])
def test_steps_are_those_on_the_centered_parameters(solver, mask):
    network = Network((3, 2), "sigmoid")
    connected = np.ones((2, 3)) if mask is None else mask
    flat = rng.standard_normal(network.size)
    views = network.views(flat)
    views.encoder_weights[0][...] *= connected

    def split(point):
        params = network.views(point)
        return params.encoder_weights[0], params.encoder_biases[0], params.decoder_biases[0]

    def of_centered(point):
        """The loss as a function of the weights, b + W mean and c."""
        weights, bias, decoder_bias = split(point)
        weights = weights * connected
        return loss(weights, bias - weights @ MEANS, decoder_bias)

    centered = flat.copy()
    split(centered)[1][...] += split(flat)[0] @ MEANS
    steps = CenteredSteps(solver, network, MEANS, mask)
    state, own_state = solver.start(flat), solver.start(centered)
    for _ in range(3):
        solver.step(centered, gradient(of_centered, centered), own_state, 0.1)
        plain = gradient(lambda point: loss(split(point)[0] * connected, *split(point)[1:]), flat)
        steps.step(flat, plain, state, 0.1)
        weights, bias, decoder_bias = split(centered)
        expected = weights, bias - weights @ MEANS, decoder_bias
        for got, part in zip(split(flat), expected):
            np.testing.assert_allclose(got, part, atol=1e-6)


def noisy_pictures(n_samples, share_on):
    """Return pictures of one of four bars of 5 x 20 pixels on noise of which a share is on, and the number of the bar."""
    y = rng.integers(0, 4, n_samples)
    X = (rng.random((n_samples, 20, 20)) < share_on).astype(np.float32)
    for number in range(4):
        X[y == number, 5 * number : 5 * number + 5] = 1
    return X.reshape(n_samples, -1), y


@pytest.mark.slow
@pytest.mark.parametrize(
    "Model",
    [
        lambda **options: RBM(30, **options),
        lambda **options: RBM(30, gradient="pcd", **options),
        lambda **options: DBM([("low", RBM(30, **options)), ("high", RBM(20))], **options),
        lambda **options: StackedAE([("low", RBM(30, **options)), ("high", RBM(20))]),
    ],
    ids=["contrastive divergence", "persistent chains", "deep machine", "stack"],
)
def test_codes_of_noisy_pictures_tell_classes_apart(Model):
    X, y = noisy_pictures(1000, 0.6)
    codes = Model(max_iter=40).set_params(random_state=0).fit(X).transform(X)
    assert (
        LogisticRegression(max_iter=300).fit(codes[:500], y[:500]).score(codes[500:], y[500:])
        > 0.95
    )


@pytest.mark.slow
def test_without_centering_units_turn_off():
    X, _ = noisy_pictures(1000, 0.6)
    with pytest.warns(UserWarning, match="codes of RBM"):
        machine = RBM(30, centered=False, random_state=0).fit(X)
    assert np.median(machine.transform(X).max(axis=0)) < 0.01


def test_auto_is_by_the_sum_of_the_means():
    many, _ = noisy_pictures(200, 0.6)
    few, _ = noisy_pictures(200, 0.05)
    for X, centered in ((many, True), (few, False)):
        options = {"n_components": 5, "max_iter": 2, "random_state": 0}
        codes = [RBM(centered=value, **options).fit_transform(X) for value in ("auto", centered)]
        np.testing.assert_array_equal(*codes)
        assert not np.array_equal(codes[0], RBM(centered=not centered, **options).fit_transform(X))


def test_gaussian_columns_of_mean_0_are_centered_already():
    X = rng.standard_normal((100, 4))
    codes = [
        RBM(3, centered=value, max_iter=3, random_state=0).fit_transform(X)
        for value in (True, False)
    ]
    np.testing.assert_allclose(*codes, atol=1e-6)


def test_layers_trained_at_once_are_centered():
    X, _ = noisy_pictures(300, 0.6)
    alone = RBM(6, centered=True, max_iter=3, random_state=0).fit(X)
    options = {"schedule": "simultaneous", "random_state": 0}
    layers = [("low", RBM(6, centered=True, max_iter=3, random_state=0))]
    stack = StackedAE(layers, **options).fit(X)
    plain = StackedAE([("low", layers[0][1].set_params(centered=False))], **options).fit(X)
    got = stack.layers_[0][1].components_
    np.testing.assert_allclose(got, alone.components_, atol=1e-5)
    assert not np.allclose(got, plain.layers_[0][1].components_, atol=1e-3)
