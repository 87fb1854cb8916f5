"""Warnings that point to the line of the user's code that called skae, through however many functions."""

import inspect
import warnings

# Packages whose functions may be between that line and the warning.
_BETWEEN = {"skae", "sklearn", "joblib", "contextlib"}


def warn(message, category=UserWarning):
    """Warn as the nearest code outside of skae and of what runs it would."""
    frame, level = inspect.currentframe().f_back, 2
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
