"""What sparse coders share: training around one hook, and the methods of a fitted dictionary."""

from abc import ABC, abstractmethod

import numpy as np
import scipy.sparse
from joblib import effective_n_jobs
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import _fit_context
from .._estimators.fitting import (
    DTYPES,
    MeanScore,
    checked_weights,
    opened_checkpoint,
    unchanged_on_error,
)
from .._threads import team
from ..training.batches import Batches
from ..training.loop import minimize
from ..training.observers import Verbose
from ..training.state import TrainingState
from ..training.stopping import Stopping


def positive_part(codes):
    """Return codes, dense or sparse, with 0 in place of what is negative."""
    return codes.maximum(0) if scipy.sparse.issparse(codes) else np.maximum(codes, 0)


class BaseCoder(MeanScore, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """Fitting and the fitted methods; ``_state`` has the parameters, which begin with the atoms."""

    @abstractmethod
    def _start(self, X, weights):
        """Return the ``TrainingState`` before the first step, and set ``_n_atoms``."""

    @abstractmethod
    def _training(self):
        """Return the objective and the solver, or None where there is nothing to learn."""

    @abstractmethod
    def _codes(self, X, sparse_output):
        """Return the codes of the validated ``X``, as a CSR matrix where they are sparse and that is asked for."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
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
            If X, a parameter or the checkpoint is invalid (the estimator is then as before), or if the objective
            becomes infinite (the weights of the last finite epoch are then kept).
        """
        with unchanged_on_error(self):
            X, weights = self._check_training_data(X, sample_weight, reset=True)
            stopping = Stopping(self.tol, self.n_iter_no_change, None)
            checkpoint, stored = opened_checkpoint(self, [X, weights])
            state = self._start(X, weights)
            if stored is not None:
                state = stored
            max_epochs = state.n_epochs if state.converged else self.max_iter
            observers = [] if checkpoint is None else [checkpoint]
            self._learn(X, weights, state, max_epochs, stopping, observers)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Go on by one epoch over X, with what earlier calls gathered.

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
            state = TrainingState.from_dict(self._state) if again else self._start(X, weights)
            self._learn(X, weights, state, state.n_epochs + 1, None, [])
        return self

    def _check_training_data(self, X, sample_weight, reset):
        dtype = DTYPES if reset else self.components_.dtype
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=reset)
        return X, checked_weights(sample_weight, X)

    def _learn(self, X, weights, state, max_epochs, stopping, observers):
        training = self._training()
        if self.verbose:
            observers = [Verbose(type(self).__name__, X.shape[0], int(self.verbose)), *observers]
        try:
            if training is not None:
                objective, solver = training
                with team(effective_n_jobs(self.n_jobs)):
                    minimize(
                        objective,
                        state,
                        solver,
                        Batches(X, weights, self.batch_size, shuffle=self.shuffle),
                        learning_rate=self.learning_rate_init,
                        max_epochs=max_epochs,
                        stopping=stopping,
                        observers=observers,
                    )
        finally:
            self._state = state.to_dict()

    def transform(self, X):
        """Return the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        H : {ndarray, csr_matrix} of shape (n_samples, n_components)
            Twice as many columns with ``split_sign``.
        """
        codes = self._codes(self._check(X), self.sparse_output)
        if not self.split_sign:
            return codes
        parts = [positive_part(codes), positive_part(-codes)]
        return scipy.sparse.hstack(parts, "csr") if self.sparse_output else np.hstack(parts)

    def inverse_transform(self, X):
        """Return what codes add up to.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes, as ``transform`` returns them.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        codes = check_array(X, accept_sparse="csr", dtype=self.components_.dtype)
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"X must have {self._n_features_out} columns, as transform returns; got {codes.shape[1]}."
            )
        if self.split_sign:
            codes = codes[:, : self._n_atoms] - codes[:, self._n_atoms :]
        return codes @ self.components_

    def reconstruct(self, X):
        """Return the sum of atoms that each sample's code stands for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
        """
        return self._codes(self._check(X), True) @ self.components_

    def score_samples(self, X):
        """Return minus half the squared reconstruction error of each sample, summed over features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        X = self._check(X)
        errors = np.asarray(X - self._codes(X, True) @ self.components_)
        return -0.5 * np.einsum("ij,ij->i", errors, errors)

    def _check(self, X):
        check_is_fitted(self)
        dtype = self.components_.dtype
        return validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)

    @property
    def components_(self):
        """ndarray of shape (n_components, n_features): the atoms."""
        size = self._n_atoms * self.n_features_in_
        return self._history("components_")["params"][:size].reshape(self._n_atoms, -1)

    @property
    def n_iter_(self):
        """int: the number of epochs so far."""
        return max(len(self._history("n_iter_")["loss_curve"]), 1)

    @property
    def loss_curve_(self):
        """list of float: the mean objective of each epoch."""
        return self._history("loss_curve_")["loss_curve"]

    def _history(self, name):
        if not hasattr(self, "_state"):
            raise AttributeError(f"{type(self).__name__} has no {name} before fit.")
        return self._state

    @property
    def _n_features_out(self):
        return self._n_atoms * (2 if self.split_sign else 1)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_state")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
