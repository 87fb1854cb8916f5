"""Slopes of a network's logits along directions of each sample, and the gradient of a function of these slopes.

A layer turns inputs into pre-activations a = W x + b and outputs s(a). At sample i, with D = diag(s'(a_i)):

- forward mode takes a tangent t at its inputs up to W t at the pre-activations and D W t at the outputs;
- reverse mode takes a gradient g at its outputs down to D g at the pre-activations and W' D g at the inputs.

The slope of a logit along a direction t_k is the tangent t_k, taken all the way up. If g_r is the gradient of the logit
at the inputs of some layer in between, it is also the inner product g_r' t_k there; so directions may go up, and
gradients come down, as far as the layer ``switch`` where they meet: :func:`switch_layer`.

Slopes s_ikj of sample i, direction k and logit j are of shape (n_samples, n_directions, n_outputs). A pass computes
those of one batch, and then the gradient of a function P of them::

    passes.directions[...] = directions
    slopes = passes.slopes()
    slopes[...] = dP/dslopes
    passes.backward()

The gradient of P at the weights W of a layer is a sum of products of a vector at the layer's pre-activations and one at
its inputs. These are ``upper`` and ``lower`` of the ``WeightRows`` that are claimed from the trace, one for each layer;
the backward pass of the network adds up their products. The gradient at the pre-activations a, since D depends on them,
is added to ``delta`` of the layer's ``LayerTangents``.

Arrays of vectors have a row for each: those of the first sample, then those of the second one, and so on.
"""

import numpy as np

from .._arrays.namespace import empty, reshape
from .._arrays.tangents import restrict, restrict_backward
from .._kernels import tangents as kernels
from .._threads import product
from .activations import Rows
from .forward_mode import LayerTangents


def switch_layer(sizes, n_up, n_down):
    """Return the layer at whose inputs ``n_up`` tangents and ``n_down`` gradients meet with the fewest multiplications.

    Each layer takes products on the way to the meeting, on the way back and for the gradient of the weights. Below the
    meeting, only as many rows go back as gradients came down, and their products with the weights are known from the
    way up.
    """
    products = np.multiply(sizes[1:], sizes[:-1]).tolist()
    best = depth = len(products)
    least = n_up * (3 * sum(products) - products[0])
    # The buffers hold as many rows as go up; more gradients than that would cost more anyway.
    for layer in range(depth if n_down <= n_up else 0):
        below, above = sum(products[:layer]), sum(products[layer:])
        down = 2 * below - sum(products[: min(layer, 1)])
        cost = n_up * below + n_down * (down + 3 * above)
        if cost < least:
            best, least = layer, cost
    return best


class PassMemory:
    """Buffers of the passes, for batches of one size.

    Parameters
    ----------
    trace : Trace
        Trace of a network without a decoder.
    n_rows : int
        Largest number of rows that go up or come down.

    Attributes
    ----------
    directions : ndarray of shape (n_rows, n_features)
    layers : list of LayerTangents
        Tangents at the outputs of each hidden layer.
    gradients : list of ndarray of shape (n_rows, width)
        Gradients at the inputs of each layer.
    """

    def __init__(self, trace, n_rows):
        like, self.layers, self.gradients = trace.inputs, [], []
        self.directions = empty((n_rows, like.shape[1]), like)
        for record in trace.encoder[:-1]:
            width = record.outputs.shape[1]
            self.layers.append(LayerTangents(trace.n_samples, n_rows, width, like))
        for record in trace.encoder:
            self.gradients.append(empty((n_rows, record.inputs.shape[1]), like))


class ForwardPass:
    """Slopes by directions that go all the way up.

    Parameters
    ----------
    weights : list of ndarray of shape (n_upper, n_lower)
    trace : Trace
    memory : PassMemory
        Buffers, in which the tangents of the hidden layers are started.
    kept : Kept
        Logits that have slopes; their samples have directions.
    n_directions : int
        Number of directions of each sample.
    significant : array of bool of shape (n_samples, n_outputs)
        Mask of the ``kept`` logits, for samples that have any; the slopes of the others are 0.
    reference : array of bool of this shape, or None
        Logits, one of each sample, whose slopes are subtracted from the others'.

    Attributes
    ----------
    directions : ndarray of shape (n_samples * n_directions, n_features)
        To be filled in before :meth:`slopes` is called.
    """

    def __init__(self, weights, trace, memory, kept, n_directions, significant, reference):
        self._weights, self._layers = weights, memory.layers
        self._n_directions, self._rows = n_directions, Rows.equal(kept.samples, n_directions)
        self._claimed = trace.claim(len(kept.samples) * n_directions)
        self._masks = significant, reference
        self.directions = self._claimed[0].lower

    def slopes(self):
        """Return the slopes, in an array that the caller replaces by the gradient at them."""
        claimed = self._claimed
        for layer, own, above in zip(self._layers, claimed, claimed[1:]):
            layer.jvp(own.lower, above.lower, self._rows)
        slopes = product(claimed[-1].lower, self._weights[-1].T, claimed[-1].upper)
        self._slopes = reshape(slopes, (-1, self._n_directions, slopes.shape[1]))
        restrict(self._slopes, *self._masks)
        return self._slopes

    def backward(self):
        """Take the gradient, which is in the array of slopes, down to the lowest layer."""
        restrict_backward(self._slopes, *self._masks)
        claimed = self._claimed
        for number in reversed(range(1, len(self._weights))):
            below = claimed[number - 1].upper
            gradients = product(claimed[number].upper, self._weights[number], below)
            self._layers[number - 1].jvp_backward(gradients, self._rows)


