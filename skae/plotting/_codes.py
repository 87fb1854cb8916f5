"""Codes as points in the plane."""

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils import column_or_1d

from .._arrays.powers import power_of_two
from .._estimators.subestimators import plain_codes
from .._typing import AnyArray, ArrayLike, Axes, Figure, MatrixLike, Self
from ._grid import codes_of, new_axes

_MAX_CLASSES = 20
_COLORS = {"c", "color", "facecolor"}  # options of Axes.scatter
_CLASS_COLORS = ("tab10", 10), ("tab20", 20)


class CodeDisplay:
    """Scatter plot of two-dimensional codes, or of the first two principal components of wider codes.

    Parameters
    ----------
    points : ndarray of shape (n_samples, 2)
        Coordinates of the samples.
    y : ndarray of shape (n_samples,) or None
        Classes or numbers that determine the colors.
    names : (str, str)
        Labels of the axes.

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
        points: AnyArray,
        y: ArrayLike | None = None,
        names: tuple[str, str] = ("code 1", "code 2"),
    ) -> None:
        self.points, self.y, self.names = points, y, names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        y: ArrayLike | None = None,
        *,
        components: tuple[int, int] | None = None,
        ax: Axes | None = None,
        cmap: Any = None,
        scatter_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the codes of X.

        Parameters
        ----------
        estimator : fitted estimator
            Estimator with ``transform``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,), default=None
            Classes, shown by a legend, or numbers, shown by a color bar; samples without one (NaN) are gray.
        components : (int, int), default=None
            Indices of the two components of the code to draw. None draws a two-dimensional code as it is, and the first
            two principal components of any other.
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default=None
            Colormap, by default ``'tab10'``, ``'tab20'`` or ``'turbo'`` for classes and ``'viridis'`` for numbers.
        scatter_kw : dict, default=None
            Passed on to ``Axes.scatter``.

        Returns
        -------
        display : CodeDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        points, names = _in_the_plane(codes_of(estimator, X), components)
        return cls(points=points, y=y, names=names).plot(ax=ax, cmap=cmap, scatter_kw=scatter_kw)

    def plot(
        self, ax: Axes | None = None, *, cmap: Any = None, scatter_kw: dict[str, Any] | None = None
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default=None
            Colormap, by default ``'tab10'``, ``'tab20'`` or ``'turbo'`` for classes and ``'viridis'`` for numbers.
        scatter_kw : dict, default=None
            Passed on to ``Axes.scatter``.

        Returns
        -------
        display : CodeDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        y = None if self.y is None else _checked_y(self.y, len(self.points))
        options = _with_defaults(scatter_kw)
        colors = sorted(_COLORS & options.keys())
        if colors and y is not None:
            raise ValueError(f"scatter_kw has {colors}, but colors show y: give cmap, or no y.")
        ax = new_axes(ax)
        if y is None:
            ax.scatter(*self.points.T, **options)
        elif _are_classes(y):
            classes, colors = _numbered(y)
            cmap = cmap or next(
                (name for name, most in _CLASS_COLORS if len(classes) <= most), "turbo"
            )
            drawn = ax.scatter(*self.points.T, c=colors, **{"cmap": cmap, **options})
            handles, _ = drawn.legend_elements(num=list(range(len(classes))))
            ax.legend(handles, list(map(str, classes)), fontsize="small")
        else:
            colors = {
                "cmap": _with_gray(options.pop("cmap", cmap or "viridis")),
                "plotnonfinite": True,
            }
            drawn = ax.scatter(*self.points.T, c=y, **colors, **options)
            ax.figure.colorbar(drawn, ax=ax, label="y")
        ax.set(xlabel=self.names[0], ylabel=self.names[1], title="Codes")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _with_defaults(options):
    """Return options of ``Axes.scatter``, which may have other names such as ``linewidth``, with our defaults."""
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.collections import PathCollection

    return {"s": 12, "alpha": 0.7, "linewidth": 0, **normalize_kwargs(options, PathCollection)}


def _with_gray(cmap):
    """Return a colormap in which points without a number are gray: without a color they would not be seen."""
    from matplotlib import colormaps

    return colormaps.get_cmap(cmap).with_extremes(bad="lightgray")


def _in_the_plane(codes, components):
    """Return the two columns to draw, and their names."""
    width = codes.shape[1]
    if components is not None:
        chosen = np.asarray(components)
        whole = chosen.shape == (2,) and chosen.dtype.kind in "iu"
        if not whole or chosen.min() < 0 or chosen.max() >= width:
            raise ValueError(
                f"components must be two integers from 0 to {width - 1}; got {components!r}."
            )
        return codes[:, chosen], tuple(f"code {k + 1}" for k in chosen)
    if width == 2:
        return codes, ("code 1", "code 2")
    if width < 2 or len(codes) < 2:
        raise ValueError(
            f"codes of shape {codes.shape} have no two principal components: give two samples or more, and an estimator "
            "whose codes have two columns or more."
        )
    axes = ("first", "second")
    # Squares of huge codes would overflow.
    unit = float(power_of_two(np.max(np.abs(codes), initial=1, where=np.isfinite(codes))))
    scaled = codes / unit
    with np.errstate(invalid="ignore"):  # shares of no variance, if all codes are the same
        pca = PCA(2).fit(scaled)
    points = unit * plain_codes(pca, scaled)
    return points, tuple(f"{each} principal component" for each in axes)


def _checked_y(y, n_samples):
    y = column_or_1d(y)
    if len(y) != n_samples:
        raise ValueError(f"y must have a value for each of {n_samples} samples; got {len(y)}.")
    return y


def _numbered(y):
    """Return the classes in y, and the index of the class of each row."""
    try:
        return np.unique(y, return_inverse=True)
    except TypeError:  # labels of mixed types, such as strings and None or NaN
        return np.unique([str(label) for label in y], return_inverse=True)


def _are_classes(y):
    """Return whether y has few distinct values, or strings."""
    return y.dtype.kind not in "fiu" or len(np.unique(y)) <= _MAX_CLASSES
