"""The only training loop of the package, with its state, stopping rule and output.

It knows an objective, parameters, batches and a solver.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from .._arrays.namespace import all_finite, copy, empty_like, host_copy
from .._protocols import Observer, TakesNoRate
from .._warnings import warn

# Values that are not finite end in a DivergenceError, and numpy need not warn of them.
OVERFLOW_IGNORED = {"over": "ignore", "invalid": "ignore"}


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

    @property
    def n_epochs(self):
        """Number of whole epochs so far."""
        return len(self.loss_curve)

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
    n_epochs, n_rows, stop = state.n_epochs, len(batches), False

    def rate(n_seen):
        factor = 1.0 if schedule is None else schedule(n_epochs + n_seen / n_rows)
        return learning_rate * factor

    while n_epochs < max_epochs and not stop:
        for observer in observers:
            observer.epoch_begin(state)
        total, batch = steps.epoch(rate, last_finite.keep)
        if not (np.isfinite(total) and _has_finite_arrays(state)):
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


class Steps:
    """The minibatch steps of a training on arrays of numpy."""

    def __init__(self, objective, state, solver, batches):
        self.objective, self.state, self.batches = objective, state, batches
        self.solver = objective.adapted(solver)
        self.grad = empty_like(state.params)

    def epoch(self, rate, keep):
        """Make the steps of an epoch; return the sum of the losses of all rows and the last batch.

        The sum is not finite if training has diverged. ``rate`` is a function from the number of rows so far to the
        step size. ``keep`` is called before the first step if the loss is finite there.
        """
        total, n_seen, state = 0.0, 0, self.state
        for batch in self.batches.epoch(state.rng):
            with np.errstate(**OVERFLOW_IGNORED):
                size, value = len(batch), self.objective(state.params, batch, self.grad, state.rng)
            if not np.isfinite(value):
                return value, batch
            if not n_seen:
                keep()
            with np.errstate(**OVERFLOW_IGNORED):
                self.solver.step(state.params, self.grad, state.solver, rate(n_seen))
            total += value * size
            n_seen += size
        return total, batch


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


def _has_finite_arrays(state):
    """Return whether parameters and the moments of the solver are finite."""
    for array in (state.params, *state.solver.values()):
        if not all_finite(array):
            return False
    return True


def _has_finite_loss(objective, state, batch):
    """Return whether the loss is finite after the last step of an epoch, which was on ``batch``."""
    if objective.finite_where_params_are:
        return True
    rng = np.random.default_rng(state.seed)
    with np.errstate(**OVERFLOW_IGNORED):
        return bool(np.isfinite(float(objective(state.params, batch.clean(), None, rng))))


class Verbose(Observer):
    """Print a line after every few epochs, with loss, seconds and samples per second, and why training ended.

    Parameters
    ----------
    name : str
        Name of what is trained.
    n_samples : int
        Number of samples in an epoch.
    every : int
        Number of epochs between lines.
    max_epochs : int or None
        The last epoch, if it is known.
    """

    def __init__(self, name, n_samples, every, max_epochs=None):
        self._name, self._n_samples, self._every = name, n_samples, every
        self._max_epochs, self._start = max_epochs, 0.0

    def epoch_begin(self, state):
        """Start the clock."""
        self._start = time.perf_counter()

    def epoch_end(self, state):
        """Print a line if it is due."""
        if state.n_epochs % self._every:
            return False
        seconds = time.perf_counter() - self._start
        validation = ""
        if state.validation_curve:
            validation = f", validation = {state.validation_curve[-1]:.6g}"
        most = "" if self._max_epochs is None else f"/{self._max_epochs}"
        say(
            f"[{self._name}] epoch {state.n_epochs}{most}: loss = {state.loss_curve[-1]:.6g}{validation}, "
            f"{seconds:.3g} s, {self._n_samples / max(seconds, 1e-9):,.0f} samples/s"
        )
        return False

    def close(self, state):
        """Print why training ended."""
        why = "a callback" if state.n_epochs < self._max_epochs else "max_iter"
        if state.converged:
            measured = "error on held-out samples" if state.validation_curve else "training loss"
            why = f"the {measured} no longer improves"
        say(f"[{self._name}] stopped after {state.n_epochs} epochs: {why}")


def say(line):
    """Print a line; letters that the output cannot encode, as in the names of layers, are escaped.

    If the output is closed, warn instead, since the training is worth more than the line.
    """
    try:
        print(line)
    except UnicodeEncodeError:
        print(line.encode("ascii", "backslashreplace").decode())
    except (OSError, ValueError) as error:
        warn(
            f"Lines of verbose cannot be printed ({error}): training goes on without them.",
            RuntimeWarning,
        )
