"""The bridge from the training loop to scikit-learn's callbacks (1.9 and later)."""

from contextlib import contextmanager, suppress
from functools import partial

from .._compat import callback_management_context
from .._protocols import Observer

# Attributes in which scikit-learn keeps the callbacks of an estimator, and the task that it is a part of.
_ATTRIBUTES = ("_skl_callbacks", "_parent_callback_ctx")


class Callbacks(Observer):
    """Report a task and its parts, such as a training and its epochs, to the callbacks that were set on ``estimator``.

    The first task of a fit is the root, and later tasks are its subtasks. Where the fit ends, also by an error,
    :func:`end_callbacks` tears the callbacks down.

    Parameters
    ----------
    estimator : estimator
    X : array-like or callable
        The training data, or a function that returns them.
    n_parts : int
        Maximum number of parts.
    set_state : callable
        ``set_state(state)`` sets the fitted attributes after a part, from the state of a training; by default they are
        as they should be.
    part : str, default='epoch'
        Name of a part.
    """

    def __init__(self, estimator, X, n_parts, set_state=lambda state: None, part="epoch"):
        self._estimator, self._X, self._set_state = estimator, X, set_state
        self._part_name, self._part_context, self._context = part, None, None
        if not getattr(estimator, "_skl_callbacks", None):
            return
        if is_reporting(vars(estimator)):
            root = estimator._callback_fit_ctx
            self._context = root.subcontext(task_name="training", max_subtasks=n_parts)
        else:
            self._context = estimator._init_callback_context(max_subtasks=n_parts)
        self._context.call_on_fit_task_begin(estimator=estimator, X=X)

    @property
    def is_open(self):
        """Whether there are callbacks to report to: bool."""
        return self._context is not None

    def inner(self, n_parts):
        """Return the ``Callbacks`` of a task within this one, of ``n_parts`` epochs."""
        return Callbacks(self._estimator, self._X, n_parts, self._set_state)

    def epoch_begin(self, state):
        """Open the task of a part."""
        self._part_context = None
        if not self.is_open or len(self._context._children_map) >= self._context.max_subtasks:
            return
        self._part_context = self._context.subcontext(task_name=self._part_name)
        self._part_context.call_on_fit_task_begin(estimator=self._estimator, X=self._X)

    def epoch_end(self, state):
        """Close the task of a part; return whether a callback asks to stop."""
        if self._part_context is None:
            return False
        return self._end(self._part_context, partial(self._set_state, state))

    def close(self):
        """Close the task, at whose end the fitted attributes are set."""
        if self.is_open:
            self._end(self._context, lambda: None)

    def _end(self, context, set_attributes):
        """Close the task of ``context``; return whether a callback asks to stop."""

        def attributes():
            set_attributes()
            params = self._estimator.get_params(deep=False)
            return {k: v for k, v in vars(self._estimator).items() if k not in params}

        return context.call_on_fit_task_end(
            estimator=self._estimator, X=self._X, reconstruction_attributes=attributes
        )


def is_reporting(attributes):
    """Return whether an estimator with these attributes is in a fit that is reported."""
    return "_callback_fit_ctx" in attributes


def end_callbacks(estimator):
    """Tear the callbacks of a fit down, as scikit-learn does where it ends."""
    with callback_management_context(estimator):
        pass


def end_callbacks_again(estimator):
    """Tear down what an interrupted :func:`end_callbacks` left; callbacks that it had torn down may raise."""
    with suppress(Exception):
        end_callbacks(estimator)


def end_callbacks_of(estimators):
    """Tear the callbacks of several fits down, all of them even if Ctrl-C or an error of one comes in between."""
    try:
        for each in estimators:
            end_callbacks(each)
    except BaseException:
        for each in estimators:
            end_callbacks_again(each)
        raise


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
