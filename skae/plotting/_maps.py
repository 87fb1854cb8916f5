"""Feature maps of an image, stage by stage."""

import math
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_scalar

from .._estimators.subestimators import plain_codes
from .._typing import AnyArray, ArrayLike, Axes, Figure, Self
from ..images import ConvolutionalStack
from ._grid import attribute_of, draw_images, limits_of, new_axes

_NOT_MAPS = "give image features, as ConvolutionalFeatures, ConvolutionalStack or ConvolutionalPSD"


class FeatureMapDisplay:
    """An image and its feature maps: a row for each stage, with the maps of the largest codes.

    Maps are drawn as large as the image. In each stage black is 0, or the least code if that is negative, and white is
    the largest one. An image in color is drawn in gray.

    Parameters
    ----------
    image : ndarray of shape (height, width[, channels])
        The image.
    maps : list of ndarray of shape (n_maps, rows, columns)
        Maps to draw of each stage, from the lowest to the highest.
    names : list of str
        Name of each stage.

    Attributes
    ----------
    ax_ : matplotlib axes
        What it is drawn in.
    figure_ : matplotlib figure
        Its figure.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.images import ConvolutionalFeatures, ConvolutionalStack
    >>> from skae.plotting import FeatureMapDisplay
    >>> images = load_digits().images[:100]
    >>> low = ConvolutionalFeatures(16, patch_size=3, pool_size=1)
    >>> high = ConvolutionalFeatures(32, patch_size=2, pool_size=2)
    >>> stack = ConvolutionalStack([("low", low), ("high", high)], random_state=0).fit(images)
    >>> display = FeatureMapDisplay.from_estimator(stack, images[0], n_maps=5)
    >>> [maps.shape for maps in display.maps]
    [(5, 6, 6), (5, 3, 3)]
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, *, image: AnyArray, maps: list[AnyArray], names: list[str]) -> None:
        self.image, self.maps, self.names = image, maps, names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image: ArrayLike,
        *,
        n_maps: int = 8,
        ax: Axes | None = None,
        cmap: Any = "gray",
        im_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the maps that a fitted estimator makes of an image.

        Parameters
        ----------
        estimator : fitted estimator
            :class:`~skae.images.ConvolutionalStack`, :class:`~skae.images.ConvolutionalFeatures` or
            :class:`~skae.images.ConvolutionalPSD`.
        image : array-like of shape (height, width[, channels]) or (n_features,)
            One image.
        n_maps : int, default=8
            Maximum number of maps of a stage: those of largest norm on this image, the largest first.
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.

        Returns
        -------
        display : FeatureMapDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        check_scalar(n_maps, "n_maps", Integral, min_val=1)
        pixels = attribute_of(estimator, "image_shape_", _NOT_MAPS)
        image = check_array(image, ensure_2d=False, allow_nd=True, input_name="image")
        _check_shape(image, pixels)
        image = image.reshape(pixels)
        names, maps, below = [], [], image[np.newaxis]
        for name, stage in _stages(estimator):
            shape = attribute_of(stage, "map_shape_", _NOT_MAPS)
            below = plain_codes(stage, below).reshape(1, *shape)
            norms = np.linalg.norm(below[0], axis=(0, 1))
            names.append(name)
            maps.append(below[0].transpose(2, 0, 1)[np.argsort(-norms, kind="stable")[:n_maps]])
        return cls(image=image, maps=maps, names=names).plot(ax=ax, cmap=cmap, im_kw=im_kw)

    def plot(
        self, ax: Axes | None = None, *, cmap: Any = "gray", im_kw: dict[str, Any] | None = None
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.

        Returns
        -------
        display : FeatureMapDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        image = np.asarray(self.image, dtype=float)
        image = image.reshape(*image.shape[:2], -1).mean(axis=2)
        n_columns = 1 + max(map(len, self.maps))
        sheet = np.full((len(self.maps), n_columns, *image.shape), np.nan)
        sheet[0, 0] = _scaled(image, limits_of(image))
        for row, maps in zip(sheet, self.maps):
            low, high = limits_of(maps)
            row[1 : 1 + len(maps)] = _scaled(_enlarged(maps, image.shape), (min(low, 0.0), high))
        ax = new_axes(ax)
        draw_images(ax, sheet.reshape(-1, *image.shape), n_columns, (0, 1), cmap=cmap, im_kw=im_kw)
        middles = (image.shape[0] + 1) * np.arange(len(sheet)) + (image.shape[0] - 1) / 2
        ax.set_yticks(middles, self.names)
        ax.set_xticks([])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title("An image (top left) and its maps, stage by stage")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _stages(estimator):
    """Return names and stages, from the lowest to the highest."""
    if isinstance(estimator, ConvolutionalStack):
        return estimator.layers_
    return [(type(estimator).__name__, estimator)]


def _check_shape(image, shape):
    """Raise unless ``image`` is an image or row of this ``shape`` (height, width, channels); in gray, it may have no channels."""
    possible = [shape, (math.prod(shape),)]
    if shape[2] == 1:
        possible.append(shape[:2])
    if image.shape not in possible:
        raise ValueError(
            f"image must be one image of height, width and channels {shape}; got an array of shape {image.shape}."
        )


def _enlarged(maps, shape):
    """Return ``maps`` (n, rows, columns) with each code repeated so that they have the ``shape`` of the image."""
    rows, columns = (np.arange(n) * k // n for n, k in zip(shape, maps.shape[1:]))
    return maps[:, rows][:, :, columns]


def _scaled(values, limits):
    """Return ``values`` with the ``limits`` mapped to 0 and 1."""
    low, high = limits
    return (values - low) / (high - low or 1)
