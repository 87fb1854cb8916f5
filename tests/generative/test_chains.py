import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from skae import PSD, AutoEncoder, ContractiveAE, DenoisingAE, RecurrentAE, StackedAE
from skae._estimators.fitting import generator
from skae.generative import sample_chain, sample_langevin, sample_walkback

X = load_digits().data[:300] / 16
GAUSSIAN = {"loss": "gaussian", "standardize": False, "random_state": 0}


def _linear_model(dtype=np.float64):
    """Return a linear auto-encoder that shrinks, with r(x) = A x + a, and A and a."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((500, 4)) @ rng.standard_normal((4, 4)) + [1, 2, 0, -1]
    options = {"activation": "identity", "solver": "lbfgs", "weight_decay": 0.8, "max_iter": 500}
    model = AutoEncoder(3, **options, **GAUSSIAN).fit(data.astype(dtype))
    weights = model.components_.astype(float)
    matrix, shift = weights.T @ weights, weights.T @ model.encoder_bias_ + model.decoder_bias_
    assert 0.5 < np.linalg.norm(matrix, 2) < 0.99
    return model, matrix, shift


def assert_moments(samples, matrix, shift, noise):
    """Compare ``samples`` with the stationary law of x' = matrix x + shift + normal noise of that covariance."""
    samples = samples.reshape(-1, samples.shape[-1]).astype(float)
    covariance = solve_discrete_lyapunov(matrix, noise)
    mean = np.linalg.solve(np.eye(len(matrix)) - matrix, shift)
    scale = np.sqrt(np.trace(covariance))
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=0.03 * scale)
    np.testing.assert_allclose(np.cov(samples, rowvar=False), covariance, atol=0.03 * scale**2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("covariance", "power"), [("jacobian", 3), ("isotropic", 1), ("reconstruction", 2)]
)
def test_chains_of_a_linear_model_are_autoregressive(covariance, power, dtype):
    model, matrix, shift = _linear_model(dtype)
    options = {"sigma": 0.7, "covariance": covariance, "random_state": 0}
    samples = sample_chain(model, np.zeros((4000, 4)), 300, burn_in=200, thin=20, **options)
    assert samples.shape == (5, 4000, 4) and samples.dtype == dtype
    noise = 0.7**2 * np.linalg.matrix_power(matrix, power)
    assert_moments(samples, matrix, shift, noise)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_langevin_chains_of_a_linear_model_are_autoregressive(dtype):
    model, matrix, shift = _linear_model(dtype)
    sigma, step = 0.8, 0.5
    pull = step / (2 * sigma**2)
    options = {"step_size": step, "random_state": 0}
    start = np.zeros((4000, 4))
    samples = sample_langevin(model, start, 300, sigma, burn_in=200, thin=20, **options)
    assert samples.shape == (5, 4000, 4) and samples.dtype == dtype
    drift = np.eye(4) + pull * (matrix - np.eye(4))
    assert_moments(samples, drift, pull * shift, step * np.eye(4))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("loss", ["gaussian", "bernoulli"])
def test_codes_move_by_the_jacobian_times_its_transpose(loss, tied, dtype):
    options = {"tied_weights": tied, "standardize": False, "max_iter": 20, "random_state": 0}
    model = AutoEncoder(20, loss=loss, **options)
    model.fit(X.astype(dtype))
    x = X[:30].astype(dtype)
    samples = sample_chain(model, x, n_steps=3, sigma=0.5, random_state=1)
    rng = generator(1)
    for sample in samples:
        jacobian = model.jacobian(x).astype(float)
        noise = 0.5 * rng.standard_normal((30, 20), dtype)
        moves = (jacobian @ jacobian.transpose(0, 2, 1) @ noise[:, :, np.newaxis])[:, :, 0]
        assert np.abs(moves).max() > 0.01
        x = model.inverse_transform(model.transform(x) + moves)
        np.testing.assert_allclose(sample, x, atol=30 * np.finfo(dtype).eps)
        x = sample


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("loss", ["gaussian", "bernoulli"])
def test_noise_of_the_reconstruction_has_the_covariance_of_its_jacobian(loss, depth):
    options = {"standardize": False, "max_iter": 10, "random_state": 0}
    layers = [("low", AutoEncoder(6, loss=loss, **options)), ("high", AutoEncoder(4, **options))]
    data = X[:, 20:26]
    model = StackedAE(layers, random_state=0).fit(data) if depth == 2 else layers[0][1].fit(data)
    top = model.named_layers_.high if depth == 2 else model
    low = model.named_layers_.low.transform(data[:1]) if depth == 2 else data[:1]
    x = np.tile(data[:1], (40_000, 1))
    moved = sample_chain(model, x, 1, 1e-4, covariance="reconstruction", random_state=0)[0]
    codes = top.transform(low)
    still = top.inverse_transform(codes)
    if depth == 2:
        still = model.named_layers_.low.inverse_transform(still)

    def decode(h):
        means = top.inverse_transform(h)
        return model.named_layers_.low.inverse_transform(means) if depth == 2 else means

    step = 1e-6 * np.eye(codes.shape[1])
    decoder = (decode(codes + step) - decode(codes - step)) / 2e-6
    weights = top.components_
    inner = low * (1 - low) if depth == 1 and loss == "bernoulli" else 1.0
    if depth == 2:
        inner = low * (1 - low)
    root = np.sqrt(codes * (1 - codes)).T * weights * np.sqrt(inner)
    expected = decoder.T @ root @ root.T @ decoder
    found = np.cov((moved - still) / 1e-4, rowvar=False)
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


