"""Penalty on how much a network's outputs vary along given directions; :mod:`skae.nn.penalties` has the protocol."""

import math
from typing import NamedTuple

import numpy as np

from .._arrays.namespace import (
    copy,
    empty_like,
    is_numpy,
    multiply_into,
    namespace,
    reshape,
    scalar,
    zeros_like,
)
from .._arrays.random import Drawn
from .losses import Multinomial
from .penalties import Penalty
from .tangent_passes import Passes, PassMemory, switch_layer

# What is left out changes the gradient less than rounding does: on MNIST by 1e-6 of its norm, against 2e-6 in float32,
# and by 2e-5, against 5e-5 with tangents in half precision.
_UNITS = 80  # bound on what is left out, in units of rounding in the arithmetic,
_UNITS_OF_DIRECTIONS = 0.1  # or of rounding in the directions


class TangentPropagation(Penalty):
    """``strength`` times the mean over samples of sum_u ||do/dx u||^2, over directions u of each sample.

    Simard et al. 1992; Rifai et al. NIPS 2011, equation 7. o are the means of the output units. Directions u go up
    through the network by forward mode, all the way or until they meet gradients of the logits, which come down by
    reverse mode: the slopes are then inner products. In each batch they meet where few rows go through wide layers.
    Outputs are left out at samples where they are so certain that their slopes would be lost in rounding, provided that
    the slopes of the logits are of similar size.

    With corrupted inputs or dropout, slopes are those of the step's network at the corrupted inputs; directions are
    those of the clean sample.

    Parameters
    ----------
    strength : float
    network : Network
        Network without a decoder.
    loss : Reconstruction
        Output units, of one part.
    directions : object
        Has ``directions.n_directions`` directions of each sample. ``directions(rows, inputs, samples, seed, out)``
        fills ``out``, of shape (n_samples, n_directions, n_features), for ``samples`` of a batch with these rows of the
        data and clean inputs. ``directions.rounding`` bounds their rounding, relative to their size.
    largest : float, default=inf
        Bound on the penalty P of a batch. Above it, ``largest * (1 + log(P / largest))`` is minimized instead, whose
        gradient is that of P times largest / P.
    """

    def __init__(self, strength, network, loss, directions, largest=math.inf):
        self.strength, self.network, self.loss = strength, network, loss
        self.directions, self.largest = directions, largest
        self._units = _Softmax() if isinstance(loss.parts[0], Multinomial) else _Elementwise(loss)

    def n_rows(self, n_samples):
        """Return how many rows of the trace's stacks a batch can take."""
        return n_samples * self.directions.n_directions

    def __call__(self, params, trace, seed):
        memory = trace.scratch(self, lambda: PassMemory(trace, self.n_rows(trace.n_samples)))
        delta = zeros_like(trace.logits)
        for tangents, layer, record in zip(memory.layers, params.encoder_layers, trace.encoder):
            tangents.start(layer, record.outputs, record.mask)
            record.delta_terms.append(tangents.delta)
        trace.encoder[-1].delta_terms.append(delta)
        means = self.loss.activate(copy(trace.logits))
        if not is_numpy(means):
            return self._of_all(params, trace, seed, memory, means, delta)
        kept = self.significant(means, trace.sample_weights)
        samples, means = kept.samples, means[kept.samples]
        if not len(samples):
            return 0.0

        def look_up(out):
            directions = out.reshape(len(samples), self.directions.n_directions, -1)
            self.directions(trace.batch.indices, trace.clean, samples, seed, directions)

        weights = trace.sample_weights[samples] * means.dtype.type(self.strength)

        def squares(slopes):
            value, delta[samples] = self._squares(means, slopes, weights)
            return value

        passes = Passes(params.encoder_weights, trace, memory, kept, self.directions.n_directions)
        switch = switch_layer(self.network.sizes, passes.n_up, len(kept.outputs))
        if switch == self.network.depth:
            return passes.forward_only(look_up, squares)
        return passes.forward_and_reverse(
            switch, self._units.selection(means, kept), look_up, squares
        )

    def _squares(self, means, slopes, weights):
        """Return the penalty, or what replaces a large one, and the gradient at the logits.

        Leave the gradient at the slopes in ``slopes``.
        """
        value, at_logits = self._units.squares(means, slopes, weights)
        value, factor = bounded(value, self.largest, means)
        slopes *= factor
        return value, at_logits * factor

    def _of_all(self, params, trace, seed, memory, means, delta):
        """Return the penalty on all outputs: on a device, each batch is the same work."""
        samples, k = np.arange(trace.n_samples), self.directions.n_directions
        if isinstance(trace.rng, Drawn):
            seed = trace.rng.take(self.directions.n_coins(trace.n_samples))
        weights = trace.sample_weights * scalar(self.strength, means)

        def look_up(out):
            directions = reshape(out, (trace.n_samples, k, -1))
            self.directions(trace.batch.indices, trace.clean, samples, seed, directions)

        def squares(slopes):
            value, delta[...] = self._squares(means, slopes, weights)
            return value

        outputs = np.tile(np.arange(means.shape[1]), trace.n_samples)
        starts = means.shape[1] * np.arange(trace.n_samples + 1)
        kept = Kept(samples, starts, np.repeat(samples, means.shape[1]), outputs)
        return Passes(params.encoder_weights, trace, memory, kept, k).forward_only(look_up, squares)

    def draw(self, n_samples, seed):
        """Return the random numbers that the directions of ``n_samples`` samples take, in int64."""
        return self.directions.draw(n_samples, seed)

    @property
    def can_be_captured(self):
        """bool: whether the directions can be looked up on a device."""
        return self.directions.can_be_captured

    def significant(self, means, weights):
        """Return the ``Kept`` outputs, of samples with these ``weights`` in the penalty."""
        units = _UNITS * np.finfo(means.dtype).eps, _UNITS_OF_DIRECTIONS * self.directions.rounding
        return significant_rows(self._units.significance(means, weights), max(units))


