"""Corruptions of the encoder's input, each a function of (X, seed): noise depends on a row's content, not on its place.

A user's own corruption is any object with ``__call__(X, seed, out)`` that fills ``out``.
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

    ``groups``, a ``Constant`` or None, has for each column the one whose draws it shares.
    """
    row_keys, column_keys = keys(X, seed)
    column_keys = _grouped(column_keys, groups)

    def some(rows):
        fill(rows, row_keys[rows], column_keys)

    share(some, X.shape[0], X.shape[1] * ELEMENT)


def _grouped(column_keys, groups):
    """Return for each column the key of its group, a ``Constant`` or None."""
    if groups is None:
        return column_keys
    return namespace(column_keys).take(column_keys, groups.like(column_keys), axis=0)


def dropout_mask(X, seed, level, out):
    """Fill ``out`` with 0 in a share ``level`` of its cells, 1 / (1 - level) elsewhere.

    A row's cells are drawn by the content of the same row of ``X``: not of what is masked, so that the mask
    stays when the parameters move.
    """
    rows, columns = keys(X, seed, out.shape[1])
    numbers = scalar(0, out), scalar(1 / (1 - level), out)
    kernels.emphasize(rows, columns, _threshold(level), *numbers, out)


class Noise:
    """A corruption that works on arrays of any library, without a wait for the device; those of users need not."""


class _CellCorruption(Noise):
    """What the corruptions of a share of the cells have in common: the share, and which cells.

    Parameters
    ----------
    level : float
        The share.
    groups : ndarray of int of shape (n_columns,) or None
        For each column the one whose draws it shares: one-hot columns of a category are corrupted together.
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
    """Set a share ``level`` of the cells to 0 (Vincent et al. 2008)."""

    def __call__(self, X, seed, out):
        def fill(rows, *keys):
            kernels.mask(X[rows, ...], *keys, self._threshold, out[rows, ...])

        _by_rows(fill, X, seed, self.groups)


class InputDropout(Masking):
    """Mask, and divide the cells that are kept by ``1 - level``: the mean of each cell stays (Srivastava et al. 2014)."""

    def __call__(self, X, seed, out):
        super().__call__(X, seed, out)
        out *= scalar(1 / (1 - self.level), out)


class SaltAndPepper(_CellCorruption):
    """Set a share ``level`` of the cells to ``low`` or ``high`` by a fair coin (Vincent et al. 2010).

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
        low, high = self._limits_beside(X)

        def fill(rows, *keys):
            kernels.salt_and_pepper(X[rows, ...], *keys, self._threshold, low, high, out[rows, ...])

        _by_rows(fill, X, seed)

    def _limits_beside(self, X):
        """Return both limits of each column, in the dtype of ``X``."""
        name, shape = dtype_name(X), X.shape[1]
        if (name, shape) not in self._limits:
            limits = [np.full(shape, each, name) for each in (self.low, self.high)]
            self._limits[name, shape] = [Constant(each) for each in limits]
        return [each.like(X) for each in self._limits[name, shape]]


class Swap(_CellCorruption):
    """Replace a share ``level`` of the cells by the same column's value of another row of the batch."""

    def __call__(self, X, seed, out):
        def fill(rows, *keys):
            kernels.swap(X, rows.start, *keys, self._threshold, out[rows, ...])

        _by_rows(fill, X, seed, self.groups)


class Gaussian(Noise):
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
    "gaussian": Gaussian,
    "swap": Swap,
}


def make_corruption(corruption, level, groups=None, limits=None):
    """Return the corruption of a name, with its level, or a callable as it is.

    ``groups`` has for each column the one with which it is masked or swapped, and ``limits`` are the least and largest
    values of the columns, by default 0 and 1, which salt and pepper are.

    Raises
    ------
    ValueError
        If a share of cells is above 1.
    TypeError
        If a class is given in place of a callable.
    """
    if isinstance(corruption, type):
        raise TypeError(
            f"corruption={corruption!r} is a class: give an instance of it, called as f(X, seed, out)."
        )
    if not isinstance(corruption, str):
        return corruption
    if corruption != "gaussian" and level > 1:
        raise ValueError(
            f"corruption_level must be a share of cells in [0, 1] for corruption={corruption!r}; got {level}."
        )
    if corruption in ("masking", "swap"):
        return CORRUPTIONS[corruption](level, groups)
    if corruption == "salt_and_pepper" and limits is not None:
        return SaltAndPepper(level, *limits)
    return CORRUPTIONS[corruption](level)


def make_input_noise(corruption, level, groups=None, limits=None):
    """Return the corruption of a network's inputs that are clean in prediction, or None.

    As :func:`make_corruption`, but what masking keeps is scaled up, as in dropout.

    Raises
    ------
    ValueError
        If a share of cells is above 1, or nothing is kept.
    """
    if corruption != "masking":
        return None if corruption is None else make_corruption(corruption, level, groups, limits)
    if level >= 1:
        raise ValueError(
            f"corruption_level must be below 1 for corruption='masking', or nothing of X is left; got {level}."
        )
    return InputDropout(level, groups)
