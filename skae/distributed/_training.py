"""A problem whose rows are on workers, while the loop, the solver and the checkpoints see one process."""

from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from .._protocols import Announces, Restricts, SumsOutcomes, TrainingObjective
from ..training.batches import Mixture, Steps
from ._cluster import RemoteObjects
from ._shard import (
    Call,
    OwnSteps,
    Plan,
    Recipe,
    Shard,
    advance,
    evaluate,
    evaluate_all,
    kept_by,
    rows_of,
)

_versions = count()


class Parts:
    """The rows of a problem in ``n_parts`` parts on the workers of a cluster, each with a copy of its objective.

    Parameters
    ----------
    cluster : Cluster
    problem : Problem
    solver : solver
        Solver of the steps that parts make on their own.
    n_parts : int
    sync_every : int or None
        Number of these steps before parameters are averaged; None for joint steps of all parts.
    """

    def __init__(self, cluster, problem, solver, n_parts, sync_every):
        n_rows = problem.X.shape[0]
        self._cluster, self._problem, self._solver = cluster, problem, solver
        self.sync_every, self._recipes = sync_every, None
        self._bounds = np.linspace(0, n_rows, min(n_parts, n_rows) + 1).astype(np.int64)
        self._shards = self.remote(self._shard, range(len(self._bounds) - 1))

    def remote(self, make, numbers):
        """Return ``RemoteObjects`` that ``make(number)`` returns, of some parts."""
        return RemoteObjects(self._cluster, make, numbers)

    def run(self, function, inputs, tasks, **options):
        """Return the results of a function of ``Shard``, ``Recipe``, ``inputs`` and arguments, for each part."""
        if self._recipes is None:
            recipe = self._recipe()
            self._recipes = self.remote(lambda number: recipe, range(len(self._bounds) - 1))
        inputs = [self._shards, self._recipes, *inputs]
        return self._cluster.run(function, inputs, tasks, **options)

    def renew(self):
        """Send the objective again, after it has changed."""
        self._recipes = None

    def split(self, indices, weights):
        """Return a dict of the indices and weights of each part that has any of ``indices``, by number."""
        owners = np.searchsorted(self._bounds, indices, side="right") - 1
        places = {number: owners == number for number in np.unique(owners).tolist()}
        return {
            number: (indices[own], None if weights is None else weights[own])
            for number, own in places.items()
        }

    def batches(self, local, by_steps):
        """Return the counterpart of the batches ``local`` on workers: minibatches of steps, or all rows at once."""
        if not by_steps:
            return WholeBatches(local, self)
        if self.sync_every is None:
            return StepBatches(local, self)
        return AveragedBatches(local, self)

    def _shard(self, number):
        problem, (start, stop) = self._problem, self._bounds[number : number + 2].tolist()
        targets = None if problem.targets is None else problem.targets[start:stop].copy()
        return Shard(number, start, rows_of(problem.X, start, stop), targets)

    def _recipe(self):
        from distributed.protocol.pickle import dumps

        return Recipe(next(_versions), dumps((self._problem.objective, self._solver)))


@dataclass
class RemoteBatch:
    """Rows that are on workers.

    Parameters
    ----------
    data : StepBatches
    indices : ndarray of int
    is_clean : bool, default=False
        If True, corruptions leave the rows unchanged.
    """

    data: Any
    indices: np.ndarray
    is_clean: bool = False

    @property
    def n_rows(self):
        """int: number of rows."""
        return len(self.indices)


class StepBatches:
    """The minibatches of ``local``, each computed part by part.

    Parameters
    ----------
    local : Batches
    parts : Parts
    """

    def __init__(self, local, parts):
        self.local, self._parts = local, parts
        self.n_rows, self.batch_size = local.n_rows, local.batch_size

    def epoch(self, rng):
        """Yield each row once."""
        for batch in self.local.epoch(rng):
            yield RemoteBatch(self, batch.indices)

    def make_steps(self, objective, state, solver):
        """Return the steps of a training, each on all parts."""
        return Steps(objective, state, solver, self)

    def results(self, batch, call, with_grad):
        """Return the ``Result`` of a ``Call`` for each part of a batch."""
        parts = self._parts.split(batch.indices, self._weights(batch.indices))
        tasks = {number: (call, rows) for number, rows in parts.items()}
        return self._parts.run(evaluate, [], tasks, with_grad=with_grad, clean=batch.is_clean)

    def _weights(self, indices):
        weights = self.local.sample_weight
        return None if weights is None else weights[indices]

    def _all_plans(self):
        """Return the ``Plan`` of each part for all rows of ``local``."""
        rows = self.local.indices
        parts = self._parts.split(rows, self._weights(rows))
        return {number: Plan(*part, self.batch_size) for number, part in parts.items()}


class WholeBatches(StepBatches):
    """All rows of ``local`` as one batch, whose noise depends on the row alone."""

    def __init__(self, local, parts):
        super().__init__(local, parts)
        plans = self._all_plans()
        self._numbers, self._remote_plans = list(plans), parts.remote(plans.__getitem__, plans)

    def epoch(self, rng):
        """Yield all rows."""
        yield RemoteBatch(self, self.local.indices)

    def results(self, batch, call, with_grad):
        """Return the ``Result`` of a ``Call`` for each part."""
        tasks = dict.fromkeys(self._numbers, (call,))
        return self._parts.run(evaluate_all, [self._remote_plans], tasks, with_grad=with_grad)


