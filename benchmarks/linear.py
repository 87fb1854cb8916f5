"""A linear classifier for many rows of many columns: least squares, or squared hinges that start from it."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.linalg.blas import ssyrk

ROWS = 5000


class LinearClassifier:
    """One linear function a class, on standardized columns, with the penalty that predicts held-out rows best.

    Minimizes ``mean(loss) + penalty |w|^2``. Least squares need one product of all rows, and a Cholesky factorization a
    penalty; squared hinges (the L2-SVM of Coates et al.) then some steps of conjugate gradients for which that factor
    is the preconditioner.

    Parameters
    ----------
    penalties : sequence of float
        From the smallest on, until the accuracy on held-out rows falls.
    n_validation : int
        Last rows, held out for the choice. The classifier is then fitted to all rows.
    n_steps : int, default=5
        Steps with squared hinges; 0 is least squares.
    """

    def __init__(self, penalties, n_validation, n_steps=5):
        self.penalties, self.n_validation, self.n_steps = penalties, n_validation, n_steps

    def fit(self, X, y):
        """Choose the penalty and fit.

        Parameters
        ----------
        X : ndarray of float32, of shape (n_samples, n_features)
            Is standardized in place.
        y : ndarray of int
        """
        self.mean_ = X.mean(axis=0, dtype=np.float64).astype(np.float32)
        self.scale_ = np.zeros_like(self.mean_)
        for block in blocks(X):
            block -= self.mean_
            self.scale_ += np.einsum("ij,ij->j", block, block) / np.float32(len(X))
        self.scale_ = np.sqrt(self.scale_) + np.float32(1e-6)
        for block in blocks(X):
            block /= self.scale_
        targets = np.where(y[:, np.newaxis] == np.arange(y.max() + 1), 1, -1).astype(np.float32)
        split = len(X) - self.n_validation
        known, held_out = slice(0, split), slice(split, None)
        gram = _gram(X[known])
        self.validation_ = {}
        for penalty in self.penalties:
            weights, offset = self._solved(gram, X[known], targets[known], penalty)
            scores = X[held_out] @ weights + offset
            accuracy = float(np.mean(scores.argmax(axis=1) == y[held_out]))
            self.validation_[penalty] = accuracy
            if accuracy < max(self.validation_.values()):
                break
        penalty = max(self.validation_, key=self.validation_.get)
        self.chosen_ = {"penalty": penalty}
        gram += _gram(X[held_out])
        self.weights_, self.offset_ = self._solved(gram, X, targets, penalty)
        return self

    def score(self, X, y):
        """Return the accuracy on other rows, which are standardized in place."""
        X -= self.mean_
        X /= self.scale_
        return float(np.mean((X @ self.weights_ + self.offset_).argmax(axis=1) == y))

    def _solved(self, gram, X, targets, penalty):
        """Return weights and offsets. Columns have mean 0, nearly so in a part of the rows."""
        n = np.float32(len(X))
        matrix = gram / n
        matrix.flat[:: len(matrix) + 1] += np.float32(penalty)
        factor = cho_factor(matrix, lower=False, overwrite_a=True, check_finite=False)
        offset = targets.mean(axis=0)
        weights = cho_solve(factor, _products(X, targets - offset) / n, check_finite=False)
        return _squared_hinge(X, targets, penalty, weights, offset, factor, self.n_steps)


def blocks(X):
    """Return views of some rows at a time, in order."""
    return (X[start : start + ROWS] for start in range(0, len(X), ROWS))


def _gram(X):
    """Return the upper triangle of X'X."""
    total = np.zeros((X.shape[1],) * 2, np.float32, order="F")
    for block in blocks(X):
        ssyrk(1.0, block.T, beta=1.0, c=total, overwrite_c=True)
    return total


def _products(X, targets):
    return sum(x.T @ t for x, t in zip(blocks(X), blocks(targets)))


def _squared_hinge(X, targets, penalty, weights, offset, factor, n_steps):
    """Return weights after conjugate gradients (Polak & Ribiere) on squared hinges, all classes at once."""
    n, direction, before = np.float32(len(X)), None, None
    scores = X @ weights + offset
    for _ in range(n_steps):
        slack = np.maximum(1 - targets * scores, 0) * targets
        gradient = penalty * weights - _products(X, slack) / n
        step, step_offset = cho_solve(factor, gradient, check_finite=False), -slack.mean(axis=0)
        if before is None:
            direction, direction_offset = -step, -step_offset
        else:
            gain = np.sum((gradient - before[0]) * step) + np.sum(
                (step_offset - before[1]) * step_offset
            )
            beta = max(gain / before[2], 0)
            direction, direction_offset = (
                beta * direction - step,
                beta * direction_offset - step_offset,
            )
        before = gradient, step_offset, np.sum(gradient * step) + np.sum(step_offset**2)
        change = X @ direction + direction_offset
        length = _line_search(targets, scores, change, penalty, weights, direction)
        weights, offset = weights + length * direction, offset + length * direction_offset
        scores += length * change
    return weights, offset


def _line_search(targets, scores, change, penalty, weights, direction):
    """Return the best step, by Newton's method on a piecewise quadratic function."""
    length, n = np.float32(0), np.float32(len(targets))
    for _ in range(8):
        slack = np.maximum(1 - targets * (scores + length * change), 0)
        slope = -np.sum(slack * targets * change) / n
        slope += penalty * np.sum(direction * (weights + length * direction))
        curvature = np.sum((slack > 0) * change**2) / n + penalty * np.sum(direction**2)
        length -= np.float32(slope / curvature)
    return length
