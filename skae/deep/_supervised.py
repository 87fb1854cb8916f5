"""Classifier and regressor over a stack: layers pre-trained, an output layer, and all of them fine-tuned."""

from abc import abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import check_array, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._compat import Interval, StrOptions, _fit_context
from .._fitting import unchanged_on_error
from ..autoencoders._fitted import FittedNetwork, by_block
from ..nn.losses import Bernoulli, Gaussian, Multinomial, Reconstruction
from ..nn.objective import Objective
from ..nn.penalties import WeightDecay
from ..training.loop import DivergenceError
from ..training.problem import Problem
from ._base import BaseStack
from ._layers import layer_shapes
from ._pretraining import Pretraining

_UNLABELLED = -1


@dataclass
class Targets:
    """What a network is to put out.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_outputs)
    unit : loss of :mod:`skae.nn.losses`
        Output units.
    labelled : ndarray of bool of shape (n_samples,)
    strata : ndarray of shape (n_samples,) or None
        Classes of which held-out rows should have the same shares.
    """

    values: np.ndarray
    unit: type
    labelled: np.ndarray
    strata: np.ndarray | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class BaseSupervisedStack(BaseStack, FittedNetwork):
    """Everything but the kind of the targets."""

    pretraining: str | None = "unsupervised"
    dropout: float = 0.0
    weight_decay: float = 0.0

    _parameter_constraints: ClassVar[dict] = {
        **BaseStack._parameter_constraints,
        "pretraining": [StrOptions({"unsupervised", "supervised"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    @abstractmethod
    def _targets(self, y, dtype):
        """Return the ``Targets`` of ``y``, and set what prediction needs."""

    @abstractmethod
    def _errors(self, outputs, values):
        """Return the error of each row that early stopping looks at."""

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Pre-train the layers, and train them and the output layer together.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. For a classifier with two or more other classes, rows with -1 are unlabelled: they take
            part in unsupervised pre-training only.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, y or a parameter is invalid (the estimator is then as before), or if the loss becomes
            infinite (the weights of the last finite epoch are then kept).
        TypeError
            If a layer has no encoder weights.
        """
        with unchanged_on_error(self, published=(DivergenceError, KeyboardInterrupt)):
            self._check_layers()
            if y is None:
                raise ValueError(
                    f"{type(self).__name__} requires y to be passed, but the target y is None."
                )
            X, weights = self._check_training_data(X, sample_weight)
            check_consistent_length(X, y)
            targets = self._targets(y, X.dtype)
            self.layers_ = self._copies()
            widths, activations, _ = layer_shapes(self.layers_)
            self._shape = {
                "sizes": (X.shape[1], *widths, targets.values.shape[1]),
                "activation": (*activations, "identity"),
                "decoder": None,
                "dropout": self.dropout,
            }
            self._loss = Reconstruction([targets.unit(np.arange(targets.values.shape[1]))])
            self._learn(X, targets, weights)
        return self

    def _learn(self, X, targets, weights):
        network, rows = self._network, np.flatnonzero(targets.labelled)
        state = self._start(network, X.dtype)
        # At zero, the output layer does not shake the layers below with its first steps.
        network.views(state.params).encoder_weights[-1][...] = 0
        balanced = self._balanced(weights, targets)
        with self._publishing(state):
            if self.pretraining == "unsupervised":
                self._pretrain(network, state.params, X, weights)
            elif self.pretraining == "supervised":
                pretraining = Pretraining(self.layers_, network, state.params, False)
                pretraining.supervised(
                    X, balanced, targets.values, self._loss, rows, targets.strata
                )
        penalties = [WeightDecay(self.weight_decay)] if self.weight_decay else []
        problem = Problem(
            Objective(network, self._loss, penalties=penalties),
            X,
            balanced,
            targets.values,
            rows=rows,
            strata=targets.strata,
        )
        problem.monitor = self._monitor(network, problem)
        self._train(problem, state)

    def _balanced(self, weights, targets):
        """Return the weights of the samples in fine-tuning."""
        return weights

    def _monitor(self, network, problem):
        def error(params, rows):
            views = network.views(params)
            outputs = self._activated(network, views, problem.X[rows])
            weights = None if problem.sample_weight is None else problem.sample_weight[rows]
            return float(np.average(self._errors(outputs, problem.targets[rows]), weights=weights))

        return error

    def _activated(self, network, params, X):
        def outputs(x):
            return self._loss.activate(network.encode(params, x))

        return by_block(X, outputs, network.sizes[-1])

    def _outputs(self, X):
        """Return the means of the output units, of shape (n_samples, n_outputs)."""
        check_is_fitted(self)
        return self._by_block(
            X,
            lambda network, params, x: self._loss.activate(network.encode(params, x)),
            self._shape["sizes"][-1],
        )


@dataclass(kw_only=True, eq=False, repr=False)
class StackedAEClassifier(ClassifierMixin, BaseSupervisedStack):
    class_weight: object = None

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervisedStack._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    def predict(self, X):
        """Return the most probable class of each row, or which labels are more probable than not.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        probabilities = self._outputs(X)
        if self._multilabel:
            return (probabilities > 0.5).astype(int)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X):
        """Return the probability of each class (softmax), or of each label by itself.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._outputs(X)

    def predict_log_proba(self, X):
        """Return the logarithm of ``predict_proba(X)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))

    def _targets(self, y, dtype):
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            values = check_array(y, accept_sparse="csr", dtype=dtype)
            values = values.toarray() if hasattr(values, "toarray") else values
            self.classes_, self._multilabel = np.arange(values.shape[1]), True
            return Targets(values, Bernoulli, np.ones(len(values), bool))
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y must have one column of classes, or an indicator matrix of 0 and 1."
            )
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        labelled = self._labelled(y)
        self.classes_, codes = np.unique(y[labelled], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must have two classes or more to tell apart; got 1 class, {self.classes_[0]!r}."
            )
        self._multilabel = False
        values, strata = np.zeros((len(y), len(self.classes_)), dtype), np.zeros(len(y), int)
        values[np.flatnonzero(labelled), codes] = 1
        strata[labelled] = codes
        return Targets(values, Multinomial, labelled, strata)

    def _labelled(self, y):
        """Return which rows have a class. With {-1, 1} both are classes: one alone could not be learned."""
        everyone = np.ones(len(y), bool)
        if y.dtype.kind not in "if":
            return everyone
        labelled = y != _UNLABELLED
        return labelled if len(np.unique(y[labelled])) > 1 else everyone

    def _balanced(self, weights, targets):
        if self.class_weight is None:
            return weights
        y = targets.values if self._multilabel else self.classes_[targets.strata]
        factors = np.ones(len(targets.values))
        labelled = targets.labelled
        factors[labelled] = compute_sample_weight(self.class_weight, y[labelled])
        factors = factors.astype(targets.values.dtype)
        return factors if weights is None else weights * factors

    def _errors(self, outputs, values):
        if self._multilabel:
            return ((outputs > 0.5) != values).mean(axis=1)
        return outputs.argmax(axis=1) != values.argmax(axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class StackedAERegressor(RegressorMixin, BaseSupervisedStack):
    def predict(self, X):
        """Return the predicted targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        outputs = self._outputs(X)
        return outputs.ravel() if self._flat else outputs

    def _targets(self, y, dtype):
        values = check_array(y, dtype=dtype, ensure_2d=False, input_name="y")
        if values.ndim == 2 and values.shape[1] == 1:
            values = column_or_1d(values, warn=True)
        self._flat = values.ndim == 1
        values = np.ascontiguousarray(values.reshape(len(values), -1))
        return Targets(values, Gaussian, np.ones(len(values), bool))

    def _errors(self, outputs, values):
        return 0.5 * np.sum((outputs - values) ** 2, axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
