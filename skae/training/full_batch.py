"""Minimization by scipy's L-BFGS, on all rows at once."""

import numpy as np
from scipy.optimize import minimize as scipy_minimize

from .._arrays.namespace import all_finite, dtype_name, empty_like, like, to_numpy
from .batches import OVERFLOW_IGNORED, mean_objective
from .loop import DivergenceError


def minimize_full_batch(objective, state, solver, batches, *, tol, max_epochs, stopping, observers):
    """Run scipy's L-BFGS on ``state``: an iteration counts as an epoch, and each evaluation has the same noise.

    ``stopping`` is a ``Stopping`` on held-out rows, or None.
    """
    dtype, grad = dtype_name(state.params), empty_like(state.params)

    def value_and_grad(flat):
        params = like(flat.astype(dtype), grad)
        with np.errstate(**OVERFLOW_IGNORED):
            value = mean_objective(objective, params, batches, state.seed, grad)
        if not (np.isfinite(value) and all_finite(grad)):
            raise DivergenceError(len(state.loss_curve) + 1, solver)
        return value, to_numpy(grad).astype(np.float64)

    def after_iteration(intermediate_result):
        stop = _take(intermediate_result, state, stopping)
        stop_requests = [observer.epoch_end(state) for observer in observers]
        if stop or any(stop_requests):
            raise StopIteration
        for observer in observers:
            observer.epoch_begin(state)

    for observer in observers:
        observer.epoch_begin(state)
    result = scipy_minimize(
        value_and_grad,
        to_numpy(state.params).astype(np.float64),
        jac=True,
        method="L-BFGS-B",
        callback=after_iteration,
        options=_scipy_options(solver, tol, max_epochs - len(state.loss_curve)),
    )
    if not state.loss_curve:
        _take(result, state, stopping)
    state.converged = state.converged or result.status in (0, 2)


def _scipy_options(solver, tol, n_iterations):
    return {
        "maxiter": n_iterations,
        "maxfun": np.inf,
        "maxcor": solver.n_corrections,
        "ftol": tol,
        "gtol": 0.1 * tol,
    }


def _take(result, state, stopping):
    """Update ``state`` after an iteration of L-BFGS; return whether to stop by the error on held-out rows."""
    state.params = like(result.x.astype(dtype_name(state.params)), state.params)
    state.loss_curve.append(float(result.fun))
    return stopping is not None and stopping.update(state)
