"""A training problem, and the only training loop of the package, with its state and stopping rule.

The loop knows an objective, parameters, batches and a solver.
"""

from collections.abc import Callable, Sequence
from copy import copy as shallow_copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._arrays.namespace import all_finite, copy, dense, free_memory, host_copy, is_numpy, like
from .._protocols import TakesNoRate, TrainingObjective
from .batches import OVERFLOW_IGNORED, Batches, Mixture, mean_objective


@dataclass
class Problem:
    """An objective and its data.

    Parameters
    ----------
    objective : TrainingObjective
    X : C-ordered ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
    sample_weight : ndarray of shape (n_samples,) or None
    targets : C-ordered ndarray of shape (n_samples, n_outputs) or None
        Targets to predict from X, if any.
    rows : ndarray of int or None
        Rows to train on; all of them by default. Rows of weight 0 are left out.
    strata : ndarray of shape (n_samples,) or None
        Classes whose proportions held-out rows preserve.
    monitor : callable or None
        ``monitor(rows)`` returns the error on held-out rows, as a function of the parameters; the objective by default.
    solver : solver or None
        Solver that the objective requires; by default that of the estimator.
    callback_X : array-like, callable or None
        X as given to callbacks, or a function that returns it; by default ``X``, not scaled.
    observers : sequence of Observer
        Observers called before and after epochs, in addition to the objective's own.
    constant_loss : float or None
        Value of the objective for the best constant outputs, if known.
    labeled : ndarray of bool of shape (n_samples,) or None
        Mask of the rows with known targets.
    unlabeled_per_labeled : float or None
        Number of other rows for each labeled row in a training minibatch, see
        :class:`~skae.training.batches.Mixture`; None treats all rows alike.
    more_steps : float
        Factor of the automatic number of minibatches.
    may_miss : bool
        Whether values of X may be missing (NaN).
    prototype : array or None
        Array with the library and device on which batches are used, if not those of numpy; ``X`` may be there.
    workers : object or None
        ``workers.batches(batches, by_steps)`` returns the counterpart of ``batches`` in other processes.
    """

    objective: TrainingObjective
    X: Any
    sample_weight: np.ndarray | None = None
    targets: np.ndarray | None = None
    rows: np.ndarray | None = None
    strata: np.ndarray | None = None
    monitor: Callable | None = None
    solver: Any = None
    callback_X: Any = None
    observers: Sequence = ()
    constant_loss: float | None = None
    labeled: np.ndarray | None = None
    unlabeled_per_labeled: float | None = None
    more_steps: float = 1.0
    may_miss: bool = True
    prototype: Any = None
    workers: Any = None

    def __post_init__(self):
        if self.rows is None:
            self.rows = np.arange(self.X.shape[0])
        if self.sample_weight is not None:
            self.rows = self.rows[self.sample_weight[self.rows] > 0]
        self.observers = [*self.objective.observers, *self.observers]
        self.monitors_loss = self.objective.monitors_loss

    @property
    def n_rows(self):
        """int: number of rows of an epoch, among those that ``batch_size`` counts."""
        if self.unlabeled_per_labeled is None:
            return len(self.rows)
        return int(self.labeled[self.rows].sum())

    def extra_arrays(self, params):
        """Return arrays of the shapes and dtypes that observers keep in the ``extra`` of the training's state."""
        arrays = {}
        for observer in self.observers:
            arrays |= observer.extra_arrays(params)
        return arrays

    def moved(self, prototype):
        """Return the same problem with the data on the device of ``prototype``, dense and scaled, if they fit there.

        If they do not fit, each batch is brought to the device by itself.
        """
        other = shallow_copy(self)
        other.prototype = prototype
        n_rows, n_columns = self.X.shape
        if n_rows * n_columns * np.dtype(self.X.dtype).itemsize > free_memory(prototype) / 2:
            return other
        rows = self.X if is_numpy(self.X) else self.X[np.arange(self.X.shape[0])]
        other.X = like(dense(rows), prototype)
        return other

    def batches(self, rows, batch_size, *, by_steps=False, **options):
        """Return ``rows`` in minibatches, or their counterpart in other processes.

        They are for the mean of an objective at fixed parameters or, with ``by_steps``, for the steps of a training.
        ``options`` are those of :class:`~skae.training.batches.Batches`.
        """
        Kind = Batches
        if by_steps and self.unlabeled_per_labeled is not None:
            Kind, options["labeled"] = Mixture, self.labeled
            options["n_unlabeled"] = round(self.unlabeled_per_labeled * self.labeled[rows].sum())
        batches = Kind(
            self.X,
            self.sample_weight,
            batch_size,
            indices=rows,
            targets=self.targets,
            may_miss=self.may_miss,
            prototype=self.prototype,
            **options,
        )
        return batches if self.workers is None else self.workers.batches(batches, by_steps)

    def error(self, rows, batch_size, seed):
        """Return the error on held-out ``rows`` as a function of the parameters, for early stopping."""
        if self.monitor is not None:
            return self.monitor(rows)
        batches = self.batches(rows, batch_size)
        return lambda params: mean_objective(self.objective, params, batches, seed)


