"""Variations of digits: rotated, or in front of noise or images."""

from collections.abc import Sequence
from math import isqrt
from numbers import Integral
from typing import Literal

import numpy as np
from scipy.ndimage import map_coordinates
from sklearn.utils import check_array, check_random_state, check_scalar, gen_batches, shuffle

from .._typing import AnyArray, ArrayLike, FloatArray, RandomState
from ._patches import textured_patches

_BLOCK = 1000  # images rotated at once
VARIATIONS = ("basic", "rot", "bg-rand", "bg-img", "bg-img-rot")


def make_digits(
    X: ArrayLike,
    y: ArrayLike,
    variation: Literal["basic", "rot", "bg-rand", "bg-img", "bg-img-rot"] = "basic",
    *,
    images: ArrayLike | Sequence[ArrayLike] | None = None,
    n_samples: int = 62_000,
    random_state: RandomState = None,
) -> tuple[FloatArray, AnyArray]:
    """Return digits in random order, varied as by Larochelle et al.

    The data are regenerated from the published recipe: compare ranks with published results, not values. Combining
    digit and background by their maximum, and the choice of background images, are decisions of ours.

    Parameters
    ----------
    X : array-like of shape (n_images, n_features)
        Square gray images with pixels in [0, 1], such as those of :func:`fetch_mnist`.
    y : array-like of shape (n_images,)
        Classes.
    variation : {'basic', 'rot', 'bg-rand', 'bg-img', 'bg-img-rot'}, default='basic'
        Variation of the digits. ``'rot'`` rotates each image by an angle uniform in [0, 2 pi). The background is noise
        uniform in 0, 1/255, ... 1 with ``'bg-rand'``, and a random patch of ``images`` with ``'bg-img'``;
        ``'bg-img-rot'`` also rotates the digit first.
    images : sequence of array-like of shape (height, width), default=None
        Gray images with values in [0, 1], for the backgrounds.
    n_samples : int, default=62000
        Number of images to return, at most all of them. Published: 62,000, see :func:`published_split`.
    random_state : int, RandomState instance or None, default=None
        Random seed of order and draws. Equal seeds choose the same digits in all variations.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Pixels in [0, 1], in float32.
    y : ndarray of shape (n_samples,)
        Classes.

    References
    ----------
    Larochelle, H. et al. An empirical evaluation of deep architectures on problems with many factors of variation.
    ICML 2007.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.datasets import make_digits
    >>> digits = load_digits()
    >>> X, y = make_digits(digits.data / 16, digits.target, "rot", n_samples=500, random_state=0)
    >>> X.shape, y.shape
    ((500, 64), (500,))
    """
    if not (isinstance(variation, str) and variation in VARIATIONS):
        raise ValueError(f"variation must be one of {VARIATIONS}; got {variation!r}.")
    if variation.startswith("bg-img") and images is None:
        raise ValueError(f"variation={variation!r} needs images: gray ones for the backgrounds.")
    if np.ma.is_masked(X) or np.ma.is_masked(y):
        raise ValueError("X and y must not have masked values: leave such rows out, or fill them.")
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(f"y must be the classes of the images in X, a vector; got {y!r}.")
    check_scalar(n_samples, "n_samples", Integral, min_val=1)
    rng = check_random_state(random_state)
    X = check_array(X, dtype=np.float32, input_name="X")
    side = isqrt(X.shape[1])
    if side**2 != X.shape[1] or X.min() < 0 or X.max() > 1:
        raise ValueError("X must have rows of square images with values in [0, 1].")
    X, y = shuffle(X, y, n_samples=min(n_samples, len(X)), random_state=rng)
    if variation.endswith("rot"):
        X = rotated(X, rng.uniform(0, 2 * np.pi, len(X)))
    if variation == "bg-rand":
        np.maximum(X, rng.randint(256, size=X.shape, dtype=np.uint8) / np.float32(255), out=X)
    elif variation.startswith("bg-img"):
        np.maximum(X, textured_patches(images, side, len(X), rng).reshape(X.shape), out=X)
    return X, y


def rotated(X, angles):
    """Return square images turned about their centers, by bilinear interpolation.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    angles : ndarray of shape (n_samples,)
        Angles in radians, counterclockwise for rows that go down.
    """
    side = isqrt(X.shape[1])
    down, right = np.mgrid[:side, :side].reshape(2, 1, -1) - (side - 1) / 2
    out = np.empty_like(X)
    for rows in gen_batches(len(X), _BLOCK):
        cos, sin = np.cos(angles[rows, np.newaxis]), np.sin(angles[rows, np.newaxis])
        source = np.stack([cos * down + sin * right, cos * right - sin * down]) + (side - 1) / 2
        number = np.broadcast_to(np.arange(len(cos))[:, np.newaxis], source.shape[1:])
        stack = X[rows].reshape(-1, side, side)
        map_coordinates(stack, [number, *source], output=out[rows], order=1)
    return out
