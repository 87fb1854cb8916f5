"""Samples above their reconstructions."""

from typing import Any

import numpy as np

from .._typing import AnyArray, Axes, Figure, MatrixLike, Self
from ._grid import as_images, attribute_of, draw_sheet, drawable, limits_of, shape_of


class ReconstructionDisplay:
    """Images in the first row, their reconstructions in the second.

    Parameters
    ----------
    originals, reconstructions : ndarray of shape (n_samples, n_features)
        Rows of pixels.
    image_shape : tuple of int
        Height and width of an image, and 3 for color channels.

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
        self, *, originals: AnyArray, reconstructions: AnyArray, image_shape: tuple[int, ...]
    ) -> None:
        self.originals, self.reconstructions = originals, reconstructions
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        image_shape: tuple[int, ...] | None = None,
        ax: Axes | None = None,
        cmap: Any = "gray",
        im_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw X and its reconstructions by a fitted auto-encoder.

        Parameters
        ----------
        estimator : fitted auto-encoder
            Model that reconstructs X.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; about a dozen fit well.
        image_shape : tuple of int, default=None
            Height and width, and 3 for color channels; square by default.
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap of gray images.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.

        Returns
        -------
        display : ReconstructionDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        reconstruct = attribute_of(estimator, "reconstruct", "give an auto-encoder")
        originals = drawable(X)
        shape = shape_of(image_shape, originals.shape[1])
        reconstructions = reconstruct(X)
        display = cls(originals=originals, reconstructions=reconstructions, image_shape=shape)
        return display.plot(ax=ax, cmap=cmap, im_kw=im_kw)

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
        display : ReconstructionDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        originals, reconstructions = drawable(self.originals), drawable(self.reconstructions)
        if originals.shape != reconstructions.shape:
            raise ValueError(
                f"reconstructions must have the shape of originals, {originals.shape}; got {reconstructions.shape}."
            )
        rows = np.concatenate([originals, reconstructions])
        images, limits = as_images(rows, self.image_shape), limits_of(originals)
        title = "Samples (top) and reconstructions (bottom)"
        ax = draw_sheet(ax, images, len(originals), limits, title, cmap=cmap, im_kw=im_kw)
        self.ax_, self.figure_ = ax, ax.figure
        return self
