"""One layer of a network: its forward pass, its Jacobians, and its part of the backward pass.

Threads share the work by units.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .._arrays.contraction import add_scaled_rows
from .._arrays.namespace import empty, size, zeros_like
from .._arrays.products import few_terms, multiplier
from .._arrays.updates import descend
from .._threads import ELEMENT, LEAST_SHARED, share, share_matrix
from .._workers import local
from .activations import ALL, Activation, Derivatives


@dataclass(slots=True, eq=False)
class DenseLayer:
    """Outputs s(x weights' + bias).

    Parameters
    ----------
    weights : ndarray of shape (n_outputs, n_inputs)
    bias : ndarray of shape (n_outputs,)
    activation : Activation
        s.
    """

    weights: np.ndarray
    bias: np.ndarray
    activation: Activation

    def forward(self, inputs, out=None):
        """Return the outputs, in ``out`` if it is given."""
        matrix, bias, activation = self.weights.T, self.bias, self.activation
        if out is None:
            out = empty((inputs.shape[0], bias.shape[0]), bias)
        cost, multiply = inputs.shape[1] + ELEMENT, multiplier(out)
        if not local.team or out.shape[0] * out.shape[1] * cost < LEAST_SHARED:
            multiply(inputs, matrix, out)
            activation.forward(out, bias)
            return out

        def work(rows, units):
            multiply(inputs[rows, ...], matrix[:, units], out[rows, units])
            activation.forward(out, bias, rows, units)

        share_matrix(work, *out.shape, cost, whole_rows=activation.whole_row)
        return out

    def linearize(self, outputs):
        """Return the layer's Jacobians at ``outputs``."""
        return LinearLayer(self.weights, self.activation.derivatives(outputs))

    def backward(self, record, above, extra, d_bias, multiply=None, rows=ALL, units=ALL):
        """Leave the gradient at the pre-activations in ``record.delta``, and its sum over ``rows`` in ``d_bias``.

        Parameters
        ----------
        record : LayerRecord
        above : LayerAbove or None
            The layer from which the gradient at the outputs comes; if it is None, it is already in ``record.delta``.
        extra : ndarray or None
            Gradient that is added at the pre-activations.
        d_bias : ndarray of shape (n_outputs,)
        multiply : callable or None
            The matrix product, for ``rows`` and ``units`` of one thread. By default threads share all of them.
        rows, units : slice
        """
        delta = record.delta
        if multiply is None:
            cost = ELEMENT + (0 if above is None else above.weights.shape[0])
            multiply = multiplier(delta)
            if local.team and delta.shape[0] * delta.shape[1] * cost >= LEAST_SHARED:
                self._backward_in_threads(record, above, extra, d_bias, multiply, cost)
                return
        if above is not None:
            multiply(above.delta[rows, ...], above.weights[:, units], delta[rows, units])
        if record.mask is not None:
            delta[rows, units] *= record.mask[rows, units]
        self.activation.backward(record.outputs, delta, extra, d_bias, rows, units)

    def _backward_in_threads(self, record, above, extra, d_bias, multiply, cost):
        sums = {}  # of the parts, each by its first row and unit

        def work(rows, units):
            start = rows.start or 0, units.start or 0
            sums[start] = zeros_like(d_bias)
            self.backward(record, above, extra, sums[start], multiply, rows, units)

        share_matrix(work, *record.delta.shape, cost, whole_rows=self.activation.whole_row)
        # In order, so that the last bit does not depend on which thread was first.
        np.sum([sums[start] for start in sorted(sums)], axis=0, out=d_bias)


class LayerAbove(NamedTuple):
    """What the backward pass needs of the layer above: the gradient at the outputs of a layer is ``delta weights``.

    Attributes
    ----------
    weights : ndarray of shape (n_upper, n_outputs)
    delta : ndarray of shape (n_samples, n_upper)
        Gradient at the pre-activations of the layer above.
    """

    weights: np.ndarray
    delta: np.ndarray


@dataclass(slots=True, eq=False)
class LinearLayer:
    """Jacobians D_i W of a layer at some samples i.

    Parameters
    ----------
    weights : ndarray of shape (n_outputs, n_inputs)
    derivatives : Derivatives
        Derivatives of its activation.
    """

    weights: np.ndarray
    derivatives: Derivatives

    def matmul(self, matrices, n_samples):
        """Return D_i W M_i for matrices of shape (n_samples, n_inputs, n_columns), or D_i W if these are None."""
        moved = self.weights[None, ...] if matrices is None else self.weights @ matrices
        return self.derivatives.matmul(moved, n_samples)

    def take(self, samples):
        """Return the Jacobians at some of the samples."""
        return LinearLayer(self.weights, self.derivatives.take(samples))

    def active(self):
        """Return the Jacobians without the outputs that hardly vary at any sample, and the outputs that are left."""
        units = self.derivatives.active_units()
        if units is ALL:
            return self, units
        return LinearLayer(self.weights[units], self.derivatives.select(units)), units


@dataclass(slots=True, eq=False)
class LayerRecord:
    """Values of one layer for a batch, and the terms that penalties add to its gradient.

    Attributes
    ----------
    inputs, outputs : ndarray
    delta : ndarray
        Gradient at the pre-activations, after the backward pass.
    mask : ndarray or None
        Factors by which dropout multiplies the outputs.
    delta_terms, weight_terms, bias_terms : list of ndarray
        Gradients of penalties at the pre-activations, at the weights, of shape (n_upper, n_lower), and at the bias.
    row_scales : list of ndarray of shape (n_upper,)
        Factors on the rows of the weights; the products are added to the gradient.
    """

    inputs: np.ndarray
    outputs: np.ndarray
    delta: np.ndarray
    mask: np.ndarray | None = None
    delta_terms: list = field(default_factory=list)
    weight_terms: list = field(default_factory=list)
    bias_terms: list = field(default_factory=list)
    row_scales: list = field(default_factory=list)

    def extra_delta(self):
        """Return the sum of ``delta_terms`` in the first one's memory, or None."""
        if not self.delta_terms:
            return None
        first, *others = self.delta_terms
        for term in others:
            first += term
        return first


class Records:
    """The records of all layers for one batch, in which penalties leave their gradients, in memory that is reused.

    Attributes
    ----------
    encoder, decoder : list of LayerRecord
        In the order of the forward pass: up to the code, and down from it.
    first_row : int
        Number of the rows that penalties can claim, ``n_claimable``, less those that they have claimed in this batch.
    with_gradient : bool
        Whether the gradient of this batch is needed, and not only its value.
    """

    with_gradient = True

    def __init__(self, encoder, decoder, n_claimable=0):
        self.encoder, self.decoder, self._scratch = encoder, decoder, {}
        self.first_row = self._n_claimable = n_claimable

    def start(self):
        """Clear what the penalties of the last batch left for the backward pass."""
        self.first_row = self._n_claimable
        for record in self.encoder + self.decoder:
            record.delta_terms, record.weight_terms, record.bias_terms = [], [], []
            record.row_scales = []

    def scratch(self, owner, create, *args):
        """Return the buffers ``create(*args)`` of ``owner``, created at its first call with these records."""
        if owner not in self._scratch:
            self._scratch[owner] = create(*args)
        return self._scratch[owner]


@dataclass(slots=True, eq=False)
class WeightRows:
    """Rows for one weight matrix W of a batch, such that the gradient of W is ``upper' lower``.

    W, of shape (n_upper, n_lower), is that of a layer of the encoder; the decoder has W' on the same level. Each
    sample has a row (delta, input) of the encoder's layer and, below all of these, a row (input, delta) of the
    decoder's. On top of them are rows that penalties claim.

    Attributes
    ----------
    upper : ndarray of shape (n_rows, n_upper)
    lower : ndarray of shape (n_rows, n_lower)
    """

    upper: np.ndarray
    lower: np.ndarray

    def take(self, start, stop=None):
        """Return the rows from ``start`` to ``stop``."""
        rows = slice(start, stop)
        return WeightRows(self.upper[rows, ...], self.lower[rows, ...])


@dataclass(slots=True, eq=False)
class WeightGradient:
    """The gradient ``upper' lower`` + each of ``row_scales`` times the rows of ``weights`` + ``terms``, as its parts.

    Parameters
    ----------
    rows : WeightRows
    weights, out : ndarray of shape (n_upper, n_lower)
        The weights, and memory for the gradient.
    row_scales, terms : list
        See :class:`LayerRecord`.
    """

    rows: WeightRows
    weights: np.ndarray
    out: np.ndarray
    row_scales: list
    terms: list

    def add_up(self, multiply, units):
        """Fill ``out`` for some units; ``multiply`` is the matrix product."""
        upper, out, weights = self.rows.upper[:, units].T, self.out[units, ...], self.weights
        if multiply is few_terms and self.row_scales:
            scales = sum(self.row_scales)[units]
            few_terms(upper, self.rows.lower, out, scales, weights[units, ...])
        else:
            multiply(upper, self.rows.lower, out)
            for scales in self.row_scales:
                add_scaled_rows(scales[units], weights[units, ...], out)
        for term in self.terms:
            out += term[units, ...]

    def descend(self, rate):
        """Subtract the gradient times ``rate`` from the weights, in one pass over them if there are few rows."""
        multiply = multiplier(self.out, self.rows.lower.shape[0])
        scales = sum(self.row_scales) if self.row_scales else None

        def work(units):
            weights = self.weights[units]
            if multiply is few_terms:
                upper = self.rows.upper[:, units].T
                factors = None if scales is None else scales[units]
                few_terms(upper, self.rows.lower, weights, factors, scale=-rate)
                for term in self.terms:
                    weights -= rate * term[units]
            else:
                self.add_up(multiply, units)
                descend(weights.reshape(-1), self.out[units].reshape(-1), rate)

        share(work, len(self.weights), size(self.rows.lower))
