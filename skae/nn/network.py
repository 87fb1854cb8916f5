"""Encoder and decoder of any depth over one flat parameter vector, forward and backward on one batch."""

import numpy as np

from .._kernels.activations import IDENTITY, slopes
from .._threads import share
from .activations import ACTIVATIONS, initial_bound
from .corruption import dropout_mask
from .layer import add_up, backpropagate, backpropagate_part, propagate
from .parameters import Params, Parts
from .trace import Trace, add_all


class Network:
    """Layers of widths ``sizes``: encoder h = s(W x + b) upwards, decoder s(W' h + c) downwards to logits.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the code.
    activation : str or sequence of str
        A key of ``ACTIVATIONS`` for all layers, or one for each layer of the encoder. The decoder's hidden
        layers have that of the encoder's layer of the same width.
    decoder : {'tied', 'untied', None}
        Whether the decoder uses the encoder's weights, has its own, or is not there: the logits are then
        the code.
    downward : sequence of str or None
        Activations of the decoder's hidden layers from the input up, instead.
    dropout : float
        Share of the hidden units that a training step leaves out (Srivastava et al. 2014); the rest is scaled
        up. For networks without a decoder.
    """

    def __init__(self, sizes, activation, *, decoder="tied", downward=None, dropout=0.0):
        self.sizes, self.decoder, self.dropout = tuple(sizes), decoder, dropout
        self.depth = len(self.sizes) - 1
        self.names = (activation,) * self.depth if isinstance(activation, str) else activation
        self.activations = [ACTIVATIONS[name] for name in self.names]
        downward = ("identity", *(self.names[:-1] if downward is None else downward))
        self.downward = [ACTIVATIONS[name] for name in downward]
        upward = list(zip(self.sizes[1:], self.sizes[:-1]))
        shapes = [*upward, *[(high,) for high, _ in upward]]
        if decoder:
            shapes += [(low,) for _, low in upward]
        if decoder == "untied":
            shapes += upward
        self._parts = Parts(shapes)
        self.size = self._parts.size

    @property
    def n_decoder_layers(self):
        return self.depth if self.decoder else 0

    def views(self, flat):
        """Return the ``Params`` that look into ``flat``."""
        parts = self._parts(flat)
        n = self.depth
        weights, biases, decoder_biases = parts[:n], parts[n : 2 * n], parts[2 * n : 3 * n]
        decoder = parts[3 * n :] if self.decoder != "tied" else weights
        return Params(weights, biases, decoder, decoder_biases)

    def trace(self, n_samples, dtype, penalties=()):
        """Return the buffers of a batch, with the rows that ``penalties`` claim."""
        claims = [each.n_rows(n_samples) for each in penalties if hasattr(each, "n_rows")]
        return Trace(
            n_samples,
            self.sizes,
            dtype,
            decoder=bool(self.decoder),
            dropout=self.dropout > 0,
            n_claimed=sum(claims),
        )

    def initial(self, rng, dtype):
        """Return a fresh flat vector: uniform weights of the usual width, biases zero."""
        flat = np.zeros(self.size, dtype)
        params = self.views(flat)
        matrices = list(zip(self.names, params.encoder_weights))
        if self.decoder == "untied":
            matrices += zip(self.names, params.decoder_weights)
        for name, weights in matrices:
            bound = initial_bound(name, weights.shape[1], weights.shape[0], self.decoder)
            weights[...] = rng.uniform(-bound, bound, weights.shape)
        return flat

    def encode(self, params, X, out=None, n_layers=None):
        """Return the codes of ``X``, or the outputs of the first ``n_layers`` layers."""
        n_layers = self.depth if n_layers is None else n_layers
        for layer in range(n_layers):
            weights, bias = params.encoder_weights[layer], params.encoder_biases[layer]
            last = out is not None and layer == n_layers - 1
            outputs = out if last else np.empty((len(X), len(weights)), weights.dtype)
            propagate(X, weights.T, self.activations[layer], bias, outputs)
            X = outputs
        return X

    def decode(self, params, codes):
        """Return the logits of the output units."""
        for layer in reversed(range(self.depth)):
            weights, bias = params.decoder_weights[layer], params.decoder_biases[layer]
            outputs = np.empty((len(codes), len(bias)), weights.dtype)
            propagate(codes, weights, self.downward[layer], bias, outputs)
            codes = outputs
        return codes

    def reconstruct(self, params, X):
        """Return the logits of the output units for the inputs ``X``."""
        return self.decode(params, self.encode(params, X))

    def jacobian(self, params, X):
        """Return dh/dx, of shape (n_samples, n_components, n_features)."""
        product = None
        for layer, weights in enumerate(params.encoder_weights):
            X = X @ weights.T
            self.activations[layer].apply(X, params.encoder_biases[layer])
            diagonal = np.empty_like(X)
            slopes(self.activations[layer].kind, X, diagonal)
            step = diagonal[:, :, np.newaxis] * weights
            product = step if product is None else step @ product
        return product

    def forward(self, params, trace, seed):
        """Fill ``trace`` from its inputs up to the codes and down to the logits."""
        for layer in range(self.depth):
            propagate(
                trace.encoder_inputs[layer],
                params.encoder_weights[layer].T,
                self.activations[layer],
                params.encoder_biases[layer],
                trace.encoder_outputs[layer],
            )
            if trace.masks and layer < self.depth - 1:
                self._drop(trace, layer, seed)
        for layer in reversed(range(self.n_decoder_layers)):
            propagate(
                trace.decoder_inputs[layer],
                params.decoder_weights[layer],
                self.downward[layer],
                params.decoder_biases[layer],
                trace.decoder_inputs[layer - 1] if layer else trace.logits,
            )

    def backward(self, params, trace, grad, n_frozen=0):
        """Turn the gradient at the logits, and what the penalties left in ``trace``, into ``grad``.

        That of the encoder's ``n_frozen`` lowest layers is set to 0, without a pass through them.
        """
        above = matrix = None
        for layer in range(self.n_decoder_layers):
            self._decoder_gradients(layer, above, matrix, params, trace, grad)
            above, matrix = trace.decoder_deltas[layer], params.decoder_weights[layer].T
        if not self.decoder:
            trace.encoder_deltas[-1][...] = trace.logits
        for layer in range(n_frozen):
            grad.encoder_weights[layer][...], grad.encoder_biases[layer][...] = 0, 0
        for layer in reversed(range(n_frozen, self.depth)):
            self._encoder_gradients(layer, above, matrix, params, trace, grad)
            above, matrix = trace.encoder_deltas[layer], params.encoder_weights[layer]

    def _drop(self, trace, layer, seed):
        """Pass the outputs of ``layer`` on through a new mask."""
        mask = trace.masks[layer]
        dropout_mask(trace.inputs, seed + np.uint64(layer), self.dropout, mask)
        np.multiply(trace.encoder_outputs[layer], mask, out=trace.encoder_inputs[layer + 1])

    def _decoder_gradients(self, layer, above, matrix, params, trace, grad):
        """Take the gradient from ``above`` one layer on, and add up that of the weights where they are its own."""
        kind, outputs = IDENTITY, trace.logits
        if layer:
            kind, outputs = self.downward[layer].kind, trace.decoder_inputs[layer - 1]
        push = trace.total_push(trace.decoder_pushes[layer])
        delta, d_bias = trace.decoder_deltas[layer], grad.decoder_biases[layer]
        backpropagate(above, matrix, None, kind, outputs, push, delta, d_bias)
        if self.decoder == "tied":
            return
        upper, lower = (stack[-trace.n_samples :] for stack in trace.stacks(layer))
        weights, d_weights = params.decoder_weights[layer], grad.decoder_weights[layer]
        extra = trace.decoder_row_scales[layer], trace.decoder_pulls[layer]

        def add(units):
            add_up(units, upper, lower, weights, *extra, d_weights)

        share(add, len(weights), lower.size)

    def _encoder_gradients(self, layer, above, matrix, params, trace, grad):
        """Take the gradient from ``above`` one layer down, and add up that of the weights."""
        mask = trace.masks[layer] if trace.masks and layer < self.depth - 1 else None
        kind, outputs = self.activations[layer].kind, trace.encoder_outputs[layer]
        push = trace.total_push(trace.encoder_pushes[layer])
        delta = trace.encoder_deltas[layer]
        rows = slice(-trace.n_samples if self.decoder == "untied" else None)
        upper, lower = (stack[rows] for stack in trace.stacks(layer))
        weights, d_weights = params.encoder_weights[layer], grad.encoder_weights[layer]
        d_bias, pulls = grad.encoder_biases[layer], [*trace.encoder_pulls[layer]]
        if self.decoder == "tied":
            pulls += trace.decoder_pulls[layer]
        pulled = above, matrix, mask, kind, outputs, push, delta, d_bias

        def add(units):
            add_up(units, upper, lower, weights, trace.encoder_row_scales[layer], pulls, d_weights)

        def both(units):
            backpropagate_part(slice(None), units, *pulled)
            add(units)

        # Of few rows each thread adds up what it has just pulled back.
        if trace.n_samples > len(weights):
            backpropagate(*pulled)
            share(add, len(weights), lower.size)
        else:
            share(both, len(weights), lower.size)
        add_all(trace.encoder_bias_pulls[layer], d_bias)


def expected_squared_jacobian(network):
    """Return the mean of ||dh/dx||_F^2 over initial weights, at pre-activations of 0: the scale of the Jacobian."""
    value = float(network.sizes[0])
    for low, high, activation, name in zip(
        network.sizes, network.sizes[1:], network.activations, network.names
    ):
        variance = initial_bound(name, low, high, network.decoder) ** 2 / 3
        value *= high * variance * activation.slope_at_zero**2
    return value
