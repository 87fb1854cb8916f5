"""Orientations of filters, for the examples in this folder that print how much those of neighbors differ."""

import numpy as np


def orientations(filters, side):
    """Return the angle of each filter's edges, from the structure tensor, doubled onto the circle."""
    down, across = np.gradient(filters.reshape(-1, side, side), axis=(1, 2))
    real, imaginary = (across**2 - down**2).sum(axis=(1, 2)), (2 * across * down).sum(axis=(1, 2))
    return np.arctan2(imaginary, real)


def difference(a, b):
    """Return the mean angle between edges in degrees (45 by chance)."""
    return np.degrees(np.abs(np.angle(np.exp(1j * (a - b)))).mean() / 2)


def differences(angles):
    """Return the mean angle between neighbors down and across, in a map of filters, and between random pairs."""
    neighbors = np.mean([difference(angles, np.roll(angles, 1, axis)) for axis in (0, 1)])
    shuffled = np.random.default_rng(0).permutation(angles.ravel())
    return neighbors, difference(angles.ravel(), shuffled)
