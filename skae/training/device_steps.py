"""The minibatch steps of an epoch on a device, which is not waited for before the epoch ends."""

from itertools import takewhile

import numpy as np

from .._arrays.capture import Recorded, captures
from .._arrays.namespace import empty_like, joined, like, take_one, zeros
from .._arrays.random import Drawn
from .solvers import SGD, Adam

# Steps of a training after which one is recorded, in a tenth of a second, and recorded anew with compiled kernels, in 20
# seconds, which save 0.1 to 0.3 ms a step of an auto-encoder 784-1000 on an H200.
_RECORDED_AFTER, _COMPILED_AFTER = 50, 50_000


class DeviceSteps:
    """Steps on arrays of another library: those on batches of one size as a recorded one, where that is possible."""

    def __init__(self, objective, state, solver, batches):
        self.objective, self.state, self.solver, self.batches = objective, state, solver, batches
        self.grad = empty_like(state.params)
        self._total, self._n_steps, self._recorded = zeros(1, state.params), 0, None
        able = objective.can_be_captured and batches.can_be_captured
        usual = type(solver) in (Adam, SGD)
        self._able = able and usual and captures(state.params)

    def epoch(self, rate, keep):
        """Do what :meth:`skae.training.loop.Steps.epoch` does; ``keep`` is called whatever the loss."""
        n_seen, state = 0, self.state
        keep()
        self._total[...] = 0
        batches = list(self.batches.epoch(state.rng))
        size, n_replayed = len(batches[0]), 0
        if self._able and self._n_steps >= _RECORDED_AFTER:
            equal = list(takewhile(lambda batch: len(batch) == size, batches))
            self._replay(equal, size, rate)
            n_replayed = len(equal)
            n_seen = n_replayed * size
        for batch in batches[n_replayed:]:
            self.step(batch, state.rng, rate(n_seen))
            n_seen += len(batch)
        self._n_steps += len(batches)
        return float(self._total[0]), batches[-1]

    def step(self, batch, rng, rate):
        """Make one step."""
        value = self.objective(self.state.params, batch, self.grad, rng)
        self.solver.step(self.state.params, self.grad, self.state.solver, rate)
        self._total += value * len(batch)

    def _replay(self, batches, size, rate):
        """Make the steps on the first batches, which are of one size."""
        compiled, before = self._n_steps >= _COMPILED_AFTER, self._recorded
        if before is None or (before.compiled, before.size) != (compiled, size):
            self._recorded = _RecordedStep(self, size, compiled)
        rates = np.array([rate(place * size) for place in range(len(batches))])
        self._recorded.steps(batches, self.state.rng, rates)


class _RecordedStep:
    """A step on batches of one size, recorded once and replayed by one call.

    What differs between the steps of an epoch is brought to the device at once; a recorded step takes the next part of
    it.
    """

    def __init__(self, steps, size, compiled):
        self.compiled, self.size, self._steps = compiled, size, steps
        self._play = self._tables = None

    def steps(self, batches, rng, rates):
        """Make a step on each of ``batches``."""
        drawn = np.stack([self._steps.objective.draw(self.size, rng) for _ in batches])
        tables = [np.zeros(1, np.int64), drawn, rates]
        tables = [like(each, self._steps.state.params) for each in tables]
        tables.append(joined([batch.indices for batch in batches]))
        if self._tables is None or self._tables[-1].shape != tables[-1].shape:
            self._tables, self._play = tables, Recorded(self._work, self.compiled)
        for own, new in zip(self._tables, tables):
            own[...] = new
        for _ in batches:
            self._play()

    def _work(self):
        place, *tables = self._tables
        drawn, rate, indices = (take_one(table, place) for table in tables)
        self._steps.step(self._steps.batches.batch(indices), Drawn(drawn), rate)
        place += 1
