"""The one abstract base of the auto-encoders: parameters and training, everything but the objective."""

import warnings
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import ClassVar

import joblib
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from .._compat import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    _fit_context,
)
from .._fitting import checked_weights, unchanged_on_error
from .._version import __version__
from ..nn.activations import ACTIVATIONS
from ..nn.losses import LOSSES
from ..training.batches import Batches
from ..training.checkpoint import Checkpoint
from ..training.loop import DivergenceError, minimize, minimize_full_batch
from ..training.observers import Verbose
from ..training.solvers import LBFGS, SOLVERS
from ..training.state import TrainingState
from ..training.stopping import Stopping
from ._callbacks import Callbacks
from ._fitted import BLOCK, FittedAutoEncoder
from ._losses import make_loss

_DTYPES = [np.float64, np.float32]


def _steps(estimator):
    """Whether the solver takes minibatch steps."""
    if estimator.solver == "lbfgs" or isinstance(estimator.solver, LBFGS):
        raise AttributeError("partial_fit needs a solver of minibatches: not solver='lbfgs'.")
    return True


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoEncoder(CallbackSupportMixin, FittedAutoEncoder, ABC):
    """Parameters and training, shared by all auto-encoders."""

    n_components: int = field(default=100, kw_only=False)
    hidden_layer_sizes: tuple = ()
    activation: str = "sigmoid"
    tied_weights: bool = True
    loss: object = "auto"
    weight_decay: float = 0.0
    solver: object = "adam"
    learning_rate_init: float = 1e-3
    batch_size: int = 256
    max_iter: int = 100
    tol: float = 1e-4
    shuffle: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    warm_start: bool = False
    random_state: object = None
    verbose: int = 0
    checkpoint: object = None
    resume: bool = False

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "tied_weights": ["boolean"],
        "loss": [StrOptions({"auto", *LOSSES}), list],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions(set(SOLVERS)), HasMethods("start")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "shuffle": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "checkpoint": [str, HasMethods("__fspath__"), None],
        "resume": ["boolean"],
    }

    @abstractmethod
    def _objective(self, network, loss):
        """Compose the training objective from its parts."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the encoder and the decoder from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64. A C-ordered array is not copied; a sparse
            matrix is made dense one minibatch at a time.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of the objective.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X or a parameter is invalid (the estimator is then as before), or if the loss becomes
            infinite (the weights of the last finite epoch are then kept).
        """
        with unchanged_on_error(self, published=(DivergenceError, KeyboardInterrupt)):
            again = self.warm_start and hasattr(self, "_state")
            X, weights = self._check_training_data(X, sample_weight, reset=not again)
            network = self._network
            state = self._start(network, X.dtype) if not again else self._continue(network)
            self._train(X, weights, network, state)
        return self

    @available_if(_steps)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go on by one epoch over X; n calls equal one ``fit`` of n epochs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
        """
        with unchanged_on_error(self, published=(DivergenceError, KeyboardInterrupt)):
            again = hasattr(self, "_state")
            X, weights = self._check_training_data(X, sample_weight, reset=not again)
            network = self._network
            state = self._continue(network) if again else self._start(network, X.dtype)
            with self._publishing(state):
                minimize(
                    self._objective(network, self._loss),
                    state,
                    self._make_solver(),
                    Batches(X, weights, self.batch_size, shuffle=self.shuffle),
                    learning_rate=self.learning_rate_init,
                    max_epochs=state.n_epochs + 1,
                    stopping=None,
                    observers=self._reporters(X),
                )
        return self

    def _check_training_data(self, X, sample_weight, reset):
        frame = X
        dtype = _DTYPES if reset else self._params.dtype
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=reset)
        sample_weight = checked_weights(sample_weight, X)
        sizes = (X.shape[1], *self._hidden_sizes(), self.n_components)
        if reset:
            self._sizes, self._activation, self._tied = sizes, self.activation, self.tied_weights
            columns = frame if hasattr(frame, "columns") else X
            self._loss = make_loss(self.loss, X, columns)
        elif (sizes, self.activation, self.tied_weights) != (
            self._sizes,
            self._activation,
            self._tied,
        ):
            raise ValueError(
                "n_components, hidden_layer_sizes, activation and tied_weights must stay as they "
                "were when training goes on; set warm_start=False and call fit to start anew."
            )
        self._loss.check(X, self._column_names(X))
        return X, sample_weight

    def _hidden_sizes(self):
        sizes = tuple(self.hidden_layer_sizes)
        if not all(isinstance(size, Integral) and size >= 1 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must hold integers >= 1; got {sizes!r}.")
        return sizes

    def _make_solver(self):
        return SOLVERS[self.solver]() if isinstance(self.solver, str) else self.solver

    def _start(self, network, dtype):
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        rng = np.random.default_rng(seed)
        params = network.initial(rng, dtype)
        return TrainingState(params, self._make_solver().start(params), rng, seed)

    def _continue(self, network):
        state = TrainingState.from_dict(self._state)
        state.best, state.n_stale, state.best_params = np.inf, 0, None
        return state

    def _train(self, X, weights, network, state):
        max_epochs = state.n_epochs + self.max_iter
        checkpoint = callbacks = None
        if self.checkpoint is not None:
            checkpoint = Checkpoint(self.checkpoint, self._identity(X, weights))
            stored = checkpoint.load() if self.resume else None
            if stored is not None:
                state, max_epochs = stored, self.max_iter
        if hasattr(self, "_init_callback_context"):
            callbacks = Callbacks(self, X, self.max_iter, self._attributes)
        watching = [watcher for watcher in (checkpoint, callbacks) if watcher is not None]
        with self._publishing(state):
            self._minimize(X, weights, network, state, max_epochs, self._reporters(X) + watching)
        if callbacks is not None:
            callbacks.close(state)

    def _minimize(self, X, weights, network, state, max_epochs, observers):
        train, held_out = self._split(X.shape[0], state.seed)
        solver, objective = self._make_solver(), self._objective(network, self._loss)
        if isinstance(solver, LBFGS):
            minimize_full_batch(
                objective,
                state,
                solver,
                Batches(X, weights, max(self.batch_size, BLOCK), indices=train),
                tol=self.tol,
                max_epochs=max_epochs,
                observers=observers,
            )
            if not state.converged:
                warnings.warn(
                    f"L-BFGS stopped at max_iter={self.max_iter} before it converged; raise "
                    "max_iter or tol.",
                    ConvergenceWarning,
                    stacklevel=5,
                )
        elif not state.converged:
            validation = None
            if held_out is not None:
                validation = Batches(X, weights, self.batch_size, indices=held_out)
            minimize(
                objective,
                state,
                solver,
                Batches(X, weights, self.batch_size, shuffle=self.shuffle, indices=train),
                learning_rate=self.learning_rate_init,
                max_epochs=max_epochs,
                stopping=Stopping(self.tol, self.n_iter_no_change, validation),
                observers=observers,
            )

    @contextmanager
    def _publishing(self, state):
        """Make ``state`` the fitted one, however the block ends."""
        try:
            yield
        finally:
            if state.best_params is not None:
                state.params, state.best_params = state.best_params, None
            self._state = state.to_dict()

    def _split(self, n_samples, seed):
        if not self.early_stopping:
            return None, None
        n_held_out = int(self.validation_fraction * n_samples)
        if not 0 < n_held_out < n_samples:
            raise ValueError(
                f"early_stopping=True with validation_fraction={self.validation_fraction} leaves "
                f"{n_held_out} of {n_samples} samples for validation; use more samples or another "
                "fraction."
            )
        order = np.random.default_rng(seed).permutation(n_samples)
        return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])

    def _reporters(self, X):
        if not self.verbose:
            return []
        return [Verbose(type(self).__name__, X.shape[0], int(self.verbose))]

    def _attributes(self, state):
        """Return what a fitted estimator has, as of ``state``."""
        names = ("_sizes", "_activation", "_tied", "_loss", "n_features_in_")
        return {"_state": state.to_dict(), **{name: getattr(self, name) for name in names}}

    def _identity(self, X, weights):
        free = {"max_iter", "verbose", "checkpoint", "resume", "random_state"}
        params = {k: repr(v) for k, v in self.get_params().items() if k not in free}
        return {"skae": __version__, "X": joblib.hash([X, weights]), **params}
