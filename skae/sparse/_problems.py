"""Problems that codes solve: a quadratic term that all share, and the penalty or limit of each."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar

import numpy as np

from .._arrays.namespace import (
    empty,
    is_numpy,
    largest_eigenvalue,
    namespace,
    precision_of,
    row_products,
    to_numpy,
    zeros,
)
from .._arrays.shrinkage import gap_rows, shrink_rows
from .._kernels.gap import RowStatistics


class Quadratic(ABC):
    """Base of problems: ||x - h D||^2 / 2 + ridge ||h - p||^2 / 2 for each row x, with prior p.

    Problems that ``fista`` solves have three more methods: ``shrink``, the proximal step of the penalty, ``start``, the
    arrays that it keeps between steps, and ``gaps``, bounds on the distance from the optimum.

    Parameters
    ----------
    dictionary : ndarray of shape (n_atoms, n_features)
    alpha : float
        Weight of the penalty; 0 is replaced by a small fraction of the largest correlation of each row.
    ridge : float
        Weight of the squared distance from the prior; without a prior, from 0 (elastic net).
    positive : bool
        Whether codes must not be negative.
    """

    kind: ClassVar[str]  # its name in error messages
    algorithms: ClassVar[tuple]  # names of the algorithms that find the codes, the best first
    has_gaps: ClassVar[bool] = False  # whether bounds on the distance from the optimum are known

    def __init__(self, dictionary, alpha, *, ridge=0.0, positive=False):
        self.dictionary = dictionary
        self.alpha, self.ridge, self.positive = alpha, ridge, positive

    @abstractmethod
    def size(self, codes):
        """Return the unweighted penalty of each row of codes."""

    def values(self, errors, codes):
        """Return the objective of each row of codes without a prior; ``errors`` are x - h D."""
        values = 0.5 * row_products(errors, errors) + self.alpha * self.size(codes)
        return values + 0.5 * self.ridge * row_products(codes, codes)

    @cached_property
    def gram(self):
        """D D' plus the ridge: ndarray of shape (n_atoms, n_atoms)."""
        gram = self.dictionary @ self.dictionary.T
        if is_numpy(gram):
            gram.flat[:: len(gram) + 1] += self.ridge
            return gram
        xp, n_atoms = namespace(gram), gram.shape[0]
        return gram + self.ridge * xp.eye(n_atoms, dtype=gram.dtype, device=gram.device)

    @cached_property
    def curvature(self):
        """The largest eigenvalue of ``gram``: float."""
        tiny = float(namespace(self.gram).finfo(self.gram.dtype).smallest_normal)
        return max(largest_eigenvalue(self.gram), tiny)

    def statistics(self, X, prior=None):
        """Return the ``RowStatistics`` of ``X``."""
        correlations = X @ self.dictionary.T
        squared_norms = row_products(X, X, np.float64)
        if prior is not None:
            correlations += self.ridge * prior
            squared_norms += self.ridge * row_products(prior, prior, np.float64)
        alphas = zeros(X.shape[0], X) + self.alpha
        if not self.alpha:
            xp = namespace(X)
            alphas = 10 * precision_of(X) * xp.max(xp.abs(correlations), axis=1)
        return RowStatistics(correlations, squared_norms, alphas)

    def gaps_without_penalty(self, rows, codes):
        """Return the distance of codes from the optimum with alpha=0, infinite where it is unknown, as a numpy array.

        With the gradient -r = Gh - c, it is r'G^+ r / 2; for positive codes that is a bound, if r is 0 where it points
        to negative codes. Parts of r beyond the range of G are rounding, or the bound does not hold.
        """
        codes, correlations = to_numpy(codes), to_numpy(rows.correlations)
        rounding = 100 * np.finfo(codes.dtype).eps * np.abs(correlations).max(axis=1)
        values, vectors = self._eigen
        h = codes.astype(np.float64)
        gradient = correlations - (h @ vectors * values) @ vectors.T
        if self.positive:
            gradient = np.where(h > 0, gradient, np.maximum(gradient, 0))
        parts, kept = gradient @ vectors, values > 1e-12 * values[-1]
        gaps = 0.5 * np.sum(parts[:, kept] ** 2 / values[kept], axis=1)
        outside = np.abs(parts[:, ~kept]).max(axis=1, initial=0)
        return np.where(outside <= rounding, gaps, np.inf)

    @cached_property
    def _eigen(self):
        """Eigenvalues and eigenvectors of ``gram``, in float64."""
        atoms = to_numpy(self.dictionary).astype(np.float64)
        values, vectors = np.linalg.eigh(atoms @ atoms.T)
        return np.maximum(values, 0) + self.ridge, vectors


class Lasso(Quadratic):
    """min_h ||x - h D||^2 / 2 + alpha ||h||_1 + ridge ||h - p||^2 / 2 for each row x, with prior p."""

    kind = "the lasso"
    algorithms = ("homotopy", "cd", "fista", "ista")
    has_gaps = True

    @cached_property
    def in_float64(self):
        """Lasso: the same problem in float64."""
        options = {"ridge": self.ridge, "positive": self.positive}
        return Lasso(self.dictionary.astype(np.float64), self.alpha, **options)

    def size(self, codes):
        """Return ||h||_1 of each row of codes."""
        xp = namespace(codes)
        return xp.sum(xp.abs(codes), axis=1)

    def start(self, n_rows):
        """Return the initial memory of ``shrink``, which has none."""
        return empty((n_rows, 0), self.dictionary)

    def shrink(self, points, alphas, step, precision, memory, out):
        """out <- the proximal step of the penalty at ``points``."""
        shrink_rows(points, alphas, step, self.positive, out)

    def gaps(self, rows, residual_corr, codes, duals):
        """Return upper bounds on the distance of ``rows``, their ``RowStatistics``, from the optimum; it has no ``duals``."""
        correlations, squared_norms, alphas = rows
        gaps = empty(codes.shape[0], squared_norms)
        gap_rows(alphas, self.positive, squared_norms, correlations, residual_corr, codes, gaps)
        return gaps


class Pursuit(Quadratic):
    """min_h ||x - h D||^2 / 2 over codes of at most ``n_nonzero`` atoms, for each row x."""

    kind = "a limit of atoms"
    algorithms = ("omp",)

    def __init__(self, dictionary, n_nonzero):
        super().__init__(dictionary, 0.0)
        self.n_nonzero = min(n_nonzero, len(dictionary))

    def size(self, codes):
        """Return 0 for each row of codes, which are limited, not penalized."""
        return np.zeros(len(codes), codes.dtype)
