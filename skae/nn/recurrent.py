"""A stack whose hidden layers take input from the layers below and above, for a number of mean-field steps."""

import numpy as np

from .._arrays.namespace import n_values, split_flat
from .._kernels.contraction import add_scaled_rows
from .._threads import product
from .activations import initial_bound, make_activation
from .layer import DenseLayer, LayerRecord, Records
from .network import Network, Params


class RecurrentNetwork:
    """Relaxation h_l <- s((W_l h_(l-1) + W_(l+1)' h_(l+1)) / 2 + b_l), started by the way up (Savard 2011).

    The way up, h_l = s(W_l h_(l-1) + b_l), is step 0. Each of ``n_steps`` steps updates the layers from the lowest to
    the highest, which has one input only, with full weights. The logits are W_1' h_1 + c.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the highest layer.
    activation : sequence of str
        Keys of ``ACTIVATIONS``, one for each hidden layer.
    n_steps : int
    """

    decoder = "tied"

    def __init__(self, sizes, activation, n_steps):
        self.sizes, self.activation_names, self.n_steps = tuple(sizes), activation, n_steps
        self.depth = len(self.sizes) - 1
        self.activations = [make_activation(name) for name in activation]
        weights = list(zip(self.sizes[1:], self.sizes[:-1]))
        self._shapes = [*weights, *[(high,) for high, _ in weights], self.sizes[:1]]
        self.size = n_values(self._shapes)

    def views(self, flat):
        """Return the ``Params`` that view ``flat``; there is one decoder bias, that of the output."""
        parts = split_flat(flat, self._shapes)
        weights, biases = parts[: self.depth], parts[self.depth : 2 * self.depth]
        output_bias = parts[2 * self.depth :]
        matrices = [each.T for each in weights]
        units = [make_activation("identity"), *self.activations]
        down = list(map(DenseLayer, matrices, [*output_bias, *biases], units))[::-1]
        return Params(weights, biases, weights, output_bias, decoder_layers=down)

    def trace(self, n_samples, flat, penalties=()):
        """Return the buffers of a batch; no penalty of a recurrent network claims rows."""
        return RecurrentTrace(self, n_samples, flat.dtype)

    def initial(self, rng, dtype):
        """Return initial parameters: uniform weights of the usual width and zero biases."""
        flat = np.zeros(self.size, dtype)
        for activation, weights in zip(self.activations, self.views(flat).encoder_weights):
            bound = initial_bound(activation, weights.shape[1], weights.shape[0], shallow=True)
            weights[...] = rng.uniform(-bound, bound, weights.shape)
        return flat

    def encode(self, params, X, out=None, n_layers=None):
        """Return the highest layer after the last step; with ``n_layers``, that layer on the way up."""
        states = self.states(len(X), X.dtype, 0 if n_layers else self.n_steps)
        self._relax(params, X, states)
        codes = states[-1][(n_layers or self.depth) - 1]
        if out is None:
            return codes
        out[...] = codes
        return out

    decode = Network.decode  # from the highest layer alone, by one pass down

    def reconstruct(self, params, X):
        """Return the logits of the output units for the inputs ``X``."""
        states = self.states(len(X), X.dtype, self.n_steps)
        self._relax(params, X, states)
        return params.decoder_layers[-1].forward(states[-1][0])

    def jacobian(self, params, X):
        """Return dh/dx of the highest layer, of shape (n_samples, n_components, n_features)."""
        states = self.states(len(X), X.dtype, self.n_steps)
        self._relax(params, X, states)
        weights, before = params.encoder_weights, None
        for step, layers in enumerate(states):
            now = []
            for layer, outputs in enumerate(layers):
                below = now[-1] if layer else np.eye(self.sizes[0], dtype=X.dtype)[np.newaxis]
                pre_activations = weights[layer] @ below
                if self._has_input_from_above(step, layer):
                    pre_activations = (
                        pre_activations + weights[layer + 1].T @ before[layer + 1]
                    ) / 2
                now.append(
                    self.activations[layer].derivatives(outputs).matmul(pre_activations, len(X))
                )
            before = now
        return before[-1]

    def forward(self, params, trace, seed):
        """Fill ``trace`` from its inputs to the logits."""
        self._relax(params, trace.inputs, trace.states)
        params.decoder_layers[-1].forward(trace.states[-1][0], trace.logits)

    def backward(self, params, trace, grad):
        """Fill ``grad`` from the gradient at the logits, back through the steps."""
        weights, d_weights = params.encoder_weights, grad.encoder_weights
        np.sum(trace.logits, axis=0, out=grad.decoder_biases[0])
        product(trace.states[-1][0].T, trace.logits, d_weights[0])
        for part in (*d_weights[1:], *grad.encoder_biases):
            part[...] = 0
        deltas = [np.zeros_like(outputs) for outputs in trace.states[-1]]
        product(trace.logits, weights[0].T, deltas[0])
        pre_activations = np.zeros_like(deltas[0])
        for step in reversed(range(self.n_steps + 1)):
            earlier = [np.zeros_like(delta) for delta in deltas]
            for layer in reversed(range(self.depth)):
                outputs, delta = trace.states[step][layer], deltas[layer]
                bias = np.empty_like(grad.encoder_biases[layer])
                self.activations[layer].backward(outputs, delta, None, bias)
                grad.encoder_biases[layer] += bias
                if self._has_input_from_above(step, layer):
                    delta *= delta.dtype.type(0.5)
                    above = trace.states[step - 1][layer + 1]
                    d_weights[layer + 1] += product(above.T, delta)
                    earlier[layer + 1] += product(delta, weights[layer + 1].T)
                if layer:
                    d_weights[layer] += product(delta.T, trace.states[step][layer - 1])
                    deltas[layer - 1] += product(delta, weights[layer])
                else:
                    pre_activations += delta
            deltas = earlier
        d_weights[0] += product(pre_activations.T, trace.inputs)
        for layer, record in enumerate(trace.encoder):
            for scale in record.row_scales:
                add_scaled_rows(scale, weights[layer], d_weights[layer])

    def states(self, n_samples, dtype, n_steps):
        """Return buffers for the hidden layers at each step."""
        return [
            [np.empty((n_samples, width), dtype) for width in self.sizes[1:]]
            for _ in range(n_steps + 1)
        ]

    def _has_input_from_above(self, step, layer):
        return step > 0 and layer < self.depth - 1

    def _relax(self, params, inputs, states):
        """Fill ``states`` from the way up to the last step."""
        weights = params.encoder_weights
        pre_activations = product(inputs, weights[0].T)
        for step, layers in enumerate(states):
            for layer, outputs in enumerate(layers):
                if layer:
                    product(layers[layer - 1], weights[layer].T, outputs)
                else:
                    outputs[...] = pre_activations
                if self._has_input_from_above(step, layer):
                    outputs += product(states[step - 1][layer + 1], weights[layer + 1])
                    outputs *= outputs.dtype.type(0.5)
                self.activations[layer].forward(outputs, params.encoder_biases[layer])


class RecurrentTrace(Records):
    """Activations and gradients of one batch in a recurrent network."""

    def __init__(self, network, n_samples, dtype):
        self.n_samples = n_samples
        self.inputs = np.empty((n_samples, network.sizes[0]), dtype)
        self.logits = np.empty_like(self.inputs)
        self.states = network.states(n_samples, dtype, network.n_steps)
        self.sample_weights, self.losses = np.empty((2, n_samples), dtype)
        inputs = [self.inputs, *self.states[-1][:-1]]
        super().__init__(list(map(LayerRecord, inputs, self.states[-1], inputs)), [])
