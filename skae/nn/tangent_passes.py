"""Slopes of a network's logits along directions of each sample, and the gradient of a function of these slopes.

A layer turns inputs into pre-activations a = W x + b and outputs s(a). At sample i, with D = diag(s'(a_i)):

- forward mode takes a tangent t at its inputs up to W t at the pre-activations and D W t at the outputs;
- reverse mode takes a gradient g at its outputs down to D g at the pre-activations and W' D g at the inputs.

The slope of a logit along a direction t_k is the tangent t_k, taken all the way up. If g_r is the gradient of the logit
at the inputs of some layer in between, it is also the inner product g_r' t_k there; so directions may go up, and
gradients come down, as far as the layer ``switch`` where they meet: :func:`switch_layer`.

The function of the slopes is ``penalize(slopes)``: it returns its value P and replaces the slopes by dP/dslopes. Slopes
s_ikj of sample i, direction k and logit j are of shape (n_samples, n_directions, n_outputs). The gradient of P at the
weights W of a layer is then a sum of products of a vector at the layer's pre-activations and one at its inputs. These
are ``upper`` and ``lower`` of the ``WeightRows`` that are claimed from the trace, one for each layer; the backward pass
of the network adds up their products. The gradient at the pre-activations a, since D depends on them, is added to
``delta`` of the layer's ``LayerTangents``.

Arrays of vectors have a row for each: those of the first sample, then those of the second one, and so on.
"""

import numpy as np

from .._arrays.namespace import empty, reshape
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
    products = [low * high for low, high in zip(sizes, sizes[1:])]
    depth = len(products)

    def cost(layer):
        below, above = sum(products[:layer]), sum(products[layer:])
        if layer == depth:
            return n_up * (3 * below - products[0])
        down = 2 * below - sum(products[: min(layer, 1)])
        return n_up * below + n_down * (down + 3 * above)

    # The buffers hold as many rows as go up; more gradients than that would cost more anyway.
    layers = range(depth if n_down <= n_up else 0)
    return min([depth, *layers], key=cost)


