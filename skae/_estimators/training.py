"""Training parameters and results, shared by all estimators that are trained by minibatches or L-BFGS."""

import os
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from typing import ClassVar, Literal

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from .._compat import CallbackSupportMixin, HasMethods, Interval, StrOptions
from .._typing import PathLike, RandomState, Schedule, SolverLike
from .._warnings import warn
from ..nn.scaling import unscaled
from ..training.checkpoint import Checkpoint
from ..training.full_batch import minimize_full_batch
from ..training.loop import Stopping, TrainingState, minimize
from ..training.solvers import LBFGS, SCHEDULES, SOLVERS, auto_epochs, checked_solver, idle_steps
from ..training.verbose import Verbose
from .callbacks import Callbacks
from .devices import moved_problem
from .fit_warnings import warn_of_max_iter, warn_of_rising_loss, warn_of_useless_outputs
from .fitting import BLOCK
from .held_out import held_out_rows
from .identity import identity
from .needs import TRAINING_NEEDS
from .parameters import kind_of_seed, validate_params
from .subestimators import AsPart

# Training parameters that methods of a fitted model need,
_REMEMBERED = ("corruption", "corruption_level", "contraction", "contracted")
# and those that determine the shape of its network and its units.
FIXED = (
    "n_components expansion k hidden_layer_sizes activation tied_weights loss visible standardize noise"
).split()


def parameters_of_fit(model):
    """Return the parameters of the last training of ``model`` that its methods need; none if it is no ``TrainedModel``."""
    return vars(model).get("_trained_with", {})


