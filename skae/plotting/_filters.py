"""The encoder's weights as images."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_scalar
from sklearn.utils.validation import check_is_fitted

from .._estimators.subestimators import atoms_of, check_instance
from .._typing import Axes, Self
from ._grid import as_images, new_axes, shape_of, tile


class FilterDisplay:
    """Filters of the first layer, each scaled to its own largest weight.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, n_features)
        Or of any shape with as many numbers.
    image_shape : (int, int) or (int, int, int)
        Height and width of a filter, and channels: 1, or 3 for colors.
    """

    def __init__(self, *, filters, image_shape):
        self.filters, self.image_shape = filters, image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        n_filters: int = 100,
        image_shape: tuple[int, int] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the filters of largest norm of a fitted auto-encoder.

        Parameters
        ----------
        estimator : fitted estimator
            An auto-encoder or machine, a dictionary, or features of pictures: what has ``encoder_weights_``, ``filters_``,
            ``components_`` or ``cluster_centers_``.
        n_filters : int, default=100
            Most filters to draw.
        image_shape : (int, int), default=None
            Height and width; those of ``filters_``, or square, by default.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : FilterDisplay
            What was drawn, with ``ax_`` and ``figure_``.
        """
        check_scalar(n_filters, "n_filters", Integral, min_val=1)
        weights, shape = _filters_of(estimator)
        image_shape = shape if image_shape is None else image_shape
        largest = np.argsort(-np.linalg.norm(weights, axis=1), kind="stable")[:n_filters]
        shape = shape_of(image_shape, weights.shape[1])
        return cls(filters=weights[largest], image_shape=shape).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw, and return what was drawn.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : FilterDisplay
            With ``ax_`` and ``figure_``.
        """
        filters = check_array(self.filters, allow_nd=True, input_name="filters")
        images = as_images(filters.reshape(len(filters), -1), self.image_shape)
        ax = new_axes(ax)
        axes = tuple(range(1, images.ndim))
        images = images / np.maximum(np.abs(images).max(axis=axes, keepdims=True), 1e-12)
        sheet = tile(images, int(np.ceil(np.sqrt(len(images)))))
        if sheet.ndim == 3:
            sheet = np.nan_to_num((sheet + 1) / 2, nan=1.0)
        ax.imshow(sheet, cmap="gray", vmin=-1, vmax=1, interpolation="nearest")
        ax.set_axis_off()
        ax.set_title("Filters")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _filters_of(estimator):
    """Return the filters of a fitted estimator, as rows, and the shape of a picture where they have one."""
    check_instance(estimator=estimator)
    check_is_fitted(estimator)
    if hasattr(estimator, "encoder_weights_"):
        return estimator.encoder_weights_[0], None
    filters = getattr(estimator, "filters_", None)
    if filters is None:
        return atoms_of(estimator), None
    return filters.reshape(len(filters), -1), filters.shape[1:]
