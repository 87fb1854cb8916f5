"""Encoder weights or dictionary atoms as images."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_scalar
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import in_numpy
from .._estimators.fitting import DTYPES
from .._estimators.subestimators import atoms_of, check_estimator
from .._typing import AnyArray, Axes, Figure, Self
from ._grid import as_images, draw_sheet, montage, shape_of

_GAP = 4  # pixels between maps


class FilterDisplay:
    """Filters of the first layer, or atoms of a dictionary, each scaled by its largest weight.

    Atoms that were learned on a torus are arranged as on it, in a topographic map, and filters of tiles by their
    positions.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_features)
        Filters as rows, or in any shape with as many values.
    image_shape : (int, int) or (int, int, int)
        Height and width of a filter, and its channels: 1, or 3 for colors.
    map_shape : (int, int) or (int, int, int), default=None
        Rows and columns of the map that the filters fill in order; or number of maps, rows and columns, for several
        maps arranged in a square. None arranges the filters in a square.

    Attributes
    ----------
    ax_ : matplotlib axes
        What it is drawn in.
    figure_ : matplotlib figure
        Its figure.
    """

    ax_: Axes
    figure_: Figure

    def __init__(
        self,
        *,
        filters: AnyArray,
        image_shape: tuple[int, ...],
        map_shape: tuple[int, ...] | None = None,
    ) -> None:
        self.filters, self.image_shape, self.map_shape = filters, image_shape, map_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_filters: int | None = None,
        image_shape: tuple[int, ...] | None = None,
        ax: Axes | None = None,
        cmap: Any = "gray",
        im_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the filters of largest norm of a fitted estimator, or all filters if they form a map.

        Parameters
        ----------
        estimator : fitted estimator
            Auto-encoder, Boltzmann machine, dictionary or image features: an estimator with ``encoder_weights_``,
            ``filters_``, ``components_`` or ``cluster_centers_``. The filters of a :class:`~skae.PSD` with a
            ``topology`` form a map; those of :class:`~skae.images.ConvolutionalPSD` and
            :class:`~skae.images.ConvolutionalFeatures` with ``tiling`` form a map for each filter of a position.
        n_filters : int, default=None
            Maximum number of filters to draw, the strongest first. None means 100, or the whole map.
        image_shape : tuple of int, default=None
            Height and width, and 3 for color channels; by default, those of ``filters_``, or square.
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap of gray images.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.

        Returns
        -------
        display : FilterDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        if n_filters is not None:
            check_scalar(n_filters, "n_filters", Integral, min_val=1)
        weights, shape = _filters_of(estimator)
        weights = in_numpy(weights)
        if image_shape is None and shape is not None:
            image_shape = _checked_channels(shape)
        data = {"filters": weights, "image_shape": shape_of(image_shape, weights.shape[1])}
        placed, map_shape = _placed(estimator, weights)
        if n_filters is None and map_shape is not None:
            data |= {"filters": placed, "map_shape": map_shape}
        else:
            strongest = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")
            data["filters"] = weights[strongest[: n_filters or 100]]
        return cls(**data).plot(ax=ax, cmap=cmap, im_kw=im_kw)

    def plot(
        self, ax: Axes | None = None, *, cmap: Any = "gray", im_kw: dict[str, Any] | None = None
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap of gray images.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.

        Returns
        -------
        display : FilterDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        # As floats: the absolute value of -128 in 8 bits is -128.
        filters = check_array(self.filters, allow_nd=True, dtype=DTYPES, input_name="filters")
        images = as_images(filters.reshape(len(filters), -1), self.image_shape)
        axes = tuple(range(1, images.ndim))
        largest = np.abs(images).max(axis=axes, keepdims=True)
        images = images / np.where(largest > 0, largest, 1)
        n_columns, title = int(np.ceil(np.sqrt(len(images)))), "Filters"
        if self.map_shape is not None:
            images = _maps(images, self.map_shape)[np.newaxis]
            n_columns, title = 1, "Map of filters"
        ax = draw_sheet(ax, images, n_columns, (-1, 1), title, cmap=cmap, im_kw=im_kw)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _checked_channels(shape):
    """Return the ``shape`` of filters; raise if they have channels that are no colors."""
    if shape[2:] not in ((), (1,), (3,)):
        raise ValueError(
            f"The filters have {shape[2]} channels and not 1 or 3: give image_shape, for instance "
            f"{(shape[0], shape[1] * shape[2])}, with the channels of a pixel side by side."
        )
    return shape


def _placed(estimator, weights):
    """Return filters in the order of their map, and the shape of the map, None if there is no map."""
    if getattr(estimator, "topology", None) is not None:
        return weights, tuple(estimator.topology)
    down, across = getattr(estimator, "tiling_", (1, 1))
    if down * across == 1:
        return weights, None
    tiles = weights.reshape(down, across, -1, weights.shape[1]).transpose(2, 0, 1, 3)
    return tiles.reshape(weights.shape), tiles.shape[:3]


def _maps(images, map_shape):
    """Return one image of all maps, in a square; raise if ``images`` do not fill them."""
    shape = tuple(np.ravel(map_shape))
    whole = all(isinstance(length, Integral) and length > 0 for length in shape)
    if len(shape) not in (2, 3) or not whole or np.prod(shape) != len(images):
        raise ValueError(
            f"map_shape must be (rows, columns) with rows * columns = {len(images)}, the number of filters, or (maps, rows, "
            f"columns); got {map_shape!r}."
        )
    n_maps = int(shape[0]) if len(shape) == 3 else 1
    sheets = np.stack([montage(each, int(shape[-1])) for each in np.split(images, n_maps)])
    return montage(sheets, int(np.ceil(np.sqrt(n_maps))), _GAP)


def _filters_of(estimator):
    """Return the filters of a fitted estimator as rows, and their image shape if they have one."""
    check_estimator(estimator)
    check_is_fitted(estimator)
    if hasattr(estimator, "encoder_weights_"):
        return estimator.encoder_weights_[0], None
    filters = getattr(estimator, "filters_", None)
    if filters is None:
        return atoms_of(estimator), None
    return filters.reshape(len(filters), -1), filters.shape[1:]
