"""What training begins with: output biases, the automatic contraction, and how columns are scaled for it."""

from functools import partial

import numpy as np
import pytest
from scipy.special import logit, xlogy
from sklearn.base import clone
from sklearn.datasets import make_circles, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import RBM, AutoEncoder, ContractiveAE, DenoisingAE, StackedAE, StackedAERegressor
from skae._estimators.units import SigmoidCode
from skae.nn.activations import ACTIVATIONS
from skae.nn.network import Network, expected_squared_jacobian

RNG = np.random.default_rng(0)
N = 200
REAL = RNG.standard_normal((N, 2)) @ RNG.standard_normal((2, 5)) + 0.3 * RNG.standard_normal((N, 5))
BINARY = (RNG.random((N, 4)) < [0.1, 0.5, 0.9, 0.3]).astype(float)
GREY = np.round(RNG.beta(0.3, 0.6, (N, 6)), 2)
ONE_HOT = np.eye(3)[RNG.choice(3, N, p=[0.6, 0.3, 0.1])]
COUNTS = RNG.poisson([1.0, 5.0, 2.0, 0.5], (N, 4)).astype(float)
MIXED = np.hstack([REAL, BINARY, ONE_HOT])
STILL = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "random_state": 0}
SHARES = {"gaussian": 0.03, "bernoulli": 0.1, "multinomial": 0.03}


def _entropy(p):
    return -xlogy(p, p) - xlogy(1 - p, 1 - p)


def _scale_of_the_jacobian(sizes, activations):
    """Return the mean of ||J||_F^2 over initial weights by drawing them, at pre-activations of 0."""
    network = Network(sizes, activations, decoder="tied")
    slopes = {"sigmoid": 0.25, "tanh": 1.0, "softplus": 0.5, "identity": 1.0}
    draw, values = np.random.default_rng(1), []
    for _ in range(400):
        product = np.eye(sizes[0])
        weights = network.views(network.initial(draw, np.float64)).encoder_weights
        for layer, name in zip(weights, activations):
            product = slopes[name] * layer @ product
        values.append(np.sum(product**2))
    return np.mean(values)


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "softplus", "identity"])
@pytest.mark.parametrize("sizes", [(20, 10), (5, 40), (20, 15, 10)], ids=str)
def test_scale_of_the_jacobian(sizes, activation):
    names = (activation,) * (len(sizes) - 1)
    ours = expected_squared_jacobian(Network(sizes, names, decoder="tied"))
    assert ours == pytest.approx(_scale_of_the_jacobian(sizes, names), rel=0.03)


def test_scale_of_the_jacobian_of_one_layer_of_sigmoids():
    for d, k in ((5, 7), (61, 500), (784, 500)):
        network = Network((d, k), "sigmoid", decoder="tied")
        assert expected_squared_jacobian(network) == pytest.approx(k * d / (8 * (k + d)))
    assert set(ACTIVATIONS) >= {"sigmoid", "tanh", "softplus", "identity", "relu"}


@pytest.mark.parametrize("hidden", [(), (9,)], ids=["depth1", "depth2"])
@pytest.mark.parametrize("kind", ["gaussian", "binary", "gray", "one-hot", "counts", "mixed"])
def test_contraction_is_its_formula(kind, hidden):
    data, loss = {
        "gaussian": (REAL, "auto"),
        "binary": (BINARY, "auto"),
        "gray": (GREY, "bernoulli"),
        "one-hot": (ONE_HOT, "auto"),
        "counts": (COUNTS, "multinomial"),
        "mixed": (MIXED, "auto"),
    }[kind]
    model = ContractiveAE(8, hidden_layer_sizes=hidden, loss=loss, **STILL).fit(data)
    p, counts = data.mean(axis=0), COUNTS.mean(axis=0)
    width = (*hidden, 8)[0]
    variance = np.clip(width / data.shape[1], 0.1, 8)  # of each scaled real column
    surplus = max(1, 8 / data.shape[1])  # of units
    entropies = {
        "gaussian": SHARES["gaussian"] * variance * 5 / 2,
        "binary": SHARES["gaussian"] * variance * 4 / 2,  # more units than columns
        "gray": SHARES["bernoulli"] * (_entropy(p) - _entropy(data).mean(axis=0)).sum(),
        "one-hot": -SHARES["multinomial"] * xlogy(p, p).sum(),
        "counts": -SHARES["multinomial"] * (counts * np.log(counts / counts.sum())).sum(),
        "mixed": SHARES["gaussian"] * variance * 5 / 2
        + SHARES["bernoulli"] * _entropy(BINARY.mean(axis=0)).sum()
        - SHARES["multinomial"] * xlogy(ONE_HOT.mean(axis=0), ONE_HOT.mean(axis=0)).sum(),
    }
    sizes = (data.shape[1], *hidden, 8)
    at_start = _scale_of_the_jacobian(sizes, ("sigmoid",) * (len(sizes) - 1))
    assert model.contraction_ == pytest.approx(entropies[kind] / (surplus * at_start), rel=0.03)


