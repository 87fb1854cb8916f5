"""The part of a worker: some rows of X, its own objective, and the loss or the steps on these rows."""

import pickle
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse

from .._protocols import SumsOutcomes
from .._threads import team
from ..nn.scaling import ScaledRows, unscaled
from ..training.batches import Batch, Batches, shuffled


class ShardBatch(Batch):
    """Rows of a batch that are on one worker; ``indices`` are those of the whole X.

    Parameters
    ----------
    shard : Shard
    indices : ndarray of int
    weights : ndarray or None
        Sample weights of the rows, with a mean of 1 over all rows.
    rng : numpy.random.Generator or None
        Source of seeds, the same for all parts of a batch: noise depends on a row and a seed, not on the row's
        position. By default that of the objective.
    clean : bool, default=False
        If True, corruptions leave the rows unchanged.
    equal_noise : bool, default=False
        See :class:`~skae.training.batches.Batches`.
    """

    def __init__(self, shard, indices, weights, rng=None, clean=False, equal_noise=False):
        data = shard.data(equal_noise)
        super().__init__(data, indices)
        self._here = Batch(data, indices - shard.start)
        self._weights, self._rng, self.is_clean = weights, rng, clean

    def seeds(self, rng):
        """Return three seeds of noise."""
        return super().seeds(rng if self._rng is None else self._rng)

    def rows(self, out, weights):
        """Fill the C-ordered ``out`` with the rows, and ``weights`` with their weights in the mean over this batch."""
        self._here.rows(out, weights)
        weights[...] = 1 if self._weights is None else self._weights
        weights /= self.n_rows

    def targets(self, out):
        """Fill ``out`` with the rows' targets."""
        self._here.targets(out)


