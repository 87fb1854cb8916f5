"""Two objectives at once, of networks whose encoders have layers in common."""

import numpy as np


class SharedEncoder:
    """The objective ``first`` plus ``weight`` times ``second``, whose encoder has the lowest layers of that of ``first``.

    As many layers as both encoders have are the same ones. The flat vector is that of ``first``, and behind it the
    parameters that ``second`` has for itself.

    Parameters
    ----------
    first, second : Objective
    weight : float
    """

    def __init__(self, first, second, weight):
        self.first, self.second, self.weight = first, second, weight
        self.monitors_loss = first.monitors_loss and second.monitors_loss
        self.observers = [*first.observers, *second.observers]
        self._places = _places(first.network, second.network)
        self._buffers = {}

    def join(self, first, second):
        """Return the flat vector of both from that of each; layers in common are those of ``first``."""
        own = [second[mine] for mine, theirs in self._places if theirs.start >= len(first)]
        return np.concatenate([first, *own]).astype(first.dtype)

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` unless it is None."""
        size = self.first.network.size
        value = self.first(flat[:size], batch, None if grad is None else grad[:size], rng)
        params, extra = self._buffer(flat.dtype)
        for mine, theirs in self._places:
            params[mine] = flat[theirs]
        value += self.weight * self.second(params, batch, None if grad is None else extra, rng)
        if grad is not None:
            grad[size:] = 0
            extra *= extra.dtype.type(self.weight)
            for mine, theirs in self._places:
                grad[theirs] += extra[mine]
        return value

    def _buffer(self, dtype):
        """Return what holds parameters and gradient of ``second``."""
        if dtype not in self._buffers:
            size = self.second.network.size
            self._buffers[dtype] = np.empty(size, dtype), np.empty(size, dtype)
        return self._buffers[dtype]


def _places(first, second):
    """Return pairs of slices: of the flat vector of ``second``, and where in that of both these numbers are."""
    theirs, places = np.arange(first.size), np.full(second.size, -1)
    for kind in ("encoder_weights", "encoder_biases"):
        for source, part in zip(
            getattr(first.views(theirs), kind), getattr(second.views(places), kind)
        ):
            part[...] = source
    own = places < 0
    places[own] = first.size + np.arange(own.sum())
    breaks = (np.diff(places) != 1) | (own[1:] != own[:-1])
    ends = [*(np.flatnonzero(breaks) + 1), second.size]
    return [
        (slice(start, stop), slice(places[start], places[start] + stop - start))
        for start, stop in zip([0, *ends], ends)
    ]
