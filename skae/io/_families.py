"""The weights of each family of estimators, by the names that ``skae.io.save_weights`` gives them."""

from functools import singledispatch
from numbers import Number
from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_regressor

from .._estimators.fitted import FittedNetwork
from .._estimators.subestimators import n_dimensions_of_predictions
from .._estimators.supervised import BaseSupervised
from ..autoencoders import SparseAutoEncoder
from ..boltzmann import DBM, DBN
from ..deep import RecurrentAE, StackedAE
from ..images import ZCA, ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from ..nn.activations import ACTIVATIONS
from ..sparse import PSD, SparseCoder


def described(estimator):
    """Return the arrays of a fitted estimator by name, its class and parameters, and what else its formulas need."""
    arrays, config = weights_of(estimator)
    plain = (bool, np.bool_, Number, str, type(None))
    params = {
        name: value
        for name, value in estimator.get_params(deep=False).items()
        if isinstance(value, plain)
        or (isinstance(value, (tuple, list)) and all(isinstance(each, plain) for each in value))
    }
    return arrays, config | {"estimator": type(estimator).__name__, "parameters": params}


@singledispatch
def weights_of(estimator: Any) -> tuple[dict, dict]:
    """Return the arrays of a fitted estimator by name, and what else its formulas need."""
    raise TypeError(
        "estimator must have weights of its own, such as ContractiveAE, StackedAE or SparseCoder; got one of type "
        f"{type(estimator).__name__}. Of an AnomalyDetector, Imputer or JointEnergy give base_, of a Pipeline each "
        "step; skae.io.save writes any model as a whole."
    )


@weights_of.register(FittedNetwork)
@weights_of.register(DBN)
def _of_network(estimator):
    model = estimator.model_
    arrays, config = _encoder(model)
    decoder = model.params.decoder_layers
    if decoder:
        arrays |= _dense("decoder", decoder)
        arrays |= _of_outputs(model, f"decoder.{len(decoder) - 1}")
        activations = [layer.activation for layer in decoder]
        config |= {"decoder": _names(activations), "outputs": _columns_of_losses(model)}
    return arrays, config


@weights_of.register
def _of_sparse_features(estimator: SparseAutoEncoder):
    arrays, config = _of_network(estimator)
    network = estimator.model_.network
    config["encoder"] = [network.activation]
    if network.activation == "topk":
        config["k"] = network.training.k
    else:
        arrays["encoder.0.threshold"] = estimator.thresholds_
    return arrays, config


@weights_of.register
def _of_predictor(estimator: BaseSupervised):
    model = estimator.model_
    if model.network.sizes[0] != model.scaling.n_inputs:
        raise TypeError(
            "estimator sees more than X: a BoltzmannClassifier over a DBM. Give one over a DBN, or the DBM."
        )
    arrays, config = _encoder(model)
    (output,) = model.params.encoder_layers[model.n_layers :]
    arrays |= {"output.weight": output.weights, "output.bias": output.bias}
    config["outputs"] = [[_kind(part), part.columns.tolist()] for part in model.loss.parts]
    if is_classifier(estimator):
        classes = np.asarray(estimator.classes_)
        # Dates in nanoseconds would be numbers.
        config["classes"] = (classes.astype(str) if classes.dtype.kind == "M" else classes).tolist()
        config["multilabel"] = n_dimensions_of_predictions(estimator) == 2
    if is_regressor(estimator):
        arrays |= {
            "target_center": estimator.target_center_,
            "target_scale": estimator.target_scale_,
        }
    return arrays, config


@weights_of.register
def _of_stack(estimator: StackedAE):
    # The network of a stack that has learned from y is the encoder alone.
    predictor = vars(estimator).get("predictor_")
    return _of_network(estimator) if predictor is None else _of_predictor(predictor)


@weights_of.register
def _of_recurrent_network(estimator: RecurrentAE):
    model = estimator.model_
    _, biases, _ = zip(*model.encoder_parameters())
    arrays = _scaling(model.scaling) | _both_ways(estimator.encoder_weights_, biases)
    arrays["decoder.bias"] = estimator.decoder_bias_
    return arrays, {
        "encoder": _names(model.network.activations),
        "outputs": _columns_of_losses(model),
        "n_steps": model.network.n_steps,
    }


@weights_of.register
def _of_deep_machine(estimator: DBM):
    units = estimator.model_.units
    visible, *biases = estimator.biases_
    arrays = _scaling(units.scaling) | _both_ways(estimator.weights_, biases)
    arrays["decoder.bias"] = visible
    return arrays, {
        "encoder": ["sigmoid"] * len(biases),
        "outputs": _columns_of_losses(units),
        "n_steps": estimator.n_mean_field_steps,
    }


