"""Validation of images, and patches drawn from them."""

import os
from contextlib import suppress
from numbers import Integral

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import validate_data

from .._estimators.columns import LARGEST_WHOLE
from .._estimators.devices import check_library
from .._estimators.fitting import counted_rows, gathered, validated_frame
from .._estimators.reading import dtype_of_frame, named_array, refuse_masked_rows
from .._estimators.unit_atoms import unit_rows
from .._warnings import warn

_DTYPES = [np.dtype(kind) for kind in "dfe?bBhHiIlLqQ"]  # kept; all others become the first one
_FAR_BEYOND = 50  # the largest pixel where it is 255, if images are not all dark
_MAX_PIXEL = {np.dtype(t): 1e-6 * np.sqrt(np.finfo(t).max) for t in (np.float32, np.float64)}


def validated_images(estimator, X, image_shape, seen=None, *, warns=True):
    """Return X as a view of shape (n, height, width, channels), and what is known of the scale of its pixels.

    Parameters
    ----------
    estimator : estimator
        Estimator that stores number and names of features.
    X : array-like
        Images, with or without channels, or rows.
    image_shape : tuple of int or None
        Shape of an image. If None, rows are square gray images or, if they cannot be, images of one pixel in height.
    seen : dict or None
        What ``fit`` has found of the scale of pixels; None if ``fit`` is the caller.
    warns : bool, default=True
        Whether to warn of pixels far beyond those of ``fit``, or far below.

    Raises
    ------
    ValueError
        If X is not finite, images are not of ``image_shape``, or pixels have another scale than in ``fit``.
    """
    images = _read_images(estimator, X, image_shape, reset=seen is None)
    return images, _seen_pixels(images, seen, warns=warns)


def counted_images(estimator, X, sample_weight, image_shape, seen=None):
    """Return the images of positive weight, their weights or None, and the scale of their pixels.

    See :func:`validated_images`.
    """
    images = _read_images(estimator, X, image_shape, reset=seen is None)
    images, weights, _ = counted_rows(images, sample_weight, dtype_of(images))
    return images, weights, _seen_pixels(images, seen)


def _read_images(estimator, X, image_shape, reset):
    """Return X as a view of shape (n, height, width, channels), without a look at the scale of its pixels."""
    shape = None if image_shape is None else _checked_shape(image_shape)
    check_library(estimator, X)
    X = _one_array(gathered(estimator, X, keep_dtype=True))
    if hasattr(X, "columns") or X.ndim <= 2:
        if shape is not None and shape[0] > 1 and X.shape == shape[:2]:
            raise ValueError(
                f"X has the shape {X.shape} of one image: give X[np.newaxis], or the pixels of each image as a row."
            )
        dtypes = _dtypes_of(X)
        X = validated_frame(estimator, X, dtype=dtypes, accept_sparse=False, reset=reset)
        shape = shape or _shape_of_row(X.shape[1])
        if np.prod(shape) != X.shape[1]:
            raise ValueError(
                f"X has {X.shape[1]} features; image_shape={shape} needs {np.prod(shape)}."
            )
        return X.reshape(len(X), *shape)
    X = named_array(X, "X", allow_nd=True, dtype="numeric", ensure_all_finite=False)
    if X.ndim > 4 or 0 in X.shape:
        raise ValueError(
            f"X must be (n, height, width) or (n, height, width, channels); got shape {X.shape}."
        )
    check_finite_pixels(X, "X")
    given = (*X.shape[1:], 1)[:3]
    if shape is not None and given != shape:
        cure = " Give a single image as X[np.newaxis]." if X.shape == shape else ""
        if given == (shape[2], *shape[:2]):
            cure = " Channels come last: give X.transpose(0, 2, 3, 1)."
        raise ValueError(f"X has images of height, width and channels {given}, not {shape}.{cure}")
    if shape is None and is_channels_first(given):
        raise ValueError(
            f"X has the shape {X.shape}, which is that of images with channels first: give X.transpose(0, 2, 3, 1). If images "
            f"have {given[0]} rows and {given[2]} channels, set image_shape={given}."
        )
    rows = validate_data(estimator, X.reshape(len(X), -1), reset=reset, skip_check_array=True)
    return rows.reshape(len(X), *given)


def is_channels_first(shape):
    """Return whether (height, width, channels) is rather (channels, height, width): of gray or color images."""
    first, *others = shape
    colors = first == 3 or (
        first in (1, 4) and others[0] == others[1]
    )  # signals are one pixel high
    return colors and min(others) > 4


def _one_array(X):
    """Return a frame as it is, else one array; raise if images in a list or object array form none, or are files."""
    if hasattr(X, "columns"):
        return X
    if isinstance(_first(X), (str, bytes, os.PathLike)):
        raise ValueError(
            "X must be the pixels of images, not names of their files: read these first, with Pillow for instance by "
            "np.stack([np.asarray(Image.open(file).convert('RGB')) for file in files])."
        )
    refuse_masked_rows(X, "X")
    try:
        X = X if hasattr(X, "ndim") else np.asarray(X)
        if isinstance(X, np.ndarray) and not X.dtype.isnative:
            X = X.astype(X.dtype.newbyteorder("="))  # scikit-learn makes float64 of all such rows
        apart = X.ndim == 1 and len(X) > 0 and np.ndim(next(iter(X))) > 0
    except ValueError:
        apart = True
    if apart:
        raise ValueError(
            "X must be one array of images, all of the same height, width and channels: crop, pad or resize them first, and "
            "join them by np.stack(images)."
        )
    return X


