"""RBMs against enumeration of all states, closed forms and scikit-learn."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline

from skae import RBM, AutoEncoder, StackedAE
from skae.boltzmann._partition import annealed_log_partition
from skae.nn.boltzmann import BoltzmannObjective, Chains
from skae.nn.losses import Bernoulli, Gaussian, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.penalties import ActivitySparsity, WeightDecay
from skae.training.batches import Batches

rng = np.random.default_rng(0)
DIGITS = (load_digits().data / 16 > 0.5).astype(float)


def all_states(n):
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)


def machine(n_visible=6, n_hidden=4, scale=1.0):
    """Return an RBM whose weights are given, not learned."""
    rbm = RBM(n_hidden, visible="bernoulli", max_iter=1, random_state=0)
    rbm.fit(rng.integers(0, 2, (20, n_visible)).astype(float))
    for part in (rbm.components_, rbm.encoder_bias_, rbm.decoder_bias_):
        part[...] = scale * rng.standard_normal(part.shape)
    return rbm


def joint(rbm):
    """Return all states of both layers and the probability of each pair, by enumeration."""
    v, h = all_states(rbm.n_features_in_), all_states(rbm.n_components_)
    log_p = v @ rbm.components_.T @ h.T + v @ rbm.decoder_bias_[:, None] + h @ rbm.encoder_bias_
    return v, h, np.exp(log_p - logsumexp(log_p)), logsumexp(log_p)


def parts_of(rbm):
    return rbm.components_, rbm.encoder_bias_, rbm.decoder_bias_


def test_densities_are_marginals_of_the_joint():
    rbm = machine()
    v, _, p, log_z = joint(rbm)
    np.testing.assert_allclose(rbm.log_partition().value, log_z, rtol=1e-12)
    np.testing.assert_allclose(rbm.score_samples(v) - log_z, np.log(p.sum(axis=1)), atol=1e-10)
    estimate = rbm.log_likelihood(v[:7])
    np.testing.assert_allclose(estimate.value, np.log(p.sum(axis=1)[:7]).mean(), atol=1e-10)


def test_densities_have_scikit_learns_free_energy():
    theirs = BernoulliRBM(8, n_iter=2, random_state=0).fit(DIGITS)
    options = {"visible": "bernoulli", "standardize": False, "max_iter": 1, "random_state": 0}
    ours = RBM(8, **options).fit(DIGITS)
    for part, value in zip(
        parts_of(ours), (theirs.components_, theirs.intercept_hidden_, theirs.intercept_visible_)
    ):
        part[...] = value
    np.testing.assert_allclose(ours.score_samples(DIGITS), -theirs._free_energy(DIGITS))
    np.testing.assert_allclose(ours.transform(DIGITS), theirs.transform(DIGITS), rtol=1e-5)


def test_gaussian_density_integrates_to_its_normalizer():
    rbm = RBM(3, visible="gaussian", standardize=False, max_iter=1, random_state=0)
    rbm.fit(rng.standard_normal((30, 2)))
    for part in parts_of(rbm):
        part[...] = rng.standard_normal(part.shape)
    line = np.linspace(-12, 12, 600)
    grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    integral = np.exp(rbm.score_samples(grid)).sum() * (line[1] - line[0]) ** 2
    np.testing.assert_allclose(np.log(integral), rbm.log_partition().value, rtol=1e-6)
    np.testing.assert_allclose(
        (rbm.score_samples(grid[1:2] + [1e-5, 0]) - rbm.score_samples(grid[1:2] - [1e-5, 0]))
        / 2e-5,
        rbm.score_field(grid[1:2])[:, 0],
        rtol=1e-4,
    )


def test_multinomial_normalizer():
    X = np.eye(5)[rng.integers(0, 5, 40)]
    rbm = RBM(4, visible="multinomial", max_iter=1, random_state=0).fit(X)
    for part in parts_of(rbm):
        part[...] = rng.standard_normal(part.shape)
    np.testing.assert_allclose(
        logsumexp(rbm.score_samples(np.eye(5))), rbm.log_partition().value, rtol=1e-10
    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["bernoulli", "gaussian", "multinomial", "mixed"])
def test_annealing_agrees_with_counting(kind, dtype):
    X = np.hstack([np.eye(3)[rng.integers(0, 3, 60)], rng.random((60, 4))])
    visible = {
        "bernoulli": "bernoulli",
        "gaussian": "gaussian",
        "multinomial": "multinomial",
        "mixed": [("multinomial", [0, 1, 2]), ("bernoulli", [3, 5]), ("gaussian", [4, 6])],
    }[kind]
    X = np.eye(7)[rng.integers(0, 7, 60)] if kind == "multinomial" else X
    rbm = RBM(6, visible=visible, max_iter=20, random_state=0).fit(X.astype(dtype))
    rbm.components_[...] *= 4
    exact = rbm.log_partition().value
    estimate = annealed_log_partition(rbm._as_rbm(), 300, 1000, np.random.default_rng(0))
    assert estimate.low < exact < estimate.high
    assert estimate.high - estimate.low < 0.3


def test_densities_of_gaussian_columns_are_those_of_scaled_ones():
    X = 7 + 3 * np.random.default_rng(0).standard_normal((200, 1))
    rbm = RBM(3, visible="gaussian", max_iter=5, random_state=0).fit(X)
    grid = np.linspace(-53, 67, 60_001)[:, np.newaxis]
    density = np.exp(rbm.score_samples(grid) - rbm.log_partition().value - np.log(rbm.scale_).sum())
    assert density.sum() * (grid[1, 0] - grid[0, 0]) == pytest.approx(1)
    other = RBM(3, visible="gaussian", max_iter=5, random_state=0).fit(1024 * X)
    assert other.log_likelihood(1024 * X).value == pytest.approx(rbm.log_likelihood(X).value)


def gradients(rbm, X, chains, n_steps, n_calls, **options):
    """Return the mean over calls of the objective's gradient at the parameters of ``rbm``."""
    objective = BoltzmannObjective(
        rbm._network, rbm._units.loss, n_steps=n_steps, chains=chains, **options
    )
    batch = next(Batches(X, None, len(X)).epoch(None))
    grad, total = np.empty_like(rbm._params), np.zeros_like(rbm._params)
    noise = np.random.default_rng(1)
    for _ in range(n_calls):
        objective(rbm._params, batch, grad, noise)
        total += grad
    return rbm._network.views(total / n_calls)


