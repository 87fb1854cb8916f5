"""What parameters need to have an effect: certain values of others.

Each :class:`Need` in the attribute ``_needs`` of classes says so; :func:`~.parameters.warn_of_unused` warns.
"""

from collections.abc import Callable
from typing import NamedTuple

from ..nn.corruption import CORRUPTIONS
from ..training.solvers import is_full_batch


class Need(NamedTuple):
    """Parameters that count only beside certain values of others.

    Parameters
    ----------
    names : str
        Names of these parameters, with spaces between them.
    others : str
        Names of the parameters whose values decide.
    needed : str
        What they need, in words.
    is_there : callable
        ``is_there(estimator)`` returns whether the estimator has what they need.
    """

    names: str
    others: str
    needed: str
    is_there: Callable

    @classmethod
    def of_value(cls, names, other, *values):
        """Return the need of a parameter that has one of ``values``."""
        needed = f"{other}={' or '.join(map(repr, values))}"
        return cls(names, other, needed, lambda self: getattr(self, other) in values)

    @classmethod
    def of_positive(cls, names, other):
        """Return the need of a parameter above 0."""
        return cls(names, other, f"{other} > 0", lambda self: getattr(self, other) > 0)


def _stops_early(estimator):
    return estimator.early_stopping


def _takes_steps(estimator):
    return not is_full_batch(estimator.solver)


LEVEL_NEED = Need(
    "corruption_level",
    "corruption",
    f"a corruption from {', '.join(map(repr, CORRUPTIONS))}",
    lambda self: isinstance(self.corruption, str) and self.corruption in CORRUPTIONS,
)

SWAP_NEED = Need(
    "corruption",
    "corruption batch_size",
    "batch_size above 1, to take values of other rows",
    lambda self: self.corruption != "swap" or self.batch_size > 1 or not _takes_steps(self),
)

# What parameters of all estimators that train need.
TRAINING_NEEDS = (
    Need.of_value("validation_fraction", "early_stopping", True),
    Need(
        "n_iter_no_change",
        "early_stopping solver",
        "early_stopping=True, with solver='lbfgs'",
        lambda self: _stops_early(self) or _takes_steps(self),
    ),
    Need(
        "tol n_iter_no_change",
        "early_stopping learning_rate solver",
        "early_stopping=True or learning_rate='constant'",
        lambda self: (
            _stops_early(self) or self.learning_rate == "constant" or not _takes_steps(self)
        ),
    ),
    Need(
        "learning_rate_init learning_rate batch_size shuffle",
        "solver",
        "a solver of minibatches, such as 'adam'",
        _takes_steps,
    ),
)