@dataclass
class TrainingState:
    """Parameters, optimizer state, random generator and history after a number of whole epochs.

    ``extra`` has arrays of observers that training needs to continue.
    """

    params: np.ndarray
    solver: dict
    rng: np.random.Generator
    seed: int
    loss_curve: list = field(default_factory=list)
    validation_curve: list = field(default_factory=list)
    best: float = np.inf
    n_stale: int = 0
    best_params: np.ndarray | None = None
    converged: bool = False
    extra: dict = field(default_factory=dict)

    def restarted(self, params, solver):
        """Return the same state with other ``params``, from which ``solver`` starts anew."""
        return replace(self, params=params, solver=solver.start(params))

    def to_dict(self):
        """Return copies as a flat dict of arrays of numpy, numbers and lists."""
        plain = {
            "seed": self.seed,
            "best": self.best,
            "n_stale": self.n_stale,
            "converged": self.converged,
            "loss_curve": list(self.loss_curve),
            "validation_curve": list(self.validation_curve),
            "rng": self.rng.bit_generator.state,
            "params": host_copy(self.params),
        }
        if self.best_params is not None:
            plain["best_params"] = host_copy(self.best_params)
        for name, value in self.solver.items():
            plain[f"solver_{name}"] = host_copy(value)
        for name, value in self.extra.items():
            plain[f"extra_{name}"] = host_copy(value)
        return plain

    def move(self, change):
        """Replace each array by ``change(array)``."""
        self.params = change(self.params)
        self.best_params = None if self.best_params is None else change(self.best_params)
        self.solver = {name: change(value) for name, value in self.solver.items()}
        self.extra = {name: change(value) for name, value in self.extra.items()}

    @classmethod
    def from_dict(cls, plain):
        """Return the state that ``to_dict`` described, sharing nothing with it."""
        rng = np.random.default_rng(0)
        rng.bit_generator.state = plain["rng"]
        best_params = plain.get("best_params")
        return cls(
            params=plain["params"].copy(),
            solver=_copies(plain, "solver_"),
            rng=rng,
            seed=plain["seed"],
            loss_curve=list(plain["loss_curve"]),
            validation_curve=list(plain["validation_curve"]),
            best=plain["best"],
            n_stale=plain["n_stale"],
            best_params=None if best_params is None else best_params.copy(),
            converged=plain["converged"],
            extra=_copies(plain, "extra_"),
        )


def _copies(plain, prefix):
    return {k[len(prefix) :]: v.copy() for k, v in plain.items() if k.startswith(prefix)}


@dataclass
class Stopping:
    """Stop after ``patience`` epochs without an improvement of more than ``tol`` times the best value.

    With ``error``, a function of the parameters, the value is the error on held-out rows, and the best
    parameters are kept; otherwise it is the training loss.
    """

    tol: float
    patience: int
    error: Callable | None = None

    def update(self, state):
        """Update ``state`` after an epoch; return whether to stop."""
        value = state.loss_curve[-1]
        if self.error is not None:
            with np.errstate(**OVERFLOW_IGNORED):
                value = self.error(state.params)
            state.validation_curve.append(value)
        if state.best == float("inf") or value < state.best - self.tol * abs(state.best):
            state.n_stale = 0
        else:
            state.n_stale += 1
        if value < state.best:
            state.best = value
            if self.error is not None:
                state.best_params = copy(state.params)
        state.converged = state.n_stale >= self.patience
        return state.converged


