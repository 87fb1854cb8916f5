"""Training of one network without labels, from its first state or that of the last fit, for any objective.

A class takes these functions as methods, and calls the second one in its ``fit``::

    _begin, _fit_network = unsupervised.begin, unsupervised.fit_network
    partial_fit = unsupervised.partial_fit

It defines ``objective`` and three more methods: ``_make_units(data)`` returns the ``Units`` in which the network sees
X, ``_network_shape(n_inputs)`` the arguments of the ``Network``, and ``_first_state(network, rows, sample_weight)``
the ``TrainingState`` before the first step. Attributes that it learns after a training are named in
``_learned_afterwards``, for the next training to discard.
"""

from numbers import Integral, Real

from .._compat import Interval, StrOptions, _fit_context
from .._protocols import TrainingObjective
from .._typing import ArrayLike, Estimator, MatrixLike, available_if
from ..nn.scaling import unscaled
from ..training.loop import Problem
from ..training.solvers import is_full_batch
from .checks import check_unchanged
from .devices import place_for
from .fit_warnings import warn_of_constant_codes, warn_of_drift, warn_of_unknown_scale
from .fitting import DTYPES, column_names, fit_data, is_fitted, unchanged_on_error
from .identity import content
from .layer import LayerTraining
from .training import FIXED, parameters_of_fit

NETWORK_CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "standardize": [StrOptions({"auto", "columns", "shared"}), "boolean"],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "warm_start": ["boolean"],
}

CURE_OF_CONSTANT_CODES = "Lower n_components, or train longer (max_iter, learning_rate_init)."


def takes_steps(estimator):
    """Raise AttributeError if the solver takes no minibatch steps, which ``partial_fit`` needs."""
    if is_full_batch(estimator.solver):
        raise AttributeError(
            "partial_fit needs a solver of minibatches, such as 'adam'; solver='lbfgs' has none."
        )
    return True


def begin(self, X, sample_weight, *, warm_start=False):
    """Return the ``Problem`` of training the network on X, and the state to train from.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    sample_weight : array-like of shape (n_samples,) or None
    warm_start : bool
        Whether to continue from the last fit, if there was one, instead of starting from new weights.
    """
    goes_on = warm_start and is_fitted(self)
    for name in self._learned_afterwards:
        setattr(self, name, None)
    # 1. The rows that count.
    dtype = self._params.dtype if goes_on else DTYPES
    data = fit_data(self, X, sample_weight, dtype=dtype, reset=not goes_on)
    X, sample_weight = data.X, data.sample_weight
    prototype, self._backend = place_for(self, data.frame)
    # 2. How the network sees them.
    if goes_on:
        _check_goes_on(self, self._has_decoder)
        units, names = self._units, column_names(self, X)
        # Told once, since calls of partial_fit are many.
        warned = self._warned_of_drift or warn_of_drift(X, sample_weight, units, names)
        self._warned_of_drift = units.check(X, names, warns=not warned) or warned
    else:
        units = self._make_units(data)
        if warm_start and self.standardize:
            warn_of_unknown_scale(units)
        self._units, self._shape = units, self._network_shape(units.scaling.n_inputs)
        self._warned_of_drift = False
        if units.named is not None:
            units.named.check(X, column_names(self, X))
    rows = units.scaling.rows(X)
    # 3. What is minimized, and from where.
    network = self._network
    state = self._last_state() if goes_on else self._first_state(network, rows, sample_weight)
    objective = self.objective(network, units)
    if not isinstance(objective, TrainingObjective):
        raise TypeError(
            f"objective of {type(self).__name__} must return an objective, such as "
            f"skae.nn.objective.Objective(network, units.loss); got {objective!r}."
        )
    constant_loss = units.constant_loss * objective.largest_cell_weight
    options = {"constant_loss": constant_loss, "prototype": prototype}
    options["may_miss"] = goes_on or units.has_missing
    return Problem(objective, rows, sample_weight, **options), state


def _check_goes_on(estimator, has_decoder):
    """Raise if the network has no decoder, or if parameters that determine its shape or units have changed."""
    if not has_decoder:
        raise ValueError(
            f"This {type(estimator).__name__} was a layer that learned from y, and has no decoder with which training could go on. "
            "Call fit, with warm_start=False, to start anew."
        )
    before, now = parameters_of_fit(estimator), vars(estimator)
    names = [name for name in FIXED if name in before]
    check_unchanged(
        {name: content(before[name]) for name in names},
        {name: content(now[name]) for name in names},
    )


def fit_network(self, X, sample_weight, cure=CURE_OF_CONSTANT_CODES):
    """Train the network on X; return the fitted ``Model``, the validated X and its weights or None.

    See :func:`begin`; ``cure`` is the advice in the warning of constant codes.
    """
    problem, state = self._begin(X, sample_weight, warm_start=self.warm_start)
    self._train(problem, state)
    fitted, rows = self.model_, unscaled(problem.X)
    if not fitted.units.one_dwarfs_others:
        warn_of_constant_codes(fitted.encode, rows, type(self).__name__, cure)
    return fitted, rows, problem.sample_weight


def layer_training(self, **facts):
    """Return a ``LayerTraining``: how a stack may train the network of this layer, with ``facts`` about it."""

    def set_fitted(state, params=None, network=None):
        if network is not None:
            self._units, self._shape = network
        self._set_state(state if params is None else state.restarted(params, self._make_solver()))

    return LayerTraining(
        make_units=self._make_units,
        begin=self._begin,
        initial_state=self._initial_state,
        make_solver=lambda: (self._make_solver(), self._step_size()),
        train=self._train,
        set_fitted=set_fitted,
        **facts,
    )


@available_if(takes_steps)
@_fit_context(prefer_skip_nested_validation=True)
def partial_fit(
    self: Estimator,
    X: MatrixLike,
    y: object = None,
    sample_weight: ArrayLike | None = None,
) -> Estimator:
    """Train for one epoch on X, with the constant step size ``learning_rate_init``.

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
        The estimator after the epoch.
    """
    with unchanged_on_error(self):
        problem, state = self._begin(X, sample_weight, warm_start=True)
        self._train_epoch(problem, state)
    return self
