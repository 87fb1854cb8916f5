"""One pass through a fitted RBM: up to the means of its hidden units, or down to its visible units."""

import numpy as np

from ..nn.boltzmann import draw_visible, hidden_means, visible_logits


def upward_means(model, x, scale):
    """Return the means of the hidden units given scaled rows, with weights multiplied by ``scale``."""
    means = np.empty((len(x), model.n_outputs), x.dtype)
    hidden_means(model.params, x, means, scale)
    return means


def downward(model, hidden, rng=None):
    """Return draws of the columns of X given hidden units, or their means if ``rng`` is None."""
    out = np.empty((len(hidden), model.scaling.n_inputs), hidden.dtype)
    if rng is not None:
        draw_visible(model.params, model.loss, hidden, rng, out)
        return model.scaling.invert(out)
    visible_logits(model.params, hidden, out)
    return model.scaling.invert(model.loss.activate(out))
