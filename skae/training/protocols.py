"""What the training loop, and training on a cluster, ask of objects that come in several kinds."""

from typing import Any, Protocol, runtime_checkable

import numpy as np


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


@runtime_checkable
class Restricts(Protocol):
    """A solver whose steps keep parameters in a set, such as atoms of norm 1."""

    def restrict(self, params: np.ndarray) -> None:
        """Bring parameters back to that set, in place."""


@runtime_checkable
class Announces(Protocol):
    """An observer that calls its listeners when it has changed the objective."""

    listeners: list
