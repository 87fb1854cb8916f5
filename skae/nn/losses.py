"""Reconstruction losses as output units: value, gradient, mean and draws of the output, from its logits.

Every loss is summed over its columns; the objective takes the mean over samples. The units' densities are
exp(x a - A(a)) times a base that does not depend on the logits a.
"""

import numpy as np
from scipy.sparse import issparse
from scipy.special import log_softmax, logit, logsumexp, softmax

from .._arrays import boltzmann as draws
from .._arrays import losses as kernels
from .._arrays.activations import sigmoid
from .._arrays.namespace import is_numpy, namespace, zero_if_tiny, zeros
from .._threads import ELEMENT, share
from .noise import fresh_keys


def _runs(columns):
    """Return the maximal runs [start, stop) of sorted ``columns``, an int array of shape (n_runs, 2)."""
    ends = np.flatnonzero(np.diff(columns) != 1)
    firsts, lasts = columns[np.append(0, ends + 1)], columns[np.append(ends, len(columns) - 1)]
    return np.column_stack([firsts, lasts + 1]).astype(np.int64)


class Gaussian:
    """Real columns: ||x - r||^2 / 2 with r the logits, the negative log-likelihood at unit variance."""

    means_are_logits = True

    def __init__(self, columns):
        self.columns = np.sort(columns)
        self._runs = _runs(self.columns)

    def check(self, X, names, parameter):
        """Accept any finite value."""

    def loss_and_gradient(self, logits, target, sample_weights, cell_weights, losses):
        """Add the losses to ``losses`` and leave the weighted gradient in ``logits``."""
        kernels.gaussian(logits, target, self._runs, sample_weights, cell_weights, losses)

    def mean_derivatives(self, means, first, second):
        """Fill in the first and second derivative of the mean by its logit."""
        for start, stop in self._runs.tolist():
            first[:, start:stop], second[:, start:stop] = 1, 0

    def sample(self, logits, rows, columns):
        """Turn logits into draws, in place."""
        draws.gaussian_units(logits, self._runs, rows, columns)

    def log_base(self, X):
        """Return the logarithm of each row's base density."""
        if is_numpy(X):
            with np.errstate(over="ignore"):  # rows far from all others have the density 0
                return -0.5 * np.square(X[:, self.columns]).sum(axis=1, dtype=np.float64)
        xp, parts = namespace(X), [X[:, start:stop] for start, stop in self._runs.tolist()]
        return -0.5 * sum(xp.sum(part * part, axis=1, dtype=xp.float64) for part in parts)

    def log_normalizer(self, logits):
        """Return A(a) of each row: the logarithm of the integral of exp(x a) times the base."""
        return -self.log_base(logits) + 0.5 * np.log(2 * np.pi) * self.columns.size


class Bernoulli:
    """Columns in [0, 1]: the cross-entropy of x and r = sigmoid(logit)."""

    means_are_logits = False

    def __init__(self, columns):
        self.columns = np.sort(columns)
        self._runs = _runs(self.columns)

    def check(self, X, names, parameter):
        """Raise if a value is outside [0, 1]."""
        low, high = X.min(axis=0), X.max(axis=0)
        outside = self.columns[(low[self.columns] < 0) | (high[self.columns] > 1)]
        if outside.size:
            j = outside[0]
            raise ValueError(
                f"{parameter}='bernoulli' needs X in [0, 1], but column {names[j]!r} has values from "
                f"{low[j]:g} to {high[j]:g}. Scale X, for instance with MinMaxScaler(clip=True), "
                f"or use {parameter}='gaussian'."
            )

    def loss_and_gradient(self, logits, target, sample_weights, cell_weights, losses):
        """Add the losses to ``losses`` and leave the weighted gradient in ``logits``."""
        kernels.bernoulli(logits, target, self._runs, sample_weights, cell_weights, losses)

    def activate(self, logits):
        """Turn logits into means, in place."""
        no_bias = zeros(logits.shape[1], logits)
        for start, stop in self._runs.tolist():
            sigmoid(logits, no_bias, start, stop)

    def log_means(self, logits):
        """Turn logits into logarithms of means, in place."""
        logits[:, self.columns] = -np.logaddexp(0, -logits[:, self.columns])

    def invert(self, means):
        """Turn means into logits, in place."""
        means[:, self.columns] = logit(means[:, self.columns])

    def mean_derivatives(self, means, first, second):
        """Fill in the first and second derivative of the mean by its logit."""
        for start, stop in self._runs.tolist():
            mean = means[:, start:stop]
            first[:, start:stop] = mean * (1 - mean)
            second[:, start:stop] = mean * (1 - mean) * (1 - 2 * mean)

    def sample(self, logits, rows, columns):
        """Turn logits into draws of 0 and 1, in place."""
        no_bias = zeros(logits.shape[1], logits)
        for start, stop in self._runs.tolist():
            draws.bernoulli_units(logits, no_bias, rows, columns, start, stop)

    def log_base(self, X):
        """Return the logarithm of each row's base density: 0."""
        return 0.0

    def log_normalizer(self, logits):
        """Return A(a) of each row: the sum of softplus(a)."""
        return np.logaddexp(0, logits[:, self.columns]).sum(axis=1, dtype=np.float64)


