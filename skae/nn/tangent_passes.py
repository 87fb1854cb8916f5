"""Tangents that go up through a network by forward mode and gradients that come down to meet them, and the way back."""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from .._kernels import tangent_rows as kernels
from .._threads import ELEMENT, product, share


class Rows(NamedTuple):
    """Outputs of a batch's samples, those of a sample together.

    Attributes
    ----------
    samples : ndarray of int
        Numbers of the samples that have any.
    starts : ndarray of shape (n_samples + 1,)
        Where the outputs of each begin, and the last ones end.
    places, outputs : ndarray of shape (n_rows,)
        Of each row its place among ``samples``, and its output.
    """

    samples: np.ndarray
    starts: np.ndarray
    places: np.ndarray
    outputs: np.ndarray


def meeting_layer(sizes, n_up, n_down):
    """Return the layer up to which ``n_up`` rows of directions go, and down to which ``n_down`` gradients come.

    It is that with the fewest multiplications. All take products on the way there, on the way back, and for the gradient
    of the weights; but below the layer where they meet what goes back is as few as what came down, and has gone up.
    """
    products = [low * high for low, high in zip(sizes, sizes[1:])]
    depth = len(products)

    def cost(layer):
        below, above = sum(products[:layer]), sum(products[layer:])
        if layer == depth:
            return n_up * (3 * below - products[0])
        down = 2 * below - sum(products[: min(layer, 1)])
        return n_up * below + n_down * (down + 3 * above)

    # There is room for as many rows as go up; more that come down would cost more anyway.
    layers = range(depth if n_down <= n_up else 0)
    return min([depth, *layers], key=cost)


class _Level:
    """What a layer of the network keeps of a batch: s' and s'' at each sample, rows that go through, and ``push``."""

    def __init__(self, n_samples, n_rows, width, dtype):
        self.slopes, self.bends, self.push = (np.empty((n_samples, width), dtype) for _ in range(3))
        self.tangents, self.scaled, self.gradients = (
            np.empty((n_rows, width), dtype) for _ in range(3)
        )


def levels_of(trace, n_rows):
    """Return the levels of a network: its inputs, which nothing scales, and its hidden layers."""
    dtype, (inputs, *hidden) = trace.inputs.dtype, (each.shape for each in trace.encoder_inputs)
    upper = [_Level(n_samples, n_rows, width, dtype) for n_samples, width in hidden]
    return [_Level(0, n_rows, inputs[1], dtype), *upper]


