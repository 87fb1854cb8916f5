"""Group sparsity over overlapping windows of a torus of units (Kavukcuoglu et al. 2009)."""

import numpy as np

from .._estimators.unit_atoms import smoothing
from ._problems import Quadratic


def pooling(topology, pool_size):
    """Return the weights of the units in each pool, of shape (n_units, n_units).

    Each unit of the (rows, columns) torus is the center of a pool: a Gaussian with a standard deviation of
    ``pool_size / 3``, truncated to a width of ``pool_size`` units, whose weights sum to 1.
    """
    windows = []
    for length in topology:
        offset = np.arange(length)
        distance = np.minimum(offset, length - offset)
        window = np.exp(-0.5 * (3 * distance / pool_size) ** 2) * (distance <= pool_size // 2)
        windows.append(window[(offset[:, np.newaxis] - offset) % length])
    weights = np.kron(*windows)
    return weights / weights.sum(axis=1, keepdims=True)


class SmoothGroups(Quadratic):
    """min_h ||x - h D||^2 / 2 + alpha sum_P sqrt(sum_j w_Pj h_j^2) + ridge ||h - p||^2 / 2, p a prior.

    Groups overlap, so the proximal step has no closed form. Instead, each root is replaced by a parabola above it that
    touches it at the current codes. The roots are smoothed slightly, in units of alpha, so that a group of zeros has a
    gradient.
    """

    kind = "a topology"
    algorithms = ("majorization",)

    def __init__(self, dictionary, alpha, weights, *, ridge=0.0):
        super().__init__(dictionary, alpha, ridge=ridge)
        self._weights = weights.astype(dictionary.dtype)
        self._smoothing = smoothing(alpha, dictionary.dtype)

    def _roots(self, codes):
        return np.sqrt(codes**2 @ self._weights.T + self._smoothing**2)

    def size(self, codes):
        """Return the sum of the roots for each row of codes."""
        return self._roots(codes).sum(axis=1)

    def parabolas(self, codes):
        """Return the second derivatives, by each code, of the parabolas that touch the roots at ``codes``."""
        return (1 / self._roots(codes)) @ self._weights