@dataclass(kw_only=True, eq=False, repr=False)
class TrainedModel(CallbackSupportMixin):
    """Training parameters, the minimization of a ``Problem``, and its results, which are in ``_state``."""

    _backend = None  # of the X of ``fit``, if that was not a numpy array; see devices.py
    _validate_params = validate_params
    _as_part = AsPart()
    _learned_afterwards: ClassVar[tuple] = ()  # names of attributes that a new training discards
    _title = None  # what warnings and printed lines call it, unless by its class
    _warned_of_drift = False  # whether of later rows that are unlike the first ones
    solver: SolverLike = "adam"
    learning_rate_init: float = 1e-3
    learning_rate: Schedule = "constant"
    batch_size: int = 256
    max_iter: int | Literal["auto"] = 100
    tol: float = 1e-4
    shuffle: bool | int = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    random_state: RandomState = None
    verbose: int = 0
    checkpoint: PathLike | None = None
    resume: bool = False

    _parameter_constraints: ClassVar[dict] = {
        "solver": [StrOptions(set(SOLVERS)), HasMethods(["start", "step"]), LBFGS],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "shuffle": ["boolean", Interval(Integral, 2, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "checkpoint": [str, HasMethods("__fspath__"), None],
        "resume": ["boolean"],
    }

    _needs: ClassVar[tuple] = TRAINING_NEEDS

    @property
    def n_iter_(self) -> int:
        """The number of epochs (iterations of L-BFGS) so far: int."""
        return len(self._history("n_iter_")["loss_curve"])

    @property
    def loss_curve_(self) -> list[float]:
        """The mean training objective of each epoch: list of float."""
        return self._history("loss_curve_")["loss_curve"]

    @property
    def loss_(self) -> float:
        """The training objective of the last epoch: float."""
        curve = self._history("loss_")["loss_curve"]
        if not curve:
            raise AttributeError(
                f"{type(self).__name__} has no loss_, since there was no epoch of training (in a stack, of all layers together)."
            )
        return curve[-1]

    @property
    def validation_curve_(self) -> list[float]:
        """The error on the held-out samples after each epoch: list of float."""
        return self._history("validation_curve_")["validation_curve"]

    @property
    def converged_(self) -> bool:
        """Whether training stopped by itself before ``max_iter``: bool."""
        return self._history("converged_")["converged"]

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_state")

    def _history(self, name):
        if not hasattr(self, "_state"):
            raise AttributeError(f"{type(self).__name__} has no {name} before fit.")
        return self._state

    def _make_solver(self):
        """Return the solver that the parameters name."""
        solver = self.solver
        return SOLVERS[solver]() if isinstance(solver, str) else checked_solver(solver)

    def _step_size(self):
        """Return the initial step size."""
        if self.learning_rate_init == "auto":
            return self._auto_step_size()
        return self.learning_rate_init

    def _auto_step_size(self):
        """Return the step size for ``learning_rate_init='auto'``, for estimators with ``AUTO_STEP_SIZE_CONSTRAINTS``."""
        raise NotImplementedError

    def _initial_state(self, network, dtype, **options):
        """Return the state before the first step, with ``options`` for the network's initial parameters."""
        seed, rng = self._seed()
        return self._new_state(network.initial(rng, dtype, **options), seed, rng)

    def _new_state(self, params, seed, rng):
        """Return the state before the first step, at ``params``; ``seed`` and ``rng`` are those of :meth:`_seed`."""
        self._remember_parameters()
        return TrainingState(params, self._make_solver().start(params), rng, seed)

    def _last_state(self):
        """Return the state of the last fit, to continue from; another ``random_state`` gives it a new seed."""
        self._remember_parameters()
        state = TrainingState.from_dict(self._state)
        state.best, state.n_stale, state.best_params, state.converged = np.inf, 0, None, False
        fresh = state.restarted(state.params, self._make_solver())
        if fresh.solver.keys() != state.solver.keys():
            state = fresh
        if self.random_state is not None and self._seeded_by != kind_of_seed(self.random_state):
            state.seed, state.rng = self._seed()
        return state

    def _seed(self):
        """Return a seed from ``random_state``, and its generator."""
        self._seeded_by = kind_of_seed(self.random_state)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        return seed, np.random.default_rng(seed)

    def _remember_parameters(self):
        """Store the parameters with which a training begins, as far as they are needed after it."""
        params = vars(self)  # also those that a class of a user derived from this one sets itself
        self._trained_with = {name: params[name] for name in _REMEMBERED if name in params}
        fixed = {name: params[name] for name in FIXED if name in params}
        try:  # copies, as a list, say, may be changed in place later
            self._trained_with.update(deepcopy(fixed))
        except Exception as error:
            raise TypeError(
                f"{' and '.join(fixed)} must be such that copy.deepcopy copies them: {error}."
            ) from error

    def _train(self, problem, state, set_state=None):
        """Minimize ``problem`` from ``state``, as the parameters say, and set the fitted attributes.

        Parameters
        ----------
        problem : Problem
        state : TrainingState
        set_state : callable or None
            Called with the last state when training ends, also by an error; :meth:`_set_state` by default.
        """
        # 1. The epochs of this fit, and the state that it begins with.
        n_before = len(state.loss_curve)
        epochs = range(n_before, n_before + self._n_epochs(problem))
        if state.extra:  # of the last fit, which may have had other observers
            extra = problem.extra_arrays(state.params)
            state.extra = {name: value for name, value in state.extra.items() if name in extra}
        checkpoint, stored = self._checkpoint(problem, state)
        if stored is not None and (len(stored.loss_curve) > n_before or not n_before):
            # A warm start continues from the last fit, and not from the file of an earlier training.
            state, n_before = stored, len(stored.loss_curve)
        # 2. Who observes it.
        reporters = [*self._reporters(problem.rows, epochs.stop), *idle_steps(self.solver, state)]
        checkpoints = [] if checkpoint is None else [checkpoint]
        set_state = set_state or self._set_state
        callbacks = []
        if getattr(self, "_skl_callbacks", None):
            X = unscaled(problem.X) if problem.callback_X is None else problem.callback_X
            callbacks = [Callbacks(self, X, len(epochs), set_state)]
        observers = [*problem.observers, *reporters, *checkpoints, *callbacks]
        # 3. Training.
        solver = problem.solver or self._make_solver()
        try:
            with moved_problem(self, problem, state, solver) as moved:
                self._minimize(moved, state, solver, epochs, observers)
        finally:
            if state.best_params is not None:
                state.params, state.best_params = state.best_params, None
            set_state(state)
        for each in callbacks:
            each.close()
        # 4. What remains to be written, printed and warned of.
        if checkpoint is not None and state.converged and isinstance(solver, LBFGS):
            checkpoint.epoch_end(state)  # scipy says that it has converged after its last epoch
        for reporter in reporters:
            reporter.close(state)
        self._warn(problem, state, solver, n_before, epochs.stop)

    def _warn(self, problem, state, solver, n_before, max_epochs):
        """Warn if the loss rose or is useless, or if training ended at ``max_iter`` before it converged."""
        name = self._title or type(self).__name__
        has_rate = "learning_rate_init" in self.get_params(deep=False)
        if problem.constant_loss is not None and state.loss_curve:
            warn_of_useless_outputs(state.loss_curve[-1], problem.constant_loss, name)
        if not problem.monitors_loss:
            return
        warn_of_rising_loss(state.loss_curve[n_before:], name, has_rate)
        open_ended = self.learning_rate == "constant" and self.max_iter != "auto"
        steps, n_epochs = not isinstance(solver, LBFGS), len(state.loss_curve)
        if steps and open_ended and not state.converged and n_before < n_epochs >= max_epochs:
            warn_of_max_iter(self.max_iter, name, has_rate)

    def _train_epoch(self, problem, state):
        """Minimize ``problem`` from ``state`` on all rows for one epoch, with a constant step size."""
        if self.early_stopping:
            raise ValueError(
                "partial_fit trains on all rows for one epoch: set early_stopping=False."
            )
        self._train_on_all_rows(problem, state, len(state.loss_curve) + 1)

    def _train_on_all_rows(self, problem, state, max_epochs, *, schedule=None, observers=()):
        """Minimize ``problem`` from ``state`` on all rows until there are ``max_epochs``; set the fitted attributes."""
        solver = problem.solver or self._make_solver()
        observers = [*problem.observers, *self._reporters(problem.rows), *observers]
        options = {"max_epochs": max_epochs, "schedule": schedule, "observers": observers}
        try:
            with moved_problem(self, problem, state, solver) as moved:
                self._take_steps(moved, state, solver, moved.rows, stopping=None, **options)
        finally:
            self._set_state(state)

    def _take_steps(self, problem, state, solver, rows, **options):
        """Minimize ``problem`` over ``rows`` by minibatch steps, with ``options`` of :func:`minimize`."""
        batches = problem.batches(rows, self.batch_size, by_steps=True, shuffle=self.shuffle)
        options["learning_rate"] = self._step_size()
        minimize(problem.objective, state, solver, batches, **options)

    def _checkpoint(self, problem, state, suffix=""):
        """Return the checkpoint of a training from ``state``, and the stored state to continue from; or None."""
        if self.checkpoint is None:
            return None, None
        # The learning rate falls to 0 at max_iter, so that another max_iter is another training.
        fixed = () if self.learning_rate == "constant" else ("max_iter",)
        path = f"{os.fsdecode(self.checkpoint)}{suffix}"
        checkpoint = Checkpoint(path, identity(self, problem, fixed))
        if not self.resume:
            return checkpoint, None
        return checkpoint, checkpoint.load(replace(state, extra=problem.extra_arrays(state.params)))

    def _minimize(self, problem, state, solver, epochs, observers):
        """Minimize ``problem`` from ``state`` in ``epochs``, a range of which the first ones may be over."""
        rows, error = problem.rows, None
        if self.early_stopping:
            rows, held_out = self._split(problem, state.seed)
            error = problem.error(held_out, self.batch_size, state.seed)
        if state.converged or len(state.loss_curve) >= epochs.stop:
            return
        # Without held-out samples L-BFGS tests by itself whether the loss has converged, and a falling learning rate
        # gains most at its end.
        full_batch, constant = isinstance(solver, LBFGS), self.learning_rate == "constant"
        by_loss = problem.monitors_loss and constant and not full_batch
        stops = self.early_stopping or by_loss
        stopping = Stopping(self.tol, self.n_iter_no_change, error) if stops else None
        options = {"max_epochs": epochs.stop, "stopping": stopping, "observers": observers}
        if not full_batch:
            schedule = partial(SCHEDULES[self.learning_rate], epochs)
            self._take_steps(problem, state, solver, rows, schedule=schedule, **options)
            return
        batches = problem.batches(rows, max(self.batch_size, BLOCK), equal_noise=True)
        minimize_full_batch(problem.objective, state, solver, batches, tol=self.tol, **options)
        if not state.converged and len(state.loss_curve) >= epochs.stop:
            warn(
                f"L-BFGS stopped at max_iter={len(epochs)} before it converged; raise max_iter or tol.",
                ConvergenceWarning,
            )

    def _n_epochs(self, problem):
        """Return the maximum number of epochs of a fit, or of iterations of L-BFGS."""
        if self.max_iter != "auto":
            return self.max_iter
        return auto_epochs(self.solver, problem.n_rows, self.batch_size, problem.more_steps)

    def _set_state(self, state):
        """Set the fitted attributes: the parameters and the history in ``state``."""
        self._state = state.to_dict()

    def _split(self, problem, seed):
        """Return the rows to train on and the held-out ones, for ``early_stopping``."""
        return held_out_rows(problem.rows, self.validation_fraction, problem.strata, seed)

    def _reporters(self, rows, max_epochs=None):
        if not self.verbose:
            return []
        name = self._title or type(self).__name__
        if self._as_part.name is not None:
            name = f"{self._as_part.name}: {name}"
        return [Verbose(name, len(rows), int(self.verbose), max_epochs)]
