"""The parameter ``loss`` as a list of losses and columns: whether it is valid, and the scaling for it."""

import numpy as np

from .._compat import _get_column_indices
from ..nn.losses import LOSSES
from ..nn.scaling import standard_scale


def named_losses(loss, X, frame, parameter):
    """Return (loss, columns) pairs from ``loss``, one name for all columns or a list of (name, columns).

    Parameters
    ----------
    loss : str or list of (str, columns)
        Columns are indices, names, a slice, a mask, a function of X that returns them, or a dict of them: groups that
        have the same loss, but each by itself.
    X : ndarray or CSR matrix
    frame : array-like
        X as the user gave it, with columns that may have names.
    parameter : str
        Name of ``loss`` in the estimator, for error messages.

    Raises
    ------
    ValueError
        If a name is unknown, or the columns do not cover each column of X once.
    """
    n_features = X.shape[1]
    if isinstance(loss, str):
        return [(loss, np.arange(n_features))]
    if not loss:
        raise ValueError(f"{parameter} must not be an empty list.")
    frame, pairs = frame if hasattr(frame, "columns") else X, []
    for entry in loss:
        name, groups = _checked_entry(entry, parameter)
        pairs += [(name, _column_indices(group, frame, parameter)) for group in groups]
    taken = np.sort(np.concatenate([columns for _, columns in pairs]))
    if not np.array_equal(taken, np.arange(n_features)):
        wrong = sorted(set(range(n_features)).symmetric_difference(taken.tolist()))
        raise ValueError(
            f"{parameter} must name each of the {n_features} columns of X exactly once; "
            f"{'missing: ' + str(wrong) if wrong else 'some are named twice'}."
        )
    return pairs


def scales_for_named(pairs, stats, standardize):
    """Return center and scale of all columns: gaussian ones are standardized, others already have the range of their loss."""
    gaussian = np.zeros(len(stats.mean), bool)
    for name, columns in pairs:
        gaussian[columns] |= name == "gaussian"
    gaussian &= stats.varies
    shared = standardize == "shared"
    if standardize == "auto":
        shared = stats.shared_range(gaussian) is not None
    center, scale = np.where(stats.varies, 0, stats.low), np.ones(len(gaussian))
    center[gaussian], scale[gaussian] = standard_scale(
        stats.mean[gaussian], stats.deviation[gaussian], shared=shared
    )
    return center, scale


def _checked_entry(entry, parameter):
    """Return the name of the loss and the groups of columns that ``entry``, a pair of a name and columns, describes."""
    is_pair = isinstance(entry, (tuple, list)) and len(entry) == 2
    if not (is_pair and isinstance(entry[0], str) and entry[0] in LOSSES):
        raise ValueError(
            f"{parameter} must be a list of (name, columns) with a name of {sorted(LOSSES)}; got {entry!r}."
        )
    name, columns = entry
    groups = columns.values() if isinstance(columns, dict) else [columns]
    if not groups:
        raise ValueError(f"{parameter} must name columns of each loss; got {entry!r}.")
    return name, groups


def _column_indices(columns, frame, parameter):
    """Return the indices of ``columns``, or of the ones that it returns if it is a function of ``frame``."""
    columns = columns(frame) if callable(columns) else columns
    try:
        indices = np.asarray(_get_column_indices(frame, columns), dtype=np.int64)
    except (TypeError, ValueError) as error:  # TypeError where it is None
        raise ValueError(f"{parameter} names columns {columns!r}: {error}.") from error
    if indices.ndim != 1:  # of True
        raise ValueError(f"{parameter} must name columns by a list; got {columns!r}.")
    return indices
