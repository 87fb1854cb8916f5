"""The bridge from the training loop to scikit-learn's callbacks (1.9 and later)."""

from contextlib import contextmanager, nullcontext

from .._compat import callback_management_context
from .._protocols import Observer

# Attributes in which scikit-learn keeps the callbacks of an estimator, and the task that it is a part of.
_ATTRIBUTES = ("_skl_callbacks", "_parent_callback_ctx")


class Callbacks(Observer):
    """Report a task and its parts, such as a training and its epochs, to the callbacks that were set on ``estimator``.

    The first task of a fit is the root, and later tasks are its subtasks.

    Parameters
    ----------
    estimator : estimator
    X : array-like or callable
        The training data, or a function that returns them.
    n_parts : int
        Maximum number of parts.
    set_state : callable
        ``set_state(state)`` sets the fitted attributes from the state of a training.
    part : str, default='epoch'
        Name of a part.
    """

    def __init__(self, estimator, X, n_parts, set_state, part="epoch"):
        self._estimator, self._X, self._set_state = estimator, X, set_state
        self._part_name, self._part_context = part, None
        self.has_callbacks = bool(getattr(estimator, "_skl_callbacks", []))
        if not hasattr(estimator, "_init_callback_context"):
            self._context, self.has_callbacks = None, False
            return
        root = _root_of(estimator)
        if root is None:
            self._context = estimator._init_callback_context(max_subtasks=n_parts)
        else:
            self._context = root.subcontext(task_name="training", max_subtasks=n_parts)
        self._context.call_on_fit_task_begin(estimator=estimator, X=X)

    def inner(self, n_parts):
        """Return the ``Callbacks`` of a task within this one, of ``n_parts`` epochs."""
        return Callbacks(self._estimator, self._X, n_parts, self._set_state)

    def epoch_begin(self, state):
        """Open the task of a part."""
        self._part_context = None
        if self._context is None or len(self._context._children_map) >= self._context.max_subtasks:
            return
        self._part_context = self._context.subcontext(task_name=self._part_name)
        self._part_context.call_on_fit_task_begin(estimator=self._estimator, X=self._X)

    def epoch_end(self, state):
        """Close the task of a part; return whether a callback asks to stop."""
        return self._part_context is not None and self._end(self._part_context, state)

    def close(self, state):
        """Close the task."""
        if self._context is not None:
            self._end(self._context, state)

    def _end(self, context, state):
        return context.call_on_fit_task_end(
            estimator=self._estimator,
            X=self._X,
            reconstruction_attributes=lambda: self._attributes(state),
        )

    def _attributes(self, state):
        """Return the fitted attributes of the estimator as of ``state``."""
        self._set_state(state)
        params = self._estimator.get_params(deep=False)
        return {k: v for k, v in vars(self._estimator).items() if k not in params}


def _root_of(estimator):
    """Return the context of the fit that goes on, or None before its first task."""
    return getattr(estimator, "_callback_fit_ctx", None)


def is_reporting(attributes):
    """Return whether an estimator with these attributes is in a fit that is reported."""
    return "_callback_fit_ctx" in attributes


def end_callbacks(estimator):
    """Tear callbacks down, if the task of a fit is open still, as after Ctrl-C between two blocks."""
    with callback_management_context(estimator):
        pass


@contextmanager
def callbacks_passed_on(estimator, other):
    """Let ``other``, which is fitted in place of ``estimator`` within the block, report to the callbacks of that."""
    own = {name: vars(estimator)[name] for name in _ATTRIBUTES if name in vars(estimator)}
    vars(other).update(own)
    try:
        yield
    finally:
        for name in own:
            delattr(other, name)


@contextmanager
def reported(estimator, X, n_parts, set_state, part="epoch"):
    """Yield ``Callbacks``; tear callbacks down when the block of the root task ends, also by an error."""
    is_root = _root_of(estimator) is None
    with callback_management_context(estimator) if is_root else nullcontext():
        yield Callbacks(estimator, X, n_parts, set_state, part)


@contextmanager
def reported_training(estimator, X, state, n_epochs, set_state):
    """Yield a list of the observer that reports a training with ``state`` to callbacks."""
    with reported(estimator, X, n_epochs, set_state) as report:
        yield [report]
        report.close(state)
