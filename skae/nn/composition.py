"""The sum of two objectives, of networks whose encoders share layers."""

import numpy as np

from .._arrays.namespace import array_kind, empty, scalar
from .._protocols import TrainingObjective


class SharedEncoder(TrainingObjective):
    """The objective ``first`` plus ``weight`` times ``second``, where both share the lowest encoder layers.

    They share as many layers as both encoders have. The flat vector is that of ``first``, followed by the parameters
    that only ``second`` has.

    Parameters
    ----------
    first, second : Objective
    weight : float
    """

    def __init__(self, first, second, weight):
        self.first, self.second, self.weight = first, second, weight
        self.monitors_loss = first.monitors_loss and second.monitors_loss
        self.observers = [*first.observers, *second.observers]
        self.can_be_captured = first.can_be_captured and second.can_be_captured
        self.identity = {**first.identity, **second.identity, "weight of the second loss": weight}
        self._slices = _slices(first.network, second.network)
        self._buffers = {}

    def draw(self, n_samples, rng):
        """Return the random numbers of a step on ``n_samples`` samples, in int64."""
        return np.concatenate([each.draw(n_samples, rng) for each in (self.first, self.second)])

    def adapted(self, solver):
        """Return ``solver``, or one that makes its steps in other coordinates of the parameters of ``first``."""
        return self.first.adapted(solver)

    def join(self, first, second):
        """Return the flat vector of both from that of each; shared layers are those of ``first``."""
        rest = [second[part] for part, place in self._slices if place.start >= len(first)]
        return np.concatenate([first, *rest]).astype(first.dtype)

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` unless it is None."""
        size = self.first.network.size
        value = self.first(flat[:size], batch, None if grad is None else grad[:size], rng)
        params, extra = self._buffer(flat)
        for part, place in self._slices:
            params[part] = flat[place]
        value += self.weight * self.second(params, batch, None if grad is None else extra, rng)
        if grad is not None:
            grad[size:] = 0
            extra *= scalar(self.weight, extra)
            for part, place in self._slices:
                grad[place] += extra[part]
        return value

    def _buffer(self, flat):
        """Return arrays for the parameters and the gradient of ``second``, on the device of ``flat``."""
        key = array_kind(flat)
        if key not in self._buffers:
            size = self.second.network.size
            self._buffers[key] = empty(size, flat), empty(size, flat)
        return self._buffers[key]


def _slices(first, second):
    """Return pairs of slices: of the flat vector of ``second``, and of the same entries in the vector of both."""
    # The position of each entry of ``second``: that in ``first`` for shared layers, else one after ``first``.
    places = np.full(second.size, -1)
    in_first, in_second = first.views(np.arange(first.size)), second.views(places)
    shared_layers = (
        *zip(in_first.encoder_weights, in_second.encoder_weights),
        *zip(in_first.encoder_biases, in_second.encoder_biases),
    )
    for source, target in shared_layers:
        target[...] = source
    is_own = places < 0
    places[is_own] = first.size + np.arange(is_own.sum())
    # Consecutive positions become slices.
    breaks = (np.diff(places) != 1) | (is_own[1:] != is_own[:-1])
    ends = [*(np.flatnonzero(breaks) + 1).tolist(), second.size]
    return [
        (slice(start, stop), slice(int(places[start]), int(places[start]) + stop - start))
        for start, stop in zip([0, *ends], ends)
    ]
