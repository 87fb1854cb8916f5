"""Parameters drawn given data, data drawn given parameters, and the energy of both."""

import pickle
import warnings

import numpy as np
import pytest
import scipy.sparse
from common import sklearn_checks
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from skae import AutoEncoder, ContractiveAE, DenoisingAE, StackedAE
from skae.generative import JointEnergy
from skae.generative._adaptation import AdaptiveChains
from skae.generative._diagnostics import diagnose
from skae.generative._posterior import Posterior
from skae.nn.losses import Gaussian, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.training.loop import Problem

X = load_digits().data[:200] / 16
SHORT = {"n_draws": 3, "burn_in": 3, "thin": 2, "random_state": 0}
SMALL = {"max_iter": 3, "random_state": 0}


def _fitted(base=None, data=X, **options):
    model = JointEnergy(base or AutoEncoder(6, **SMALL), **{**SHORT, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(data)


@pytest.fixture
def short_trajectories(monkeypatch):
    """Take at most 4 steps of a trajectory, in place of 32."""
    monkeypatch.setattr("skae.generative._adaptation._MAX_LEAPFROG", 4)


@pytest.mark.slow
@sklearn_checks(
    [JointEnergy(ContractiveAE(3, max_iter=3), n_draws=2, burn_in=1, thin=1, n_chains=2)]
)
@pytest.mark.usefixtures("short_trajectories")
def test_sklearn(estimator, check):
    check(estimator)


# The law of the parameters.


def _collinear_regression(seed=0, n_rows=60):
    """Return rows of which two columns are nearly one, and targets: along their difference only the prior tells."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, 4))
    x[:, 3] = x[:, 0] + 1e-3 * rng.standard_normal(n_rows)
    return x, x @ rng.standard_normal((4, 2)) + 0.3 * rng.standard_normal((n_rows, 2))


def _linear_posterior(x, counts, temperature, prior_scale):
    """Return the covariance of the weights and the bias of one output of a linear network."""
    wide = np.column_stack([x, np.ones(len(x))])
    precision = (wide.T * counts) @ wide / temperature + np.eye(5) / prior_scale**2
    return wide, np.linalg.inv(precision)


@pytest.mark.slow
@pytest.mark.parametrize(("weighted", "dtype"), [(False, np.float64), (True, np.float32)])
def test_default_chains_have_the_posterior_of_a_linear_network(weighted, dtype):
    """In every direction, of which the widest has a standard deviation over 100 times that of the narrowest."""
    x, y = _collinear_regression()
    counts = np.random.default_rng(1).integers(1, 4, len(x)) if weighted else np.ones(len(x))
    temperature, prior_scale = 0.05, 3.0
    wide, covariance = _linear_posterior(x, counts, temperature, prior_scale)
    network = Network((4, 2), "identity", decoder=None)
    objective = Objective(network, Reconstruction([Gaussian(np.arange(2))]))
    weights = counts.astype(dtype) if weighted else None
    problem = Problem(objective, x.astype(dtype), weights, y.astype(dtype))
    posterior = Posterior(problem, counts.sum(), temperature, prior_scale, seed=0)
    model, rng = JointEnergy(), np.random.default_rng(0)
    chains = AdaptiveChains(posterior, np.zeros((model.n_chains, network.size)), rng)
    for _ in chains.burn_in(model.burn_in):
        pass
    draws = np.array([chains.x for _ in chains.draws(model.n_draws // model.n_chains)])
    assert diagnose(draws).r_hat.max() < 1.1
    draws = draws.reshape(-1, network.size)
    deviations, directions = np.linalg.eigh(covariance)
    deviations = np.sqrt(deviations)
    assert deviations.max() > 100 * deviations.min()
    for output in range(2):
        theta = np.column_stack([draws[:, 4 * output : 4 * output + 4], draws[:, 8 + output]])
        mean = covariance @ (wide.T * counts) @ y[:, output] / temperature
        along = (theta - mean) @ directions / deviations
        np.testing.assert_allclose(along.std(axis=0), 1, atol=0.1)
        np.testing.assert_allclose(along.mean(axis=0), 0, atol=0.15)


@pytest.mark.slow
def test_directions_that_data_do_not_tell_of_have_the_width_of_the_prior():
    """Where x is 0 the weights of the encoder are normal with ``prior_scale``, whatever the others are."""
    prior_scale = 2.0
    base = AutoEncoder(1, activation="identity", loss="gaussian", tied_weights=False, **SMALL)
    base.set_params(standardize=False)
    model = JointEnergy(base, prior_scale=prior_scale, temperature=100.0, random_state=0)
    model.fit(np.zeros((20, 3)))
    weights = model.draws_[:, :3]
    np.testing.assert_allclose(weights.std(axis=0), prior_scale, rtol=0.1)
    np.testing.assert_allclose(np.cov(weights.T) / prior_scale**2, np.eye(3), atol=0.2)


def test_gradient_of_the_posterior():
    data = np.random.default_rng(0).uniform(0.1, 0.9, (7, 3))
    base = ContractiveAE(2, loss="bernoulli", contraction=0.3, **SMALL).fit(data)
    objective = base.objective(base.model_.network, base.model_.units)
    problem = Problem(objective, base.model_.scaling.rows(data))
    posterior = Posterior(problem, 7, 0.3, 0.8, seed=0, batch_size=3)
    theta = np.random.default_rng(1).standard_normal((2, base.model_.flat.size))
    numeric = _differences(lambda rows: posterior(rows)[0], theta)
    values, gradients = posterior(theta)
    np.testing.assert_allclose(gradients, numeric, rtol=1e-6, atol=1e-6)
    losses = [objective_mean(base, flat, data) for flat in theta]
    expected = -7 * np.array(losses) / 0.3 - np.square(theta).sum(axis=1) / (2 * 0.8**2)
    np.testing.assert_allclose(values, expected)
    assert posterior.objective(theta, values) == pytest.approx(np.mean(losses))


def objective_mean(base, flat, data):
    """Return the loss and the contraction of a fitted ``base`` at other parameters."""
    copied = pickle.loads(pickle.dumps(base))
    copied._params[:] = flat
    x = copied.model_.scaling.apply(data)
    codes = copied.transform(data)
    slopes = (codes * (1 - codes))[:, :, None] * copied.components_
    r = np.clip(copied.reconstruct(data), 1e-12, 1 - 1e-12)
    losses = -(data * np.log(r) + (1 - data) * np.log(1 - r)).sum(axis=1)
    assert np.array_equal(x, data)
    return np.mean(losses + 0.3 * np.square(slopes).sum(axis=(1, 2)))


# How far chains have come.


def _autoregression(rho, n_steps, n_chains, n_numbers, rng):
    """Return chains x <- rho x + sqrt(1 - rho^2) e, which begin in their law."""
    x = rng.standard_normal((n_chains, n_numbers))
    out = np.empty((n_steps, n_chains, n_numbers))
    for place in out:
        place[...] = x
        x = rho * x + np.sqrt(1 - rho**2) * rng.standard_normal(x.shape)
    return out


@pytest.mark.parametrize("rho", [-0.3, 0.0, 0.5, 0.9, 0.97])
def test_effective_sample_size_of_an_autoregression(rho):
    """It is n (1 - rho) / (1 + rho): the variance of a mean is that over so many draws."""
    draws = _autoregression(rho, 4000, 4, 50, np.random.default_rng(0))
    sizes, r_hats = diagnose(draws)
    expected = 16_000 * (1 - rho) / (1 + rho)
    assert np.median(sizes) == pytest.approx(expected, rel=0.12)
    np.testing.assert_allclose(sizes, expected, rtol=0.4)
    assert r_hats.max() < 1.1


def test_r_hat_of_chains_that_stay_apart():
    """With means m apart and variance 1 it is sqrt(1 + var(m)); a chain that drifts differs from itself."""
    rng, n_steps = np.random.default_rng(0), 20_000
    draws = rng.standard_normal((n_steps, 4, 3))
    apart = np.array([-1.5, -0.5, 0.5, 1.5])
    draws[:, :, 1] += apart[np.newaxis]
    draws[:, :, 2] += np.where(np.arange(n_steps) < n_steps / 2, -1, 1)[:, np.newaxis]
    sizes, r_hats = diagnose(draws)
    expected = [1, np.sqrt(1 + np.repeat(apart, 2).var(ddof=1)), np.sqrt(1 + 8 / 7)]
    np.testing.assert_allclose(r_hats, expected, rtol=0.01)
    assert sizes[0] > 50_000 and sizes[1:].max() < 20


def test_what_draws_cannot_tell():
    sizes, r_hats = diagnose(np.ones((3, 2, 5)))
    assert (sizes == 0).all() and np.isinf(r_hats).all()
    stuck = np.ones((10, 2, 2))
    stuck[:, 1, 1] = 2
    sizes, r_hats = diagnose(stuck)
    assert sizes[0] == 20 and r_hats[0] == 1
    assert sizes[1] < 4 and np.isinf(r_hats[1])


def test_blocks_of_numbers_change_nothing(monkeypatch):
    draws = _autoregression(0.5, 50, 3, 12, np.random.default_rng(0)).reshape(50, 3, 3, 4)
    whole = diagnose(draws)
    monkeypatch.setattr("skae.generative._diagnostics._BLOCK", 5)
    for part, expected in zip(diagnose(draws), whole):
        assert part.shape == (3, 4)
        np.testing.assert_allclose(part, expected)


@pytest.mark.slow
@pytest.mark.usefixtures("short_trajectories")
def test_chains_that_have_not_mixed_are_told():
    base = AutoEncoder(3, **SMALL)
    with pytest.warns(ConvergenceWarning, match="n_draws=3 of n_chains=4 are too few"):
        model = JointEnergy(base, **SHORT).fit(FEATURES)
    assert np.isinf(model.r_hat_).all() and (model.effective_sample_size_ == 0).all()
    slow = {"n_draws": 100, "burn_in": 1, "step_size": 1e-3, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="have not mixed in .*Raise burn_in and n_draws"):
        model = JointEnergy(base, prior_scale=100.0, **slow).fit(FEATURES)
    assert model.r_hat_.max() > 1.1 and model.effective_sample_size_.min() < 50
    sizes, r_hats = model.diagnose(FEATURES)
    assert sizes.shape == r_hats.shape == FEATURES.shape
    each = np.array(list(_reconstructions(model, FEATURES))).reshape(25, 4, *FEATURES.shape)
    expected = diagnose(each)
    np.testing.assert_allclose(sizes, expected.effective_sample_size)
    np.testing.assert_allclose(r_hats, expected.r_hat)


@pytest.mark.slow
def test_parameters_that_have_not_mixed_matter_only_if_reconstructions_have_not():
    data = load_iris().data[::5]
    base = AutoEncoder(40, loss="gaussian", max_iter=30, random_state=0)
    options = {"n_draws": 300, "burn_in": 30, "prior_scale": 3.0, "random_state": 0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = JointEnergy(base, **options).fit(data)
    assert model.r_hat_.max() > 1.5 and model.effective_sample_size_.min() < 20
    sizes, r_hats = model.diagnose(data)
    assert r_hats.max() < 1.1 and sizes.min() > 50
    assert not [each for each in caught if "mixed" in str(each.message)]


def _reconstructions(model, X):
    """Yield r(x) of each draw."""
    copied = pickle.loads(pickle.dumps(model.base_))
    for draw in model.draws_:
        copied._params[:] = draw
        yield copied.reconstruct(X)


@pytest.mark.slow
def test_chains_that_have_mixed_are_not_warned_of():
    base = AutoEncoder(1, activation="identity", loss="gaussian", **SMALL)
    data = np.random.default_rng(0).standard_normal((30, 2))
    base.set_params(max_iter=30, solver="lbfgs")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = JointEnergy(base, n_draws=400, burn_in=100, random_state=0).fit(data)
    assert model.r_hat_.shape == model.draws_[0].shape
    assert model.r_hat_.max() <= 1.1 and model.effective_sample_size_.min() >= 50


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_draws_have_the_posterior_of_a_small_network(weighted):
    """The reference weights draws of the prior by the likelihood."""
    x = np.array([[-1.0], [-0.5], [0.2], [0.9], [1.5]])
    counts = np.array([1, 3, 1, 2, 1]) if weighted else np.ones(5)
    grid = np.array([[-3.0], [-1.0], [0.0], [1.0], [3.0]])
    temperature, prior_scale = 0.1, 1.0
    w, b, c = np.random.default_rng(0).normal(0, prior_scale, (3, 400_000))

    def reconstruct(points):
        return w * np.tanh(points * w + b) + c

    energy = 0.5 * counts @ (x - reconstruct(x)) ** 2 / temperature
    weights = np.exp(energy.min() - energy)
    r = reconstruct(grid)
    mean = np.average(r, axis=1, weights=weights)
    deviation = np.sqrt(np.average((r - mean[:, None]) ** 2, axis=1, weights=weights))
    base = AutoEncoder(1, activation="tanh", loss="gaussian", solver="lbfgs", random_state=0)
    base.set_params(standardize=False)
    options = {"temperature": temperature, "prior_scale": prior_scale, "random_state": 0}
    model = JointEnergy(base, burn_in=100, **options).fit(
        x, sample_weight=counts if weighted else None
    )
    moments = model.predict_distribution(grid)
    np.testing.assert_allclose(moments.mean[:, 0], mean, atol=0.05)
    np.testing.assert_allclose(moments.standard_deviation[:, 0], deviation, rtol=0.1)


# Reconstructions and their spread.


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_over_draws(dtype):
    model = _fitted(data=X.astype(dtype), n_draws=5)
    assert model.draws_.dtype == dtype and model.draws_.shape[0] == 5
    assert (
        len(model.loss_curve_) == 3 + 2 * 2
    )  # burn-in, and two steps for each of four chains' two draws
    base, each = model.base_, []
    scaled = X[:, X.std(axis=0) > 0] / base.scale_[X.std(axis=0) > 0]
    variance = scaled.var(axis=0).mean()  # where scores have 1
    codes = base.transform(X)
    np.testing.assert_array_equal(model.transform(X), codes)
    mean, deviation = model.predict_distribution(X)
    energies = model.energy(X)
    for draw in model.draws_:
        base._params[:] = draw
        each.append((base.reconstruct(X), -variance * base.score_samples(X)))
    reconstructions, losses = (np.array(part, float) for part in zip(*each))
    assert mean.dtype == deviation.dtype == energies.dtype == dtype
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-9}
    np.testing.assert_allclose(mean, reconstructions.mean(axis=0), **tolerance)
    np.testing.assert_allclose(deviation, reconstructions.std(axis=0), **tolerance)
    np.testing.assert_allclose(energies, losses.mean(axis=0), **tolerance)
    np.testing.assert_array_equal(model.reconstruct(X), mean)
    np.testing.assert_allclose(model.score(X), -energies.mean(), rtol=1e-6)


@pytest.mark.slow
def test_spread_grows_away_from_the_data():
    rng = np.random.default_rng(0)
    data = np.concatenate([rng.uniform(-1, -0.5, 30), rng.uniform(0.5, 1, 30)])[:, np.newaxis]
    base = AutoEncoder(10, activation="tanh", loss="gaussian", solver="lbfgs", random_state=0)
    model = JointEnergy(base, n_draws=40, burn_in=20, temperature=0.01, random_state=0).fit(data)
    on, off = (
        model.predict_distribution(points).standard_deviation.mean() for points in (data, 5 * data)
    )
    assert off > 2 * on > 0


@pytest.mark.slow
@pytest.mark.usefixtures("short_trajectories")
def test_blocks_and_sparse_rows_change_nothing():
    data = np.tile(X, (6, 1))
    base = ContractiveAE(4, loss="bernoulli", **SMALL)
    model = _fitted(base, data)
    sparse = _fitted(base, scipy.sparse.csr_matrix(data))
    np.testing.assert_allclose(sparse.draws_, model.draws_, rtol=1e-9)
    for method in ("transform", "reconstruct", "energy", "energy_gradient"):
        whole = getattr(model, method)(data)
        np.testing.assert_allclose(getattr(model, method)(data[1100:]), whole[1100:], rtol=1e-9)
        rows = scipy.sparse.csc_array(data[-50:])
        np.testing.assert_allclose(getattr(model, method)(rows), whole[-50:], rtol=1e-9)


# The energy as a function of x.

BASES = {
    "plain": AutoEncoder(5, weight_decay=0.1, **SMALL),
    "untied": AutoEncoder(5, tied_weights=False, activation="tanh", **SMALL),
    "deep": AutoEncoder(4, hidden_layer_sizes=(6,), activation="softplus", **SMALL),
    "noisy": DenoisingAE(5, emphasis=(2, 1), **SMALL),
    "contractive": ContractiveAE(5, contraction=0.7, weight_decay=0.1, **SMALL),
    "deep contractive": ContractiveAE(
        4, hidden_layer_sizes=(6,), activation="tanh", contraction=0.7, **SMALL
    ),
    "contracted reconstruction": ContractiveAE(
        5, contracted="reconstruction", contraction=0.7, **SMALL
    ),
}
FEATURES = np.random.default_rng(1).uniform(0.1, 0.9, (12, 7))


def _differences(function, x, step=1e-5):
    """Return central differences of a function of rows at each row of ``x``."""
    shifts = step * np.eye(x.shape[1])
    pairs = [(function(x + shift), function(x - shift)) for shift in shifts]
    return np.transpose([(high - low) / (2 * step) for high, low in pairs])


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("base", BASES)
@pytest.mark.usefixtures("short_trajectories")
def test_energy_gradient(base, loss):
    model = _fitted(clone(BASES[base]).set_params(loss=loss), FEATURES)
    for draw in (0, 2, None):
        one = clone_with(model, slice(None) if draw is None else slice(draw, draw + 1))
        gradient = model.energy_gradient(FEATURES, draw=draw)
        np.testing.assert_allclose(
            gradient, _differences(one.energy, FEATURES), rtol=1e-6, atol=2e-8
        )


@pytest.mark.usefixtures("short_trajectories")
def test_energy_gradient_of_categories():
    data = FEATURES.copy()
    data[:, 4:] /= data[:, 4:].sum(axis=1, keepdims=True)
    loss = [("gaussian", [0, 2]), ("bernoulli", [1, 3]), ("multinomial", [4, 5, 6])]
    model = _fitted(AutoEncoder(5, loss=loss, **SMALL), data)
    numeric = _differences(model.energy, data)
    np.testing.assert_allclose(model.energy_gradient(data), numeric, atol=2e-8)


def clone_with(model, draws):
    """Return a copy of a fitted model that has some of its draws."""
    copied = pickle.loads(pickle.dumps(model))
    copied.draws_ = copied.draws_[draws]
    return copied


@pytest.mark.slow
@pytest.mark.parametrize("base", ["contractive", "deep contractive"])
@pytest.mark.usefixtures("short_trajectories")
def test_energy_has_the_contraction(base):
    base = clone(BASES[base]).set_params(standardize=False)
    model = clone_with(_fitted(base, FEATURES), slice(1, 2))
    model.base_._params[:] = model.draws_[0]
    norms = np.square(model.base_.jacobian(FEATURES)).sum(axis=(1, 2))
    expected = -model.base_.score_samples(FEATURES) + 0.7 * norms
    np.testing.assert_allclose(model.energy(FEATURES), expected, rtol=1e-10)
    np.testing.assert_array_equal(model.score_samples(FEATURES), -model.energy(FEATURES))


@pytest.mark.slow
@pytest.mark.usefixtures("short_trajectories")
def test_energy_gradient_in_float32():
    model = _fitted(BASES["contractive"], FEATURES)
    double = model.energy_gradient(FEATURES)
    model.draws_ = model.draws_.astype(np.float32)
    model.base_._state["params"] = model.base_._params.astype(np.float32)
    single = model.energy_gradient(FEATURES)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5)


# Data given the parameters.


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_around_a_line(dtype):
    """With r(x) = w w'x + (I - w w') m, x - m is normal with variance ``temperature`` across w, but for the step."""
    rng = np.random.default_rng(0)
    data = (rng.standard_normal((100, 1)) * [2, 1] + [5, -3]).astype(dtype)
    base = AutoEncoder(1, activation="identity", loss="gaussian", solver="lbfgs", max_iter=500)
    base.set_params(standardize=False, tol=1e-12, random_state=0)
    temperature, step = 0.5, 0.4
    model = _fitted(base, data, temperature=temperature)
    model.draws_ = np.tile(model.base_._params, (3, 1))
    x = model.sample(20_000, n_steps=40, step_size=step, random_state=0)
    assert x.dtype == dtype and x.shape == (20_000, 2)
    direction = PCA(1).fit(data).components_[0]
    across = (x - data.mean(axis=0)) @ [-direction[1], direction[0]]
    np.testing.assert_allclose(across.mean(), 0, atol=0.03)
    np.testing.assert_allclose(across.var(), temperature / (1 - step / 4), rtol=0.04)


@pytest.mark.slow
def test_bernoulli_columns_are_reflected():
    """Without weights the energy is linear in x, and its law a truncated exponential."""
    model = _fitted(AutoEncoder(2, loss="bernoulli", **SMALL), FEATURES, temperature=0.5)
    logits = np.linspace(-3, 3, 7)
    model.draws_[:] = 0
    for flat in model.draws_:
        model.base_._network.views(flat).decoder_biases[0][:] = logits
    x = model.sample(3000, n_steps=150, step_size=0.02, random_state=0)
    assert x.min() >= 0 and x.max() <= 1
    rate = logits / 0.5
    slopes = np.where(rate == 0, 1, rate)
    mean = np.where(rate == 0, 0.5, 1 / (1 - np.exp(-slopes)) - 1 / slopes)
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=0.02)


@pytest.mark.usefixtures("short_trajectories")
def test_each_chain_has_one_draw():
    model = _fitted(AutoEncoder(6, standardize=False, **SMALL), FEATURES)
    for place, draw in enumerate(model.draws_):
        draw[:] = 0
        model.base_._network.views(draw).decoder_biases[0][:] = 100 * place
    x = model.sample(300, n_steps=60, step_size=1.0, random_state=0)
    counts = np.bincount(np.rint(x.mean(axis=1) / 100).astype(int), minlength=3)
    assert counts.sum() == 300 and counts.min() > 60
    centers = np.rint(x.mean(axis=1, keepdims=True) / 100) * 100
    assert np.abs(x - centers).max() < 8


@pytest.mark.slow
@pytest.mark.usefixtures("short_trajectories")
def test_start_and_seed_of_samples():
    model = _fitted(data=FEATURES)
    first = model.sample(4, random_state=0)
    np.testing.assert_array_equal(first, model.sample(4, random_state=0))
    assert not np.array_equal(first, model.sample(4, random_state=1))
    near = model.sample(x0=FEATURES, n_steps=1, step_size=1e-12, random_state=0)
    np.testing.assert_allclose(near, FEATURES, atol=1e-5)
    free = model.sample(20_000, n_steps=1, step_size=1e-12, random_state=0)
    np.testing.assert_allclose(free.mean(axis=0), FEATURES.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(free.std(axis=0), FEATURES.std(axis=0), rtol=0.03)


# The estimator.


@pytest.mark.slow
@pytest.mark.usefixtures("short_trajectories")
def test_same_seed_same_draws():
    base = AutoEncoder(6, max_iter=3)
    model = _fitted(base)
    np.testing.assert_array_equal(model.draws_, _fitted(base).draws_)
    assert not np.array_equal(model.draws_, _fitted(base, random_state=1).draws_)
    assert not hasattr(base, "n_features_in_")


@pytest.mark.slow
def test_default_base_says_as_much_as_the_whole(capsys):
    model = JointEnergy(verbose=50, **SHORT).fit(FEATURES)
    assert type(model.base_) is AutoEncoder and model.base_.verbose == 50
    assert "AutoEncoder" in capsys.readouterr().out


def test_nested_parameters():
    model = JointEnergy(AutoEncoder(5), n_draws=4).set_params(base__n_components=7, thin=3)
    copied = clone(model)
    assert copied.get_params()["base__n_components"] == copied.base.n_components == 7
    assert copied.base is not model.base and copied.thin == 3


@pytest.mark.usefixtures("short_trajectories")
def test_frames_keep_their_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(FEATURES, columns=list("abcdefg"))
    loss = [("gaussian", ["a", "c"]), ("bernoulli", ["b", "d", "e", "f", "g"])]
    model = _fitted(AutoEncoder(5, loss=loss, **SMALL), frame)
    assert list(model.feature_names_in_) == list("abcdefg")
    assert model.energy_gradient(frame).shape == model.sample(3, x0=frame).shape == (12, 7)
    with pytest.raises(ValueError, match="bernoulli.*'b'"):
        model.energy(frame.assign(b=2))


@pytest.mark.parametrize(
    "base", ["words", AutoEncoder, StackedAE([("low", AutoEncoder(3))]), PCA(2)], ids=str
)
def test_base_of_a_wrong_type(base):
    with pytest.raises(TypeError, match="base"):
        JointEnergy(base).fit(X)


@pytest.mark.slow
@pytest.mark.parametrize(
    "parameters",
    [
        {"n_draws": 0},
        {"thin": 0},
        {"burn_in": 0},
        {"step_size": 0.0},
        {"temperature": -1.0},
        {"prior_scale": np.inf},
        {"batch_size": 0},
        {"base__n_components": 0},
        {"step_size": 1e300, "n_draws": 40},
        {"temperature": 1e-320},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.usefixtures("short_trajectories")
def test_a_failed_fit_leaves_the_model(parameters):
    base = AutoEncoder(6, activation="identity", loss="gaussian", **SMALL)
    model = _fitted(base, FEATURES)
    name = next(iter(parameters))
    old = {each: model.get_params()[each] for each in parameters}
    before = pickle.dumps(vars(model))
    with pytest.raises(ValueError, match=name.removeprefix("base__")):
        model.set_params(**parameters).fit(FEATURES)
    assert pickle.dumps(vars(model.set_params(**old))) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, "n_samples"),
        ({"n_steps": 0}, "n_steps"),
        ({"step_size": 0}, "step_size"),
        ({"x0": np.full((2, 7), np.nan)}, "NaN"),
        ({"x0": np.ones((2, 3))}, "features"),
    ],
)
@pytest.mark.usefixtures("short_trajectories")
def test_bad_options_of_samples(options, message):
    with pytest.raises(ValueError, match=message):
        _fitted(data=FEATURES).sample(**options)


@pytest.mark.slow
@pytest.mark.usefixtures("short_trajectories")
def test_what_has_no_gradient_or_samples():
    curved = _fitted(ContractiveAE(4, curvature=0.1, **SMALL), FEATURES)
    assert curved.energy(FEATURES).shape == (12,)
    with pytest.raises(ValueError, match="curvature=0"):
        curved.energy_gradient(FEATURES)
    with pytest.raises(ValueError, match="curvature=0"):
        curved.sample()
    with pytest.raises(ValueError, match="multinomial"):
        _fitted(AutoEncoder(4, loss="multinomial", **SMALL), FEATURES).sample()
    with pytest.raises(ValueError, match="draw"):
        _fitted(data=FEATURES).energy_gradient(FEATURES, draw=3)


@pytest.mark.parametrize(
    "method", ["transform", "reconstruct", "diagnose", "energy", "energy_gradient"]
)
@pytest.mark.usefixtures("short_trajectories")
def test_bad_data(method):
    with pytest.raises(NotFittedError):
        getattr(JointEnergy(), method)(X)
    model = _fitted(data=FEATURES)
    with pytest.raises(ValueError, match="NaN"):
        getattr(model, method)(np.full((2, 7), np.nan))
    with pytest.raises(ValueError, match="features"):
        getattr(model, method)(np.ones((2, 3)))