class DivergenceError(ValueError):
    """The objective is no longer finite; the state was reset to the last finite epoch."""

    def __init__(self, epoch, solver):
        lower = "" if isinstance(solver, TakesNoRate) else " or lower learning_rate_init"
        kept = (
            "The weights of the last finite epoch are kept." if epoch > 1 else "Nothing is learned."
        )
        super().__init__(
            f"The loss is not finite in epoch {epoch}. Scale X (StandardScaler or MinMaxScaler){lower}. {kept}"
        )


def minimize(
    objective,
    state,
    solver,
    batches,
    *,
    learning_rate,
    max_epochs,
    stopping,
    observers,
    schedule=None,
):
    """Run epochs of minibatch steps on ``state`` until ``max_epochs``, or until ``stopping`` ends them.

    Parameters
    ----------
    objective : TrainingObjective
    state : TrainingState
        Changed in place, also when an exception ends the loop.
    solver : Adam or SGD
    batches : TrainingBatches
    learning_rate : float
    max_epochs : int
        Total number of epochs in ``state`` at which to stop.
    stopping : Stopping or None
    observers : sequence of Observer
    schedule : callable or None
        Function from the number of epochs so far, a float within an epoch, to a factor of ``learning_rate``.
    """
    steps = batches.make_steps(objective, state, solver)
    last_finite = _LastFinite(state, solver)
    states_are_kept = any(each.keeps_states for each in observers)
    n_epochs, n_rows, stop = len(state.loss_curve), batches.n_rows, False

    def rate(n_seen):
        factor = 1.0 if schedule is None else schedule(n_epochs + n_seen / n_rows)
        return learning_rate * factor

    while n_epochs < max_epochs and not stop:
        for observer in observers:
            observer.epoch_begin(state)
        total, batch = steps.epoch(rate, last_finite.keep)
        arrays = state.params, *state.solver.values()
        if not (np.isfinite(total) and all(map(all_finite, arrays))):
            last_finite.restore_and_raise()
        state.loss_curve.append(total / n_rows)
        n_epochs += 1
        stop = stopping is not None and stopping.update(state)
        last = stop or n_epochs == max_epochs
        # In other epochs, the first batch of the next one shows whether the loss is finite.
        if (last or states_are_kept) and not _has_finite_loss(objective, state, batch):
            last_finite.restore_and_raise()
        stop_requests = [observer.epoch_end(state) for observer in observers]
        stop = stop or any(stop_requests)
        if stop and not (last or states_are_kept or _has_finite_loss(objective, state, batch)):
            last_finite.restore_and_raise()


class _LastFinite:
    """A copy of what steps change, from the start of an epoch whose first loss was finite."""

    def __init__(self, state, solver):
        self._state, self._solver = state, solver
        self._n_epochs, self._params = len(state.loss_curve), copy(state.params)
        self._solver_state = {name: copy(value) for name, value in state.solver.items()}

    def keep(self):
        """Copy the current state into existing memory: allocating would cost more than the copies."""
        state, self._n_epochs = self._state, len(self._state.loss_curve)
        self._params[...] = state.params
        for name, value in state.solver.items():
            self._solver_state[name][...] = value

    def restore_and_raise(self):
        """Restore the state, and raise ``DivergenceError``."""
        state = self._state
        state.params, state.solver = self._params, self._solver_state
        del state.loss_curve[self._n_epochs :], state.validation_curve[self._n_epochs :]
        raise DivergenceError(self._n_epochs + 1, self._solver)


def _has_finite_loss(objective, state, batch):
    """Return whether the loss is finite after the last step of an epoch, which was on ``batch``."""
    if objective.finite_where_params_are:
        return True
    batch.is_clean, rng = True, np.random.default_rng(state.seed)
    with np.errstate(**OVERFLOW_IGNORED):
        return bool(np.isfinite(float(objective(state.params, batch, None, rng))))
