"""Corruptions of the encoder's input, each a function of (X, seed): the same seed draws the same noise.

A user's own corruption is any object with ``__call__(X, seed, out)`` that fills ``out``.
"""

import numpy as np

from .._kernels import corruption as kernels


class _CellCorruption:
    """What the corruptions of a share of the cells have in common: the share, and which cells."""

    def __init__(self, level):
        self.level = level

    @property
    def _threshold(self):
        return np.uint64(round(self.level * 2**32))

    def emphasize(self, seed, corrupted, clean, out):
        """Fill ``out`` with the loss weight of each cell: ``corrupted`` where ``seed`` corrupts it."""
        number = out.dtype.type
        kernels.emphasize(seed, self._threshold, number(corrupted), number(clean), out)


class Masking(_CellCorruption):
    """Set a share ``level`` of the cells to 0 (Vincent et al. 2008)."""

    def __call__(self, X, seed, out):
        kernels.mask(X, seed, self._threshold, out)


class SaltAndPepper(_CellCorruption):
    """Set a share ``level`` of the cells to ``low`` or ``high`` by a fair coin (Vincent et al. 2010)."""

    def __init__(self, level, low=0.0, high=1.0):
        super().__init__(level)
        self.low, self.high = low, high

    def __call__(self, X, seed, out):
        number = X.dtype.type
        kernels.salt_and_pepper(X, seed, self._threshold, number(self.low), number(self.high), out)


class Swap(_CellCorruption):
    """Replace a share ``level`` of the cells by the same column's value of another row of the batch."""

    def __call__(self, X, seed, out):
        kernels.swap(X, seed, self._threshold, out)


class Gaussian:
    """Add normal noise of standard deviation ``level`` to every cell."""

    def __init__(self, level):
        self.level = level

    def __call__(self, X, seed, out):
        np.random.default_rng(int(seed)).standard_normal(dtype=out.dtype, out=out)
        out *= out.dtype.type(self.level)
        out += X


CORRUPTIONS = {
    "masking": Masking,
    "salt_and_pepper": SaltAndPepper,
    "gaussian": Gaussian,
    "swap": Swap,
}
