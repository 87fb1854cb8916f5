"""Images, their tangents, and images moved along tangents."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from .._arrays.namespace import in_numpy
from .._typing import AnyArray, Axes, Figure, MatrixLike, Self
from ..manifold import tangent_basis
from ._grid import draw_images, drawable, limits_of, new_axes, shape_of

_N_TANGENTS = 6  # tangents by default


class TangentDisplay:
    """A row for each image: the image, its tangents, and the image moved along the first tangent.

    Parameters
    ----------
    images : ndarray of shape (n_samples, n_features)
        Rows of pixels.
    basis : ndarray of shape (n_samples, n_tangents, n_features)
        Tangents of each sample.
    steps : ndarray of shape (n_steps,)
        Distances by which the image is moved along its first tangent.
    image_shape : tuple of int
        Height and width, and 3 for color channels.

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
        images: AnyArray,
        basis: AnyArray,
        steps: Sequence[float],
        image_shape: tuple[int, ...],
    ) -> None:
        self.images, self.basis, self.steps = images, basis, steps
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        n_tangents: int | None = None,
        steps: Sequence[float] = (-2, -1, 1, 2),
        image_shape: tuple[int, ...] | None = None,
        ax: Axes | None = None,
        cmap: Any = "gray",
        im_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the tangents of a fitted model.

        Parameters
        ----------
        estimator : fitted model
            Model that :func:`~skae.manifold.tangent_basis` takes.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A few images.
        n_tangents : int, default=None
            Number of tangents of each image; None means 6, or as many as there are.
        steps : sequence of float, default=(-2, -1, 1, 2)
            Distances by which the image is moved along its first tangent, which has unit length.
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
        display : TangentDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        images = drawable(X)
        shape = shape_of(image_shape, images.shape[1])
        basis = in_numpy(tangent_basis(estimator, X, n_tangents).basis)
        if n_tangents is None:
            basis = basis[:, :_N_TANGENTS]
        return cls(images=images, basis=basis, steps=steps, image_shape=shape).plot(
            ax=ax, cmap=cmap, im_kw=im_kw
        )

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
        display : TangentDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        shape = shape_of(self.image_shape, self.images.shape[1])
        steps = _checked_steps(self.steps)
        low, high = limits_of(self.images)
        rows = []
        for image, tangents in zip(self.images.astype(float), self.basis):
            moved = np.clip(image + steps[:, np.newaxis] * tangents[0], low, high)
            gray = (np.vstack([image[np.newaxis], moved]) - low) / (high - low or 1)
            # Tangents have a sign: gray is 0.
            largest = np.abs(tangents).max(axis=1, keepdims=True)
            signed = 0.5 + 0.5 * tangents / np.where(largest > 0, largest, 1)
            rows.append(np.vstack([gray[:1], signed, gray[1:]]))
        sheet = np.concatenate(rows).reshape(-1, *shape)
        n_columns = 1 + self.basis.shape[1] + len(steps)
        ax = new_axes(ax)
        draw_images(ax, sheet, n_columns, (0, 1), cmap=cmap, im_kw=im_kw)
        width = shape[1] + 1
        labels = ["x", *(f"u{k + 1}" for k in range(self.basis.shape[1]))]
        labels += [f"{step:+g} u1" for step in steps]
        ax.set_xticks(
            width * np.arange(n_columns) + (width - 1) / 2, labels, rotation=45, fontsize="small"
        )
        ax.xaxis.tick_top()
        ax.set_yticks([])
        ax.tick_params(length=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _checked_steps(steps):
    """Return ``steps`` as an array; raise unless they are a sequence of finite numbers."""
    values = np.asarray(steps, dtype=object)
    if values.ndim != 1 or not all(isinstance(each, Real) and np.isfinite(each) for each in values):
        raise ValueError(f"steps must be a sequence of finite numbers; got {steps!r}.")
    return values.astype(float)
