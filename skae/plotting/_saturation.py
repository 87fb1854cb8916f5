"""Distribution of codes."""

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from .._typing import AnyArray, Axes, Figure, MatrixLike, Self
from ._grid import codes_of, new_axes

_LOW, _HIGH = 0.05, 0.95


class SaturationDisplay:
    """Histogram of all codes: saturated units of a sigmoid have codes near 0 or 1 (Rifai et al. 2011, table 1).

    Parameters
    ----------
    shares : ndarray of shape (n_bins,)
        Fraction of the codes in each bin.
    edges : ndarray of shape (n_bins + 1,)
        Edges of the bins.
    label : str
        Name in the legend.

    Attributes
    ----------
    ax_ : matplotlib axes
        What it is drawn in.
    figure_ : matplotlib figure
        Its figure.
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, *, shares: AnyArray, edges: AnyArray, label: str) -> None:
        self.shares, self.edges, self.label = shares, edges, label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        n_bins: int = 50,
        label: str | None = None,
        ax: Axes | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the distribution of the codes of X.

        Parameters
        ----------
        estimator : fitted estimator
            Estimator with ``transform``.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        n_bins : int, default=50
            Number of bins of the histogram.
        label : str, default=None
            Name in the legend; by default, the class name, with the fraction of codes below 0.05 or above 0.95 if all
            are between 0 and 1.
        ax : matplotlib axes, default=None
            Axes to draw in, such as those of another display to compare with; a new figure by default.
        line_kw : dict, default=None
            Passed on to ``Axes.stairs``.

        Returns
        -------
        display : SaturationDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        check_scalar(n_bins, "n_bins", Integral, min_val=1)
        codes = codes_of(estimator, X).ravel()
        bounded = codes.min() >= 0 and codes.max() <= 1
        counts, edges = np.histogram(codes, n_bins, range=(0, 1) if bounded else None)
        if label is None:
            label = type(estimator).__name__
            if bounded:
                saturated = np.mean((codes < _LOW) | (codes > _HIGH))
                label = f"{label}: {saturated:.0%} saturated"
        display = cls(shares=counts / counts.sum(), edges=edges, label=label)
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, ax: Axes | None = None, *, line_kw: dict[str, Any] | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        line_kw : dict, default=None
            Passed on to ``Axes.stairs``.

        Returns
        -------
        display : SaturationDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        ax = new_axes(ax)
        ax.stairs(self.shares, self.edges, **{"label": self.label, **(line_kw or {})})
        ax.set(xlabel="code", ylabel="share of codes", title="Saturation")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
