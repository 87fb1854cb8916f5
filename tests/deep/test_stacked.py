"""StackedAE: what a stack is made of, and what it refuses."""

import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.special import expit
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import (
    PSD,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    RecurrentAE,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.nn.corruption import CORRUPTIONS

X, y = load_digits(return_X_y=True)
X = X / 16
FAST = {"max_iter": 5, "batch_size": 100, "random_state": 0}
LAYERS = [
    ("low", DenoisingAE(30, loss="bernoulli", standardize=False, **FAST)),
    ("high", ContractiveAE(10, **FAST)),
]


def _by_hand(layers):
    """Fit each layer on the codes of the one below, without a stack."""
    codes, fitted = X, []
    for _, layer in layers:
        layer = clone(layer)
        if fitted and fitted[-1].activation == "sigmoid":
            layer.set_params(loss="bernoulli")
        if fitted:
            layer.set_params(standardize=False)
        codes = layer.fit_transform(codes)
        fitted.append(layer)
    return fitted


@pytest.mark.slow
@pytest.mark.parametrize(
    "layers",
    [
        LAYERS,
        [("deep", AutoEncoder(10, hidden_layer_sizes=(30, 20), **FAST)), *LAYERS[1:]],
        [
            ("low", AutoEncoder(30, activation="tanh", **FAST)),
            ("mid", AutoEncoder(20, activation="softplus", tied_weights=False, **FAST)),
            ("high", AutoEncoder(5, activation="identity", **FAST)),
        ],
    ],
    ids=["sigmoid", "deep layer", "others"],
)
def test_a_stack_is_the_composition_of_its_layers(layers):
    stack = StackedAE(layers).fit(X)
    codes, fitted = X, _by_hand(layers)
    for layer in fitted:
        codes = layer.transform(codes)
    np.testing.assert_allclose(stack.transform(X), codes, atol=1e-12)
    for layer in reversed(fitted):
        codes = layer.inverse_transform(codes)
    np.testing.assert_allclose(stack.inverse_transform(stack.transform(X)), codes, atol=1e-12)
    np.testing.assert_allclose(stack.reconstruct(X), codes, atol=1e-12)
    for (name, layer), alone in zip(stack.layers_, fitted):
        np.testing.assert_array_equal(layer._params, alone._params)
        assert stack.named_layers_[name] is layer


def test_psd_is_a_layer():
    psd = PSD(20, alpha=0.2, encoder="tanh", max_iter=3, random_state=0)
    stack = StackedAE([("psd", psd), ("high", AutoEncoder(5, **FAST))]).fit(X)
    low, high = (layer for _, layer in stack.layers_)
    gains, filters, biases = low.encoder_parameters_
    bent = np.tanh(X @ filters.T + biases)
    np.testing.assert_allclose(low.transform(X), gains * bent)
    np.testing.assert_allclose(stack.transform(X), high.transform(bent), atol=1e-12)
    guess = high.inverse_transform(high.transform(bent))
    expected = low.inverse_transform(gains * guess)
    np.testing.assert_allclose(stack.reconstruct(X), expected, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
@pytest.mark.parametrize("corrupted", ["code", "input"])
def test_fine_tuning_starts_from_the_layers_and_improves_on_them(schedule, corrupted):
    options = {"schedule": schedule, "corrupted": corrupted, "batch_size": 100, "random_state": 0}
    stack = StackedAE(LAYERS, **options).fit(X)
    tuned = StackedAE(LAYERS, fine_tune="reconstruction", max_iter=20, **options).fit(X)
    for (_, a), (_, b) in zip(stack.layers_, tuned.layers_):
        np.testing.assert_array_equal(a._params, b._params)
    assert tuned.score(X) > stack.score(X) + 1
    assert tuned.n_iter_ == 20 and stack.n_iter_ == 5
    assert tuned.loss_curve_[0] < -stack.score(X)


@pytest.mark.slow
def test_layers_trained_at_once_come_to_the_same():
    layers = [(name, clone(layer).set_params(max_iter=40)) for name, layer in LAYERS]
    greedy, together = (
        StackedAE(layers, schedule=schedule, random_state=0).fit(X).score(X)
        for schedule in ("greedy", "simultaneous")
    )
    untrained = StackedAE(LAYERS, random_state=0).fit(X).score(X)
    assert abs(greedy - together) < 0.2 * (greedy - untrained)


@pytest.mark.slow
def test_the_first_layer_is_the_same_in_every_schedule():
    stacks = [
        StackedAE(LAYERS, schedule=schedule, corrupted=corrupted).fit(X)
        for schedule in ("greedy", "simultaneous")
        for corrupted in ("code", "input")
    ]
    first = [stack.encoder_weights_[0] for stack in stacks[:2]]
    np.testing.assert_array_equal(first[0], first[1])
    upper = [
        StackedAE([LAYERS[0], ("high", DenoisingAE(10, **FAST))], corrupted=corrupted)
        .fit(X)
        .encoder_weights_[1]
        for corrupted in ("code", "input")
    ]
    assert not np.allclose(*upper)


@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
@pytest.mark.parametrize("name", ["salt_and_pepper", "masking", "swap"])
def test_noise_at_the_input_of_upper_layers_is_that_of_its_columns(name, schedule):
    """In the range of the columns of X and by its one-hot groups, not by those of the codes."""
    rng = np.random.default_rng(0)
    rows = np.hstack([50 - 80 * rng.random((60, 2)), np.eye(4)[rng.integers(4, size=60)]])
    low = DenoisingAE(6, corruption=name, **FAST).fit(rows)
    units = low.model_.units
    assert len(set(units.groups)) == 3 and units.limits[0][0] < -1
    options = {"groups": units.groups} if name != "salt_and_pepper" else {}
    limits = units.limits if name == "salt_and_pepper" else ()
    given = CORRUPTIONS[name](0.3, *limits, **options)
    named, explicit = (
        StackedAE(
            [("low", low), ("high", DenoisingAE(5, corruption=each, **FAST))],
            corrupted="input",
            schedule=schedule,
            random_state=0,
        ).fit(rows)
        for each in (name, given)
    )
    np.testing.assert_array_equal(named.transform(rows), explicit.transform(rows))


def test_parameters_of_layers_are_parameters_of_the_stack():
    stack = StackedAE(LAYERS)
    assert stack.get_params()["low__corruption_level"] == 0.3
    stack.set_params(low__corruption_level=0.1, high=AutoEncoder(7, **FAST))
    assert stack.fit(X).transform(X).shape == (len(X), 7)
    pipeline = make_pipeline(StackedAE(LAYERS), LogisticRegression(max_iter=1000))
    grid = {"stackedae__low__corruption_level": [0.1, 0.5]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X[:300], y[:300])
    assert len(search.cv_results_["params"]) == 2
    assert not any(hasattr(layer, "_state") for _, layer in LAYERS)
    diagram = stack._repr_html_()
    assert "<div>DenoisingAE</div>" in diagram and "<div>AutoEncoder</div>" in diagram


@pytest.mark.slow
def test_one_matrix_of_codes_is_in_memory_at_a_time():
    data = np.random.default_rng(0).random((8_000, 10))
    layers = [(f"layer{i}", AutoEncoder(200, max_iter=1, batch_size=500)) for i in range(3)]
    StackedAE(layers).fit(data)  # compiles what so many rows need, which takes memory too
    codes = 8_000 * 200 * 8
    tracemalloc.start()
    StackedAE(layers).fit(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * codes + 8 * 2**20


@pytest.mark.slow
def test_supervised_fine_tuning_predicts():
    options = {"learning_rate_init": 0.02, "batch_size": 50, "random_state": 0}
    stack = StackedAE(LAYERS, fine_tune="supervised", max_iter=60, **options)
    assert not hasattr(stack, "inverse_transform")
    stack.fit(X[:1200], y[:1200])
    assert stack.score(X[1200:], y[1200:]) > 0.85
    probabilities = stack.predict_proba(X)
    np.testing.assert_array_equal(stack.predict(X), probabilities.argmax(axis=1))
    head = stack.predictor_._network.views(stack.predictor_._params)
    logits = stack.transform(X) @ head.encoder_weights[-1].T + head.encoder_biases[-1]
    np.testing.assert_array_equal(logits.argmax(axis=1), stack.predict(X))
    real = StackedAE(LAYERS, fine_tune="supervised", **options).fit(X, y + 0.5)
    assert not hasattr(real, "predict_proba")
    assert real.score(X, y + 0.5) > 0.5
    assert not hasattr(StackedAE(LAYERS), "predict")


LETTERS = np.array([*"abcdefghij"], dtype=object)[y]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "predictor"),
    [
        (np.where(y < 5, LETTERS, -1), StackedAEClassifier),
        (LETTERS, StackedAEClassifier),
        (y.astype(float), StackedAEClassifier),
        (csr_array(np.eye(10)[y]), StackedAEClassifier),
        ((y + 0.5).astype(object), StackedAERegressor),
        (np.column_stack([y, y + 0.5]), StackedAERegressor),
    ],
    ids=["text and unlabeled", "text", "whole numbers", "indicators", "objects", "two columns"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_target_of_fine_tuning_chooses_the_predictor(target, predictor):
    layers = [("low", ContractiveAE(8, max_iter=1, random_state=0))]
    stack = StackedAE(layers, fine_tune="supervised", max_iter=1, random_state=0).fit(X, target)
    alone = predictor(layers, max_iter=1, random_state=0).fit(X, target)
    assert type(stack.predictor_) is predictor
    if predictor is StackedAEClassifier:
        np.testing.assert_array_equal(stack.classes_, alone.classes_)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (np.where(y == 3, None, LETTERS), "y contains NaN or None.*integer -1"),
        (np.where(y == 3, np.nan, y), "y contains NaN.*integer -1"),
        (np.where(y == 3, np.nan, y + 0.5), "y contains NaN.*a regressor on the codes"),
        (np.where(y == 3, None, y + 0.5), "y contains NaN.*a regressor on the codes"),
        (y.astype(object), r"y has numbers in an array of objects.*.astype\(int\)"),
    ],
    ids=["text", "classes", "numbers", "objects", "classes in objects"],
)
def test_targets_of_fine_tuning_that_are_missing_are_named(target, words):
    with pytest.raises(ValueError, match=words):
        StackedAE([8], fine_tune="supervised").fit(X, target)


def test_interrupted_pretraining_leaves_a_usable_stack():
    class Interrupting:
        calls = 0

        def __call__(self, X, seed, out):
            self.calls += 1
            out[...] = X
            if self.calls == 30:
                raise KeyboardInterrupt

    high = DenoisingAE(10, corruption=Interrupting(), **FAST)
    for Stack in (StackedAE, RecurrentAE):
        Interrupting.calls = 0
        stack = Stack([LAYERS[0], ("high", clone(high)), ("top", AutoEncoder(4, **FAST))])
        with pytest.raises(KeyboardInterrupt):
            stack.fit(X)
        assert stack.transform(X).shape == (len(X), 4)
        low, mid = (layer for _, layer in stack.layers_[:2])
        assert low.n_iter_ == 5 and mid.n_iter_ == 1
        np.testing.assert_array_equal(stack.encoder_weights_[0], low.components_)
        np.testing.assert_array_equal(stack.encoder_weights_[1], mid.components_)


def test_recurrent_codes_are_those_of_the_relaxation():
    model = RecurrentAE(LAYERS, n_steps=2, max_iter=10, random_state=0).fit(X)
    (u, v), (b, c) = model.encoder_weights_, model._fitted_params("biases").encoder_biases
    one = expit(X @ u.T + b)
    two = expit(one @ v.T + c)
    for _ in range(2):
        one = expit((X @ u.T + two @ v) / 2 + b)
        two = expit(one @ v.T + c)
    np.testing.assert_allclose(model.transform(X), two)
    np.testing.assert_allclose(model.reconstruct(X), expit(one @ u + model.decoder_bias_))
    assert model.loss_curve_[-1] < model.loss_curve_[0]


BAD = [
    ({"layers": []}, ValueError, "at least one"),
    ({"layers": ["low"]}, ValueError, "the entry 'low'"),
    ({"layers": [("a", KMeans())]}, TypeError, "no layer of a stack"),
    ({"layers": [("a", AutoEncoder)]}, TypeError, "which is a class; give an instance"),
    ({"layers": [("a", AutoEncoder()), ("a", AutoEncoder())]}, ValueError, "not unique"),
    ({"layers": [*LAYERS, ("c", AutoEncoder(loss="multinomial"))]}, ValueError, "layer 'c'"),
    ({"layers": [("a", PSD(encoder="lista"))]}, ValueError, "encoder='tanh'"),
    ({"high__contraction": -1.0}, ValueError, "In the layer 'high'.*contraction"),
    ({"schedule": "random"}, ValueError, "schedule"),
    ({"fine_tune": "both"}, ValueError, "fine_tune"),
    ({"schedule": "simultaneous", "high__solver": "lbfgs"}, ValueError, "solver of minibatches"),
]


def _changed(stack, parameters):
    if (
        "layers" in parameters
    ):  # set_params of scikit-learn's compositions refuses some of them itself
        stack.layers = parameters["layers"]
        return stack
    return stack.set_params(**parameters)


@pytest.mark.slow
@pytest.mark.parametrize("parameters, error, words", BAD, ids=str)
def test_bad_parameters_leave_the_model(parameters, error, words):
    stack = StackedAE(LAYERS).fit(X)
    before = pickle.dumps({k: v for k, v in vars(stack).items() if k.endswith("_")})
    codes = stack.transform(X)
    changed = clone(stack)
    with pytest.raises(error, match=words):
        _changed(changed, parameters).fit(X)
    vars(stack).update({name: getattr(changed, name) for name in changed.get_params(deep=False)})
    with pytest.raises(error, match=words):
        stack.fit(X)
    assert pickle.dumps({k: v for k, v in vars(stack).items() if k.endswith("_")}) == before
    np.testing.assert_array_equal(stack.transform(X), codes)


@pytest.mark.parametrize("bad", [np.full((9, 64), np.nan), np.full((9, 64), 2.0), np.ones((0, 64))])
def test_bad_data_leave_the_model(bad):
    stack = StackedAE(LAYERS).fit(X)
    codes = stack.transform(X)
    with pytest.raises(ValueError):
        stack.fit(bad)
    np.testing.assert_array_equal(stack.transform(X), codes)
