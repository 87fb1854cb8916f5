"""Samples above their reconstructions."""

from typing import Any

import numpy as np

from .._typing import Axes, MatrixLike, Self
from ._grid import as_images, method_of, new_axes, pictures, shape_of, tile


class ReconstructionDisplay:
    """Images in the first row, their reconstructions in the second.

    Parameters
    ----------
    originals, reconstructions : ndarray of shape (n_samples, n_features)
        Rows of pixels.
    image_shape : (int, int)
        Height and width of an image.
    """

    def __init__(self, *, originals, reconstructions, image_shape):
        self.originals, self.reconstructions = originals, reconstructions
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        image_shape: tuple[int, int] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw X and what a fitted auto-encoder makes of it.

        Parameters
        ----------
        estimator : fitted auto-encoder
            What is shown.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A dozen samples fit well.
        image_shape : (int, int), default=None
            Height and width; square by default.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ReconstructionDisplay
            What was drawn, with ``ax_`` and ``figure_``.
        """
        reconstruct = method_of(estimator, "reconstruct", "give an auto-encoder")
        originals = pictures(X)
        shape = shape_of(image_shape, originals.shape[1])
        reconstructions = reconstruct(X)
        display = cls(originals=originals, reconstructions=reconstructions, image_shape=shape)
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw, and return what was drawn.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : ReconstructionDisplay
            With ``ax_`` and ``figure_``.
        """
        originals, reconstructions = pictures(self.originals), pictures(self.reconstructions)
        if originals.shape != reconstructions.shape:
            raise ValueError(
                f"reconstructions must have the shape of originals, {originals.shape}; got {reconstructions.shape}."
            )
        rows = np.concatenate([originals, reconstructions])
        sheet = tile(as_images(rows, self.image_shape), len(originals))
        ax = new_axes(ax)
        ax.imshow(sheet, cmap="gray", interpolation="nearest")
        ax.set_axis_off()
        ax.set_title("Samples (top) and reconstructions (bottom)")
        self.ax_, self.figure_ = ax, ax.figure
        return self
