"""Layers of a stack: what is asked of them, copies to fit, and their weights in the stack's network."""

import os

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..autoencoders import ContractiveAE
from .._estimators.units import plain_units
from .._estimators.unsupervised import UnsupervisedModel
from ..nn.network import Network

_NEEDED = ("_layer_shapes", "_layer_weights")


def check_layers(layers):
    """Raise where ``layers`` is not a list of (name, estimator) with encoder weights."""
    if not layers:
        raise ValueError("layers must be a list of (name, estimator) with at least one; got none.")
    for entry in layers:
        if not (isinstance(entry, (tuple, list)) and len(entry) == 2):
            raise ValueError(
                f"layers must be a list of (name, estimator); got the entry {entry!r}."
            )
        name, layer = entry
        if isinstance(layer, type) or not all(
            callable(getattr(layer, method, None)) for method in _NEEDED
        ):
            raise TypeError(
                f"layers has {name!r}: {layer!r}, which is no instance with encoder weights; give an "
                "auto-encoder or PSD, and put other transformers before the stack in a Pipeline."
            )


def default_layers():
    """Return two contractive auto-encoders, as in Rifai et al. 2011."""
    return [("low", ContractiveAE()), ("high", ContractiveAE())]


def layer_shapes(layers):
    """Return widths and activations of the whole encoder."""
    pairs = [pair for _, layer in layers for pair in layer._layer_shapes()]
    widths, activations = zip(*pairs)
    return widths, activations


def ties(layer):
    """Return whether the decoder of ``layer`` has the weights of its encoder."""
    return isinstance(layer, UnsupervisedModel) and layer._decoder() == "tied"


def units_parameter(layer):
    """Return the name of the parameter that says what kind of units the layer reconstructs."""
    return "visible" if hasattr(layer, "visible") else "loss"


def units_of(layer, X, frame, sample_weight):
    """Return the ``Units`` with which ``layer`` sees the validated ``X``, which was ``frame``."""
    if isinstance(layer, UnsupervisedModel):
        return layer._make_units(X, frame, sample_weight)
    return plain_units(X.shape[1])


def copies(layers, rng, *, verbose, checkpoint, resume):
    """Return clones of ``layers``, ready to be fitted one on the codes of the other.

    See :func:`ready_copy`; a loss that is left open is the cross-entropy on the codes of sigmoids. Codes are not
    scaled.
    """
    fitted, below = [], None
    for name, layer in layers:
        layer = ready_copy(name, layer, rng, verbose=verbose, checkpoint=checkpoint, resume=resume)
        name_of_units = units_parameter(layer)
        if below == "sigmoid" and getattr(layer, name_of_units, None) == "auto":
            layer.set_params(**{name_of_units: "bernoulli"})
        if below is not None and isinstance(layer, UnsupervisedModel):
            layer.set_params(standardize=False)
        fitted.append((name, layer))
        below = layer._layer_shapes()[-1][1]
    return fitted


def ready_copy(name, estimator, rng, *, verbose, checkpoint, resume):
    """Return a clone of a part, called ``name``, of an estimator that is being fitted.

    Where the part leaves them open: its seed comes from ``rng``, it tells as much as the whole, and writes its
    checkpoint beside that of the whole.
    """
    estimator = clone(estimator)
    params = estimator.get_params(deep=False)
    if params.get("random_state", 0) is None:
        estimator.set_params(random_state=rng.randint(np.iinfo(np.int32).max))
    if verbose and params.get("verbose", 1) == 0:
        estimator.set_params(verbose=verbose)
    if checkpoint is not None and params.get("checkpoint", "") is None:
        estimator.set_params(checkpoint=f"{os.fspath(checkpoint)}.{name}", resume=resume)
    return estimator


def fitted_base(estimator, base, X, sample_weight):
    """Return ``base`` fitted without labels, for an estimator that begins with it: itself where it is ``prefit``."""
    if estimator.prefit:
        check_is_fitted(base)
        if base.n_features_in_ != X.shape[1]:
            raise ValueError(
                f"base was fitted with {base.n_features_in_} features; X has {X.shape[1]}."
            )
        return base
    base = ready_copy(
        "base",
        base,
        check_random_state(estimator.random_state),
        verbose=estimator.verbose,
        checkpoint=estimator.checkpoint,
        resume=estimator.resume,
    )
    return base.fit(X, sample_weight=sample_weight)


def check_losses(layers):
    """Raise where a layer above the first has a loss that codes do not have."""
    for name, layer in layers[1:]:
        name_of_units = units_parameter(layer)
        loss = getattr(layer, name_of_units, "gaussian")
        if loss not in ("auto", "gaussian", "bernoulli"):
            raise ValueError(
                f"{name_of_units} of the layer {name!r} must be 'auto', 'gaussian' or 'bernoulli', since its input is "
                f"the code below; got {loss!r}."
            )


def downward(layers):
    """Return the activations of the decoder's hidden layers that lead through each layer's own decoder."""
    names = []
    for number, (_, layer) in enumerate(layers):
        activations = [activation for _, activation in layer._layer_shapes()]
        names += activations[:-1]
        if number < len(layers) - 1:
            layer_above = layers[number + 1][1]
            above = getattr(layer_above, units_parameter(layer_above), "gaussian")
            linear = "relu" if activations[-1] == "relu" else "identity"
            names.append("sigmoid" if above == "bernoulli" else linear)
    return tuple(names)


def fill(params, start, weights):
    """Put the ``weights`` of fitted layers into ``params``, from the network's layer ``start`` on."""
    for layer, (encoder, bias, decoder, decoder_bias) in enumerate(weights, start):
        params.encoder_weights[layer][...] = encoder
        params.encoder_biases[layer][...] = bias
        if decoder is None:
            continue
        if layer < len(params.decoder_weights) and not _tied(params, layer):
            params.decoder_weights[layer][...] = decoder
        if layer < len(params.decoder_biases):
            params.decoder_biases[layer][...] = decoder_bias


def without_output(shape, flat):
    """Return shape and parameters of an encoder from those of a network with an output layer above it."""
    deep = Network(**shape).views(flat)
    shape = {
        "sizes": shape["sizes"][:-1],
        "activation": shape["activation"][:-1],
        "decoder": None,
    }
    network = Network(**shape)
    params = np.empty(network.size, flat.dtype)
    fill_encoder(network.views(params), deep)
    return shape, params


def fill_encoder(params, source):
    """Put the encoder of ``source`` into the lowest layers of ``params``, as far as both go."""
    pairs = zip(source.encoder_weights, source.encoder_biases, params.encoder_weights)
    fill(params, 0, [(weights, bias, None, None) for weights, bias, _ in pairs])


def _tied(params, layer):
    return params.decoder_weights[layer] is params.encoder_weights[layer]