def likelihood_gradient(rbm, X):
    """Return the exact gradient of minus the mean log-likelihood, by enumeration."""
    v, h, p, _ = joint(rbm)
    codes = expit(X @ rbm.components_.T + rbm.encoder_bias_)
    return (
        h.T @ p.T @ v - codes.T @ X / len(X),
        h.T @ p.sum(axis=0) - codes.mean(axis=0),
        p.sum(axis=1) @ v - X.mean(axis=0),
    )


@pytest.mark.parametrize("persistent", [True, False])
def test_gradient_is_that_of_the_likelihood(persistent):
    rbm = machine(scale=0.7)
    X = rng.integers(0, 2, (50, 6)).astype(float)
    chains = Chains(5000, 4, float) if persistent else None
    data = X if persistent else np.tile(X, (100, 1))
    got = gradients(rbm, data, chains, 30, 10)
    exact = likelihood_gradient(rbm, X)
    for part, expected in zip(
        (got.encoder_weights[0], got.encoder_biases[0], got.decoder_biases[0]), exact
    ):
        np.testing.assert_allclose(part, expected, atol=0.012)


def test_contrast_is_the_gradient_of_free_energies():
    """With samples held, the gradient is that of mean F(data) - mean F(samples)."""
    network, n = Network((5, 3), "sigmoid"), 8
    units = Reconstruction([Bernoulli([0, 1]), Multinomial([2, 3]), Gaussian([4])])
    flat = rng.standard_normal(network.size)
    X = rng.random((n, 5))
    weights = rng.random(n)
    batch = next(Batches(X, weights, n).epoch(None))
    penalties = [ActivitySparsity(0.3, 0.1), WeightDecay(0.2)]
    chains = Chains(4, 3, float)
    objective = BoltzmannObjective(network, units, chains=chains, penalties=penalties)
    grad = np.empty(network.size)
    objective(flat, batch, grad, np.random.default_rng(0))
    phases = objective._workspace(n, flat)
    shares = weights / weights.mean() / n

    def contrast(point):
        params = network.views(point)
        W, b, c = params.encoder_weights[0], params.encoder_biases[0], params.decoder_biases[0]

        def density(x):
            return x @ c + np.logaddexp(0, x @ W.T + b).sum(axis=1)

        q = shares @ expit(X @ W.T + b) / shares.sum()
        divergence = 0.1 * np.log(0.1 / q) + 0.9 * np.log(0.9 / (1 - q))
        penalty = 0.3 * divergence.sum() + 0.1 * (W**2).sum()
        data, model = shares @ density(X), shares.sum() * density(phases.samples).mean()
        return model - data + penalty

    numeric = [(contrast(flat + e) - contrast(flat - e)) / 2e-6 for e in 1e-6 * np.eye(flat.size)]
    np.testing.assert_allclose(grad, numeric, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_have_the_distribution(dtype):
    rbm = machine()
    rbm.fit(rng.integers(0, 2, (20, 6)).astype(dtype))
    for part in parts_of(rbm):
        part[...] = rng.standard_normal(part.shape)
    v, _, p, _ = joint(rbm)
    X = rbm.sample(40_000, n_steps=40, random_state=0)
    assert X.dtype == dtype
    counts = np.bincount((X @ 2 ** np.arange(6)).astype(int), minlength=64) / len(X)
    np.testing.assert_allclose(counts, p.sum(axis=1), atol=4 * np.sqrt(0.25 / len(X)))


def test_mixed_samples():
    X = np.hstack([np.eye(3)[rng.integers(0, 3, 50)], rng.standard_normal((50, 2))])
    rbm = RBM(4, standardize=False, learning_rate_init=0.01, max_iter=3, random_state=0).fit(X)
    rbm.components_[...] = 0
    rbm.decoder_bias_[...] = [0, 1, 2, 3, -3]
    samples = rbm.sample(20_000, n_steps=2, random_state=0)
    np.testing.assert_array_equal(samples[:, :3].sum(axis=1), 1)
    expected = np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum()
    np.testing.assert_allclose(samples[:, :3].mean(axis=0), expected, atol=0.02)
    np.testing.assert_allclose(samples[:, 3:].mean(axis=0), [3, -3], atol=0.03)
    np.testing.assert_allclose(np.cov(samples[:, 3:].T), np.eye(2), atol=0.04)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["pcd", "cd"])
