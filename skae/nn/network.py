"""Encoder and decoder of any depth over one flat parameter vector, forward and backward on one batch."""

from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from .._arrays.namespace import (
    dense,
    empty,
    empty_like,
    multiply_into,
    n_values,
    size,
    split_flat,
)
from .._arrays.products import multiplier
from .._threads import share
from .activations import Activation, initial_bound, make_activation
from .corruption import dropout_mask
from .layer import DenseLayer, LayerAbove, LayerRecord, Records, WeightGradient, WeightRows
from .noise import shifted_seed


@dataclass
class Params:
    """Named views of the flat vector; weights are (n_upper, n_lower), shared by the decoder when tied.

    The layers, of feed-forward networks, go from the input up to the code and from there down to the logits. In views
    of a gradient, ``left`` may be a list of the ``WeightGradient`` that the backward pass leaves to a step.
    """

    encoder_weights: list
    encoder_biases: list
    decoder_weights: list
    decoder_biases: list
    encoder_layers: list = ()
    decoder_layers: list = ()
    left: list | None = None


class Network:
    """Layers of widths ``sizes``: encoder h = s(W x + b) upwards, decoder s(W' h + c) downwards to logits.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the input to the code.
    activation : str or Activation, or a sequence of these
        Key of ``ACTIVATIONS``, or the function itself, for all layers or for each layer of the encoder. Hidden layers
        of the decoder have that of the encoder's layer of the same width.
    decoder : {'tied', 'untied', None}
        Whether the decoder uses the encoder's weights, has its own, or does not exist, so that the logits are the code.
    downward : sequence of str or None
        Activations of the decoder's hidden layers from the input up, if they differ from the encoder's.
    dropout : float
        Fraction of the hidden units that a training step drops (Srivastava et al. 2014); the rest is scaled up. For
        networks without a decoder.
    """

    def __init__(self, sizes, activation, *, decoder="tied", downward=None, dropout=0.0):
        self.sizes, self.decoder, self.dropout = tuple(sizes), decoder, dropout
        self.depth = len(self.sizes) - 1
        self.is_shallow = bool(decoder) and self.depth == 1
        names = (
            (activation,) * self.depth if isinstance(activation, (str, Activation)) else activation
        )
        self.activation_names, self.activations = names, list(map(make_activation, names))
        # Penalties on the Jacobian of one layer of elementwise units have a closed form.
        self.has_closed_form = self.depth == 1 and self.activations[0].kind is not None
        downward = ("identity", *(names[:-1] if downward is None else downward))
        self._decoder_activations = list(map(make_activation, reversed(downward)))
        upward = list(zip(self.sizes[1:], self.sizes[:-1]))
        shapes = [*upward, *[(high,) for high, _ in upward]]
        if decoder:
            shapes += [(low,) for _, low in upward]
        if decoder == "untied":
            shapes += upward
        self._shapes, self.size = shapes, n_values(shapes)

    def views(self, flat):
        """Return the ``Params`` that view ``flat``."""
        parts = split_flat(flat, self._shapes)
        n = self.depth
        weights, biases, decoder_biases = parts[:n], parts[n : 2 * n], parts[2 * n : 3 * n]
        decoder = parts[3 * n :] if self.decoder != "tied" else weights
        upward, downward = list(map(DenseLayer, weights, biases, self.activations)), []
        if self.decoder:
            down = zip(reversed(decoder), reversed(decoder_biases), self._decoder_activations)
            for matrix, bias, activation in down:
                downward.append(DenseLayer(matrix.T, bias, activation))
        return Params(weights, biases, decoder, decoder_biases, upward, downward)

    @property
    def biases(self):
        """slice: the place of all biases in a flat vector."""
        n_arrays = (3 if self.decoder else 2) * self.depth
        return slice(n_values(self._shapes[: self.depth]), n_values(self._shapes[:n_arrays]))

    def trace(self, n_samples, flat, penalties=()):
        """Return the buffers of a batch on the device of ``flat``, with the rows that ``penalties`` claim."""
        n_claimable = n_samples * sum([each.rows_per_sample for each in penalties])
        return Trace(self, n_samples, flat, n_claimable)

    def initial(self, rng, dtype, output_bias=None, off_at=None):
        """Return initial parameters: uniform weights of the usual width; zero biases, but perhaps ``output_bias``.

        ``off_at`` are means and deviations of inputs at most of which :func:`turn_off_units` turns off the first layer.
        """
        flat = np.zeros(self.size, dtype)
        params = self.views(flat)
        matrices = list(zip(self.activations, params.encoder_weights))
        if self.decoder == "untied":
            matrices += zip(self.activations, params.decoder_weights)
        for activation, weights in matrices:
            bound = initial_bound(activation, weights.shape[1], weights.shape[0], self.is_shallow)
            weights[...] = rng.uniform(-bound, bound, weights.shape)
        if output_bias is not None:
            params.decoder_biases[0][...] = output_bias
        if off_at is not None:
            turn_off_units(params, *off_at)
        return flat

    def encode(self, params, X, out=None, n_layers=None):
        """Return the codes of ``X``, or the outputs of the first ``n_layers`` layers."""
        layers = params.encoder_layers[:n_layers]
        for layer in layers:
            X = layer.forward(X, out if layer is layers[-1] else None)
        return X

    def decode(self, params, codes):
        """Return the logits of the output units."""
        for layer in params.decoder_layers:
            codes = layer.forward(codes)
        return codes

    def reconstruct(self, params, X):
        """Return the logits of the output units for the inputs ``X``."""
        for layer in (*params.encoder_layers, *params.decoder_layers):
            X = layer.forward(X)
        return X

    def jacobian(self, params, X, directions=None):
        """Return dh/dx, of shape (n_samples, n_components, n_features), or its products with columns of ``directions``."""
        return outputs_and_jacobian(params.encoder_layers, X, directions)[1]

    def forward(self, params, trace, seed):
        """Fill ``trace`` from its inputs up to the codes and down to the logits."""
        for number, layer in enumerate(params.encoder_layers):
            record = trace.encoder[number]
            layer.forward(record.inputs, record.outputs)
            if record.mask is not None:
                dropout_mask(trace.inputs, shifted_seed(seed, number), self.dropout, record.mask)
                multiply_into(record.outputs, record.mask, trace.encoder[number + 1].inputs)
        for layer, record in zip(params.decoder_layers, trace.decoder):
            layer.forward(record.inputs, record.outputs)

    def backward(self, params, trace, grad, n_frozen=0):
        """Fill ``grad`` from the gradient at the logits and what the penalties left in ``trace``.

        The gradient of the encoder's ``n_frozen`` lowest layers is set to 0, without a pass through them.
        """
        if grad.left is not None:
            grad.left.clear()
        above = None
        for number, layer in enumerate(reversed(params.decoder_layers)):
            record = trace.decoder[-1 - number]
            layer.backward(record, above, record.extra_delta(), grad.decoder_biases[number])
            for term in record.bias_terms:
                grad.decoder_biases[number] += term
            if self.decoder == "untied":
                self._add_up_decoder(number, params, trace, grad)
            above = LayerAbove(layer.weights, record.delta)
        if not self.decoder:
            trace.encoder[-1].delta[...] = trace.logits
        for number in range(n_frozen):
            grad.encoder_weights[number][...], grad.encoder_biases[number][...] = 0, 0
        layers = params.encoder_layers
        for number in reversed(range(n_frozen, self.depth)):
            self._encoder_gradients(number, layers[number], above, trace, grad)
            above = LayerAbove(layers[number].weights, trace.encoder[number].delta)

    def _add_up_decoder(self, number, params, trace, grad):
        """Add up the gradient of the decoder's own weights between two layers."""
        record, out = trace.decoder[-1 - number], grad.decoder_weights[number]
        rows = trace.weight_rows[number].take(-trace.n_samples)
        weights = params.decoder_weights[number]
        gradient = WeightGradient(rows, weights, out, record.row_scales, record.weight_terms)
        if grad.left is not None:
            grad.left.append(gradient)
        else:
            add = partial(gradient.add_up, multiplier(out, rows.lower.shape[0]))
            share(add, out.shape[0], size(rows.lower))

    def _encoder_gradients(self, number, layer, above, trace, grad):
        """Take the gradient from ``above`` one layer down, and add up the gradient of the weights."""
        record, extra = trace.encoder[number], trace.encoder[number].extra_delta()
        out, d_bias = grad.encoder_weights[number], grad.encoder_biases[number]
        # The last rows are those of the decoder, which may have weights of its own.
        stop = -trace.n_samples if self.decoder == "untied" else None
        rows = trace.weight_rows[number].take(trace.first_row, stop)
        row_scales, terms = record.row_scales, record.weight_terms
        if self.decoder == "tied":
            mirrored = trace.decoder[-1 - number]
            row_scales = [*row_scales, *mirrored.row_scales]
            terms = [*terms, *mirrored.weight_terms]
        gradient = WeightGradient(rows, layer.weights, out, row_scales, terms)
        n_upper, cost, multiply = out.shape[0], size(rows.lower), multiplier(record.delta)
        add = partial(gradient.add_up, multiplier(out, rows.lower.shape[0]))

        def take_down_and_add(units):
            layer.backward(record, above, extra, d_bias, multiply, units=units)
            add(units)

        # With few rows, each thread adds up the gradient that it has just taken down.
        if grad.left is not None:
            layer.backward(record, above, extra, d_bias)
            grad.left.append(gradient)
        elif trace.n_samples > n_upper or layer.activation.whole_row:
            layer.backward(record, above, extra, d_bias)
            share(add, n_upper, cost)
        else:
            share(take_down_and_add, n_upper, cost)
        for term in record.bias_terms:
            d_bias += term


