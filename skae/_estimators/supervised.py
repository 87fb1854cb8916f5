"""An encoder with an output layer on top: noise at the inputs, training and prediction."""

from abc import ABC
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import ClassVar, Literal

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._arrays.namespace import in_numpy, is_numpy
from .._compat import Interval, StrOptions
from .._typing import (
    AnyArray,
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    Corruption,
    FloatArray,
    MatrixLike,
    Schedule,
    TransformerMixin,
    available_if,
)
from ..nn.composition import SharedEncoder
from ..nn.corruption import CORRUPTIONS, make_input_noise
from ..nn.losses import Reconstruction
from ..nn.model import Model
from ..nn.network import network_of
from ..nn.objective import Objective
from ..training.loop import Problem
from ..training.solvers import is_full_batch
from .columns import resembles_words
from .devices import as_given
from .fit_warnings import warn_of_few_directions
from .fitted import FittedNetwork, by_block_of_model
from .fitting import DTYPES, by_block, counted_rows, gathered_with_y, validated_frame
from .label_neighbors import LabeledNeighbors, kernel_errors
from .labels import SupervisedData
from .needs import LEVEL_NEED, SWAP_NEED
from .one_pass import fit_transform
from .reading_y import read_classes, read_values
from .refit import check_refit, train_for, train_twice
from .training import TrainedModel

# At the inputs, in the joint training of all layers.
NOISE_CONSTRAINTS = {
    "corruption": [StrOptions({"auto", *CORRUPTIONS}), callable, None],
    "corruption_level": [Interval(Real, 0, None, closed="left")],
}
# Fraction of masked inputs with _MANY_INPUTS or more, as in images, or of words; fewer inputs say less about each other.
_MASKED, _MASKED_WORDS, _MANY_INPUTS, _LEAST_MASKED = 0.3, 0.5, 500, 0.05
_MOSTLY_REAL = 0.5  # least fraction of real inputs for their directions to decide whether to mask
# Fraction of dropped units, in layers that are wide enough for it; the default layers are.
_DROPPED, _FEWEST_UNITS = 0.5, 100
# Labeled rows per input: with fewer than _FEW_ROWS a network fits any labels; with more than _MANY_ROWS it has learned too
# little of _MANY_CLASSES by the end of the few steps of 'auto' epochs, and longer steps cost no time.
_FEW_ROWS, _MANY_ROWS, _MANY_CLASSES = 10, 50, 10
_STEP, _LONGEST_STEP = 3e-3, 1e-2  # for learning_rate_init='auto'
MOST_UNITS, _UNITS_PER_FEATURE = 500, 5  # of the default layers


def widths_below_outputs(X):
    """Return the numbers of units of the default layers that are trained with y.

    Codes for another model gain from 500 units; together with an output layer, on tables, they only take longer.
    Classes are nearly linear in words, and each further layer only has to learn to pass them on.
    """
    if resembles_words(X):
        return [_FEWEST_UNITS]
    return [min(MOST_UNITS, max(_FEWEST_UNITS, _UNITS_PER_FEATURE * X.shape[1]))] * 2


