"""Deep machines against enumeration of all their states."""

import numpy as np
import pytest
from scipy.special import expit, logsumexp
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import DBM, DBN, RBM, AutoEncoder, BoltzmannClassifier
from skae.manifold import tangent_basis
from skae.nn.boltzmann import Chains

rng = np.random.default_rng(0)
X, y = load_digits(return_X_y=True)
DIGITS = (X / 16 > 0.5).astype(float)


def all_states(n):
    return (np.arange(2**n)[:, None] >> np.arange(n) & 1).astype(float)


def deep_machine(widths=(5, 4, 3), scale=1.0, dtype=float):
    """Return a DBM whose weights are given, not learned."""
    layers = [(f"layer{i}", RBM(n, max_iter=1)) for i, n in enumerate(widths[1:])]
    dbm = DBM(layers, max_iter=1, random_state=0, n_mean_field_steps=60)
    dbm.fit(rng.integers(0, 2, (20, widths[0])).astype(dtype))
    for part in (*dbm.weights_, *dbm.biases_):
        part[...] = scale * rng.standard_normal(part.shape)
    return dbm


def log_joint(dbm):
    """Return visible states, and log p(x, h1, h2, ...) up to the normalizer for all states of all layers."""
    sides = [all_states(len(bias)) for bias in dbm.biases_]
    total = sides[0] @ dbm.biases_[0]
    for weights, bias, low, high in zip(dbm.weights_, dbm.biases_[1:], sides, sides[1:]):
        total = total[..., None] + low @ weights.T @ high.T + high @ bias
    return sides[0], total


@pytest.mark.parametrize("widths", [(5, 4, 3), (4, 3, 2, 3)])
def test_normalizer_counts_all_states(widths):
    dbm = deep_machine(widths)
    _, joint = log_joint(dbm)
    np.testing.assert_allclose(dbm.log_partition().value, logsumexp(joint), rtol=1e-10)


@pytest.mark.parametrize("widths", [(5, 4, 3), (4, 3, 2, 3)])
def test_bound_is_below_the_likelihood(widths):
    dbm = deep_machine(widths, scale=0.8)
    visible, joint = log_joint(dbm)
    exact = logsumexp(joint, axis=tuple(range(1, joint.ndim))) - logsumexp(joint)
    bounds = dbm.score_samples(visible) - dbm.log_partition().value
    assert (bounds <= exact + 1e-9).all()
    assert (exact - bounds).mean() < 0.5
    for weights in dbm.weights_[1:]:
        weights[...] = 0  # hidden layers are independent given x: mean field is exact
    visible, joint = log_joint(dbm)
    exact = logsumexp(joint, axis=tuple(range(1, joint.ndim))) - logsumexp(joint)
    np.testing.assert_allclose(dbm.score_samples(visible) - logsumexp(joint), exact, atol=1e-9)


def test_mean_field_is_a_fixed_point():
    dbm = deep_machine()
    x = rng.integers(0, 2, (7, 5)).astype(float)
    top = dbm.transform(x)
    (W1, W2), (c, b1, b2) = dbm.weights_, dbm.biases_
    middle = expit(x @ W1.T + top @ W2 + b1)
    np.testing.assert_allclose(top, expit(middle @ W2.T + b2), atol=1e-6)
    np.testing.assert_allclose(dbm.reconstruct(x), expit(middle @ W1 + c), atol=1e-6)


@pytest.mark.parametrize("widths", [(5, 4, 3), (4, 3, 2, 3)])
def test_samples_have_the_distribution(widths):
    dbm = deep_machine(widths, dtype=np.float32)
    visible, joint = log_joint(dbm)
    p = np.exp(logsumexp(joint, axis=tuple(range(1, joint.ndim))) - logsumexp(joint))
    samples = dbm.sample(40_000, n_steps=50, random_state=0)
    assert samples.dtype == np.float32
    counts = np.bincount((samples @ 2 ** np.arange(widths[0])).astype(int), minlength=len(visible))
    np.testing.assert_allclose(counts / len(samples), p, atol=0.012)