def _stack(fine_tune):
    layers = [
        ("low", ContractiveAE(30, max_iter=10, **GAUSSIAN)),
        ("high", AutoEncoder(12, hidden_layer_sizes=(20,), max_iter=10, random_state=0)),
    ]
    return StackedAE(layers, fine_tune=fine_tune, max_iter=3, random_state=0).fit(X)


def _sigmoid(a):
    return 1 / (1 + np.exp(-a))


@pytest.mark.parametrize("fine_tune", [None, "reconstruction"])
def test_chains_pass_through_all_layers(fine_tune):
    model = _stack(fine_tune)
    samples = sample_chain(model, X[:15], 4, 0.8, burn_in=1, random_state=2)
    params = model._network.views(model._params)
    up = list(zip(params.encoder_weights, params.encoder_biases))
    down = list(zip(params.decoder_weights, params.decoder_biases))[::-1]
    state, rng, expected = X[:15], generator(2), []
    for _ in range(4):
        codes, jacobian = state, np.eye(X.shape[1])
        for weights, bias in up:
            codes = _sigmoid(codes @ weights.T + bias)
            jacobian = (codes * (1 - codes))[:, :, np.newaxis] * (weights @ jacobian)
        noise = 0.8 * rng.standard_normal(codes.shape)
        state = codes + np.einsum("nij,nkj,nk->ni", jacobian, jacobian, noise)
        for weights, bias in down[:-1]:
            state = _sigmoid(state @ weights + bias)
        state = state @ down[-1][0] + down[-1][1]
        expected.append(state)
    np.testing.assert_allclose(samples, expected[1:], rtol=1e-9, atol=1e-12)


