"""Restricted Boltzmann machines: p(x, h) proportional to exp(h'Wx + b'h + c'x) times the visible units' base density.

The parameters are those of a tied one-layer network: its codes are the means of h given x, and the logits of its
output units are W'h + c.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from .._arrays import boltzmann as kernels
from .._arrays.activations import softplus_of
from .._arrays.namespace import (
    Constant,
    array_kind,
    copy,
    dot,
    empty,
    is_numpy,
    like,
    multiply_into,
    namespace,
    scalar,
    size,
)
from .._arrays.products import multiplier
from .._protocols import Observer, TrainingObjective
from .._threads import ELEMENT, share
from .activations import ACTIVATIONS
from .centering import CenteredSteps
from .layer import DenseLayer, LayerRecord, Records, WeightGradient, WeightRows
from .noise import draw_keys, fresh_keys

_ROWS_PER_MONITORED = 32  # one row in 32 of a minibatch is reconstructed, to monitor training


def hidden_means(params, visible, out, scale=1):
    """out <- p(h = 1 | x), with weights times ``scale``."""
    weights, bias = params.encoder_weights[0], params.encoder_biases[0]
    DenseLayer(_scaled(weights, scale), bias, ACTIVATIONS["sigmoid"]).forward(visible, out)


def visible_logits(params, hidden, out, scale=1):
    """out <- the logits of x given h, with weights times ``scale``."""
    weights, bias = params.decoder_weights[0], params.decoder_biases[0]
    DenseLayer(_scaled(weights, scale).T, bias, ACTIVATIONS["identity"]).forward(hidden, out)


def draw(means, rng, out):
    """out <- 1 with probability ``means``, else 0."""
    rows, columns = fresh_keys(means, rng)

    def work(part):
        kernels.draw_bernoulli(means[part, ...], rows[part], columns, out[part, ...])

    share(work, means.shape[0], ELEMENT * means.shape[1])


class _BinaryDraws(NamedTuple):
    """Stands in for an activation: its outputs are Bernoulli draws."""

    rows: np.ndarray
    columns: np.ndarray
    whole_row = False

    def forward(self, a, bias, rows=slice(None), units=slice(None)):
        """a <- 1 with probability sigmoid(a + bias), else 0, in some rows and the columns ``units``."""
        start, stop, _ = units.indices(a.shape[1])
        kernels.bernoulli_units(a[rows, ...], bias, self.rows[rows], self.columns, start, stop)


def draw_visible(params, units, hidden, rng, out, scale=1):
    """Draw x given h, with weights times ``scale``."""
    if not units.binary:
        visible_logits(params, hidden, out, scale)
        units.sample(out, rng)
        return
    weights, bias = params.decoder_weights[0], params.decoder_biases[0]
    draws = _BinaryDraws(*fresh_keys(out, rng))
    DenseLayer(_scaled(weights, scale).T, bias, draws).forward(hidden, out)


def gibbs_step(params, units, visible, means, hidden, rng):
    """Draw ``hidden`` given ``visible``, then ``visible`` given ``hidden``; ``means`` <- p(hidden = 1 | visible)."""
    hidden_means(params, visible, means)
    draw(means, rng, hidden)
    draw_visible(params, units, hidden, rng, visible)


def log_densities(params, units, X):
    """Return log p(x) of each row up to the normalizer (minus the free energy), in float64."""
    pre_activations = X @ params.encoder_weights[0].T + params.encoder_biases[0]
    if is_numpy(X):
        values = np.logaddexp(0, pre_activations).sum(axis=1, dtype=np.float64)
        return values + X @ params.decoder_biases[0] + units.log_base(X)
    xp = namespace(X)
    values = xp.sum(softplus_of(pre_activations), axis=1, dtype=xp.float64) + units.log_base(X)
    return xp.astype(values, X.dtype) + X @ params.decoder_biases[0]


def _scaled(weights, scale):
    return weights if scale == 1 else weights * scalar(scale, weights)


class Chains(Observer):
    """Gibbs chains that persist across steps (persistent contrastive divergence), kept in the training state.

    Parameters
    ----------
    n_chains : int
    n_hidden : int
    dtype : dtype
    """

    def __init__(self, n_chains, n_hidden, dtype):
        self.n_chains, self.key = n_chains, "chains"
        # All units start off: the first samples depend on the visible biases alone.
        self.hidden = np.zeros((n_chains, n_hidden), dtype)

    def epoch_begin(self, state):
        """Restore the chains from ``state`` if it has the same number of them; else start new ones."""
        # Move the chains to the library and device of the training.
        self.hidden = like(self.hidden, state.params)
        stored = state.extra.get(self.key)
        if stored is not None and stored.shape == self.hidden.shape:
            self.hidden[...] = stored

    def epoch_end(self, state):
        """Store the chains in ``state``."""
        state.extra[self.key] = copy(self.hidden)
        return False

    def extra_arrays(self, params):
        """Return the chains under their key in ``state``."""
        return {self.key: self.hidden}

    def merge(self, parts):
        """Take the chains in turn from ``parts``, the results of ``extra_arrays`` after steps on parts of the rows."""
        for number, part in enumerate(parts):
            self.hidden[number :: len(parts)] = part[self.key][number :: len(parts)]


class BoltzmannObjective(TrainingObjective):
    """Contrastive divergence: the gradient of mean F(data) - mean F(samples of the model), F the free energy.

    The samples are treated as constants. Short chains start at the data (CD-k, Hinton 2002) or continue from the last
    step (PCD, Tieleman 2008). The value is not this contrast, which stays near 0, but the mean reconstruction loss of
    some of the rows.

    Parameters
    ----------
    network : Network
        One layer, tied.
    units : Reconstruction
        The visible units.
    n_steps : int
        Gibbs steps between data and samples, or from one sample to the next.
    chains : Chains or None
        Persistent chains.
    penalties : sequence of Penalty
        See :mod:`skae.nn.penalties`.
    monitored : Reconstruction or None
        Units whose reconstruction loss is the value; ``units`` by default.
    infer : callable
        ``infer(params, visible, out)`` fills ``out`` with the hidden means at data.
    scales : (float, float)
        Factors on the weights on the way up and down.
    mask : ndarray or None
        Mask of the weights: 0 where there is no connection.
    means : ndarray of shape (n_visible,) or None
        Means of the visible units in the data, for ``CenteredSteps``.
    """

    monitors_loss = False

    def __init__(
        self,
        network,
        units,
        *,
        n_steps=1,
        chains=None,
        penalties=(),
        monitored=None,
        infer=None,
        scales=(1, 1),
        mask=None,
        means=None,
    ):
        self.network, self.units, self.n_steps, self.chains = network, units, n_steps, chains
        self.penalties = penalties
        self.mask = None if mask is None else Constant(mask)
        self._means_of_data = means
        self._up, self._down = scales
        self.identity = {"scales": scales}
        self._infer, self._monitored = infer or self._means, monitored or units
        self._phases = {}

    @property
    def observers(self):
        """list: observers to call between epochs."""
        return [] if self.chains is None else [self.chains]

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` with the gradient unless it is None."""
        params = self.network.views(flat)
        phases = self._workspace(batch.n_rows, flat)
        phases.start()
        batch.rows(phases.data, phases.sample_weights)
        self._infer(params, phases.data, phases.codes)
        value = sum(penalty(params, phases, 0) for penalty in self.penalties)
        n_rows = batch.n_rows
        n_monitored = n_rows if grad is None else -(-n_rows // _ROWS_PER_MONITORED)
        value += self._reconstruction_loss(params, phases, n_monitored)
        if grad is not None:
            self._negative_phase(params, phases, rng)
            self._contrast(params, phases, self.network.views(grad))
        return value

    def _means(self, params, visible, out):
        hidden_means(params, visible, out, self._up)

    def _reconstruction_loss(self, params, phases, n_rows):
        """Return the batch's part of the mean loss, estimated from its first rows."""
        logits, losses = phases.logits[:n_rows, ...], phases.losses[:n_rows]
        weights, target = phases.sample_weights[:n_rows], phases.data[:n_rows, ...]
        visible_logits(params, phases.codes[:n_rows, ...], logits, self._down)
        self._monitored.loss_and_gradient(logits, target, weights, phases.no_cells, losses)
        return dot(losses, weights) * phases.data.shape[0] / n_rows

    def _negative_phase(self, params, phases, rng):
        """Fill ``phases.samples``, and the means of their hidden units."""
        hidden = phases.hidden if self.chains is None else self.chains.hidden
        if self.chains is None:
            draw(phases.codes, rng, hidden)
        for step in range(self.n_steps):
            if step:
                draw(phases.sample_codes, rng, hidden)
            draw_visible(params, self.units, hidden, rng, phases.samples, self._down)
            self._means(params, phases.samples, phases.sample_codes)
        if self.chains is not None:
            draw(phases.sample_codes, rng, hidden)

    def _contrast(self, params, phases, grad):
        """Compute the gradient from both phases: one product of codes and states, with a minus for the data."""
        weights = phases.sample_weights
        multiply_into(weights, -1, phases.data_coefficients)
        own = weights
        if self.chains is not None:
            own = namespace(weights).sum(weights) / self.chains.n_chains
        phases.sample_coefficients[...] = own
        if is_numpy(weights):
            np.matmul(phases.coefficients, phases.visible, out=grad.decoder_biases[0])
        else:
            grad.decoder_biases[0][...] = phases.coefficients @ phases.visible
        weights = params.encoder_weights[0]
        out, bias = grad.encoder_weights[0], grad.encoder_biases[0]
        record, rows = phases.encoder[0], WeightRows(phases.means, phases.visible)
        gradient = WeightGradient(rows, weights, out, record.row_scales, [])
        add = partial(gradient.add_up, multiplier(out))
        mask = None if self.mask is None else self.mask.like(out)

        def work(units):
            kernels.weigh(phases.coefficients, phases.means, bias, units.start, units.stop)
            for delta in record.delta_terms:
                phases.codes[:, units] += delta[:, units]
                bias[units] += namespace(delta).sum(delta[:, units], axis=0)
            add(units)
            if mask is not None:
                out[units, ...] *= mask[units, ...]

        share(work, weights.shape[0], size(phases.visible))

    @property
    def can_be_captured(self):
        """bool: whether a step on a device is the same work for any data, without waiting for the device."""
        parts = all(each.can_be_captured for each in self.penalties)
        return parts and self._infer == self._means and self.mask is None

    def draw(self, n_samples, rng):
        """Return the random numbers of a step on ``n_samples`` samples, in int64."""
        n = n_samples if self.chains is None else self.chains.n_chains
        # Keys of the hidden states before each step (of chains: after it), and of the visible states.
        return np.concatenate([draw_keys(n, rng) for _ in range(2 * self.n_steps)]).astype(np.int64)

    def adapted(self, solver):
        """Return ``solver``, which makes its steps on the parameters of the centered machine."""
        means, mask = self._means_of_data, self.mask
        if means is None or not means.any():
            return solver
        return CenteredSteps(solver, self.network, means, None if mask is None else mask.array)

    def _workspace(self, n_samples, flat):
        key = n_samples, array_kind(flat)
        if key not in self._phases:
            n_chains = n_samples if self.chains is None else self.chains.n_chains
            self._phases[key] = Phases(n_samples, n_chains, self.network.sizes, flat)
        return self._phases[key]


class Phases(Records):
    """States of a batch, stacked on those of the model's samples, and buffers for penalties.

    Parameters
    ----------
    n_samples, n_chains : int
    sizes : (int, int)
        Numbers of visible and of hidden units.
    like : ndarray
        Array whose library, device and dtype the buffers have.
    """

    def __init__(self, n_samples, n_chains, sizes, like):
        n_visible, n_hidden = sizes
        self.visible = empty((n_samples + n_chains, n_visible), like)
        self.means = empty((n_samples + n_chains, n_hidden), like)
        self.data, self.samples = self.visible[:n_samples, ...], self.visible[n_samples:, ...]
        self.codes, self.sample_codes = self.means[:n_samples, ...], self.means[n_samples:, ...]
        self.hidden = empty((n_chains, n_hidden), like)
        self.coefficients = empty(n_samples + n_chains, like)
        self.data_coefficients = self.coefficients[:n_samples]
        self.sample_coefficients = self.coefficients[n_samples:]
        self.sample_weights, self.losses = empty(n_samples, like), empty(n_samples, like)
        self.logits, self.no_cells = empty((n_samples, n_visible), like), empty((0, 0), like)
        super().__init__([LayerRecord(self.data, self.codes, self.codes)], [])