@pytest.mark.parametrize("widths", [(5, 4, 3), (4, 3, 2, 3)])
def test_gradient_is_between_the_phases(widths):
    """With mean-field means q held, the gradient is that of E_q log p, plus the exact normalizer's."""
    dbm = deep_machine(widths, scale=0.7)
    x = rng.integers(0, 2, (30, widths[0])).astype(float)
    machine = dbm._machine
    chains = Chains(4000, machine.network.sizes[1], float)
    objective = machine.objective(
        dbm._units.loss, dbm.n_mean_field_steps, n_steps=40, chains=chains
    )

    class Rows:
        n_rows = len(x)

        def rows(self, out, weights):
            out[:, : widths[0]], out[:, widths[0] :], weights[:] = x, 0, 1 / len(x)

    grad, total = np.empty_like(dbm._state["params"]), 0
    for _ in range(10):
        objective(dbm._state["params"], Rows(), grad, rng)
        total = total + grad / 10
    got = machine.network.views(total)
    states, odd = dbm.model_.layer_means(x)
    _, joint = log_joint(dbm)
    p = np.exp(joint - logsumexp(joint))
    sides = [all_states(n) for n in widths]
    means = [
        states[:, machine.places[n]] if n % 2 == 0 else odd[:, machine.places[n]]
        for n in range(len(widths))
    ]
    for layer in range(1, len(widths)):
        others = tuple(n for n in range(len(widths)) if n not in (layer - 1, layer))
        model = sides[layer].T @ p.sum(axis=others).T @ sides[layer - 1]
        data = means[layer].T @ means[layer - 1] / len(x)
        block = machine.block(got.encoder_weights[0], layer)
        np.testing.assert_allclose(block, model - data, atol=0.015)


@pytest.mark.slow
def test_joint_training_raises_the_bound():
    layers = [("low", RBM(12, max_iter=5)), ("high", RBM(8, max_iter=5))]
    bounds = [
        DBM(layers, max_iter=n, learning_rate_init=0.05, random_state=0)
        .fit(DIGITS)
        .log_likelihood_bound(DIGITS)
        .value
        for n in (1, 40)
    ]
    assert bounds[1] > bounds[0] + 0.5


def test_layers_that_do_not_touch_stay_apart():
    layers = [(f"layer{i}", RBM(n, max_iter=2)) for i, n in enumerate((6, 5, 4))]
    dbm = DBM(layers, max_iter=3, random_state=0).fit(DIGITS)
    mask = dbm._machine.mask()
    weights = dbm.model_.params.encoder_weights[0]
    assert (weights[mask == 0] == 0).all() and (weights[mask == 1] != 0).all()


def test_samples_of_a_belief_network():
    data = rng.integers(0, 2, (50, 4)).astype(float)
    layers = [("low", RBM(3, max_iter=1, visible="bernoulli")), ("high", RBM(2, max_iter=1))]
    dbn = DBN(layers, random_state=0).fit(data)
    low, high = (layer for _, layer in dbn.layers_)
    np.testing.assert_allclose(dbn.transform(data), high.transform(low.transform(data)))
    for layer in (low, high):
        for part in (layer.components_, layer.encoder_bias_, layer.decoder_bias_):
            part[...] = rng.standard_normal(part.shape)
    hidden, visible = all_states(3), all_states(4)
    log_p = high.score_samples(hidden)
    means = expit(hidden @ low.components_ + low.decoder_bias_)
    likelihoods = np.prod(np.where(visible[:, None], means, 1 - means), axis=2)
    p = likelihoods @ np.exp(log_p - logsumexp(log_p))
    samples = dbn.sample(40_000, n_steps=40, random_state=0)
    counts = np.bincount((samples @ 2 ** np.arange(4)).astype(int), minlength=16) / len(samples)
    np.testing.assert_allclose(counts, p, atol=0.012)
    averages = dbn.sample(40_000, n_steps=40, means=True, random_state=0)
    np.testing.assert_allclose(averages.mean(axis=0), p @ visible, atol=0.012)


@pytest.mark.parametrize("Base", [DBN, DBM])
def test_classifier_begins_as_the_machine(Base):
    layers = [("low", RBM(20, max_iter=5)), ("high", RBM(10, max_iter=5))]
    options = {"max_iter": 3} if Base is DBM else {}
    base = Base(layers, random_state=0, **options).fit(DIGITS)
    if Base is DBM:
        base.n_mean_field_steps = 60
    classifier = BoltzmannClassifier(base, prefit=True, max_iter=1, learning_rate_init=1e-9)
    classifier.fit(DIGITS, y)
    network = classifier._network
    inputs = base.model_.input_rows(DIGITS)
    codes = network.encode(network.views(classifier._params), inputs, n_layers=2)
    np.testing.assert_allclose(codes, base.transform(DIGITS), atol=1e-5)


def test_a_classifier_of_a_dbm_has_no_tangents():
    layers = [("low", RBM(5, max_iter=1)), ("high", RBM(4, max_iter=1))]
    model = BoltzmannClassifier(DBM(layers, max_iter=1, random_state=0), max_iter=1)
    with pytest.raises(TypeError, match="model must take X alone.*give one of a DBN"):
        tangent_basis(model.fit(DIGITS, y), DIGITS, 2)


