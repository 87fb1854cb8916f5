"""Units of sparse auto-encoders: which features of a sample are active, in training and afterwards.

``topk`` keeps the k largest pre-activations of a row (Makhzani & Frey 2014, Gao et al. 2024); ``batch_topk`` keeps k
per row on average over a batch, and after training those above a threshold (Bussmann et al. 2024); ``jumprelu`` learns
a threshold for each feature (Rajamanoharan et al. 2024); ``relu`` has a penalty on the sum of the codes.
"""

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from .._arrays.namespace import cast, dot, namespace, scalar, zeros, zeros_like
from .._arrays.sparse_codes import threshold_gradients
from .activations import ALL, Activation, Diagonal
from .sparse_codes import above, above_or_near, top_k, weighted_batch_top_k

_AVERAGE_WEIGHT = 0.01  # weight of the current batch in the running mean of thresholds
_BANDWIDTH = 0.2  # width of the kernel around the thresholds of jumprelu, relative to them
_LEAST_THRESHOLD = 0.1  # lower bound on initial thresholds


class TopK(Activation):
    """The k largest pre-activations of a sample, if they are positive; 0 elsewhere (Makhzani & Frey 2014, section 2.1).

    An ``activation`` of :class:`skae.AutoEncoder`, :class:`skae.DenoisingAE` and :class:`skae.ContractiveAE`, whose
    decoders, losses and depths it then has; codes are dense arrays. For thousands of features,
    :class:`skae.SparseAutoEncoder` is faster, has sparse codes and revives features that are never active.

    Parameters
    ----------
    k : int
        Number of units of a layer that stay active; all of them in a layer of fewer.

    Raises
    ------
    TypeError
        If k is no integer.
    ValueError
        If k is less than 1.

    References
    ----------
    Makhzani, A., Frey, B. k-Sparse autoencoders. ICLR 2014.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoder
    >>> from skae.autoencoders import TopK
    >>> X = load_digits().data
    >>> codes = AutoEncoder(64, activation=TopK(8), max_iter=5, random_state=0).fit_transform(X)
    >>> int((codes != 0).sum(axis=1).max())
    8
    """

    rectifies = can_be_captured = True

    def __init__(self, k: int):
        self.k = check_scalar(k, "k", Integral, min_val=1)

    def __repr__(self):
        return f"TopK({self.k})"

    def forward(self, a: Any, bias: Any, rows: slice = ALL, units: slice = ALL) -> None:
        """Apply the activation in place: a <- s(a + bias).

        Parameters
        ----------
        a : array of shape (n_samples, n_units)
            Pre-activations, which become the outputs.
        bias : array of shape (n_units,)
            Added to each row first.
        rows, units : slice
            Rows to work on; units are all of them.
        """
        part = a[rows, ...]
        self.select(part, bias).fill(part)

    def derivatives(self, outputs: Any, order: int = 1, memory: Any = None) -> Any:
        """Return the ``Derivatives`` at the outputs of some samples.

        Parameters
        ----------
        outputs : array of shape (n_samples, n_units)
            What :meth:`forward` has made.
        order : {1, 2}, default=1
            Second derivatives are 0.
        memory : Derivatives, default=None
            Not used.

        Returns
        -------
        derivatives : Derivatives
            1 where a unit is active, and 0 elsewhere.
        """
        return _where_active(outputs)

    def select(self, a: Any, bias: Any) -> Any:
        """Return the codes of the pre-activations ``a`` + ``bias``.

        Parameters
        ----------
        a : array of shape (n_samples, n_units)
            Pre-activations.
        bias : array of shape (n_units,)
            Added to each row.

        Returns
        -------
        codes : sparse codes
            The k largest of each row.
        """
        return top_k(a, bias, min(self.k, a.shape[1]))

    def select_screened(self, screening: Any, inputs: Any) -> Any:
        """Return the codes of ``inputs``, of which few pre-activations have to be computed.

        Parameters
        ----------
        screening : Screening
            Of the layer that has this activation.
        inputs : ndarray of shape (n_samples, n_inputs)
            Inputs of the layer.

        Returns
        -------
        codes : sparse codes or None
            The k largest pre-activations of each row; None if too many have to be computed.
        """
        return screening.top_k(inputs, min(self.k, len(screening.layer.weights)))


class Above(Activation):
    """Pre-activations above a limit for each unit; 0 elsewhere.

    Parameters
    ----------
    limits : ndarray of shape (n_units,)
    """

    rectifies, whole_row = True, False

    def __init__(self, limits):
        self.limits = limits

    def forward(self, a, bias, rows=ALL, units=ALL):
        """a <- s(a + bias), for some rows and units."""
        part = a[rows, units]
        part += bias[units]
        part[...] = namespace(a).where(part <= self.limits[units], zeros_like(part), part)

    def derivatives(self, outputs, order=1, memory=None):
        """Return derivatives of 1 where a unit is active, and 0 elsewhere."""
        return _where_active(outputs)

    def select(self, a, bias):
        """Return the codes of the pre-activations ``a`` + ``bias``."""
        return above(a, bias, self.limits)

    def select_screened(self, screening, inputs):
        """Return the codes of ``inputs``, or None if too many pre-activations have to be computed."""
        return screening.above(inputs, self.limits)