def bounded(value, largest, like):
    """Return ``value``, or ``largest * (1 + log(value / largest))`` if it is above ``largest``, and the derivative.

    ``value`` is a float if ``like`` is an array of numpy, else an array in its library and on its device. A ``largest``
    of 0, the loss of constants if there is one class, bounds nothing.
    """
    if not largest:
        return value, like.dtype.type(1) if is_numpy(like) else scalar(1.0, like)
    if is_numpy(like):
        excess = value / largest
        # NaN is returned as it is, so that divergence is detected.
        if not excess > 1:
            return value, like.dtype.type(1)
        return largest * (1 + math.log(excess)), like.dtype.type(1 / excess)
    xp, largest = namespace(like), scalar(largest, like)
    excess = value / largest
    excess = xp.where(excess > 1, excess, xp.ones_like(excess))
    return xp.where(excess > 1, largest * (1 + xp.log(excess)), value), 1 / excess


class Kept(NamedTuple):
    """Outputs of a batch's samples that are not left out, grouped by sample.

    Attributes
    ----------
    samples : ndarray of int
        Indices of the samples that have outputs.
    starts : ndarray of shape (n_samples + 1,)
        Position of the first output of each sample, and the end of the last one's outputs.
    places, outputs : ndarray of shape (n_rows,)
        Position among ``samples`` of each output's sample, and index of the output.
    """

    samples: np.ndarray
    starts: np.ndarray
    places: np.ndarray
    outputs: np.ndarray


def significant_rows(significance, tolerance):
    """Return the ``Kept`` outputs, without those that add up to at most a fraction ``tolerance`` of all.

    Parameters
    ----------
    significance : ndarray of shape (n_samples, n_outputs)
        Contribution of each output to a sum, up to a common factor.
    tolerance : float
    """
    least = tolerance * significance.sum() / significance.size
    # NaN is kept, so that divergence is detected.
    kept = ~(significance <= least)
    samples = np.flatnonzero(kept.any(axis=1))
    places, outputs = np.nonzero(kept[samples])
    starts = np.searchsorted(places, np.arange(len(samples) + 1))
    return Kept(samples, starts, places, outputs)


class _Softmax:
    """The penalty for softmax outputs o of logits a."""

    def significance(self, means, weights):
        """Return the weight of each slope: 0 for each sample's largest output, whose slope follows from the others."""
        others = means.copy()
        others[np.arange(len(others)), others.argmax(axis=1)] = 0
        return others * (others.sum(axis=1) * weights)[:, np.newaxis]

    def selection(self, means, kept):
        """Return the gradients at the logits, from the means of ``kept.samples``: each output's minus the largest's."""
        units = np.eye(means.shape[1], dtype=means.dtype)
        return units[kept.outputs] - units[means.argmax(axis=1)[kept.places]]

    def squares(self, means, slopes, weights):
        """Return sum_ki v_i ||z_ki||^2, where z = o (t - o't) are slopes of o, and its gradient at the logits.

        Overwrite ``slopes``, the slopes t of the logits, with the gradient at them.

        Parameters
        ----------
        means : ndarray of shape (n_samples, n_outputs)
        slopes : ndarray of shape (n_samples, n_directions, n_outputs)
        weights : ndarray of shape (n_samples,)
        """
        outputs = means[:, None, :]
        centered = slopes - _along(outputs, slopes)
        moved = outputs * centered
        gradient = 2 * weights[:, None, None] * moved
        inner = _along(outputs, gradient)
        at_means = namespace(means).sum(gradient * centered - inner * slopes, axis=1)
        value = _inner(moved, gradient) / 2
        multiply_into(outputs, gradient - inner, slopes)
        return value, means * (at_means - _along(means, at_means))


class _Elementwise:
    """The same for outputs s(a) that each have a logit of their own."""

    def __init__(self, loss):
        self._loss = loss

    def significance(self, means, weights):
        """Return the weight of each slope."""
        return np.square(self._derive(means)[0]) * weights[:, np.newaxis]

    def selection(self, means, kept):
        """Return the gradients at the logits: unit vectors."""
        return np.eye(means.shape[1], dtype=means.dtype)[kept.outputs]

    def squares(self, means, slopes, weights):
        """Return sum_ki v_i ||z_ki||^2, where z = s'(a) t; the rest as for a softmax."""
        first, second = (each[:, None, :] for each in self._derive(means))
        moved = first * slopes
        gradient = 2 * weights[:, None, None] * moved
        delta = namespace(means).sum(second * slopes * gradient, axis=1)
        multiply_into(first, gradient, slopes)
        return _inner(moved, gradient) / 2, delta

    def _derive(self, means):
        first, second = empty_like(means), empty_like(means)
        self._loss.derive(means, first, second)
        return first, second


def _along(means, vectors):
    """Return o'v, of shape (..., 1)."""
    return namespace(means).sum(means * vectors, axis=-1, keepdims=True)


def _inner(a, b):
    """Return the sum of the products of all elements: a float for numpy, else an array."""
    return float(np.vdot(a, b)) if is_numpy(a) else namespace(a).sum(a * b)