def _first(X):
    """Return the first of the values of X if it has one axis, else None."""
    one_axis = isinstance(X, (list, tuple)) or getattr(X, "ndim", 2) == 1
    return next(iter(X), None) if one_axis else None


def _dtypes_of(X):
    """Return the dtypes that pixels keep; scikit-learn does not look for that of nullable columns."""
    if hasattr(X, "dtype"):
        return _DTYPES
    with suppress(ValueError):  # of no numbers, which are refused where X is read
        own = dtype_of_frame(X)
        return [own] if own in _DTYPES else _DTYPES
    return _DTYPES


def check_finite_pixels(images, name):
    """Raise if a pixel is NaN or infinite; if the sum is finite, none is."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = images.dtype.kind in "biu" or np.isfinite(images.sum())
    if not (finite or np.isfinite(images).all()):
        raise ValueError(
            f"{name} contains NaN or infinity: fill in such pixels first, for instance by np.nan_to_num."
        )


def _seen_pixels(X, before, *, warns=False):
    """Return what the pixels of X, and those ``before``, say about their scale: those of 8 bits are divided by 255.

    It is a dict: whether pixels are of 8 bits (``eight_bit``), the ``largest`` one, whether some were whole numbers
    (``whole``), and whether there were pixels of 8 bits beside others (``both``). With ``warns``, warn if X and those
    before are far apart.

    Raises
    ------
    ValueError
        If the scale of X is another one than ``before``.
    """
    # Computed without a copy of X.
    eight_bit, largest = X.dtype == np.uint8, max(float(X.max()), -float(X.min()))
    whole = X.dtype.kind in "biu"
    now = {"eight_bit": eight_bit, "largest": largest, "whole": whole, "both": False}
    if before is None:
        return now
    _check_scale(X.dtype, largest, before)
    if warns:
        _warn_of_scale(now, before)
    # Pixels of 8 bits, beside others that are not: divided by 255, they are fractions up to 1.
    divided = eight_bit and not before["eight_bit"]
    # Models of earlier versions do not say whether they had whole numbers, or both kinds of pixels.
    return {
        "eight_bit": before["eight_bit"],
        "largest": max(before["largest"], min(largest, 1.0) if divided else largest),
        "whole": before.get("whole", False) or (whole and not divided),
        "both": before.get("both", False) or divided,
    }


def _check_scale(dtype, largest, before):
    """Raise if pixels of ``dtype`` up to ``largest`` have another scale than those ``before``."""
    eight_bit = dtype == np.uint8
    # If fit had 0 and 1 in 8 bits, these became 1 / 255 at most; the rest is for rounding.
    bound = 1 if before["largest"] > 1 else 1.5 / 255
    beyond = before["eight_bit"] and (largest > bound or dtype.kind in "iu")
    if not eight_bit and (beyond or (before.get("both", False) and largest > 1)):
        raise ValueError(
            f"X has pixels of {dtype} up to {largest:.3g}, but fit had pixels of 8 bits, which are divided by 255: give "
            "X.astype('uint8'), or X / 255."
        )
    binary = before.get("whole", False) and 0 < largest <= 1
    if eight_bit and not before["eight_bit"] and (before["largest"] > 1 or binary):
        raise ValueError(
            f"X has pixels of 8 bits, which are divided by 255, but fit had others, up to {before['largest']:.3g}: give X in "
            "the type and the scale that it had there."
        )


def _warn_of_scale(now, before):
    """Warn if pixels go to 1 in ``fit``, and far beyond it ``now``, or the other way round."""
    largest = [each["largest"] / (255 if each["eight_bit"] else 1) for each in (now, before)]
    if 0 < min(largest) <= 1 and max(largest) > _FAR_BEYOND:
        warn(
            f"X has pixels up to {largest[0]:.3g}, and fit had pixels up to {largest[1]:.3g}: give X in the scale that it had "
            "there, in which pixels are in [0, 1] or go to 255, say."
        )


def _checked_shape(image_shape):
    shape = tuple(image_shape) if isinstance(image_shape, (tuple, list)) else ()
    if len(shape) not in (2, 3) or not all(isinstance(n, Integral) and n > 0 for n in shape):
        raise ValueError(
            f"image_shape must be (height, width) or (height, width, channels); got {image_shape!r}."
        )
    return (*map(int, shape), 1)[:3]


def _shape_of_row(n_features):
    side = int(round(n_features**0.5))
    return (side, side, 1) if side * side == n_features else (1, n_features, 1)


def dtype_of(images):
    """Return the dtype for computing with images: float64 for values of 64 bits that float32 rounds, else float32."""
    wide = images.dtype.kind == "f" and images.dtype.itemsize >= 8
    return np.dtype(np.float64 if wide or _exceed_float32(images) else np.float32)


def _exceed_float32(images):
    """Return whether pixels are whole numbers beyond those that float32 has, up to 2^24."""
    if images.dtype.kind not in "iu" or images.dtype.itemsize < 4 or not images.size:
        return False
    return max(int(images.max()), -int(images.min())) > LARGEST_WHOLE


def as_floats(images, dtype=None):
    """Return images as floats in C order, by default of ``dtype_of``; 8-bit pixels are divided by 255.

    Raises
    ------
    ValueError
        If a pixel is so large that sums of squares could overflow.
    """
    dtype = dtype_of(images) if dtype is None else dtype
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(images, dtype=dtype)
    if images.dtype == np.uint8:
        return floats / dtype.type(255)
    largest = np.abs(floats).max(initial=0)
    if largest > _MAX_PIXEL[dtype]:
        raise ValueError(
            f"X has pixels of {np.abs(images).max():.3g}, too large for {dtype}; divide X by the largest pixel."
        )
    if dtype == np.float32 and _exceed_float32(images):
        warn(
            f"X has whole numbers up to {largest:.4g}, which lose digits in float32, the dtype of this fit: fit anew with "
            "X.astype('float64'), or subtract an offset from all images."
        )
    return floats


def checked_patch_size(patch_size, shape, name="the images of X", cure=None):
    """Return (height, width) of patches; raise, with the cure, if an image of ``shape`` (height, width, ...) is smaller."""
    height, width = pair(patch_size, "patch_size")
    if height > shape[0] or width > shape[1]:
        raise ValueError(
            f"patch_size={patch_size} is larger than {name}, of height {shape[0]} and width {shape[1]}: "
            f"{cure or _cure_of_size(shape)}."
        )
    return height, width


def _cure_of_size(shape):
    """Return what may be wrong with images of the ``shape`` (height, width, ...) that are smaller than a patch."""
    if shape[0] == 1 and shape[2:] == (1,):  # rows that are no squares
        side = round((shape[1] / 3) ** 0.5)
        color = f", such as ({side}, {side}, 3)" if 3 * side * side == shape[1] else ""
        return (
            f"if rows are images, give image_shape{color}; if X is one image, give X[np.newaxis]; for signals make patch_size "
            "smaller, as (1, 5)"
        )
    if len(shape) == 3 and shape[0] <= 4 < shape[2]:
        return "if channels come first, give X.transpose(0, 2, 3, 1); else make patch_size smaller"
    return "make it smaller, or give image_shape if an estimator gets rows that are other images"


def check_fitted_to_patches(name, estimator, n_values):
    """Raise if the fitted ``estimator``, an argument of this ``name``, takes rows of another width than patches have."""
    n_columns = getattr(estimator, "n_features_in_", n_values)
    if n_columns != n_values:
        raise ValueError(
            f"{name}={type(estimator).__name__} was fitted to rows of {n_columns} numbers, but patches have {n_values}: give the "
            "patch_size of these rows."
        )


def pair(value, name):
    """Return a pair of positive integers, given one or two."""
    values = (value, value) if isinstance(value, Integral) else value
    is_pair = isinstance(values, (tuple, list)) and len(values) == 2
    if not is_pair or not all(isinstance(n, Integral) and n > 0 for n in values):
        raise ValueError(f"{name} must be a positive integer or a pair of them; got {value!r}.")
    return tuple(map(int, values))


def drawn_patches(images, size, n_patches, dtype, rng):
    """Return distinct patches as rows, in the order height, width, channel, and their positions in the images.

    Positions are numbered row by row. All patches are returned if there are at most ``n_patches``.
    """
    windows = sliding_window_view(images, size, axis=(1, 2))
    n_places = int(np.prod(windows.shape[:3]))
    if n_patches < n_places:
        places = sample_without_replacement(n_places, n_patches, random_state=rng)
    else:
        places = np.arange(n_places)
    patches = windows[np.unravel_index(places, windows.shape[:3])].transpose(0, 2, 3, 1)
    rows = as_floats(patches, dtype).reshape(len(places), -1)
    return rows, places % int(np.prod(windows.shape[1:3]))


def drawn_filters(images, size, n_filters, rng):
    """Return random patches, centered and with a little noise, as filters of norm 1."""
    patches, _ = drawn_patches(images, size, n_filters, images.dtype, rng)
    noise = rng.standard_normal((n_filters, patches.shape[1])).astype(patches.dtype)
    filters = np.resize(patches - patches.mean(axis=1, keepdims=True), noise.shape)
    return unit_rows(filters + 0.1 * (filters.std() or 1) * noise)


def smoothed(image, sigma):
    """Return local means of ``image`` in a Gaussian window of standard deviation ``sigma``."""
    # For larger ``sigma`` they are the mean of the whole image.
    return gaussian_filter(image, min(sigma, 4 * max(image.shape)))


def warn_of_zero_codes(codes, name, cure):
    """Warn if all ``codes``, an iterable of arrays, are 0 for training data that are not constant."""
    if not any(each.any() for each in codes):
        warn(f"The codes of {name} are 0 on the training data: {cure}.")
