"""Sparse coding with a learned or a given dictionary."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import scipy.sparse
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import Interval, StrOptions, _check_sample_weight, _fit_context
from ..training.batches import Batches
from ..training.loop import minimize
from ..training.observers import Verbose
from ..training.state import TrainingState
from ..training.stopping import Stopping
from ._dictionary import DictionaryObjective, DictionarySolver
from ._inference import ALGORITHMS, Lasso, lasso_codes, pursuit_codes

_DTYPES = [np.float64, np.float32]


@dataclass(kw_only=True, eq=False, repr=False)
class SparseCoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Codes with few nonzeros whose atoms add up to the input (Olshausen & Field 1996).

    ``fit`` minimises the mean over samples of ``||x - h D||^2 / 2 + alpha ||h||_1 + ridge ||h||^2 / 2``,
    summed over features, over codes h and atoms D of norm at most 1 (Mairal et al. 2010). ``transform``
    finds the codes, each with a certificate: its objective is within ``tol`` times that of the zero code
    of the optimum.

    Parameters
    ----------
    n_components : int, default=None
        Number of atoms; by default as many as features.
    alpha : float, default=1.0
        Weight of the absolute values of the codes. Codes are zero from ``max |D x|`` on.
    ridge : float, default=0.0
        Weight of half the squared codes (elastic net).
    algorithm : {'auto', 'homotopy', 'cd', 'fista', 'ista'}, default='auto'
        How codes are found: the exact path (fastest for codes of few atoms, and ``'auto'``),
        coordinate descent on working sets, or proximal gradient steps with and without momentum.
    tol : float, default=1e-4
        Largest duality gap of a code, relative to the objective of the zero code.
    max_inference_iter : int, default=1000
        Most iterations for a code.
    dictionary : array-like of shape (n_components, n_features), default=None
        Atoms to use as they are; ``fit`` then learns nothing.
    positive : bool, default=False
        Whether codes must not be negative.
    split_sign : bool, default=False
        Whether ``transform`` returns positive parts and then negative parts, twice as many columns.
    transform_encoder : {'lasso', 'omp', 'soft_threshold'}, default='lasso'
        What ``transform`` does: exact inference, orthogonal matching pursuit, or the soft threshold of
        D x at ``alpha``, which explains nothing away (Coates & Ng 2011).
    n_nonzero_coefs : int, default=10
        Most atoms of a code for ``'omp'``.
    sparse_output : bool, default=False
        Whether codes are a CSR matrix.
    batch_size : int, default=256
        Samples in a minibatch of learning.
    max_iter : int, default=10
        Most epochs.
    stopping_tol : float, default=1e-3
        Relative improvement of an epoch that counts as one.
    n_iter_no_change : int, default=3
        Epochs without improvement after which to stop.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    n_jobs : int, default=None
        Threads, as in joblib.
    random_state : int, RandomState instance or None, default=None
        Seed of the first atoms and of shuffles.
    verbose : int, default=0
        Print loss, seconds and samples per second every so many epochs.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Atoms.
    n_iter_ : int
        Epochs so far.
    loss_curve_ : list of float
        Mean objective of each epoch, at the dictionaries on the way.

    References
    ----------
    Olshausen, B. & Field, D. Emergence of simple-cell receptive field properties by learning a sparse code
    for natural images. Nature 381 (1996).

    Mairal, J. et al. Online learning for matrix factorization and sparse coding. JMLR 11 (2010), algorithms 1
    and 2.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseCoder
    >>> X = load_digits().data / 16
    >>> coder = SparseCoder(100, alpha=0.5, max_iter=3, random_state=0).fit(X)
    >>> coder.transform(X[:5]).shape
    (5, 100)
    """

    n_components: int | None = field(default=None, kw_only=False)
    alpha: float = 1.0
    ridge: float = 0.0
    algorithm: str = "auto"
    tol: float = 1e-4
    max_inference_iter: int = 1000
    dictionary: object = None
    positive: bool = False
    split_sign: bool = False
    transform_encoder: str = "lasso"
    n_nonzero_coefs: int = 10
    sparse_output: bool = False
    batch_size: int = 256
    max_iter: int = 10
    stopping_tol: float = 1e-3
    n_iter_no_change: int = 3
    shuffle: bool = True
    n_jobs: int | None = None
    random_state: object = None
    verbose: int = 0

    _parameter_constraints: ClassVar[dict] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "ridge": [Interval(Real, 0, None, closed="left")],
        "algorithm": [StrOptions({"auto", *ALGORITHMS})],
        "tol": [Interval(Real, 0, None, closed="left")],
        "max_inference_iter": [Interval(Integral, 1, None, closed="left")],
        "dictionary": ["array-like", None],
        "positive": ["boolean"],
        "split_sign": ["boolean"],
        "transform_encoder": [StrOptions({"lasso", "omp", "soft_threshold"})],
        "n_nonzero_coefs": [Interval(Integral, 1, None, closed="left")],
        "sparse_output": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "stopping_tol": [Interval(Real, 0, None, closed="left")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @classmethod
    def from_estimator(cls, estimator, **params):
        """Return a coder whose atoms are the filters of a fitted estimator, scaled to norm 1.

        Learning with one model and encoding with another (Coates & Ng 2011).

        Parameters
        ----------
        estimator : fitted estimator
            With ``components_`` (an auto-encoder, NMF, RBM) or ``cluster_centers_``.
        **params : dict
            Parameters of the coder.

        Returns
        -------
        coder : SparseCoder
            Not fitted: ``fit`` checks X only.
        """
        atoms = getattr(estimator, "components_", None)
        atoms = getattr(estimator, "cluster_centers_", None) if atoms is None else atoms
        if atoms is None:
            raise ValueError(
                f"estimator={estimator!r} has neither components_ nor cluster_centers_; fit it first."
            )
        norms = np.linalg.norm(atoms, axis=1, keepdims=True)
        return cls(dictionary=atoms / np.where(norms > 0, norms, 1), **params)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the atoms from X, or check the given ones against it.

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
            If X, the dictionary or a parameter is invalid; the estimator is then as before.
        """
        with self._unchanged_on_error():
            X, weights = self._check_training_data(X, sample_weight, reset=True)
            state = self._start(X)
            if self.dictionary is None:
                stopping = Stopping(self.stopping_tol, self.n_iter_no_change, None)
                self._learn(X, weights, state, self.max_iter, stopping)
            self._state = state.to_dict()
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
        with self._unchanged_on_error():
            again = hasattr(self, "_state")
            X, weights = self._check_training_data(X, sample_weight, reset=not again)
            state = TrainingState.from_dict(self._state) if again else self._start(X)
            if self.dictionary is None:
                self._learn(X, weights, state, state.n_epochs + 1, None)
            self._state = state.to_dict()
        return self

    @contextmanager
    def _unchanged_on_error(self):
        before = vars(self).copy()
        try:
            yield
        except BaseException:
            self.__dict__ = before
            raise

    def _check_training_data(self, X, sample_weight, reset):
        dtype = _DTYPES if reset else self.components_.dtype
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=reset)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
            if (sample_weight < 0).any() or not sample_weight.sum() > 0:
                raise ValueError("sample_weight must be non-negative, with a positive sum.")
        return X, sample_weight

    def _start(self, X):
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        rng = np.random.default_rng(seed)
        if self.dictionary is None:
            atoms = self._first_atoms(X, rng)
        else:
            atoms = check_array(self.dictionary, dtype=X.dtype, order="C", copy=True)
            if atoms.shape[1] != X.shape[1]:
                raise ValueError(
                    f"dictionary has atoms of {atoms.shape[1]} features, but X has {X.shape[1]}."
                )
        self._n_atoms = len(atoms)
        params = atoms.ravel()
        return TrainingState(params, self._solver(None).start(params), rng, seed)

    def _first_atoms(self, X, rng):
        n_atoms = X.shape[1] if self.n_components is None else self.n_components
        chosen = rng.choice(X.shape[0], n_atoms, replace=n_atoms > X.shape[0])
        atoms = X[np.sort(chosen)]
        atoms = atoms.toarray() if scipy.sparse.issparse(atoms) else atoms.copy()
        # A little noise sets equal and empty samples apart.
        scale = np.abs(atoms).max() or 1
        atoms += (1e-3 * scale * rng.standard_normal(atoms.shape)).astype(X.dtype)
        return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)

    def _solver(self, objective):
        objective = objective or DictionaryObjective(self._n_atoms, self._lasso(), {})
        return DictionarySolver(objective)

    def _lasso(self):
        return {"alpha": self.alpha, "ridge": self.ridge, "positive": self.positive}

    def _inference(self):
        return {
            "algorithm": self.algorithm,
            "tol": self.tol,
            "max_iter": self.max_inference_iter,
            "n_jobs": self.n_jobs,
        }

    def _learn(self, X, weights, state, max_epochs, stopping):
        objective = DictionaryObjective(self._n_atoms, self._lasso(), self._inference())
        observers = []
        if self.verbose:
            observers.append(Verbose(type(self).__name__, X.shape[0], int(self.verbose)))
        minimize(
            objective,
            state,
            self._solver(objective),
            Batches(X, weights, self.batch_size, shuffle=self.shuffle),
            learning_rate=1.0,
            max_epochs=max_epochs,
            stopping=stopping,
            observers=observers,
        )

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
        if scipy.sparse.issparse(codes):
            return scipy.sparse.hstack([codes.maximum(0), -codes.minimum(0)], format="csr")
        return np.hstack([np.maximum(codes, 0), np.maximum(-codes, 0)])

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
        errors = self._codes(X, True) @ self.components_
        errors -= X
        return -0.5 * np.einsum("ij,ij->i", errors, errors)

    def score(self, X, y=None, sample_weight=None):
        """Return the mean of ``score_samples(X)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.

        Returns
        -------
        score : float
        """
        scores = self.score_samples(X)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, scores)
        return float(np.average(scores, weights=sample_weight))

    def _check(self, X):
        check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse="csr", dtype=self.components_.dtype, order="C", reset=False
        )
        return X.toarray() if scipy.sparse.issparse(X) else X

    def _codes(self, X, sparse_output):
        atoms = self.components_
        options = {"n_jobs": self.n_jobs, "sparse_output": sparse_output}
        if self.transform_encoder == "omp":
            return pursuit_codes(X, atoms, self.n_nonzero_coefs, **options)
        if self.transform_encoder == "soft_threshold":
            codes = X @ atoms.T
            codes = np.sign(codes) * np.maximum(np.abs(codes) - X.dtype.type(self.alpha), 0)
            codes = np.maximum(codes, 0) if self.positive else codes
            return scipy.sparse.csr_matrix(codes) if sparse_output else codes
        problem = Lasso(atoms, **self._lasso())
        return lasso_codes(X, problem, **{**self._inference(), **options})[0]

    @property
    def components_(self):
        """ndarray of shape (n_components, n_features): the atoms."""
        return self._history("components_")["params"].reshape(self._n_atoms, -1)

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