def test_learns_more_than_independent_pixels(gradient):
    rates = (DIGITS.sum(axis=0) + 0.5) / (len(DIGITS) + 1)
    independent = (DIGITS * np.log(rates) + (1 - DIGITS) * np.log(1 - rates)).sum(axis=1).mean()
    steps = {"solver": "sgd", "learning_rate_init": 0.1, "learning_rate": "constant"}
    rbm = RBM(16, visible="bernoulli", gradient=gradient, max_iter=20, random_state=0, **steps)
    theirs = BernoulliRBM(16, n_iter=20, learning_rate=0.1, batch_size=100, random_state=0)
    theirs.fit(DIGITS)
    likelihood = rbm.fit(DIGITS).log_likelihood(DIGITS).value
    assert likelihood > independent + 3
    for part, value in zip(
        parts_of(rbm), (theirs.components_, theirs.intercept_hidden_, theirs.intercept_visible_)
    ):
        part[...] = value
    assert likelihood > rbm.log_likelihood(DIGITS).value - 0.5


def test_gradient_of_the_autoencoder_is_the_autoencoder():
    options = {"max_iter": 3, "solver": "adam", "learning_rate_init": 1e-3, "batch_size": 100}
    options |= {"standardize": False, "learning_rate": "constant"}
    rbm = RBM(10, gradient="autoencoder", visible="bernoulli", random_state=0, **options)
    ae = AutoEncoder(10, loss="bernoulli", random_state=0, **options)
    rbm.fit(DIGITS), ae.fit(DIGITS)
    # Both begin at the base rates.
    np.testing.assert_allclose(rbm.components_, ae.components_, atol=1e-6)
    np.testing.assert_allclose(rbm.encoder_bias_, ae.encoder_bias_, atol=1e-6)
    np.testing.assert_allclose(rbm.decoder_bias_, ae.decoder_bias_, atol=1e-6)
    ae._params[...] = rbm._params
    np.testing.assert_allclose(rbm.reconstruct(DIGITS), ae.reconstruct(DIGITS))


def test_sparsity():
    means = [
        RBM(20, sparsity=s, sparsity_target=0.05, max_iter=20, random_state=0)
        .fit(DIGITS)
        .transform(DIGITS)
        .mean()
        for s in (0, 1)
    ]
    assert abs(means[1] - 0.05) < 0.05 < abs(means[0] - 0.05)


def test_partial_fits_make_a_fit_and_training_resumes(tmp_path):
    options = {"n_components": 8, "gradient": "pcd", "random_state": 0}
    options |= {"learning_rate": "constant"}
    whole = RBM(max_iter=4, **options).fit(DIGITS)
    pieces = RBM(**options)
    for _ in range(4):
        pieces.partial_fit(DIGITS)
    np.testing.assert_array_equal(whole.components_, pieces.components_)
    path = tmp_path / "rbm"
    RBM(max_iter=2, checkpoint=path, **options).fit(DIGITS)
    resumed = RBM(max_iter=4, checkpoint=path, resume=True, **options).fit(DIGITS)
    np.testing.assert_array_equal(whole.components_, resumed.components_)


def test_early_stopping_looks_at_reconstruction():
    rbm = RBM(8, early_stopping=True, n_iter_no_change=2, tol=0.1, random_state=0).fit(DIGITS)
    assert rbm.n_iter_ == len(rbm.validation_curve_) < 50
    assert RBM(8, tol=0.9, n_iter_no_change=1, max_iter=7).fit(DIGITS).n_iter_ == 7