def _where_active(outputs):
    return Diagonal(cast(outputs != 0, outputs.dtype), zeros_like(outputs))


class UnitTraining(ABC):
    """How units of one ``activation`` are trained; subclasses override what differs from the defaults here.

    Parameters
    ----------
    n : int
        Number of units.
    k : int
        Number of active units of a sample, for those that need it.

    Attributes
    ----------
    n_thresholds : int
        Number of parameters besides weights and biases.
    """

    n_thresholds = 0

    def __init__(self, n, k):
        self.n, self.k = n, k

    @abstractmethod
    def activation(self, thresholds):
        """Return the activation of the fitted encoder."""

    @abstractmethod
    def training_codes(self, a, bias, thresholds, weights):
        """Return the codes of a batch of samples with ``weights``, and the pre-activations of their entries."""

    def initial_thresholds(self, alpha):
        """Return the initial thresholds, or one value for all."""
        return 0.0

    def penalty(self, codes, weights, alpha, gradient):
        """Return the penalty on codes of samples with ``weights``; add its gradient at the codes to ``gradient``."""
        return 0.0

    def update_thresholds(self, codes, pre_activations, gradient, weights, alpha, thresholds, grad):
        """Fill ``grad``, the gradient at the ``thresholds``, or set the thresholds."""
        grad[...] = 0


class TopKTraining(UnitTraining):
    """``'topk'``: training and fitted encoder have the same activation."""

    def activation(self, thresholds):
        """Return the activation of the fitted encoder."""
        return TopK(self.k)

    def training_codes(self, a, bias, thresholds, weights):
        """Return the codes of a batch, and the pre-activations of their entries."""
        codes = top_k(a, bias, self.k)
        return codes, codes.values


class BatchTopKTraining(UnitTraining):
    """``'batch_topk'``: the threshold is the running mean of the smallest code of a batch.

    k is a mean over the samples by their weights, so that a sample of weight 2 is as two samples.
    """

    n_thresholds = 1

    def activation(self, thresholds):
        """Return the activation of the fitted encoder."""
        return Above(zeros(self.n, thresholds) + thresholds)

    def training_codes(self, a, bias, thresholds, weights):
        """Return the codes of a batch, and the pre-activations of their entries."""
        codes = weighted_batch_top_k(a, bias, self.k * a.shape[0], weights)
        return codes, codes.values

    def update_thresholds(self, codes, pre_activations, gradient, weights, alpha, thresholds, grad):
        """Set the threshold."""
        grad[...] = 0
        codes.move_below_smallest(thresholds, _AVERAGE_WEIGHT)


class ReLUTraining(UnitTraining):
    """``'relu'``: the penalty is alpha times the sum of the codes."""

    def activation(self, thresholds):
        """Return the activation of the fitted encoder."""
        return Above(zeros(self.n, thresholds))

    def training_codes(self, a, bias, thresholds, weights):
        """Return the codes of a batch, and the pre-activations of their entries."""
        codes = self.activation(thresholds).select(a, bias)
        return codes, codes.values

    def penalty(self, codes, weights, alpha, gradient):
        """Return the penalty."""
        penalties = scalar(alpha, weights) * codes.spread(weights)
        gradient += penalties
        return dot(penalties, codes.values)


class JumpReLUTraining(UnitTraining):
    """``'jumprelu'``: the penalty is alpha times the number of active units; ``thresholds`` are logarithms."""

    def __init__(self, n, k):
        super().__init__(n, k)
        self.n_thresholds = n

    def initial_thresholds(self, alpha):
        """Return the logarithm of the threshold at which a feature lowers the error as much as its penalty: theta^2 / 2 = alpha."""
        return np.log(max(np.sqrt(2 * alpha), _LEAST_THRESHOLD))

    def activation(self, thresholds):
        """Return the activation of the fitted encoder."""
        return Above(namespace(thresholds).exp(thresholds))

    def training_codes(self, a, bias, thresholds, weights):
        """Return the codes of a batch, with entries of 0 where the kernel is not 0, and their pre-activations."""
        return above_or_near(a, bias, namespace(a).exp(thresholds), _BANDWIDTH / 2)

    def penalty(self, codes, weights, alpha, gradient):
        """Return the penalty."""
        return alpha * dot(codes.spread(weights), codes.active)

    def update_thresholds(self, codes, pre_activations, gradient, weights, alpha, thresholds, grad):
        """Fill ``grad``."""
        grad[...] = 0
        threshold_gradients(
            codes.columns,
            pre_activations,
            gradient,
            codes.spread(weights),
            namespace(thresholds).exp(thresholds),
            scalar(alpha, pre_activations),
            scalar(_BANDWIDTH, pre_activations),
            grad,
        )


SPARSE_TRAININGS = {
    "topk": TopKTraining,
    "batch_topk": BatchTopKTraining,
    "jumprelu": JumpReLUTraining,
    "relu": ReLUTraining,
}
