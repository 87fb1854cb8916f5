"""How strong a penalty on slopes along tangents is, in units that do not depend on those of the data."""

from numbers import Real

import numpy as np

_AUTO = 3.0  # of 1, 3 and 10 the best on MNIST with 1000 and with 3000 labels, unlabelled rows penalized too
_N_ROWS = 500  # of the data and with tangents: enough for two digits


def parse_penalty(penalty):
    """Return the number in ``penalty``, and whether it counts multiples of the automatic one.

    Raises
    ------
    ValueError
        If it is neither a number that is not negative, nor ``'auto'``, nor ``'<factor>*auto'``.
    """
    relative = isinstance(penalty, str)
    number = penalty
    if relative:
        factor, star, name = penalty.replace(" ", "").rpartition("*")
        try:
            number = float(factor) if star else 1.0
        except ValueError:
            number = np.nan
        number = number if name == "auto" else np.nan
    if not (isinstance(number, Real) and 0 <= number < np.inf):
        raise ValueError(
            "tangent_penalty must be a number that is not negative, 'auto', or a multiple such as '0.3*auto'; got "
            f"{penalty!r}."
        )
    return float(number), relative


def automatic_penalty(X, rows, weights, store, seed):
    """Return three times the mean variance of the data along the tangents.

    Where x moves along a tangent by as much as the data vary, outputs move by about the slope times the standard
    deviation: the penalty is three times the mean square of that.

    Parameters
    ----------
    X : C-ordered ndarray or CSR matrix of shape (n_samples, n_features)
    rows : ndarray of int
        That have tangents.
    weights : ndarray of shape (n_samples,) or None
    store : TangentStore
    seed : int
        Of a choice of some rows where there are many.
    """
    rng = np.random.default_rng(seed)
    some = _some(np.arange(X.shape[0]), weights, rng)
    data = _dense(X[some])
    shares = None if weights is None else weights[some]
    data = data - np.average(data, axis=0, weights=shares)
    chosen = _some(rows, weights, rng)
    directions = np.empty((len(chosen), store.n_directions, X.shape[1]), data.dtype)
    inputs = np.ascontiguousarray(_dense(X[chosen]))
    store(chosen, inputs, np.arange(len(chosen)), seed, directions)
    along = np.square(data @ directions.reshape(-1, X.shape[1]).T)
    variances = np.average(along, axis=0, weights=shares).reshape(len(chosen), -1)
    # A random combination of a sample's tangents has the sum of their variances on average.
    shares = None if weights is None else weights[chosen]
    total = np.average(variances.sum(axis=1), weights=shares)
    return _AUTO * float(total) / store.n_tangents


def _some(rows, weights, rng):
    """Return some of ``rows`` with a weight, in their order."""
    rows = rows if weights is None else rows[weights[rows] > 0]
    return np.sort(rng.permutation(rows)[:_N_ROWS])


def _dense(X):
    return X.toarray() if hasattr(X, "toarray") else X
