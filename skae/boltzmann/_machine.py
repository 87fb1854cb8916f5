"""What RBMs and deep Boltzmann machines have in common: gradient steps, Gibbs chains and the normalizer."""

from abc import ABC, abstractmethod

from sklearn.utils.validation import check_is_fitted, validate_data

from .._estimators.devices import as_given, in_numpy
from .._estimators.fitting import check_counts, column_names, errors_of, generator
from .._estimators.training import TrainedModel
from .._typing import ArrayLike, FloatArray, RandomState
from ..training.solvers import SGD
from ._partition import LogPartition, log_partition


class BoltzmannMachine(TrainedModel, ABC):
    """Steps with ``momentum``, samples and log Z, by what a machine says about itself in two abstract methods."""

    @abstractmethod
    def _ends_of_chains(self, n_chains, n_steps, X, means, rng):
        """Return where Gibbs chains end that start at the rows of X, or, where that is None, at draws by base rates."""

    @abstractmethod
    def _two_sides(self):
        """Return the machine's parameters as those of one RBM, its visible units, and their biases without hidden ones."""

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
            Number of chains; with ``start``, its rows are.
        n_steps : int, default=1000
            Steps of each chain.
        start : array-like of shape (n_samples, n_features), default=None
            Visible states to begin with, the hidden layers of a :class:`~skae.boltzmann.DBM` being at their mean
            field; by default, draws by the base rates of the training data.
        means : bool, default=False
            Whether to return the means of the last visible units given the hidden ones, instead of draws.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The ends of the chains.
        """
        check_is_fitted(self)
        check_counts(n_samples=n_samples, n_steps=n_steps)
        X = in_numpy(start)
        if X is not None:
            dtype = self._state["params"].dtype
            with errors_of("start"):
                X = validate_data(self, X, dtype=dtype, order="C", reset=False)
                self._check_range(X)
        ends = self._ends_of_chains(n_samples, n_steps, X, means, generator(random_state))
        return as_given(ends, start)

    def log_partition(
        self, *, n_runs: int = 100, n_temperatures: int = 10_000, random_state: RandomState = None
    ) -> LogPartition:
        """Return log Z, the logarithm of the normalizer of ``score_samples``.

        Exactly for at most 20 hidden units, or units in the odd hidden layers of a :class:`~skae.boltzmann.DBM`;
        otherwise by annealed importance sampling from independent visible units with the base rates of the training
        data.

        Parameters
        ----------
        n_runs : int, default=100
            Independent runs, whose weights are averaged.
        n_temperatures : int, default=10000
            Steps from the independent units to the machine; too few underestimate Z.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws.

        Returns
        -------
        estimate : LogPartition
            ``value``, and ``low`` and ``high``, three standard errors of Z away: a named tuple.

        References
        ----------
        Salakhutdinov, R. & Murray, I. On the quantitative analysis of deep belief networks. ICML 2008.
        """
        check_is_fitted(self)
        return log_partition(*self._two_sides(), n_runs, n_temperatures, random_state)

    def _make_solver(self):
        """Return the solver that the parameters name: plain gradient steps, or steps with ``momentum``, for ``'sgd'``."""
        if self.solver == "sgd":
            return SGD(momentum=self.momentum, nesterov=False)
        if self.momentum:
            raise ValueError(
                f"momentum={self.momentum:g} is for solver='sgd': set that, or momentum=0; got solver={self.solver!r}."
            )
        return super()._make_solver()

    def _check_range(self, X):
        self._units.check(X, column_names(self, X))
