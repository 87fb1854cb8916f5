"""A wrapper of any estimator, trained on a cluster of Dask and applied to its collections."""

from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, Interval, _fit_context
from .._estimators.devices import computing_on_workers
from .._estimators.fitting import is_fitted
from .._estimators.one_pass import read_once
from .._estimators.subestimators import fitted_copy
from .._typing import (
    AnyArray,
    ArrayLike,
    BaseEstimator,
    MatrixLike,
    MetaEstimatorMixin,
    Self,
    Targets,
    TextArray,
    available_if,
)
from ..training.loop import DivergenceError
from ._cluster import Cluster, client_or_default
from ._lazy import computed, is_dask, lazy
from ._training import on_cluster


def _has(name):
    """Return a function that checks whether the wrapped estimator has a method."""

    def check(self):
        getattr(getattr(self, "estimator_", self.estimator), name)
        return True

    return check


def _applied(name: str) -> Any:
    """Return the method ``name`` of the wrapper, which is lazy for collections of Dask."""

    def method(self: Any, X: MatrixLike) -> Any:
        check_is_fitted(self)
        return lazy(self.estimator_, name, X) if is_dask(X) else getattr(self.estimator_, name)(X)

    method.__name__, method.__qualname__ = name, f"Distributed.{name}"
    method.__doc__ = f"""Return ``estimator_.{name}(X)``; for a Dask collection a lazy Dask array, which needs no cluster.

        Parameters
        ----------
        X : array-like or Dask collection of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        result : array-like or dask.array.Array
            With a row for each sample.
        """
    return available_if(_has(name))(method)


def _weights_option(sample_weight):
    """Return the weights as an option, which estimators without ``sample_weight`` do not get if there are none."""
    return {} if sample_weight is None else {"sample_weight": computed(sample_weight)}