class Passes:
    """The ways of one batch's directions and gradients through the network.

    Parameters
    ----------
    weights : list of ndarray of shape (n_upper, n_lower)
    trace : Trace
    levels : list
        What :func:`levels_of` returns
    rows : Rows
    n_directions : int
        Of each sample.
    """

    def __init__(self, weights, trace, levels, rows, n_directions):
        self._weights, self._trace, self._levels, self._rows = weights, trace, levels, rows
        self._n_directions, self.n_up = n_directions, len(rows.samples) * n_directions
        self._starts_up = n_directions * np.arange(len(rows.samples) + 1)

    def meet_at_outputs(self, look_up, squares):
        """Return the penalty, for directions that go all the way up.

        Parameters
        ----------
        look_up : callable
            Fills in the directions, each a row.
        squares : callable
            Turns slopes of shape (n_samples, n_directions, n_outputs) into the gradient there; returns the penalty.
        """
        upper, lower = self._trace.claim(self.n_up)
        look_up(lower[0])
        self._go_up(lower, upper[-1])
        value = squares(upper[-1].reshape(-1, self._n_directions, upper[-1].shape[1]))
        for layer in reversed(range(1, len(self._weights))):
            level = self._levels[layer]
            pull = product(upper[layer], self._weights[layer], upper[layer - 1])
            self._scale_back(level, self._starts_up, level.tangents, pull)
        return value

    def meet(self, meeting, selection, look_up, squares):
        """Return the penalty, for directions t and gradients g that meet in the layer ``meeting``.

        With slopes s_rk = g_r' t_k, and c_rk the gradient there, what is left is the gradient of the sum of g_r' t_r,
        where t_r = sum_k c_rk t_k: gradients and combined tangents, as many, go on where only the others have been.

        Parameters
        ----------
        meeting : int
        selection : ndarray of shape (n_rows, n_outputs)
            The gradients at the logits.
        look_up, squares : callable
            See :meth:`meet_at_outputs`.
        """
        upper, lower = self._trace.claim(len(selection))
        directions = self._levels[0].tangents[: self.n_up]
        look_up(directions)
        if meeting:
            scaled = [level.scaled[: self.n_up] for level in self._levels[1:meeting]]
            self._go_up([directions, *scaled], self._levels[meeting].tangents[: self.n_up])
        upper[-1][:] = selection
        for layer in reversed(range(meeting, len(self._weights))):
            gradients = self._come_down(layer, upper)
            if layer > meeting:
                self._scale(self._levels[layer], self._rows.starts, gradients, upper[layer - 1])
        value, coefficients = self._combination(self._levels[meeting], selection.shape[1], squares)
        for layer in reversed(range(1, meeting + 1)):
            self._combine_back(self._levels[layer], coefficients, upper[layer - 1], lower[layer])
            if layer > 1:
                self._come_down(layer - 1, upper)
        self._by_samples(
            kernels.combine, lower[0], coefficients, self._rows.starts, directions, lower[0]
        )
        for layer in range(meeting, len(self._weights) - 1):
            level = self._levels[layer + 1]
            pull = product(lower[layer], self._weights[layer].T, lower[layer + 1])
            self._scale_back(level, self._rows.starts, level.gradients, pull)
        return value

    def _go_up(self, stacks, out):
        """Take the first of ``stacks`` up to each next one, and from the last one to ``out``, which nothing scales."""
        for layer, (below, above) in enumerate(pairwise(stacks)):
            level = self._levels[layer + 1]
            tangents = product(below, self._weights[layer].T, level.tangents[: len(below)])
            self._scale(level, self._starts_up, tangents, above)
        product(stacks[-1], self._weights[len(stacks) - 1].T, out)

    def _come_down(self, layer, upper):
        """Return the gradients at the level below the weights of ``layer``, which nothing has scaled there."""
        gradients = self._levels[layer].gradients[: len(upper[layer])]
        return product(upper[layer], self._weights[layer], gradients)

    def _combination(self, level, n_outputs, squares):
        """Return the penalty and the gradient at the slopes of tangents and gradients that meet at ``level``."""
        rows = self._rows
        inner = np.empty((len(rows.outputs), self._n_directions), level.gradients.dtype)
        every = level.slopes, rows.samples, rows.starts, level.tangents, level.gradients, inner
        self._by_samples(kernels.inner_products, level.tangents[: self.n_up], *every)
        slopes = np.zeros((len(rows.samples), self._n_directions, n_outputs), inner.dtype)
        slopes[rows.places, :, rows.outputs] = inner
        value = squares(slopes)
        return value, np.ascontiguousarray(slopes[rows.places, :, rows.outputs])

    def _combine_back(self, level, coefficients, scaled, combined):
        every = coefficients, level.slopes, level.bends, self._rows.samples, self._rows.starts
        every += level.tangents, level.gradients, scaled, combined, level.push
        self._by_samples(kernels.combine_back, level.tangents[: self.n_up], *every)

    def _scale(self, level, starts, rows, out):
        self._by_samples(
            kernels.scale_rows, out, level.slopes, self._rows.samples, starts, rows, out
        )

    def _scale_back(self, level, starts, rows, pull):
        every = level.slopes, level.bends, self._rows.samples, starts, rows, pull, level.push
        self._by_samples(kernels.scale_rows_back, pull, *every)

    def _by_samples(self, kernel, rows, *arrays):
        """Call ``kernel`` for all samples, those of a thread together; ``rows`` say what that costs."""

        def some(places):
            kernel(*arrays, places.start, places.stop)

        n_samples = len(self._rows.samples)
        share(some, n_samples, ELEMENT * rows.size // n_samples)
