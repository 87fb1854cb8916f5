"""When to stop, and with which parameters."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Stopping:
    """Stop after ``patience`` epochs without an improvement of more than ``tol`` times the best value.

    With ``error``, a function of the parameters, the value is the error on held-out rows, and the best
    parameters are kept; otherwise it is the training loss.
    """

    tol: float
    patience: int
    error: Callable | None = None

    def update(self, state):
        """Take the epoch that just ended into ``state``; return whether to stop."""
        value = state.loss_curve[-1]
        if self.error is not None:
            value = self.error(state.params)
            state.validation_curve.append(value)
        if state.best == float("inf") or value < state.best - self.tol * abs(state.best):
            state.n_stale = 0
        else:
            state.n_stale += 1
        if value < state.best:
            state.best = value
            if self.error is not None:
                state.best_params = state.params.copy()
        state.converged = state.n_stale >= self.patience
        return state.converged