class Distributed(MetaEstimatorMixin, BaseEstimator):
    """An estimator whose training is computed by the workers of a Dask cluster.

    The workers keep the rows of X, in ``n_parts`` parts. The process that calls ``fit`` reads X once into a temporary
    file (:func:`skae.sources.gather`), computes scales and initial weights, draws minibatches, takes the steps and
    writes checkpoints. The workers compute losses and gradients, which are sums over rows, and the codes of dictionary
    learning. L-BFGS thus takes the same steps as in one process, and so do minibatch solvers with ``sync_every=None``,
    up to the rounding of sums. Quantities of a whole minibatch, such as thresholds of ``'batch_topk'`` and noise that
    swaps rows, use only the part of it on one worker. Chains of Boltzmann machines have other draws in several parts.

    Results depend on ``n_parts`` and not on the number of workers. A checkpoint of averages is resumed with the same
    ``sync_every`` and ``n_parts`` only. A task whose worker is lost is done again by another one.

    Parameters
    ----------
    estimator : estimator
        Estimator of skae; it is cloned.
    client : distributed.Client, str or None, default=None
        Client, or address of a scheduler; by default the client that is active in this process.
    n_parts : int, default=None
        Number of parts in which each step is computed; by default the number of threads of the workers when training
        begins.
    sync_every : int, default=None
        Number of steps, which each part takes on minibatches of its own rows, after which parameters are averaged. None
        computes each step on all parts, which waits for the network in each step.
    min_workers : int, default=1
        Minimum number of workers to start with. Training waits for them, and raises ``RuntimeError`` after ``timeout``.
    timeout : float, default=60
        Number of seconds to wait for the scheduler of an address, and for workers.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator: plain, without Dask.

    References
    ----------
    McMahan, B. et al. Communication-efficient learning of deep networks from decentralized data. AISTATS 2017 (averages
    of parameters).

    Examples
    --------
    >>> import numpy as np
    >>> from skae import ContractiveAE
    >>> from skae.distributed import Distributed
    >>> from distributed import Client
    >>> X = np.random.default_rng(0).random((60, 5))
    >>> with Client(processes=False, dashboard_address=None) as client:
    ...     model = Distributed(ContractiveAE(2, max_iter=2, random_state=0)).fit(X)
    >>> model.to_local().transform(X).shape
    (60, 2)
    """

    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods(["fit"])],
        "client": [str, HasMethods(["submit", "scatter"]), None],
        "n_parts": [Interval(Integral, 1, None, closed="left"), None],
        "sync_every": [Interval(Integral, 1, None, closed="left"), None],
        "min_workers": [Interval(Integral, 1, None, closed="left")],
        "timeout": [Interval(Real, 0, None, closed="neither")],
    }

    estimator_: Any

    def __init__(
        self,
        estimator: Any,
        *,
        client: Any = None,
        n_parts: int | None = None,
        sync_every: int | None = None,
        min_workers: int = 1,
        timeout: float = 60,
    ):
        self.estimator, self.client = estimator, client
        self.n_parts, self.sync_every = n_parts, sync_every
        self.min_workers, self.timeout = min_workers, timeout

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: Targets = None, sample_weight: Targets = None) -> Self:
        """Fit a clone of the estimator, or with its ``warm_start=True`` go on from the last fit.

        Parameters
        ----------
        X : array-like or Dask collection of shape (n_samples, n_features)
            Training data, or anything else that ``fit`` of the estimator takes.
        y : array-like or Dask collection of shape (n_samples,), default=None
            Targets, if the estimator needs them.
        sample_weight : array-like or Dask collection of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The fitted wrapper.

        Raises
        ------
        RuntimeError
            If there are too few workers, or the client is closed.
        OSError
            If no scheduler answers at the address.
        """
        estimator = self._next(getattr(self.estimator, "warm_start", False))
        return self._fit("fit", estimator, X, y, sample_weight)

    @available_if(_has("partial_fit"))
    @_fit_context(prefer_skip_nested_validation=False)
    def partial_fit(self, X: MatrixLike, y: Targets = None, sample_weight: Targets = None) -> Self:
        """Train for one epoch on X.

        Parameters
        ----------
        X : array-like or Dask collection of shape (n_samples, n_features)
            Training data.
        y : array-like or Dask collection of shape (n_samples,), default=None
            Targets, if the estimator needs them.
        sample_weight : array-like or Dask collection of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The wrapper after the epoch.
        """
        return self._fit("partial_fit", self._next(True), X, y, sample_weight)

    def _next(self, goes_on):
        """Return the estimator to train: a clone, or the fitted one, if training goes on, with the parameters of now."""
        estimator = clone(self.estimator)
        fitted = getattr(self, "estimator_", None)
        if not goes_on or type(fitted) is not type(estimator):
            return estimator
        # A copy, since the fitted one stays if this fails.
        return fitted_copy(fitted).set_params(**estimator.get_params(deep=False))

    def _fit(self, method, estimator, X, y, sample_weight):
        client = client_or_default(self.client, self.timeout)
        try:
            return self._fit_by(client, method, estimator, X, y, sample_weight)
        finally:
            if isinstance(self.client, str):
                client.close()

    def _fit_by(self, client, method, estimator, X, y, sample_weight):
        cluster = Cluster(client, self.min_workers, self.timeout)
        cluster.wait_for_workers()
        n_parts = self.n_parts or cluster.n_threads
        options = _weights_option(sample_weight)
        on_workers = partial(on_cluster, cluster, n_parts, self.sync_every)
        averages = (None, None) if self.sync_every is None else (self.sync_every, n_parts)
        try:
            with computing_on_workers(on_workers, *averages):
                getattr(estimator, method)(X, computed(y), **options)
        except (KeyboardInterrupt, OSError, DivergenceError) as error:
            began = not isinstance(error, DivergenceError) or getattr(estimator, "n_iter_", 0)
            if began and is_fitted(estimator):
                self.estimator_ = estimator
            raise
        self.estimator_ = estimator
        return self

    transform = _applied("transform")
    inverse_transform = _applied("inverse_transform")
    reconstruct = _applied("reconstruct")
    predict = _applied("predict")
    predict_proba = _applied("predict_proba")
    predict_log_proba = _applied("predict_log_proba")
    decision_function = _applied("decision_function")
    score_samples = _applied("score_samples")

    @available_if(_has("score"))
    def score(self, X: MatrixLike, y: Targets = None, sample_weight: Targets = None) -> float:
        """Return ``estimator_.score``, computed now.

        Parameters
        ----------
        X : array-like or Dask collection of shape (n_samples, n_features)
            Samples.
        y : array-like or Dask collection of shape (n_samples,), default=None
            Targets, if the estimator needs them.
        sample_weight : array-like or Dask collection of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            The score on X.
        """
        check_is_fitted(self)
        return self.estimator_.score(X, computed(y), **_weights_option(sample_weight))

    @available_if(_has("transform"))
    def fit_transform(self, X: MatrixLike, y: Targets = None, sample_weight: Targets = None) -> Any:
        """Fit a clone of the estimator, and return ``transform(X)``.

        Parameters
        ----------
        X : array-like or Dask collection of shape (n_samples, n_features)
            Training data, or anything else that ``fit`` takes; an iterator of batches is read once.
        y : array-like or Dask collection of shape (n_samples,), default=None
            Targets, if the estimator needs them.
        sample_weight : array-like or Dask collection of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        result : array-like or dask.array.Array
            Lazy for a Dask collection.
        """
        X, y = self._read(X, y)
        return self.fit(X, y, sample_weight).transform(X)

    @available_if(_has("fit_predict"))
    def fit_predict(self, X: MatrixLike, y: Targets = None, sample_weight: Targets = None) -> Any:
        """Fit a clone of the estimator, and return ``predict(X)``.

        Parameters
        ----------
        X : array-like or Dask collection of shape (n_samples, n_features)
            Training data, or anything else that ``fit`` takes; an iterator of batches is read once.
        y : None
            Ignored.
        sample_weight : array-like or Dask collection of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        result : array-like or dask.array.Array
            Lazy for a Dask collection.
        """
        X, y = self._read(X, y)
        return self.fit(X, y, sample_weight).predict(X)

    def _read(self, X, y):
        """Return X, of which an iterator of batches is read, and y, which may come with the batches."""
        return (X, y) if is_dask(X) else read_once(self, X, y)

    @available_if(_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> TextArray:
        """Return the names of the columns of ``transform(X)``.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of X, if they have names.

        Returns
        -------
        names : ndarray of str
            Names of the columns.
        """
        check_is_fitted(self)
        return self.estimator_.get_feature_names_out(input_features)

    @available_if(_has("set_output"))
    def set_output(
        self, *, transform: Literal["default", "pandas", "polars"] | None = None
    ) -> Self:
        """Let ``transform`` return arrays or data frames, except for collections of Dask.

        Parameters
        ----------
        transform : {'default', 'pandas', 'polars'}, default=None
            None changes nothing.

        Returns
        -------
        self : object
            The wrapper.
        """
        for each in (self.estimator, getattr(self, "estimator_", self.estimator)):
            each.set_output(transform=transform)
        return self

    @property
    def classes_(self) -> AnyArray:
        """Classes of y, for a classifier: ndarray of shape (n_classes,)."""
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X: int."""
        return self.estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> AnyArray:
        """Names of the columns, if X had names that are strings: ndarray of shape (n_features,)."""
        return self.estimator_.feature_names_in_

    def to_local(self) -> Any:
        """Return the fitted estimator, which needs no Dask.

        Returns
        -------
        estimator : estimator
            ``estimator_``, the fitted clone.
        """
        check_is_fitted(self)
        return self.estimator_

    def __sklearn_tags__(self):
        # ``fit`` refuses a class.
        if isinstance(self.estimator, type):
            return super().__sklearn_tags__()
        return get_tags(getattr(self, "estimator_", self.estimator))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "estimator_")

    def __sklearn_clone__(self):
        # A client cannot be copied.
        params = self.get_params(deep=False) | {"estimator": clone(self.estimator)}
        other = type(self)(**params)
        if hasattr(self, "_metadata_request"):
            other._metadata_request = clone(self._metadata_request)
        return other

    def __getstate__(self):
        return {**super().__getstate__(), "client": None}