class MeetingPasses:
    """Slopes by directions that go up and gradients of logits that come down, to the layer where they meet.

    The slopes are their inner products there, s_rk = g_r' t_k. With c_rk = dP/ds_rk, the gradient of P is that of
    sum_rk c_rk g_r' t_k with the c_rk fixed: of sum_r g_r' t_r, where t_r = sum_k c_rk t_k is one combined tangent for
    each g_r. The gradients then go on down, and the combined tangents on up.

    Parameters
    ----------
    weights, trace, memory, kept, n_directions : objects
        See :class:`ForwardPass`.
    switch : int
        They meet at the inputs of this layer.
    at_logits : ndarray of shape (n_down, n_outputs)
        Gradients g_r of the ``kept`` logits, at the logits.

    Attributes
    ----------
    directions : ndarray of shape (n_samples * n_directions, n_features)
        To be filled in before :meth:`slopes` is called.
    """

    def __init__(self, weights, trace, memory, kept, n_directions, switch, at_logits):
        self._weights, self._layers, self._kept = weights, memory.layers, kept
        self._n_directions, self._switch = n_directions, switch
        self._direction_rows = Rows.equal(kept.samples, n_directions)
        self._gradient_rows = Rows(kept.samples, kept.starts)
        n_up, (n_down, n_outputs) = len(kept.samples) * n_directions, at_logits.shape
        self._claimed = trace.claim(n_down)
        self._claimed[-1].upper[:] = at_logits
        # t_k and g_r at the inputs of each layer.
        below_switch = [layer.outputs[:n_up] for layer in memory.layers[:switch]]
        self._tangents = [memory.directions[:n_up], *below_switch]
        self._gradients = [each[:n_down] for each in memory.gradients]
        self._slopes = np.zeros((len(kept.samples), n_directions, n_outputs), at_logits.dtype)
        self.directions = self._tangents[0]

    def slopes(self):
        """Return the slopes, in an array that the caller replaces by the gradient at them."""
        tangents, gradients = self._tangents, self._gradients
        for layer, below, above in zip(self._layers, tangents, tangents[1:]):
            layer.jvp(below, above, self._direction_rows)
        for number in reversed(range(self._switch, len(self._weights))):
            own = self._claimed[number].upper
            if number + 1 < len(self._weights):
                derivatives = self._layers[number].derivatives
                derivatives.vjp(gradients[number + 1], own, self._gradient_rows)
            product(own, self._weights[number], gradients[number])
        t, g = tangents[-1], gradients[self._switch]
        inner = np.empty((len(g), self._n_directions), g.dtype)
        self._gradient_rows.share(kernels.inner_products, t.size, t, g, inner)
        self._slopes[self._kept.places, :, self._kept.outputs] = inner
        return self._slopes

    def backward(self):
        """Take gradients further down and combined tangents further up, given dP/ds in the array of slopes."""
        kept, directions = self._kept, self.directions
        coefficients = np.ascontiguousarray(self._slopes[kept.places, :, kept.outputs])  # c_rk
        self._gradients_to_bottom(coefficients)
        combined = self._claimed[0].lower
        arrays = coefficients, directions, combined
        self._gradient_rows.share(kernels.combine, directions.size, *arrays)
        self._combined_to_top()

    def _gradients_to_bottom(self, coefficients):
        """Take the g_r down from the inputs of ``switch``; fill in the t_r at the outputs of the layers that they pass."""
        for number in reversed(range(self._switch)):
            layer, own = self._layers[number], self._claimed[number]
            above = self._claimed[number + 1]
            if number + 1 == self._switch:
                own.upper[:] = self._gradients[self._switch]
            else:
                product(above.upper, self._weights[number + 1], own.upper)
            layer.derivatives.combine_backward(
                coefficients,
                layer.products,
                own.upper,
                above.lower,
                layer.delta,
                self._gradient_rows,
            )

    def _combined_to_top(self):
        """Take the t_r up from the inputs of ``switch`` to those of the last layer."""
        for number in range(self._switch, len(self._claimed) - 1):
            layer, own = self._layers[number], self._claimed[number]
            above = self._claimed[number + 1]
            moved = product(own.lower, self._weights[number].T, above.lower)
            gradients = self._gradients[number + 1]
            layer.derivatives.vjp_backward(gradients, moved, layer.delta, self._gradient_rows)
