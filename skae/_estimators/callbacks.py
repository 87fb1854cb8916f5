"""The bridge from the training loop to scikit-learn's callbacks (1.9 and later)."""


class Callbacks:
    """Report each epoch to the callbacks that were set on ``estimator``."""

    def __init__(self, estimator, X, max_epochs, attributes):
        self._estimator, self._X, self._attributes = estimator, X, attributes
        self._context = estimator._init_callback_context(max_subtasks=max_epochs)
        self._context.call_on_fit_task_begin(estimator=estimator, X=X)
        self._epoch = None

    def epoch_begin(self, state):
        """Open the task of the epoch."""
        if len(self._context._children_map) >= self._context.max_subtasks:
            self._epoch = None
            return
        self._epoch = self._context.subcontext(task_name="epoch")
        self._epoch.call_on_fit_task_begin(estimator=self._estimator, X=self._X)

    def epoch_end(self, state):
        """Close it; return whether a callback asks to stop."""
        if self._epoch is None:
            return False
        return self._epoch.call_on_fit_task_end(
            estimator=self._estimator,
            X=self._X,
            reconstruction_attributes=lambda: self._attributes(state),
        )

    def close(self, state):
        """Close the task of the whole fit."""
        self._context.call_on_fit_task_end(
            estimator=self._estimator,
            X=self._X,
            reconstruction_attributes=lambda: self._attributes(state),
        )
