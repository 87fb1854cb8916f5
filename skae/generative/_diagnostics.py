"""Diagnostics of Markov chains: effective sample size and R-hat."""

from typing import NamedTuple

import numpy as np
import scipy.fft

from .._typing import FloatArray

MIN_DRAWS = 4  # draws of a chain: each half needs two
_BLOCK = 1000  # components of a state whose autocovariances are in memory at once


class ChainDiagnostics(NamedTuple):
    """Effective sample size and R-hat of each quantity that chains have drawn.

    Parameters
    ----------
    effective_sample_size : ndarray
        Number of independent draws that would estimate the mean equally well; 0 if there are too few draws to estimate
        it.
    r_hat : ndarray
        Ratio of the standard deviation over all chains to that within one, near 1 if they have mixed; infinite if there
        are too few draws.
    """

    effective_sample_size: FloatArray
    r_hat: FloatArray


def diagnose(draws):
    """Return the :class:`ChainDiagnostics` of ``draws``, (n_steps, n_chains, ...) (Gelman et al. 2013, 11.4 and 11.5).

    Each chain is split in two, so that the halves of a chain that still drifts differ.
    """
    shape = draws.shape[2:]
    if len(draws) < MIN_DRAWS:
        return ChainDiagnostics(np.zeros(shape), np.full(shape, np.inf))
    draws = draws.reshape(*draws.shape[:2], -1)
    half = len(draws) // 2
    parts = []
    for start in range(0, draws.shape[2], _BLOCK):
        some = draws[:, :, start : start + _BLOCK].astype(np.float64)
        parts.append(_diagnose(np.concatenate([some[:half], some[-half:]], axis=1)))
    sizes, r_hats = (np.concatenate(each).reshape(shape) for each in zip(*parts))
    return ChainDiagnostics(sizes, r_hats)


def _diagnose(draws):
    """Return both for ``draws`` of shape (n_steps, n_chains, n_numbers).

    They are 1 and infinite for a quantity that is constant in each chain but differs between chains. One that is the
    same in all chains counts as known.
    """
    n_steps, n_chains, _ = draws.shape
    means = draws.mean(axis=0)
    centered = draws - means
    within = np.square(centered).sum(axis=0).mean(axis=0) / (n_steps - 1)
    total = (n_steps - 1) / n_steps * within + means.var(axis=0, ddof=1)
    known, moved = total == 0, within > 0
    safe_within, safe_total = np.where(moved, within, 1), np.where(known, 1, total)
    r_hats = np.where(moved, np.sqrt(total / safe_within), np.where(known, 1, np.inf))
    unexplained = within - _autocovariances(centered).mean(axis=1) * n_steps / (n_steps - 1)
    correlations = np.where(moved, 1 - unexplained / safe_total, 1)
    n_draws = n_steps * n_chains
    return np.where(known, n_draws, n_draws / _correlation_time(correlations)), r_hats


def _autocovariances(centered):
    """Return autocovariances at lags 0 to n_steps - 1, over n_steps, of shape (n_steps, n_chains, n_numbers)."""
    n_steps = len(centered)
    size = scipy.fft.next_fast_len(2 * n_steps, real=True)
    spectrum = scipy.fft.rfft(centered, size, axis=0)
    return scipy.fft.irfft(np.abs(spectrum) ** 2, size, axis=0)[:n_steps] / n_steps


def _correlation_time(correlations):
    """Return one plus twice the sum of the autocorrelations, up to the lag from which they are noise.

    In a reversible chain, the sums of adjacent pairs are positive and decreasing; where they are not, they are noise
    (Geyer 1992).
    """
    even = len(correlations) // 2 * 2
    pairs = correlations[:even:2] + correlations[1:even:2]
    pairs[0] += 1 - correlations[0]  # at lag 0 it is 1
    pairs = np.minimum.accumulate(np.maximum(pairs, 0), axis=0)
    # Draws that alternate around the mean are better than independent ones, but the gain is capped.
    return np.maximum(2 * pairs.sum(axis=0) - 1, 0.3)
