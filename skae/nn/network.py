"""Encoder and decoder of any depth over one flat parameter vector, forward and backward on one batch."""

from dataclasses import dataclass

import numpy as np

from .._kernels.activations import IDENTITY, backpropagate, slopes
from .._kernels.contraction import add_scaled_rows
from .activations import ACTIVATIONS, initial_bound


@dataclass
class Params:
    """Named views of the flat vector; weights are (n_upper, n_lower), shared by the decoder when tied."""

    encoder_weights: list
    encoder_biases: list
    decoder_weights: list
    decoder_biases: list


class Trace:
    """What one batch leaves in the network, in buffers that the next batch of that size uses again.

    For each layer the encoder's input stands on top of the decoder's gradient, and the encoder's
    gradient on top of the decoder's input: with tied weights the gradient of a layer is then one
    matrix product of the two stacks.
    """

    def __init__(self, n_samples, sizes, dtype):
        n, widths = n_samples, list(zip(sizes[:-1], sizes[1:]))
        self.lower = [np.empty((2 * n, low), dtype) for low, _ in widths]
        self.upper = [np.empty((2 * n, high), dtype) for _, high in widths]
        self.n_samples = n
        self.sample_weights = np.empty(n, dtype)
        self.losses = np.empty(n, dtype)
        self.encoder_inputs = [stack[:n] for stack in self.lower]
        self.decoder_deltas = [stack[n:] for stack in self.lower]
        self.encoder_deltas = [stack[:n] for stack in self.upper]
        self.decoder_inputs = [stack[n:] for stack in self.upper]
        self.encoder_outputs = [*self.encoder_inputs[1:], self.decoder_inputs[-1]]
        self._no_push = np.empty((0, 0), dtype)
        self._scratch = {}
        self.start()

    @property
    def inputs(self):
        return self.encoder_inputs[0]

    @property
    def codes(self):
        return self.decoder_inputs[-1]

    @property
    def logits(self):
        return self.decoder_deltas[0]

    def start(self):
        """Forget what the penalties of the last batch left for the backward pass."""
        layers = range(len(self.lower))
        self.encoder_pushes, self.decoder_pushes = [[] for _ in layers], [[] for _ in layers]
        self.encoder_pulls, self.decoder_pulls = [[] for _ in layers], [[] for _ in layers]
        self.encoder_bias_pulls = [[] for _ in layers]
        self.encoder_row_scales = [[] for _ in layers]
        self.decoder_row_scales = [[] for _ in layers]

    def total_push(self, pushes):
        """Return the sum of ``pushes``, in the first one's buffer."""
        if not pushes:
            return self._no_push
        _add_all(pushes[1:], pushes[0])
        return pushes[0]

    def scratch(self, owner, create):
        """Return what ``create()`` made for ``owner`` at its first call with this trace."""
        if owner not in self._scratch:
            self._scratch[owner] = create()
        return self._scratch[owner]


