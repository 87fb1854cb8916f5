"""Passes through a fitted machine: up to the means of hidden units, down to visible units, or back and forth."""

import numpy as np

from .._threads import team
from ..nn.boltzmann import draw_visible, gibbs_step, hidden_means, visible_logits


def upward_means(model, x, scale):
    """Return the means of the hidden units given scaled rows, with weights multiplied by ``scale``."""
    means = np.empty((len(x), model.n_outputs), x.dtype)
    hidden_means(model.params, x, means, scale)
    return means


def visible_means(model, hidden):
    """Return the means of the columns of X given hidden units."""
    logits = np.empty((len(hidden), model.scaling.n_inputs), hidden.dtype)
    visible_logits(model.params, hidden, logits)
    return model.scaling.invert(model.loss.activate(logits))


def visible_draws(model, hidden, rng):
    """Return draws of the columns of X given hidden units."""
    draws = np.empty((len(hidden), model.scaling.n_inputs), hidden.dtype)
    draw_visible(model.params, model.loss, hidden, rng, draws)
    return model.scaling.invert(draws)


def run_chains(params, units, visible, n_hidden, n_steps, rng):
    """Make Gibbs steps, which change the states ``visible`` of the ``units``, in place; return the last hidden units."""
    codes, hidden = np.empty((2, len(visible), n_hidden), visible.dtype)
    with team():
        for _ in range(n_steps):
            gibbs_step(params, units, visible, codes, hidden, rng)
    return hidden
