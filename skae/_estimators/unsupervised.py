"""Training without labels, for models of one network: ``fit`` and ``partial_fit`` around a few hooks."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from itertools import zip_longest
from numbers import Integral, Real
from typing import ClassVar

from sklearn.utils.metaestimators import available_if

from .._compat import Interval, StrOptions, _fit_context
from ..nn.scaling import unscaled
from ..training.problem import Problem
from ..training.solvers import LBFGS
from .advice import warn_of_constant_codes
from .fitting import (
    DTYPES,
    check_unchanged,
    column_names,
    counted_rows,
    unchanged_on_error,
)
from .identity import content
from .training import TrainedModel

# What the shape of the network and its units come from.
_FIXED = (
    "n_components",
    "hidden_layer_sizes",
    "activation",
    "tied_weights",
    "loss",
    "visible",
    "standardize",
    "noise",
)


def _steps(estimator):
    """Whether the solver takes minibatch steps."""
    if estimator.solver == "lbfgs" or isinstance(estimator.solver, LBFGS):
        raise AttributeError("partial_fit needs a solver of minibatches: not solver='lbfgs'.")
    return True


@dataclass(kw_only=True, eq=False, repr=False)
class UnsupervisedModel(TrainedModel, ABC):
    """A network that learns from X alone."""

    n_components: int = field(default=100, kw_only=False)
    standardize: str | bool = "auto"
    weight_decay: float = 0.0
    warm_start: bool = False

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "standardize": [StrOptions({"auto", "columns", "shared"}), "boolean"],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
    }

    @abstractmethod
    def _objective(self, network, loss):
        """Compose the training objective from its parts."""

    @abstractmethod
    def layer_shapes(self):
        """Return width and activation of each layer of the encoder, from the parameters."""

    @abstractmethod
    def _decoder(self):
        """Return the kind of the decoder, 'tied' or 'untied'."""

    @abstractmethod
    def _make_units(self, X, frame, sample_weight):
        """Return the ``Units`` of the validated ``X``, which was ``frame``."""

    def _first_state(self, X, weights):
        """Return the state before the first step."""
        return self._start(self._network, X.dtype)

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
        with unchanged_on_error(self):
            again = self.warm_start and hasattr(self, "_state")
            X, weights = self._check_training_data(X, sample_weight, reset=not again)
            state = self._continue() if again else self._first_state(X, weights)
            self._train(self._problem(X, weights), state)
            rows, name = unscaled(X), type(self).__name__
            warn_of_constant_codes(self.model_.encode, rows, name, self._cure_of_constant_codes())
            self._learn_from_trained(rows)
        return self

    def _learn_from_trained(self, X):
        """Find what else is to be known of the fitted model, from the validated X."""

    def _cure_of_constant_codes(self):
        return "Lower n_components, or train longer (max_iter, learning_rate_init)."

    @available_if(_steps)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go on by one epoch over X, in steps of ``learning_rate_init`` whatever ``learning_rate`` is.

        On the same X, n calls equal one ``fit`` of n epochs with ``learning_rate='constant'``.

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
        with unchanged_on_error(self):
            again = hasattr(self, "_state")
            X, weights = self._check_training_data(X, sample_weight, reset=not again)
            state = self._continue() if again else self._first_state(X, weights)
            self._train_epoch(self._problem(X, weights), state)
        return self

    def _problem(self, X, weights):
        return Problem(self._objective(self._network, self._loss), X, weights)

    def _check_training_data(self, X, sample_weight, reset):
        """Return the rows of X as the network sees them, and their weights."""
        frame = X
        dtype = DTYPES if reset else self._params.dtype
        X = self._validated(X, dtype=dtype, reset=reset)
        X, sample_weight, _ = counted_rows(X, sample_weight)
        if reset:
            self._begin(X, frame, sample_weight)
        else:
            check_unchanged(self._given, self._fixed_parameters())
        self._units.check(X, column_names(self, X))
        return self._units.scaling.rows(X), sample_weight

    def _begin(self, X, frame, sample_weight):
        """Set how the network sees X, and its shape."""
        self._given = self._fixed_parameters()
        self._units = self._make_units(X, frame, sample_weight)
        self._loss = self._units.loss
        widths, activations = zip(*self.layer_shapes())
        self._shape = {
            "sizes": (self._units.scaling.n_inputs, *widths),
            "activation": activations,
            "decoder": self._decoder(),
        }

    def _fixed_parameters(self):
        """Return the content of the parameters that have to stay when training goes on."""
        params = self.get_params(deep=False)
        return {name: content(params[name]) for name in _FIXED if name in params}

    def layer_weights(self):
        """Return encoder weights, encoder bias, decoder weights and decoder bias (or None) of each layer."""
        params = self._fitted_params("encoder_weights_")
        encoder = params.encoder_weights, params.encoder_biases
        return list(zip_longest(*encoder, params.decoder_weights, params.decoder_biases))
