"""Base of RBMs and deep Boltzmann machines: gradient steps, Gibbs chains and the normalizer."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar, Literal

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, StrOptions
from .._estimators.devices import as_given
from .._estimators.fitting import BLOCK, check_counts, column_names, generator
from .._estimators.reading import errors_of, validated_start
from .._estimators.training import TrainedModel
from .._typing import ArrayLike, FloatArray, RandomState, StepSolverLike
from ..nn.boltzmann import Chains
from ..nn.losses import Multinomial
from ..training.solvers import SGD
from ._partition import LogPartition, log_partition

# Sum of the means of the inputs from which shifts of all hidden units at once make training fail. With noise added to
# digits of 784 pixels, codes are better without centering up to 180, and worse from 250 on.
_CENTERED_FROM = 200


@dataclass(kw_only=True, eq=False, repr=False)
class BoltzmannMachine(TrainedModel, ABC):
    """Gradient steps with ``momentum``, samples and log Z, for machines that define two abstract methods."""

    n_gibbs_steps: int = 1
    n_chains: int | None = None
    centered: bool | Literal["auto"] = "auto"
    weight_decay: float = 0.0
    momentum: float = 0.0
    solver: StepSolverLike = "adam"
    batch_size: int = 100

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        "n_gibbs_steps": [Interval(Integral, 1, None, closed="left")],
        "n_chains": [Interval(Integral, 1, None, closed="left"), None],
        "centered": ["boolean", StrOptions({"auto"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
    }

    @abstractmethod
    def _ends_of_chains(self, n_chains, n_steps, X, means, rng):
        """Return the ends of Gibbs chains from the rows of X or, if it is None, from draws by the base rates."""

    @abstractmethod
    def _as_rbm(self):
        """Return the ``RBMParts`` of the machine."""

    def sample(
        self,
        n_samples: int = 1,
        *,
        n_steps: int = 1000,
        start: ArrayLike | None = None,
        means: bool = False,
        random_state: RandomState = None,
    ) -> FloatArray:
        """Return the ends of Gibbs chains.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains; with ``start``, the number of its rows.
        n_steps : int, default=1000
            Number of steps of each chain.
        start : array-like of shape (n_samples, n_features), default=None
            Initial visible states; the hidden layers of a :class:`~skae.boltzmann.DBM` start at their mean field. By
            default, draws from the base rates of the training data.
        means : bool, default=False
            Whether to return the means of the last visible units given the hidden ones, instead of draws.
        random_state : int, RandomState instance or None, default=None
            Random seed of the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The ends of the chains.
        """
        check_is_fitted(self)
        check_counts(n_samples=n_samples, n_steps=n_steps)
        X = checked_start(self, start, n_samples, self._state["params"].dtype, self._units)
        ends = self._ends_of_chains(n_samples, n_steps, X, means, generator(random_state))
        return as_given(ends, start)

    def log_partition(
        self, *, n_runs: int = 100, n_temperatures: int = 10_000, random_state: RandomState = None
    ) -> LogPartition:
        """Return log Z, the logarithm of the normalizer of ``score_samples``.

        It is exact for at most 20 hidden units (in a :class:`~skae.boltzmann.DBM`, units of the odd hidden layers).
        Otherwise it is estimated by annealed importance sampling that starts from independent visible units with the
        base rates of the training data.

        Parameters
        ----------
        n_runs : int, default=100
            Number of independent runs, at least 2, whose weights are averaged.
        n_temperatures : int, default=10000
            Number of steps from the independent units to the machine; with too few, Z is underestimated.
        random_state : int, RandomState instance or None, default=None
            Random seed of the draws.

        Returns
        -------
        estimate : LogPartition
            Named tuple of ``value``, and of ``low`` and ``high``, three standard errors of Z below and above it.

        Raises
        ------
        ValueError
            If a parameter is out of range, or log Z is beyond the range of numbers.
        TypeError
            If a number of runs or temperatures is no integer.

        References
        ----------
        Salakhutdinov, R. & Murray, I. On the quantitative analysis of deep belief networks. ICML 2008.
        """
        check_is_fitted(self)
        return log_partition(self._as_rbm(), n_runs, n_temperatures, random_state)

    def _new_chains(self, n_hidden, dtype):
        """Return the persistent chains of training, of ``n_hidden`` units each."""
        return Chains(self.n_chains or self.batch_size, n_hidden, dtype)

    def _make_solver(self):
        """Return the solver that the parameters name; ``'sgd'`` takes gradient steps with ``momentum``."""
        if self.solver == "sgd":
            return SGD(momentum=self.momentum, nesterov=False)
        if self.momentum:
            raise ValueError(
                f"momentum={self.momentum:g} is for solver='sgd': set that, or momentum=0; got solver={self.solver!r}."
            )
        return super()._make_solver()


def checked_start(machine, start, n_samples, dtype, units):
    """Return the initial states ``start`` of chains, whose values suit ``units``, as a numpy array; None for None."""
    if start is None:
        return None
    start = validated_start(machine, start, "start", n_samples, dtype)
    with errors_of("start"):
        units.check(start, column_names(machine, start))
    return start


def check_group_sums(X, units):
    """Raise unless each multinomial group of ``X`` sums to 1 in each row."""
    groups = [part.columns for part in units.parts if isinstance(part, Multinomial)]
    for rows in gen_batches(X.shape[0], BLOCK):
        for columns in groups:
            x = X[rows]
            sums = np.asarray(x[:, columns].sum(axis=1))
            if np.abs(sums - 1).max() > 1e-3:
                raise ValueError(
                    "visible='multinomial' needs groups of columns that sum to 1 in each row; encode them with "
                    "OneHotEncoder."
                )


def means_to_center(centered, units, dtype):
    """Return the means of the inputs in ``units`` if training is ``centered``, or None; 'auto' is by their sum."""
    means = units.means
    if centered == "auto":
        centered = np.abs(means).sum() > _CENTERED_FROM
    return means.astype(dtype) if centered else None
