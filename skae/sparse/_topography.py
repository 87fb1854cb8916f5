"""Group sparsity over overlapping windows of a torus of units (Kavukcuoglu et al. 2009)."""

import numpy as np

_SMOOTHING = 1e-4  # under each root, so that a group of zeros has a gradient


def pooling(topology, pool_size):
    """Return the weights of the units in each pool, of shape (n_units, n_units).

    There is a pool around each unit of the (rows, columns) torus, a Gaussian of a third of ``pool_size`` cut at
    ``pool_size`` units across, with weights that sum to 1.
    """
    windows = []
    for length in topology:
        offset = np.arange(length)
        distance = np.minimum(offset, length - offset)
        window = np.exp(-0.5 * (3 * distance / pool_size) ** 2) * (distance <= pool_size // 2)
        windows.append(window[(offset[:, np.newaxis] - offset) % length])
    weights = np.kron(*windows)
    return weights / weights.sum(axis=1, keepdims=True)


class SmoothGroups:
    """min_h ||x - h D||^2 / 2 + alpha sum_P sqrt(sum_j w_Pj h_j^2) + ridge ||h - p||^2 / 2, p a prior.

    Groups overlap, so that their proximal step has no closed form. Each root is bounded by a parabola that
    touches it, and the quadratic term by a diagonal one: each step is a division, and the objective never rises
    (majorization; de Leeuw 1977).
    """

    def __init__(self, dictionary, alpha, weights, *, ridge=0.0):
        self.dictionary, self.alpha, self.ridge = dictionary, alpha, ridge
        self.weights = weights.astype(dictionary.dtype)
        self.gram = dictionary @ dictionary.T
        self.gram.flat[:: len(self.gram) + 1] += ridge
        self._bound = self.gram.dtype.type(np.linalg.norm(self.gram, 2))

    def penalty(self, codes):
        """Return the sum of the groups' sizes for each row of codes."""
        return np.sqrt(codes**2 @ self.weights.T + _SMOOTHING**2).sum(axis=1)

    def codes(self, X, init, prior, *, tol, max_iter):
        """Return codes at which a step moves less than ``tol`` of their size."""
        correlations = X @ self.dictionary.T
        if prior is not None:
            correlations += self.ridge * prior
        codes = init.copy()
        for _ in range(max_iter):
            sizes = np.sqrt(codes**2 @ self.weights.T + codes.dtype.type(_SMOOTHING**2))
            curvature = self.alpha * (1 / sizes) @ self.weights
            drive = self._bound * codes + correlations - codes @ self.gram
            new = drive / (self._bound + curvature)
            change = np.linalg.norm(new - codes)
            codes = new
            if change <= tol * np.linalg.norm(codes):
                break
        return codes
