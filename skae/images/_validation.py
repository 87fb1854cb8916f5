"""Validation of images, and patches drawn from them."""

from contextlib import suppress
from numbers import Integral

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import validate_data

from .._estimators.devices import check_library
from .._estimators.fitting import gathered, validated_rows
from .._estimators.reading import dtype_of_rows, named_array
from .._estimators.unit_atoms import unit_rows

_DTYPES = [np.dtype(kind) for kind in "dfe?bBhHiIlLqQ"]  # kept; all others become the first one
_LARGEST = {np.dtype(t): 1e-6 * np.sqrt(np.finfo(t).max) for t in (np.float32, np.float64)}


def validated_images(estimator, X, image_shape, *, reset):
    """Return X as a view of shape (n, height, width, channels).

    Parameters
    ----------
    estimator : estimator
        Estimator that stores number and names of features.
    X : array-like
        Images, with or without channels, or rows.
    image_shape : tuple of int or None
        Shape of an image. If None, rows are square gray images or, if they cannot be, images of one pixel in height.
    reset : bool
        Whether ``fit`` is the caller.

    Raises
    ------
    ValueError
        If X is not finite, images are not of ``image_shape``, or pixels have another scale than in ``fit``.
    """
    shape = None if image_shape is None else _checked_shape(image_shape)
    check_library(estimator, X)
    X = gathered(estimator, X, keep_bytes=True)
    if _n_axes(X) <= 2:
        dtypes = _dtypes_of(X)
        X = validated_rows(estimator, X, dtype=dtypes, accept_sparse=False, reset=reset)
        shape = shape or _shape_of_row(X.shape[1])
        if np.prod(shape) != X.shape[1]:
            raise ValueError(
                f"X has {X.shape[1]} features; image_shape={shape} needs {np.prod(shape)}."
            )
        _check_pixels(estimator, X, reset)
        return X.reshape(len(X), *shape)
    X = named_array(X, "X", allow_nd=True, dtype="numeric", ensure_all_finite=False)
    if X.ndim > 4 or 0 in X.shape:
        raise ValueError(
            f"X must be (n, height, width) or (n, height, width, channels); got shape {X.shape}."
        )
    given = (*X.shape[1:], 1)[:3]
    if shape is not None and given != shape:
        raise ValueError(f"X has images of height, width and channels {given}, not {shape}.")
    rows = validate_data(estimator, X.reshape(len(X), -1), reset=reset, skip_check_array=True)
    _check_pixels(estimator, rows, reset)
    return rows.reshape(len(X), *given)


def _n_axes(X):
    """Return the number of axes of X; raise if X is a list or object array of images that form no array."""
    try:
        n_axes = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
        apart = n_axes == 1 and len(X) > 0 and np.ndim(next(iter(X))) > 0
    except ValueError:
        apart = True
    if apart:
        raise ValueError(
            "X must be one array of images, all of the same height, width and channels: crop, pad or resize them first, and "
            "join them by np.stack(images)."
        )
    return n_axes


def _dtypes_of(X):
    """Return the dtypes that pixels keep; scikit-learn does not look for those of lists and of nullable columns."""
    if hasattr(X, "dtype"):
        return _DTYPES
    with suppress(ValueError):  # of no numbers, which are refused where X is read
        own = dtype_of_rows(X)
        return [own] if own in _DTYPES else _DTYPES
    return _DTYPES


def _check_pixels(estimator, X, reset):
    """Record in ``fit`` whether pixels are of 8 bits, which are divided by 255; raise if that changes later.

    Raise if a pixel is not finite, too.
    """
    # Computed without a copy of X. NaN comes first, where max would keep it.
    eight_bit, largest = X.dtype == np.uint8, max(float(X.max()), -float(X.min()))
    if not np.isfinite(largest):
        raise ValueError(
            "X contains NaN or infinity: fill in such pixels first, for instance by np.nan_to_num."
        )
    if reset:
        whole = X.dtype.kind in "biu"
        estimator.pixels_ = {"eight_bit": eight_bit, "largest": largest, "whole": whole}
        return
    fitted = estimator.pixels_
    # If fit had 0 and 1 in 8 bits, these became 1 / 255 at most; the rest is for rounding.
    bound = 1 if fitted["largest"] > 1 else 1.5 / 255
    if fitted["eight_bit"] and not eight_bit and (largest > bound or X.dtype.kind in "iu"):
        raise ValueError(
            f"X has pixels of {X.dtype} up to {largest:.3g}, but fit had pixels of 8 bits, which are divided by 255: give "
            "X.astype('uint8'), or X / 255."
        )
    # Models of earlier versions do not say whether they had whole numbers: 0 and 1 at most.
    binary = fitted.get("whole", False) and 0 < largest <= 1
    if eight_bit and not fitted["eight_bit"] and (fitted["largest"] > 1 or binary):
        raise ValueError(
            f"X has pixels of 8 bits, which are divided by 255, but fit had others, up to {fitted['largest']:.3g}: give X in "
            "the type and the scale that it had there."
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
    """Return the dtype for computing with images: float64 for floats of at least 64 bits, else float32."""
    wide = images.dtype.kind == "f" and images.dtype.itemsize >= 8
    return np.dtype(np.float64 if wide else np.float32)


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
    if largest > _LARGEST[dtype]:
        raise ValueError(
            f"X has pixels of {np.abs(images).max():.3g}, too large for {dtype}; divide X by the largest pixel."
        )
    return floats


def checked_patch_size(patch_size, shape, name="the images of X"):
    """Return (height, width) of patches; raise if an image of ``shape`` (height, width, ...) is smaller."""
    height, width = pair(patch_size, "patch_size")
    if height > shape[0] or width > shape[1]:
        raise ValueError(
            f"patch_size={patch_size} is larger than {name}, of height {shape[0]} and width {shape[1]}: make it smaller, "
            "or give image_shape if an estimator gets rows that are other images."
        )
    return height, width


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
