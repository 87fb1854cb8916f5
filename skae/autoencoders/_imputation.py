"""Missing values from reconstructions, whose slopes are measured on known values that are hidden for it."""

import numpy as np

_SHARE = 0.1  # of the cells that are hidden
_CELLS, _ROWS = 2**16, 1000  # of X in which they are, at most
_FEWEST_ROWS = 30
_DRAWS = 3
_PRIOR = 20  # cells that the slope of all columns counts for in that of one
_MOST_PASSES = 5
_GAIN = 0.01  # of the error that a further pass must take off


class Imputation:
    """How the missing values of scaled rows are filled in: passes of reconstruction, each with slopes.

    A network that has learned to copy what it sees gives too little where it sees nothing, and, fed with what it gave,
    too much. What is filled in is therefore ``mean + slope * (r - mean)``, with the slopes of the regression of known
    values on their reconstructions where they are hidden.

    Parameters
    ----------
    means : ndarray of shape (n_inputs,)
        Means of the inputs.
    slopes : ndarray of shape (n_passes, n_inputs)
        1 for inputs that are no gaussian ones.
    """

    def __init__(self, means, slopes):
        self.means, self.slopes = means, slopes

    def fill(self, reconstruct, z):
        """Return a copy of the rows ``z`` without missing values.

        Parameters
        ----------
        reconstruct : callable
            From rows of z to those of r.
        z : ndarray of shape (n_samples, n_inputs)
            NaN where a value is missing.
        """
        missing = np.isnan(z)
        filled = np.where(missing, z.dtype.type(0), z)
        for slopes in self.slopes:
            filled = np.where(missing, self._guessed(reconstruct(filled), slopes), z)
        return filled

    def _guessed(self, r, slopes):
        return self.means + slopes * (r - self.means)


def plain_imputation(means):
    """Return the ``Imputation`` of one pass, with slopes of 1."""
    return Imputation(means, np.ones((1, len(means)), means.dtype))


def some_rows(X):
    """Return evenly spaced rows of X on which to learn an imputation, dense."""
    n_rows = min(_ROWS, max(_FEWEST_ROWS, _CELLS // X.shape[1]))
    x = X[:: -(-X.shape[0] // n_rows)]
    return x.toarray() if hasattr(x, "toarray") else x


def learned_imputation(reconstruct, z, means, gaussian, groups):
    """Return the ``Imputation`` that suits hidden cells of the rows ``z``: passes are added as long as they help.

    Parameters
    ----------
    reconstruct : callable
    z : ndarray of shape (n_samples, n_inputs)
        Rows of the training data, scaled, NaN where a value is missing.
    means : ndarray of shape (n_inputs,)
    gaussian : ndarray of bool of shape (n_inputs,)
    groups : ndarray of int of shape (n_inputs,) or None
        Inputs with the same number are hidden together.
    """
    z = np.tile(z, (_DRAWS, 1))
    draws = np.random.default_rng(0).random(z.shape, np.float32)
    draws = draws if groups is None else draws[:, groups]
    known = ~np.isnan(z)
    asked = known & (draws < _SHARE) & gaussian
    given = np.where(draws < _SHARE, z.dtype.type(np.nan), z)
    if not asked.any():
        return plain_imputation(means)
    missing, before = np.isnan(given), np.inf
    filled, found = np.where(missing, z.dtype.type(0), given), Imputation(means, [])
    for _ in range(_MOST_PASSES):
        r = reconstruct(filled)
        slopes = _slopes(np.where(asked, z - means, 0), np.where(asked, r - means, 0), gaussian)
        guessed = found._guessed(r, slopes)
        error = np.square(guessed[asked] - z[asked], dtype=float).mean()
        if not error < (1 - _GAIN) * before:
            break
        found.slopes.append(slopes)
        filled, before = np.where(missing, guessed, given), error
    return Imputation(means, np.array(found.slopes)) if found.slopes else plain_imputation(means)


def _slopes(true, guessed, gaussian):
    """Return for each column the slope of ``true`` on ``guessed``, both without their means, drawn to that of all."""
    products, squares = (true * guessed).sum(axis=0), np.square(guessed).sum(axis=0)
    n_cells = np.maximum((guessed != 0).sum(axis=0), 1)
    if not squares.sum() > 0:
        return np.ones_like(products)
    prior = _PRIOR * np.where(squares > 0, squares / n_cells, 1)
    shared = products.sum() / squares.sum()
    return np.where(gaussian, (products + prior * shared) / (squares + prior), 1).astype(true.dtype)
