"""Penalties on Jacobians of any depth, by forward mode: see :mod:`skae.nn.penalties` for the protocol."""

import numpy as np

from .._kernels.random import signs
from .._kernels.tangents import squares
from .._threads import product
from .corruption import Gaussian
from .layer import propagate
from .noise import keys
from .tangents import Link, linearize, linearize_encoder, pull_back, push_forward

_ROWS = 4096  # directions times samples that are carried at once: full speed in bounded memory


class Directions:
    """The directions v of ||J||_F^2 = sum_v ||J v||^2, in blocks.

    Parameters
    ----------
    count : int or None
        None for all unit vectors, which is exact. Otherwise so many random vectors of signs for
        each sample; since E v v' = I, the mean of ||J v||^2 over them is unbiased (Hutchinson 1990).
    """

    def __init__(self, count):
        self.count = count

    def at_once(self, n_samples, n_features):
        """Return the largest number of directions in a block."""
        return max(1, min(self.count or n_features, _ROWS // n_samples))

    def scale(self):
        """Return the weight of each direction in the sum."""
        return 1 / (self.count or 1)

    def blocks(self, X, seed, out):
        """Yield slices of the unit vectors, or parts of ``out`` filled with signs."""
        count = self.count or X.shape[1]
        step = self.at_once(*X.shape)
        for start in range(0, count, step):
            stop = min(start + step, count)
            if self.count is None:
                yield slice(start, stop)
                continue
            for k in range(start, stop):
                signs(*keys(X, seed + np.uint64(k)), out[k - start])
            yield out[: stop - start]

    def buffer(self, X):
        """Return memory for a block."""
        count = 0 if self.count is None else self.at_once(*X.shape)
        return np.empty((count, *X.shape), X.dtype)


class JacobianContraction:
    """``strength`` times the mean of ||dh/dx||_F^2, or of ||dr/dx||_F^2 when ``loss`` is given.

    Parameters
    ----------
    strength : float
    network : Network
    n_directions : int or None
        See :class:`Directions`.
    loss : Reconstruction or None
        The output units of r.
    """

    def __init__(self, strength, network, *, n_directions=None, loss=None):
        self.strength, self.network, self.loss = strength, network, loss
        self.directions = Directions(n_directions)

    def __call__(self, params, trace, seed):
        space = trace.scratch(self, lambda: self._space(params, trace))
        links, weights, signs_buffer, means = space
        np.multiply(
            trace.sample_weights,
            weights.dtype.type(self.strength * self.directions.scale()),
            out=weights,
        )
        self._linearize(params, trace, links, means)
        value = 0.0
        for directions in self.directions.blocks(trace.inputs, seed, signs_buffer):
            tangents = push_forward(links, directions)
            value += squares(tangents, weights, tangents)
            pull_back(links, directions, tangents)
        depth = self.network.depth
        for layer, link in enumerate(links[:depth]):
            trace.encoder_pushes[layer].append(link.push)
            trace.encoder_pulls[layer].append(link.gradient)
        for layer, link in zip(reversed(range(depth)), links[depth:]):
            trace.decoder_pushes[layer].append(link.push)
            trace.decoder_pulls[layer].append(link.gradient)
        return value

    def _space(self, params, trace):
        count = self.directions.at_once(*trace.inputs.shape)
        links = [Link(w, True, trace.n_samples, count) for w in params.encoder_weights]
        if self.loss is not None:
            down = reversed(params.decoder_weights)
            links += [Link(w, False, trace.n_samples, count) for w in down]
        buffer = self.directions.buffer(trace.inputs)
        return links, np.empty_like(trace.sample_weights), buffer, np.empty_like(trace.logits)

    def _linearize(self, params, trace, links, means):
        linearize_encoder(links, self.network, params, trace.encoder_outputs)
        depth = self.network.depth
        for layer, link in zip(reversed(range(depth)), links[depth:]):
            link.start(params.decoder_weights[layer])
            if layer:
                linearize(link, self.network.downward[layer].kind, trace.decoder_inputs[layer - 1])
            else:
                means[:] = trace.logits
                self.loss.activate(means)
                self.loss.derive(means, link.slopes, link.bends)


class JacobianCurvature:
    """``strength`` times the mean of ||J(x) - J(x + e)||_F^2, e normal, for an encoder of any depth.

    ``n_samples`` draws of e a step; for each, the same ``n_directions`` (see :class:`Directions`) go
    through both Jacobians.
    """

    def __init__(self, strength, network, sigma, n_samples, *, n_directions=None):
        self.strength, self.network = strength, network
        self.shift, self.n_samples = Gaussian(sigma), n_samples
        self.directions = Directions(n_directions)

    def __call__(self, params, trace, seed):
        space = trace.scratch(self, lambda: _ShiftSpace(params, trace, self.directions))
        scale = self.strength * self.directions.scale() / self.n_samples
        np.multiply(trace.sample_weights, space.weights.dtype.type(scale), out=space.weights)
        linearize_encoder(space.links, self.network, params, trace.encoder_outputs)
        for total in space.bias_totals:
            total[:] = 0
        value = 0.0
        for number in range(self.n_samples):
            self.shift(trace.inputs, seed + np.uint64(number), space.inputs)
            self._encode(params, space)
            for directions in self.directions.blocks(trace.inputs, seed, space.signs):
                here = push_forward(space.links, directions)
                there = push_forward(space.shifted, directions)
                here -= there
                value += squares(here, space.weights, here)
                np.negative(here, out=there)
                pull_back(space.links, directions, here)
                pull_back(space.shifted, directions, there)
            self._back(space)
        for layer, link in enumerate(space.links):
            trace.encoder_pushes[layer].append(link.push)
            trace.encoder_pulls[layer].append(link.gradient)
            trace.encoder_bias_pulls[layer].append(space.bias_totals[layer])
        return value

    def _encode(self, params, space):
        below = space.inputs
        for layer, link in enumerate(space.shifted):
            link.start(params.encoder_weights[layer])
            activation, bias = self.network.activations[layer], params.encoder_biases[layer]
            propagate(below, link.matrix, activation, bias, space.outputs[layer])
            linearize(link, activation.kind, space.outputs[layer])
            below = space.outputs[layer]

    def _back(self, space):
        """Carry the pushes at the shifted samples down to weights and biases."""
        for layer in reversed(range(len(space.shifted))):
            link = space.shifted[layer]
            below = space.outputs[layer - 1] if layer else space.inputs
            link.add_gradient(below, link.push)
            space.links[layer].gradient += link.gradient
            space.bias_totals[layer] += link.push.sum(axis=0)
            if layer:
                lower = space.shifted[layer - 1]
                product(link.push, link.matrix.T, below)
                below *= lower.slopes
                lower.push += below


class _ShiftSpace:
    """Buffers of an encoder's tangents at the samples and at shifted samples."""

    def __init__(self, params, trace, directions):
        count = directions.at_once(*trace.inputs.shape)
        self.links, self.shifted = (
            [Link(w, True, trace.n_samples, count) for w in params.encoder_weights]
            for _ in range(2)
        )
        self.inputs = np.empty_like(trace.inputs)
        self.outputs = [np.empty_like(outputs) for outputs in trace.encoder_outputs]
        self.bias_totals = [np.empty_like(bias) for bias in params.encoder_biases]
        self.weights = np.empty_like(trace.sample_weights)
        self.signs = directions.buffer(trace.inputs)
