"""Parameters drawn given data, data drawn given parameters, and the energy of both."""

import pickle

import numpy as np
import pytest
import scipy.sparse
from scipy.linalg import solve_discrete_lyapunov
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae import AutoEncoder, ContractiveAE, DenoisingAE, StackedAE
from skae._threads import team
from skae.generative._joint import JointEnergy
from skae.training.solvers import Langevin

X = load_digits().data[:200] / 16
SHORT = {"n_draws": 3, "burn_in": 3, "thin": 2, "random_state": 0}
SMALL = {"max_iter": 3, "random_state": 0}


def _fitted(base=None, data=X, **options):
    return JointEnergy(base or AutoEncoder(6, **SMALL), **{**SHORT, **options}).fit(data)


@parametrize_with_checks(
    [
        JointEnergy(AutoEncoder(3, max_iter=3), n_draws=2, burn_in=2, thin=1),
        JointEnergy(ContractiveAE(3, max_iter=3), n_draws=2, burn_in=2, thin=1),
    ]
)
def test_sklearn(estimator, check):
    check(estimator)


# Langevin dynamics of the parameters.


def _regression():
    """Return mean and covariance of y given x in a linear model: the objective is their quadratic form."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 3)) * [1, 0.7, 1.4]
    y = x @ [1, -1, 0.5] + 0.3 * rng.standard_normal(40)
    return x.T @ x / 40, x.T @ y / 40


def _chains(solver, rate, n_steps, dtype=np.float64, n_chains=1000):
    """Return states (n_kept, n_chains, 3) of chains side by side, every tenth of the last half of the steps."""
    hessian, pull = (part.astype(dtype) for part in _regression())
    params = np.zeros(3 * n_chains, dtype)
    state, states = solver.start(params), []
    for step in range(n_steps):
        grad = params.reshape(-1, 3) @ hessian - pull
        solver.step(params, grad.ravel(), state, rate)
        if step >= n_steps // 2 and step % 10 == 0:
            states.append(params.reshape(-1, 3).copy())
    return np.array(states)


def _assert_moments(states, mean, covariance, rtol):
    rows = states.reshape(-1, 3).astype(np.float64)
    deviations = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose((rows.mean(axis=0) - mean) / deviations, 0, atol=rtol)
    scaled = np.cov(rows.T) / np.outer(deviations, deviations)
    np.testing.assert_allclose(scaled, covariance / np.outer(deviations, deviations), atol=rtol)


@pytest.mark.parametrize("n_adaptive_steps", [0, 300], ids=["plain", "preconditioned"])
@pytest.mark.parametrize("temperature", [1 / 40, 1 / 4])
@pytest.mark.parametrize("prior_scale", [0.3, 3.0])
def test_langevin_has_the_posterior_of_linear_regression(
    n_adaptive_steps, temperature, prior_scale
):
    hessian, pull = _regression()
    precision = hessian / temperature + np.eye(3) / prior_scale**2
    mean, covariance = np.linalg.solve(precision, pull / temperature), np.linalg.inv(precision)
    solver = Langevin(temperature, prior_scale, n_adaptive_steps)
    _assert_moments(_chains(solver, 0.02, 4000), mean, covariance, 0.04)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_plain_langevin_has_the_law_of_its_recursion(dtype):
    hessian, pull = _regression()
    rate, temperature, prior_scale = 0.5, 0.1, 0.5
    precision = hessian + temperature / prior_scale**2 * np.eye(3)
    covariance = solve_discrete_lyapunov(
        np.eye(3) - rate / 2 * precision, rate * temperature * np.eye(3)
    )
    assert covariance[2, 2] > 1.3 * temperature * np.linalg.inv(precision)[2, 2]
    states = _chains(Langevin(temperature, prior_scale), rate, 400, dtype)
    assert states.dtype == dtype
    _assert_moments(states, np.linalg.solve(precision, pull), covariance, 0.03)


def test_langevin_noise_is_white_and_of_its_seed():
    rate, temperature, size = 0.1, 0.5, 100_000

    def steps(seed):
        solver, params = Langevin(temperature, 1e6, seed=seed), np.zeros(size)
        state, moves = solver.start(params), []
        for _ in range(2):
            before = params.copy()
            solver.step(params, np.zeros(size), state, rate)
            moves.append((params - before) / np.sqrt(rate * temperature))
        return np.array(moves)

    noise = np.concatenate([steps(0), steps(1)])
    np.testing.assert_array_equal(noise[:2], steps(0))
    np.testing.assert_allclose(np.cov(noise), np.eye(4), atol=5 / np.sqrt(size))
    np.testing.assert_allclose((noise**4).mean(axis=1), 3, atol=0.2)
    assert abs(np.mean(noise[:, 1:] * noise[:, :-1])) < 5 / np.sqrt(4 * size)


def test_threads_make_the_same_steps():
    def steps(n_threads):
        params, solver = np.ones(250_000), Langevin(0.1, 1.0, n_adaptive_steps=1)
        state = solver.start(params)
        with team(n_threads):
            for _ in range(2):
                solver.step(params, np.cos(params), state, 0.1)
        return params

    np.testing.assert_array_equal(steps(3), steps(1))


def test_preconditioner_is_frozen_after_its_steps():
    rng, params = np.random.default_rng(0), np.ones(5)
    solver = Langevin(0.2, 4.0, n_adaptive_steps=3)
    state, gradients = solver.start(params), []
    for _ in range(5):
        grad = rng.standard_normal(5)
        gradients.append(grad + 0.2 / 16 * params)
        solver.step(params, grad, state, 1e-3)
    roots = np.sqrt(np.mean(np.square(gradients[:3]), axis=0))
    np.testing.assert_allclose(state["scales"], 1 / (0.2 / 4 + roots), rtol=1e-12)


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
    model = JointEnergy(
        base,
        n_draws=8000,
        thin=4,
        burn_in=500,
        step_size=0.05,
        temperature=temperature,
        prior_scale=prior_scale,
        random_state=0,
    ).fit(x, sample_weight=counts if weighted else None)
    moments = model.predict_distribution(grid)
    np.testing.assert_allclose(moments.mean[:, 0], mean, atol=0.05)
    np.testing.assert_allclose(moments.standard_deviation[:, 0], deviation, rtol=0.1)


# Reconstructions and their spread.


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_over_draws(dtype):
    model = _fitted(data=X.astype(dtype), n_draws=5)
    assert model.draws_.dtype == dtype and model.draws_.shape[0] == 5
    assert len(model.loss_curve_) == 3 + 5 * 2
    base, each = model.base_, []
    codes = base.transform(X)
    np.testing.assert_array_equal(model.transform(X), codes)
    mean, deviation = model.predict_distribution(X)
    energies = model.energy(X)
    for draw in model.draws_:
        base._params[:] = draw
        each.append((base.reconstruct(X), -base.score_samples(X)))
    reconstructions, losses = (np.array(part, float) for part in zip(*each))
    assert mean.dtype == deviation.dtype == energies.dtype == dtype
    tolerance = {"rtol": 1e-5, "atol": 1e-6} if dtype == np.float32 else {"rtol": 1e-10}
    np.testing.assert_allclose(mean, reconstructions.mean(axis=0), **tolerance)
    np.testing.assert_allclose(deviation, reconstructions.std(axis=0), **tolerance)
    np.testing.assert_allclose(energies, losses.mean(axis=0), **tolerance)
    np.testing.assert_array_equal(model.reconstruct(X), mean)
    np.testing.assert_allclose(model.score(X), -energies.mean(), rtol=1e-6)


def test_spread_grows_away_from_the_data():
    rng = np.random.default_rng(0)
    data = np.concatenate([rng.uniform(-1, -0.5, 30), rng.uniform(0.5, 1, 30)])[:, np.newaxis]
    base = AutoEncoder(10, activation="tanh", loss="gaussian", solver="lbfgs", random_state=0)
    model = JointEnergy(base, n_draws=100, temperature=0.01, random_state=0).fit(data)
    on, off = (
        model.predict_distribution(points).standard_deviation.mean() for points in (data, 5 * data)
    )
    assert off > 2 * on > 0


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


@pytest.mark.parametrize("loss", ["gaussian", "bernoulli"])
@pytest.mark.parametrize("base", BASES)
def test_energy_gradient(base, loss):
    model = _fitted(clone(BASES[base]).set_params(loss=loss), FEATURES)
    for draw in (0, 2, None):
        one = clone_with(model, slice(None) if draw is None else slice(draw, draw + 1))
        gradient = model.energy_gradient(FEATURES, draw=draw)
        np.testing.assert_allclose(gradient, _differences(one.energy, FEATURES), atol=2e-8)


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


@pytest.mark.parametrize("base", ["contractive", "deep contractive"])
def test_energy_has_the_contraction(base):
    base = clone(BASES[base]).set_params(standardize=False)
    model = clone_with(_fitted(base, FEATURES), slice(1, 2))
    model.base_._params[:] = model.draws_[0]
    norms = np.square(model.base_.jacobian(FEATURES)).sum(axis=(1, 2))
    expected = -model.base_.score_samples(FEATURES) + 0.7 * norms
    np.testing.assert_allclose(model.energy(FEATURES), expected, rtol=1e-10)
    np.testing.assert_array_equal(model.score_samples(FEATURES), -model.energy(FEATURES))


def test_energy_gradient_in_float32():
    model = _fitted(BASES["contractive"], FEATURES)
    double = model.energy_gradient(FEATURES)
    model.draws_ = model.draws_.astype(np.float32)
    model.base_._state["params"] = model.base_._params.astype(np.float32)
    single = model.energy_gradient(FEATURES)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5)


# Data given the parameters.


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


def test_bernoulli_columns_are_reflected():
    """Without weights the energy is linear in x, and its law a truncated exponential."""
    model = _fitted(AutoEncoder(2, loss="bernoulli", **SMALL), FEATURES, temperature=0.5)
    logits = np.linspace(-3, 3, 7)
    model.draws_[:] = 0
    for flat in model.draws_:
        model.base_._network.views(flat).decoder_biases[0][:] = logits
    x = model.sample(5000, n_steps=300, step_size=0.02, random_state=0)
    assert x.min() >= 0 and x.max() <= 1
    rate = logits / 0.5
    slopes = np.where(rate == 0, 1, rate)
    mean = np.where(rate == 0, 0.5, 1 / (1 - np.exp(-slopes)) - 1 / slopes)
    np.testing.assert_allclose(x.mean(axis=0), mean, atol=0.02)


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


def test_same_seed_same_draws():
    base = AutoEncoder(6, max_iter=3)
    model = _fitted(base)
    np.testing.assert_array_equal(model.draws_, _fitted(base).draws_)
    assert not np.array_equal(model.draws_, _fitted(base, random_state=1).draws_)
    assert not hasattr(base, "n_features_in_")


def test_default_base_says_as_much_as_the_whole(capsys):
    model = JointEnergy(verbose=50, **SHORT).fit(FEATURES)
    assert type(model.base_) is AutoEncoder and model.base_.verbose == 50
    assert "AutoEncoder" in capsys.readouterr().out


def test_nested_parameters():
    model = JointEnergy(AutoEncoder(5), n_draws=4).set_params(base__n_components=7, thin=3)
    copied = clone(model)
    assert copied.get_params()["base__n_components"] == copied.base.n_components == 7
    assert copied.base is not model.base and copied.thin == 3


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
        {"step_size": 1e300},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_failed_fit_leaves_the_model(parameters):
    model = _fitted(AutoEncoder(6, activation="identity", loss="gaussian", **SMALL))
    name = next(iter(parameters))
    old = model.get_params()[name]
    before = pickle.dumps(vars(model))
    with pytest.raises(ValueError, match=name.removeprefix("base__")):
        model.set_params(**parameters).fit(X)
    assert pickle.dumps(vars(model.set_params(**{name: old}))) == before


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
def test_bad_options_of_samples(options, message):
    with pytest.raises(ValueError, match=message):
        _fitted(data=FEATURES).sample(**options)


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


@pytest.mark.parametrize("method", ["transform", "reconstruct", "energy", "energy_gradient"])
def test_bad_data(method):
    with pytest.raises(NotFittedError):
        getattr(JointEnergy(), method)(X)
    model = _fitted(data=FEATURES)
    with pytest.raises(ValueError, match="NaN"):
        getattr(model, method)(np.full((2, 7), np.nan))
    with pytest.raises(ValueError, match="features"):
        getattr(model, method)(np.ones((2, 3)))
