"""Mistakes in layers that users write: each is named, and the stack stays what it was."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import BaseEstimator

from skae import (
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    RecurrentAE,
    StackedAE,
    StackedAEClassifier,
)
from skae.deep import Layer
from skae.generative import sample_walkback

X = np.random.default_rng(0).random((40, 6))
Y = (X[:, 0] > 0.5).astype(int)
SHORT = {"max_iter": 2, "random_state": 0}


class _Random(Layer, BaseEstimator):
    """A right one, of random weights, whose attributes have names of their own."""

    def __init__(self, width=4, shapes=None, change=None):
        self.width, self.shapes, self.change = width, shapes, change

    def fit(self, X, y=None, sample_weight=None):
        rng = np.random.default_rng(0)
        self.matrix, self.shift = rng.standard_normal((self.width, X.shape[1])), rng.random(4)
        self.back = rng.random(X.shape[1])
        return self

    def layer_shapes(self):
        return [(self.width, "sigmoid")] if self.shapes is None else self.shapes(self.width)

    def layer_weights(self):
        weights = [self.matrix, self.shift, self.matrix, self.back]
        return [tuple(weights)] if self.change is None else self.change(weights)


class _NoEstimator(Layer):
    fit, layer_shapes, layer_weights = _Random.fit, _Random.layer_shapes, _Random.layer_weights


def test_weights_of_any_attributes_are_those_of_the_stack():
    """Names without an underscore at their end do not make an estimator look fitted."""
    layer = _Random()
    codes = StackedAE([("own", layer)], random_state=0).fit_transform(X)
    layer.fit(X)
    np.testing.assert_allclose(codes, expit(X @ layer.matrix.T + layer.shift), rtol=1e-12)


def _without(place):
    """Return a function that changes weights to None at this place."""
    return lambda weights: [tuple(w for w in weights[:place]) + (None, *weights[place + 1 :])]


def _with(place, function):
    """Return a function that changes weights at this place."""
    return lambda weights: [(*weights[:place], function(weights[place]), *weights[place + 1 :])]


LAYERS = [
    (_Random(shapes=lambda width: None), TypeError, "layer_shapes must return a list.*got None"),
    (_Random(shapes=lambda width: []), TypeError, "layer_shapes must return a list"),
    (_Random(shapes=lambda width: [width]), TypeError, r"layer_shapes must .* got \[4\]"),
    (_Random(shapes=lambda width: (width, "sigmoid")), TypeError, "layer_shapes must return a li"),
    (_Random(shapes=lambda width: [(4.0, "tanh")]), TypeError, "layer_shapes must return a list"),
    (_Random(shapes=lambda width: [(-1, "tanh")]), TypeError, "layer_shapes must return a list"),
    (_Random(shapes=lambda width: [(4, "swish")]), TypeError, "layer_shapes must .*swish"),
    (_Random(shapes=lambda width: [(5, "tanh")]), ValueError, r"shape \(5, .\); got shape \(4, "),
    (_Random(change=lambda weights: None), TypeError, "layer_weights must return a list.*got None"),
    (_Random(change=tuple), TypeError, "layer_weights must return a list of"),
    (_Random(change=lambda weights: [weights[:2]]), TypeError, "layer_weights must return a list"),
    (_Random(change=lambda weights: [weights] * 2), TypeError, "one for each of layer_shapes"),
    (_Random(change=_with(0, np.transpose)), ValueError, "encoder weights of shape"),
    (_Random(change=_with(0, lambda w: w[:1])), ValueError, "encoder weights of shape"),
    (_Random(change=_with(0, lambda w: w * np.nan)), ValueError, "encoder weights contains NaN"),
    (_Random(change=_with(1, lambda w: 0.0)), TypeError, "encoder bias: .*scalar"),
    (_Random(change=_with(2, lambda w: w.T)), ValueError, "decoder weights of shape"),
    (_Random(change=_without(0)), ValueError, "encoder weights of shape .*got None"),
    (_Random(change=_without(2)), ValueError, "decoder weights of shape .*got None"),
    (_Random(change=_without(3)), ValueError, "decoder bias of shape .*got None"),
    (_NoEstimator(), TypeError, "must derive from sklearn.base.BaseEstimator"),
]


@pytest.mark.parametrize(("layer", "error", "message"), LAYERS)
@pytest.mark.parametrize("lowest", [True, False])
@pytest.mark.parametrize("Stack", [StackedAE, StackedAEClassifier, RecurrentAE])
def test_layers(Stack, lowest, layer, error, message):
    other = ("other", AutoEncoder(5, **SHORT))
    fitted = Stack([("own", _Random()), other], **SHORT).fit(X, Y)
    before = fitted.transform(X)
    fitted.set_params(layers=[("own", layer), other] if lowest else [other, ("own", layer)])
    name = "layers has 'own'" if isinstance(layer, _NoEstimator) else "In the layer 'own'"
    with pytest.raises(error, match=f"{name}: .*{message}"):
        fitted.fit(X, Y)
    np.testing.assert_array_equal(fitted.transform(X), before)


def _own_class(cls, params):
    """Return an instance of a class that a user derives from ``cls``, which sets ``params`` and takes others."""

    class Own(cls):
        def __init__(self, scale=1.0):
            super().__init__(**params)
            self.scale = scale

    return Own()


HIDDEN = {"n_components": 3, "batch_size": 20, **SHORT}


@pytest.mark.parametrize(
    ("cls", "params", "method"),
    [
        (ContractiveAE, HIDDEN, lambda model: np.array(model.contraction_)),
        (
            DenoisingAE,
            {**HIDDEN, "corruption": "gaussian"},
            lambda model: sample_walkback(model, X[:2], n_steps=3, random_state=0),
        ),
        (RBM, HIDDEN, lambda model: model.sample(2, random_state=0)),
    ],
)
@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
def test_parameters_that_a_class_of_ones_own_sets_itself_count(cls, params, method, schedule):
    models = [_own_class(cls, params), cls(**params)]
    np.testing.assert_array_equal(*(method(model.fit(X)) for model in models))
    high = {"n_components": 2, "batch_size": 20, **SHORT}
    codes = [
        StackedAE([("low", low), ("high", above)], schedule=schedule, random_state=0).fit_transform(
            X
        )
        for low in models
        for above in (_own_class(AutoEncoder, high), AutoEncoder(**high))
    ]
    for others in codes[1:]:
        np.testing.assert_array_equal(codes[0], others)


def test_a_path_that_a_class_of_ones_own_sets_itself_counts(tmp_path):
    layers = [("low", AutoEncoder(3, **SHORT))]
    _own_class(StackedAE, {"layers": layers, "checkpoint": tmp_path / "stack"}).fit(X)
    assert (tmp_path / "stack.low").exists()
