"""Deep Boltzmann machines: layers x, h1, h2, ... each connected to the next; p proportional to exp of the sum.

Even layers are connected to odd layers only, so the machine is an RBM: its visible units are x and the even hidden
layers (here concatenated), its hidden units the odd layers. It has that RBM's parameters, samples and normalizer.
"""

from functools import partial

import numpy as np

from .._arrays.namespace import cast, namespace, row_products
from .._threads import product
from .activations import ACTIVATIONS
from .boltzmann import BoltzmannObjective
from .losses import Bernoulli, Reconstruction
from .network import Network


class DeepMachine:
    """Positions of the layers of a deep machine in its RBM.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the layers from the visible one up.
    """

    def __init__(self, sizes):
        self.sizes = tuple(sizes)
        ends = [0, 0]
        self.places = []  # slice of each layer among the units of its side
        for layer, size in enumerate(self.sizes):
            self.places.append(slice(ends[layer % 2], ends[layer % 2] + size))
            ends[layer % 2] += size
        self.network = Network(ends, "sigmoid")
        self.n_latent = ends[0] - self.sizes[0]

    def units(self, visible):
        """Return the units of the even layers: ``visible``, followed by the hidden ones."""
        latent = np.arange(self.sizes[0], self.network.sizes[0])
        return Reconstruction([*visible.parts, *([Bernoulli(latent)] if latent.size else [])])

    def block(self, weights, layer):
        """Return the view of the RBM's ``weights`` between ``layer`` and the one below, (upper, lower)."""
        upper, lower = self.places[layer], self.places[layer - 1]
        return weights[upper, lower] if layer % 2 else weights[lower, upper].T

    def bias(self, params, layer):
        """Return the view of the biases of ``layer``."""
        side = params.encoder_biases if layer % 2 else params.decoder_biases
        return side[0][self.places[layer]]

    def mask(self):
        """Return 1 where units are connected and 0 elsewhere; None if all are."""
        odd, even = self.network.sizes[1], self.network.sizes[0]
        mask = np.zeros((odd, even), np.float32)
        for layer in range(1, len(self.sizes)):
            self.block(mask, layer)[...] = 1
        return None if mask.all() else mask

    def objective(self, visible, n_mean_field_steps, **options):
        """Return the ``BoltzmannObjective`` of all layers with ``options``, above the units ``visible``."""
        infer = partial(self.mean_field, n_steps=n_mean_field_steps)
        options |= {"monitored": visible, "infer": infer, "mask": self.mask()}
        return BoltzmannObjective(self.network, self.units(visible), **options)

    def mean_field(self, params, states, odd, n_steps):
        """Fill ``odd`` with the means of odd layers, and ``states``, after its columns x, with those of even ones.

        The first pass up has no input from above. The fixed point of the later passes minimizes the free energy of
        independent units.
        """
        weights, bias = params.encoder_weights[0], params.encoder_biases[0]
        n_visible = self.sizes[0]
        latent, sigmoid = states[:, n_visible:], ACTIVATIONS["sigmoid"]
        pre_activations = product(states[:, :n_visible], weights[:, :n_visible].T)
        odd[...] = pre_activations
        sigmoid.forward(odd, bias)
        for _ in range(n_steps if self.n_latent else 0):
            means = product(odd, weights[:, n_visible:])
            sigmoid.forward(means, params.decoder_biases[0][n_visible:])
            latent[...] = means
            product(means, weights[:, n_visible:].T, odd)
            odd += pre_activations
            sigmoid.forward(odd, bias)

    def bounds(self, params, visible, states, odd):
        """Return a lower bound of each row's log p(x), up to the normalizer, at these means of the hidden units."""
        joint = row_products(odd, states @ params.encoder_weights[0].T, np.float64)
        linear = odd @ params.encoder_biases[0] + states @ params.decoder_biases[0]
        latent = states[:, self.sizes[0] :]
        base = visible.log_base(states[:, : self.sizes[0]])
        return cast(joint + linear + base + _entropies(latent) + _entropies(odd), odd.dtype)


def _entropies(means):
    """Return the entropy of each row of independent units, in float64."""
    xp = namespace(means)
    p = cast(means, xp.float64)
    return -xp.sum(_x_log_x(p) + _x_log_x(1 - p), axis=1)


def _x_log_x(p):
    xp = namespace(p)
    return p * xp.log(xp.where(p > 0, p, xp.ones_like(p)))
