"""Penalty on how much a network's outputs vary along given directions: see :mod:`skae.nn.penalties` for the protocol."""

import numpy as np

from .._kernels.tangents import squares
from .losses import Multinomial
from .tangents import Link, linearize_encoder, pull_back, push_forward


class TangentPropagation:
    """``strength`` times the mean over samples of sum_u ||do/dx u||^2, over directions u of each sample.

    Simard et al. 1992; Rifai et al. NIPS 2011, equation 7. o are the means of the output units. Directions go through
    the network by forward mode, and the gradient back through both passes.

    Parameters
    ----------
    strength : float
    network : Network
        Without a decoder.
    loss : Reconstruction
        Of one part: the output units.
    directions : object
        ``directions.n_directions`` of each sample, which ``directions(rows, inputs, seed, out)`` fills into ``out``
        of shape (n_directions, n_samples, n_features) for the rows of the data that a batch has.
    """

    def __init__(self, strength, network, loss, directions):
        self.strength, self.network, self.loss, self.directions = (
            strength,
            network,
            loss,
            directions,
        )

    def __call__(self, params, trace, seed):
        space = trace.scratch(self, lambda: _Space(self, params, trace))
        self.directions(trace.batch.indices, trace.inputs, seed, space.directions)
        strength = space.weights.dtype.type(self.strength)
        np.multiply(trace.sample_weights, strength, out=space.weights)
        linearize_encoder(space.links, self.network, params, trace.encoder_outputs)
        space.means[:] = trace.logits
        self.loss.activate(space.means)
        output = space.links[-1]
        if not self._softmax:
            self.loss.derive(space.means, output.slopes, output.bends)
        tangents = push_forward(space.links, space.directions)
        if self._softmax:
            value = softmax_squares(space.means, tangents, space.weights, output.push)
        else:
            value = squares(tangents, space.weights, tangents)
        pull_back(space.links, space.directions, tangents)
        for layer, link in enumerate(space.links):
            trace.encoder_pushes[layer].append(link.push)
            trace.encoder_pulls[layer].append(link.gradient)
        return value

    @property
    def _softmax(self):
        return isinstance(self.loss.parts[0], Multinomial)


class _Space:
    """Buffers of the tangents of a batch."""

    def __init__(self, penalty, params, trace):
        count = penalty.directions.n_directions
        self.links = [Link(w, True, trace.n_samples, count) for w in params.encoder_weights]
        self.directions = np.empty((count, *trace.inputs.shape), trace.inputs.dtype)
        self.means = np.empty_like(trace.logits)
        self.weights = np.empty_like(trace.sample_weights)


def softmax_squares(means, tangents, weights, push):
    """Return sum_ki v_i ||z_ki||^2, where z = o (t - o't) are tangents t of logits at their softmax o.

    Leave its gradient at t in ``tangents`` and add the one at the logits to ``push``.

    Parameters
    ----------
    means : ndarray of shape (n_samples, n_outputs)
    tangents : ndarray of shape (n_directions, n_samples, n_outputs)
    weights : ndarray of shape (n_samples,)
    push : ndarray of shape (n_samples, n_outputs)
    """
    centred = tangents - _along(means, tangents)
    moved = means * centred
    value = float(np.einsum("kij,kij,i->", moved, moved, weights))
    pull = 2 * weights[:, np.newaxis] * moved
    inner = _along(means, pull)
    at_means = (pull * centred - inner * tangents).sum(axis=0)
    push += means * (at_means - _along(means, at_means))
    np.multiply(means, pull - inner, out=tangents)
    return value


def _along(means, vectors):
    """Return o'v, of shape (..., n_samples, 1)."""
    return (means * vectors).sum(axis=-1, keepdims=True)
