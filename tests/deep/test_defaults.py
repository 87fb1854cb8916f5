"""What stacks and the tangent classifier are without arguments."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_html_repr

from skae import (
    ContractiveAE,
    ManifoldTangentClassifier,
    RecurrentAE,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.deep._layers import default_layers

X, y = load_digits(return_X_y=True)
X, y = X[:150] / 16, y[:150]
IRIS, SPECIES = load_iris(return_X_y=True)
MODELS = [StackedAE, StackedAEClassifier, StackedAERegressor, RecurrentAE]


@pytest.fixture
def short(monkeypatch):
    """Take no more than two epochs for the default layers."""

    def shortened():
        return [(name, layer.set_params(max_iter=2)) for name, layer in default_layers()]

    monkeypatch.setattr("skae.deep._layers.default_layers", shortened)


@pytest.mark.filterwarnings("ignore:Outputs hardly depend on X")
@pytest.mark.parametrize("Model", [*MODELS, ManifoldTangentClassifier])
def test_it_fits_without_arguments(Model, short):
    model = clone(Model().set_params(max_iter=2)).fit(X, y)
    stack = model.base_ if Model is ManifoldTangentClassifier else model
    assert [type(layer) for _, layer in stack.layers_] == [ContractiveAE] * 2
    assert [layer.n_components for _, layer in stack.layers_] == [500, 500]
    assert "layers" not in vars(model) or model.layers is None
    assert estimator_html_repr(Model()) and repr(Model()) and Model().get_params()


def test_default_layers_have_their_own_defaults():
    names, layers = zip(*default_layers())
    assert names == ("low", "high")
    for layer in layers:
        assert layer.get_params() == ContractiveAE().get_params()


def test_the_default_stack_is_two_layers_by_hand(short):
    stack = StackedAE(random_state=0).fit(IRIS)
    low, high = (layer for _, layer in stack.layers_)
    own = {"max_iter": 2, "random_state": low.random_state}
    np.testing.assert_array_equal(ContractiveAE(**own).fit(IRIS)._params, low._params)
    codes, own = low.transform(IRIS), {"max_iter": 2, "random_state": high.random_state}
    alone = ContractiveAE(loss="bernoulli", standardize=False, **own).fit(codes)
    np.testing.assert_allclose(alone._params, high._params, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(stack.transform(IRIS), high.transform(codes), atol=1e-12)


@pytest.mark.filterwarnings("error", "ignore:The loss of RecurrentAE rose")
@pytest.mark.parametrize("Model", [*MODELS, ManifoldTangentClassifier])
def test_default_fits_of_iris(Model):
    labels = SPECIES[::3].copy()
    if Model is ManifoldTangentClassifier:
        labels[::2] = -1
    model = Model(random_state=0)
    if Model is RecurrentAE:
        # Its steps take longer than those of others; the loss of 50 rows is that of a draw of the noise.
        model.set_params(max_iter=30)
    model.fit(IRIS[::3], labels)
    if hasattr(model, "predict"):
        # The regressor gives R^2.
        assert model.score(IRIS, SPECIES) > 0.9
    else:
        codes = model.transform(IRIS)
        linear = LogisticRegression(C=100, max_iter=5000).fit(codes[::3], labels)
        assert linear.score(codes, SPECIES) > 0.9