class Multinomial:
    """One group of one-hot (or count) columns: -sum_j x_j log r_j with r = softmax(logits)."""

    means_are_logits = False

    def __init__(self, columns):
        self.columns = np.asarray(columns, dtype=np.int64)
        self._offsets = np.array([0, self.columns.size], dtype=np.int64)

    def check(self, X, names, parameter):
        """Raise if a value is negative."""
        low = X.min(axis=0)[self.columns]
        if (low < 0).any():
            j = self.columns[np.argmin(low)]
            raise ValueError(
                f"{parameter}='multinomial' needs non-negative X, but column {names[j]!r} has the value "
                f"{low.min():g}. Encode the group with OneHotEncoder, or use {parameter}='gaussian'."
            )

    def loss_and_gradient(self, logits, target, sample_weights, cell_weights, losses):
        """Add the losses to ``losses`` and leave the weighted gradient in ``logits``."""
        kernels.multinomial(
            logits, target, self.columns, self._offsets, sample_weights, cell_weights, losses
        )

    def activate(self, logits):
        """Turn logits into means, in place."""
        if is_numpy(logits):
            logits[:, self.columns] = zero_if_tiny(softmax(logits[:, self.columns], axis=1))
        else:
            columns = self.columns.tolist()
            means = kernels.softmax(logits, columns)
            kernels.put_back(means, kernels.runs_of(columns), logits)

    def log_means(self, logits):
        """Turn logits into logarithms of means, in place."""
        logits[:, self.columns] = log_softmax(logits[:, self.columns], axis=1)

    def invert(self, means):
        """Turn means into logits, in place."""
        means[:, self.columns] = np.log(means[:, self.columns])

    def sample(self, logits, rows, columns):
        """Turn logits into one-hot draws, in place."""
        draws.multinomial_units(logits, self.columns, rows, columns)

    def log_base(self, X):
        """Return the logarithm of each row's base density: 0."""
        return 0.0

    def log_normalizer(self, logits):
        """Return A(a) of each row: log sum exp(a)."""
        return logsumexp(logits[:, self.columns].astype(np.float64), axis=1)


LOSSES = {"gaussian": Gaussian, "bernoulli": Bernoulli, "multinomial": Multinomial}


class Reconstruction:
    """The loss of a whole row: parts that own disjoint columns and together cover all of them.

    Parameters
    ----------
    parts : iterable of losses
    parameter : str, default='loss'
        Name of the estimator's parameter that chose them, for error messages.
    """

    def __init__(self, parts, parameter="loss"):
        self.parts, self.parameter = list(parts), parameter

    def check(self, X, names):
        """Raise ``ValueError`` if ``X`` (dense or CSR) is outside the range of its loss."""
        X = Extremes(X)
        for part in self.parts:
            part.check(X, names, self.parameter)

    def loss_and_gradient(self, logits, target, sample_weights, cell_weights, losses):
        """Set ``losses`` to the loss of each sample and leave the weighted gradient in ``logits``."""

        def work(rows):
            losses[rows] = 0
            arrays = logits[rows, ...], target[rows, ...], sample_weights[rows]
            cells = cell_weights[rows, ...] if cell_weights.shape[0] else cell_weights
            for part in self.parts:
                part.loss_and_gradient(*arrays, cells, losses[rows])

        share(work, logits.shape[0], ELEMENT * logits.shape[1])

    def activate(self, logits):
        """Turn logits into the reconstruction, in place."""
        for part in self.parts:
            if not part.means_are_logits:
                part.activate(logits)
        return logits

    def log_means(self, logits):
        """Turn logits, arrays of numpy, into logarithms of the means of units that have probabilities, in place."""
        for part in self.parts:
            part.log_means(logits)
        return logits

    def invert(self, means):
        """Turn means into logits, in place."""
        for part in self.parts:
            if not part.means_are_logits:
                part.invert(means)
        return means

    def sample(self, logits, rng):
        """Turn logits into draws of the units, in place."""
        rows, columns = fresh_keys(logits, rng)

        def work(part):
            for each in self.parts:
                each.sample(logits[part, ...], rows[part], columns)

        share(work, logits.shape[0], ELEMENT * logits.shape[1])

    def draws(self, logits, n_rows, rng):
        """Return rows of draws, all with the same ``logits``."""
        rows = np.repeat(logits[np.newaxis], n_rows, axis=0)
        self.sample(rows, rng)
        return rows

    def columns_of(self, kind):
        """Return the indices of the columns whose loss is of the class ``kind``."""
        parts = [part.columns for part in self.parts if isinstance(part, kind)]
        return np.concatenate([np.empty(0, np.intp), *parts])

    def log_base(self, X):
        """Return the logarithm of each row's base density."""
        return sum(part.log_base(X) for part in self.parts)

    def log_normalizer(self, logits):
        """Return each row's A(a), summed over the parts."""
        return sum(part.log_normalizer(logits) for part in self.parts)

    @property
    def binary(self):
        """Whether all units are 0 or 1."""
        return all(isinstance(part, Bernoulli) for part in self.parts)

    @property
    def elementwise(self):
        """Whether each mean depends on its own logit only."""
        return not any(isinstance(part, Multinomial) for part in self.parts)

    def mean_derivatives(self, means, first, second):
        """Fill in the first and second derivative of each mean by its logit."""
        for part in self.parts:
            part.mean_derivatives(means, first, second)


class Extremes:
    """Column minima and maxima that ignore missing values, computed once, for arrays and sparse matrices."""

    def __init__(self, X):
        self._X, self._low, self._high = X, None, None

    def min(self, axis):
        if self._low is None and issparse(self._X):
            self._low = self._X.nanmin(axis=axis).toarray().ravel()
        elif self._low is None:
            self._low = np.fmin.reduce(self._X, axis=axis)
        return self._low

    def max(self, axis):
        if self._high is None and issparse(self._X):
            self._high = self._X.nanmax(axis=axis).toarray().ravel()
        elif self._high is None:
            self._high = np.fmax.reduce(self._X, axis=axis)
        return self._high
