"""Tangents J v through a chain of layers by forward mode, and the backward pass (double back-propagation).

Layer by layer, tangents t become z = W t and then D z, where D is the Jacobian of a layer's activation at a sample. The
backward pass takes the gradient at the last tangents to the weights W and, through D, to the pre-activations.
"""

import numpy as np

from .._arrays.namespace import empty, empty_like, in_rows, namespace, reshape
from .._threads import ELEMENT, product, share
from .activations import Elementwise, Rows
from .user_parts import check_derivatives


class LayerTangents:
    """Rows of tangents through one layer, at the samples of a batch.

    Parameters
    ----------
    n_samples, n_rows : int
        Number of samples, and largest number of rows at once.
    width : int
        Number of outputs of the layer.
    like : ndarray
        Array whose library, device and dtype the buffers have.

    Attributes
    ----------
    outputs : ndarray of shape (n_rows, width)
        Buffer for the outgoing tangents.
    products : ndarray
        W t of the last rows.
    delta : ndarray of shape (n_samples, width)
        Gradient at the pre-activations, which the backward pass adds up.
    """

    def __init__(self, n_samples, n_rows, width, like):
        self.outputs, self._memory = empty((n_rows, width), like), empty((n_rows, width), like)
        self.delta = empty((n_samples, width), like)
        self.products = self.weights = self.derivatives = None

    def start(self, layer, outputs, mask=None):
        """Begin a batch with ``outputs`` of ``layer``, which are multiplied by ``mask`` if there is one."""
        self.weights, is_first = layer.weights, self.derivatives is None
        self.derivatives = layer.activation.derivatives(outputs, 2, self.derivatives)
        if is_first and not isinstance(layer.activation, Elementwise):
            check_derivatives(layer.activation, self.derivatives, outputs, order=2)
        if mask is not None:
            self.derivatives = self.derivatives.masked(mask)
        self.delta[...] = 0

    def jvp(self, inputs, out, rows):
        """out <- D W t for the rows t of ``inputs``, or for a slice of the unit vectors, which all samples share."""
        if isinstance(inputs, slice):
            self.products = in_rows(self.weights.T[inputs, :])
        else:
            self.products = product(inputs, self.weights.T, self._memory[: inputs.shape[0], ...])
        return self.derivatives.jvp(self.products, out, rows)

    def jvp_backward(self, cotangents, rows):
        """Turn ``cotangents``, the gradient at D z, into that at ``products``; add that through D to ``delta``."""
        self.derivatives.jvp_backward(self.products, cotangents, self.delta, rows)


class NetworkTangents:
    """Tangents through a sequence of layers, and the gradients of their weights.

    Parameters
    ----------
    layers : list of DenseLayer
    n_samples : int
    n_directions : int
        Largest number of tangents of each sample at once.
    n_down : int, default=0
        Number of last layers that belong to a decoder, whose weights are stored transposed.
    """

    def __init__(self, layers, n_samples, n_directions, n_down=0):
        n_rows, like = n_samples * n_directions, layers[0].weights
        widths = [each.weights.shape[0] for each in layers]
        self.layers = [LayerTangents(n_samples, n_rows, width, like) for width in widths]
        self._samples, self._n_down = np.arange(n_samples), n_down
        self.gradients = [
            empty_like(self._stored(n, each.weights)) for n, each in enumerate(layers)
        ]
        self._scratch = [empty_like(each) for each in self.gradients]
        self._empty = True

    def start(self, layers, outputs):
        """Begin a batch with the current ``layers`` and their ``outputs``."""
        for own, layer, output in zip(self.layers, layers, outputs):
            own.start(layer, output)
        self._empty = True

    def jvp(self, directions):
        """Return J v for each sample's directions, of shape (n_samples, n_directions, n_outputs).

        ``directions`` are of shape (n_samples, n_directions, n_inputs), or a slice of the unit vectors, which all
        samples then share.
        """
        rows, below = self._rows(directions)
        for layer in self.layers:
            below = layer.jvp(below, layer.outputs[: int(rows.starts[-1]), ...], rows)
        return reshape(below, (len(self._samples), -1, below.shape[1]))

    def jvp_backward(self, directions, cotangents):
        """Add the gradients that follow from ``cotangents``, the gradient at J v, which is overwritten."""
        rows, directions = self._rows(directions)
        cotangents = reshape(cotangents, (int(rows.starts[-1]), -1))
        for number in reversed(range(len(self.layers))):
            layer, below = self.layers[number], directions
            layer.jvp_backward(cotangents, rows)
            if number:
                below = self.layers[number - 1].outputs[: cotangents.shape[0], ...]
            self._add_gradient(number, below, cotangents)
            if number:
                cotangents = product(cotangents, layer.weights, below)
        self._empty = False

    def backward(self, inputs, outputs):
        """Take ``delta`` of each layer, with its ``outputs``, down to the weights and the layers below."""
        for number in reversed(range(len(self.layers))):
            layer, below = self.layers[number], outputs[number - 1] if number else inputs
            self._add_gradient(number, below, layer.delta)
            if number:
                lower = self.layers[number - 1]
                gradient = product(layer.delta, layer.weights, lower.outputs[: below.shape[0], ...])
                lower.delta += lower.derivatives.vjp(gradient, out=gradient)

    def _rows(self, directions):
        """Return the ``Rows`` of the samples, and the directions as rows."""
        if isinstance(directions, slice):
            return Rows.equal(self._samples, directions.stop - directions.start), directions
        _, count, width = directions.shape
        return Rows.equal(self._samples, count), reshape(directions, (-1, width))

    def _stored(self, number, array):
        """Return ``array``, of the shape of a layer's weights, oriented as in the parameters."""
        return array.T if number >= len(self.layers) - self._n_down else array

    def _add_gradient(self, number, below, cotangents):
        """Add the gradient of a layer's weights, from its input rows and the gradient at the products."""
        total = self.gradients[number]
        if isinstance(below, slice):
            self._add_unit_gradient(self._stored(number, total), below, cotangents)
            return
        left, right = cotangents, below
        if number >= len(self.layers) - self._n_down:
            left, right = below, cotangents
        if self._empty:
            product(left.T, right, total)
        else:
            total += product(left.T, right, self._scratch[number])

    def _add_unit_gradient(self, total, directions, cotangents):
        """Do the same for unit vectors, which all samples share."""
        if self._empty:
            total[...] = 0
        total = total.T[directions, :]
        cotangents = reshape(cotangents, (len(self._samples), -1, cotangents.shape[1]))

        def work(units):
            total[:, units] += namespace(total).sum(cotangents[:, :, units], axis=0)

        n_rows = cotangents.shape[0] * cotangents.shape[1]
        share(work, cotangents.shape[2], ELEMENT * n_rows)