@dataclass(kw_only=True, eq=False, repr=False)
class BaseSupervised(
    TrainedModel, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC
):
    """Base of an encoder and an output layer trained together: everything but the encoder's initial weights.

    y has classes if the estimator is a classifier, and numbers otherwise.
    """

    corruption: Literal["auto"] | Corruption = "auto"
    corruption_level: float = 0.3
    weight_decay: float | str = 0.0
    dropout: float | Literal["auto"] = 0.0
    learning_rate_init: float = 3e-3
    learning_rate: Schedule = "cosine"
    batch_size: int = 64
    max_iter: int | Literal["auto"] = "auto"
    frozen: int | Literal["all"] = 0
    refit: bool = False

    fit_transform = fit_transform
    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        **NOISE_CONSTRAINTS,
        "dropout": [StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        "frozen": [StrOptions({"all"}), Interval(Integral, 0, None, closed="left")],
        "refit": ["boolean"],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    _needs: ClassVar[tuple] = (LEVEL_NEED, SWAP_NEED)
    _drops_on_pixels: ClassVar[bool] = True  # with dropout='auto'

    # What it has in common with networks that decode, without being one.
    center_, scale_ = FittedNetwork.center_, FittedNetwork.scale_
    column_losses_ = FittedNetwork.column_losses_
    _by_block = by_block_of_model
    _train_twice, _train_for = train_twice, train_for

    def transform(self, X: MatrixLike) -> FloatArray:
        """Return the representation below the output layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            Outputs of the highest hidden layer.
        """
        return self._outputs(X, "transform", n_above=1)

    def predict(self, X: MatrixLike) -> AnyArray:
        """Return the most probable class of each row, its labels that are more probable than not, or predicted values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions; values are float64.
        """
        logits = self._logits(X, "predict")
        return as_given(self._kind.predictions(logits), X)

    @available_if(is_classifier)
    def predict_proba(self, X: MatrixLike) -> FloatArray:
        """Return the probability of each class (softmax), or of each label by itself.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        logits = self._logits(X, "predict_proba")
        return as_given(self._kind.probabilities(logits, self._output_units), X)

    @available_if(is_classifier)
    def predict_log_proba(self, X: MatrixLike) -> FloatArray:
        """Return the logarithm of ``predict_proba(X)``, also where that is too small for its dtype.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            Logarithms of probabilities.
        """
        logits = self._logits(X, "predict_log_proba")
        return as_given(self._kind.log_probabilities(logits, self._output_units), X)

    @property
    def model_(self) -> Model:
        """The fitted network with its parameters and units, which takes columns of X: Model."""
        flat, network = self._history("model_")["params"], self._network
        units, n_layers = self._units, network.depth - 1
        return Model(network, flat, units, loss=self._output_units, n_layers=n_layers)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _validated_data(self, frame, y, sample_weight):
        """Return the ``SupervisedData`` of a fit, and set the kind of predictions."""
        if self.corruption != "auto":
            make_input_noise(self.corruption, self.corruption_level)  # raises if they are invalid
        if self.refit:
            check_refit(self)
        frame, y = gathered_with_y(self, frame, y)
        X = validated_frame(self, frame, dtype=DTYPES)
        check_consistent_length(X, y)
        X, weights, counted = counted_rows(X, sample_weight)
        balanced = weights
        if is_classifier(self):
            self._kind, targets = read_classes(y, X.dtype, counted)
            self.classes_ = self._kind.classes
            balanced = self._kind.balanced(weights, targets, self.class_weight)
        else:
            self._kind, targets = read_values(y, X.dtype, counted, weights)
        if balanced is not None and not balanced[targets.labeled].sum() > 0:
            raise ValueError(
                "sample_weight and class_weight must have a positive sum over the rows with a label."
            )
        return SupervisedData(X, weights, frame, sample_weight, balanced, targets)

    def _start_network(self, units, sizes, activations, data):
        """Set the network, of an encoder and an output layer, and its units; return the state before the first step.

        ``sizes`` are the widths from the input to the code.
        """
        self._units, targets, (_, *widths) = units, data.targets, sizes
        n_outputs = targets.values.shape[1]
        if self.frozen != "all" and self.frozen > len(widths):
            raise ValueError(
                f"frozen={self.frozen} is more than the {len(widths)} hidden layers; 'all' means all of them."
            )
        self._rows_per_input = data.n_labeled / sizes[0]
        dropout = self._automatic_dropout(widths, data) if self.dropout == "auto" else self.dropout
        self._shape = {
            "sizes": (*sizes, n_outputs),
            "activation": (*activations, "identity"),
            "decoder": None,
            "dropout": dropout,
        }
        self._output_units = Reconstruction([targets.loss(np.arange(n_outputs))])
        network = self._network
        state = self._initial_state(network, targets.values.dtype)
        # Random weights of the output layer would change the layers below before it has learned anything.
        params = network.views(state.params)
        params.encoder_weights[-1][...] = params.encoder_biases[-1][...] = 0
        return state

    def _automatic_dropout(self, widths, data):
        """Return the fraction of units to drop, if rows are few or labels noisy: of many units, with many steps to learn."""
        many_steps = self.max_iter == "auto" and not is_full_batch(self.solver)
        trained = self.frozen != "all" and min(widths) >= _FEWEST_UNITS
        suited = self._drops_on_pixels or not self._units.has_common_range
        if not (many_steps and trained and suited):
            return 0.0
        if self._rows_per_input < _FEW_ROWS:
            return _DROPPED
        inputs = self._inputs(data.X)
        noise = LabeledNeighbors(inputs, data).noise(self._kind)
        if noise and is_classifier(self):
            noise = min(noise, self._kind.noise_to_kernel(*kernel_errors(inputs, data, self._kind)))
        return _DROPPED * noise

    def _auto_step_size(self):
        n_rows = self._rows_per_input * min(1.0, self._shape["sizes"][-1] / _MANY_CLASSES)
        return min(_STEP * max(1.0, n_rows / _MANY_ROWS), _LONGEST_STEP)

    def _train_jointly(
        self,
        data,
        inputs,
        state,
        constant_loss,
        *,
        penalties,
        factors=None,
        autoencoder=None,
        **options,
    ):
        """Train all layers together, from ``state``, to predict the targets in ``data``.

        Parameters
        ----------
        data : SupervisedData
        inputs : ndarray, CSR matrix or ScaledRows of shape (n_samples, n_inputs)
            Those of the network, the :meth:`_inputs` of ``data.X``.
        state : TrainingState
        constant_loss : float
            Loss of the best constant predictions.
        penalties : sequence of Penalty
        factors : ndarray or None
            Factors of the weights of rows in the loss of predictions.
        autoencoder : (Network, ndarray) or None
            A network with the same hidden layers and a decoder, and its parameters: X is then reconstructed, too, with
            the weight in the parameter ``reconstruction_weight``.
        **options
            Those of ``Problem``: which ``rows`` take part, ``observers``, and so on.
        """
        # Masked cells would hide the small differences between columns that nearly depend on each other.
        unmasked = self._warn_of_few_directions(inputs) and self.corruption == "auto"
        noise = None if unmasked else self._noise(data.X)
        parts = {"penalties": penalties, "n_frozen": self._n_frozen_layers, "row_factors": factors}
        objective = Objective(self._network, self._output_units, corruption=noise, **parts)
        if autoencoder is None:
            options["constant_loss"] = constant_loss
        else:
            network, flat = autoencoder
            objective = self._plus_reconstruction(objective, network, constant_loss)
            state = state.restarted(objective.join(state.params, flat), self._make_solver())
        weights, targets = data.balanced_weights, data.targets
        options |= {"strata": targets.strata, "labeled": targets.labeled, "may_miss": False}
        problem = Problem(objective, inputs, weights, targets.values, **options)
        problem.monitor = partial(self._held_out_error, problem)
        if self.refit:
            self._train_twice(problem, state)
        else:
            self._train(problem, state)

    def _plus_reconstruction(self, objective, network, constant_loss):
        """Return ``objective`` plus ``reconstruction_weight`` times the loss of reconstructing X with ``network``.

        The loss is scaled such that constant outputs have the same loss in both parts.
        """
        of_constants = sum(self._units.constant_losses.values())
        # A constant X has no loss that could set the scale.
        scale = constant_loss / of_constants if of_constants > 0 else 0.0
        options = {"corruption": objective.corruption, "n_frozen": self._n_frozen_layers}
        reconstruction = Objective(network, self._units.loss, **options)
        return SharedEncoder(objective, reconstruction, self.reconstruction_weight * scale)

    @property
    def _n_frozen_layers(self):
        """The number of the lowest layers that are not trained: int."""
        return self._network.depth - 1 if self.frozen == "all" else self.frozen

    def _warn_of_few_directions(self, inputs):
        """Return whether a few directions have nearly all variance of ``inputs`` that are mostly real, and warn then."""
        if np.mean(self._units.gaussian_inputs) < _MOSTLY_REAL:
            return False
        return warn_of_few_directions(inputs, self._units, type(self).__name__)

    def _noise(self, X):
        """Return the corruption of the network's inputs in training; those after the columns of X have no group."""
        n_inputs, groups, limits = self._shape["sizes"][0], self._units.groups, self._units.limits
        if groups is not None:
            groups = np.append(groups, np.arange(len(groups), n_inputs))
        if limits is not None:
            low, high = limits
            n_more = n_inputs - len(low)  # means of hidden units
            limits = np.append(low, np.zeros(n_more)), np.append(high, np.ones(n_more))
        if self.corruption != "auto":
            return make_input_noise(self.corruption, self.corruption_level, groups, limits)
        most = _MASKED_WORDS if resembles_words(X) else _MASKED
        level = most * min(1, n_inputs / _MANY_INPUTS)
        return None if level < _LEAST_MASKED else make_input_noise("masking", level, groups)

    def _held_out_error(self, problem, rows):
        """Return the error of predictions of the labeled ones of ``rows`` as a function of the parameters."""
        rows = rows[problem.labeled[rows]]
        if not rows.size:
            raise ValueError(
                "early_stopping=True leaves no sample with a label for validation; raise "
                "validation_fraction or label more samples."
            )
        X, targets, network = problem.X[rows], problem.targets[rows], self._network
        weights = None if problem.sample_weight is None else problem.sample_weight[rows]

        def error(params):
            logits = partial(network.encode, network.views(params))
            prototype = None if is_numpy(params) else params
            outputs = by_block(X, logits, network.sizes[-1], prototype=prototype)
            return float(np.average(self._kind.errors(outputs, targets), weights=weights))

        return error

    def _logits(self, X, method):
        """Return the logits of the output units as a numpy array of shape (n_samples, n_outputs), for a ``method``.

        Means of sigmoids are the same number, 0 or 1, for all logits that are large.
        """
        return in_numpy(self._outputs(X, method))

    def _outputs(self, X, method, n_above=0):
        """Return the outputs of the network without its ``n_above`` highest layers, for a public ``method``."""
        check_is_fitted(self)
        n_layers = self._network.depth - n_above

        def outputs(model, x):
            return model.network.encode(model.params, self._inputs(x)[...], n_layers=n_layers)

        return self._by_block(X, outputs, self._network.sizes[n_layers], method=method)

    def _inputs(self, X):
        """Return the inputs of the network for the rows of X, which are scaled when they are taken."""
        return self._units.scaling.rows(X)

    @property
    def _params(self):
        return self._state["params"]

    @property
    def _network(self):
        return network_of(**self._shape)

    @property
    def _n_features_out(self):
        return self._shape["sizes"][-2]
