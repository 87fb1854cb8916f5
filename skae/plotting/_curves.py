"""The loss by epochs."""

from typing import Any

import numpy as np

from .._typing import Axes, Self
from ._grid import method_of, new_axes


class LossCurveDisplay:
    """Loss of each epoch, on training and on held-out samples; of a stack also of each layer.

    Parameters
    ----------
    curves : dict of str to sequence of float
        Losses by epoch, by the name in the legend.
    """

    def __init__(self, *, curves):
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
        """Draw what a fitted estimator minimized, epoch by epoch.

        Parameters
        ----------
        estimator : fitted estimator of skae
            A stack has a curve for each layer, and one for the joint training, if there was any.
        label : str, default=None
            Name in the legend; the class name by default.
        ax : matplotlib axes, default=None
            Give the axes of another display to compare.
        line_kw : dict, default=None
            Passed on to ``Axes.plot``.

        Returns
        -------
        display : LossCurveDisplay
            What was drawn, with ``ax_`` and ``figure_``.
        """
        own = method_of(estimator, "loss_curve_", "give a fitted estimator of skae")
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

    def plot(self, ax: Axes | None = None, *, line_kw: Any = None) -> Self:
        """Draw, and return what was drawn.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        line_kw : dict, default=None
            Passed on to ``Axes.plot``.

        Returns
        -------
        display : LossCurveDisplay
            With ``ax_`` and ``figure_``.
        """
        ax = new_axes(ax)
        for name, curve in self.curves.items():
            ax.plot(np.arange(1, len(curve) + 1), curve, **{"label": name, **(line_kw or {})})
        ax.set(xlabel="epoch", ylabel="loss")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
