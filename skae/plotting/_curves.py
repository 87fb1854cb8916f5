"""Loss curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._typing import Axes, Figure, Self
from ._grid import attribute_of, new_axes


class LossCurveDisplay:
    """Loss of each epoch on training and held-out samples, and of each layer of a stack.

    Parameters
    ----------
    curves : dict of str to sequence of float
        Losses by epoch, for each name in the legend.

    Attributes
    ----------
    ax_ : matplotlib axes
        What it is drawn in.
    figure_ : matplotlib figure
        Its figure.
    """

    ax_: Axes
    figure_: Figure

    def __init__(self, *, curves: dict[str, Sequence[float]]) -> None:
        self.curves = curves

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        label: str | None = None,
        ax: Axes | None = None,
        line_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw the training objective of a fitted estimator by epoch.

        Parameters
        ----------
        estimator : fitted estimator of skae
            Estimator whose curves are drawn: for a stack, one of each layer, and one of the joint training if any.
        label : str, default=None
            Name in the legend; the class name by default.
        ax : matplotlib axes, default=None
            Axes to draw in, such as those of another display to compare with; a new figure by default.
        line_kw : dict, default=None
            Passed on to ``Axes.plot``.

        Returns
        -------
        display : LossCurveDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        cure = "give one that trains itself, such as the base_ of an AnomalyDetector or Imputer, or the stack_ of a DBN"
        own = attribute_of(estimator, "loss_curve_", cure)
        label = label or type(estimator).__name__
        curves = {
            f"{label}, layer {name}": layer.loss_curve_
            for name, layer in getattr(estimator, "named_layers_", {}).items()
        }
        curves[label] = own
        curves[f"{label}, held out"] = getattr(estimator, "validation_curve_", [])
        curves = {name: curve for name, curve in curves.items() if len(curve)}
        if not curves:
            raise ValueError(f"{label} was not trained: it has no epochs to draw.")
        return cls(curves=curves).plot(ax=ax, line_kw=line_kw)

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
        display : LossCurveDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        ax = new_axes(ax)
        for name, curve in self.curves.items():
            ax.plot(np.arange(1, len(curve) + 1), curve, **{"label": name, **(line_kw or {})})
        ax.set(xlabel="epoch", ylabel="loss")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
