"""Images, their tangents, and what moving along them does."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from .._typing import Axes, MatrixLike, Self
from ..manifold import tangent_basis
from ._grid import new_axes, pictures, shape_of, tile


class TangentDisplay:
    """A row for each image: the image, its tangents, and the image moved along the first of them.

    Parameters
    ----------
    images : ndarray of shape (n_samples, n_features)
        Gray images.
    basis : ndarray of shape (n_samples, n_tangents, n_features)
        Tangents of each sample.
    steps : ndarray of shape (n_steps,)
        How far the image is moved along its first tangent.
    image_shape : tuple of int
        Height and width.
    """

    def __init__(self, *, images, basis, steps, image_shape):
        self.images, self.basis, self.steps = images, basis, steps
        self.image_shape = image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        n_tangents: int = 6,
        steps: Sequence[float] = (-2, -1, 1, 2),
        image_shape: tuple[int, ...] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the tangents of a fitted model.

        Parameters
        ----------
        estimator : fitted model
            What :func:`~skae.manifold.tangent_basis` takes.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            A few images.
        n_tangents : int, default=6
            Tangents of each.
        steps : sequence of float, default=(-2, -1, 1, 2)
            How far the image is moved along its first tangent, which has length one.
        image_shape : tuple of int, default=None
            Height and width; square by default.
        ax : matplotlib axes, default=None
            Those of a new figure by default.

        Returns
        -------
        display : TangentDisplay
            What was drawn, with ``ax_`` and ``figure_``.
        """
        images = pictures(X)
        shape = shape_of(image_shape, images.shape[1])
        basis = tangent_basis(estimator, X, n_tangents).basis
        return cls(images=images, basis=basis, steps=steps, image_shape=shape).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw, and return what was drawn.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        display : TangentDisplay
            With ``ax_`` and ``figure_``.
        """
        shape = shape_of(self.image_shape, self.images.shape[1])
        steps = _checked_steps(self.steps)
        low, high = np.nanmin(self.images), np.nanmax(self.images)
        rows = []
        for image, tangents in zip(self.images, self.basis):
            moved = np.clip(image + steps[:, np.newaxis] * tangents[0], low, high)
            gray = (np.vstack([image[np.newaxis], moved]) - low) / max(high - low, 1e-12)
            # Tangents have a sign: gray is none.
            largest = np.maximum(np.abs(tangents).max(axis=1, keepdims=True), 1e-12)
            signed = 0.5 + 0.5 * tangents / largest
            rows.append(np.vstack([gray[:1], signed, gray[1:]]))
        sheet = np.concatenate(rows).reshape(-1, *shape)
        n_columns = 1 + self.basis.shape[1] + len(steps)
        ax = new_axes(ax)
        sheet = tile(sheet, n_columns)
        # Where there are no pixels colors have no value of their own.
        sheet = np.nan_to_num(sheet, nan=1.0) if sheet.ndim == 3 else sheet
        ax.imshow(sheet, cmap="gray", vmin=0, vmax=1)
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
    """Return ``steps`` as an array; raise where they are no sequence of finite numbers."""
    values = np.asarray(steps, dtype=object)
    if values.ndim != 1 or not all(isinstance(each, Real) and np.isfinite(each) for each in values):
        raise ValueError(f"steps must be a sequence of finite numbers; got {steps!r}.")
    return values.astype(float)
