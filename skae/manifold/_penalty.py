"""The penalty on slopes along tangents: which rows have it, how many tangents they have, and its automatic weight."""

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._arrays.namespace import dense
from .._estimators.label_neighbors import LabeledNeighbors
from .._estimators.needs import Need
from .._estimators.parameters import resolved
from .._warnings import warn

_MOST_TANGENTS = 15  # with n_tangents='auto'
_LITTLE_LEARNED = 0.75  # warn above this fraction of the error of constant outputs
# Rows of the data, and rows with tangents, from which the automatic weight is computed: enough for two digits.
_N_ROWS = 500
# With fewer labels a penalty at unlabeled rows would flatten the outputs there, and is made smaller.
_MANY_LABELS = 1000
# Shares of the way to the nearest row of another label along tangents: up to which the automatic weight stays, and from
# which it is 0. Then outputs must change along tangents.
_WITHIN, _ACROSS = 0.5, 0.6


def is_penalized(classifier):
    """Return whether ``classifier`` penalizes slopes along tangents."""
    return resolved(classifier.tangent_penalty, "tangent_penalty", 1.0) > 0


TANGENT_NEEDS = (
    Need(
        "n_tangents tangent_sampling update_tangents tangent_storage",
        "tangent_penalty",
        "tangent_penalty > 0",
        is_penalized,
    ),
    Need(
        "update_tangents",
        "frozen",
        "frozen below 'all', or the tangents stay as they are",
        lambda self: self.frozen != "all",
    ),
)


def penalized_rows(labeled, n_unlabeled, seed):
    """Return the ``labeled`` rows, of this mask, and at most ``n_unlabeled`` of the others, in order."""
    unlabeled = np.flatnonzero(~labeled)
    if len(unlabeled) > n_unlabeled:
        unlabeled = np.random.default_rng(seed).permutation(unlabeled)[:n_unlabeled]
    return np.sort(np.append(np.flatnonzero(labeled), unlabeled))


def resolved_n_tangents(n_tangents, n_inputs, n_units):
    """Return the number of tangents of a row; raise if there are fewer inputs or code units."""
    width = min(n_inputs, n_units)
    if n_tangents == "auto":
        return min(_MOST_TANGENTS, max(1, width // 2))
    if n_tangents > width:
        raise ValueError(
            f"n_tangents={n_tangents} must be at most {width}: the columns of X that vary, or the units of the code, are no more."
        )
    return n_tangents


def automatic_penalty(data, store):
    """Return the mean variance of the data along the tangents, or less if few of the rows with tangents have labels.

    If x moves along a tangent by the standard deviation of the data, outputs change by about the slope times that
    deviation. The penalty is the mean square of this change. It is 0 if tangents are the way to other labels.

    Parameters
    ----------
    data : SupervisedData
    store : TangentStore
        The tangents of all labeled rows of ``data``, and perhaps of others.
    """
    X, rng, weights = store.X, np.random.default_rng(store.seed), data.balanced_weights
    some = _some(np.arange(X.shape[0]), weights, rng)
    some_weights, x = None if weights is None else weights[some], dense(X[some])
    deviations = x - np.average(x, axis=0, weights=some_weights)
    tangent_rows = _some(store.rows, weights, rng)
    variances = np.empty(len(tangent_rows))
    for part, basis in store.tangents_by_block(tangent_rows):
        squares = np.square(deviations @ basis.reshape(-1, X.shape[1]).T)
        along = np.average(squares, axis=0, weights=some_weights)
        variances[part] = along.reshape(-1, store.n_tangents).mean(axis=1)
    row_weights = None if weights is None else weights[tangent_rows]
    variance = np.average(variances, weights=row_weights)
    others = len(store.rows) > np.sum(data.targets.labeled)
    fraction = min(1, data.n_labeled / _MANY_LABELS) if others else 1
    share = share_to_other_label(data, store)
    within = np.interp(share, (_WITHIN, _ACROSS), (1, 0))
    return float(variance * fraction**1.5 * within)


def share_to_other_label(data, store):
    """Return the share of the squared distance to the nearest row of another label that lies in the tangent plane."""
    rows, differences, weights = LabeledNeighbors(store.X, data).to_other_label()
    if len(rows) == 0:
        return 0.0
    along = 0.0
    for part, basis in store.tangents_by_block(rows):
        squares = (basis @ differences[part][:, :, None]) ** 2
        along += weights[part] @ squares.sum(axis=(1, 2))
    total = weights @ (differences**2).sum(axis=1)
    return along / total if total > 0 else 0.0


def _some(rows, weights, rng):
    """Return some of the ``rows`` with a positive weight, in their order."""
    rows = rows if weights is None else rows[weights[rows] > 0]
    return np.sort(rng.permutation(rows)[:_N_ROWS])


def warn_of_constant_outputs(kind, outputs, values, weights, penalty):
    """Warn if labeled rows are predicted hardly better than by outputs that do not depend on X.

    Parameters
    ----------
    kind : Classes
    outputs, values : ndarray of shape (n_samples, n_outputs)
        Logits and targets of labeled rows.
    weights : ndarray of shape (n_samples,) or None
    penalty : float
    """
    best = np.average(values, axis=0, weights=weights) - 0.5  # with signs of logits
    constant = np.broadcast_to(best, values.shape)
    error = np.average(kind.errors(outputs, values), weights=weights)
    chance = np.average(kind.errors(constant, values), weights=weights)
    if error > _LITTLE_LEARNED * chance:
        what = "labels" if kind.multilabel else "labeled rows"
        warn(
            f"Outputs hardly depend on X: of the {what} {error:.0%} are predicted wrong, and {chance:.0%} by "
            f"constant outputs. Set tangent_penalty below {penalty:.3g}, or raise max_iter or learning_rate_init.",
            ConvergenceWarning,
        )
