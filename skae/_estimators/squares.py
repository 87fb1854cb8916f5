"""Squares of the values of X: whether they overflow, and the scales that follow from their means."""

import numpy as np
from sklearn.utils.extmath import row_norms

from .._arrays.powers import power_of_two, root_mean_square
from .columns import Columns


def unit_of_squares(X):
    """Return a power of two to divide X by, so that its squares neither overflow nor underflow; 1 if none is needed."""
    largest, limits = float(np.abs(X).max()), np.finfo(X.dtype)
    if limits.tiny**0.25 < largest < limits.max**0.25 or not largest:
        return X.dtype.type(1)
    return X.dtype.type(power_of_two(largest))


def check_squares(X):
    """Raise if squared errors of rows overflow in their dtype."""
    if not np.isfinite(loss_of_zeros(X, None)):
        raise ValueError(f"X has values whose squares overflow in {X.dtype}: scale X.")


def loss_of_zeros(X, sample_weight):
    """Return the objective of codes of zeros: half the mean squared norm of a row."""
    with np.errstate(over="ignore"):
        return float(np.average(row_norms(X, squared=True), weights=sample_weight) / 2)


def scale_of_values(X, sample_weight):
    """Return the root mean square of the values of X, or 1 if they are 0."""
    scale = unit_of_squares(X)
    squares = 2 * loss_of_zeros(X if scale == 1 else X / scale, sample_weight)
    return float(scale) * np.sqrt(squares / X.shape[1]) or 1.0


def spread_of_values(X, sample_weight):
    """Return the root of the mean variance of the columns of X, or the scale of the values if they are constant."""
    deviations = Columns(X, sample_weight).deviation
    if not deviations.any():
        return scale_of_values(X, sample_weight)
    return float(root_mean_square(deviations))
