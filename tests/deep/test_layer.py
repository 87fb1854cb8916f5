"""What may be a layer of a stack: whatever derives from ``Layer`` and implements its three methods."""

import inspect

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skae import (
    DBM,
    DBN,
    PSD,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    SparseAutoEncoder,
    StackedAE,
    StackedAEClassifier,
)
from skae._estimators.layer import NetworkLayer
from skae.deep import Layer

X, y = load_digits(return_X_y=True)
X, y = X[:200] / 16, y[:200]
FAST = {"batch_size": 50, "max_iter": 2, "random_state": 0}


class PrincipalComponents(BaseEstimator, Layer):
    """Principal components as a layer of identity units."""

    def __init__(self, n_components=5):
        self.n_components = n_components

    def fit(self, X, y=None, sample_weight=None):
        self.pca_ = PCA(self.n_components, svd_solver="full").fit(X)
        return self

    def layer_shapes(self):
        return [(self.n_components, "identity")]

    def layer_weights(self):
        components, mean = self.pca_.components_, self.pca_.mean_
        return [(components, -components @ mean, components, mean)]


class Half(BaseEstimator):
    """Has the methods of a layer and does not derive from it."""

    def fit(self, X, y=None, sample_weight=None):
        return self

    def layer_shapes(self):
        return [(3, "identity")]

    def layer_weights(self):
        return []


class Incomplete(BaseEstimator, Layer):
    def fit(self, X, y=None, sample_weight=None):
        return self


def test_a_layer_by_the_protocol_alone():
    stack = StackedAE([("pca", PrincipalComponents()), ("top", AutoEncoder(4, **FAST))]).fit(X)
    pca = PCA(5, svd_solver="full").fit(X)
    codes = stack.named_layers_.top.transform(pca.transform(X))
    np.testing.assert_allclose(stack.transform(X), codes, atol=1e-10)
    assert stack.n_iter_ == stack.named_layers_.top.n_iter_ == 2
    alone = StackedAE([("pca", PrincipalComponents())]).fit(X)
    assert alone.n_iter_ == 0
    expected = pca.inverse_transform(pca.transform(X))
    np.testing.assert_allclose(alone.reconstruct(X), expected, atol=1e-10)


def test_it_is_fine_tuned_like_any_other():
    layers = [("pca", PrincipalComponents()), ("top", AutoEncoder(20, **FAST))]
    stack = StackedAEClassifier(layers, random_state=0).fit(X, y)
    assert stack.score(X, y) > 0.9


def test_what_is_no_layer_is_refused_by_its_name():
    with pytest.raises(TypeError, match="layers has 'half'.*derive from skae.deep.Layer"):
        StackedAE([("half", Half())]).fit(X)
    with pytest.raises(TypeError, match="layers has 'pca'.*derive from"):
        StackedAE([("pca", PCA(3))]).fit(X)
    # Not every auto-encoder is a layer.
    with pytest.raises(TypeError, match="Give an AutoEncoder, .* or PSD.encoder='tanh'., and"):
        StackedAE([("sparse", SparseAutoEncoder(3))]).fit(X)
    for Machine in (DBN, DBM):
        with pytest.raises(TypeError, match="Give an RBM, and put"):
            Machine([("pca", PCA(3)), ("top", RBM(2))]).fit(X)
    with pytest.raises(TypeError, match="'auto'.*a class; give an instance"):
        StackedAE([("auto", AutoEncoder)]).fit(X)
    with pytest.raises(TypeError, match="layer_shapes|layer_weights"):
        Incomplete()


@pytest.mark.parametrize(
    "Registered, Protocol",
    [
        (PSD, Layer),
        (RBM, NetworkLayer),
        (AutoEncoder, NetworkLayer),
        (ContractiveAE, NetworkLayer),
        (DenoisingAE, NetworkLayer),
    ],
)
def test_registered_layers_implement_all_that_is_abstract(Registered, Protocol):
    assert issubclass(Registered, Protocol)
    for name in Protocol.__abstractmethods__:
        own = getattr(Registered, name)
        assert not getattr(own, "__isabstractmethod__", False), name
        expected = inspect.signature(getattr(Protocol, name)).parameters
        assert list(inspect.signature(own).parameters) == list(expected), name
