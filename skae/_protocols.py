"""What the training loop, and training on a cluster, ask of objectives, observers, solvers and batches."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np


class TrainingObjective(ABC):
    """What is minimized: a mean over rows, and its gradient. A class overrides what is otherwise for it than here.

    Attributes
    ----------
    observers : sequence of Observer
        What has to happen between epochs.
    monitors_loss : bool
        Whether the value falls in a training that succeeds, so that training may stop where it does not.
    finite_where_params_are : bool
        Whether the value is finite wherever the parameters are.
    can_be_captured : bool
        Whether a step on a device is the same work whatever the data, without a wait for the device.
    largest_cell_weight : float
        By what the loss of a cell is multiplied at most.
    identity : dict
        What tells it apart from other trainings and is no parameter of the estimator, by name.
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

    def draw(self, n_samples: int, rng: np.random.Generator) -> np.ndarray:
        """Return the random numbers of a captured step on ``n_samples`` samples, in int64."""
        return np.empty(0, np.int64)


class Observer:
    """What is called before and after epochs; a class overrides what it does.

    ``keeps_states`` says that it writes each state, which must be finite then.
    """

    keeps_states = False

    def epoch_begin(self, state: Any) -> None:
        """Called before an epoch."""

    def epoch_end(self, state: Any) -> bool:
        """Called after it; return whether to stop."""
        return False

    def kept(self, params: Any) -> dict[str, Any]:
        """Return the arrays that it keeps in ``state.extra``, or others of their shapes and dtypes."""
        return {}

    def merge(self, parts: list[dict[str, Any]]) -> None:
        """Go on from what ``kept`` returned after steps on each of ``parts`` of the rows, on a cluster."""
        if any(parts):
            raise NotImplementedError(f"{type(self).__name__} keeps arrays and needs a merge().")


class TrainingSteps(Protocol):
    """The steps of a training."""

    def epoch(self, rate: Any, keep: Any) -> tuple:
        """Make the steps of an epoch, see :meth:`skae.training.loop.Steps.epoch`."""


class TrainingBatches(Protocol):
    """Minibatches, which know where the steps on them are made: in this process, on a device or on a cluster."""

    def __len__(self) -> int:
        """Return the number of rows of an epoch."""

    def make_steps(self, objective: Any, state: Any, solver: Any) -> TrainingSteps:
        """Return the steps of a training of ``state``, which they change in place."""


@runtime_checkable
class SumsOutcomes(Protocol):
    """An objective that leaves more than a gradient to its solver, as that of a dictionary does."""

    def outcome(self) -> Any:
        """Return what the solver needs of the last batch, where that is a part of another one."""

    def take_outcomes(self, parts: list) -> None:
        """Take what :meth:`outcome` returned for all parts of a batch as that of the last batch."""


class TakesNoRate:
    """A solver without a step size, which a message could advise to lower."""


@runtime_checkable
class Restricts(Protocol):
    """A solver whose steps keep parameters in a set, such as atoms of norm 1."""

    def restrict(self, params: np.ndarray) -> None:
        """Bring parameters back to that set, in place."""


@runtime_checkable
class Announces(Protocol):
    """An observer that calls its listeners when it has changed the objective."""

    listeners: list
