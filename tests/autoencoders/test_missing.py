"""Missing values: what they add to loss and gradient, and what they are filled with."""

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from common import conditional_means, relative_gradient_error
from scipy.special import expit, log_softmax
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.utils.estimator_checks import check_estimator

from skae import AutoEncoder, ContractiveAE, DenoisingAE, StackedAE
from skae._estimators.columns import Columns, one_hot_groups
from skae.autoencoders._imputation import JointNormal, learned_imputation
from skae.generative import EnergyAE
from skae.nn.corruption import GaussianNoise, Masking, SaltAndPepper, Swap
from skae.nn.jacobian_penalties import JacobianContraction
from skae.nn.losses import Bernoulli, Gaussian, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.penalties import Contraction
from skae.training.batches import Batches

MODELS = [AutoEncoder, DenoisingAE, ContractiveAE]
FAST = {"batch_size": 40, "max_iter": 5, "random_state": 0}


def _table(n=160, missing=0.15, seed=0):
    """Return correlated real, binary and one-hot columns, whole and with missing values."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal(n)
    real = 5 + 2 * hidden[:, np.newaxis] * [1, -1, 3] + 0.3 * rng.standard_normal((n, 3))
    binary = (hidden + 0.2 * rng.standard_normal(n) > 0).astype(float)
    one_hot = np.eye(3)[np.digitize(hidden, [-0.5, 0.5])]
    whole = np.column_stack([real, binary, one_hot])
    holes = rng.random((n, 5)) < missing
    # The columns of a category are missing together.
    return whole, np.where(holes[:, [0, 1, 2, 3, 4, 4, 4]], np.nan, whole)


WHOLE, TABLE = _table()
MISSING = np.isnan(TABLE)


def _losses(logits, x, deviations=1):
    """Return the loss of each row, by formulas; ``x`` is scaled, and gaussian columns have these ``deviations``."""
    gaussian = 0.5 * ((logits[:, :3] - x[:, :3]) / deviations) ** 2
    bernoulli = np.logaddexp(0, logits[:, 3:4]) - x[:, 3:4] * logits[:, 3:4]
    multinomial = -np.sum(x[:, 4:] * log_softmax(logits[:, 4:], axis=1), axis=1, keepdims=True)
    return np.nansum(np.hstack([gaussian, bernoulli, multinomial]), axis=1)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix, pd.DataFrame])
@pytest.mark.parametrize("Model", MODELS)
def test_scores_are_those_of_the_present_cells(Model, form):
    model = Model(6, **FAST).fit(form(TABLE))
    assert [name for name, _ in model.column_losses_] == ["multinomial", "bernoulli", "gaussian"]
    x = (TABLE - model.center_) / model.scale_
    codes = expit(np.where(MISSING, 0, x) @ model.components_.T + model.encoder_bias_)
    logits = codes @ model.decoder_components_ + model.decoder_bias_
    np.testing.assert_allclose(model.transform(form(TABLE)), codes, atol=1e-10)
    losses = _losses(logits, x, np.nanstd(x[:, :3], axis=0))
    np.testing.assert_allclose(model.score_samples(form(TABLE)), -losses, rtol=1e-8)
    assert model.score(form(TABLE)) == pytest.approx(-losses.mean(), rel=1e-8)
    assert np.isfinite(model.reconstruct(form(TABLE))).all()


def test_center_and_scale_are_those_of_the_present_cells():
    model = AutoEncoder(10, **FAST).fit(TABLE)
    np.testing.assert_allclose(model.center_[:3], np.nanmean(TABLE[:, :3], axis=0), rtol=1e-8)
    np.testing.assert_allclose(model.scale_[:3], np.nanstd(TABLE[:, :3], axis=0), rtol=1e-8)


@pytest.mark.parametrize("Model", MODELS)
def test_dense_and_sparse_rows_make_the_same_model(Model):
    dense = Model(6, **FAST).fit(TABLE)
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.csc_matrix):
        sparse = Model(6, **FAST).fit(kind(TABLE))
        np.testing.assert_array_equal(sparse._params, dense._params)
        np.testing.assert_array_equal(sparse.impute(kind(TABLE)), dense.impute(TABLE))
    single = Model(6, **FAST).fit(TABLE.astype(np.float32))
    assert single.impute(TABLE.astype(np.float32)).dtype == np.float32


LOSS = [Gaussian(np.arange(3)), Bernoulli(np.array([3])), Multinomial(np.arange(4, 7))]
PENALTIES = {
    "none": lambda network, loss: [],
    "contraction": lambda network, loss: [Contraction(0.5, network.activations[0])],
    "jacobian": lambda network, loss: [JacobianContraction(0.5, network)],
}
NOISE = {
    "none": {},
    "masking": {"corruption": Masking(0.4)},
    "emphasis": {"corruption": Masking(0.4), "emphasis": (2.0, 0.5)},
    "pepper": {"corruption": SaltAndPepper(0.4), "emphasis": (1.0, 0.0)},
    "swap": {"corruption": Swap(0.4)},
    "gaussian": {"corruption": GaussianNoise(0.4)},
}


def _objective(noise="none", penalties="none"):
    network, loss = Network((7, 4), "sigmoid", decoder="tied"), Reconstruction(LOSS)
    penalties = PENALTIES[penalties](network, loss)
    objective = Objective(network, loss, penalties=penalties, **NOISE[noise])
    rng = np.random.default_rng(1)
    return objective, network.initial(rng, np.float64) + 0.1 * rng.standard_normal(network.size)


@pytest.mark.parametrize("penalties", PENALTIES)
@pytest.mark.parametrize("noise", NOISE)
def test_gradient_of_rows_with_missing_values(noise, penalties):
    objective, point = _objective(noise, penalties)
    x = TABLE[MISSING.any(axis=1)][:6] / [5, 5, 5, 1, 1, 1, 1]
    x[0, :3], x[1] = np.nan, np.nan
    batch = next(Batches(x, np.arange(1.0, 7), 6).epoch(None))
    assert relative_gradient_error(objective, point, batch) < 1e-6


def test_the_objective_is_the_mean_loss_of_the_present_cells():
    objective, point = _objective()
    batch = next(Batches(TABLE, None, len(TABLE)).epoch(None))
    params = objective.network.views(point)
    logits = objective.network.reconstruct(params, np.where(MISSING, 0, TABLE))
    value = objective(point, batch, None, np.random.default_rng(0))
    assert value == pytest.approx(_losses(logits, TABLE).mean(), rel=1e-10)
    # A batch after it that is whole is not weighted by its cells.
    batch = next(Batches(WHOLE, None, len(WHOLE)).epoch(None))
    logits = objective.network.reconstruct(params, WHOLE)
    value = objective(point, batch, None, np.random.default_rng(0))
    assert value == pytest.approx(_losses(logits, WHOLE).mean(), rel=1e-10)


@pytest.mark.parametrize("noise", ["masking", "swap", "salt_and_pepper", "gaussian"])
def test_all_kinds_of_noise_take_them(noise):
    model = DenoisingAE(5, corruption=noise, **FAST).fit(TABLE)
    assert np.isfinite(model._params).all()
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_a_model_of_whole_rows_takes_missing_values():
    model = AutoEncoder(4, **FAST).fit(WHOLE)
    center = model.center_.copy()
    model.partial_fit(TABLE).partial_fit(scipy.sparse.csr_matrix(TABLE))
    assert model.n_iter_ == 7
    np.testing.assert_array_equal(model.center_, center)
    jacobian = model.jacobian(TABLE[:5])
    filled = np.where(MISSING, center, TABLE)
    np.testing.assert_allclose(jacobian, model.jacobian(filled[:5]), atol=1e-12)


@pytest.mark.parametrize("Model", MODELS)
@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix, pd.DataFrame])
def test_imputation_leaves_what_is_present(Model, form):
    model = Model(6, **FAST).fit(form(TABLE))
    filled = model.impute(form(TABLE))
    assert isinstance(filled, np.ndarray)
    np.testing.assert_array_equal(filled[~MISSING], TABLE[~MISSING])
    assert np.isfinite(filled).all()
    assert ((filled[:, 3:] >= 0) & (filled[:, 3:] <= 1)).all()
    np.testing.assert_allclose(filled[:, 4:].sum(axis=1), 1, rtol=1e-8)
    assert np.isnan(TABLE).sum() == MISSING.sum()
    np.testing.assert_array_equal(model.impute(WHOLE), WHOLE)


def test_imputation_warns_of_nothing():
    model = AutoEncoder(3, **FAST).fit(TABLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.impute(TABLE)


def test_imputation_by_hand():
    model = AutoEncoder(6, **FAST).fit(TABLE)
    normal, slopes = model._imputation.normal, model._imputation.slopes
    assert len(slopes) >= 1 and (slopes[:, 3:] == 1).all()
    scaled = (TABLE - model.center_) / model.scale_
    means, covariance = normal.center, np.linalg.inv(normal.precision)
    linear = np.array([conditional_means(means, covariance, row) for row in scaled])
    linear, by_hand = model.center_ + model.scale_ * linear, TABLE
    for turn in slopes:
        stretched = model.reconstruct(by_hand)
        stretched[:, :3] = (linear + turn * (stretched - linear))[:, :3]
        by_hand = np.where(MISSING, stretched, TABLE)
    np.testing.assert_allclose(model.impute(TABLE), by_hand, rtol=1e-8)


def test_after_a_partial_fit_imputation_is_a_reconstruction():
    model = DenoisingAE(6, **FAST).fit(TABLE).partial_fit(TABLE)
    filled, once = model.impute(TABLE), model.reconstruct(TABLE)
    np.testing.assert_allclose(filled[MISSING], once[MISSING], rtol=1e-8)


def test_slopes_are_those_of_a_regression():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((4000, 1)) + np.zeros((1, 3))
    shares = np.array([0.2, 0.5, 2.0])

    def reconstruct(z):
        # Of the true value, which the first column always has unless it is hidden, a share of its own.
        return np.repeat(z.max(axis=1, keepdims=True) + z.min(axis=1, keepdims=True), 3, 1) * shares

    found = learned_imputation(reconstruct, truth, *_real_inputs(3))
    asked = np.array([[np.nan, value, value] for value in rng.standard_normal(50)])
    np.testing.assert_allclose(found.fill(reconstruct, asked)[:, 0], asked[:, 1], rtol=0.1)


def test_a_few_large_values_do_not_make_a_slope():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((2000, 1)) * np.ones((1, 6))
    truth[:, 5] = 0
    truth[::400, 5] = 30 * rng.choice([-1, 1], 5)
    guessed = 0.5 * truth
    guessed[:, 5] = 0.01 * truth[:, 5] * rng.choice([-1, 1], 2000)
    by_means = learned_imputation(lambda z: np.tile(guessed, (3, 1)), truth, *_real_inputs(6))
    np.testing.assert_allclose(by_means.slopes[0][:5], 2, rtol=1e-3)
    # Alone, its slope would be 100 or -100 by the signs of five values.
    assert abs(by_means.slopes[0][5]) < 10


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("dtype", "exponents"),
    [("float64", [400, 0, -400, 0]), ("float32", [50, 0, -50, 0]), ("float64", [500] * 4)],
)
def test_slopes_do_not_depend_on_units(dtype, exponents):
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((600, 4)).astype(dtype)
    guessed = (0.5 * truth + 0.3 * rng.standard_normal((600, 4))).astype(dtype)
    units = np.ldexp(1.0, exponents).astype(dtype)

    def found(unit):
        rows = np.tile(guessed * unit, (3, 1))
        return learned_imputation(lambda z: rows, truth * unit, *_real_inputs(4)).slopes[0]

    usual, in_units = found(np.ones(4, dtype)), found(units)
    # Of each column, covariance / variance, nearly: the common mean shrinks them little.
    by_hand = [np.polyfit(guess, true, 1)[0] for guess, true in zip(guessed.T, truth.T)]
    np.testing.assert_allclose(usual, by_hand, rtol=0.1)
    np.testing.assert_array_equal(in_units, usual)


def _real_inputs(n):
    return JointNormal(np.zeros(n), None), np.ones(n, bool), None


@pytest.mark.slow
@pytest.mark.parametrize("Model", MODELS)
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
def test_imputation_is_no_worse_than_one_reconstruction(Model, load):
    whole = load().data
    holes = np.random.default_rng(0).random(whole.shape) < 0.2
    table, deviations = np.where(holes, np.nan, whole), whole.std(axis=0)
    model = Model(100, random_state=0, max_iter=100).fit(table)
    once, filled, means = (
        np.mean(((values - whole) / deviations)[holes] ** 2)
        for values in (
            model.reconstruct(table),
            model.impute(table),
            np.nanmean(table, axis=0) + np.zeros_like(whole),
        )
    )
    assert filled <= once
    assert filled < 0.75 * means


@pytest.mark.parametrize(
    "model", [AutoEncoder(2), DenoisingAE(20), ContractiveAE(50)], ids=lambda m: type(m).__name__
)
def test_imputation_beats_the_means_of_the_columns(model):
    whole, table = _table(400, 0.2, seed=3)
    missing, means = np.isnan(table), np.nanmean(table, axis=0)
    model = clone(model).set_params(random_state=0, max_iter=150).fit(table[:300])
    deviations = whole.std(axis=0)

    def error(values):
        return np.mean(((values - whole[300:]) / deviations)[missing[300:]] ** 2)

    filled = model.impute(table[300:])
    assert error(filled) < 0.75 * error(np.broadcast_to(means, filled.shape))


@pytest.mark.slow
@pytest.mark.parametrize("Model", [DenoisingAE, ContractiveAE])
def test_pixels_that_are_hidden_are_filled_in(Model):
    X = load_digits().data
    holes = np.random.default_rng(0).random(X.shape) < 0.3
    table = np.where(holes, np.nan, X)
    model = Model(60, max_iter=30, random_state=0).fit(table[:1500])
    filled, means = model.impute(table[1500:]), np.nanmean(table[:1500], axis=0)
    errors = [(values - X[1500:])[holes[1500:]] for values in (filled, means + 0 * filled)]
    assert np.mean(errors[0] ** 2) < 0.8 * np.mean(errors[1] ** 2)


@pytest.mark.parametrize("Model", MODELS)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "impute", "score"])
def test_infinity_is_no_missing_value(Model, method):
    model, bad = Model(3, **FAST).fit(TABLE), TABLE.copy()
    bad[4, 1] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        getattr(model, method)(bad)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("Model", MODELS)
def test_a_column_without_values_is_refused(Model, form):
    empty = TABLE.copy()
    empty[:, 2] = np.nan
    with pytest.raises(ValueError, match="Column 2 of X has no value.*all are NaN"):
        Model(3, **FAST).fit(form(empty))
    # In rows of weight 0 a value is none.
    empty[0, 2] = 1.0
    weights = np.append(0.0, np.ones(len(empty) - 1))
    with pytest.raises(ValueError, match="Column 2 of X has no value"):
        Model(3, **FAST).fit(form(empty), sample_weight=weights)


@pytest.mark.parametrize("form", [np.asarray, scipy.sparse.csr_matrix])
@pytest.mark.parametrize("loss, value", [("bernoulli", 2.0), ("multinomial", -1.0)])
def test_missing_values_hide_no_bad_ones(loss, value, form):
    bad = np.random.default_rng(0).random((30, 3))
    bad[0, 1], bad[1, 1] = np.nan, value
    with pytest.raises(ValueError, match=f"loss='{loss}' needs.*column 1"):
        AutoEncoder(2, loss=loss, **FAST).fit(form(bad))


def test_groups_are_found_in_the_rows_without_missing_values():
    for seed in range(20):
        table = _table(40, 0.2, seed)[1]
        zero_one = Columns(table).zero_one
        complete = table[~np.isnan(table[:, 3:]).any(axis=1)]
        expected = one_hot_groups(complete, zero_one)
        for form in (np.asarray, scipy.sparse.csr_matrix):
            assert one_hot_groups(form(table), zero_one) == expected


@pytest.mark.parametrize("Model", MODELS)
def test_early_stopping_and_lbfgs_take_them(Model):
    model = Model(4, early_stopping=True, **FAST).fit(TABLE)
    assert np.isfinite(model.validation_curve_).all()
    full = Model(4, solver="lbfgs", max_iter=500, random_state=0).fit(TABLE)
    assert full.loss_ < model.loss_


def test_who_takes_missing_values():
    for Model in MODELS:
        assert Model().__sklearn_tags__().input_tags.allow_nan
    for model in (EnergyAE(3), StackedAE([("a", AutoEncoder(3, **FAST))])):
        assert not model.__sklearn_tags__().input_tags.allow_nan
        with pytest.raises(ValueError, match="NaN"):
            clone(model).fit(TABLE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("Model", MODELS)
def test_checks_of_scikit_learn_with_missing_values_allowed(Model):
    assert check_estimator(Model(3, max_iter=5, solver="lbfgs"), on_skip=None)


@pytest.mark.filterwarnings("ignore")  # few epochs learn little
def test_numpy_needs_no_function_astype(monkeypatch):
    """It has one since version 2.1."""
    monkeypatch.delattr(np, "astype", raising=False)
    model = AutoEncoder(3, **FAST).fit(TABLE)
    assert np.isfinite(model.score_samples(TABLE)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_of_hardly_any_weight_do_not_change_what_is_filled_in():
    """Both the linear estimates and the slopes ignored weights."""
    rng = np.random.default_rng(0)
    table = rng.standard_normal((80, 3)) @ rng.standard_normal((3, 6))
    holes = np.where(rng.random(table.shape) < 0.2, np.nan, table)
    strange = 100 * rng.standard_normal((20, 6))
    weights = np.append(np.ones(80), np.full(20, 1e-12))
    model = AutoEncoder(3, activation="identity", solver="lbfgs", random_state=0)
    expected = clone(model).fit(holes).impute(holes)
    found = model.fit(np.vstack([holes, strange]), sample_weight=weights).impute(holes)
    np.testing.assert_allclose(found, expected, atol=0.05)
    assert np.abs(found - table)[np.isnan(holes)].mean() < 0.2
