"""Layers of deep Boltzmann machines and belief networks: what can be stacked, and the pre-training of a machine."""

from functools import partial

from .._estimators.fitting import by_block, is_fitted
from .._estimators.layer import check_layers
from ._passes import upward_means
from ._rbm import RBM


def check_machines(layers):
    """Raise unless ``layers`` is a list of pairs (name, RBM) that can be stacked."""
    check_layers(layers, "an RBM")
    for name, layer in layers:
        if not isinstance(layer, RBM):
            raise TypeError(f"layers must be RBMs; {name!r} is {layer!r}.")
    for name, layer in layers[1:]:
        if layer.visible not in ("auto", "bernoulli"):
            raise ValueError(
                f"visible of the layer {name!r} must be 'auto' or 'bernoulli', since it sees the hidden units "
                f"below; got {layer.visible!r}."
            )


def check_deep_machine(layers):
    """Raise unless a DBM can have these ``layers``: two RBMs or more, trained with doubled weights."""
    check_machines(layers)
    for name, layer in layers:
        if layer.gradient == "autoencoder":
            raise ValueError(
                f"gradient of the layer {name!r} must be 'cd' or 'pcd' in a DBM, whose pre-training doubles weights; got "
                "'autoencoder', which cannot."
            )
    if len(layers) < 2:
        raise ValueError(f"layers must have at least 2 RBMs; got {len(layers)}.")


def double_weights(layers):
    """Let ``layers`` train with doubled weights towards each side that will have a second neighboring layer."""
    for number, (_, layer) in enumerate(layers):
        layer.scales = (1 if number == len(layers) - 1 else 2, 2 if number else 1)
    return layers


def pretrain(layers, machine, params, rows, data):
    """Fit each layer on the codes of the one below, the first one on ``data``, and copy it into ``params``.

    ``rows`` are those of ``data`` as the network sees them.
    """
    for number, (_, layer) in enumerate(layers, 1):
        X, sample_weight = data.for_part() if number == 1 else (rows, data.sample_weight)
        try:
            layer.fit(X, sample_weight=sample_weight)
        finally:
            if is_fitted(layer):
                _copy_layer(layer, number, machine, params)
        if number < len(layers):
            upward = partial(upward_means, layer.model_, scale=layer.scales[0])
            rows = by_block(rows, upward, layer.n_components)


def _copy_layer(layer, number, machine, params):
    """Copy a fitted layer into ``params``."""
    fitted = layer.model_.params
    decoder_bias = fitted.decoder_biases[0]
    machine.block(params.encoder_weights[0], number)[...] = fitted.encoder_weights[0]
    machine.bias(params, number)[...] = fitted.encoder_biases[0]
    below = machine.bias(params, number - 1)
    # A hidden layer was the upper layer of one RBM and the lower one of another, each with a bias.
    below[...] = (below + decoder_bias) / 2 if number > 1 else decoder_bias
