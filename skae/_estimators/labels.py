"""What makes a classifier of a network with an output layer."""

from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from .._compat import StrOptions
from ..nn.losses import Bernoulli, Multinomial
from ..nn.scaling import dense
from .supervised import Targets

_UNLABELED = -1


class NetworkClassifier(ClassifierMixin):
    """Classes as targets, and predictions from the means of the output units, ``_outputs(X)``."""

    _parameter_constraints: ClassVar[dict] = {
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
        outputs = self._outputs(X)
        if not self._multilabel:
            # Softmaxes have this sum already, but for rounding; sigmoids are each by itself.
            outputs /= np.maximum(outputs.sum(axis=1, keepdims=True), np.finfo(outputs.dtype).tiny)
        return outputs

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
            values = dense(values)
            if not np.isin(values, (0, 1)).all():
                raise ValueError(
                    "y with several columns must be an indicator matrix of 0 and 1; got the values "
                    f"{np.unique(values).tolist()}. Rows without labels cannot be marked in one: leave them out."
                )
            self.classes_, self._multilabel = np.arange(values.shape[1]), True
            return Targets(values, Bernoulli, np.ones(len(values), bool))
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y must have one column of classes, or an indicator matrix of 0 and 1."
            )
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        labeled = self._labeled(y)
        self.classes_, codes = np.unique(y[labeled], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must have two classes or more to tell apart; got 1 class, {self.classes_[0]!r}."
            )
        self._multilabel = False
        values, strata = np.zeros((len(y), len(self.classes_)), dtype), np.zeros(len(y), int)
        values[np.flatnonzero(labeled), codes] = 1
        strata[labeled] = codes
        return Targets(values, Multinomial, labeled, strata=strata)

    def _labeled(self, y):
        """Return which rows have a class. With {-1, 1} both are classes: one alone could not be learned."""
        everyone = np.ones(len(y), bool)
        if y.dtype.kind not in "if":
            return everyone
        labeled = y != _UNLABELED
        return labeled if len(np.unique(y[labeled])) > 1 else everyone

    def _balanced(self, weights, targets):
        if self.class_weight is None:
            return weights
        y = targets.values if self._multilabel else self.classes_[targets.strata]
        factors = np.ones(len(targets.values))
        labeled = targets.labeled
        factors[labeled] = compute_sample_weight(self.class_weight, y[labeled])
        if (factors < 0).any():
            raise ValueError(f"class_weight must not be negative; got {self.class_weight!r}.")
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