def test_contraction_of_the_reconstruction_begins_at_the_identity():
    model = ContractiveAE(8, contracted="reconstruction", loss="gaussian", **STILL).fit(REAL)
    assert model.contraction_ == pytest.approx(SHARES["gaussian"] * 5 / 2 / 5, rel=1e-6)
    assert type(model.contraction_) is float


@pytest.mark.parametrize("loss", ["gaussian", "bernoulli"])
def test_contraction_does_not_depend_on_copies(loss):
    data = REAL if loss == "gaussian" else GREY
    model = ContractiveAE(10, loss=loss, **STILL)
    once = clone(model).fit(data).contraction_
    rows = clone(model).fit(np.vstack([data] * 3)).contraction_
    assert rows == pytest.approx(once, rel=1e-6)
    weights = np.random.default_rng(0).integers(0, 4, N)
    weighted = clone(model).fit(data, sample_weight=weights).contraction_
    repeated = clone(model).fit(np.repeat(data, weights, axis=0)).contraction_
    assert weighted == pytest.approx(repeated, rel=1e-6)
    # With as many more units, columns that are all there twice need the same.
    twice = clone(model).set_params(n_components=20).fit(np.hstack([data, data])).contraction_
    assert twice == pytest.approx(once, rel=1e-6)


def test_rows_of_weight_zero_do_not_count_in_it():
    weights = np.where(np.arange(N) < 60, 0.0, 1.0)
    model = ContractiveAE(10, loss="bernoulli", **STILL)
    weighted = clone(model).fit(GREY, sample_weight=weights).contraction_
    assert weighted == pytest.approx(clone(model).fit(GREY[60:]).contraction_, rel=1e-9)


def test_missing_values_do_not_count_in_it():
    gray = np.vstack([GREY, np.full((2 * N, 6), np.nan)])
    gray[N:, 0] = 0.5
    whole = np.vstack([GREY[:, :1], np.full((2 * N, 1), 0.5)])
    model = ContractiveAE(6, loss="bernoulli", **STILL).fit(gray)
    p, rest = whole.mean(), GREY[:, 1:]
    expected = _entropy(p) - _entropy(whole).mean()
    expected += (_entropy(rest.mean(axis=0)) - _entropy(rest).mean(axis=0)).sum()
    assert model.contraction_ == pytest.approx(0.1 * expected / (36 / (8 * 12)), rel=1e-6)


def test_contraction_weighs_what_it_says_at_the_start():
    ink = (np.hstack([GREY] * 6) > 0.5).astype(float)
    # With standardize=False units are not turned off, which makes the penalty smaller.
    model = ContractiveAE(30, contraction="auto", standardize=False, **STILL).fit(ink)
    penalty = model.contraction_ * np.sum(model.jacobian(ink) ** 2, axis=(1, 2))
    # Pre-activations are not all 0, where sigmoids are steepest.
    share = penalty.mean() / _entropy(ink.mean(axis=0)).sum()
    assert 0.07 < share < 0.11


