"""The package's objective on one batch: the loss of the output for a corrupted input, plus penalties."""

from functools import partial

import numpy as np

from .._arrays.namespace import (
    Constant,
    array_kind,
    cast,
    dot,
    empty,
    empty_like,
    is_numpy,
    namespace,
)
from .._protocols import TrainingObjective
from .activations import Elementwise
from .corruption import Noise
from .losses import Reconstruction
from .network import Network
from .network_gradient import NetworkGradient, has_products_of_few_rows
from .noise import draw_seeds
from .penalties import Penalty
from .user_parts import check_activation, checked_corruption, checked_penalty


class Objective(TrainingObjective):
    """Mean over samples of a loss, plus penalties.

    The loss is that of the reconstruction of x from corrupted x or, for a network without a decoder, that of the
    prediction of the batch's targets from x.

    Parameters
    ----------
    network : Network
    loss : Reconstruction
    corruption : callable or None
        Function of (X, seed, out) that fills ``out`` with a corruption of ``X``.
    emphasis : pair of float or None
        Loss weights of the corrupted and of the clean cells (Vincent et al. 2010, section 5).
    penalties : sequence of Penalty
        See :mod:`skae.nn.penalties`.
    n_frozen : int
        Number of the encoder's lowest layers that stay as they are: their gradient is 0.
    row_factors : ndarray of shape (n_samples,) or None
        Factors on the sample weights of the rows of the data: 0 for a row without a target.
    """

    def __init__(
        self,
        network,
        loss,
        *,
        corruption=None,
        emphasis=None,
        penalties=(),
        n_frozen=0,
        row_factors=None,
    ):
        _check_parts(loss, corruption, emphasis, penalties)
        self.network, self.loss, self._is_new = network, loss, True
        self.row_factors = None if row_factors is None else Constant(row_factors)
        self.corruption, self.emphasis, self.penalties = corruption, emphasis, penalties
        self.largest_cell_weight = 1.0 if emphasis is None else max(emphasis)
        # Not every network has layers that can be frozen.
        self._backward = (
            partial(network.backward, n_frozen=n_frozen) if n_frozen else network.backward
        )
        self._workspaces = {}
        self._flat = self._params = self._grad = self._gradients = None

    def draw(self, n_samples, rng):
        """Return the random numbers of a step on ``n_samples`` samples, in int64: seeds, and what penalties draw."""
        seeds = draw_seeds(rng)
        return np.concatenate([seeds, *[each.draw(n_samples, seeds[1]) for each in self.penalties]])

    def new_gradient(self, params, batch_size):
        """Return memory for a gradient that is only subtracted."""
        is_dense = type(self.network) is Network
        if is_dense and has_products_of_few_rows(self.network, params, batch_size):
            return NetworkGradient(self.network, params)
        return empty_like(params)

    @property
    def can_be_captured(self):
        """bool: whether a step on a device is the same work for any data, without waiting for the device."""
        known = self.corruption is None or isinstance(self.corruption, Noise)
        parts = *self.network.activations, *self.penalties
        return known and all(each.can_be_captured for each in parts)

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` with the gradient unless it is None."""
        corruption, penalties = self.corruption, self.penalties
        if self._is_new:
            corruption, penalties = self._checked_parts(flat)
            self._is_new = False
        params, gradients, trace, target, cell_weights = self._arrays(batch.n_rows, flat, grad)
        trace.start()
        trace.rng, clean, seeds = rng, trace.clean, batch.seeds(rng)
        trace.with_gradient = grad is not None
        # 1. The rows of the batch, with their weights and targets, unless they are those of the last call.
        if trace.batch is not batch:
            batch.rows(clean, trace.sample_weights)
            if self.row_factors is not None:
                trace.sample_weights *= batch.pick(self.row_factors)
            if target is not clean:
                batch.targets(out=target)
            trace.missing = _fill_missing(clean) if batch.may_miss else None
            trace.batch = batch
        # 2. Noise at the inputs, and the weights of noisy, of clean and of missing cells.
        if corruption is not None:
            batch.corrupt(corruption, clean, seeds[0], trace.inputs)
        if self.emphasis is not None:
            batch.draw(partial(self._emphasize, seeds[0]), target, cell_weights)
        if trace.missing is not None:
            present = cast(~trace.missing, clean.dtype)
            cell_weights = present if self.emphasis is None else cell_weights * present
        # 3. Forward pass, penalties and loss, and the backward pass of all of them.
        self.network.forward(params, trace, seeds[2])
        value = 0.0
        for penalty in penalties:
            value += penalty(params, trace, seeds[1])
        weights, losses = trace.sample_weights, trace.losses
        self.loss.loss_and_gradient(trace.logits, target, weights, cell_weights, losses)
        value += dot(losses, weights)
        if grad is not None:
            self._backward(params, trace, gradients)
        return value

    def _checked_parts(self, flat):
        """Return corruption and penalties; those that users have written check themselves. Check activations of users."""
        corruption, penalties = self.corruption, self.penalties
        if corruption is not None and not isinstance(corruption, Noise):
            corruption = checked_corruption(corruption)
        if is_numpy(flat):
            network = self.network
            for activation, width in zip(network.activations, network.sizes[1:]):
                if not isinstance(activation, Elementwise):
                    check_activation(activation, width, flat.dtype)
            penalties = [
                each if each.can_be_captured else checked_penalty(each, flat) for each in penalties
            ]
        return corruption, penalties

    def _emphasize(self, seed, rows, out):
        self.corruption.emphasize(rows, seed, *self.emphasis, out)

    def _arrays(self, n_samples, flat, grad):
        """Return the views of both vectors, and for batches of this size a trace and buffers of targets and cell weights.

        They are mostly those of the last step. The clean rows in the trace are its inputs if nothing corrupts them, and
        are the targets of reconstructions. Weights of cells are empty if all are 1.
        """
        if self._flat is not flat:
            self._flat, self._params = flat, self.network.views(flat)
        if grad is not None and self._grad is not grad:
            self._grad = grad
            factored = isinstance(grad, NetworkGradient)
            self._gradients = grad.views if factored else self.network.views(grad)
        key = n_samples, array_kind(flat)
        if key not in self._workspaces:
            trace = self.network.trace(n_samples, flat, self.penalties)
            trace.batch = None
            trace.clean = trace.inputs if self.corruption is None else empty_like(trace.inputs)
            target = trace.clean if self.network.decoder else empty_like(trace.logits)
            shape = trace.inputs.shape if self.emphasis is not None else (0, 0)
            self._workspaces[key] = trace, target, empty(shape, flat)
        return self._params, self._gradients, *self._workspaces[key]


def _check_parts(loss, corruption, emphasis, penalties):
    """Raise unless these can be the parts of an ``Objective``."""
    if not isinstance(loss, Reconstruction):
        raise TypeError(f"loss must be a Reconstruction, such as units.loss; got {loss!r}.")
    if emphasis is not None and corruption is None:
        raise ValueError("emphasis needs a corruption.")
    if not isinstance(penalties, (list, tuple)):
        raise TypeError(f"penalties must be a list; got {penalties!r}.")
    for each in penalties:
        if not isinstance(each, Penalty):
            raise TypeError(
                f"penalties must hold instances of classes that derive from skae.nn.penalties.Penalty; got {each!r}."
            )


def _fill_missing(rows):
    """Set missing values to 0, in place; return a mask of them, or None if there are none."""
    xp = namespace(rows)
    if is_numpy(rows) and not np.isnan(rows.sum()):
        return None
    missing = xp.isnan(rows)
    rows[...] = xp.where(missing, xp.zeros_like(rows), rows)
    return missing
