"""Tangents in forward mode that meet gradients in reverse mode inside a network, and the backward pass."""

from operator import attrgetter

import numpy as np

from .._arrays.namespace import empty, reshape
from .._kernels import tangents as kernels
from .._threads import product
from .activations import Rows
from .forward_mode import LayerTangents

_UPPER, _LOWER = attrgetter("upper"), attrgetter("lower")


def switch_layer(sizes, n_up, n_down):
    """Return the layer at whose inputs ``n_up`` rows of directions and ``n_down`` gradients meet.

    It has the fewest multiplications. Each layer takes products on the way to the meeting, on the way back and for the
    gradient of the weights. Below the meeting, only as many rows go back as gradients came down, and their products
    with the weights are known from the way up.
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
    """

    def __init__(self, trace, n_rows):
        widths, like = [record.inputs.shape[1] for record in trace.encoder], trace.inputs
        self.directions = empty((n_rows, widths[0]), like)
        self.layers = [LayerTangents(trace.n_samples, n_rows, width, like) for width in widths[1:]]
        # Gradients at the inputs of each layer.
        self.cotangents = [empty((n_rows, width), like) for width in widths]


class Passes:
    """Passes of one batch's directions and gradients through the network.

    Parameters
    ----------
    weights : list of ndarray of shape (n_upper, n_lower)
    trace : Trace
    memory : PassMemory
        Buffers, in which the tangents of the hidden layers are started.
    kept : Kept
        Outputs whose gradients come down.
    n_directions : int
        Number of directions of each sample.
    """

    def __init__(self, weights, trace, memory, kept, n_directions):
        self._weights, self._trace, self._memory = weights, trace, memory
        self._layers = memory.layers
        self._n_directions, self.n_up = n_directions, len(kept.samples) * n_directions
        self._up, self._down = (
            Rows.equal(kept.samples, n_directions),
            Rows(kept.samples, kept.starts),
        )
        self._places, self._outputs = kept.places, kept.outputs

    def forward_only(self, look_up, squares):
        """Return the penalty, for directions that go all the way up.

        Parameters
        ----------
        look_up : callable
            Function that fills in the directions, one per row.
        squares : callable
            Function that turns slopes of shape (n_samples, n_directions, n_outputs) into the gradient at them and
            returns the penalty.
        """
        rows = self._trace.claim(self.n_up)
        upper, lower = list(map(_UPPER, rows)), list(map(_LOWER, rows))
        look_up(lower[0])
        self._go_up(lower)
        slopes = product(lower[-1], self._weights[-1].T, upper[-1])
        value = squares(reshape(slopes, (-1, self._n_directions, slopes.shape[1])))
        for layer in reversed(range(1, len(self._weights))):
            product(upper[layer], self._weights[layer], upper[layer - 1])
            self._layers[layer - 1].jvp_backward(upper[layer - 1], self._up)
        return value

    def forward_and_reverse(self, switch, selection, look_up, squares):
        """Return the penalty, for directions t and gradients g that meet at the inputs of the layer ``switch``.

        With slopes s_rk = g_r' t_k and c_rk the gradient at them, the rest is the gradient of the sum of g_r' t_r,
        where t_r = sum_k c_rk t_k: the gradients go on down, and as many combined tangents t_r go on up.

        Parameters
        ----------
        switch : int
        selection : ndarray of shape (n_rows, n_outputs)
            Gradients at the logits.
        look_up, squares : callable
            See :meth:`forward_only`.
        """
        rows = self._trace.claim(len(selection))
        upper, lower = list(map(_UPPER, rows)), list(map(_LOWER, rows))
        # The directions, and their tangents in each layer up to the switch.
        tangents = [self._memory.directions, *[each.outputs for each in self._layers[:switch]]]
        tangents = [rows[: self.n_up] for rows in tangents]
        look_up(tangents[0])
        self._go_up(tangents)
        upper[-1][:] = selection
        for layer in reversed(range(switch, len(self._weights))):
            gradients = self._come_down(layer, upper)
            if layer > switch:
                self._layers[layer - 1].derivatives.vjp(gradients, upper[layer - 1], self._down)
        value, coefficients = self._combination(
            tangents[-1], gradients, selection.shape[1], squares
        )
        for layer in reversed(range(switch)):
            own, combined = self._layers[layer], lower[layer + 1]
            arrays = own.products, self._cotangents(layer + 1), combined, upper[layer], own.delta
            own.derivatives.combine_backward(coefficients, *arrays, self._down)
            if layer:
                self._come_down(layer, upper)
        arrays = coefficients, self._down.starts, tangents[0], lower[0]
        self._down.share(kernels.combine, tangents[0].size, *arrays)
        for layer in range(switch, len(self._weights) - 1):
            own, combined = self._layers[layer], lower[layer + 1]
            product(lower[layer], self._weights[layer].T, combined)
            cotangents = self._cotangents(layer + 1)
            own.derivatives.vjp_backward(cotangents, combined, own.delta, self._down)
        return value

    def _go_up(self, stacks):
        """Take the first of ``stacks`` up to each next one."""
        for layer, below, above in zip(self._layers, stacks, stacks[1:]):
            layer.jvp(below, above, self._up)

    def _cotangents(self, layer):
        """Return the gradients at the inputs of ``layer``."""
        return self._memory.cotangents[layer][: self._down.starts[-1]]

    def _come_down(self, layer, upper):
        """Take the gradients at the pre-activations of ``layer`` down to its inputs, and return them."""
        return product(upper[layer], self._weights[layer], self._cotangents(layer))

    def _combination(self, tangents, gradients, n_outputs, squares):
        """Return the penalty and the gradient at the slopes, where tangents and gradients meet."""
        inner = np.empty((len(gradients), self._n_directions), gradients.dtype)
        arrays = self._down.starts, tangents, gradients, inner
        self._down.share(kernels.inner_products, tangents.size, *arrays)
        slopes = np.zeros((len(self._up.samples), self._n_directions, n_outputs), inner.dtype)
        slopes[self._places, :, self._outputs] = inner
        value = squares(slopes)
        return value, np.ascontiguousarray(slopes[self._places, :, self._outputs])
