"""StackedAEClassifier and StackedAERegressor beside scikit-learn's linear models, and their options."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.special import softmax
from scipy.stats import bernoulli, entropy
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, NearestNeighbors
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler, scale

from skae import (
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae._arrays.namespace import some_rows
from skae._estimators.label_neighbors import LabeledNeighbors, kernel_errors
from skae._estimators.labels import SupervisedData
from skae._estimators.reading_y import read_classes
from skae.boltzmann import DBM, BoltzmannClassifier

X, y = load_digits(return_X_y=True)
X = X / 16
FAST = {"max_iter": 5, "batch_size": 100, "random_state": 0}
LAYERS = [("low", DenoisingAE(40, **FAST)), ("high", AutoEncoder(20, **FAST))]
LINEAR = [("only", AutoEncoder(6, activation="identity", standardize=False, max_iter=2))]
EXACT = {"pretraining": None, "solver": "lbfgs", "max_iter": 3000, "tol": 1e-10, "random_state": 0}


def _overlapping():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((300, 4))
    return data, np.argmax(data[:, :3] + rng.standard_normal((300, 3)), axis=1)


def test_a_linear_stack_is_logistic_regression():
    data, classes = _overlapping()
    model = StackedAEClassifier(LINEAR, **EXACT).fit(data, classes)
    peer = LogisticRegression(C=1e8, tol=1e-10, max_iter=1000).fit(data, classes)
    np.testing.assert_allclose(model.predict_proba(data), peer.predict_proba(data), atol=1e-4)
    assert model.loss_ == pytest.approx(log_loss(classes, peer.predict_proba(data)), rel=1e-5)


@pytest.mark.parametrize("size", [1e200, 1e-200])
def test_targets_out_of_range_are_refused(size):
    """Their squares are no numbers of float64."""
    data = np.random.default_rng(0).standard_normal((20, 3))
    model = StackedAERegressor([3], pretraining=None, max_iter=2, random_state=0)
    with pytest.raises(ValueError, match="y has values above .*: multiply y by a power of ten"):
        model.fit(data, size * data[:, 0])
    small = clone(model).fit(data, 1e-100 * data[:, 0]).predict(data)
    np.testing.assert_allclose(1e100 * small, model.fit(data, data[:, 0]).predict(data), rtol=1e-6)


@pytest.mark.parametrize(("center", "size"), [(1e9, 1), (0, 1e39), (0, 1e-39)])
def test_predictions_have_the_digits_of_y_if_x_has_few(center, size):
    data = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    options = {"pretraining": None, "solver": "lbfgs", "max_iter": 2, "random_state": 0}
    model = StackedAERegressor([3], **options)
    target = data[:, 0].astype(float)
    expected = clone(model).fit(data, target).predict(data)
    found = (model.fit(data, center + size * target).predict(data) - center) / size
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("few_epochs")
def test_a_layer_that_learned_from_y_cannot_go_on_without():
    """It has no decoder, and its solver starts anew from its own part of the parameters."""
    data, classes = _overlapping()
    options = {"pretraining": "supervised", "max_iter": 2, "random_state": 0}
    model = StackedAEClassifier([3], **options).fit(data, classes)
    layer = model.layers_[0][1]
    state = vars(layer)["_state"]
    assert state["solver_first"].shape == state["params"].shape == (15,)
    with pytest.raises(ValueError, match="This ContractiveAE was a layer .* has no decoder"):
        layer.partial_fit(data)
    layer.fit(data)
    assert layer.partial_fit(data).reconstruct(data).shape == data.shape


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_a_linear_stack_is_least_squares(n_outputs):
    rng = np.random.default_rng(0)
    data = scale(load_diabetes().data[:, :6])
    targets = data @ rng.standard_normal((6, n_outputs)) + rng.standard_normal((442, n_outputs))
    targets = targets.ravel() if n_outputs == 1 else targets
    model = StackedAERegressor(LINEAR, weight_decay=0, **EXACT).fit(data, targets)
    expected = LinearRegression().fit(data, targets).predict(data)
    np.testing.assert_allclose(model.predict(data), expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.usefixtures("few_epochs")
def test_neither_scale_nor_mean_of_y_matters(n_outputs):
    data = load_diabetes()
    targets = np.column_stack([data.target, data.data[:, 3]])[:, :n_outputs]
    model = StackedAERegressor([20], max_iter=20, random_state=0)
    plain = clone(model).fit(data.data, targets)
    other = clone(model).fit(data.data, 1e6 * targets + 5e8)
    expected = 1e6 * plain.predict(data.data) + 5e8
    np.testing.assert_allclose(other.predict(data.data), expected, rtol=1e-6)
    np.testing.assert_allclose(other.target_center_, 1e6 * targets.mean(axis=0) + 5e8)
    np.testing.assert_allclose(other.target_scale_, 1e6 * targets.std(axis=0))
    weights = np.arange(442) % 3
    weighted = clone(model).fit(data.data, targets, weights)
    np.testing.assert_allclose(
        weighted.target_center_, np.average(targets, axis=0, weights=weights)
    )


@pytest.mark.slow
@pytest.mark.usefixtures("few_epochs")
def test_weight_decay_is_that_of_a_number_over_rows():
    data, target = load_diabetes(return_X_y=True)
    options = {"solver": "lbfgs", "max_iter": 20, "random_state": 0}
    auto = StackedAERegressor([5], weight_decay="2*auto", **options).fit(data, target)
    given = StackedAERegressor([5], weight_decay=0.6 / 442, **options).fit(data, target)
    np.testing.assert_array_equal(auto.predict(data), given.predict(data))
    with pytest.raises(ValueError, match="weight_decay must be a number >= 0, 'auto', or"):
        StackedAERegressor([5], weight_decay="some", **options).fit(data, target)


def test_weight_decay_is_less_where_targets_follow_from_the_rows():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(400, 2))
    for noise in (0.05, 0.4, 1.0):
        y = np.sin(9 * X[:, 0]) + noise * rng.standard_normal(400)
        Z = StandardScaler().fit_transform(X)
        nearest = NearestNeighbors(n_neighbors=1).fit(Z).kneighbors()[1][:, 0]
        error = np.mean((y - y[nearest]) ** 2) / (2 * y.var())
        decay = 0.3 / 400 * np.clip((error - 0.1) / 0.2, 0, 1)
        options = {"max_iter": 3, "pretraining": None, "random_state": 0}
        auto = StackedAERegressor([5], **options).fit(X, y)
        given = StackedAERegressor([5], weight_decay=decay, **options).fit(X, y)
        np.testing.assert_allclose(auto.predict(X), given.predict(X), rtol=1e-3, atol=1e-4)
        assert (decay == 0) == (noise == 0.05) and (decay == 0.3 / 400) == (noise == 1)


def test_smooth_targets_are_learned_in_up_to_three_times_as_many_steps(monkeypatch):
    monkeypatch.setattr("skae.training.solvers._EPOCHS", (2, 10))
    monkeypatch.setattr("skae.training.solvers._STEPS", (4, 8))
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(400, 2))
    Z = StandardScaler().fit_transform(X)
    nearest = NearestNeighbors(n_neighbors=1).fit(Z).kneighbors()[1][:, 0]
    for noise, most in ((0.05, 3), (0.35, 2.9), (1.0, 1)):
        y = np.sin(9 * X[:, 0]) + noise * rng.standard_normal(400)
        error = np.mean((y - y[nearest]) ** 2) / (2 * y.var())
        factor = 3 - 2 * np.clip((error - 0.1) / 0.2, 0, 1)
        options = {"pretraining": None, "random_state": 0, "batch_size": 200}
        model = StackedAERegressor([5], **options).fit(X, y)
        # Four epochs of two batches, or up to three times as many.
        assert model.n_iter_ == pytest.approx(np.ceil(4 * factor), abs=0.5)
        assert 1 <= factor <= most
    assert StackedAERegressor([5], max_iter=3, **options).fit(X, np.sin(9 * X[:, 0])).n_iter_ == 3
    labels, more = X[:, 0] > 0.5, np.column_stack([X, X])
    n_epochs = [StackedAEClassifier([5], **options).fit(Z, labels).n_iter_ for Z in (X, more)]
    assert n_epochs == [12, 4]  # labels of many columns take no more


@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_units_of_few_inputs_are_steep_and_centered_at_rows(activation):
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(100, 2))
    options = {"pretraining": None, "max_iter": 1, "learning_rate_init": 1e-9, "random_state": 0}

    def units(y, n_rows=100, **more):
        layers = [("only", AutoEncoder(30, activation=activation))]
        model = StackedAERegressor(layers, **options, **more).fit(X[:n_rows], y[:n_rows]).model_
        params = model.params
        return params.encoder_weights[0], params.encoder_biases[0]

    smooth, rough = X[:, 0], rng.standard_normal(100)
    weights, biases = units(smooth)
    factor = 4 if activation == "sigmoid" else 1
    bound = factor * np.sqrt(6 / (2 + 2))  # Glorot & Bengio 2010, for as many units as inputs
    assert 0.9 * bound < abs(weights).max() <= bound * (1 + 1e-6)
    Z = StandardScaler().fit_transform(X)
    assert (abs(Z @ weights.T + biases).min(axis=0) < 1e-5).all()
    usual, zeros = units(rough)
    assert abs(usual).max() <= factor * np.sqrt(6 / (2 + 30)) and not abs(zeros).max() > 1e-6
    for unchanged in ({"frozen": 1}, {"reconstruction_weight": 1.0}, {"n_rows": 99}):
        np.testing.assert_allclose(units(smooth, **unchanged)[0], usual, atol=1e-6)


@pytest.mark.slow
def test_functions_of_two_columns_that_bend_often_are_learned():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(1500, 2))
    y = np.sin(10 * X[:, 0]) * np.cos(14 * X[:, 1]) + 0.1 * rng.standard_normal(1500)
    model = StackedAERegressor(random_state=0).fit(X[:600], y[:600])
    neighbors = KNeighborsRegressor().fit(X[:600], y[:600])
    assert model.score(X[1000:], y[1000:]) > neighbors.score(X[1000:], y[1000:]) - 0.05


@pytest.mark.slow
def test_functions_that_bend_often_are_learned():
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, (1500, 1))
    y = np.sin(4 * X[:, 0]) + 0.2 * rng.standard_normal(1500)
    assert StackedAERegressor(random_state=0).fit(X[:400], y[:400]).score(X[400:], y[400:]) > 0.85


def test_weights_with_a_sum_of_1_are_no_single_row():
    data, target = load_diabetes(return_X_y=True)
    options = {"solver": "lbfgs", "pretraining": None, "max_iter": 5, "random_state": 0}
    plain = StackedAERegressor([5], **options).fit(data, target)
    weighted = StackedAERegressor([5], **options).fit(data, target, np.full(442, 1 / 442))
    np.testing.assert_allclose(weighted.predict(data), plain.predict(data), rtol=1e-6)
    twice = StackedAERegressor([5], **options).fit(np.repeat(data, 2, 0), np.repeat(target, 2))
    doubled = StackedAERegressor([5], **options).fit(data, target, np.full(442, 2))
    np.testing.assert_allclose(doubled.predict(data), twice.predict(data), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("few_epochs")
def test_a_constant_y_is_predicted():
    data = load_diabetes().data
    model = StackedAERegressor([5], max_iter=2, random_state=0)
    with pytest.warns(UserWarning, match=r"y is 0\.1 in all rows .* nothing is learned"):
        model.fit(data, np.full(442, 0.1))
    np.testing.assert_allclose(model.predict(data), 0.1, rtol=1e-6)
    assert model.target_scale_ == 1
    both = np.column_stack([data[:, 0], np.full(442, 3)])
    with pytest.warns(UserWarning, match="Column 1 of y is 3 in all rows"):
        model.fit(data, both)


@pytest.mark.slow
def test_it_classifies_as_well_as_scikit_learns_network():
    options = {"learning_rate_init": 0.01, "batch_size": 50, "max_iter": 40, "random_state": 0}
    peer = MLPClassifier((40, 20), activation="logistic", **options)
    with pytest.warns():  # it would go on
        theirs = peer.fit(X[:1200], y[:1200]).score(X[1200:], y[1200:])
    for pretraining in ("unsupervised", "supervised", None):
        model = StackedAEClassifier(LAYERS, pretraining=pretraining, **options)
        model.fit(X[:1200], y[:1200])
        assert model.score(X[1200:], y[1200:]) > theirs - 0.02


@pytest.mark.slow
def test_greedy_supervised_layers_tell_classes_apart():
    layers = [(name, layer.set_params(max_iter=40)) for name, layer in _cloned(LAYERS)]
    layers[0][1].set_params(standardize=False)
    scores = []
    for pretraining in ("supervised", None):
        model = StackedAEClassifier(
            layers, pretraining=pretraining, max_iter=1, learning_rate_init=1e-12, random_state=0
        ).fit(X[:1200], y[:1200])
        rows = model._units.scaling.apply(X)
        codes = model._network.encode(model._network.views(model._params), rows, n_layers=2)
        if pretraining:
            low, high = (layer for _, layer in model.layers_)
            np.testing.assert_allclose(high.transform(low.transform(X)), codes, atol=1e-8)
            assert not hasattr(high, "inverse_transform")
        linear = LogisticRegression(max_iter=3000).fit(codes[:1200], y[:1200])
        scores.append(linear.score(codes[1200:], y[1200:]))
    assert scores[0] > scores[1] + 0.05


def _cloned(layers):
    return [(name, clone(layer)) for name, layer in layers]


def test_labels_of_any_kind():
    names = np.array([f"digit {label}" for label in range(10)])
    model = StackedAEClassifier(LAYERS, max_iter=5, learning_rate_init=0.02, random_state=0)
    numbers = model.fit(X, y).predict(X)
    np.testing.assert_array_equal(model.fit(X, names[y]).predict(X), names[numbers])
    assert list(model.classes_) == sorted(names)
    np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_allclose(model.predict_log_proba(X), np.log(model.predict_proba(X)))


@pytest.mark.slow
def test_multilabel():
    data, labels = make_multilabel_classification(400, n_features=10, n_classes=4, random_state=0)
    data = data / data.max()
    options = {"learning_rate_init": 0.02, "batch_size": 50, "max_iter": 100, "random_state": 0}
    model = StackedAEClassifier(LAYERS, class_weight="balanced", **options).fit(data, labels)
    assert model.predict_proba(data).shape == (400, 4)
    np.testing.assert_array_equal(model.predict(data), model.predict_proba(data) > 0.5)
    chance = accuracy_score(labels.ravel(), np.tile(labels.mean(axis=0) > 0.5, (400, 1)).ravel())
    assert accuracy_score(labels.ravel(), model.predict(data).ravel()) > chance + 0.1
    sparse = StackedAEClassifier(LAYERS, class_weight="balanced", **options)
    sparse.fit(csr_matrix(data), csr_matrix(labels))
    np.testing.assert_allclose(sparse.predict_proba(data), model.predict_proba(data), atol=1e-8)


def test_class_weights_are_sample_weights():
    weights = {0: 3.0, 1: 0.5, 2: 2.0}
    data, classes = _overlapping()
    by_class = StackedAEClassifier(LINEAR, class_weight=weights, **EXACT).fit(data, classes)
    by_sample = StackedAEClassifier(LINEAR, **EXACT)
    by_sample.fit(data, classes, [weights[label] for label in classes])
    np.testing.assert_array_equal(by_class.predict_proba(data), by_sample.predict_proba(data))
    both = StackedAEClassifier(LINEAR, class_weight=weights, **EXACT)
    both.fit(data, classes, sample_weight=1 / np.array([weights[label] for label in classes]))
    plain = StackedAEClassifier(LINEAR, **EXACT).fit(data, classes)
    np.testing.assert_allclose(both.predict_proba(data), plain.predict_proba(data), atol=1e-6)


@pytest.mark.parametrize("kind", ["classes", "some unlabeled", "labels"])
def test_balanced_classes_count_a_row_of_weight_2_as_two_rows(kind):
    data, classes = _overlapping()
    if kind == "some unlabeled":
        classes[::4] = -1
    elif kind == "labels":
        classes = np.column_stack([classes == 0, classes == 1]).astype(int)
    rng = np.random.default_rng(1)
    counts = rng.integers(1, 4, len(data)) + 5 * (data[:, 0] > 1)
    model = StackedAEClassifier(LINEAR, class_weight="balanced", **EXACT)
    weighted = clone(model).fit(data, classes, counts)
    repeated = clone(model).fit(np.repeat(data, counts, 0), np.repeat(classes, counts, 0))
    expected = repeated.predict_proba(data)
    np.testing.assert_allclose(weighted.predict_proba(data), expected, atol=1e-5)


@pytest.mark.slow
def test_unlabeled_rows_take_part_in_pretraining_only():
    some = y.copy()
    some[500:] = -1
    options = {"max_iter": 10, "random_state": 0}
    noise = X.copy()
    noise[500:] = np.random.default_rng(0).random((len(X) - 500, 64))
    without = [
        StackedAEClassifier(LAYERS, pretraining=None, **options).fit(data, some).predict_proba(X)
        for data in (X, noise)
    ]
    np.testing.assert_array_equal(*without)
    model, other = (StackedAEClassifier(LAYERS, **options).fit(data, some) for data in (X, noise))
    assert list(model.classes_) == list(range(10))
    assert not np.allclose(model.predict_proba(X), other.predict_proba(X))
    np.testing.assert_array_equal(
        model.layers_[0][1].components_,
        DenoisingAE(40, **FAST).fit(X).components_,
    )


def test_minus_one_and_one_are_two_classes():
    signs = np.where(y < 5, -1, 1)
    model = StackedAEClassifier(LAYERS, max_iter=2, random_state=0).fit(X, signs)
    assert list(model.classes_) == [-1, 1]
    with pytest.raises(ValueError, match="two classes"):
        model.fit(X, np.ones(len(X)))


@pytest.mark.parametrize("Model", [StackedAEClassifier, StackedAERegressor])
def test_early_stopping_keeps_the_weights_of_least_error(Model):
    options = {"learning_rate_init": 0.02, "max_iter": 300, "n_iter_no_change": 5}
    options |= {"learning_rate": "constant"}
    model = Model(LAYERS, early_stopping=True, random_state=0, dropout=0.2, **options)
    model.fit(X[:600], y[:600])
    assert model.converged_ and model.n_iter_ < 300
    assert len(model.validation_curve_) == model.n_iter_
    best = int(np.argmin(model.validation_curve_))
    shorter = Model(LAYERS, early_stopping=True, random_state=0, dropout=0.2, **options)
    shorter.set_params(max_iter=best + 1).fit(X[:600], y[:600])
    np.testing.assert_array_equal(model._params, shorter._params)
    if Model is StackedAEClassifier:
        np.testing.assert_allclose(
            np.multiply(model.validation_curve_, 60) % 1, 0, atol=1e-9
        )  # shares of 60 held-out rows


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"dropout": 1.0}, "dropout"),
        ({"pretraining": "both"}, "pretraining"),
        ({"class_weight": "even"}, "class_weight"),
        ({"weight_decay": -1.0}, "weight_decay"),
    ],
    ids=str,
)
def test_bad_parameters(parameters, words):
    with pytest.raises(ValueError, match=words):
        StackedAEClassifier(LAYERS).set_params(**parameters).fit(X, y)


def test_bad_targets_leave_the_model():
    model = StackedAEClassifier(LAYERS, max_iter=2, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    for bad, words in ((y[1:], "inconsistent"), (y + 0.5, "label type"), (None, "requires y")):
        with pytest.raises(ValueError, match=words):
            model.fit(X, bad)
        np.testing.assert_array_equal(model.predict_proba(X), before)
    with pytest.raises(ValueError, match="NaN"):
        StackedAERegressor(LAYERS).fit(X, np.where(y == 3, np.nan, y))


@pytest.mark.parametrize("where", ["sample_weight", "class_weight"])
def test_weights_of_the_labeled_rows_that_are_zero_leave_the_model(where):
    model = StackedAEClassifier(LAYERS, **FAST).fit(X[:300], y[:300])
    before = model.predict_proba(X[300:400])
    labels, weights = y[:300].copy(), None
    if where == "sample_weight":
        labels[:50], weights = -1, np.where(np.arange(300) < 50, 1.0, 0.0)
    else:
        model.set_params(class_weight=dict.fromkeys(range(10), 0))
    with pytest.raises(ValueError, match="must have a positive sum over the rows with a label"):
        model.fit(X[:300], labels, sample_weight=weights)
    np.testing.assert_array_equal(model.predict_proba(X[300:400]), before)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("weight", [-1, np.nan, np.inf, 1e300, "much"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_class_weights_define_a_mean(weight, dtype):
    model = StackedAEClassifier(LAYERS, **FAST, class_weight={0: weight})
    if weight == 1e300 and dtype == np.float64:
        assert np.isfinite(model.fit(X[:300].astype(dtype), y[:300]).loss_)
    else:
        match = "^class_weight must not be negative" if weight == -1 else "^class_weight"
        with pytest.raises(ValueError, match=match):
            model.fit(X[:300].astype(dtype), y[:300])


def test_early_stopping_names_what_it_needs():
    model = StackedAEClassifier(LAYERS, **FAST, early_stopping=True)
    labels = y[:300].copy()
    labels[0] = 77
    with pytest.raises(ValueError, match="early_stopping=True .* 11 classes: that needs two"):
        model.fit(X[:300], labels)
    weights = np.zeros(300)
    weights[:1] = 1
    with pytest.raises(ValueError, match="leaves 0 of 1 samples"):
        model.fit(X[:300], y[:300], sample_weight=weights)


@pytest.mark.parametrize(
    "model",
    [
        StackedAEClassifier(LAYERS, **FAST),
        StackedAERegressor(LAYERS, **FAST),
        BoltzmannClassifier(DBM([("low", RBM(20, **FAST)), ("high", RBM(10, **FAST))]), **FAST),
    ],
    ids=lambda model: type(model).__name__,
)
def test_transform_is_what_the_output_layer_sees(model):
    model.fit(X[:300], y[:300])
    codes, params = model.transform(X[:20]), model.model_.params
    assert list(model.get_feature_names_out()) == [
        f"{type(model).__name__.lower()}{unit}" for unit in range(codes.shape[1])
    ]
    outputs = codes @ params.encoder_weights[-1].T + params.encoder_biases[-1]
    if hasattr(model, "predict_proba"):
        means = softmax(outputs, axis=1)
        np.testing.assert_allclose(model.predict_proba(X[:20]), means, rtol=1e-6)
    else:
        values = outputs.ravel() * y[:300].std() + y[:300].mean()
        np.testing.assert_allclose(model.predict(X[:20]), values, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("few_epochs")
def test_labels_of_text_among_rows_without_a_label():
    data, classes = _overlapping()
    hidden = np.arange(300) % 3 == 0
    names = np.array(["ant", "bee", "cow"])
    numbers = np.where(hidden, -1, classes)
    texts = names[classes].astype(object)
    texts[hidden] = -1
    options = {"max_iter": 3, "random_state": 0}
    expected = names[StackedAEClassifier([4], **options).fit(data, numbers).predict(data)]
    for labels in (texts, list(texts), pd.Series(texts)):
        model = StackedAEClassifier([4], **options).fit(data, labels)
        assert model.classes_.tolist() == names.tolist()
        np.testing.assert_array_equal(model.predict(data), expected)


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        (None, "Input y contains NaN or None"),
        (np.nan, "Input y contains NaN or None"),
        (pd.NA, "Input y contains NaN or None"),
        ("-1", "y has the label '-1' as text"),
        (7, r"y has labels of text and \{7\}"),
    ],
)
@pytest.mark.usefixtures("few_epochs")
def test_labels_that_are_missing_or_mixed_are_refused(odd, words):
    data, classes = _overlapping()
    texts = np.array(["ant", "bee", "cow"])[classes].astype(object)
    texts[5] = odd
    with pytest.raises(ValueError, match=f"{words}.* Rows without a label have the integer -1"):
        StackedAEClassifier([4], max_iter=1).fit(data, texts)
    signs = np.where(classes > 0, "1", "-1")
    assert StackedAEClassifier([4], max_iter=1).fit(data, signs).classes_.tolist() == ["-1", "1"]


def test_targets_that_are_missing_are_refused_with_the_cure():
    data, _ = _overlapping()
    targets = np.where(np.arange(len(data)) < 9, data[:, 0], np.nan)
    with pytest.raises(ValueError, match="^Input y contains NaN.*fit a StackedAE on all rows"):
        StackedAERegressor([4], max_iter=1).fit(data, targets)


def test_layers_without_names_are_told_of_make_stack():
    for layers in ([AutoEncoder(4)], [AutoEncoder(4), 3], [("low", AutoEncoder(4)), 3]):
        with pytest.raises(ValueError, match=r"list of \(name, estimator\).*make_stack"):
            StackedAEClassifier(layers).fit(*_overlapping())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("layers", "options", "dropout"),
    [
        (None, {}, 0.5),
        ([100, 120], {}, 0.5),
        ([100, 99], {}, 0),
        ([40], {}, 0),
        ([100], {"max_iter": 2}, 0),
        ([100], {"frozen": "all"}, 0),
        ([100], {"solver": "lbfgs"}, 0),
    ],
)
@pytest.mark.usefixtures("few_epochs")
def test_automatic_dropout_is_half_of_wide_layers(layers, options, dropout):
    options = {"pretraining": None, "random_state": 0, **options}
    noisy = np.random.default_rng(0).integers(0, 3, 80)
    auto = StackedAEClassifier(layers, **options).fit(X[:80], noisy)
    given = StackedAEClassifier(layers, dropout=dropout, **options).fit(X[:80], noisy)
    np.testing.assert_array_equal(auto.predict_proba(X), given.predict_proba(X))
    auto = StackedAERegressor(layers, dropout="auto", **options).fit(X[:80], noisy)
    given = StackedAERegressor(layers, dropout=dropout, **options).fit(X[:80], noisy)
    np.testing.assert_array_equal(auto.predict(X), given.predict(X))


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_rows_that_are_looked_at_are_of_all_classes_that_take_turns(n_classes):
    labels = np.arange(20_000) % n_classes
    seen = np.bincount(some_rows(labels[:, np.newaxis], 1000).ravel(), minlength=n_classes)
    np.testing.assert_allclose(seen, 1000 / n_classes, rtol=0.3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_wrong", [0, 15, 80])
@pytest.mark.usefixtures("few_epochs")
def test_automatic_dropout_follows_the_noise_of_labels(n_wrong, monkeypatch):
    labels = np.where(np.arange(100) < n_wrong, np.arange(100) % 3, y[:100] % 3)
    data = scale(X[:100, [2, 3, 4, 5, 10, 20, 21, 36, 42, 43]])  # ten rows per column
    nearest = KNeighborsClassifier(1).fit(data, labels).kneighbors(return_distance=False)[:, 0]
    others = np.random.default_rng(0).permutation(100)
    wrong, chance = np.mean(labels[nearest] != labels), np.mean(labels[others] != labels)
    n_classes = 1 / (1 - chance)
    bits = bernoulli(wrong).entropy() + wrong * np.log(n_classes - 1) if wrong else 0  # Fano
    dropout = 0.5 * np.clip((bits / np.log(n_classes) - 0.61) / 0.2, 0, 1)
    monkeypatch.setattr("skae._estimators.supervised.kernel_errors", lambda *_: (1, 1))
    options = {"pretraining": None, "random_state": 0, "layers": [100]}
    auto = StackedAEClassifier(**options).fit(data, labels)
    given = StackedAEClassifier(dropout=dropout, **options).fit(data, labels)
    np.testing.assert_array_equal(auto.predict_proba(data), given.predict_proba(data))
    assert (dropout == 0, dropout == 0.5) == (n_wrong == 0, n_wrong == 80)
    few = StackedAEClassifier(**options).fit(data[:99], labels[:99])
    half = StackedAEClassifier(dropout=0.5, **options).fit(data[:99], labels[:99])
    np.testing.assert_array_equal(few.predict_proba(data), half.predict_proba(data))


@pytest.mark.parametrize(
    ("n_classes", "wrong"), [(2, 0), (2, 0.2), (2, 0.5), (30, 0), (30, 0.4), (30, 0.5), (30, 0.9)]
)
def test_noise_of_labels_is_their_entropy_given_the_nearest_one(n_classes, wrong):
    rng = np.random.default_rng(0)
    # Pairs of rows far from others, of which the second has one of the other labels, drawn with the probability ``wrong``.
    first = np.arange(4800) % n_classes
    second = (first + (rng.random(4800) < wrong) * rng.integers(1, n_classes, 4800)) % n_classes
    labels = np.concatenate([first, second])
    place = rng.permutation(4800).astype(float)
    rows = np.concatenate([place, place + 0.1])[:, np.newaxis]
    kind, targets = read_classes(labels, rows.dtype, slice(None))
    data = SupervisedData(rows, None, rows, None, None, targets)
    given = np.r_[1 - wrong, np.full(n_classes - 1, wrong / (n_classes - 1))]
    noise = np.interp(entropy(given, base=n_classes), (0.61, 0.81), (0, 1))
    assert LabeledNeighbors(rows, data).noise(kind) == pytest.approx(noise, abs=0.2)


@pytest.mark.parametrize("weight", [1, 3])
def test_errors_of_a_kernel_are_those_of_kernel_ridge_that_leaves_rows_out(weight):
    rows, labels = scale(X[:60, 20:30]), y[:60] % 3
    weights = np.where(np.arange(60) < 30, 1.0, weight)
    kind, targets = read_classes(labels, rows.dtype, slice(None))
    data = SupervisedData(rows, weights, rows, weights, weights, targets)
    values = np.eye(3)[labels]
    means, gamma = np.average(values, axis=0, weights=weights), 1 / rows.var(axis=0).sum()
    errors = []
    for decay in (0.1, 1.0):
        machine = KernelRidge(alpha=decay * weights.mean(), kernel="rbf", gamma=gamma)
        wrong = []
        for k in range(60):
            others = np.arange(60) != k
            machine.fit(rows[others], (values - means)[others], weights[others])
            wrong.append(np.argmax(machine.predict(rows[[k]])[0] + means) != labels[k])
        errors.append(np.average(wrong, weights=weights))
    error, by_chance = kernel_errors(rows, data, kind)
    assert error == pytest.approx(min(errors)) and 0 < error < 0.4 < by_chance < 0.8


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.usefixtures("few_epochs")
def test_no_units_are_dropped_for_a_boundary_that_nearest_rows_do_not_see():
    data = np.random.default_rng(0).standard_normal((1500, 9))
    labels = (np.sum(data[:, :6] ** 2, axis=1) > 5.35).astype(int)
    options = {"pretraining": None, "random_state": 0, "layers": [100]}
    auto = StackedAEClassifier(**options).fit(data, labels)
    given = StackedAEClassifier(dropout=0, **options).fit(data, labels)
    np.testing.assert_array_equal(auto.predict_proba(data), given.predict_proba(data))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:y has -1")
@pytest.mark.parametrize("make", [partial(StackedAEClassifier, [5]), ManifoldTangentClassifier])
@pytest.mark.parametrize(
    ("n_labeled", "n_classes", "weight", "rate"),
    [
        (50, 10, 1, 3e-3),
        (100, 10, 1, 3e-3),
        (150, 10, 1, 4.5e-3),
        (150, 20, 1, 4.5e-3),
        (150, 10, 2, 9e-3),
        (500, 10, 1, 1e-2),
        (400, 2, 1, 3e-3),
        (500, 4, 1, 6e-3),
    ],
)
@pytest.mark.usefixtures("few_epochs")
def test_automatic_steps_grow_with_labeled_rows_and_classes(
    make, n_labeled, n_classes, weight, rate
):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((n_labeled + 400, 2))
    labels = data[:, 0].argsort().argsort() * n_classes // len(data)
    labels[n_labeled:] = -1
    options = {"max_iter": 2, "random_state": 0}
    if make is ManifoldTangentClassifier:
        options["base"] = ContractiveAE(5, **options)
    weights = np.full(len(data), weight)
    auto = make(**options).fit(data, labels, weights)
    given = make(learning_rate_init=rate, **options).fit(data, labels, weights)
    np.testing.assert_allclose(auto.predict_proba(data), given.predict_proba(data), rtol=1e-9)
    other = make(learning_rate_init=1.1 * rate, **options).fit(data, labels, weights)
    assert not np.allclose(auto.predict_proba(data), other.predict_proba(data), rtol=1e-6)