SKEWED = np.random.default_rng(2).gamma(1.0, np.arange(1, 21), (5000, 20))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:. principal components have")
def test_units_learn_small_peaks_on_smooth_curves():
    """Of which a few directions have nearly all variance: units that are off would learn no others."""
    rng, points = np.random.default_rng(0), np.linspace(0, 1, 100)
    curves = np.exp(-0.5 * ((points - np.linspace(0, 1, 8)[:, np.newaxis]) / 0.15) ** 2)
    heights = rng.random(400)
    X = rng.standard_normal((400, 8)) @ curves + 0.03 * rng.standard_normal((400, 100))
    X += 0.5 * heights[:, np.newaxis] * np.exp(-0.5 * ((points - 0.5) / 0.02) ** 2)
    for Model in (ContractiveAE, DenoisingAE):
        assert (Model(30, **STILL).fit(X).model_.params.encoder_biases[0] == 0).all()
    model = StackedAERegressor([100, 50], random_state=0).fit(X[:250], heights[:250])
    assert model.score(X[250:], heights[250:]) > 0.9


@pytest.mark.parametrize("model", [ContractiveAE(), DenoisingAE(), AutoEncoder(bias_init="off")])
@pytest.mark.parametrize("n_units, amount", [(40, 2), (20, 2), (5, 0.5)])
def test_units_are_off_at_most_rows(model, n_units, amount):
    model = clone(model).set_params(n_components=n_units, **STILL).fit(SKEWED)
    logits = logit(model.transform(SKEWED))
    ratios = logits.mean(axis=0) / logits.std(axis=0)
    np.testing.assert_allclose(ratios, -amount, rtol=0.1)


def test_units_are_off_at_most_rows_of_columns_as_they_are():
    X = 0.3 * np.random.default_rng(2).standard_normal((5000, 20))
    model = DenoisingAE(20, standardize=False, bias_init="off", **STILL).fit(X)
    logits = logit(model.transform(X))
    np.testing.assert_allclose(logits.mean(axis=0) / logits.std(axis=0), -2, rtol=0.1)


@pytest.mark.parametrize("Model", [ContractiveAE, DenoisingAE])
def test_units_with_biases_of_zero(Model):
    n_units = 30
    models = [
        Model(n_units, bias_init="zeros", **STILL),
        AutoEncoder(n_units, **STILL),
        Model(n_units, standardize=False, **STILL),
        Model(n_units, hidden_layer_sizes=30, **STILL),
        Model(n_units, activation="tanh", **STILL),
        ContractiveAE(n_units, contracted="reconstruction", tied_weights=False, **STILL),
    ]
    for model in models:
        assert (model.fit(SKEWED).model_.params.encoder_biases[0] == 0).all()