@lru_cache(maxsize=32)
def network_of(**shape):
    """Return the ``Network`` with these arguments, created once, since it has no state."""
    return Network(**shape)


class Trace(Records):
    """Inputs, outputs and gradients of all layers for one batch, in buffers that the next batch of that size reuses.

    The arrays of ``encoder`` and ``decoder`` are parts of ``weight_rows``, so that the gradient of the weights of a
    layer is one matrix product, also if both share them. Without a decoder, the logits are the outputs of the last
    layer.

    Parameters
    ----------
    network : Network
    n_samples : int
    like : ndarray
        Array whose library, device and dtype the buffers have.
    n_claimable : int
        Number of rows of each layer that penalties can claim.

    Attributes
    ----------
    weight_rows : list of WeightRows
        From the input to the code.
    inputs, codes, logits : ndarray
    sample_weights, losses : ndarray of shape (n_samples,)
        Weight of each sample in the mean, and its loss.
    batch, clean, missing, rng : Batch, ndarray, ndarray or None, Generator
        Set by the objective, also for its penalties: the batch, its rows without noise, a mask of missing values if
        there are some, and the source of random numbers.
    """

    def __init__(self, network, n_samples, like, n_claimable):
        sizes, decoder = network.sizes, network.decoder
        self.n_samples = n_samples
        end_of_encoder = n_claimable + n_samples
        n_rows = end_of_encoder + (n_samples if decoder else 0)
        self.weight_rows = [
            WeightRows(empty((n_rows, high), like), empty((n_rows, low), like))
            for low, high in zip(sizes, sizes[1:])
        ]
        upward, downward = slice(n_claimable, end_of_encoder), slice(end_of_encoder, n_rows)
        highest = self.weight_rows[-1].upper
        self.codes = highest[downward, ...] if decoder else empty_like(highest[upward, ...])
        encoder = _encoder_records(self.weight_rows, upward, self.codes, network.dropout > 0)
        decoder = _decoder_records(self.weight_rows, downward) if decoder else []
        super().__init__(encoder, decoder, n_claimable)
        self.inputs = self.encoder[0].inputs
        self.logits = self.decoder[-1].outputs if decoder else self.codes
        self.sample_weights, self.losses = empty(n_samples, like), empty(n_samples, like)

    def claim(self, n_rows):
        """Return ``n_rows`` of the ``WeightRows`` of each layer, for one penalty in this batch."""
        stop = self.first_row
        self.first_row -= n_rows
        return [rows.take(self.first_row, stop) for rows in self.weight_rows]


