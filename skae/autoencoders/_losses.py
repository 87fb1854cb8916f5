"""From the ``loss`` parameter to the reconstruction loss of a row."""

import numpy as np

from .._compat import _get_column_indices
from ..nn.losses import LOSSES, Reconstruction, find_parts


def make_loss(loss, X, frame, *, shares="gaussian", parameter="loss"):
    """Return the ``Reconstruction`` that ``loss`` describes for the validated ``X``.

    Parameters
    ----------
    loss : str or list of (str, columns)
    X : ndarray or CSR matrix
    frame : array-like
        What the user gave, in which columns may have names.
    shares : {'gaussian', 'bernoulli'}, default='gaussian'
        What ``loss='auto'`` takes columns in [0, 1] for that are not binary.
    parameter : str, default='loss'
        The estimator's name of it, for errors.

    Raises
    ------
    ValueError
        If a name is unknown, or the columns do not cover each column of X once.
    """
    n_features = X.shape[1]
    frame = frame if hasattr(frame, "columns") else X
    if isinstance(loss, str):
        pairs = find_parts(X, shares=shares) if loss == "auto" else [(loss, np.arange(n_features))]
    else:
        pairs = list(_resolved(loss, frame, parameter))
        taken = np.sort(np.concatenate([columns for _, columns in pairs]))
        if not np.array_equal(taken, np.arange(n_features)):
            wrong = sorted(set(range(n_features)).symmetric_difference(taken.tolist()))
            raise ValueError(
                f"{parameter} must name each of the {n_features} columns of X exactly once; "
                f"{'missing: ' + str(wrong) if wrong else 'some are named twice'}."
            )
    return Reconstruction((LOSSES[name](columns) for name, columns in pairs), parameter)


def _resolved(loss, frame, parameter):
    if not loss:
        raise ValueError(f"{parameter} must not be an empty list.")
    for entry in loss:
        if not (isinstance(entry, (tuple, list)) and len(entry) == 2 and entry[0] in LOSSES):
            raise ValueError(
                f"{parameter} must be a list of (name, columns) with a name of {sorted(LOSSES)}; got {entry!r}."
            )
        name, columns = entry
        groups = columns.values() if isinstance(columns, dict) else [columns]
        for group in groups:
            group = group(frame) if callable(group) else group
            try:
                yield name, np.asarray(_get_column_indices(frame, group), dtype=np.int64)
            except ValueError as error:
                raise ValueError(f"{parameter} names columns {group!r}: {error}.") from error
