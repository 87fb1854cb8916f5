"""Spectrum of the Jacobian of the encoder."""

from typing import Any

import numpy as np

from .._arrays.namespace import in_numpy
from .._typing import AnyArray, Axes, Figure, MatrixLike, Self
from ..manifold import tangent_basis
from ._grid import attribute_of, new_axes


class SpectrumDisplay:
    """Mean singular values of the Jacobian of the encoder, largest first (Rifai et al. 2011, figure 2).

    Parameters
    ----------
    spectrum : ndarray of shape (n_values,)
        Singular values, the largest first.
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

    def __init__(self, *, spectrum: AnyArray, label: str) -> None:
        self.spectrum, self.label = spectrum, label

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        n_values: int | None = None,
        label: str | None = None,
        ax: Axes | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the spectrum of a fitted auto-encoder, averaged over X.

        Parameters
        ----------
        estimator : fitted auto-encoder
            Model whose spectrum is drawn.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        n_values : int, default=None
            Number of the largest values to draw, computed by :func:`tangent_basis` in much less time than all of them.
        label : str, default=None
            Name in the legend; the class name by default.
        ax : matplotlib axes, default=None
            Axes to draw in, such as those of another display to compare with; a new figure by default.
        line_kw : dict, default=None
            Passed on to ``Axes.plot``.

        Returns
        -------
        display : SpectrumDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        if n_values is None:
            cure = "give n_values of an encoder that tangent_basis takes"
            values = attribute_of(estimator, "singular_values", cure)(X)
        else:
            try:
                values = tangent_basis(estimator, X, n_values).singular_values
            except (TypeError, ValueError) as error:
                message = str(error).replace("n_tangents", "n_values")
                raise type(error)(message) from error
        spectrum = in_numpy(values).mean(axis=0, dtype=np.float64)
        display = cls(spectrum=spectrum, label=label or type(estimator).__name__)
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, ax: Axes | None = None, *, line_kw: dict[str, Any] | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        line_kw : dict, default=None
            Passed on to ``Axes.plot``.

        Returns
        -------
        display : SpectrumDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        ax = new_axes(ax)
        ranks = np.arange(1, len(self.spectrum) + 1)
        ax.plot(ranks, self.spectrum, **{"label": self.label, **(line_kw or {})})
        ax.set(xlabel="rank", ylabel="mean singular value of dh/dx", yscale="log")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