def _encoder_records(weight_rows, rows, codes, dropout):
    """Return the records of the encoder's layers, in these ``rows``: the outputs of each are the inputs of the next."""
    records = []
    for number, own in enumerate(weight_rows, 1):
        is_hidden, mask = number < len(weight_rows), None
        outputs = weight_rows[number].lower[rows, ...] if is_hidden else codes
        if dropout and is_hidden:  # masked outputs are the inputs of the next layer
            outputs, mask = empty_like(outputs), empty_like(outputs)
        records.append(LayerRecord(own.lower[rows, ...], outputs, own.upper[rows, ...], mask))
    return records


def _decoder_records(weight_rows, rows):
    """Return the records of the decoder's layers, from the code down, in these ``rows``.

    The outputs of each layer are the inputs of the next; the logits and their gradient share one array.
    """
    records = []
    for number in reversed(range(len(weight_rows))):
        own = weight_rows[number]
        inputs, delta = own.upper[rows, ...], own.lower[rows, ...]
        outputs = weight_rows[number - 1].upper[rows, ...] if number else delta
        records.append(LayerRecord(inputs, outputs, delta))
    return records


def outputs_and_jacobian(layers, inputs, directions=None):
    """Return the outputs of a chain of layers and their Jacobian, of shape (n_samples, n_outputs, n_inputs).

    With ``directions``, of shape (n_inputs, n_directions), return the Jacobian's products with them.
    """
    jacobian = None if directions is None else directions[None, ...]
    for layer in layers:
        inputs = layer.forward(inputs)
        jacobian = layer.linearize(inputs).matmul(jacobian, inputs.shape[0])
    return inputs, jacobian


