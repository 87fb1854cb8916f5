"""Warnings about sparse codes, each with a remedy."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._arrays.namespace import some_rows, to_numpy
from .._warnings import warn
from .fit_warnings import are_equal

_CONSTANT = 1e-3  # largest range of equal codes, as a fraction of the largest code
_DEAD = 0.5  # warn above this fraction of features that are active nowhere
_ROWS = 1024  # rows to look at


def warn_of_equal_codes(codes, rows, name, alpha):
    """Warn if ``codes``, those of some training rows, are all 0 or all the same."""
    cure = f"lower alpha={alpha:g}."
    if are_equal(rows) and are_equal(codes):
        warn(
            f"The codes of {name} are the same for all training rows, since these are all the same: give rows that differ."
        )
    elif not codes.any():
        warn(f"The codes of {name} are 0 on the training data: {cure}")
    elif len(codes) > 1 and np.ptp(codes, axis=0).max() <= _CONSTANT * np.abs(codes).max():
        warn(
            f"The codes of {name} are the same for all training rows: give rows that differ, or {cure}"
        )


def warn_of_dead_features(dead, rows, name):
    """Warn if most features are dead; ``dead`` says which ones, after a training on ``rows``."""
    if are_equal(some_rows(rows, _ROWS)):
        warn(
            f"The training rows of {name} are all the same, so that there are no features: give rows that differ."
        )
    elif dead.mean() > _DEAD:
        warn(
            f"{dead.mean():.0%} of the features of {name} were active at none of the last samples. Lower n_components, alpha or "
            "learning_rate_init, or raise k or aux."
        )


def warn_of_gaps(gaps, squares, tol, max_iter):
    """Warn if codes are not within ``tol`` of their optimum, beyond rounding.

    Parameters
    ----------
    gaps, squares : ndarray of shape (n_samples,)
        Upper bound on how far each code is from its optimum, NaN if unknown, and twice the objective of its zero code.
    tol : float
    max_iter : int
    """
    gaps = to_numpy(gaps)
    limits = 0.5 * max(tol, 100 * np.finfo(squares.dtype).eps) * squares
    n_wide = np.count_nonzero(gaps > limits)
    if n_wide:
        warn(
            f"{n_wide} of {len(gaps)} codes are not within gap_tol={tol} of their optimum after "
            f"max_inference_iter={max_iter} iterations: raise one of the two.",
            ConvergenceWarning,
        )
