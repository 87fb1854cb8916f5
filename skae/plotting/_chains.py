"""States of Markov chains as images."""

from collections.abc import Callable
from typing import Any

import numpy as np

from .._arrays.namespace import dense
from .._estimators.fitting import check_counts
from .._typing import AnyArray, ArrayLike, Axes, Figure, MatrixLike, RandomState, Self
from ..generative import sample_walkback
from ._grid import as_images, draw_sheet, drawable, limits_of, shape_of


class ChainDisplay:
    """Chains of images, one per row, from the first state on the left to the last on the right.

    Parameters
    ----------
    states : ndarray of shape (n_states, n_chains, n_features)
        States as :func:`skae.generative.sample_walkback` and the other samplers return them.
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

    def __init__(self, *, states: AnyArray, image_shape: tuple[int, ...]) -> None:
        self.states, self.image_shape = states, image_shape

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: MatrixLike,
        *,
        sampler: Callable[..., Any] = sample_walkback,
        n_steps: int = 100,
        n_states: int = 10,
        image_shape: tuple[int, ...] | None = None,
        random_state: RandomState = None,
        ax: Axes | None = None,
        cmap: Any = "gray",
        im_kw: dict[str, Any] | None = None,
        **options: Any,
    ) -> Self:
        """Draw chains of a fitted model that start at the rows of X.

        Parameters
        ----------
        estimator : fitted auto-encoder, StackedAE or RecurrentAE
            Model that the sampler takes.
        X : {array-like, sparse matrix} of shape (n_chains, n_features)
            Initial states of the chains, drawn on the left.
        sampler : callable, default=sample_walkback
            A function of :mod:`skae.generative`, such as :func:`~skae.generative.sample_chain`.
        n_steps : int, default=100
            Number of steps of each chain.
        n_states : int, default=10
            Maximum number of equally spaced states to draw.
        image_shape : tuple of int, default=None
            Height and width, and 3 for color channels; square by default.
        random_state : int, RandomState instance or None, default=None
            Random seed of the chains.
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap of gray images.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.
        **options : object
            Passed on to the sampler, such as ``sigma``.

        Returns
        -------
        display : ChainDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        if not callable(sampler):
            raise TypeError(f"sampler must be a function of skae.generative; got {sampler!r}.")
        start, rows = drawable(X), dense(X)
        states = sampler(estimator, rows, n_steps, random_state=random_state, **options)
        drawn = {"start": start, "n_chains": len(start), "n_states": n_states}
        return cls.from_states(
            states, image_shape=image_shape, ax=ax, cmap=cmap, im_kw=im_kw, **drawn
        )

    @classmethod
    def from_states(
        cls,
        states: ArrayLike,
        *,
        start: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
        n_chains: int = 8,
        n_states: int = 10,
        ax: Axes | None = None,
        cmap: Any = "gray",
        im_kw: dict[str, Any] | None = None,
    ) -> Self:
        """Draw equally spaced states of some chains.

        Parameters
        ----------
        states : array-like of shape (n_states, n_chains, n_features)
            States as the samplers of :mod:`skae.generative` return them.
        start : array-like of shape (n_chains, n_features), default=None
            Initial states of the chains, drawn on the left.
        image_shape : tuple of int, default=None
            Height and width, and 3 for color channels; square by default.
        n_chains, n_states : int, default=8 and 10
            Maximum number of chains, and of states of each, to draw.
        ax : matplotlib axes, default=None
            Axes to draw in; a new figure by default.
        cmap : str or Colormap, default='gray'
            Colormap of gray images.
        im_kw : dict, default=None
            Passed on to ``Axes.imshow``.

        Returns
        -------
        display : ChainDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        states = np.asarray(states)
        if states.ndim != 3 or 0 in states.shape:
            raise ValueError(
                f"states must be (n_states, n_chains, n_features), none of them 0; got shape {states.shape}."
            )
        check_counts(n_chains=n_chains, n_states=n_states)
        shape = shape_of(image_shape, states.shape[2])
        places = np.linspace(0, len(states) - 1, min(n_states, len(states))).round().astype(int)
        shown = states[places, :n_chains]
        if start is not None:
            start = np.asarray(start)
            if start.shape != states.shape[1:]:
                raise ValueError(
                    f"start must have the shape of a state, {states.shape[1:]}; got {start.shape}."
                )
            shown = np.concatenate([start[np.newaxis, :n_chains], shown])
        return cls(states=shown, image_shape=shape).plot(ax=ax, cmap=cmap, im_kw=im_kw)

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
        display : ChainDisplay
            The display, with ``ax_`` and ``figure_``.
        """
        n_states, n_chains, width = self.states.shape
        rows = self.states.transpose(1, 0, 2).reshape(n_chains * n_states, width)
        images, limits = as_images(rows, self.image_shape), limits_of(rows)
        title = "Chains, from left to right"
        ax = draw_sheet(ax, images, n_states, limits, title, cmap=cmap, im_kw=im_kw)
        self.ax_, self.figure_ = ax, ax.figure
        return self