def spread_units(network, flat, rows, amount, rng):
    """Make the units of the first layer, in the parameters ``flat``, steeper, and halfway between their limits at random rows.

    Uniform weights of the width for a number of inputs alone are that much steeper than those for inputs and units
    (Glorot & Bengio 2010), which do not let a layer of many units and few inputs bend often.

    Parameters
    ----------
    network : Network
    flat : ndarray
    rows : ndarray, CSR matrix or ScaledRows of shape (n_samples, n_inputs)
    amount : float
        From 0, for the units as they are, to 1.
    rng : Generator
    """
    params = network.views(flat)
    weights, biases = params.encoder_weights[0], params.encoder_biases[0]
    n_units, n_inputs = weights.shape
    if network.activations[0].rectifies or n_units <= n_inputs:
        return
    factor = 1 + amount * (np.sqrt((n_inputs + n_units) / (2 * n_inputs)) - 1)
    centers = dense(rows[rng.integers(rows.shape[0], size=n_units)])
    weights *= factor
    biases *= (1 - amount) * factor
    biases -= amount * np.sum(weights * centers, axis=1)


def turn_off_units(params, means, deviations):
    """Turn off the units of the first layer at most rows, by their biases in ``params``.

    Sigmoids halfway between their limits at the mean row are odd functions around it: no linear function of them tells
    rows near the mean from rows far from it. Few units for many inputs have to stay nearly linear to reconstruct them.

    Parameters
    ----------
    params : Params
    means, deviations : ndarray of shape (n_inputs,)
        Of the inputs. With as many units as inputs, or more, pre-activations get a mean of -2 of the standard
        deviations that they would have if inputs were uncorrelated; with fewer units, that much less.
    """
    weights, biases = params.encoder_weights[0], params.encoder_biases[0]
    n_units, n_inputs = weights.shape
    amount = 2 * min(1, n_units / n_inputs)
    deviation = np.sqrt(np.square(weights) @ np.square(deviations))
    biases[...] = -amount * (weights @ means / 2 + deviation)


def expected_squared_jacobian(network):
    """Return the mean of ||dh/dx||_F^2 over initial weights, at pre-activations of 0: the scale of the Jacobian."""
    value = float(network.sizes[0])
    for low, high, activation in zip(network.sizes, network.sizes[1:], network.activations):
        variance = initial_bound(activation, low, high, network.is_shallow) ** 2 / 3
        value *= high * variance * activation.derivative_at_zero**2
    return value