@dataclass
class Plan:
    """The rows of a shard that are used in a training.

    Parameters
    ----------
    indices : ndarray of int
        Indices of the rows in the whole X.
    weights : ndarray or None
        Sample weights of the rows, with a mean of 1 over all rows of the training.
    batch_size : int
    """

    indices: np.ndarray
    weights: np.ndarray | None
    batch_size: int

    def in_order(self, order):
        """Return the rows and the weights of the positions ``order``."""
        return self.indices[order], None if self.weights is None else self.weights[order]

    @property
    def n_batches(self):
        """int: number of batches in an epoch."""
        return -(-len(self.indices) // self.batch_size)

    def epoch(self, seed, number, shuffle):
        """Return indices and weights of all batches of an epoch of shard ``number``."""
        rng = np.random.default_rng([seed, number])
        order = shuffled(np.arange(len(self.indices)), shuffle, rng)
        starts = range(0, len(order), self.batch_size)
        return [self.in_order(order[start : start + self.batch_size]) for start in starts]


@dataclass
class Recipe:
    """An objective, and the solver of steps on one worker, as bytes, from which each part makes its own.

    Parameters
    ----------
    version : int
        Number that differs between recipes of one training.
    pickled : bytes
    """

    version: int
    pickled: bytes


@dataclass
class Shard:
    """The rows of X from ``start`` on, and their targets.

    Parameters
    ----------
    number, start : int
    X : ndarray, CSR matrix or ScaledRows
    targets : ndarray or None
    """

    number: int
    start: int
    X: Any
    targets: np.ndarray | None
    _made: dict = field(default_factory=dict)

    def __getstate__(self):
        """Return the state that another worker needs."""
        return {**vars(self), "_made": {}}

    def data(self, equal_noise):
        """Return the rows as ``Batches``."""
        if equal_noise not in self._made:
            options = {"targets": self.targets, "equal_noise": equal_noise}
            self._made[equal_noise] = Batches(self.X, None, 1, **options)
        return self._made[equal_noise]

    def make(self, recipe):
        """Return the objective and the solver of a ``Recipe``, which no other part uses."""
        version, made = self._made.get("recipe", (None, None))
        if version != recipe.version:
            made = pickle.loads(recipe.pickled)
            self._made["recipe"] = recipe.version, made
        return made


@dataclass
class Call:
    """A call of the objective, which all parts make on their own rows.

    Parameters
    ----------
    params : ndarray
    kept : list of dict
        Arrays that the objective changes from step to step, see ``observers``.
    rng : Generator
        Source of seeds, the same for all parts.
    number : int
        Number of calls at this state of ``rng``.
    """

    params: np.ndarray
    kept: list
    rng: Any
    number: int


@dataclass
class OwnSteps:
    """Steps that each part makes on its own rows, from the same parameters.

    Parameters
    ----------
    params, solver, kept
        The parameters, the state of the solver, and the arrays that the objective changes, see ``Call``.
    seed : int
        Seed of the order of the epoch.
    first : int
        Number of the first of its batches to make a step on.
    rates : list of float
        Step sizes.
    """

    params: np.ndarray
    solver: dict
    kept: list
    seed: int
    first: int
    rates: list


@dataclass
class Result:
    """Results of a worker on its rows.

    Parameters
    ----------
    value : float
        Sum of the losses of the rows.
    n_rows : int
    grad : ndarray or None
        Sum of the gradients.
    kept : list of dict
        Arrays that the objective changes from step to step.
    rng : Generator or None
        Source of seeds, after the batch.
    outcome : object
        Values that the solver needs in addition to the gradient.
    params, solver : ndarray and dict of ndarray
        Parameters and solver state after steps on this worker alone.
    """

    value: float
    n_rows: int
    grad: np.ndarray | None = None
    kept: Any = ()
    rng: Any = None
    outcome: Any = None
    params: np.ndarray | None = None
    solver: dict | None = None


def _own_rng(rng, *numbers):
    """Return a generator for one part, seeded by the state of the generator of all parts."""
    state = rng.bit_generator.state["state"]["state"]
    return np.random.default_rng([state, *numbers])


def kept_by(objective, params):
    """Return copies of the arrays that the objective changes from step to step, a dict for each of its observers."""
    return [
        {name: array.copy() for name, array in observer.extra_arrays(params).items()}
        for observer in objective.observers
    ]


def _go_on(objective, kept, params):
    """Let the objective continue from the arrays ``kept``."""
    for observer, arrays in zip(objective.observers, kept):
        for name, array in observer.extra_arrays(params).items():
            array[...] = arrays[name]


def evaluate(shard, recipe, call, rows, *, with_grad, clean):
    """Return the ``Result`` of a ``Call`` on ``rows``, the indices and weights of a part of a batch."""
    with team(1):
        objective, _ = shard.make(recipe)
        # Copies: threads of one process may compute several parts, and rounding depends on the alignment of arrays.
        params, rng = call.params.copy(), deepcopy(call.rng)
        own = _own_rng(rng, shard.number, call.number)
        grad = np.empty_like(params) if with_grad else None
        _go_on(objective, call.kept, params)
        value = objective(params, ShardBatch(shard, *rows, rng, clean), grad, own)
        n_rows = len(rows[0])
        if with_grad:
            grad *= params.dtype.type(n_rows)
        outcome = objective.outcome() if isinstance(objective, SumsOutcomes) else None
        return Result(value * n_rows, n_rows, grad, kept_by(objective, params), rng, outcome)


def evaluate_all(shard, recipe, plan, call, *, with_grad):
    """Return the ``Result`` of a ``Call`` on all rows of ``plan``, whose noise depends on the row alone."""
    with team(1):
        (objective, _), params = shard.make(recipe), call.params.copy()
        grad, piece = (np.zeros_like(params) if with_grad else None for _ in range(2))
        result = Result(0.0, 0, grad)
        for rows in plan.epoch(0, 0, shuffle=False):
            _go_on(objective, call.kept, params)
            batch = ShardBatch(shard, *rows, equal_noise=True)
            value, n_rows = objective(params, batch, piece, deepcopy(call.rng)), batch.n_rows
            result.value += value * n_rows
            result.n_rows += n_rows
            if with_grad:
                grad += piece * params.dtype.type(n_rows)
        return result


def advance(shard, recipe, plan, steps, *, shuffle):
    """Return the ``Result`` of ``OwnSteps`` on the batches of ``plan``."""
    with team(1):
        objective, solver = shard.make(recipe)
        params, state = steps.params.copy(), {k: each.copy() for k, each in steps.solver.items()}
        solver = objective.adapted(solver)
        rng = np.random.default_rng([steps.seed, shard.number, steps.first])
        grad, result = np.empty_like(params), Result(0.0, 0, params=params, solver=state)
        _go_on(objective, steps.kept, params)
        batches = plan.epoch(steps.seed, shard.number, shuffle)[steps.first :]
        for rows, rate in zip(batches, steps.rates):
            batch = ShardBatch(shard, *rows)
            result.value += objective(params, batch, grad, rng) * batch.n_rows
            result.n_rows += batch.n_rows
            if not np.isfinite(result.value):
                return result
            solver.step(params, grad, state, rate)
        result.kept = kept_by(objective, params)
        return result


def rows_of(X, start, stop):
    """Return a copy of some rows of X."""
    rows = unscaled(X)[start:stop]
    rows = rows if scipy.sparse.issparse(rows) else np.array(rows, order="C")
    return X.scaling.rows(rows) if isinstance(X, ScaledRows) else rows
