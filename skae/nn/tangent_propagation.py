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
    precision_of,
    reshape,
    scalar,
    zeros_like,
)
from .._arrays.random import Drawn
from .._arrays.tangents import exceeds, largest_of_rows
from .losses import Multinomial
from .penalties import Penalty
from .tangent_passes import ForwardPass, MeetingPasses, PassMemory, switch_layer

# What is left out changes the gradient less than rounding does: on MNIST by 1e-6 of its norm, against 2e-6 in float32,
# and by 2e-5, against 5e-5 with tangents in half precision.
_ROUNDINGS = 80  # bound on what is left out, as a multiple of the rounding of the arithmetic,
_ROUNDINGS_OF_DIRECTIONS = 0.1  # or of that of the directions


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
        self.rows_per_sample = directions.n_directions
        is_softmax = isinstance(loss.parts[0], Multinomial)
        self._outputs = _Softmax() if is_softmax else _Elementwise(loss)

    def __call__(self, params, trace, seed):
        memory, at_logits = self._start(params, trace)
        means = self.loss.activate(copy(trace.logits))
        on_cpu = is_numpy(means)
        significant = self.significant(means, trace.sample_weights)
        # On a device, each batch is the same work.
        kept = kept_outputs(significant) if on_cpu else all_outputs(means)
        if not len(kept.samples):
            return 0.0
        if isinstance(trace.rng, Drawn):  # a captured step draws in advance: see ``draw``
            seed = trace.rng.take(self.directions.n_bits(trace.n_samples))
        samples = kept.samples if on_cpu else slice(None)
        means = means[samples, ...]
        weights = trace.sample_weights[samples, ...] * scalar(self.strength, means)
        significant = significant[samples, ...]
        passes = self._passes(params.encoder_weights, trace, memory, kept, means, significant)
        shape = len(kept.samples), self.directions.n_directions, -1
        directions = reshape(passes.directions, shape)
        self.directions(trace.batch.indices, trace.clean, kept.samples, seed, directions)
        slopes = passes.slopes()
        value, gradient = self._outputs.penalty(means, slopes, weights)
        value, factor = bounded(value, self.largest, means)
        if trace.with_gradient:
            slopes *= factor
            at_logits[samples, ...] = gradient * factor
            passes.backward()
        return value

    def _passes(self, weights, trace, memory, kept, means, significant):
        """Return the passes of a batch that need the fewest multiplications."""
        sizes, depth = self.network.sizes, self.network.depth
        n_directions, switch = self.directions.n_directions, depth
        if is_numpy(means):
            switch = switch_layer(sizes, len(kept.samples) * n_directions, len(kept.outputs))
        arguments = weights, trace, memory, kept, n_directions
        if switch == depth:
            reference = largest_of_rows(means) if self._outputs.has_reference else None
            return ForwardPass(*arguments, significant, reference)
        return MeetingPasses(*arguments, switch, self._outputs.logit_gradients(means, kept))

    def _start(self, params, trace):
        """Begin a batch: return the ``PassMemory``, and an array of 0 for the gradient at the logits.

        The backward pass of the network takes that array, and ``delta`` of each hidden layer's ``LayerTangents``.
        """
        memory = trace.scratch(self, PassMemory, trace, trace.n_samples * self.rows_per_sample)
        at_logits = zeros_like(trace.logits)
        for tangents, layer, record in zip(memory.layers, params.encoder_layers, trace.encoder):
            tangents.start(layer, record.outputs, record.mask)
            record.delta_terms.append(tangents.delta)
        trace.encoder[-1].delta_terms.append(at_logits)
        return memory, at_logits

    def draw(self, n_samples, seed):
        """Return the random numbers that the directions of ``n_samples`` samples take, in int64."""
        return self.directions.draw(n_samples, seed)

    @property
    def can_be_captured(self):
        """bool: whether the directions can be looked up on a device."""
        return self.directions.can_be_captured

    def significant(self, means, weights):
        """Return a mask of the outputs that are not left out, of samples with these ``weights`` in the penalty."""
        rounding = precision_of(means)
        tolerance = max(_ROUNDINGS * rounding, _ROUNDINGS_OF_DIRECTIONS * self.directions.rounding)
        return exceeds(self._outputs.significance(means, weights), tolerance)


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


