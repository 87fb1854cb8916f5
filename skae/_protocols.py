"""Interfaces of objectives, observers, solvers and batches for the training loop and training on a cluster."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np


class TrainingObjective(ABC):
    """A mean over rows to minimize, and its gradient. Subclasses override what differs from the defaults here.

    Attributes
    ----------
    observers : sequence of Observer
        Observers to call between epochs.
    monitors_loss : bool
        Whether the value decreases in a successful training, so that training may stop when it does not.
    finite_where_params_are : bool
        Whether the value is finite wherever the parameters are.
    can_be_captured : bool
        Whether a step on a device is the same work for any data, without waiting for the device.
    largest_cell_weight : float
        Largest factor on the loss of a cell.
    identity : dict
        Named values, other than parameters of the estimator, that distinguish it from other trainings.
    """

    observers = ()
    monitors_loss = True
    finite_where_params_are = False
    can_be_captured = False
    largest_cell_weight = 1.0
    identity: ClassVar[dict] = {}

    @abstractmethod
    def __call__(self, flat: Any, batch: Any, grad: Any, rng: np.random.Generator) -> Any:
        """Return the value at the parameters ``flat`` on ``batch``.

        Fill ``grad`` with the gradient unless it is None.
        """

    def new_gradient(self, params: Any, batch_size: int) -> Any:
        """Return memory for a gradient that is only subtracted: like ``params``, or a ``FactoredGradient``."""
        return np.empty_like(params)

    def draw(self, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return the random numbers of a captured step on ``n_samples`` samples, in int64."""
        return np.empty(0, np.int64)

    def adapted(self, solver: Any) -> Any:
        """Return ``solver``, or one that makes its steps in other coordinates of the parameters."""
        return solver


class FactoredGradient(ABC):
    """A gradient whose largest parts are not added up, for a solver that only subtracts it from the parameters."""

    @abstractmethod
    def descend(self, params: Any, rate: float) -> None:
        """Subtract the gradient times ``rate`` from ``params``, the parameters where it was computed."""


class Observer:
    """An object that is called before and after epochs; subclasses override the methods that they need.

    ``keeps_states`` says that it stores each state, which must then be finite.
    """

    keeps_states = False

    def epoch_begin(self, state: Any) -> None:
        """Called before an epoch."""

    def epoch_end(self, state: Any) -> bool:
        """Called after an epoch; return whether to stop."""
        return False

    def extra_arrays(self, params: Any) -> dict[str, Any]:
        """Return the arrays that it keeps in ``state.extra``, or others of their shapes and dtypes."""
        return {}

    def merge(self, parts: list[dict[str, Any]]) -> None:
        """Continue from ``parts``, the results of ``extra_arrays`` after steps on parts of the rows, on a cluster."""
        if any(parts):
            raise NotImplementedError(f"{type(self).__name__} keeps arrays and needs a merge().")


class TrainingSteps(Protocol):
    """The steps of a training."""

    def epoch(self, rate: Any, keep: Any) -> tuple:
        """Make the steps of an epoch, see :meth:`skae.training.batches.Steps.epoch`."""


class TrainingBatches(Protocol):
    """Minibatches that determine where steps are made: in this process, on a device or on a cluster.

    Attributes
    ----------
    n_rows : int
        Number of rows of an epoch.
    """

    n_rows: int

    def make_steps(self, objective: Any, state: Any, solver: Any) -> TrainingSteps:
        """Return the steps of a training, which change ``state`` in place."""


@runtime_checkable
class SumsOutcomes(Protocol):
    """An objective whose solver needs more than a gradient, such as that of a dictionary."""

    def outcome(self) -> Any:
        """Return what the solver needs from the last batch, which is a part of a larger one."""

    def take_outcomes(self, parts: list) -> None:
        """Combine the results of :meth:`outcome` for all parts of a batch into the outcome of that batch."""


class TakesNoRate:
    """A solver without a step size, so that messages do not advise lowering it."""


@runtime_checkable
class Restricts(Protocol):
    """A solver whose steps keep parameters in a set, such as atoms of norm 1."""

    def restrict(self, params: np.ndarray) -> None:
        """Project parameters back onto that set, in place."""


@runtime_checkable
class Announces(Protocol):
    """An observer that notifies its listeners after it has changed the objective."""

    listeners: list
