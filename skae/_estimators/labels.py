"""What a network learns of y, and how its outputs become predictions."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import entr, logsumexp
from sklearn.utils import compute_sample_weight

from ..nn.losses import Bernoulli, Gaussian
from .fitting import FitData
from .reading import errors_of

# What is left of the entropy of a label, up to which there is no noise, and from which all is noise, when that of the
# nearest row is known: of two classes it is another one in 15% and 25% of the rows. A kernel machine is wrong less often,
# in 9.5% and 15%. And what the nearest row leaves of the variance of values.
_UNCERTAIN, _UNCERTAIN_TO_KERNEL, _UNEXPLAINED = (0.61, 0.81), (0.45, 0.61), (0.3, 0.5)
_LEAST = 1e-3  # share of the rows of a class, of hundreds that are looked at


@dataclass(frozen=True)
class Targets:
    """Targets of a network's output units.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_outputs)
    loss : class of :mod:`skae.nn.losses`
        Loss of the output units.
    labeled : ndarray of bool of shape (n_samples,)
    strata : ndarray of shape (n_samples,) or None
        Classes by which the split of held-out rows is stratified.
    """

    values: np.ndarray
    loss: type
    labeled: np.ndarray
    strata: np.ndarray | None = None


@dataclass(frozen=True)
class SupervisedData(FitData):
    """The ``FitData`` of a supervised fit.

    Parameters
    ----------
    balanced_weights : ndarray of shape (n_samples,) or None
        Sample weights times the weights of the classes.
    targets : Targets
    """

    balanced_weights: np.ndarray | None
    targets: Targets

    @cached_property
    def labeled_rows(self):
        """ndarray of int: the rows with a label."""
        return np.flatnonzero(self.targets.labeled)

    @cached_property
    def counted_labeled_rows(self):
        """ndarray of int: the rows with a label whose class has a positive weight."""
        rows, weights = self.labeled_rows, self.balanced_weights
        return rows if weights is None else rows[weights[rows] > 0]

    @cached_property
    def n_labeled(self):
        """float: the number of ``counted_labeled_rows``; one of sample weight 2 is two rows, but a sum of 1 is no single row."""
        rows, weights = self.counted_labeled_rows, self.sample_weight
        return len(rows) if weights is None else max(len(rows), weights[rows].sum())

    def with_targets(self, **changes):
        """Return the same data with other values of the given fields of ``targets``."""
        return replace(self, targets=replace(self.targets, **changes))

    def constant_loss(self):
        """Return the mean loss of the best constant outputs: half a variance, or an entropy."""
        labeled, weights = self.targets.labeled, self.balanced_weights
        values = self.targets.values[labeled].astype(np.float64)
        weights = None if weights is None else weights[labeled]
        means = np.average(values, axis=0, weights=weights)
        if self.targets.loss is Gaussian:
            return float(np.average((values - means) ** 2, axis=0, weights=weights).sum() / 2)
        loss = entr(means).sum()
        return float(loss + entr(1 - means).sum() if self.targets.loss is Bernoulli else loss)


@dataclass
class Classes:
    """Classes, one per row, or labels, several per row; turns outputs into predictions of them.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
    multilabel : bool
    """

    classes: np.ndarray
    multilabel: bool

    def predictions(self, logits):
        """Return the most probable class of each row, or which labels are more probable than not."""
        if self.multilabel:
            return (logits > 0).astype(int)
        return self.classes[logits.argmax(axis=1)]

    def probabilities(self, logits, units):
        """Return the probability of each class, or of each label by itself; ``logits`` are overwritten."""
        if not self.multilabel and units.elementwise:
            return np.exp(self.log_probabilities(logits, units))
        means = units.activate(logits)
        # The sum of a softmax is 1 up to rounding.
        return means if self.multilabel else means / means.sum(axis=1, keepdims=True)

    def log_probabilities(self, logits, units):
        """Return the logarithms of ``probabilities``, which may be too small for numbers."""
        values = units.log_means(logits)
        if not self.multilabel and units.elementwise:  # sigmoids are independent
            values -= logsumexp(values, axis=1, keepdims=True)
        return values

    def errors(self, logits, values):
        """Return whether the prediction of each row is wrong, or the fraction of its labels that are wrong."""
        if self.multilabel:
            return ((logits > 0) != values).mean(axis=1)
        return logits.argmax(axis=1) != values.argmax(axis=1)

    def noise(self, wrong, by_chance, limits=_UNCERTAIN):
        """Return how noisy labels are, from 0 to 1, if those of nearest rows and of any rows are ``wrong`` so often.

        That is measured by the entropy of a label that the nearest row leaves: the most that is possible (Fano) with as
        many classes of equal size as are wrong so often by chance. A label that is wrong half of the time leaves all of
        the entropy of two classes, and 70% of that of 30.
        """
        if not 0 < wrong < by_chance:
            return float(wrong > 0 or by_chance == 0)
        n_others = by_chance / max(1 - by_chance, _LEAST)  # classes but one
        entropy = entr(wrong) + entr(1 - wrong) + wrong * np.log(n_others)
        return float(np.interp(entropy / np.log1p(n_others), limits, (0, 1)))

    def noise_to_kernel(self, wrong, by_chance):
        """Return the same if predictions of a kernel are ``wrong`` so often."""
        return self.noise(wrong, by_chance, _UNCERTAIN_TO_KERNEL)

    def balanced(self, weights, targets, class_weight):
        """Return the weights of the samples times those of their classes, or None if all are 1."""
        if class_weight is None:
            return weights
        y = targets.values if self.multilabel else self.classes[targets.strata]
        factors = np.ones(len(targets.values))
        labeled = targets.labeled
        if class_weight == "balanced":
            factors[labeled] = _balancing(y[labeled], None if weights is None else weights[labeled])
        else:
            with errors_of("class_weight"):
                factors[labeled] = compute_sample_weight(class_weight, y[labeled])
        with np.errstate(over="ignore", invalid="ignore"):
            factors = factors.astype(targets.values.dtype)
            product = factors if weights is None else weights * factors
            total = product.sum()
        if (factors < 0).any() or not np.isfinite(total):
            raise ValueError(
                f"class_weight must not be negative, and needs a finite sum over the rows; got {class_weight!r}."
            )
        return product


@dataclass
class Values:
    """Numbers to predict, which the network sees standardized to mean 0 and standard deviation 1.

    Parameters
    ----------
    one_column : bool
        Whether y had one dimension.
    center, scale : ndarray of shape (n_outputs,)
        Mean and standard deviation of each column; 1 in place of a deviation of 0.
    """

    one_column: bool
    center: np.ndarray
    scale: np.ndarray

    def predictions(self, outputs):
        """Return the outputs on the scale and of the shape of y, in float64: float32 may hold no small parts of the mean."""
        values = outputs * self.scale + self.center
        return values.ravel() if self.one_column else values

    def errors(self, outputs, values):
        """Return half the squared error of each row, in squares of the standard deviations."""
        return 0.5 * np.sum((outputs - values) ** 2, axis=1)

    def noise(self, error, by_chance):
        """Return how noisy values are, from 0 to 1, if nearest rows and any rows have these ``errors`` in the mean."""
        share = error / by_chance if by_chance > 0 else 1.0
        return float(np.interp(share, _UNEXPLAINED, (0, 1)))


def _balancing(y, weights):
    """Return the factors of the ``weights`` of rows that give all classes of each column of y the same sum of them.

    scikit-learn's ``compute_sample_weight`` counts rows, so that a row of weight 2 would not be two rows.
    """
    weights = np.ones(len(y)) if weights is None else weights.astype(np.float64)
    factors = np.ones(len(y))
    for column in y.reshape(len(y), -1).T:
        classes, codes = np.unique(column, return_inverse=True)
        sums = np.bincount(codes, weights)
        factors *= (sums.sum() / (len(classes) * sums))[codes]
    return factors
