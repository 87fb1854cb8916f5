"""White regions that are convex or not."""

from numbers import Integral

import numpy as np
from scipy.spatial import ConvexHull
from sklearn.utils import check_random_state, check_scalar

from .._typing import AnyArray, FloatArray, RandomState

_SIDE = 28
# Of the geometric distribution of the number of half-planes, and the least number of pixels, of a convex region
# and of a part of the others.
_REGION, _PART = (0.195, 19), (0.07, 10)
_FEWEST_PARTS, _MOST_PARTS = 2, 4
_BLOCK = 1000  # images that are drawn at once
_PIXELS = np.stack(np.mgrid[:_SIDE, :_SIDE], axis=-1).reshape(-1, 2).astype(float)
# Corners of a small square around each pixel, so that pixels on one line have a hull, too.
_CORNERS = 1e-3 * np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]])


def make_convex(
    n_samples: int = 58_000, *, random_state: RandomState = None
) -> tuple[FloatArray, AnyArray]:
    """Return 28 x 28 images of white regions; the task is to tell whether a region is convex.

    A convex region is where half-planes overlap, whose edges have a random position and direction. The other images
    are unions of two to four such regions that are not convex. Both classes have as many white pixels on average.

    The data are regenerated from the published recipe: compare ranks with published results, not values.

    Parameters
    ----------
    n_samples : int, default=58000
        Number of images. Published: 58,000, see :func:`published_split`.
    random_state : int, RandomState instance or None, default=None
        Random seed of the draws.

    Returns
    -------
    X : ndarray of shape (n_samples, 784)
        Pixels, 0 or 1, in float32.
    y : ndarray of shape (n_samples,)
        Labels: 1 for a convex region, 0 for another one.

    References
    ----------
    Larochelle, H. et al. An empirical evaluation of deep architectures on problems with many factors of variation.
    ICML 2007.

    Examples
    --------
    >>> from skae.datasets import make_convex
    >>> X, y = make_convex(100, random_state=0)
    >>> X.shape, y.shape
    ((100, 784), (100,))
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    rng = check_random_state(random_state)
    y = rng.randint(2, size=n_samples)
    X = np.empty((n_samples, _SIDE**2), np.float32)
    for label, draw in enumerate((_other_regions, _convex_regions)):
        rows = np.flatnonzero(y == label)
        for start in range(0, len(rows), _BLOCK):
            block = rows[start : start + _BLOCK]
            X[block] = draw(len(block), rng)
    return X, y


def _convex_regions(n, rng):
    """Return masks of ``n`` convex regions."""
    return _intersections(n, *_REGION, rng)


def _other_regions(n, rng):
    """Return masks of ``n`` unions of convex regions that are not convex."""
    found = np.zeros((0, _SIDE**2), bool)
    while len(found) < n:
        n_parts = rng.randint(_FEWEST_PARTS, _MOST_PARTS + 1, size=n)
        parts = _intersections(n_parts.sum(), *_PART, rng)
        unions = np.logical_or.reduceat(parts, np.cumsum(n_parts) - n_parts)
        found = np.concatenate([found, unions[[not _is_convex(mask) for mask in unions]]])
    return found[:n]


def _intersections(n, share, least, rng):
    """Return masks of ``n`` intersections of half-planes that have ``least`` pixels or more.

    The number of half-planes has the geometric distribution, from 0 on, of the parameter ``share``.
    """
    found = np.zeros((0, _SIDE**2), bool)
    while len(found) < n:
        n_planes = rng.geometric(share, size=n) - 1
        masks = np.ones((n, _SIDE**2), bool)
        for plane in range(n_planes.max()):
            cut = n_planes > plane
            masks[cut] &= _half_planes(cut.sum(), rng)
        found = np.concatenate([found, masks[masks.sum(axis=1) >= least]])
    return found[:n]


def _half_planes(n, rng):
    """Return masks of ``n`` half-planes whose edges go through a random point in a random direction."""
    angles = rng.uniform(0, 2 * np.pi, (n, 1))
    points = rng.uniform(-0.5, _SIDE - 0.5, (n, 2))
    down = np.cos(angles) * (np.arange(_SIDE) - points[:, :1])
    across = np.sin(angles) * (np.arange(_SIDE) - points[:, 1:])
    return (down[:, :, np.newaxis] >= -across[:, np.newaxis]).reshape(n, -1)


def _is_convex(mask):
    """Return whether the pixels in ``mask`` are all those within their convex hull."""
    image = mask.reshape(_SIDE, _SIDE)
    rows = np.flatnonzero(image.any(axis=1))
    # The hull of the ends of the rows is that of all pixels.
    ends = image[rows].argmax(axis=1), _SIDE - 1 - image[rows, ::-1].argmax(axis=1)
    points = np.stack([np.tile(rows, 2), np.concatenate(ends)], axis=1)
    corners = (points[:, np.newaxis] + _CORNERS).reshape(-1, 2)
    normals, offsets = np.split(ConvexHull(corners).equations, [2], axis=1)
    return np.sum((_PIXELS @ normals.T + offsets.T <= 0).all(axis=1)) == np.sum(mask)
