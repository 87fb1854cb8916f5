"""A least-squares classifier with a Gaussian kernel, for data whose kernel matrix just fits into memory."""

import numpy as np
from linear import ROWS, blocks
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.blas import ssyrk
from sklearn.utils import gen_batches


class KernelClassifier:
    """Least squares with the kernel ``exp(-width |x - z|^2 / v)``, v the mean squared norm, on standardized columns.

    Solves ``(K + penalty I) coefficients = targets - mean`` with targets of -1 and 1. scikit-learn's ``KernelRidge``
    does the same, with three times as much memory: of n rows the kernel alone has 4 n^2 bytes.

    Parameters
    ----------
    widths, penalties : sequence of float
        From which the pair is chosen that predicts held-out rows best.
    n_validation : int
        Last rows, held out for the choice. The classifier is then fitted to all rows.
    n_choice : int, default=20_000
        How many of the first rows are fitted for the choice.
    """

    def __init__(self, widths, penalties, n_validation, n_choice=20_000):
        self.widths, self.penalties = widths, penalties
        self.n_validation, self.n_choice = n_validation, n_choice

    def fit(self, X, y):
        """Choose and fit.

        Parameters
        ----------
        X : ndarray of float32, of shape (n_samples, n_features)
            Is standardized in place, and kept.
        y : ndarray of int
        """
        self.mean_ = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        variance = sum(np.sum((rows - self.mean_) ** 2, axis=0) for rows in blocks(X)) / len(X)
        # So that the mean squared norm is 1.
        self.scale_ = np.sqrt(variance * X.shape[1]) + np.float32(1e-6)
        self.X_ = self._standardize(X)
        targets = np.where(y[:, np.newaxis] == np.arange(y.max() + 1), 1, -1).astype(np.float32)
        self.offset_ = targets.mean(axis=0)
        targets -= self.offset_
        width, penalty = self._choose(targets, y)
        self.chosen_ = {"width": width, "penalty": penalty}
        self.coefficients_ = _solved(_kernel(_products(X), width), targets, penalty)
        return self

    def score(self, X, y):
        """Return the accuracy on other rows, which are standardized in place."""
        hits = 0
        for rows, labels in zip(blocks(self._standardize(X)), blocks(y)):
            kernel = _kernel_between(rows, self.X_, self.chosen_["width"])
            found = (kernel @ self.coefficients_ + self.offset_).argmax(axis=1)
            hits += int(np.sum(found == labels))
        return hits / len(y)

    def _standardize(self, X):
        for rows in blocks(X):
            rows -= self.mean_
            rows /= self.scale_
        return X

    def _choose(self, targets, y):
        """Return the width and the penalty that predict held-out rows best, and leave all in ``validation_``."""
        known, held_out = slice(0, self.n_choice), slice(len(y) - self.n_validation, None)
        X, X_held_out = self.X_[known], self.X_[held_out]
        products, self.validation_ = _products(X), {}
        for width in self.widths:
            kernel = _kernel(products.copy(order="F"), width)
            between = _kernel_between(X_held_out, X, width)
            for penalty in self.penalties:
                coefficients = _solved(kernel.copy(order="F"), targets[known], penalty)
                found = (between @ coefficients + self.offset_).argmax(axis=1)
                self.validation_[width, penalty] = float(np.mean(found == y[held_out]))
        return max(self.validation_, key=self.validation_.get)


def _products(X):
    """Return the upper triangle of XX'."""
    return ssyrk(1.0, X.T, trans=1)


def _kernel(products, width):
    """Turn the upper triangle of XX' into that of the kernel, in place."""
    norms = products.diagonal().copy()
    for columns in gen_batches(len(norms), ROWS):
        # Columns are contiguous; what is below the diagonal is not looked at.
        block = products[: columns.stop, columns]
        block *= np.float32(2)
        block -= norms[: columns.stop, np.newaxis]
        block -= norms[columns]
        block *= np.float32(width)
        np.exp(block, out=block)
    return products


def _kernel_between(rows, X, width):
    """Return the kernel of ``rows`` with those of ``X``."""
    distances = np.sum(rows**2, axis=1)[:, np.newaxis] + np.einsum("ij,ij->i", X, X)
    distances -= 2 * (rows @ X.T)
    return np.exp(np.float32(-width) * distances)


def _solved(kernel, targets, penalty):
    """Return (K + penalty I)^-1 targets; ``kernel`` is overwritten."""
    kernel[np.diag_indices_from(kernel)] += np.float32(penalty)
    factor = cho_factor(kernel, lower=False, overwrite_a=True, check_finite=False)
    return cho_solve(factor, targets, check_finite=False)
