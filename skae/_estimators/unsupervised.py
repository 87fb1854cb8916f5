"""Training of one network without labels, from its first state or that of the last fit, whatever its objective."""

from numbers import Integral, Real

from sklearn.utils.metaestimators import available_if

from .._compat import Interval, StrOptions, _fit_context
from ..nn.network import network_of
from ..nn.scaling import unscaled
from ..training.problem import Problem
from ..training.solvers import LBFGS
from .fit_warnings import warn_of_constant_codes
from .fitting import (
    DTYPES,
    check_unchanged,
    column_names,
    counted_rows,
    is_fitted,
    unchanged_on_error,
    validated_rows,
)
from .identity import content
from .training import FIXED

# Constraints of the parameters that all such estimators have.
CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left")],
    "standardize": [StrOptions({"auto", "columns", "shared"}), "boolean"],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "warm_start": ["boolean"],
}

CURE_OF_CONSTANT_CODES = "Lower n_components, or train longer (max_iter, learning_rate_init)."


def takes_steps(estimator):
    """Raise AttributeError where the solver takes no minibatch steps, which ``partial_fit`` needs."""
    if estimator.solver == "lbfgs" or isinstance(estimator.solver, LBFGS):
        raise AttributeError(
            "partial_fit needs a solver of minibatches, such as 'adam'; solver='lbfgs' has none."
        )
    return True


def begin(model, X, sample_weight, *, again=False, make_network=network_of):
    """Return the ``Problem`` of training a network on X, and the state to train from.

    Parameters
    ----------
    model : estimator
        With the methods of :class:`~skae._estimators.layer.NetworkLayer`.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    sample_weight : array-like of shape (n_samples,) or None
    again : bool
        Whether to go on from the last fit, if there was one, instead of from new weights.
    make_network : callable
        Returns the network whose arguments ``network_shape`` of the model returns.
    """
    frame, again = X, again and is_fitted(model)
    dtype = model.model_.dtype if again else DTYPES
    X = validated_rows(model, X, dtype=dtype, reset=not again)
    X, sample_weight, _ = counted_rows(X, sample_weight)
    if again:
        _check_parameters(model)
        units = model.model_.units
    else:
        units = model.make_units(X, frame, sample_weight)
    shape = model.network_shape(units.scaling.n_inputs)
    if not again:
        model.adopt(units, shape)
    units.check(X, column_names(model, X))
    rows = units.scaling.rows(X)
    state = model.last_state() if again else model.first_state(rows, sample_weight)
    return Problem(model.objective(make_network(**shape), units), rows, sample_weight), state


def _check_parameters(model):
    """Raise where parameters that set the shape and the units of the network have changed since the first fit."""
    before, now = model.trained_with_, model.get_params(deep=False)
    names = [name for name in FIXED if name in before]
    check_unchanged(
        {name: content(before[name]) for name in names},
        {name: content(now[name]) for name in names},
    )


def fit_network(model, X, sample_weight, cure=CURE_OF_CONSTANT_CODES):
    """Train the network of ``model`` on X; return the fitted ``Model`` and the validated X.

    See :func:`begin`; ``cure`` is the advice in the warning of constant codes.
    """
    problem, state = begin(model, X, sample_weight, again=model.warm_start)
    model.train(problem, state)
    fitted, rows = model.model_, unscaled(problem.X)
    warn_of_constant_codes(fitted.encode, rows, type(model).__name__, cure)
    return fitted, rows


@available_if(takes_steps)
@_fit_context(prefer_skip_nested_validation=True)
def partial_fit(self, X, y=None, sample_weight=None):
    """Train for one epoch on X, with steps of ``learning_rate_init`` whatever ``learning_rate`` is.

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
        problem, state = begin(self, X, sample_weight, again=True)
        self._train_epoch(problem, state)
    return self
