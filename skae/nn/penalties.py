"""Penalties on the encoder or on the weights.

A penalty is called between the forward and the backward pass as ``penalty(params, trace, seed)``. It
returns its value and leaves its gradient in the records of ``trace.encoder`` and ``trace.decoder``, where the backward
pass picks it up: see :class:`~skae.nn.layer.LayerRecord`. It may leave out the gradient unless ``trace.with_gradient``,
as for the error on held-out rows.
"""

from abc import ABC, abstractmethod

import numpy as np

from .._arrays.contraction import (
    differentiate_contraction,
    differentiate_curvature,
    squared_row_norms,
)
from .._arrays.namespace import (
    dot,
    empty,
    empty_like,
    is_numpy,
    multiply_into,
    namespace,
    precision_of,
    scalar,
    sum_rows,
    total,
)
from .._threads import ELEMENT, product, share
from .corruption import GaussianNoise
from .layer import DenseLayer
from .noise import shifted_seed


class Penalty(ABC):
    """A term of an objective; subclasses override what differs from the defaults here.

    ``can_be_captured`` says that the penalty works on arrays of any library and does the same work for each batch.
    ``rows_per_sample`` is how many ``WeightRows`` of a trace it can claim for each sample; their products are added to
    the encoder's gradient.
    """

    can_be_captured = False
    rows_per_sample = 0

    @abstractmethod
    def __call__(self, params, trace, seed):
        """Return the value; leave the gradient in the records of ``trace``."""

    def draw(self, n_samples, seed):
        """Return what it draws on the CPU, in int64; in a captured step, ``trace.rng`` has these draws."""
        return np.empty(0, np.int64)


class WeightDecay(Penalty):
    """``strength / 2`` times the squared norm of all weights; tied weights count once."""

    can_be_captured = True

    def __init__(self, strength):
        self.strength = strength

    def __call__(self, params, trace, seed):
        value = 0.0
        for weights, record in zip(params.encoder_weights, trace.encoder):
            value += self._decay(weights, record)
        if params.decoder_weights is not params.encoder_weights:
            for weights, record in zip(params.decoder_weights, reversed(trace.decoder)):
                value += self._decay(weights, record)
        return 0.5 * float(self.strength) * value

    def _decay(self, weights, record):
        if is_numpy(weights):
            scales = np.broadcast_to(weights.dtype.type(self.strength), len(weights))
            record.row_scales.append(scales)
            return float(np.vdot(weights, weights))
        record.row_scales.append(namespace(weights).ones_like(weights[:, 0]) * float(self.strength))
        return dot(weights, weights)


def weight_decays(strength):
    """Return the list of penalties for weight decay of ``strength``: empty for 0."""
    return [WeightDecay(strength)] if strength else []


class ActivitySparsity(Penalty):
    """``strength`` times the divergence of the mean activities q of sigmoid units from a target p.

    sum_j p log(p / q_j) + (1 - p) log((1 - p) / (1 - q_j)), with q the mean of the codes of a batch (Hinton 2010,
    section 11).
    """

    can_be_captured = True

    def __init__(self, strength, target):
        self.strength, self.target = strength, target

    def __call__(self, params, trace, seed):
        codes, p, xp = trace.codes, self.target, namespace(trace.codes)
        weights, eps = trace.sample_weights, precision_of(codes)
        n = xp.sum(weights)
        q = weights @ codes / n
        # Not by clip, which may wait for a device.
        q = xp.minimum(xp.maximum(q, xp.full_like(q, eps)), xp.full_like(q, 1 - eps))
        gradients = self.strength * (q - p) / (q * (1 - q))
        delta = trace.scratch(self, empty_like, codes)
        multiply_into(codes, 1 - codes, delta)
        delta *= weights[:, None] * gradients / n
        trace.encoder[-1].delta_terms.append(delta)
        return self.strength * total(p * xp.log(p / q) + (1 - p) * xp.log((1 - p) / (1 - q)))


