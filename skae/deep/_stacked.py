"""Stacked auto-encoders: a deep representation, learned layer by layer."""

from dataclasses import dataclass, fields
from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.utils import ClassifierTags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, StrOptions, _fit_context
from .._fitting import unchanged_on_error
from ..autoencoders._fitted import FittedAutoEncoder
from ..autoencoders._losses import make_loss
from ..nn.objective import Objective
from ..nn.penalties import WeightDecay
from ..training.loop import DivergenceError
from ..training.problem import Problem
from ._base import BaseStack
from ._layers import downward, fill, layer_shapes
from ._supervised import StackedAEClassifier, StackedAERegressor


def _predicts(method):
    def check(stack):
        if stack.fine_tune != "supervised":
            raise AttributeError(f"{method} needs fine_tune='supervised' and a fit with y.")
        return not hasattr(stack, "predictor_") or hasattr(stack.predictor_, method)

    return check


@dataclass(kw_only=True, eq=False, repr=False)
class StackedAE(BaseStack, FittedAutoEncoder):
    fine_tune: str | None = None
    weight_decay: float = 0.0

    _parameter_constraints: ClassVar[dict] = {
        **BaseStack._parameter_constraints,
        "fine_tune": [StrOptions({"reconstruction", "supervised"}), None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the layers from X, and fine-tune them together where ``fine_tune`` says so.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets of supervised fine-tuning; rows with -1 are unlabelled. Otherwise ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, y or a parameter is invalid (the estimator is then as before), or if the loss of fine-tuning
            becomes infinite (the weights of the last finite epoch are then kept).
        TypeError
            If a layer has no encoder weights.
        """
        with unchanged_on_error(self, published=(DivergenceError, KeyboardInterrupt)):
            self._check_layers()
            if self.fine_tune == "supervised":
                self._fit_predictor(X, y, sample_weight)
            else:
                self._fit_autoencoder(X, sample_weight)
        return self

    def _fit_autoencoder(self, X, sample_weight):
        frame = X
        X, weights = self._check_training_data(X, sample_weight)
        columns = frame if hasattr(frame, "columns") else X
        self._loss = make_loss(getattr(self.layers[0][1], "loss", "gaussian"), X, columns)
        self._loss.check(X, self._column_names(X))
        self.layers_ = self._copies()
        widths, activations, _ = layer_shapes(self.layers_)
        self._shape = {
            "sizes": (X.shape[1], *widths),
            "activation": activations,
            "decoder": "untied",
            "downward": None if self.fine_tune else downward(self.layers_),
        }
        network = self._network
        state = self._start(network, X.dtype)
        with self._publishing(state):
            self._pretrain(network, state.params, X, weights)
        if self.fine_tune:
            penalties = [WeightDecay(self.weight_decay)] if self.weight_decay else []
            objective = Objective(network, self._loss, penalties=penalties)
            self._train(Problem(objective, X, weights), state)

    def _fit_predictor(self, X, y, sample_weight):
        if y is None:
            raise ValueError(
                "fine_tune='supervised' requires y to be passed, but the target y is None."
            )
        continuous = type_of_target(y).startswith("continuous")
        Predictor = StackedAERegressor if continuous else StackedAEClassifier
        names = [field.name for field in fields(BaseStack)] + ["weight_decay"]
        predictor = Predictor(**{name: getattr(self, name) for name in names})
        try:
            predictor.fit(X, y, sample_weight)
        finally:
            if hasattr(predictor, "_state"):
                self._adopt(predictor)

    def _adopt(self, predictor):
        """Take the encoder of ``predictor``, which is its network without the last layer."""
        self.predictor_, self.layers_ = predictor, predictor.layers_
        self.n_features_in_ = predictor.n_features_in_
        if hasattr(predictor, "feature_names_in_"):
            self.feature_names_in_ = predictor.feature_names_in_
        sizes, activation = (predictor._shape[name][:-1] for name in ("sizes", "activation"))
        self._shape = {"sizes": sizes, "activation": activation, "decoder": None}
        network = self._network
        params = np.empty(network.size, predictor._params.dtype)
        deep = predictor._network.views(predictor._params)
        pairs = zip(deep.encoder_weights[:-1], deep.encoder_biases[:-1])
        fill(network.views(params), 0, [(*pair, None, None) for pair in pairs])
        self._state = {**predictor._state, "params": params}

    @available_if(_predicts("predict"))
    def predict(self, X):
        """Return the prediction of the network that was fine-tuned with y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        check_is_fitted(self)
        return self.predictor_.predict(X)

    @available_if(_predicts("predict_proba"))
    def predict_proba(self, X):
        """Return the probability of each class, where y had classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.predictor_.predict_proba(X)

    def score(self, X, y=None, sample_weight=None):
        """Return minus the mean reconstruction loss; after supervised fine-tuning, accuracy or R^2.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, for a stack that predicts.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.

        Returns
        -------
        score : float
        """
        if self.fine_tune == "supervised":
            check_is_fitted(self)
            return self.predictor_.score(X, y, sample_weight)
        return super().score(X, y, sample_weight)

    @property
    def _has_decoder(self):
        return self.fine_tune != "supervised"

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self.fine_tune == "supervised":
            tags.target_tags.required = True
            tags.classifier_tags = ClassifierTags(multi_label=True)
        return tags
