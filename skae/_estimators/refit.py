"""Training in two rounds: held-out rows give the best number of epochs, and all rows are then trained on for as many.

A class takes these functions as methods: ``_train_twice, _train_for = train_twice, train_for``.
"""

from functools import partial

import numpy as np

from ..nn.scaling import unscaled
from ..training.loop import TrainingState
from ..training.solvers import SCHEDULES, is_full_batch
from .callbacks import Callbacks, is_reporting


def check_refit(estimator):
    """Raise if the other parameters of ``estimator`` rule out ``refit``."""
    if not estimator.early_stopping:
        raise ValueError(
            "refit=True needs early_stopping=True, which chooses the number of epochs."
        )
    if is_full_batch(estimator.solver):
        raise ValueError(
            f"refit=True needs a solver of minibatches, such as 'adam'; got solver={estimator.solver!r}."
        )


def train_twice(self, problem, state):
    """Minimize ``problem`` from ``state`` with held-out rows, and then from the same state on all rows."""
    start, X = TrainingState.from_dict(state.to_dict()), unscaled(problem.X)
    # Callbacks see both trainings as subtasks of the fit.
    whole = [] if is_reporting(vars(self)) else [Callbacks(self, X, 2)]
    self._train(problem, state)
    chosen = {name: self._state[name] for name in ("validation_curve", "converged")}
    n_epochs = int(np.argmin(chosen["validation_curve"])) + 1
    callbacks = Callbacks(self, X, n_epochs, self._set_state)
    problem.observers = [*problem.observers, callbacks]
    self._train_for(problem, start, n_epochs)
    self._state |= chosen
    for each in (callbacks, *whole):
        each.close()


def train_for(self, problem, state, n_epochs):
    """Minimize ``problem`` from ``state`` on all rows, for the first ``n_epochs`` of a training."""
    checkpoint, stored = self._checkpoint(problem, state, ".refit")
    if stored is not None and len(stored.loss_curve) <= n_epochs:
        state = stored
    observers = [] if checkpoint is None else [checkpoint]
    schedule = partial(SCHEDULES[self.learning_rate], range(self._n_epochs(problem)))
    self._train_on_all_rows(problem, state, n_epochs, schedule=schedule, observers=observers)
