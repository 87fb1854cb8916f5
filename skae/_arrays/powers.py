"""Powers of two near given values, division by which is exact, for squares that would overflow otherwise."""

import numpy as np


def power_of_two(values):
    """Return the largest power of two not above each of the positive ``values``; division by it is exact."""
    return np.ldexp(1.0, np.frexp(values)[1] - 1)


def root_mean_square(values):
    """Return the root of the mean of the squares of ``values`` >= 0, not all 0, whose squares may overflow."""
    largest = power_of_two(values.max())
    return largest * np.sqrt(np.mean((values / largest) ** 2))
