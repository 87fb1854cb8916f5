"""Image patches for backgrounds."""

import numpy as np
from scipy.sparse import issparse

_LEAST_DEVIATION = 0.1  # of a textured patch; the paper only says that others were left out
_MOST_ROUNDS = 100


def textured_patches(images, side, n_samples, rng):
    """Return random square patches whose pixels vary.

    Parameters
    ----------
    images : sequence of ndarray of shape (height, width)
        Gray images in [0, 1].
    side : int
    n_samples : int
    rng : RandomState

    Returns
    -------
    patches : ndarray of shape (n_samples, side, side)
        Patches in float32.

    Raises
    ------
    ValueError
        If an image is too small or out of range, or if the images have hardly any texture.
    """
    if issparse(images) or not (hasattr(images, "__len__") and len(images)):
        raise ValueError(f"images must be a list of at least one gray image; got {images!r}.")
    for image in images:
        _check_numbers(image)
    images = [np.asarray(image, dtype=np.float32) for image in images]
    for image in images:
        _check(image, side)
    patches = np.empty((n_samples, side, side), np.float32)
    missing = np.arange(n_samples)
    for _ in range(_MOST_ROUNDS):
        if not len(missing):
            return patches
        patches[missing] = [_patch(images[rng.randint(len(images))], side, rng) for _ in missing]
        missing = missing[patches[missing].std(axis=(1, 2)) < _LEAST_DEVIATION]
    if len(missing):
        raise ValueError(
            f"images have too few patches with a standard deviation of {_LEAST_DEVIATION} or more; "
            "give images with more contrast."
        )
    return patches


def _patch(image, side, rng):
    top, left = (rng.randint(size - side + 1) for size in image.shape)
    return image[top : top + side, left : left + side]


def _check_numbers(image):
    if np.ma.is_masked(image):
        raise ValueError("images have masked values: leave such images out, or fill them.")
    dtype = np.asarray(image).dtype
    if dtype.kind not in "fiubO":
        raise ValueError(f"images must be arrays of real numbers; got the dtype {dtype}.")


def _check(image, side):
    if image.ndim != 2 or min(image.shape) < side:
        raise ValueError(
            f"images must be two-dimensional and {side} x {side} or larger; got shape {image.shape}."
        )
    if not (image.min() >= 0 and image.max() <= 1):
        raise ValueError("images must have values in [0, 1]; divide 8-bit images by 255.")
