"""Automatic weight of the penalty on slopes along tangents, independent of the units of the data."""

import numpy as np

from .._arrays.namespace import dense

_N_ROWS = 500  # rows of the data, and rows with tangents: enough for two digits


def automatic_penalty(X, rows, weights, store, seed):
    """Return the mean variance of the data along the tangents.

    If x moves along a tangent by the standard deviation of the data, outputs change by about the slope times that
    deviation. The penalty is the mean square of this change.

    Parameters
    ----------
    X : C-ordered ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
    rows : ndarray of int
        Rows that have tangents.
    weights : ndarray of shape (n_samples,) or None
    store : TangentStore
    seed : int
        Seed for the choice of some rows, if there are many.
    """
    rng = np.random.default_rng(seed)
    data_rows = _some(np.arange(X.shape[0]), weights, rng)
    data = dense(X[data_rows])
    data_weights = None if weights is None else weights[data_rows]
    data = data - np.average(data, axis=0, weights=data_weights)
    tangent_rows = _some(rows, weights, rng)
    directions = np.empty((len(tangent_rows), store.n_directions, X.shape[1]), data.dtype)
    inputs = np.ascontiguousarray(dense(X[tangent_rows]))
    store(tangent_rows, inputs, np.arange(len(tangent_rows)), seed, directions)
    squares = np.square(data @ directions.reshape(-1, X.shape[1]).T)
    variances = np.average(squares, axis=0, weights=data_weights).reshape(len(tangent_rows), -1)
    # A random combination of a sample's tangents has the sum of their variances on average.
    row_weights = None if weights is None else weights[tangent_rows]
    total = np.average(variances.sum(axis=1), weights=row_weights)
    return float(total) / store.n_tangents


def _some(rows, weights, rng):
    """Return some of the ``rows`` with a positive weight, in their order."""
    rows = rows if weights is None else rows[weights[rows] > 0]
    return np.sort(rng.permutation(rows)[:_N_ROWS])
