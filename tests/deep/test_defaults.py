"""What stacks and the tangent classifier are without arguments."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils import estimator_html_repr

from skae import (
    ContractiveAE,
    ManifoldTangentClassifier,
    RecurrentAE,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
    make_stack,
)
from skae.deep._layers import default_layers

X, y = load_digits(return_X_y=True)
X, y = X[:150] / 16, y[:150]
IRIS, SPECIES = load_iris(return_X_y=True)
MODELS = [StackedAE, StackedAEClassifier, StackedAERegressor, RecurrentAE]


@pytest.fixture
def short(monkeypatch):
    """Take one epoch for the default layers."""

    def shortened(widths):
        return [(name, layer.set_params(max_iter=1)) for name, layer in default_layers(widths)]

    monkeypatch.setattr("skae.deep._layers.default_layers", shortened)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Outputs hardly depend on X")
@pytest.mark.parametrize("Model", [*MODELS, ManifoldTangentClassifier])
@pytest.mark.usefixtures("few_epochs")
def test_it_fits_without_arguments(Model, short):
    model = clone(Model().set_params(max_iter=2)).fit(X, y)
    stack = model.base_ if Model is ManifoldTangentClassifier else model
    assert [type(layer) for _, layer in stack.layers_] == [ContractiveAE] * 2
    alone = Model in (StackedAE, RecurrentAE)
    assert [layer.n_components for _, layer in stack.layers_] == [500 if alone else 320] * 2
    assert "layers" not in vars(model) or model.layers is None
    assert estimator_html_repr(Model()) and repr(Model()) and Model().get_params()


def test_default_layers_have_their_own_defaults():
    names, layers = zip(*default_layers([500, 500]))
    assert names == ("low", "high")
    for layer in layers:
        assert layer.get_params() == ContractiveAE().get_params()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("n_features", "n_units"), [(4, 100), (30, 150), (200, 500)])
def test_default_layers_before_an_output_layer_have_five_units_per_feature(
    short, n_features, n_units
):
    rows = np.random.default_rng(0).normal(size=(30, n_features))
    for Model in (StackedAEClassifier, StackedAERegressor):
        model = Model(max_iter=2, random_state=0).fit(rows, np.arange(30) % 2)
        assert [layer.n_components for _, layer in model.layers_] == [n_units] * 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("Model", [StackedAEClassifier, StackedAERegressor])
def test_default_stacks_of_words_have_one_layer(short, Model):
    """So do the same words in other units, and choices among few things; pictures and one-hot columns have two."""
    rng = np.random.default_rng(0)
    words, choices, many = (
        rng.poisson(rate, (100, 200)).astype(float) for rate in (0.03, 0.13, 0.2)
    )
    categories = np.eye(25)[rng.integers(0, 25, (100, 8))].reshape(100, 200)
    lines = np.zeros((100, 20, 10))
    for picture, rows in zip(lines, rng.integers(0, 20, (100, 2))):
        picture[rows, 2:] = 1  # fewer cells than there are choices

    def widths(X):
        model = Model(max_iter=2, random_state=0).fit(X, np.arange(100) % 2)
        return [layer.n_components for _, layer in model.layers_]

    assert widths(words) == widths(csr_array(words)) == widths(1000 * words + 5) == [100]
    assert widths(words > 0) == widths(np.hstack([words, np.ones((100, 9))])) == [100]
    assert widths(np.repeat(words, 2, axis=1)) == [100]  # as n-grams
    assert widths(choices) == widths(csr_array(choices)) == [100]
    assert widths(many) == widths(np.hstack([many, np.zeros((100, 200))])) == [500, 500]
    assert widths(categories) == [500, 500]
    assert (
        widths(lines.reshape(100, 200)) == widths(csr_array(lines.reshape(100, 200))) == [500, 500]
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Outputs hardly depend on X")
@pytest.mark.usefixtures("few_epochs")
def test_the_default_base_of_words_has_one_layer():
    words = np.random.default_rng(0).poisson(0.03, (100, 200)).astype(float)
    model = ManifoldTangentClassifier(max_iter=2, random_state=0).fit(words, np.arange(100) % 2)
    assert [layer.n_components for _, layer in model.base_.layers_] == [100]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("n_features", "n_units"), [(4, 100), (24, 120)])
@pytest.mark.usefixtures("few_epochs")
def test_layers_with_tangents_have_five_units_per_feature(n_features, n_units):
    rows = np.random.default_rng(0).normal(size=(30, n_features))
    model = ManifoldTangentClassifier(max_iter=2, random_state=0).fit(rows, np.arange(30) % 2)
    assert [layer.n_components for _, layer in model.base_.layers_] == [n_units] * 2


def test_the_default_stack_is_two_layers_by_hand(short):
    stack = StackedAE(random_state=0).fit(IRIS)
    low, high = (layer for _, layer in stack.layers_)
    own = {"max_iter": 1, "random_state": low.random_state}
    np.testing.assert_array_equal(ContractiveAE(**own).fit(IRIS)._params, low._params)
    codes, own = low.transform(IRIS), {"max_iter": 1, "random_state": high.random_state}
    alone = ContractiveAE(loss="bernoulli", standardize=False, **own).fit(codes)
    np.testing.assert_allclose(alone._params, high._params, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(stack.transform(IRIS), high.transform(codes), atol=1e-12)


@pytest.mark.slow
@pytest.mark.filterwarnings("error", "ignore:The loss of RecurrentAE rose")
@pytest.mark.parametrize("Model", [*MODELS, ManifoldTangentClassifier])
def test_default_fits_of_iris(Model, monkeypatch):
    labels = SPECIES[::3].copy()
    if Model is ManifoldTangentClassifier:
        labels[::2] = -1
    model = Model(random_state=0)
    if Model in (StackedAE, RecurrentAE):
        # Their layers are wide, and take all epochs in the other stacks.
        monkeypatch.setattr("skae._estimators.training.auto_epochs", lambda *_: 100)
    if Model is RecurrentAE:
        model.set_params(max_iter=30)  # the loss of 50 rows is that of a draw of the noise
    model.fit(IRIS[::3], labels)
    if hasattr(model, "predict"):
        # The regressor gives R^2.
        assert model.score(IRIS, SPECIES) > 0.9
    else:
        codes = model.transform(IRIS)
        linear = LogisticRegression(C=100, max_iter=5000).fit(codes[::3], labels)
        assert linear.score(codes, SPECIES) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("Model", MODELS)
@pytest.mark.usefixtures("few_epochs")
def test_widths_are_contractive_layers(Model):
    model = clone(Model([20, np.int64(10)], max_iter=2, random_state=0))
    assert model.get_params()["layers"] == [20, 10]
    estimator_html_repr(model)
    layers = [("layer0", ContractiveAE(20)), ("layer1", ContractiveAE(10))]
    named = Model(layers, max_iter=2, random_state=0)
    for stack in (model, named):
        stack.fit(X[:60], y[:60])
    assert list(model.named_layers_) == ["layer0", "layer1"]
    np.testing.assert_array_equal(model.transform(X), named.transform(X))


@pytest.mark.parametrize("layers", [[20, "10"], [True], [0], [2.5]])
def test_what_is_no_width_is_refused(layers):
    with pytest.raises(ValueError, match="layers must be|n_components"):
        StackedAE(layers, max_iter=1).fit(X)


def test_a_stack_is_made_without_names():
    low = ContractiveAE(20, max_iter=1)
    stack = make_stack(low, 10, ContractiveAE(5, max_iter=1), random_state=0, schedule="greedy")
    assert [name for name, _ in stack.layers] == [f"contractiveae{k}" for k in (1, 2, 3)]
    assert stack.layers[0][1] is not low
    assert stack.set_params(contractiveae2__max_iter=1).fit(X).transform(X).shape == (150, 5)
    with pytest.raises(ValueError, match="at least one layer"):
        make_stack()


@pytest.mark.slow
def test_a_default_regressor_learns_little_noise():
    """Most of y is noise, and the rest is linear, so that ridge regression is hard to beat."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 15))
    y = X @ rng.standard_normal(15) + 6 * rng.standard_normal(500)
    train, test = (X[:375], y[:375]), (X[375:], y[375:])
    model = StackedAERegressor(random_state=0).fit(*train)
    assert model.score(*test) > Ridge().fit(*train).score(*test) - 0.15