def test_layers_of_a_stack():
    layers = [("low", RBM(20, max_iter=5)), ("high", RBM(8, max_iter=5))]
    stack = StackedAE(layers, random_state=0).fit(DIGITS)
    low, high = (layer for _, layer in stack.layers_)
    np.testing.assert_allclose(stack.transform(DIGITS), high.transform(low.transform(DIGITS)))
    assert high.visible == "bernoulli"
    decoded = low.inverse_transform(high.inverse_transform(stack.transform(DIGITS)))
    np.testing.assert_allclose(stack.reconstruct(DIGITS), decoded)


@pytest.mark.parametrize(
    "params, match",
    [
        ({"solver": "lbfgs"}, "gradient='autoencoder'"),
        ({"sparsity_target": 1.0}, "sparsity_target"),
        ({"gradient": "exact"}, "gradient"),
        ({"visible": [("bernoulli", [0])]}, "missing"),
        ({"visible": "multinomial"}, "sum to 1"),
    ],
)
def test_bad_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        RBM(3, **params).fit(DIGITS)


def test_going_on_with_other_chains_and_solvers():
    rbm = RBM(8, gradient="pcd", max_iter=2, warm_start=True, random_state=0).fit(DIGITS)
    rbm.set_params(batch_size=50, n_chains=7, solver="adam", learning_rate_init=1e-3).fit(DIGITS)
    assert rbm.n_iter_ == 4 and np.isfinite(rbm.components_).all()


def test_zero_weights_count_as_no_rows_in_the_error():
    weights = np.ones(len(DIGITS))
    weights[::3] = 0
    options = {"early_stopping": True, "max_iter": 1, "learning_rate_init": 1e-9, "random_state": 0}
    errors = [
        RBM(4, batch_size=size, **options).fit(DIGITS, sample_weight=weights).validation_curve_[0]
        for size in (10, 2000)
    ]
    np.testing.assert_allclose(*errors, rtol=1e-6)


@pytest.mark.parametrize("options", [{"corrupted": "input"}, {"schedule": "simultaneous"}])
def test_reconstruction_does_not_stop_layers(options, tmp_path):
    steady = {"learning_rate": "constant", "tol": 0.5, "n_iter_no_change": 1}
    layers = [(name, RBM(8, gradient="pcd", max_iter=12, **steady)) for name in "ab"]
    stack = StackedAE(layers, random_state=0, **options).fit(DIGITS)
    assert [layer.n_iter_ for _, layer in stack.layers_] == [12, 12]
    path = tmp_path / "stack"
    short = [(name, RBM(8, gradient="pcd", max_iter=5, **steady)) for name in "ab"]
    if "schedule" in options:
        StackedAE(short, random_state=0, checkpoint=path, **options).fit(DIGITS)
        again = StackedAE(layers, random_state=0, checkpoint=path, resume=True, **options)
        np.testing.assert_array_equal(again.fit(DIGITS).transform(DIGITS), stack.transform(DIGITS))


@pytest.mark.slow
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_default_machines_learn_tables_in_their_own_units(load):
    X, y = load(return_X_y=True)
    machine = make_pipeline(RBM(random_state=0), LogisticRegression(max_iter=1000))
    assert cross_val_score(machine, X, y, cv=3).mean() > 0.9


def test_momentum_is_of_plain_gradient_steps():
    with pytest.raises(ValueError, match="momentum=0.5 is for solver='sgd'"):
        RBM(4, momentum=0.5).fit(DIGITS)


def test_bad_requests():
    rbm = RBM(30, visible="bernoulli", max_iter=1).fit(DIGITS)
    with pytest.raises(ValueError, match="n_samples"):
        rbm.sample(0)
    few = RBM(3, visible="bernoulli", max_iter=1).fit(DIGITS)  # log Z of which is exact
    for machine in (rbm, few):
        for options in ({"n_runs": 1}, {"n_temperatures": 0}, {"random_state": "a"}):
            with pytest.raises(ValueError, match="|".join([*options, "cannot be used to seed"])):
                machine.log_partition(**options)
        for name, value in (("n_runs", "many"), ("n_runs", 2.5), ("n_temperatures", None)):
            with pytest.raises(TypeError, match=f"{name} must be an instance of int"):
                machine.log_likelihood(DIGITS, **{name: value})
    with pytest.raises(ValueError, match="visible='bernoulli' needs"):
        rbm.sample(start=DIGITS[:2] + 1)
    with pytest.raises(ValueError, match=r"visible='bernoulli' .*\[0, 1\].* visible='gaussian'"):
        RBM(3, visible="bernoulli").fit(DIGITS * 2)