def all_outputs(means):
    """Return all outputs as ``Kept``, given ``means`` of shape (n_samples, n_outputs)."""
    n_samples, n_outputs = means.shape
    samples, starts = np.arange(n_samples), n_outputs * np.arange(n_samples + 1)
    places, outputs = np.repeat(samples, n_outputs), np.tile(np.arange(n_outputs), n_samples)
    return Kept(samples, starts, places, outputs)


def kept_outputs(significant):
    """Return the outputs of a mask of shape (n_samples, n_outputs) as ``Kept``."""
    samples = np.flatnonzero(significant.any(axis=1))
    places, outputs = np.nonzero(significant[samples])
    starts = np.searchsorted(places, np.arange(len(samples) + 1))
    return Kept(samples, starts, places, outputs)


class _Softmax:
    """The penalty for softmax outputs o of logits a, with the Jacobian J = do/da = diag(o) - o o'."""

    has_reference = True  # each sample's largest output, as slopes count by their differences

    def significance(self, means, weights):
        """Return the weight of each slope: 0 for each sample's largest output, whose slope follows from the others."""
        xp = namespace(means)
        others = xp.where(largest_of_rows(means), xp.zeros_like(means), means)
        return others * xp.sum(others, axis=1, keepdims=True) * weights[:, None]

    def logit_gradients(self, means, kept):
        """Return the gradients at the logits of each ``kept`` logit minus the one of its sample's largest output.

        The penalty depends on differences of logits alone. ``means`` are those of ``kept.samples``.
        """
        unit_vectors = np.eye(means.shape[1], dtype=means.dtype)
        return unit_vectors[kept.outputs] - unit_vectors[means.argmax(axis=1)[kept.places]]

    def penalty(self, means, slopes, weights):
        """Return P = sum_ik v_i ||z_ik||^2, where z = J t are slopes of o, and dP/da.

        Replace ``slopes``, the slopes t of the logits, by dP/dt.

        Parameters
        ----------
        means : ndarray of shape (n_samples, n_outputs)
            o.
        slopes : ndarray of shape (n_samples, n_directions, n_outputs)
            t.
        weights : ndarray of shape (n_samples,)
            v.
        """
        o, t, v = means[:, None, :], slopes, weights[:, None, None]
        centered = t - _expectation(o, t)
        z = o * centered  # J t
        at_z = 2 * v * z  # dP/dz
        mean = _expectation(o, at_z)
        # dP/do, as z = o (t - o't)
        at_o = namespace(means).sum(at_z * centered - mean * t, axis=1)
        value = _inner_product(z, at_z) / 2
        multiply_into(o, at_z - mean, slopes)  # dP/dt = J dP/dz
        return value, means * (at_o - _expectation(means, at_o))  # dP/da = J dP/do


class _Elementwise:
    """The same for outputs o = s(a) that each have a logit of their own."""

    has_reference = False

    def __init__(self, loss):
        self._loss = loss

    def significance(self, means, weights):
        """Return the weight of each slope."""
        first = self._mean_derivatives(means)[0]
        return first * first * weights[:, None]

    def logit_gradients(self, means, kept):
        """Return the gradients at the logits of each ``kept`` logit: unit vectors."""
        return np.eye(means.shape[1], dtype=means.dtype)[kept.outputs]

    def penalty(self, means, slopes, weights):
        """Return P = sum_ik v_i ||z_ik||^2, where z = s'(a) t, and dP/da; replace ``slopes``, t, by dP/dt."""
        t, v = slopes, weights[:, None, None]
        first, second = (
            each[:, None, :] for each in self._mean_derivatives(means)
        )  # s'(a), s''(a)
        z = first * t
        at_z = 2 * v * z  # dP/dz
        at_a = namespace(means).sum(second * t * at_z, axis=1)
        multiply_into(first, at_z, slopes)  # dP/dt
        return _inner_product(z, at_z) / 2, at_a

    def _mean_derivatives(self, means):
        """Return s'(a) and s''(a), given the means s(a)."""
        first, second = empty_like(means), empty_like(means)
        self._loss.mean_derivatives(means, first, second)
        return first, second


def _expectation(means, vectors):
    """Return o'v, the mean of v under the probabilities o, of shape (..., 1)."""
    return namespace(means).sum(means * vectors, axis=-1, keepdims=True)


def _inner_product(a, b):
    """Return the sum of the products of all elements: a float for numpy, else an array."""
    return float(np.vdot(a, b)) if is_numpy(a) else namespace(a).sum(a * b)