@weights_of.register
def _of_dictionary(estimator: SparseCoder):
    return {"dictionary": estimator.components_}, {"alpha": estimator.alpha_}


_CODE_ENCODERS = {
    "tanh": ("gain", "weight", "bias"),
    "soft_threshold": ("weight", "threshold"),
    "lista": ("weight", "feedback", "threshold"),
}


@weights_of.register(PSD)
@weights_of.register(ConvolutionalPSD)
def _of_predicted_codes(estimator):
    parts = estimator.encoder_parameters_
    encoder = _form_of_encoder(parts)
    names = _CODE_ENCODERS[encoder]
    parts = [np.exp(part) if name == "threshold" else part for name, part in zip(names, parts)]
    arrays = {"dictionary": estimator.components_}
    return arrays | {f"encoder.{name}": part for name, part in zip(names, parts)}, {
        "encoder": encoder,
        "alpha": estimator.alpha_,
    }


def _form_of_encoder(parts):
    """Return the form that an encoder of these parameters was fitted with; that in ``encoder`` may have been set since."""
    if len(parts) == 2:
        return "soft_threshold"
    gains_come_first = parts[0].ndim < parts[1].ndim
    return "tanh" if gains_come_first else "lista"


@weights_of.register
def _of_whitening(estimator: ZCA):
    return {
        "mean": estimator.mean_,
        "whitening": estimator.whitening_,
        "coloring": estimator.coloring_,
    }, {}


@weights_of.register
def _of_filters(estimator: ConvolutionalFeatures):
    if estimator.components_ is None or estimator.encoder == "code":
        raise TypeError(
            "estimator has codes of dictionary, which filters do not define: give dictionary_, and save zca_ too."
        )
    arrays = {"filters": estimator.components_}
    if estimator.zca_ is not None:
        arrays |= _of_whitening(estimator.zca_)[0]
    return arrays, {"floor": estimator.floor_}


@weights_of.register
def _of_stages(estimator: ConvolutionalStack):
    arrays, config = {}, {"layers": {}}
    for name, layer in estimator.layers_:
        own, config["layers"][name] = described(layer)
        arrays |= {f"{name}.{key}": array for key, array in own.items()}
    return arrays, config


def _encoder(model):
    """Return the scaling and the encoder of a ``Model``, and the activations of its layers."""
    layers = model.params.encoder_layers[: model.n_layers]
    arrays = _scaling(model.scaling) | _dense("encoder", layers)
    arrays["encoder.0.weight"] = model.scaling.widened(layers[0].weights)
    return arrays, {"encoder": _names([layer.activation for layer in layers])}


def _scaling(scaling):
    return {"center": scaling.center, "scale": np.where(scaling.varies, scaling.scale, 1)}


def _dense(name, layers):
    """Return weights of shape (n_outputs, n_inputs) and biases of layers, from the first to the last."""
    arrays = {}
    for n, layer in enumerate(layers):
        arrays |= {f"{name}.{n}.weight": layer.weights, f"{name}.{n}.bias": layer.bias}
    return arrays


def _of_outputs(model, name):
    """Return the last layer of the decoder, with rows of 0 for constant columns."""
    layer, widened = model.params.decoder_layers[-1], model.scaling.widened
    return {f"{name}.weight": widened(layer.weights.T).T, f"{name}.bias": widened(layer.bias)}


def _both_ways(weights, biases):
    """Return weights and biases of layers with input from above too."""
    arrays = {}
    for n, (matrix, bias) in enumerate(zip(weights, biases)):
        arrays |= {f"encoder.{n}.weight": matrix, f"encoder.{n}.bias": bias}
    return arrays


def _names(activations):
    """Return the names of activations; for one of an own class what ``repr`` says, or the class, not a place in memory."""
    known = {id(each): name for name, each in ACTIVATIONS.items()}
    return [
        known.get(id(each))
        or (type(each).__name__ if type(each).__repr__ is object.__repr__ else repr(each))
        for each in activations
    ]


def _columns_of_losses(units):
    """Return the kinds of the output units, each with the columns of X that it is for."""
    columns = np.flatnonzero(units.scaling.varies)
    return [[_kind(part), columns[part.columns].tolist()] for part in units.loss.parts]


def _kind(loss):
    return type(loss).__name__.lower()
