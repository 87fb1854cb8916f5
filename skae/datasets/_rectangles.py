"""Tall or wide rectangles, as outlines or filled with images."""

from collections.abc import Sequence
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state, check_scalar

from .._typing import AnyArray, ArrayLike, FloatArray, RandomState
from ._patches import textured_patches

_SIDE = 28


def make_rectangles(
    n_samples: int = 51_200,
    *,
    images: ArrayLike | Sequence[ArrayLike] | None = None,
    random_state: RandomState = None,
) -> tuple[FloatArray, AnyArray]:
    """Return 28 x 28 images of rectangles; the task is to tell whether they are tall or wide.

    Height and width are uniform among the allowed pairs, and so is the position. The sides of outlines (``rect``)
    differ by 3 pixels or more. With ``images`` (``rect-img``), a patch of one image fills the rectangle and a patch of
    another one the background; the sides are 10 pixels or longer and differ by 5 or more, and the rectangle covers
    between 25% and 75% of the area.

    The data are regenerated from the published recipe: compare ranks with published results, not values.

    Parameters
    ----------
    n_samples : int, default=51200
        Number of images. Published: 51,200 outlines, or 62,000 with ``images``, see :func:`published_split`.
    images : sequence of array-like of shape (height, width), default=None
        Gray images with values in [0, 1].
    random_state : int, RandomState instance or None, default=None
        Random seed of the draws.

    Returns
    -------
    X : ndarray of shape (n_samples, 784)
        Pixels in [0, 1], in float32.
    y : ndarray of shape (n_samples,)
        Labels: 1 for a tall rectangle, 0 for a wide one.

    References
    ----------
    Larochelle, H. et al. An empirical evaluation of deep architectures on problems with many factors of variation.
    ICML 2007.

    Examples
    --------
    >>> from skae.datasets import make_rectangles
    >>> X, y = make_rectangles(100, random_state=0)
    >>> X.shape, y.shape
    ((100, 784), (100,))
    """
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    rng = check_random_state(random_state)
    sizes = _sizes(with_images=images is not None)
    sizes = sizes[rng.randint(len(sizes), size=n_samples)]
    inside, outline = _masks(sizes, rng)
    if images is None:
        X = outline.astype(np.float32)
    else:
        front, back = (textured_patches(images, _SIDE, n_samples, rng) for _ in range(2))
        X = np.where(inside, front, back)
    return X.reshape(n_samples, -1), (sizes[:, 0] > sizes[:, 1]).astype(np.int64)


def _sizes(with_images):
    """Return the allowed pairs of height and width, of shape (n_pairs, 2)."""
    pairs = np.stack(np.mgrid[1 : _SIDE + 1, 1 : _SIDE + 1], axis=-1).reshape(-1, 2)
    difference = np.abs(pairs[:, 0] - pairs[:, 1])
    if not with_images:
        return pairs[difference >= 3]
    covered = pairs.prod(axis=1) / _SIDE**2
    good = (difference >= 5) & (pairs.min(axis=1) >= 10) & (covered >= 0.25) & (covered <= 0.75)
    return pairs[good]


def _masks(sizes, rng):
    """Return masks of the rectangles and of their outlines."""
    first = rng.randint(_SIDE + 1 - sizes)[..., np.newaxis]
    last = first + sizes[..., np.newaxis] - 1
    pixels = np.arange(_SIDE)
    rows, columns = np.moveaxis((first <= pixels) & (pixels <= last), 1, 0)
    top, side = np.moveaxis((pixels == first) | (pixels == last), 1, 0)
    inside = rows[:, :, np.newaxis] & columns[:, np.newaxis, :]
    return inside, inside & (top[:, :, np.newaxis] | side[:, np.newaxis, :])
