"""When to stop, and with which parameters."""

from dataclasses import dataclass

from .batches import Batches, mean_objective


@dataclass
class Stopping:
    """Stop after ``patience`` epochs without an improvement of more than ``tol`` times the best value.

    With ``validation`` (held-out batches) the value is the objective on them, with the same noise at
    each epoch, and the best parameters are kept; otherwise it is the training loss.
    """

    tol: float
    patience: int
    validation: Batches | None = None

    def update(self, state, objective):
        """Take the epoch that just ended into ``state``; return whether to stop."""
        value = state.loss_curve[-1]
        if self.validation is not None:
            value = mean_objective(objective, state.params, self.validation, state.seed)
            state.validation_curve.append(value)
        if state.best == float("inf") or value < state.best - self.tol * abs(state.best):
            state.n_stale = 0
        else:
            state.n_stale += 1
        if value < state.best:
            state.best = value
            if self.validation is not None:
                state.best_params = state.params.copy()
        state.converged = state.n_stale >= self.patience
        return state.converged
