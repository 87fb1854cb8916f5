"""What sparse coders share: training, and the methods of a fitted dictionary."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import scipy.sparse
from joblib import effective_n_jobs
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .._arrays import activations
from .._arrays.namespace import dense, in_numpy, is_numpy, like, namespace, row_products, some_rows
from .._compat import Interval, _fit_context
from .._estimators.checks import check_unchanged, checked_codes
from .._estimators.code_warnings import warn_of_equal_codes
from .._estimators.columns import Columns
from .._estimators.devices import check_backend, dispatched, place_for, shown
from .._estimators.fit_warnings import warn_of_means, warn_of_new_scale, warn_of_scales
from .._estimators.fitting import (
    BLOCK,
    DTYPES,
    dtypes_of_library,
    fit_data,
    rows_at_once,
    score,
    unchanged_on_error,
    validated_rows,
)
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import alpha_, check_set, check_sparse_output, resolved_alpha
from .._estimators.squares import scale_of_values, spread_of_values
from .._estimators.training import TrainedModel
from .._typing import (
    ArrayLike,
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    FloatArray,
    MatrixLike,
    Self,
    TransformerMixin,
)
from ._dictionary import first_atoms

USED_AFTER_FIT = "alpha", "gap_tol", "max_inference_iter", "n_jobs"  # parameters of the inference
_N_CHECKED_ROWS = 128  # rows whose codes the checks after a fit look at


def positive_part(codes):
    """Return codes, dense or sparse, with negative entries set to 0."""
    return codes.maximum(0) if scipy.sparse.issparse(codes) else activations.positive_part(codes)


@dataclass(kw_only=True, eq=False, repr=False)
class BaseCoder(
    TrainedModel, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC
):
    """Base of sparse coders: ``fit`` and the fitted methods. The parameters in ``_state`` begin with the atoms."""

    alpha: float | str = "auto"
    gap_tol: float = 1e-4
    max_inference_iter: int = 1000
    warm_start: bool = False
    n_jobs: int | None = None

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left"), str],
        "gap_tol": [Interval(Real, 0, None, closed="left")],
        "max_inference_iter": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
    }

    _used_after_fit = USED_AFTER_FIT
    _spread = 1.0  # of the values of X, in models of versions that had none
    _scale = None  # root mean square of the rows that the first atoms come from

    @abstractmethod
    def _wanted_shape(self, n_features):
        """Return a dict of ``n_components`` and the other parameters that must not change when training continues."""

    def _measure_scale(self, X, weights):
        """Keep the spread and the scale of the rows that the first atoms come from."""
        self._spread, self._scale = spread_of_values(X, weights), scale_of_values(X, weights)

    @abstractmethod
    def _resolve_algorithm(self, atoms):
        """Raise if ``algorithm`` cannot find codes for ``atoms``; choose one if it is ``'auto'``."""

    @abstractmethod
    def _problem(self, X, weights):
        """Return the training ``Problem``."""

    def _check_library(self, X):
        """Raise if the parameters do not support the library of X."""

    @abstractmethod
    def _codes(self, X, sparse_output):
        """Return the codes of the validated ``X``, as a CSR matrix if ``sparse_output`` and the codes are sparse."""

    def _take_given_dictionary(self, X):
        """Take the dictionary that the parameters contain; return whether there is one, so nothing to train."""
        return False

    def _initial_params(self, atoms):
        """Return all initial parameters, which begin with ``atoms``."""
        return atoms.ravel()

    def _choose_fastest_algorithm(self, X):
        """Replace the choice by the fastest algorithm for rows like those of the validated X, after training."""

    fit_transform, score = fit_transform, score
    alpha_, _alpha = alpha_, resolved_alpha

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
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
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, a parameter or the checkpoint is invalid (the estimator is then as before), or if the objective
            becomes infinite (the weights of the last finite epoch are then kept).
        """
        with unchanged_on_error(self, effective_n_jobs(self.n_jobs)):
            again = self.warm_start and hasattr(self, "_state")
            X = self._learn(X, sample_weight, self._train, again=again, held_out=True)
            self._advise(some_rows(X, _N_CHECKED_ROWS))
        return self

    def _advise(self, X):
        """Warn if codes of the validated rows X say little, or one of their columns dwarfs the others."""
        codes = self._codes(X, sparse_output=False)
        warn_of_equal_codes(codes, X, type(self).__name__, self._alpha)
        names = getattr(self, "feature_names_in_", range(X.shape[1]))
        columns = Columns(in_numpy(X))
        warn_of_scales(columns, names, "Scale X (StandardScaler).")
        warn_of_means(columns, type(self).__name__)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on X, from the state that earlier calls left.

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
            The estimator after the epoch.
        """
        with unchanged_on_error(self, effective_n_jobs(self.n_jobs)):
            again = hasattr(self, "_state")
            X = self._learn(X, sample_weight, self._train_epoch, again=again, held_out=False)
            if not again:
                self._advise(some_rows(X, _N_CHECKED_ROWS))
        return self

    def _learn(self, X, sample_weight, train, *, again, held_out):
        """Learn by ``train(problem, state)``; return the validated X.

        Parameters
        ----------
        X, sample_weight : array-like
            Data as the user gave them.
        train : callable
        again : bool
            Whether to continue from the last state.
        held_out : bool
            Whether ``train`` may hold out rows, which are no initial atoms then.
        """
        self._check_library(X)
        dtype = self._atoms.dtype if again else DTYPES
        data = fit_data(self, X, sample_weight, dtype=dtype, reset=not again)
        prototype, self._backend = place_for(self, data.frame)
        X, weights = data.X, data.sample_weight
        if not self._take_given_dictionary(X):
            problem, state = (
                self._resumed(X, weights) if again else self._begun(X, weights, held_out)
            )
            self._resolve_algorithm(self._atoms_of(state.params))
            problem.prototype = prototype
            train(problem, state)
        self._choose_fastest_algorithm(X)
        return X

    def _begun(self, X, weights, held_out):
        """Return the ``Problem`` and an initial state, whose atoms are training rows."""
        self._warned_of_drift = False
        self._measure_scale(X, weights)
        self._shape = self._wanted_shape(X.shape[1])
        problem, (seed, rng) = self._problem(X, weights), self._seed()
        held_out = held_out and self.early_stopping
        rows = self._split(problem, seed)[0] if held_out else problem.rows
        atoms = first_atoms(X, weights, rows, self._n_atoms, rng)
        return problem, self._new_state(self._initial_params(atoms), seed, rng)

    def _resumed(self, X, weights):
        """Return the ``Problem`` and the last state."""
        shape = self._wanted_shape(X.shape[1])
        check_unchanged(self._shape, shape)
        # Once, since calls of partial_fit are many.
        self._warned_of_drift = self._warned_of_drift or warn_of_new_scale(
            X, weights, self._scale, self._alpha
        )
        self._shape = shape
        return self._problem(X, weights), self._last_state()

    def transform(self, X: MatrixLike) -> FloatArray | scipy.sparse.csr_matrix:
        """Return the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        H : {ndarray, csr_matrix} of shape (n_samples, n_components)
            Codes, in twice as many columns with ``split_sign``. They are dense if X is an array of another library.
        """
        if self.sparse_output:
            check_sparse_output(self)
        codes = self._codes(self._validated(X, "transform"), self.sparse_output)
        if not self.split_sign:
            return codes
        parts = [positive_part(codes), positive_part(-codes)]
        if scipy.sparse.issparse(codes):
            return scipy.sparse.hstack(parts, "csr")
        return np.hstack(parts) if is_numpy(codes) else namespace(codes).concat(parts, axis=1)

    def inverse_transform(self, X: MatrixLike) -> FloatArray:
        """Return the weighted sum of atoms of each code.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes, as ``transform`` returns them.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Samples, on the scale of the training data.
        """
        check_is_fitted(self)
        check_set(self, *self._used_after_fit)
        check_backend(self._backend, X, f"{type(self).__name__}.inverse_transform")
        dtype = self._atoms.dtype
        dtype = dtypes_of_library(X, dtype) if dispatched(X) else dtype
        codes = checked_codes(self, X, self._n_features_out, dtype)
        if self.split_sign:
            codes = codes[:, : self._n_atoms] - codes[:, self._n_atoms :]
        return codes @ self._atoms_like(codes)

    def reconstruct(self, X: MatrixLike) -> FloatArray:
        """Return the reconstruction of each sample: the weighted sum of atoms of its code.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Reconstructions, on the scale of X.
        """
        X = self._validated(X, "reconstruct")
        return self._codes(X, True) @ self._atoms_like(X)

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return minus half the squared reconstruction error of each sample, summed over features.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            High for samples that are like the training data.
        """
        X = self._validated(X, "score_samples")
        if dispatched(X):
            errors = X - self._codes(X, False) @ self._atoms_like(X)
            return -0.5 * row_products(errors, errors)
        codes, scores = self._codes(X, True), np.empty(X.shape[0], X.dtype)
        for rows in gen_batches(len(scores), rows_at_once(BLOCK, 2 * X.shape[1], X.dtype)):
            errors = dense(X[rows]) - codes[rows] @ self._atoms
            scores[rows] = -0.5 * np.einsum("ij,ij->i", errors, errors)
        return scores

    def _validated(self, X, method):
        """Return the validated X of a public ``method``."""
        check_is_fitted(self)
        check_set(self, *self._used_after_fit)
        self._check_library(X)
        check_backend(self._backend, X, f"{type(self).__name__}.{method}")
        return validated_rows(self, X, dtype=self._atoms.dtype, reset=False)

    @property
    def components_(self) -> FloatArray:
        """The atoms: ndarray of shape (n_components, n_features)."""
        return shown(self._backend, self._atoms_of(self._history("components_")["params"]))

    @property
    def _atoms(self):
        """The atoms as a numpy array."""
        return self._atoms_of(self._state["params"])

    def _atoms_like(self, X):
        """Return the atoms in the library and on the device of X."""
        return like(self._atoms, X) if dispatched(X) else self._atoms

    def _atoms_of(self, params):
        return params[: self._n_atoms * self.n_features_in_].reshape(self._n_atoms, -1)

    @property
    def _n_atoms(self):
        return self._shape["n_components"]

    @property
    def _n_features_out(self):
        return self._n_atoms * (2 if self.split_sign else 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
