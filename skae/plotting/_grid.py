"""Grids of images in one axes, and checks that all displays share."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import dense, in_numpy
from .._estimators.subestimators import check_instance, plain_codes


def shape_of(image_shape, n_features):
    """Return height and width of images, and 3 for color channels; images are square if ``image_shape`` is None.

    Raises
    ------
    ValueError
        If ``image_shape`` does not match ``n_features``, or is None and images cannot be square.
    """
    if image_shape is None:
        side = int(round(n_features**0.5))
        if side * side != n_features:
            raise ValueError(
                f"image_shape must be given: {n_features} features do not make a square image."
            )
        return side, side
    shape = tuple(np.ravel(image_shape))
    whole = all(isinstance(length, Integral) and length > 0 for length in shape)
    gray = len(shape) == 2 or shape[2:] == (1,)
    if not (gray or shape[2:] == (3,)) or not whole or np.prod(shape) != n_features:
        raise ValueError(
            f"image_shape must be (height, width) with height * width = {n_features}, the number of features, or "
            f"(height, width, 3) for colors; got {image_shape!r}."
        )
    return shape[:2] if gray else shape


def attribute_of(estimator, name, cure):
    """Return an attribute of a fitted ``estimator``; raise TypeError with the ``cure`` if it has none."""
    check_instance(estimator=estimator)
    if not hasattr(estimator, name):
        if isinstance(estimator, BaseEstimator):
            check_is_fitted(estimator)  # there may be one after fit
        raise TypeError(f"estimator={estimator!r} has no {name}: {cure}.")
    check_is_fitted(estimator)
    return getattr(estimator, name)


def codes_of(estimator, X):
    """Return the codes of X by a fitted ``estimator``, as an ndarray; raise TypeError if it has no ``transform``."""
    attribute_of(estimator, "transform", "give an encoder")
    return drawable(plain_codes(estimator, X))


def as_images(rows, image_shape):
    """Return ``rows``, of shape (n, n_features), as images of shape (n, height, width[, 3])."""
    return rows.reshape(-1, *shape_of(image_shape, rows.shape[1]))


def drawable(X):
    """Return X, an array, data frame or sparse matrix, as an ndarray that can be drawn."""
    if np.ndim(X) > 2:
        raise ValueError(
            f"X must have a row for each sample, X.reshape(len(X), -1); got {np.ndim(X)} dimensions."
        )
    return check_array(in_numpy(dense(X)), ensure_all_finite=False)


def limits_of(rows):
    """Return the smallest and the largest finite value of ``rows``; 0 and 1 if there is none."""
    values = rows[np.isfinite(rows)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)


def is_axes(value):
    """Return whether ``value`` is an axes of matplotlib; raise ImportError if that is not installed."""
    try:
        from matplotlib.axes import Axes
    except ImportError as error:
        raise ImportError("skae.plotting needs matplotlib: pip install 'skae[plot]'.") from error
    return isinstance(value, Axes)


def new_axes(ax):
    """Return ``ax``, or the axes of a new figure if it is None; raise TypeError if it is not an axes."""
    known = is_axes(ax)
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(layout="constrained")
        return ax
    if not known:
        raise TypeError(
            f"ax must be one axes of matplotlib; got {ax!r}. Of several, as plt.subplots returns, give axes[0] or another."
        )
    return ax


def draw_images(ax, images, n_columns, limits, *, cmap, im_kw):
    """Draw images side by side, in rows of ``n_columns``, from black at the lower of the ``limits`` to white.

    Color images, to which no colormap applies, are scaled from the limits to [0, 1], with white gaps.
    """
    sheet, (low, high), options = montage(images, n_columns), limits, dict(im_kw or {})
    if sheet.ndim == 3:
        sheet = np.clip((sheet - low) / (high - low or 1), 0, 1)
        sheet = np.nan_to_num(sheet, nan=1.0)
    elif "norm" not in options:
        options = {"vmin": low, "vmax": high, **options}
    ax.imshow(sheet, **{"cmap": cmap, "interpolation": "nearest", **options})


def draw_sheet(ax, images, n_columns, limits, title, *, cmap, im_kw):
    """Draw images as :func:`draw_images` does, with a title, in ``ax`` or new axes; return the axes."""
    ax = new_axes(ax)
    draw_images(ax, images, n_columns, limits, cmap=cmap, im_kw=im_kw)
    ax.set_axis_off()
    ax.set_title(title)
    return ax


def montage(images, n_columns, gap=1):
    """Return one image of ``images`` (n, height, width[, channels]) in rows of ``n_columns``, NaN in the gaps."""
    n, height, width, *channels = images.shape
    down, across, n_rows = height + gap, width + gap, -(-n // n_columns)
    sheet = np.full((n_rows * down - gap, n_columns * across - gap, *channels), np.nan)
    for k, image in enumerate(images):
        top, left = k // n_columns * down, k % n_columns * across
        sheet[top : top + height, left : left + width] = image
    return sheet