class Network:
    """Layers of widths ``sizes``: encoder h = s(W x + b) upwards, decoder s(W' h + c) downwards to logits.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the code.
    activation : str
        A key of ``ACTIVATIONS``, used by every layer but the output.
    tied : bool
        Whether the decoder uses the encoder's weights.
    """

    def __init__(self, sizes, activation, tied):
        self.sizes, self.tied = tuple(sizes), tied
        self.name, self.activation = activation, ACTIVATIONS[activation]
        self.depth = len(self.sizes) - 1
        widths = list(zip(self.sizes[1:], self.sizes[:-1]))
        self._shapes = [
            *widths,
            *[(high,) for high, _ in widths],
            *[(low,) for _, low in widths],
            *([] if tied else widths),
        ]
        self._bounds = np.cumsum([0] + [int(np.prod(shape)) for shape in self._shapes])
        self.size = int(self._bounds[-1])

    def views(self, flat):
        """Return the ``Params`` that look into ``flat``."""
        parts = [
            flat[start:stop].reshape(shape)
            for start, stop, shape in zip(self._bounds, self._bounds[1:], self._shapes)
        ]
        n = self.depth
        decoder = parts[:n] if self.tied else parts[3 * n :]
        return Params(parts[:n], parts[n : 2 * n], decoder, parts[2 * n : 3 * n])

    def initial(self, rng, dtype):
        """Return a fresh flat vector: uniform weights of the usual width, biases zero."""
        flat = np.zeros(self.size, dtype)
        params = self.views(flat)
        matrices = params.encoder_weights + ([] if self.tied else params.decoder_weights)
        for weights in matrices:
            bound = initial_bound(self.name, weights.shape[1], weights.shape[0])
            weights[...] = rng.uniform(-bound, bound, weights.shape)
        return flat

    def encode(self, params, X, out=None):
        """Return the codes of ``X``."""
        for layer in range(self.depth):
            last = layer == self.depth - 1
            X = np.matmul(X, params.encoder_weights[layer].T, out=out if last else None)
            self.activation.apply(X, params.encoder_biases[layer])
        return X

    def decode(self, params, codes):
        """Return the logits of the output units."""
        for layer in reversed(range(self.depth)):
            codes = codes @ params.decoder_weights[layer]
            apply = self.activation.apply if layer else ACTIVATIONS["identity"].apply
            apply(codes, params.decoder_biases[layer])
        return codes

    def jacobian(self, params, X):
        """Return dh/dx, of shape (n_samples, n_components, n_features)."""
        product = None
        for weights, bias in zip(params.encoder_weights, params.encoder_biases):
            X = X @ weights.T
            self.activation.apply(X, bias)
            diagonal = np.empty_like(X)
            slopes(self.activation.kind, X, diagonal)
            step = diagonal[:, :, np.newaxis] * weights
            product = step if product is None else step @ product
        return product

    def forward(self, params, trace):
        """Fill ``trace`` from its inputs up to the codes and down to the logits."""
        for layer in range(self.depth):
            output = trace.encoder_outputs[layer]
            np.matmul(trace.encoder_inputs[layer], params.encoder_weights[layer].T, out=output)
            self.activation.apply(output, params.encoder_biases[layer])
        for layer in reversed(range(self.depth)):
            output = trace.decoder_inputs[layer - 1] if layer else trace.logits
            np.matmul(trace.decoder_inputs[layer], params.decoder_weights[layer], out=output)
            apply = self.activation.apply if layer else ACTIVATIONS["identity"].apply
            apply(output, params.decoder_biases[layer])

    def backward(self, params, trace, grad):
        """Turn the gradient at the logits, and what the penalties left in ``trace``, into ``grad``."""
        for layer in range(self.depth):
            kind, outputs = IDENTITY, trace.logits
            delta = trace.decoder_deltas[layer]
            if layer:
                kind, outputs = self.activation.kind, trace.decoder_inputs[layer - 1]
                above = trace.decoder_deltas[layer - 1]
                np.matmul(above, params.decoder_weights[layer - 1].T, out=delta)
            push = trace.total_push(trace.decoder_pushes[layer])
            backpropagate(kind, outputs, delta, push, grad.decoder_biases[layer])
        for layer in reversed(range(self.depth)):
            delta = trace.encoder_deltas[layer]
            if layer == self.depth - 1:
                np.matmul(trace.decoder_deltas[layer], params.decoder_weights[layer].T, out=delta)
            else:
                above = trace.encoder_deltas[layer + 1]
                np.matmul(above, params.encoder_weights[layer + 1], out=delta)
            push = trace.total_push(trace.encoder_pushes[layer])
            kind, outputs = self.activation.kind, trace.encoder_outputs[layer]
            backpropagate(kind, outputs, delta, push, grad.encoder_biases[layer])
            _add_all(trace.encoder_bias_pulls[layer], grad.encoder_biases[layer])
            self._weight_gradients(layer, params, trace, grad)

    def _weight_gradients(self, layer, params, trace, grad):
        upper, lower, n = trace.upper[layer], trace.lower[layer], trace.n_samples
        encoder, decoder = grad.encoder_weights[layer], grad.decoder_weights[layer]
        if self.tied:
            np.matmul(upper.T, lower, out=encoder)
        else:
            np.matmul(upper[:n].T, lower[:n], out=encoder)
            np.matmul(upper[n:].T, lower[n:], out=decoder)
        _add_all(trace.encoder_pulls[layer], encoder)
        _add_all(trace.decoder_pulls[layer], decoder)
        for scales in trace.encoder_row_scales[layer]:
            add_scaled_rows(scales, params.encoder_weights[layer], encoder)
        for scales in trace.decoder_row_scales[layer]:
            add_scaled_rows(scales, params.decoder_weights[layer], decoder)


def _add_all(parts, total):
    for part in parts:
        total += part