@pytest.mark.slow
def test_classifier_with_few_labels():
    partly = y.copy()
    partly[300:] = -1
    layers = [("low", RBM(100, max_iter=20)), ("high", RBM(50, max_iter=20))]
    options = {"learning_rate_init": 1e-2, "batch_size": 50, "max_iter": 40, "random_state": 0}
    for base in (DBN(layers), DBM(layers, max_iter=10)):
        model = BoltzmannClassifier(base, **options).fit(X / 16, partly)
        assert model.score(X[300:] / 16, y[300:]) > 0.75


@pytest.mark.parametrize(
    "model, error, match",
    [
        (DBN([("low", AutoEncoder(5))]), TypeError, "RBM"),
        (DBM([("low", RBM(5))]), ValueError, "at least 2"),
        (DBM([("low", RBM(5)), ("low", RBM(4))]), ValueError, "unique"),
        (DBM([("a", RBM(5, gradient="autoencoder")), ("b", RBM(4))]), ValueError, "gradient"),
        (DBM([("low", RBM(5)), ("high", RBM(4))], solver="lbfgs"), ValueError, "lbfgs"),
        (DBN([("low", RBM(5)), ("high", RBM(4, visible="gaussian"))]), ValueError, "visible"),
        (BoltzmannClassifier(AutoEncoder(5)), TypeError, "base"),
    ],
)
def test_bad_parameters(model, error, match):
    with pytest.raises(error, match=match):
        model.fit(DIGITS, y)


@pytest.mark.slow
def test_training_resumes(tmp_path):
    layers = [("low", RBM(12, max_iter=3)), ("high", RBM(8, max_iter=3))]
    whole = DBM(layers, max_iter=4, random_state=0).fit(DIGITS)
    path = tmp_path / "dbm"
    DBM(layers, max_iter=2, random_state=0, checkpoint=path).fit(DIGITS)
    resumed = DBM(layers, max_iter=4, random_state=0, checkpoint=path, resume=True).fit(DIGITS)
    for ours, theirs in zip(resumed.weights_, whole.weights_):
        np.testing.assert_array_equal(ours, theirs)


def test_a_failed_fit_leaves_the_machine_as_it_was():
    layers = [("low", RBM(8, max_iter=2)), ("high", RBM(6, max_iter=2))]
    dbm = DBM(layers, max_iter=2, random_state=0).fit(DIGITS)
    before = dbm.transform(DIGITS)
    dbm.set_params(low__visible="gaussian", low__learning_rate_init=1e305)
    with pytest.raises(ValueError, match="not finite"):
        dbm.fit(DIGITS[:, :30])
    np.testing.assert_array_equal(dbm.transform(DIGITS), before)


def test_samples_of_a_belief_network_start_at_frames():
    pandas = pytest.importorskip("pandas")
    layers = [("low", RBM(8, max_iter=2)), ("high", RBM(6, max_iter=2))]
    frame = pandas.DataFrame(DIGITS, columns=[f"pixel{i}" for i in range(64)])
    dbn = DBN(layers, random_state=0).fit(frame)
    assert dbn.sample(start=frame[:5], n_steps=2).shape == (5, 64)
    dbn.fit(DIGITS)
    assert not hasattr(dbn, "feature_names_in_")


@pytest.mark.parametrize("model", [RBM(5, max_iter=1), DBN([("a", RBM(5, max_iter=1))])])
@pytest.mark.parametrize("arguments", [{"n_samples": 1.5}, {"n_steps": 0}])
def test_bad_chains(model, arguments):
    model.fit(DIGITS)
    with pytest.raises((TypeError, ValueError), match=next(iter(arguments))):
        model.sample(**arguments)


@pytest.mark.slow
@pytest.mark.parametrize("Machine", [DBN, DBM])
@pytest.mark.usefixtures("few_epochs")
def test_widths_stand_for_machines_with_defaults(Machine):
    few = DIGITS[:100]
    named = [(f"layer{number}", RBM(width)) for number, width in enumerate((6, 4))]
    expected = Machine(named, random_state=0).fit(few).transform(few)
    machine = clone(Machine([6, np.int64(4)], random_state=0)).fit(few)
    np.testing.assert_array_equal(machine.transform(few), expected)
    assert list(machine.named_layers_) == ["layer0", "layer1"] and machine._repr_html_()
    for layers in ([6, ("high", RBM(4))], [True, 4], [6, 0], []):
        with pytest.raises(ValueError, match="layers must|n_components"):
            Machine(layers).fit(few)
