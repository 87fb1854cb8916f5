"""Joint normal distribution of the columns, fitted to rows with missing values, and its conditional means."""

import numpy as np
from sklearn.utils import gen_batches

_MOST_INPUTS = 128  # the conditional means of more inputs take long
_N_STEPS = 10
_RIDGE = 1e-3  # fraction of the mean variance that is added to each variance
_BLOCK = 256  # rows whose conditional covariances are in memory at once


class JointNormal:
    """Normal distribution of rows.

    Parameters
    ----------
    center : ndarray of shape (n_inputs,)
        Means of the inputs.
    precision : ndarray of shape (n_inputs, n_inputs) or None
        Inverse of the covariance matrix. None means independent inputs.
    """

    def __init__(self, center, precision):
        self.center, self.precision = center, precision

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


def normal_distribution(z, weights, means):
    """Return the ``JointNormal`` of the rows z, or of independent inputs with these means if there are many inputs."""
    return fitted_normal(z, weights) if z.shape[1] <= _MOST_INPUTS else JointNormal(means, None)


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
    for _ in range(_N_STEPS if missing.any() else 1):  # one step is exact then
        uncertain = np.zeros_like(covariance)
        filled = _expected(_inverse(covariance), z - center, missing, uncertain, weights)
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
