"""The minibatch steps of an epoch on a device, without waiting for it before the epoch ends."""

from itertools import groupby
from operator import attrgetter

import numpy as np

from .._arrays.capture import Recorded, captures
from .._arrays.namespace import empty_like, joined, like, take_one, zeros
from .._arrays.random import Drawn
from .solvers import SGD, Adam

# Numbers of steps after which a step is recorded (0.1 seconds), and recorded again with compiled kernels (20 seconds),
# which save 0.1 to 0.3 ms per step of an auto-encoder 784-1000 on an H200.
_RECORDED_AFTER, _COMPILED_AFTER = 50, 50_000
_MOST_SIZES = 2  # batch sizes with their own recording: that of most, and that of the last one


class DeviceSteps:
    """Steps on arrays of another library, recorded for each batch size if possible."""

    def __init__(self, objective, state, solver, batches):
        self.objective, self.state, self.batches = objective, state, batches
        self.solver = objective.adapted(solver)
        self.grad = empty_like(state.params)
        self._total, self._n_steps, self._recorded = zeros(1, state.params), 0, {}
        # Other solvers may do different work at each step.
        can_be_captured = objective.can_be_captured and batches.can_be_captured
        can_be_captured = can_be_captured and type(solver) in (Adam, SGD)
        self._can_be_recorded = can_be_captured and captures(state.params)

    def epoch(self, rate, keep):
        """Do what :meth:`skae.training.batches.Steps.epoch` does; ``keep`` is called whatever the loss."""
        n_seen, state = 0, self.state
        keep()
        self._total[...] = 0
        batches = list(self.batches.epoch(state.rng))
        for size, equal in groupby(batches, key=attrgetter("n_rows")):
            equal = list(equal)
            rates = [rate(n_seen + place * size) for place in range(len(equal))]
            n_seen += size * len(equal)
            if self._is_recorded(size):
                self._recording(size).steps(equal, state.rng, np.array(rates))
            else:
                for batch, batch_rate in zip(equal, rates):
                    self.step(batch, state.rng, batch_rate)
        self._n_steps += len(batches)
        return float(self._total[0]), batches[-1]

    def step(self, batch, rng, rate):
        """Make one step."""
        value = self.objective(self.state.params, batch, self.grad, rng)
        self.solver.step(self.state.params, self.grad, self.state.solver, rate)
        self._total += value * batch.n_rows

    def _is_recorded(self, size):
        known = size in self._recorded or len(self._recorded) < _MOST_SIZES
        return self._can_be_recorded and self._n_steps >= _RECORDED_AFTER and known

    def _recording(self, size):
        """Return the recorded step on batches of this size; record it again when compiled kernels become due."""
        compiled = self._n_steps >= _COMPILED_AFTER
        if size not in self._recorded or self._recorded[size].compiled != compiled:
            self._recorded[size] = _RecordedStep(self, size, compiled)
        return self._recorded[size]


class _RecordedStep:
    """A step on batches of one size, recorded once and replayed by one call.

    The inputs that differ between the steps of an epoch are brought to the device at once; each recorded step takes the
    next part of them.
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
