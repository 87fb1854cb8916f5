"""Frequencies and directions of sparse features."""

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from .._arrays.namespace import in_numpy
from .._estimators.subestimators import plain_codes
from .._typing import AnyArray, ArrayLike, Axes, Figure, MatrixLike, Self
from ._grid import as_images, attribute_of, draw_images, drawable, is_axes, new_axes, shape_of


class SparseFeatureDisplay:
    """Frequencies of sparse features, and some features as images or as words.

    Parameters
    ----------
    frequencies : ndarray of shape (n_components,)
        Fraction of the samples in which each feature is active.
    features : ndarray of int of shape (n_features,)
        Indices of the features that are shown.
    rows : ndarray of shape (n_features, n_images, n_pixels) or None
        Direction of each of them, and the samples in which it is largest; missing samples are NaN.
    image_shape : tuple of int or None
        Height and width of an image, and 3 for color channels.
    words : list of list of (str, float) or None
        Words of each of them with their weights, the largest first.

    Attributes
    ----------
    ax_ : pair of matplotlib axes
        What it is drawn in.
    figure_ : matplotlib figure
        Their figure.
    """

    ax_: tuple[Axes, Axes]
    figure_: Figure

    def __init__(
        self,
        *,
        frequencies: AnyArray,
        features: AnyArray,
        rows: AnyArray | None = None,
        image_shape: tuple[int, ...] | None = None,
        words: list[list[tuple[str, float]]] | None = None,
    ) -> None:
        self.frequencies, self.features = frequencies, features
        self.rows, self.image_shape, self.words = rows, image_shape, words

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        features: Sequence[int] | None = None,
        n_features: int = 8,
        n_samples: int = 8,
        image_shape: tuple[int, ...] | None = None,
        words: ArrayLike | None = None,
        to_words: Callable[..., Any] | None = None,
        ax: Sequence[Axes] | None = None,
        cmap: Any = "gray",
        im_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw features of a fitted sparse auto-encoder.

        Parameters
        ----------
        estimator : fitted SparseAutoEncoder
            Model whose features are drawn.
        X : {array-like, sparse matrix} of shape (n_samples, n_columns)
            Samples.
        features : sequence of int, default=None
            Indices of the features to draw; by default, those with the largest sums of codes.
        n_features : int, default=8
            Number of features to draw if ``features`` is None.
        n_samples : int, default=8
            Number of samples, or of words, for each feature.
        image_shape : tuple of int, default=None
            Height and width of a sample, and 3 for color channels; square by default.
        words : array-like of str, default=None
            Names of the columns, to draw words instead of images.
        to_words : callable, default=None
            Function that maps directions in the columns of X to weights of the ``words``, such as ``inverse_transform``
            of a TruncatedSVD before the model.
        ax : pair of matplotlib axes, default=None
            Axes of the frequencies and of the features; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap of gray images.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.
        line_kw : dict, default=None
            Passed on to ``Axes.plot`` for the frequencies.

        Returns
        -------
        display : SparseFeatureDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        attribute_of(estimator, "top_samples", "give a SparseAutoEncoder")
        check_scalar(n_features, "n_features", Integral, min_val=1)
        check_scalar(n_samples, "n_samples", Integral, min_val=1)
        if features is None:
            sums = np.asarray(plain_codes(estimator, X).sum(axis=0)).ravel()
            features = np.argsort(-sums, kind="stable")[:n_features]
        features = _checked_features(features, estimator.n_components_)
        directions = in_numpy(estimator.decoder_components_ * estimator.scale_)[features]
        data = {"frequencies": estimator.report(X).frequencies, "features": features}
        if words is not None:
            weights = directions if to_words is None else to_words(directions)
            data["words"] = _heaviest(np.asarray(weights), np.asarray(words), n_samples)
        else:
            data["image_shape"] = shape_of(image_shape, np.shape(directions)[1])
            data["rows"] = _rows(estimator, X, features, directions, n_samples)
        return cls(**data).plot(ax=ax, cmap=cmap, im_kw=im_kw, line_kw=line_kw)

    def plot(
        self,
        ax: Sequence[Axes] | None = None,
        *,
        cmap: Any = "gray",
        im_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : pair of matplotlib axes, default=None
            Axes of the frequencies and of the features; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap of gray images.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.
        line_kw : dict, default=None
            Passed on to ``Axes.plot`` for the frequencies.

        Returns
        -------
        display : SparseFeatureDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        axes = _pair() if ax is None else np.ravel(ax)
        if len(axes) != 2 or axes[0] is axes[1] or not all(map(is_axes, axes)):
            raise ValueError(
                f"ax must be a pair of axes, one for the frequencies and one for the features; got {ax!r}."
            )
        left, right = axes
        ranked = np.sort(self.frequencies)[::-1]
        shares = np.where(ranked > 0, ranked, np.nan)
        left.plot(np.arange(1, len(ranked) + 1), shares, **(line_kw or {}))
        left.set(
            xlabel="features, the most frequent first", ylabel="share of samples", yscale="log"
        )
        left.set_title("How often they are active")
        right.set_axis_off()
        if self.words is not None:
            self._write(right)
        else:
            self._draw(right, cmap, im_kw)
        self.ax_, self.figure_ = (left, right), left.figure
        return self

    def _draw(self, ax, cmap, im_kw):
        """Draw a row of images for each feature: its direction, then samples."""
        n_features, n_images, n_pixels = self.rows.shape
        images = as_images(self.rows.reshape(-1, n_pixels), self.image_shape)
        axes = tuple(range(1, images.ndim))
        low, high = (
            each(images, axis=axes, keepdims=True, initial=bound, where=~np.isnan(images))
            for each, bound in ((np.min, np.inf), (np.max, -np.inf))
        )
        with np.errstate(invalid="ignore"):
            images = (images - low) / np.where(high > low, high - low, 1)
        draw_images(ax, images, n_images, (0, 1), cmap=cmap, im_kw=im_kw)
        ax.set_title("Directions (left), and samples with the largest codes")

    def _write(self, ax):
        """Write a line of words for each feature."""
        for place, (feature, words) in enumerate(zip(self.features, self.words)):
            text = ", ".join(f"{word} {weight:.2f}" for word, weight in words)
            line = f"{feature} ({self.frequencies[feature]:.1%}): {text}"
            height = 1 - (place + 0.5) / len(self.features)
            drawn = ax.text(0, height, line, va="center", fontsize="small", transform=ax.transAxes)
            # A long line must not shrink the other axes.
            drawn.set_in_layout(False)
        ax.set_title("Feature (share of samples): words with their weights", loc="left")


def _pair():
    left = new_axes(None)
    figure = left.figure
    left.remove()
    figure.set_size_inches(11, 4.5)
    return figure.subplots(1, 2, width_ratios=(1, 2.5))


def _checked_features(features, n_components):
    """Return indices of features as an array; raise if one is invalid."""
    features = np.asarray(features)
    whole = features.ndim == 1 and features.size and features.dtype.kind in "iu"
    if not whole or features.min() < 0 or features.max() >= n_components:
        raise ValueError(
            f"features must be a sequence of integers from 0 to {n_components - 1}; got {features!r}."
        )
    return features


def _rows(estimator, X, features, directions, n_samples):
    """Return the direction and the strongest samples of each feature."""
    images = drawable(X)
    rows = np.full((len(features), 1 + n_samples, images.shape[1]), np.nan)
    rows[:, 0] = directions
    for place, feature in enumerate(features):
        # The original X: a data frame has the names that fit saw.
        found = images[estimator.top_samples(X, int(feature), n_samples).indices]
        rows[place, 1 : 1 + len(found)] = found
    return rows


def _heaviest(weights, words, n_words):
    """Return, for each row, the words of largest weight and these weights, as fractions of the largest."""
    if weights.shape[1] != len(words):
        raise ValueError(
            f"words must name {weights.shape[1]} columns; got {len(words)}. With another transformer before the model, give its "
            "inverse_transform as to_words."
        )
    pairs = []
    for row in weights:
        order = np.argsort(-row, kind="stable")[:n_words]
        largest = max(row[order[0]], np.finfo(float).tiny)
        pairs.append([(str(words[j]), float(row[j] / largest)) for j in order if row[j] > 0])
    return pairs
