"""Weights of fitted parts in the network of a whole."""

from itertools import zip_longest

import numpy as np

from ..nn.network import Network


def layer_weights(params):
    """Return encoder weights, encoder bias, decoder weights and decoder bias (or None) of each layer."""
    encoder = params.encoder_weights, params.encoder_biases
    return list(zip_longest(*encoder, params.decoder_weights, params.decoder_biases))


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


def fill_encoder(params, source):
    """Put the encoder of ``source`` into the lowest layers of ``params``, as far as both go."""
    pairs = zip(source.encoder_weights, source.encoder_biases, params.encoder_weights)
    fill(params, 0, [(weights, bias, None, None) for weights, bias, _ in pairs])


def without_output(deep, flat):
    """Return shape and parameters of an encoder from those of ``deep``, a network with an output layer above it."""
    shape = {"sizes": deep.sizes[:-1], "activation": deep.names[:-1], "decoder": None}
    network = Network(**shape)
    params = np.empty(network.size, flat.dtype)
    fill_encoder(network.views(params), deep.views(flat))
    return shape, params


def _tied(params, layer):
    return params.decoder_weights[layer] is params.encoder_weights[layer]
