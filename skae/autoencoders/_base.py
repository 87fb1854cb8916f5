"""The one abstract base of the auto-encoders: parameters and training, everything but the objective."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from itertools import zip_longest
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from .._compat import Interval, StrOptions, _fit_context
from .._fitting import DTYPES, checked_weights, unchanged_on_error
from ..nn.activations import ACTIVATIONS
from ..nn.losses import LOSSES
from ..training.loop import DivergenceError, minimize
from ..training.problem import Problem
from ..training.solvers import LBFGS
from ..training.state import TrainingState
from ._fitted import FittedAutoEncoder
from ._losses import make_loss
from ._trained import TrainedModel


def _steps(estimator):
    """Whether the solver takes minibatch steps."""
    if estimator.solver == "lbfgs" or isinstance(estimator.solver, LBFGS):
        raise AttributeError("partial_fit needs a solver of minibatches: not solver='lbfgs'.")
    return True


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoEncoder(TrainedModel, FittedAutoEncoder, ABC):
    """Parameters and training, shared by all auto-encoders."""

    n_components: int = field(default=100, kw_only=False)
    hidden_layer_sizes: tuple = ()
    activation: str = "sigmoid"
    tied_weights: bool = True
    loss: object = "auto"
    weight_decay: float = 0.0
    warm_start: bool = False

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "tied_weights": ["boolean"],
        "loss": [StrOptions({"auto", *LOSSES}), list],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
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
            state = self._continue() if again else self._start(self._network, X.dtype)
            self._train(self._problem(X, weights), state)
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
            state = self._continue() if again else self._start(self._network, X.dtype)
            problem = self._problem(X, weights)
            with self._publishing(state):
                minimize(
                    problem.objective,
                    state,
                    self._make_solver(),
                    problem.batches(problem.rows, self.batch_size, shuffle=self.shuffle),
                    learning_rate=self.learning_rate_init,
                    max_epochs=state.n_epochs + 1,
                    stopping=None,
                    observers=self._reporters(problem.rows),
                )
        return self

    def _problem(self, X, weights):
        return Problem(self._objective(self._network, self._loss), X, weights)

    def _check_training_data(self, X, sample_weight, reset):
        frame = X
        dtype = DTYPES if reset else self._params.dtype
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=reset)
        sample_weight = checked_weights(sample_weight, X)
        sizes = (X.shape[1], *self._hidden_sizes(), self.n_components)
        shape = {"sizes": sizes, "activation": self.activation, "decoder": self._decoder()}
        if reset:
            self._shape = shape
            self._loss = make_loss(self.loss, X, frame)
        elif shape != self._shape:
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

    def _layer_shapes(self):
        """Return width and activation of each layer of the encoder, from the parameters."""
        widths = (*self._hidden_sizes(), self.n_components)
        return [(width, self.activation) for width in widths]

    def _layer_weights(self):
        """Return encoder weights, encoder bias, decoder weights and decoder bias (or None) of each layer."""
        params = self._fitted_params("encoder_weights_")
        encoder = params.encoder_weights, params.encoder_biases
        return list(zip_longest(*encoder, params.decoder_weights, params.decoder_biases))

    def _decoder(self):
        return "tied" if self.tied_weights else "untied"

    def _continue(self):
        state = TrainingState.from_dict(self._state)
        state.best, state.n_stale, state.best_params = np.inf, 0, None
        return state
