"""Penalties on the encoder or on the weights.

A penalty is called between the forward and the backward pass as ``penalty(params, trace, seed)``. It
returns its value and leaves its gradient in the trace, where the backward pass picks it up:
``pushes`` on pre-activations, ``pulls`` on weights and ``row_scales``, multiples of each weight row.
Where the gradient of an encoder's weights is a product of two stacks of rows, a penalty can have these in
the product of the network itself: ``n_rows(n_samples)`` says how many there can be, and the trace has them to be
claimed in each batch.
"""

import numpy as np
from scipy.special import rel_entr

from .._kernels.contraction import contract, curve, squared_row_norms
from .._threads import ELEMENT, product, share
from .corruption import Gaussian
from .layer import propagate


class WeightDecay:
    """``strength / 2`` times the squared norm of all weights; tied weights count once."""

    def __init__(self, strength):
        self.strength = strength

    def __call__(self, params, trace, seed):
        value = 0.0
        for layer, weights in enumerate(params.encoder_weights):
            value += self._decay(weights, trace.encoder_row_scales[layer])
        for layer, weights in enumerate(params.decoder_weights):
            if weights is not params.encoder_weights[layer]:
                value += self._decay(weights, trace.decoder_row_scales[layer])
        return 0.5 * self.strength * value

    def _decay(self, weights, row_scales):
        row_scales.append(np.broadcast_to(weights.dtype.type(self.strength), len(weights)))
        return float(np.vdot(weights, weights))


def weight_decays(strength):
    """Return the penalties that weight decay of ``strength`` comes to: none for 0."""
    return [WeightDecay(strength)] if strength else []


class ActivitySparsity:
    """``strength`` times the divergence of each unit's mean activity q from a target p, of sigmoid units.

    sum_j p log(p / q_j) + (1 - p) log((1 - p) / (1 - q_j)), with q the mean of the codes of a batch (Hinton 2010, section
    11).
    """

    def __init__(self, strength, target):
        self.strength, self.target = strength, target

    def __call__(self, params, trace, seed):
        codes, p = trace.codes, self.target
        eps = np.finfo(codes.dtype).eps
        activity = np.clip(trace.sample_weights @ codes / trace.sample_weights.sum(), eps, 1 - eps)
        pulls = self.strength * (activity - p) / (activity * (1 - activity))
        push = trace.scratch(self, lambda: np.empty_like(codes))
        np.multiply(codes, 1 - codes, out=push)
        push *= trace.sample_weights[:, np.newaxis] * pulls / trace.sample_weights.sum()
        trace.encoder_pushes[-1].append(push)
        return self.strength * float(np.sum(rel_entr(p, activity) + rel_entr(1 - p, 1 - activity)))


class Contraction:
    """``strength`` times the mean of ||dh/dx||_F^2, exact for a one-layer encoder (Rifai et al. 2011, eq. 7)."""

    def __init__(self, strength, activation):
        self.strength, self.kind = strength, activation.kind

    def __call__(self, params, trace, seed):
        weights = params.encoder_weights[0]
        space = trace.scratch(self, lambda: _OneLayerSpace(trace))
        space.start(trace, self.strength)

        def some(units):
            squared_row_norms(weights[units], space.row_norms[units])
            contract(
                self.kind,
                trace.codes,
                space.row_norms,
                space.sample_weights,
                space.push,
                space.row_scales,
                units.start,
                units.stop,
            )

        share(some, len(weights), (weights.shape[1] + len(trace.codes)) * ELEMENT)
        return space.publish(trace)


class Curvature:
    """``strength`` times the mean of ||J(x) - J(x + e)||_F^2, e normal: CAE+H (Rifai et al. ECML 2011, eq. 5).

    The expectation over e is estimated by ``n_samples`` draws a step; given the draws, value and
    gradient are exact for a one-layer encoder.
    """

    def __init__(self, strength, activation, sigma, n_samples):
        self.strength, self.activation = strength, activation
        self.shift, self.n_samples = Gaussian(sigma), n_samples

    def __call__(self, params, trace, seed):
        weights, bias = params.encoder_weights[0], params.encoder_biases[0]
        space = trace.scratch(self, lambda: _OneLayerSpace(trace))
        space.start(trace, self.strength / self.n_samples)
        squared_row_norms(weights, space.row_norms)
        space.push[:], space.row_scales[:] = 0, 0
        draws = trace.scratch((self, "draws"), lambda: _DrawSpace(trace, weights, self.n_samples))
        for number, pull in enumerate(draws.pulls):
            self.shift(trace.inputs, seed + np.uint64(number), draws.shifted)
            propagate(draws.shifted, weights.T, self.activation, bias, draws.codes)

            def some(units):
                curve(
                    self.activation.kind,
                    trace.codes,
                    draws.codes,
                    space.row_norms,
                    space.sample_weights,
                    space.push,
                    draws.push,
                    space.row_scales,
                    units.start,
                    units.stop,
                )

            share(some, len(weights), len(trace.codes) * ELEMENT)
            product(draws.push.T, draws.shifted, pull)
            trace.encoder_pulls[0].append(pull)
            np.sum(draws.push, axis=0, out=draws.bias_pulls[number])
            trace.encoder_bias_pulls[0].append(draws.bias_pulls[number])
        return space.publish(trace)


class _OneLayerSpace:
    """Buffers of a penalty that is quadratic in the slopes: sum_i v_i sum_j (...)_ij^2 ||w_j||^2."""

    def __init__(self, trace):
        self.push = np.empty_like(trace.codes)
        self.row_norms = np.empty(trace.codes.shape[1], trace.codes.dtype)
        self.row_scales = np.empty_like(self.row_norms)
        self.sample_weights = np.empty_like(trace.sample_weights)

    def start(self, trace, strength):
        np.multiply(trace.sample_weights, self.push.dtype.type(strength), out=self.sample_weights)

    def publish(self, trace):
        """Leave the gradient in ``trace``; return the value."""
        trace.encoder_pushes[0].append(self.push)
        trace.encoder_row_scales[0].append(self.row_scales)
        return 0.5 * float(self.row_scales @ self.row_norms)


class _DrawSpace:
    """Buffers of the encoder at shifted inputs."""

    def __init__(self, trace, weights, n_draws):
        self.shifted = np.empty_like(trace.inputs)
        self.codes = np.empty_like(trace.codes)
        self.push = np.empty_like(trace.codes)
        self.pulls = [np.empty_like(weights) for _ in range(n_draws)]
        self.bias_pulls = np.empty((n_draws, len(weights)), weights.dtype)