class PassMemory:
    """Buffers of :class:`Passes` for batches of one size.

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


class Passes:
    """Passes of one batch's directions and gradients through the network.

    Parameters
    ----------
    weights : list of ndarray of shape (n_upper, n_lower)
    trace : Trace
    memory : PassMemory
        Buffers, in which the tangents of the hidden layers are started.
    kept : Kept
        Logits whose gradients come down.
    n_directions : int
        Number of directions of each sample.
    """

    def __init__(self, weights, trace, memory, kept, n_directions):
        self._weights, self._trace, self._memory = weights, trace, memory
        self._kept, self._n_directions = kept, n_directions
        self._layers = memory.layers  # ``LayerTangents`` of the hidden layers
        self._direction_rows = Rows.equal(kept.samples, n_directions)
        self._gradient_rows = Rows(kept.samples, kept.starts)
        self.n_up, self.n_down = len(kept.samples) * n_directions, len(kept.outputs)

    def forward_only(self, fill_directions, penalize):
        """Return the value of ``penalize(slopes)``, by directions that go all the way up; leave its gradient.

        Parameters
        ----------
        fill_directions : callable
            Function of an array of shape (n_samples * n_directions, n_features) that fills it.
        penalize : callable
            Function that replaces slopes of shape (n_samples, n_directions, n_outputs) by the gradient at them, and
            returns a value.
        """
        claimed, weights = self._trace.claim(self.n_up), self._weights
        fill_directions(claimed[0].lower)
        for layer, own, above in zip(self._layers, claimed, claimed[1:]):
            layer.jvp(own.lower, above.lower, self._direction_rows)
        slopes = product(claimed[-1].lower, weights[-1].T, claimed[-1].upper)
        value = penalize(reshape(slopes, (-1, self._n_directions, slopes.shape[1])))
        for number in reversed(range(1, len(weights))):
            gradients = product(claimed[number].upper, weights[number], claimed[number - 1].upper)
            self._layers[number - 1].jvp_backward(gradients, self._direction_rows)
        return value

    def forward_and_reverse(self, switch, at_logits, fill_directions, penalize):
        """Do the same by directions and gradients that meet at the layer ``switch``.

        With slopes s_rk = g_r' t_k and c_rk = dP/ds_rk, the gradient of P is that of sum_rk c_rk g_r' t_k with the c_rk
        fixed: of sum_r g_r' t_r, where t_r = sum_k c_rk t_k is one combined tangent for each g_r. The gradients go on
        down, and the combined tangents on up.

        Parameters
        ----------
        switch : int
        at_logits : ndarray of shape (n_down, n_outputs)
            Gradients g_r at the logits.
        fill_directions, penalize : callable
            See :meth:`forward_only`.
        """
        claimed = self._trace.claim(self.n_down)
        # 1. Directions go up, and gradients down, to where they meet.
        tangents = self._directions_up(switch, fill_directions)
        claimed[-1].upper[:] = at_logits
        gradients = self._gradients_down(switch, claimed)
        # 2. Slopes are their inner products.
        value, coefficients = self._meet(tangents[-1], gradients, at_logits.shape[1], penalize)
        # 3. Gradients go on down to the lowest layer, and combined tangents up to the highest one.
        self._gradients_to_bottom(switch, claimed, coefficients)
        arrays = coefficients, tangents[0], claimed[0].lower
        self._gradient_rows.share(kernels.combine, tangents[0].size, *arrays)
        self._combined_to_top(switch, claimed)
        return value

    def _directions_up(self, switch, fill_directions):
        """Return the directions t_k and their tangents at the inputs of each layer, up to those of ``switch``."""
        tangents = [self._memory.directions[: self.n_up]]
        fill_directions(tangents[0])
        for layer in self._layers[:switch]:
            tangents.append(layer.outputs[: self.n_up])
            layer.jvp(tangents[-2], tangents[-1], self._direction_rows)
        return tangents

    def _gradients_down(self, switch, claimed):
        """Return the gradients g_r at the inputs of the layer ``switch``, given those at the logits."""
        gradients = self._through_weights(len(claimed) - 1, claimed)
        for number in reversed(range(switch, len(claimed) - 1)):
            derivatives = self._layers[number].derivatives
            derivatives.vjp(gradients, claimed[number].upper, self._gradient_rows)
            gradients = self._through_weights(number, claimed)
        return gradients

    def _meet(self, tangents, gradients, n_outputs, penalize):
        """Return the value, and the c_rk of shape (n_down, n_directions), where t_k and g_r meet."""
        inner = np.empty((len(gradients), self._n_directions), gradients.dtype)
        self._gradient_rows.share(kernels.inner_products, tangents.size, tangents, gradients, inner)
        slopes = np.zeros((len(self._kept.samples), self._n_directions, n_outputs), inner.dtype)
        slopes[self._kept.places, :, self._kept.outputs] = inner
        value = penalize(slopes)
        return value, np.ascontiguousarray(slopes[self._kept.places, :, self._kept.outputs])

    def _gradients_to_bottom(self, switch, claimed, coefficients):
        """Take the g_r down from the inputs of ``switch``; fill in the t_r at the outputs of the layers that they pass."""
        for number in reversed(range(switch)):
            layer, own, above = self._layers[number], claimed[number], claimed[number + 1]
            if number + 1 == switch:
                own.upper[:] = self._gradients_at(switch)
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

    def _combined_to_top(self, switch, claimed):
        """Take the t_r up from the inputs of the layer ``switch`` to those of the last one."""
        for number in range(switch, len(claimed) - 1):
            layer, gradients = self._layers[number], self._gradients_at(number + 1)
            moved = product(
                claimed[number].lower, self._weights[number].T, claimed[number + 1].lower
            )
            layer.derivatives.vjp_backward(gradients, moved, layer.delta, self._gradient_rows)

    def _gradients_at(self, number):
        """Return the g_r at the inputs of a layer."""
        return self._memory.gradients[number][: self.n_down]

    def _through_weights(self, number, claimed):
        """Compute the g_r at the inputs of a layer, from those at its pre-activations."""
        return product(claimed[number].upper, self._weights[number], self._gradients_at(number))