def test_off_is_for_one_layer_of_sigmoids():
    for options in ({"activation": "relu"}, {"hidden_layer_sizes": 9}):
        model = AutoEncoder(3, bias_init="off", **options, **STILL)
        with pytest.warns(UserWarning, match="bias_init='off'.*needs activation='sigmoid' without"):
            model.fit(REAL)
        assert (model.model_.params.encoder_biases[0] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("Model", [ContractiveAE, DenoisingAE])
def test_linear_classifiers_of_codes_follow_a_sphere(Model):
    X = np.random.default_rng(0).standard_normal((900, 8))
    y = (X**2).sum(axis=1) > 7.34  # the median
    codes = Model(200, random_state=0).fit(X[:600]).transform(X)
    linear = LogisticRegression(max_iter=2000).fit(codes[:600], y[:600])
    assert linear.score(codes[600:], y[600:]) > 0.9


def test_zero_one_columns_are_scaled_where_there_are_more_units():
    few, many = (ContractiveAE(k, **STILL).fit(BINARY) for k in (4, 6))
    assert [name for name, _ in few.column_losses_] == ["bernoulli"]
    assert (few.scale_ == 1).all()
    assert [name for name, _ in many.column_losses_] == ["gaussian"]
    scaled = (BINARY - many.center_) / many.scale_
    np.testing.assert_allclose(scaled.var(axis=0), 6 / 4, rtol=1e-8)
    others = [
        AutoEncoder(6, **STILL),
        DenoisingAE(6, **STILL),
        ContractiveAE(6, activation="tanh", **STILL),
        ContractiveAE(6, standardize=False, **STILL),
    ]
    for model in others:
        assert [name for name, _ in model.fit(BINARY).column_losses_] == ["bernoulli"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mixed", "binary", "one-hot"])
def test_codes_of_few_columns_keep_what_classes_need(kind):
    # Independent columns, of which two decide: codes that hardly depend on them, or are constant around rows, lose them.
    draw = np.random.default_rng(2)
    X = (draw.random((500, 14)) < 0.3).astype(float)
    y = X[:, 0] != X[:, 1]
    if kind == "mixed":
        X = np.hstack([draw.standard_normal((500, 4)), X[:, :4]])
    if kind == "one-hot":
        first, second = draw.integers(0, 3, (2, 500))
        X = np.hstack([draw.standard_normal((500, 4)), np.eye(3)[first], np.eye(3)[second]])
        y = first == second
    plain = make_pipeline(StandardScaler(), SVC()).fit(X[:300], y[:300])
    coded = make_pipeline(ContractiveAE(random_state=0), SVC()).fit(X[:300], y[:300])
    allowed = 0.05 if kind == "one-hot" else 0.02
    assert coded.score(X[300:], y[300:]) >= plain.score(X[300:], y[300:]) - allowed


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rings", "moons"])
def test_a_linear_classifier_of_codes_of_two_columns_bends(kind):
    make = {"rings": partial(make_circles, factor=0.5), "moons": make_moons}[kind]
    X, y = make(2000, noise=0.1, random_state=0)
    rows = 100 * X[:1000] + 7, y[:1000], 100 * X[1000:] + 7, y[1000:]
    linear = LogisticRegression(max_iter=1000)
    on_codes, on_columns, best = (
        make_pipeline(*steps).fit(*rows[:2]).score(*rows[2:])
        for steps in (
            (ContractiveAE(random_state=0), linear),
            (StandardScaler(), linear),
            (StandardScaler(), SVC()),
        )
    )
    assert best - on_codes < (best - on_columns) / 2


def test_gaussian_columns_have_the_variance_that_suits():
    many = SigmoidCode(500)
    assert many.variance_of_inputs(500, N) == 1
    assert SigmoidCode(50).variance_of_inputs(500, N) == pytest.approx(0.1)
    assert many.variance_of_inputs(6, N) == 8
    assert SigmoidCode(2).variance_of_inputs(500, N) == 0.1
    # Of few columns, up to where neighboring rows are one apart: 100 rows in a square are 10 x 10.
    assert many.variance_of_inputs(2, 100) == pytest.approx(100)
    assert many.variance_of_inputs(2, 10**6) == 250
    assert many.variance_of_inputs(2, 100, beside_groups=True) == 4
    for k in (3, 10, 100):
        model = ContractiveAE(k, **STILL).fit(REAL)
        scaled = (REAL - model.center_) / model.scale_
        largest = N ** (2 / 5)
        np.testing.assert_allclose(scaled.var(axis=0), np.clip(k / 5, 0.1, largest), rtol=1e-8)
        np.testing.assert_allclose(model.reconstruct(REAL).mean(axis=0), REAL.mean(axis=0), atol=9)
    few = AutoEncoder(3, **STILL).fit(REAL)
    np.testing.assert_allclose(few.scale_, REAL.std(axis=0) / np.sqrt(3 / 5), rtol=1e-8)
    mixed = ContractiveAE(12, **STILL).fit(MIXED)
    scaled = (MIXED - mixed.center_) / mixed.scale_
    np.testing.assert_allclose(scaled[:, :5].var(axis=0), 1, rtol=1e-8)
    np.testing.assert_array_equal(scaled[:, 5:], MIXED[:, 5:])
    others = [
        ContractiveAE(3, activation="tanh", **STILL),
        ContractiveAE(3, contracted="reconstruction", **STILL),
        DenoisingAE(3, **STILL),
        AutoEncoder(3, tied_weights=False, **STILL),
        AutoEncoder(3, activation="tanh", **STILL),
        AutoEncoder(5, **STILL),
        AutoEncoder(50, **STILL),
    ]
    for model in others:
        np.testing.assert_allclose(model.fit(REAL).scale_, REAL.std(axis=0), rtol=1e-8)
    assert (ContractiveAE(3, standardize=False, **STILL).fit(REAL).scale_ == 1).all()


@pytest.mark.parametrize("size", [None, 5.0, 0.01 / N])
@pytest.mark.parametrize("Model", [AutoEncoder, DenoisingAE, ContractiveAE])
def test_output_biases_begin_at_the_means(Model, size):
    weights = None if size is None else size * np.random.default_rng(0).random(N)
    # A row of weight 2 counts as two rows, but weights with a small sum are as many rows as there are.
    total = N if weights is None else max(N, weights.sum())
    model = Model(6, **STILL).fit(MIXED, sample_weight=weights)
    mean = np.average(MIXED, axis=0, weights=weights)
    # Half a sample more of each kind, so that none is infinite.
    p = (mean * total + 0.5) / (total + 1)
    np.testing.assert_allclose(model.decoder_bias_[:5], 0, atol=1e-8)
    np.testing.assert_allclose(model.decoder_bias_[5:9], logit(p[5:9]), rtol=1e-8)
    np.testing.assert_allclose(model.decoder_bias_[9:], np.log(p[9:]), rtol=1e-8)


@pytest.mark.parametrize("Model", [AutoEncoder, RBM])
def test_weights_with_a_sum_of_1_are_no_single_row(Model):
    model = Model(4, max_iter=5, random_state=0)
    plain = clone(model).fit(BINARY).score_samples(BINARY)
    scaled = clone(model).fit(BINARY, sample_weight=np.full(N, 1 / N)).score_samples(BINARY)
    np.testing.assert_allclose(scaled, plain, rtol=1e-9)


@pytest.mark.parametrize("size", [1e30, 1e250])
def test_output_biases_are_finite_whatever_the_weights(size):
    weights = np.where(np.arange(N) < 2, size, 1.0)
    model = AutoEncoder(4, **STILL).fit(BINARY, sample_weight=weights)
    assert np.abs(model.decoder_bias_).max() < 30


def test_output_biases_of_x_as_it_is():
    model = AutoEncoder(6, standardize=False, loss="gaussian", **STILL).fit(REAL + 7)
    np.testing.assert_allclose(model.decoder_bias_, REAL.mean(axis=0) + 7, rtol=1e-8)
    zeros = np.hstack([BINARY, np.zeros((N, 1))])
    bernoulli = AutoEncoder(6, standardize=False, loss="bernoulli", **STILL).fit(zeros)
    assert bernoulli.decoder_bias_[4] == pytest.approx(logit(0.5 / (N + 1)))


def test_deep_models_and_stacks_begin_at_the_means_too():
    deep = AutoEncoder(3, hidden_layer_sizes=(5, 4), **STILL).fit(BINARY)
    p = (BINARY.mean(axis=0) * N + 0.5) / (N + 1)
    np.testing.assert_allclose(deep._shown_params("").decoder_biases[0], logit(p), rtol=1e-8)
    low, high = ("low", AutoEncoder(5, **STILL)), ("high", AutoEncoder(3, **STILL))
    stack = StackedAE([low, high]).fit(BINARY)
    codes = stack.named_layers_.low.transform(BINARY).mean(axis=0)
    np.testing.assert_allclose(
        stack.named_layers_.high.decoder_bias_, logit((codes * N + 0.5) / (N + 1)), rtol=1e-8
    )


@pytest.mark.slow
@pytest.mark.parametrize("unit", [1e-3, 1e3])
def test_steps_are_shorter_with_many_columns(unit):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 8)) @ rng.standard_normal((8, 1500))
    X = unit * (X + rng.standard_normal(X.shape)).astype(np.float32)
    errors = {}
    for step in ("auto", 1e-2):  # the latter with few columns
        model = DenoisingAE(50, learning_rate_init=step, max_iter=150, random_state=0)
        errors[step] = -model.fit(X[:200]).score(X[200:])
    assert errors["auto"] < 0.9 * errors[1e-2]


def test_scores_do_not_depend_on_how_columns_are_scaled_for_the_units():
    for Model in (AutoEncoder, ContractiveAE):
        for k in (2, 5, 40):
            model = Model(k, max_iter=3, random_state=0).fit(REAL)
            errors = (REAL - model.reconstruct(REAL)) / REAL.std(axis=0)
            scores = -0.5 * np.sum(errors**2, axis=1)
            np.testing.assert_allclose(model.score_samples(REAL), scores, rtol=1e-8)
