"""What a training is about: an objective, and the rows that it is the mean over."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .batches import Batches, Mixture, mean_objective


@dataclass
class Problem:
    """An objective and its data.

    Parameters
    ----------
    objective : callable
        ``objective(params, batch, grad, rng) -> float``.
    X : C-ordered ndarray or CSR matrix of shape (n_samples, n_features)
    sample_weight : ndarray of shape (n_samples,) or None
    targets : C-ordered ndarray of shape (n_samples, n_outputs) or None
        What is to be predicted from X, if anything.
    rows : ndarray of int or None
        The rows to train on; all of them by default. Rows of weight 0 are left out.
    strata : ndarray of shape (n_samples,) or None
        Classes of which held-out rows have the same shares.
    monitor : callable or None
        ``monitor(rows)`` returns the function of parameters that is the error on held-out rows; the objective
        by default.
    labeled : ndarray of bool of shape (n_samples,) or None
        Which rows the targets are known of.
    unlabeled_per_labeled : float or None
        How many of the other rows a minibatch of training has for each of these, see
        :class:`~skae.training.batches.Mixture`; None goes through all rows alike.
    solver : solver or None
        What takes the steps, where the objective has a solver of its own; by default that of the estimator.
    shown : array-like, callable or None
        X as callbacks are shown it, or what returns that; by default ``X`` in its own units.
    observers : sequence
        What has to happen between epochs, besides the objective's own ``observers``, see
        :func:`~skae.training.loop.minimize`; ``kept(params)`` of each is a dict of arrays like those that it keeps in the
        state.
    """

    objective: Callable
    X: Any
    sample_weight: np.ndarray | None = None
    targets: np.ndarray | None = None
    rows: np.ndarray | None = None
    strata: np.ndarray | None = None
    monitor: Callable | None = None
    solver: Any = None
    shown: Any = None
    observers: Sequence = ()
    labeled: np.ndarray | None = None
    unlabeled_per_labeled: float | None = None

    def __post_init__(self):
        if self.rows is None:
            self.rows = np.arange(self.X.shape[0])
        if self.sample_weight is not None:
            self.rows = self.rows[self.sample_weight[self.rows] > 0]
        self.observers = [*getattr(self.objective, "observers", ()), *self.observers]

    @property
    def monitors_loss(self):
        """bool: whether the value falls while training succeeds, so that one which does not is a reason to stop."""
        return getattr(self.objective, "monitors_loss", True)

    @property
    def n_rows(self):
        """int: the rows that an epoch and ``batch_size`` count."""
        if self.unlabeled_per_labeled is None:
            return len(self.rows)
        return int(self.labeled[self.rows].sum())

    def kept(self, params):
        """Return arrays like those that observers keep in the ``extra`` of the training's state."""
        arrays = {}
        for observer in self.observers:
            arrays |= observer.kept(params)
        return arrays

    def batches(self, rows, batch_size, **options):
        """Return ``rows`` in minibatches, with ``options`` of :class:`~skae.training.batches.Batches`."""
        return Batches(
            self.X,
            self.sample_weight,
            batch_size,
            indices=rows,
            targets=self.targets,
            **options,
        )

    def training_batches(self, rows, batch_size, *, shuffle):
        """Return the minibatches of training on ``rows``."""
        if self.unlabeled_per_labeled is None:
            return self.batches(rows, batch_size, shuffle=shuffle)
        return Mixture(
            self.X,
            self.sample_weight,
            batch_size,
            shuffle=shuffle,
            indices=rows,
            targets=self.targets,
            labeled=self.labeled,
            n_unlabeled=round(self.unlabeled_per_labeled * self.labeled[rows].sum()),
        )

    def error(self, rows, batch_size, seed):
        """Return the function of parameters that early stopping looks at, on held-out ``rows``."""
        if self.monitor is not None:
            return self.monitor(rows)
        batches = self.batches(rows, batch_size)
        return lambda params: mean_objective(self.objective, params, batches, seed)
