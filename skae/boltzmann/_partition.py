"""Logarithm of the normalizer of an RBM: exact for few hidden units, else by annealed importance sampling."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp
from sklearn.utils import gen_batches

from .._estimators.fitting import check_counts, generator
from .._threads import product, team
from ..nn.activations import ACTIVATIONS
from ..nn.boltzmann import draw

_MAX_ENUMERATED = 20  # hidden units whose states are enumerated
_BLOCK = 4096


class RBMParts(NamedTuple):
    """The RBM of a machine, which may be deep: its parameters, its visible units, and their biases in a chain's start."""

    params: Any
    units: Any
    base_bias: np.ndarray


class LogPartition(NamedTuple):
    """An estimate of log Z.

    Parameters
    ----------
    value : float
        The estimate.
    low, high : float
        Estimates three standard errors of Z below and above it; both equal ``value`` if it is exact.
    """

    value: float
    low: float
    high: float


def log_partition(rbm, n_runs, n_temperatures, random_state):
    """Return log Z of ``RBMParts``, exactly if there are few hidden units.

    Parameters of estimates are checked in any case.
    """
    check_counts(n_runs=n_runs, n_temperatures=n_temperatures)
    if n_runs < 2:
        raise ValueError(f"n_runs must be at least 2, for an error bar; got {n_runs!r}.")
    rng = generator(random_state)
    if len(rbm.params.encoder_biases[0]) <= _MAX_ENUMERATED:
        return exact_log_partition(rbm)
    with np.errstate(over="ignore", invalid="ignore"):
        estimate = annealed_log_partition(rbm, n_runs, n_temperatures, rng)
    if not np.isfinite(estimate.value):
        raise ValueError(
            "log Z is beyond the range of numbers: the weights are too large. Train with a lower learning_rate_init, or "
            "with weight_decay."
        )
    return estimate


def normalized(score, log_partition):
    """Return the mean log-likelihood from the mean unnormalized one; the bounds of log Z swap."""
    value, low, high = log_partition
    return LogPartition(score - value, score - high, score - low)


def exact_log_partition(rbm):
    """Return log Z by a sum over all states of the hidden units."""
    params = rbm.params
    weights, bias = params.encoder_weights[0], params.encoder_biases[0]
    n_hidden = len(weights)
    terms = []
    for states in gen_batches(2**n_hidden, _BLOCK):
        numbers = np.arange(states.start, states.stop)[:, np.newaxis]
        hidden = (numbers >> np.arange(n_hidden) & 1).astype(np.float64)
        logits = hidden @ weights + params.decoder_biases[0]
        terms.append(logsumexp(hidden @ bias + rbm.units.log_normalizer(logits)))
    value = float(logsumexp(terms))
    return LogPartition(value, value, value)


def annealed_log_partition(rbm, n_runs, n_temperatures, rng):
    """Return log Z by annealed importance sampling (Neal 2001; Salakhutdinov & Murray 2008, section 4.1).

    The path leads from independent visible units with logits ``base_bias`` to the machine. At the inverse temperature
    b, from 0 to 1, the weights and the biases of the hidden units are multiplied by b, and the biases of the visible
    units are ``(1 - b) base_bias + b c``.
    """
    params, units, base_bias = rbm
    weights, bias = params.encoder_weights[0], params.encoder_biases[0]
    no_bias = np.zeros_like(bias)
    shift = params.decoder_biases[0] - base_bias
    start = units.log_normalizer(base_bias[np.newaxis])[0] + len(bias) * np.log(2)
    log_weights = np.zeros(n_runs)
    inverse_temperatures = np.linspace(0, 1, n_temperatures + 1)
    with team():
        visible = units.draws(base_bias, n_runs, rng)
        for old, new in pairwise(inverse_temperatures):
            pre_activations = product(visible, weights.T) + bias
            log_weights += (new - old) * (visible @ shift)
            log_weights += _softplus_sums(new * pre_activations) - _softplus_sums(
                old * pre_activations
            )
            pre_activations *= pre_activations.dtype.type(new)
            ACTIVATIONS["sigmoid"].forward(pre_activations, no_bias)
            draw(pre_activations, rng, pre_activations)
            product(pre_activations, weights * weights.dtype.type(new), visible)
            visible += base_bias + shift.dtype.type(new) * shift
            units.sample(visible, rng)
    return _log_mean(log_weights, start)


def _softplus_sums(pre_activations):
    return np.logaddexp(0, pre_activations).sum(axis=1, dtype=np.float64)


def _log_mean(log_weights, start):
    """Return the logarithms of the mean weight, and of three standard errors below and above it."""
    top = log_weights.max()
    ratios = np.exp(log_weights - top)
    mean, error = ratios.mean(), 3 * ratios.std(ddof=1) / np.sqrt(len(ratios))
    with np.errstate(divide="ignore"):
        low, value, high = np.log([max(mean - error, 0), mean, mean + error]) + top + start
    return LogPartition(float(value), float(low), float(high))