def test_of_layers_that_were_not_tuned_together_each_has_its_own_decoder():
    layers = [
        ("low", AutoEncoder(30, activation="tanh", max_iter=10, **GAUSSIAN)),
        ("high", AutoEncoder(12, max_iter=10, **GAUSSIAN)),
    ]
    model = StackedAE(layers, random_state=0).fit(X)
    low, high = model.named_layers_.low, model.named_layers_.high
    samples = sample_chain(model, X[:7], 3, 0.3, covariance="isotropic", random_state=3)
    rng, state, expected = generator(3), X[:7], []
    for _ in range(3):
        codes = high.transform(low.transform(state)) + 0.3 * rng.standard_normal((7, 12))
        state = low.inverse_transform(high.inverse_transform(codes))
        expected.append(state)
    np.testing.assert_allclose(samples, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("sample", [sample_chain, sample_langevin])
def test_seeds_and_schedules(sample):
    model = DenoisingAE(20, corruption="gaussian", max_iter=3, **GAUSSIAN).fit(X)
    whole = sample(model, X[:5], 23, random_state=0)
    np.testing.assert_array_equal(sample(model, X[:5], 23, random_state=0), whole)
    assert (sample(model, X[:5], 23, random_state=1) != whole).any()
    kept = sample(model, X[:5], 23, burn_in=4, thin=6, random_state=0)
    np.testing.assert_array_equal(kept, whole[[9, 15, 21]])
    assert not np.array_equal(whole[:, 0], whole[:, 1])


def test_equal_starts_go_apart():
    model = DenoisingAE(20, corruption="gaussian", max_iter=3, **GAUSSIAN).fit(X)
    for sample in (sample_chain, sample_langevin):
        last = sample(model, np.tile(X[:1], (10, 1)), 3, random_state=0)[-1]
        assert len(np.unique(last, axis=0)) == 10


def test_sigma_and_step_are_those_of_the_training():
    noisy = DenoisingAE(20, corruption="gaussian", corruption_level=0.2, max_iter=3, **GAUSSIAN)
    contracted = ContractiveAE(
        20, contracted="reconstruction", contraction=0.02, max_iter=3, **GAUSSIAN
    )
    for model in (noisy.fit(X), contracted.fit(X)):
        given = sample_langevin(model, X[:5], 9, 0.2, step_size=0.04, random_state=0)
        np.testing.assert_allclose(sample_langevin(model, X[:5], 9, random_state=0), given)


@pytest.mark.slow
@pytest.mark.usefixtures("few_epochs")
def test_noise_of_a_stack_is_that_of_its_fine_tuning():
    options = {"corruption": "gaussian", "corruption_level": 0.2, "max_iter": 2, "random_state": 0}
    tuned = StackedAE([20], fine_tune="reconstruction", **options).fit(X)
    given = sample_langevin(tuned, X[:5], 9, 0.2, random_state=0)
    np.testing.assert_array_equal(sample_langevin(tuned, X[:5], 9, random_state=0), given)
    options["corruption"] = "auto"
    for stack in (StackedAE([20], **(options | {"corruption": "gaussian"})),
                  StackedAE([20], fine_tune="reconstruction", **options)):  # fmt: skip
        with pytest.raises(ValueError, match="sigma must be given"):
            sample_langevin(stack.fit(X), X[:5])
        with pytest.raises(ValueError, match="corruption must be one of .*; got None"):
            sample_walkback(stack, X[:5])


@pytest.mark.slow
@pytest.mark.usefixtures("few_epochs")
def test_langevin_goes_by_whatever_reconstructs():
    layers = [("low", AutoEncoder(20, **GAUSSIAN)), ("high", AutoEncoder(10, random_state=0))]
    model = RecurrentAE(layers, max_iter=2, random_state=0).fit(X)
    samples = sample_langevin(model, X[:5], 1, 0.1, random_state=0)
    noise = generator(0).standard_normal((5, 64))
    expected = X[:5] + model.score_field(X[:5]) / 2 + 0.1 * noise
    np.testing.assert_allclose(samples[0], expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_steps": 0}, "n_steps must be an integer of at least 1"),
        ({"n_steps": 2.5}, "n_steps must be an integer of at least 1"),
        ({"thin": 0}, "thin must be an integer of at least 1"),
        ({"burn_in": -1}, "burn_in must be an integer of at least 0"),
        ({"burn_in": 96, "thin": 5}, "n_steps must be at least burn_in \\+ thin = 101"),
        ({"sigma": 0}, "sigma must be a positive number"),
        ({"sigma": np.nan}, "sigma must be a positive number"),
        ({"sigma": "large"}, "sigma must be a positive number"),
        ({"x0": np.ones((2, 3))}, "X has 3 features"),
        ({"x0": np.full((2, 64), np.nan)}, "contains NaN"),
    ],
)
@pytest.mark.parametrize("sample", [sample_chain, sample_langevin])
def test_bad_input(sample, options, message):
    model = AutoEncoder(8, max_iter=1).fit(X)
    with pytest.raises(ValueError, match=message):
        sample(model, **{"x0": X[:2], "sigma": 0.1, **options})


def test_bad_input_of_one_of_them():
    model = AutoEncoder(8, max_iter=1).fit(X)
    with pytest.raises(ValueError, match="covariance must be one of \\['isotropic', 'jacobian'"):
        sample_chain(model, X[:2], covariance="full")
    untied = AutoEncoder(8, tied_weights=False, max_iter=1).fit(X)
    with pytest.raises(ValueError, match="needs a model with tied_weights=True"):
        sample_chain(untied, X[:2], covariance="reconstruction")
    with pytest.raises(ValueError, match="step_size must be a positive number"):
        sample_langevin(model, X[:2], sigma=0.1, step_size=-1)
    with pytest.raises(
        ValueError, match="sigma must be given for a model that was trained without"
    ):
        sample_langevin(model, X[:2])
    with pytest.raises(ValueError, match="sigma must be given"):
        sample_langevin(DenoisingAE(8, corruption="masking", max_iter=1).fit(X), X[:2])


@pytest.mark.filterwarnings("error")
def test_a_chain_that_diverges_says_so():
    model = AutoEncoder(8, activation="identity", max_iter=1).fit(X)
    with pytest.raises(ValueError, match="chain diverged .*: take a smaller step_size"):
        sample_langevin(model, X[:2], 200, sigma=0.1, step_size=1e9)


def test_models_that_have_no_chain():
    layers = [("low", AutoEncoder(8, max_iter=1)), ("high", AutoEncoder(6, max_iter=1))]
    supervised = StackedAE(layers, fine_tune="supervised", max_iter=1)
    supervised.fit(X, load_digits().target[:300])
    for model in (PSD(8, max_iter=1).fit(X), supervised):
        for sample in (sample_chain, sample_langevin):
            with pytest.raises(TypeError, match="model must be an auto-encoder with a decoder"):
                sample(model, X[:2], 3, 0.1)
    with pytest.raises(TypeError, match="model must be feed-forward"):
        sample_chain(RecurrentAE(layers, max_iter=1).fit(X), X[:2])
    with pytest.raises(NotFittedError):
        sample_chain(AutoEncoder(8), X[:2])
