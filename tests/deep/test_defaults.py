"""What stacks and the tangent classifier are without arguments."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits
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


pytestmark = pytest.mark.filterwarnings("ignore:Outputs hardly depend on X")


@pytest.fixture
def short(monkeypatch):
    """Take no more than two epochs for the default layers."""

    def shortened(data):
        return [(name, layer.set_params(max_iter=2)) for name, layer in default_layers(data)]

    monkeypatch.setattr("skae.deep._base.default_layers", shortened)


@pytest.mark.parametrize(
    "Model",
    [StackedAE, StackedAEClassifier, StackedAERegressor, RecurrentAE, ManifoldTangentClassifier],
)
def test_it_fits_without_arguments(Model, short):
    model = clone(Model().set_params(max_iter=2)).fit(X, y)
    stack = model.base_ if Model is ManifoldTangentClassifier else model
    assert [type(layer) for _, layer in stack.layers_] == [ContractiveAE] * 2
    assert [layer.n_components for _, layer in stack.layers_] == [500, 500]
    assert "layers" not in vars(model) or model.layers is None
    assert estimator_html_repr(Model()) and repr(Model()) and Model().get_params()


@pytest.mark.parametrize(
    "n_samples, n_epochs", [(100, 200), (1000, 200), (10_000, 20), (60_000, 10)]
)
def test_default_layers_take_about_three_thousand_steps(n_samples, n_epochs):
    low, high = (layer for _, layer in default_layers(np.zeros((n_samples, 1))))
    assert low.max_iter == high.max_iter == n_epochs


@pytest.mark.parametrize("kind", [np.asarray, csr_matrix])
def test_the_loss_of_the_lowest_layer_fits_the_range(kind):
    assert default_layers(kind(X))[0][1].loss == "bernoulli"
    assert default_layers(kind(2 * X))[0][1].loss == "auto"
    assert default_layers(kind(-X))[0][1].loss == "auto"
    assert default_layers(kind(X))[1][1].loss == "auto"
