"""A training problem: an objective, and the rows over which it is the mean."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays.namespace import dense, free_memory, is_numpy, like
from .._protocols import TrainingObjective
from .batches import Batches, Mixture, mean_objective


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
        other = copy(self)
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
