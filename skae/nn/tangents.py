"""Forward-mode tangents J v through a chain of layers, and reverse mode through both (double backprop).

For directions v_k at sample i, t = z A and z <- s'(a_i) t layer by layer; then the gradient at the last z
goes back to the matrices A and, through s'', to the pre-activations a.
"""

import numpy as np

from .._kernels.activations import bends, slopes
from .._kernels.tangents import scale, scale_back
from .._threads import ELEMENT, product, share


class Link:
    """One layer of a chain: its weights, s' and s'' at each sample, and what the way back leaves.

    Parameters
    ----------
    weights : ndarray of shape (n_upper, n_lower)
    upward : bool
        Whether the chain goes from lower to upper here (encoder) or back (decoder).
    n_samples, n_directions : int
        Directions that are carried at once.
    """

    def __init__(self, weights, upward, n_samples, n_directions):
        self.upward = upward
        width = weights.shape[0 if upward else 1]
        self.scaled = np.empty((n_directions, n_samples, width), weights.dtype)
        self.tangents = np.empty_like(self.scaled)
        self.moved = None  # what has gone through the weights: tangents, or rows of weights that all samples share
        self.slopes = np.empty((n_samples, width), weights.dtype)
        self.bends, self.push = np.empty_like(self.slopes), np.empty_like(self.slopes)
        self.gradient, self._product = np.empty_like(weights), np.empty_like(weights)

    def start(self, weights):
        """Begin a batch: ``weights`` as they are now, nothing left behind yet."""
        self.matrix = weights.T if self.upward else weights
        self.push[:] = 0
        self._empty = True

    def add_gradient(self, below, pull):
        """Add the gradient of the weights from the rows of ``below`` and ``pull``."""
        left, right = (pull, below) if self.upward else (below, pull)
        if self._empty:
            product(left.T, right, self.gradient)
            self._empty = False
        else:
            product(left.T, right, self._product)
            self.gradient += self._product

    def add_unit_gradient(self, directions, pull):
        """Add it for rows of ``below`` that are unit vectors, shared by all samples."""
        if self._empty:
            self.gradient[:] = 0
            self._empty = False
        gradient = (self.gradient.T if self.upward else self.gradient)[directions]

        def some(units):
            gradient[:, units] += pull[:, :, units].sum(axis=1)

        share(some, pull.shape[2], ELEMENT * pull[:, :, 0].size)


def linearize(link, kind, outputs):
    """Set s' and s'' of ``link`` from its ``outputs`` s(a)."""

    def some(samples):
        slopes(kind, outputs[samples], link.slopes[samples])
        bends(kind, outputs[samples], link.bends[samples])

    share(some, len(outputs), ELEMENT * outputs.shape[1])


def linearize_encoder(links, network, params, outputs):
    """Begin a batch in all ``links`` of the encoder, whose layers put out ``outputs``."""
    for link, activation, weights, output in zip(
        links, network.activations, params.encoder_weights, outputs
    ):
        link.start(weights)
        linearize(link, activation.kind, output)


def push_forward(links, directions):
    """Return J v for each direction and sample, of shape (n_directions, n_samples, n_outputs).

    ``directions`` are of shape (n_directions, n_samples, n_inputs), or a slice of the unit vectors,
    which all samples then share.
    """
    below = directions
    for link in links:
        if isinstance(below, slice):
            link.moved = np.ascontiguousarray(link.matrix[below])[:, np.newaxis]
            below = link.scaled[: len(link.moved)]
        else:
            link.moved = link.tangents[: len(below)]
            product(_rows(below), link.matrix, _rows(link.moved))
            below = link.scaled[: len(below)]
        _by_samples(scale, link.slopes, link.moved, below)
    return below


def pull_back(links, directions, pull):
    """Add to each link's ``push`` and ``gradient`` what ``pull``, the gradient at J v, comes to."""
    count = len(pull)
    for position in reversed(range(len(links))):
        link = links[position]
        _by_samples(scale_back, link.slopes, link.bends, link.moved, pull, link.push)
        if position:
            lower = links[position - 1]
            link.add_gradient(_rows(lower.scaled[:count]), _rows(pull))
            above, pull = pull, lower.scaled[:count]
            product(_rows(above), link.matrix.T, _rows(pull))
        elif isinstance(directions, slice):
            link.add_unit_gradient(directions, pull)
        else:
            link.add_gradient(_rows(directions), _rows(pull))


def _by_samples(kernel, slopes, *arrays):
    """Call ``kernel`` for all samples, those of a thread together."""

    def some(samples):
        kernel(slopes, *arrays, samples.start, samples.stop)

    size = max(array.size for array in arrays)
    share(some, len(slopes), ELEMENT * size // max(len(slopes), 1))


def _rows(stack):
    return stack.reshape(-1, stack.shape[-1])