class AveragedBatches(StepBatches):
    """Minibatches of each part by itself, with several steps before parameters are averaged."""

    def __init__(self, local, parts):
        super().__init__(local, parts)
        if isinstance(local, Mixture):
            raise ValueError(
                "sync_every needs unlabeled_per_labeled=None, since the labeled and the unlabeled rows of a minibatch are on "
                "different workers. Or set sync_every=None."
            )
        self._plans = self._all_plans()
        self._remote_plans = parts.remote(self._plans.__getitem__, self._plans)

    @property
    def n_steps(self):
        """int: number of steps in an epoch."""
        return max(plan.n_batches for plan in self._plans.values())

    def n_seen(self, step):
        """Return the number of rows that all parts have seen before a step."""
        size = self.batch_size
        return sum(min(step * size, len(plan.indices)) for plan in self._plans.values())

    def rounds(self):
        """Yield the steps between two averages, as ranges."""
        every = self._parts.sync_every
        for first in range(0, self.n_steps, every):
            yield range(first, min(first + every, self.n_steps))

    def advanced(self, state, kept, seed, steps, rates):
        """Return the ``Result`` of each part after its steps from ``state`` on."""
        own = OwnSteps(state.params, state.solver, kept, seed, steps.start, rates)
        tasks = {n: (own,) for n, plan in self._plans.items() if plan.n_batches > steps.start}
        return self._parts.run(advance, [self._remote_plans], tasks, shuffle=self.local.shuffle)

    def make_steps(self, objective, state, solver):
        """Return the steps of a training."""
        return _AveragedSteps(self, objective, state, solver)


class _AveragedSteps:
    """Parallel steps of all parts, and the means of their parameters and solver states."""

    def __init__(self, batches, objective, state, solver):
        if isinstance(objective.local, SumsOutcomes):
            raise ValueError(
                "sync_every is for models that follow a gradient; the statistics from which SparseCoder learns are sums over all "
                "parts in each step. Set sync_every=None."
            )
        self._batches, self._objective = batches, objective
        self._state, self._solver = state, solver

    def epoch(self, rate, keep):
        """Make the steps of an epoch; return the sum of the losses of all rows and a batch of the last ones."""
        batches, state, total = self._batches, self._state, 0.0
        seed = int(state.rng.integers(2**63))
        last = batches.local.indices[-batches.batch_size :]
        for steps in batches.rounds():
            kept = kept_by(self._objective.local, state.params)
            rates = [rate(batches.n_seen(step)) for step in steps]
            results = batches.advanced(state, kept, seed, steps, rates)
            total += sum(result.value for result in results)
            if not np.isfinite(total):
                break
            if not steps.start:
                keep()
            self._average(results)
        return total, RemoteBatch(batches, last)

    def _average(self, results):
        state, n_rows = self._state, [result.n_rows for result in results]
        state.params[...] = _mean([result.params for result in results], n_rows)
        for name, array in state.solver.items():
            array[...] = _mean([result.solver[name] for result in results], n_rows)
        if isinstance(self._solver, Restricts):
            self._solver.restrict(state.params)
        merge(self._objective.local, results)


def _mean(arrays, n_rows):
    """Return the mean of arrays, weighted by their numbers of rows; for counts, the maximum."""
    if arrays[0].dtype.kind in "iu":
        return np.maximum.reduce(arrays)
    return sum(array * (n / sum(n_rows)) for array, n in zip(arrays, n_rows))


def merge(objective, results):
    """Let an objective continue from the arrays of its copies on all parts."""
    for observer, *parts in zip(objective.observers, *(result.kept for result in results)):
        observer.merge(parts)


class RemoteObjective(TrainingObjective):
    """The mean of an objective over rows that are on workers.

    Parameters
    ----------
    local : TrainingObjective
        Objective of this process.
    """

    def __init__(self, local):
        self.local, self.monitors_loss = local, local.monitors_loss
        self.finite_where_params_are = local.finite_where_params_are
        self._last_state, self._n_calls = None, 0

    def __call__(self, params, batch, grad, rng):
        """Return the value at ``params`` on ``batch``; fill ``grad`` with the gradient unless it is None."""
        call = Call(params, kept_by(self.local, params), rng, self._number(rng))
        results = batch.data.results(batch, call, grad is not None)
        if grad is not None:
            grad[...] = 0
            for result in results:
                grad += result.grad
            grad /= params.dtype.type(batch.n_rows)
        if results[0].rng is not None:
            rng.bit_generator.state = results[0].rng.bit_generator.state
        if results[0].kept:
            merge(self.local, results)
        if results[0].outcome is not None:
            self.local.take_outcomes([result.outcome for result in results])
        return sum(result.value for result in results) / batch.n_rows

    def adapted(self, solver):
        """Return the solver with which the objective of this process makes its steps."""
        return self.local.adapted(solver)

    def _number(self, rng):
        """Return the number of calls at this state of ``rng``; parts that do not use it draw other noise in each."""
        state = rng.bit_generator.state
        self._n_calls = self._n_calls + 1 if state == self._last_state else 0
        self._last_state = state
        return self._n_calls


@contextmanager
def on_cluster(cluster, n_parts, sync_every, problem, solver):
    """Yield the counterpart of ``problem`` on the workers of ``cluster``."""
    parts = Parts(cluster, problem, solver, n_parts, sync_every)
    other = copy(problem)
    other.objective, other.workers = RemoteObjective(problem.objective), parts
    listeners = [each.listeners for each in problem.observers if isinstance(each, Announces)]
    for each in listeners:
        each.append(parts.renew)
    try:
        yield other
    finally:
        for each in listeners:
            each.remove(parts.renew)
