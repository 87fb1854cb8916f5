"""Corruptions of the encoder's input, each a function of (X, seed): noise depends on a row's content, not on its index.

A user's own corruption is any object with ``__call__(X, seed, out)`` that fills ``out``, see ``user_parts.py``.
"""

import numpy as np

from .._arrays import corruption as kernels
from .._arrays.namespace import Constant, dtype_name, namespace, scalar
from .._threads import ELEMENT, share
from .noise import keys


def _threshold(level):
    return np.uint64(round(level * 2**32))


def _by_rows(fill, X, seed, groups=None):
    """Call ``fill(rows, row_keys, column_keys)`` for parts of the rows of ``X``, shared among threads.

    ``groups``, a ``Constant`` or None, maps each column to the one whose draws it shares.
    """
    row_keys, column_keys = keys(X, seed)
    column_keys = _grouped(column_keys, groups)

    def work(rows):
        fill(rows, row_keys[rows], column_keys)

    share(work, X.shape[0], X.shape[1] * ELEMENT)


def _grouped(column_keys, groups):
    """Return the key of each column's group; ``groups`` is a ``Constant`` or None."""
    if groups is None:
        return column_keys
    return namespace(column_keys).take(column_keys, groups.like(column_keys), axis=0)


def dropout_mask(X, seed, level, out):
    """Fill ``out`` with 0 in a fraction ``level`` of its cells, 1 / (1 - level) elsewhere.

    The draws of a row depend on the same row of ``X``, not on what is masked, so the mask stays the same when the
    parameters change.
    """
    rows, columns = keys(X, seed, out.shape[1])
    numbers = scalar(0, out), scalar(1 / (1 - level), out)
    kernels.emphasize(rows, columns, _threshold(level), *numbers, out)


class Noise:
    """A corruption that works on arrays of any library, without waiting for the device; users' own need not."""


class _CellCorruption(Noise):
    """Base class of the corruptions of a fraction of the cells.

    Parameters
    ----------
    level : float
        Fraction of the cells.
    groups : ndarray of int of shape (n_columns,) or None
        Index of the column whose draws each column shares: one-hot columns of a category are corrupted together.
    """

    def __init__(self, level, groups=None):
        self.level, self.groups = level, None if groups is None else Constant(groups)

    @property
    def _threshold(self):
        return _threshold(self.level)

    def emphasize(self, X, seed, corrupted, clean, out):
        """Fill ``out`` with the loss weight of each cell: ``corrupted`` where ``seed`` corrupts it."""
        rows, columns = keys(X, seed)
        columns = _grouped(columns, self.groups)
        numbers = scalar(corrupted, out), scalar(clean, out)
        kernels.emphasize(rows, columns, self._threshold, *numbers, out)


class Masking(_CellCorruption):
    """Set a fraction ``level`` of the cells to 0 (Vincent et al. 2008)."""

    def __call__(self, X, seed, out):
        def fill(rows, *keys):
            kernels.mask(X[rows, ...], *keys, self._threshold, out[rows, ...])

        _by_rows(fill, X, seed, self.groups)


class InputDropout(Masking):
    """Mask, and divide the kept cells by ``1 - level``, which preserves the means (Srivastava et al. 2014)."""

    def __call__(self, X, seed, out):
        super().__call__(X, seed, out)
        out *= scalar(1 / (1 - self.level), out)


class SaltAndPepper(_CellCorruption):
    """Set a fraction ``level`` of the cells to ``low`` or ``high`` by a fair coin (Vincent et al. 2010).

    Parameters
    ----------
    level : float
    low, high : float or ndarray of shape (n_columns,)
    """

    def __init__(self, level, low=0.0, high=1.0):
        super().__init__(level)
        self.low, self.high = low, high
        self._limits = {}

    def __call__(self, X, seed, out):
        low, high = self._limits_like(X)

        def fill(rows, *keys):
            kernels.salt_and_pepper(X[rows, ...], *keys, self._threshold, low, high, out[rows, ...])

        _by_rows(fill, X, seed)

    def _limits_like(self, X):
        """Return both limits of each column, in the dtype of ``X``."""
        name, shape = dtype_name(X), X.shape[1]
        if (name, shape) not in self._limits:
            limits = [np.full(shape, each, name) for each in (self.low, self.high)]
            self._limits[name, shape] = [Constant(each) for each in limits]
        return [each.like(X) for each in self._limits[name, shape]]


class Swap(_CellCorruption):
    """Replace a fraction ``level`` of the cells by the value of the same column in another row of the batch."""

    def __call__(self, X, seed, out):
        def fill(rows, *keys):
            kernels.swap(X, rows.start, *keys, self._threshold, out[rows, ...])

        _by_rows(fill, X, seed, self.groups)


class GaussianNoise(Noise):
    """Add normal noise of standard deviation ``level`` to every cell."""

    def __init__(self, level):
        self.level = level

    def __call__(self, X, seed, out):
        level = scalar(self.level, X)

        def fill(rows, *keys):
            kernels.add_normal(X[rows, ...], *keys, level, out[rows, ...])

        _by_rows(fill, X, seed)


CORRUPTIONS = {
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
    "gaussian": GaussianNoise,
    "swap": Swap,
}


def make_corruption(corruption, level, groups=None, limits=None):
    """Return the corruption with this name and level, or a callable unchanged.

    ``groups`` maps each column to the one with which it is masked or swapped. ``limits`` are the minima and maxima of
    the columns, the values of salt and pepper, by default 0 and 1.

    Raises
    ------
    ValueError
        If a fraction of cells is above 1.
    TypeError
        If a class is given instead of a callable.
    """
    if isinstance(corruption, type):
        raise TypeError(
            f"corruption={corruption!r} is a class: give an instance of it, called as f(X, seed, out)."
        )
    if not isinstance(corruption, str):
        return corruption
    if corruption != "gaussian" and level > 1:
        raise ValueError(
            f"corruption_level must be a fraction of cells in [0, 1] for corruption={corruption!r}; got {level}."
        )
    if corruption in ("masking", "swap"):
        return CORRUPTIONS[corruption](level, groups)
    if corruption == "salt_and_pepper" and limits is not None:
        return SaltAndPepper(level, *limits)
    return CORRUPTIONS[corruption](level)


def make_input_noise(corruption, level, groups=None, limits=None):
    """Return the corruption of a network's inputs, which are clean in prediction, or None.

    Like :func:`make_corruption`, but masking scales up the cells that it keeps, as in dropout.

    Raises
    ------
    ValueError
        If a fraction of cells is above 1, or nothing is kept.
    """
    if corruption != "masking":
        return None if corruption is None else make_corruption(corruption, level, groups, limits)
    if level >= 1:
        raise ValueError(
            f"corruption_level must be below 1 for corruption='masking', or nothing of X is left; got {level}."
        )
    return InputDropout(level, groups)
