"""Imputation of missing values by reconstructions, beside the conditional means of a joint normal distribution.

Slopes, by which the two are mixed, are measured on known values that are hidden.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.utils import gen_batches

from .._arrays.namespace import some_weighted_rows

# The normal distribution.
_MOST_INPUTS = 128  # the conditional means of more inputs take long
_N_STEPS = 10
_RIDGE = 1e-3  # fraction of the mean variance that is added to each variance
_BLOCK = 256  # rows whose conditional covariances are in memory at once
# The slopes.
_HIDDEN_FRACTION = 0.1  # fraction of the cells that are hidden
# Upper bounds on the cells and rows of X that are used for the normal distribution, and for the slopes.
_CELLS, _SLOPES_CELLS, _ROWS = 2**17, 2**15, 2000
_FEWEST_ROWS = 30
_N_DRAWS = 3
# Standard deviation of the columns' slopes about their mean; uncertain estimates are shrunk to the mean.
_SPREAD = 0.3
# Categories are often right in the second pass only, which sees what the first has filled in.
_FEWEST_PASSES, _MOST_PASSES = 2, 5
_ROUNDING = 1e-3  # by which known inputs of a group may exceed one; counts exceed it by more
_LEAST_GAIN = 0.01  # fraction of the error that a further pass must remove


@dataclass(eq=False)
class JointNormal:
    """Normal distribution of rows.

    Parameters
    ----------
    center : ndarray of shape (n_inputs,)
        Means of the inputs.
    precision : ndarray of shape (n_inputs, n_inputs) or None
        Inverse of the covariance matrix. None means independent inputs.
    """

    center: np.ndarray
    precision: np.ndarray | None

    def estimates(self, z):
        """Return for each cell of z its value, or if it is missing its mean given the known values of its row.

        Parameters
        ----------
        z : ndarray of shape (n_samples, n_inputs)
            NaN where a value is missing.
        """
        missing = np.isnan(z)
        if self.precision is None:
            return np.where(missing, self.center.astype(z.dtype), z)
        filled = _expected(self.precision, z - self.center, missing)
        return np.where(missing, self.center + filled, z).astype(z.dtype)


@dataclass(eq=False)
class Imputation:
    """Imputation of missing values in scaled rows by repeated reconstruction, with slopes for each pass.

    A network that has learned to copy its input gives too little for hidden values, and too much if it is fed its own
    output. On small tables it also learns linear relations less well than a linear method. Missing values are therefore
    filled with ``linear + slope * (r - linear)``, where ``linear`` is the conditional mean of a joint normal
    distribution. The slopes come from the regression of known values on their estimates when hidden, as in stacked
    regressions (Breiman 1996).

    Parameters
    ----------
    normal : JointNormal
        Distribution of the inputs.
    slopes : ndarray of shape (n_passes, n_inputs)
        Slopes of each pass; 1 for inputs that are not gaussian.
    """

    normal: JointNormal
    slopes: np.ndarray

    def fill(self, reconstruct, z, sum_to_one=()):
        """Return a copy of the rows ``z`` without missing values.

        Parameters
        ----------
        reconstruct : callable
            Function from rows of z to their reconstructions.
        z : ndarray of shape (n_samples, n_inputs)
            NaN where a value is missing.
        sum_to_one : sequence of ndarray of int
            Inputs of each group whose sum is one, as that of the categories of a one-hot group.
        """
        missing = np.isnan(z)
        linear, filled = self.normal.estimates(z), np.where(missing, z.dtype.type(0), z)
        for slopes in self.slopes:
            r = reconstruct(filled)
            r = _given_known(r, z, missing, sum_to_one) if sum_to_one else r
            # Not linear + slopes * (r - linear): where the slope is 1 this is r, without rounding.
            filled = np.where(missing, (1 - slopes) * linear + slopes * r, z)
        return filled


def _given_known(r, z, missing, groups):
    """Return reconstructions whose missing inputs of ``groups``, each of the sum one, are those given the known ones."""
    for columns in groups:
        hidden = missing[:, columns]
        rest = 1 - np.where(hidden, 0, z[:, columns]).sum(axis=1)
        partly = hidden.any(axis=1) & ~hidden.all(axis=1)
        rows = np.flatnonzero(partly & (rest > -_ROUNDING))
        if not len(rows):
            continue
        cells, rest = np.ix_(rows, columns), np.maximum(rest[rows, np.newaxis], 0)
        # Not 0, if the network is certain of a category that is known not to be.
        chances = np.where(hidden[rows], np.maximum(r[cells], np.finfo(r.dtype).tiny), 0)
        r = r.copy()
        r[cells] = rest * (chances / chances.sum(axis=1, keepdims=True))
    return r


def plain_imputation(n_inputs, dtype):
    """Return the ``Imputation`` of one pass, with slopes of 1, which is the reconstruction."""
    return Imputation(JointNormal(np.zeros(n_inputs, dtype), None), np.ones((1, n_inputs), dtype))


def rows_to_learn_from(X, weights, n_cells=_CELLS):
    """Return some rows of X, dense, with at most about ``n_cells`` cells, and their weights or None."""
    n_rows = min(_ROWS, max(_FEWEST_ROWS, n_cells // X.shape[1]))
    return some_weighted_rows(X, weights, n_rows)


def imputation_of(model, z, weights):
    """Return the ``Imputation`` by ``model``, learned from scaled rows of the training data; None without gaussian inputs."""
    units, gaussian = model.units, model.units.gaussian_inputs
    if not gaussian.any():
        return None
    if z.shape[1] <= _MOST_INPUTS:
        normal = fitted_normal(z, weights)
    else:
        normal = JointNormal(np.where(gaussian, units.base_logits, 0), None)
    return learned_imputation(
        model.reconstruct_scaled,
        z,
        normal,
        gaussian,
        units.groups,
        weights,
        sum_to_one=() if units.groups is None else units.multinomial_groups,
    )


def learned_imputation(reconstruct, z, normal, gaussian, groups, weights=None, sum_to_one=()):
    """Return the ``Imputation`` learned from hidden cells of the rows ``z``, with passes as long as they help.

    Parameters
    ----------
    reconstruct : callable
    z : ndarray of shape (n_samples, n_inputs)
        Rows of the training data, scaled, NaN where a value is missing.
    normal : JointNormal
    gaussian : ndarray of bool of shape (n_inputs,)
    groups : ndarray of int of shape (n_inputs,) or None
        Inputs with the same number are hidden together.
    weights : ndarray of shape (n_samples,) or None
    sum_to_one : sequence of ndarray of int
        See :meth:`Imputation.fill`.
    """
    z, weights = rows_to_learn_from(z, weights, _SLOPES_CELLS)
    hidden = _hidden_cells(z.shape, groups)
    z = np.tile(z, (_N_DRAWS, 1))
    weights = None if weights is None else np.tile(weights / weights.mean(), _N_DRAWS)
    unknown = np.isnan(z)
    missing, measured = hidden | unknown, hidden & ~unknown & gaussian
    filled = np.where(missing, z.dtype.type(0), z)
    linear = normal.estimates(np.where(missing, z.dtype.type(np.nan), z))
    regression = _Regression(z - linear, measured, weights, gaussian)
    passes, before = [], np.inf
    while len(passes) < _MOST_PASSES:
        r = reconstruct(filled)
        r = _given_known(r, z, missing, sum_to_one) if sum_to_one else r
        slopes, error = regression.on(r - linear)
        bound = (1 - _LEAST_GAIN) * before if len(passes) >= _FEWEST_PASSES else np.inf
        if not error < bound:  # NaN ends it, too
            break
        passes.append(slopes)
        before = error
        filled = np.where(missing, (1 - slopes) * linear + slopes * r, z)
    if not passes:
        return plain_imputation(z.shape[1], z.dtype)
    return Imputation(normal, np.array(passes))


def _hidden_cells(shape, groups):
    """Return masks of a tenth of the cells of rows, one below the other, drawn several times."""
    draws = [np.random.default_rng(seed).random(shape, np.float32) for seed in range(_N_DRAWS)]
    numbers = np.concatenate(draws)
    return (numbers if groups is None else numbers[:, groups]) < _HIDDEN_FRACTION


class _Regression:
    """Regression of true values on guesses, column by column, where both are deviations from linear estimates.

    Columns are in multiples of powers of two, since fourth powers of large values overflow, and of small ones are 0.

    Parameters
    ----------
    true : ndarray of shape (n_samples, n_inputs)
    measured : ndarray of bool of shape (n_samples, n_inputs)
        Mask of the cells that count.
    weights : ndarray of shape (n_samples,) or None
        Weights of the rows, with a mean of 1.
    gaussian : ndarray of bool of shape (n_inputs,)
    """

    def __init__(self, true, measured, weights, gaussian):
        self._measured, self._gaussian, self._dtype = measured, gaussian, true.dtype
        # A row of weight 2 counts as two rows in sums of squares.
        self._roots = 1 if weights is None else np.sqrt(weights)[:, None]
        true = np.where(measured, self._roots * true, 0)
        sizes = np.abs(true).max(axis=0)
        # Subnormal numbers are rounding errors of columns that are constant.
        sizes = np.where(sizes < np.finfo(true.dtype).tiny, 0, sizes)
        self._powers, self._largest = np.frexp(sizes)[1], np.frexp(sizes.max())[1]
        self._true = np.ldexp(true, -self._powers)

    def on(self, guessed):
        """Return the slope of each column, or 1 if it is not gaussian, and the sum of the squared errors in all columns.

        The slopes of single columns are shrunk to their common mean. Uncertain slopes, such as those determined by a
        few large values, are shrunk more.
        """
        true, gaussian = self._true, self._gaussian
        guessed = np.ldexp(np.where(self._measured, self._roots * guessed, 0), -self._powers)
        squares = np.square(guessed).sum(axis=0, dtype=float)
        measured, shrunk = gaussian & (squares > 0), np.ones(len(gaussian))
        if measured.any():
            squares = np.where(measured, squares, 1)
            slopes = (true * guessed).sum(axis=0, dtype=float) / squares
            # Residuals of the common slope: those of a column's own slope are 0 if one cell determines it.
            common = np.median(slopes[measured])
            residuals = np.square(guessed * (true - common * guessed)).sum(axis=0, dtype=float)
            variances = np.where(measured, residuals, 0) / squares**2
            # Posterior means under a normal prior of standard deviation _SPREAD about the weighted mean.
            weights = measured / (_SPREAD**2 + variances)
            mean = (weights @ slopes) / weights.sum()
            shrunk = mean + _SPREAD**2 / (_SPREAD**2 + variances) * (slopes - mean)
            shrunk = np.where(measured, shrunk, np.where(gaussian, mean, 1))
        shrunk = shrunk.astype(self._dtype)
        errors = np.ldexp(true - shrunk * guessed, self._powers - self._largest)
        return shrunk, float(np.square(errors).sum())


def fitted_normal(z, weights=None):
    """Return the ``JointNormal`` of the rows z, by a few steps of the EM algorithm (Dempster, Laird & Rubin 1977).

    Parameters
    ----------
    z : ndarray of shape (n_samples, n_inputs)
        NaN where a value is missing.
    weights : ndarray of shape (n_samples,) or None
        A row of weight 2 is two rows.
    """
    weights = np.ones(len(z)) if weights is None else weights.astype(float)
    weights = weights / weights.sum()
    missing = np.isnan(z)
    share = weights @ ~missing
    share[share == 0] = 1
    center = weights @ np.where(missing, 0, z) / share
    covariance = np.diag(weights @ np.square(np.where(missing, 0, z - center)) / share)
    incomplete = missing.any()
    for _ in range(_N_STEPS if incomplete else 1):  # one step is exact for complete rows
        filled, uncertain = z - center, np.zeros_like(covariance)
        if incomplete:
            filled = _expected(_inverse(covariance), filled, missing, uncertain, weights)
        shift = weights @ filled
        center, filled = center + shift, filled - shift
        covariance = (weights * filled.T) @ filled + uncertain
    return JointNormal(center, _inverse(covariance))


def _inverse(covariance):
    """Return the inverse of a covariance matrix with a small ridge, for columns that determine each other."""
    ridge = _RIDGE * (np.diag(covariance).mean() or 1.0)
    return np.linalg.inv(covariance + ridge * np.eye(len(covariance)))


def _expected(precision, z, missing, uncertain=None, weights=None):
    """Return the conditional means of centered rows; add their conditional covariances to ``uncertain`` unless it is None.

    Parameters
    ----------
    precision : ndarray of shape (n_inputs, n_inputs)
    z : ndarray of shape (n_samples, n_inputs)
    missing : ndarray of bool of shape (n_samples, n_inputs)
    uncertain : ndarray of shape (n_inputs, n_inputs) or None
    weights : ndarray of shape (n_samples,)
        Factors of the covariances.
    """
    filled = np.where(missing, 0.0, z)
    if not missing.any():
        return filled
    by_size = np.argsort(missing.sum(axis=1))
    for block in gen_batches(len(z), _BLOCK):
        rows = by_size[block]
        filled[rows], covariances, places = _filled(precision, filled[rows], missing[rows])
        if uncertain is not None:
            np.add.at(uncertain, places, weights[rows, np.newaxis, np.newaxis] * covariances)
    return filled


def _filled(precision, filled, missing):
    """Return a few rows with their conditional means, their conditional covariances and the indices of these."""
    # Missing values of each row, and then known ones, up to as many as in the row with the most.
    order = np.argsort(~missing, axis=1, kind="stable")[:, : missing.sum(axis=1).max()]
    i, j = order[:, :, np.newaxis], order[:, np.newaxis]
    in_row = np.take_along_axis(missing, order, axis=1)
    both = in_row[:, :, np.newaxis] & in_row[:, np.newaxis]
    blocks = np.where(both, precision[i, j], np.eye(order.shape[1]))
    covariances = np.where(both, np.linalg.inv(blocks), 0)
    pulls = np.take_along_axis(filled @ precision, order, axis=1)[..., np.newaxis]
    known = np.take_along_axis(filled, order, axis=1)
    np.put_along_axis(filled, order, known - (covariances @ pulls)[..., 0], axis=1)
    return filled, covariances, (i, j)
