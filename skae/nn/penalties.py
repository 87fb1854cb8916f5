"""Penalties on the encoder or on the weights.

A penalty is called between the forward and the backward pass as ``penalty(params, trace, seed)``. It
returns its value and leaves its gradient in the trace, where the backward pass picks it up:
``pushes`` on pre-activations, ``row_scales`` (a multiple of each weight row) and ``products``.
"""

import numpy as np

from .._kernels.contraction import contract, curve, squared_row_norms


class WeightDecay:
    """``strength / 2`` times the squared norm of all weights; tied weights count once."""

    def __init__(self, strength):
        self.strength = strength

    def __call__(self, params, trace, seed):
        value = 0.0
        for layer, weights in enumerate(params.encoder_weights):
            value += np.vdot(weights, weights)
            _row_scales(trace.encoder_row_scales, layer, weights)[:] += self.strength
            decoder = params.decoder_weights[layer]
            if decoder is not weights:
                value += np.vdot(decoder, decoder)
                _row_scales(trace.decoder_row_scales, layer, decoder)[:] += self.strength
        return 0.5 * self.strength * float(value)


class Contraction:
    """``strength`` times the mean of ||dh/dx||_F^2, exact for a one-layer encoder (Rifai et al. 2011, eq. 7)."""

    def __init__(self, strength, activation):
        self.strength, self.kind = strength, activation.kind

    def __call__(self, params, trace, seed):
        weights = params.encoder_weights[0]
        row_norms = np.empty(len(weights), weights.dtype)
        squared_row_norms(weights, row_norms)
        push = np.zeros_like(trace.codes)
        mine = np.zeros_like(row_norms)
        scaled = trace.sample_weights * weights.dtype.type(self.strength)
        contract(self.kind, trace.codes, row_norms, scaled, push, mine)
        trace.encoder_pushes[0].append(push)
        _row_scales(trace.encoder_row_scales, 0, weights)[:] += mine
        return 0.5 * float(mine @ row_norms)


class Curvature:
    """``strength`` times the mean of ||J(x) - J(x + e)||_F^2, e normal: CAE+H (Rifai et al. ECML 2011, eq. 5).

    The expectation over e is estimated by ``n_samples`` draws a step; given the draws, value and
    gradient are exact for a one-layer encoder.
    """

    def __init__(self, strength, activation, sigma, n_samples):
        self.strength, self.activation = strength, activation
        self.sigma, self.n_samples = sigma, n_samples

    def __call__(self, params, trace, seed):
        weights = params.encoder_weights[0]
        number = weights.dtype.type
        row_norms = np.empty(len(weights), weights.dtype)
        squared_row_norms(weights, row_norms)
        mine = np.zeros_like(row_norms)
        push = np.zeros_like(trace.codes)
        scaled = trace.sample_weights * number(self.strength / self.n_samples)
        rng = np.random.default_rng(int(seed))
        for _ in range(self.n_samples):
            shifted = rng.standard_normal(trace.inputs.shape, dtype=weights.dtype)
            shifted *= number(self.sigma)
            shifted += trace.inputs
            codes = shifted @ weights.T
            self.activation.apply(codes, params.encoder_biases[0])
            back = np.empty_like(codes)
            curve(self.activation.kind, trace.codes, codes, row_norms, scaled, push, back, mine)
            trace.encoder_products[0].append((back, shifted))
            trace.encoder_bias_pulls.append(back.sum(axis=0))
        trace.encoder_pushes[0].append(push)
        _row_scales(trace.encoder_row_scales, 0, weights)[:] += mine
        return 0.5 * float(mine @ row_norms)


def _row_scales(scales, layer, weights):
    if scales[layer] is None:
        scales[layer] = np.zeros(len(weights), weights.dtype)
    return scales[layer]
