"""From images to rows and back: patches, contrast, denoising."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.sparse import issparse
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.utils import check_random_state, check_scalar, gen_batches

from .._arrays.underflow import ignoring_underflow
from .._estimators.fitting import DTYPES
from .._estimators.reading import numpy_array
from .._kernels.patches import add_patches
from .._typing import ArrayLike, FloatArray, RandomState
from .._warnings import warn
from ._validation import (
    check_finite_pixels,
    check_fitted_to_patches,
    checked_patch_size,
    is_channels_first,
    pair,
    smoothed,
)

_BLOCK_VALUES = 2**21  # maximum number of values of the patches that are denoised at once


@ignoring_underflow
def normalize_contrast(image: ArrayLike, sigma: float = 4.0, floor: float = 0.01) -> FloatArray:
    """Return ``image`` minus its local mean, divided by its local standard deviation.

    Parameters
    ----------
    image : array-like of shape (height, width)
        A gray image.
    sigma : float, default=4.0
        Standard deviation of the Gaussian neighborhood, in pixels.
    floor : float, default=0.01
        Minimum divisor, on the scale of ``image``, so that flat regions stay flat.

    Returns
    -------
    normalized : ndarray of shape (height, width)
        The image with even contrast.

    Raises
    ------
    ValueError
        If ``image`` is not finite or not two-dimensional, or if ``sigma`` or ``floor`` is not positive.

    References
    ----------
    Jarrett, K. et al. What is the best multi-stage architecture for object recognition? ICCV 2009, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.images import normalize_contrast
    >>> texture = np.random.default_rng(0).standard_normal((64, 64))
    >>> dim, bright = normalize_contrast(np.hstack([texture, 20 * texture]))[:, [16, 112]].std(axis=0)
    >>> bool(0.8 < dim / bright < 1.25)
    True
    """
    image = numpy_array(image, "image", dtype=DTYPES, ensure_all_finite=False)
    check_finite_pixels(image, "image")
    if not all(isinstance(value, Real) and value > 0 for value in (sigma, floor)):
        raise ValueError(f"sigma and floor must be positive; got {sigma!r} and {floor!r}.")
    centered = image - smoothed(image, sigma)
    unit = np.abs(centered).max() or image.dtype.type(1)
    deviation = unit * np.sqrt(smoothed((centered / unit) ** 2, sigma))
    # A smaller floor would be 0 in float32.
    return centered / np.maximum(deviation, max(floor, np.finfo(image.dtype).tiny))


@ignoring_underflow
def sample_patches(
    images: ArrayLike | Sequence[ArrayLike],
    patch_size: int | tuple[int, int],
    n_patches: int,
    *,
    center: bool = True,
    random_state: RandomState = None,
) -> FloatArray:
    """Return random patches of images as rows, equally many from each image.

    Parameters
    ----------
    images : sequence of array-like of shape (height, width) or (height, width, channels)
        Images, all gray or all with as many channels.
    patch_size : int or (int, int)
        Height and width of a patch, or both if they are equal.
    n_patches : int
        Number of patches.
    center : bool, default=True
        Whether to subtract the mean of each patch.
    random_state : int, RandomState instance or None, default=None
        Random seed of the positions and of the order.

    Returns
    -------
    X : ndarray of shape (n_patches, height * width) or (n_patches, height * width * channels)
        Patches in random order, in the dtype of the images if they are not centered.

    Raises
    ------
    ValueError
        If an image is not finite, is smaller than a patch, or has too few positions for its part of the patches, or if
        the numbers of channels differ.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from skae.images import sample_patches
    >>> images = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    >>> sample_patches(images, (8, 8), 1000, random_state=0).shape
    (1000, 64)
    """
    rng = check_random_state(random_state)
    check_scalar(n_patches, "n_patches", Integral, min_val=1)
    patch_size = pair(patch_size, "patch_size")
    is_list = hasattr(images, "__len__") and hasattr(images, "__iter__") and not issparse(images)
    if not is_list or not len(images) or any(np.ndim(image) < 2 for image in images):
        raise ValueError("images must be a list of at least one image: [image] for a single one.")
    images = [_checked_image(image, f"images[{k}]", patch_size) for k, image in enumerate(images)]
    other = next((image for image in images if image.shape[2:] != images[0].shape[2:]), None)
    if other is not None:
        raise ValueError(
            "images must all be gray, or all have the same number of channels; got images of the shapes "
            f"{images[0].shape} and {other.shape}."
        )
    n_each = -(-n_patches // len(images))
    parts = [
        extract_patches_2d(image, patch_size, max_patches=n_each, random_state=rng)
        for image in images
    ]
    if min(map(len, parts)) < n_each:
        raise ValueError(
            f"n_patches={n_patches} takes {n_each} patches of each image, and one has fewer of {patch_size}: lower n_patches."
        )
    X = np.concatenate(parts).reshape(sum(map(len, parts)), -1)
    X = X[rng.permutation(len(X))[:n_patches]]
    return X - X.mean(axis=1, keepdims=True) if center else X


def _checked_image(image, name, patch_size):
    """Return ``image`` as an array; raise unless it has two or three axes and a place for a patch."""
    image = numpy_array(
        image, name, dtype="numeric", allow_nd=True, ensure_2d=False, ensure_all_finite=False
    )
    check_finite_pixels(image, name)
    if image.ndim > 3:
        raise ValueError(
            f"{name} must be of shape (height, width) or (height, width, channels); got {image.shape}."
        )
    checked_patch_size(patch_size, image.shape, name)
    if image.ndim == 3 and is_channels_first(image.shape):
        warn(
            f"{name} has the shape {image.shape}, which is that of an image with channels first: if it is one, give "
            f"{name}.transpose(1, 2, 0)."
        )
    return image


@ignoring_underflow
def denoise(image: ArrayLike, coder: Any, patch_size: int | tuple[int, int]) -> FloatArray:
    """Return ``image`` with each patch replaced by its sparse reconstruction, averaged where patches overlap.

    Parameters
    ----------
    image : array-like of shape (height, width)
        A gray image, or a signal as an image of one row; without NaN.
    coder : fitted estimator
        Estimator whose ``reconstruct`` takes patches without their means, for instance a ``SparseCoder``.
    patch_size : int or (int, int)
        Height and width of the patches that ``coder`` was fitted to, or both if they are equal.

    Returns
    -------
    clean : ndarray of shape (height, width)
        Denoised image.

    Raises
    ------
    ValueError
        If ``image`` is not finite or not two-dimensional, or if ``coder`` was fitted to patches of another size.

    References
    ----------
    Elad, M. & Aharon, M. Image denoising via sparse and redundant representations over learned dictionaries.
    IEEE Transactions on Image Processing 15 (2006).

    Examples
    --------
    >>> import numpy as np
    >>> from skae import SparseCoder
    >>> from skae.images import denoise, sample_patches
    >>> clean = np.outer(np.sin(np.arange(60) / 3), np.cos(np.arange(60) / 4))
    >>> noisy = clean + 0.3 * np.random.default_rng(0).standard_normal(clean.shape)
    >>> patches = sample_patches([noisy], (6, 6), 2000, random_state=0)
    >>> coder = SparseCoder(30, alpha=0.6, random_state=0).fit(patches)
    >>> bool(np.std(denoise(noisy, coder, (6, 6)) - clean) < 0.5 * np.std(noisy - clean))
    True
    """
    image = numpy_array(
        image, "image", dtype=DTYPES, allow_nd=True, ensure_2d=False, ensure_all_finite=False
    )
    if image.ndim != 2:
        raise ValueError(
            f"image must be a gray image of shape (height, width); got {image.shape}. Give a signal as [signal], and each "
            "channel of a color image alone."
        )
    check_finite_pixels(image, "image")
    patch_size = checked_patch_size(patch_size, image.shape, "image")
    if isinstance(coder, type) or not hasattr(coder, "reconstruct"):
        raise TypeError(f"coder must be a fitted estimator with reconstruct; got {coder!r}.")
    windows = sliding_window_view(image, patch_size)
    n_values, total = patch_size[0] * patch_size[1], np.zeros(image.shape)
    check_fitted_to_patches("coder", coder, n_values)
    for rows in gen_batches(len(windows), max(_BLOCK_VALUES // windows[0].size, 1)):
        X = windows[rows].reshape(-1, n_values)
        means = X.mean(axis=1, keepdims=True)
        clean = np.asarray(coder.reconstruct(X - means) + means, total.dtype)
        # The part of the image that these patches cover.
        part = total[np.newaxis, rows.start : rows.stop + patch_size[0] - 1, :, np.newaxis]
        add_patches(np.ascontiguousarray(clean), *patch_size, part)
    counts = [_n_windows(*each) for each in zip(image.shape, patch_size)]
    return total / np.outer(*counts)


def _n_windows(n, size):
    """Return in how many windows of ``size`` each of ``n`` pixels is."""
    places = np.arange(n)
    return np.minimum(np.minimum(places + 1, n - places), min(size, n - size + 1))