class Contraction(Penalty):
    """``strength`` times the mean of ||dh/dx||_F^2, exact for a one-layer encoder (Rifai et al. 2011, eq. 7)."""

    can_be_captured = True

    def __init__(self, strength, activation):
        self.strength, self.kind = strength, activation.kind

    def __call__(self, params, trace, seed):
        weights = params.encoder_weights[0]
        workspace = trace.scratch(self, _OneLayerWorkspace, trace)
        strength = scalar(self.strength, workspace.delta)
        multiply_into(trace.sample_weights, strength, workspace.sample_weights)

        def work(units):
            squared_row_norms(weights[units, ...], workspace.row_norms[units])
            differentiate_contraction(
                self.kind,
                trace.codes,
                workspace.row_norms,
                workspace.sample_weights,
                workspace.delta,
                workspace.row_scales,
                units.start,
                units.stop,
            )

        share(work, weights.shape[0], (weights.shape[1] + trace.n_samples) * ELEMENT)
        return workspace.finish(trace)


class Curvature(Penalty):
    """``strength`` times the mean of ||J(x) - J(x + e)||_F^2, e normal: CAE+H (Rifai et al. ECML 2011, eq. 5).

    The expectation over e is estimated from ``n_samples`` draws per step; given the draws, value and gradient are exact
    for a one-layer encoder.
    """

    can_be_captured = True

    def __init__(self, strength, activation, sigma, n_samples):
        self.strength, self.activation = strength, activation
        self.shift, self.n_samples = GaussianNoise(sigma), n_samples

    def __call__(self, params, trace, seed):
        weights, bias = params.encoder_weights[0], params.encoder_biases[0]
        workspace = trace.scratch(self, _OneLayerWorkspace, trace)
        strength = scalar(self.strength / self.n_samples, workspace.delta)
        multiply_into(trace.sample_weights, strength, workspace.sample_weights)
        squared_row_norms(weights, workspace.row_norms)
        workspace.delta[...], workspace.row_scales[...] = 0, 0
        owner = self, "draws"
        draws = trace.scratch(owner, _DrawWorkspace, trace, weights, self.n_samples)
        layer, record = DenseLayer(weights, bias, self.activation), trace.encoder[0]
        for number, gradient in enumerate(draws.gradients):
            self.shift(trace.inputs, shifted_seed(seed, number), draws.shifted)
            layer.forward(draws.shifted, draws.codes)

            def work(units):
                differentiate_curvature(
                    self.activation.kind,
                    trace.codes,
                    draws.codes,
                    workspace.row_norms,
                    workspace.sample_weights,
                    workspace.delta,
                    draws.delta,
                    workspace.row_scales,
                    units.start,
                    units.stop,
                )

            share(work, weights.shape[0], trace.n_samples * ELEMENT)
            product(draws.delta.T, draws.shifted, gradient)
            record.weight_terms.append(gradient)
            sum_rows(draws.delta, draws.bias_gradients[number])
            record.bias_terms.append(draws.bias_gradients[number])
        return workspace.finish(trace)


class _OneLayerWorkspace:
    """Buffers of a penalty that is quadratic in the derivatives: sum_i v_i sum_j (...)_ij^2 ||w_j||^2."""

    def __init__(self, trace):
        self.delta = empty_like(trace.codes)
        self.row_norms = empty(trace.codes.shape[1], trace.codes)
        self.row_scales = empty_like(self.row_norms)
        self.sample_weights = empty_like(trace.sample_weights)

    def finish(self, trace):
        """Leave the gradient in ``trace``; return the value."""
        trace.encoder[0].delta_terms.append(self.delta)
        trace.encoder[0].row_scales.append(self.row_scales)
        return 0.5 * dot(self.row_scales, self.row_norms)


class _DrawWorkspace:
    """Buffers of the encoder at shifted inputs."""

    def __init__(self, trace, weights, n_draws):
        self.shifted = empty_like(trace.inputs)
        self.codes = empty_like(trace.codes)
        self.delta = empty_like(trace.codes)
        self.gradients = [empty_like(weights) for _ in range(n_draws)]
        self.bias_gradients = [empty(weights.shape[0], weights) for _ in range(n_draws)]
