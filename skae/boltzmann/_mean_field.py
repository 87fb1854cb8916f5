"""A fitted deep Boltzmann machine: its mean field at rows of X, and its weights."""

import numpy as np

from .._arrays.namespace import empty, like, zeros
from .._estimators.fitting import by_block
from ..nn.boltzmann import visible_logits
from ._passes import run_chains


class FittedMachine:
    """Deep Boltzmann machine with its parameters, scaling and visible units.

    Parameters
    ----------
    machine : DeepMachine
    flat : ndarray
        Parameters of the machine.
    units : Units
        Visible units and scaling of X.
    n_steps : int
        Number of mean-field steps.
    """

    def __init__(self, machine, flat, units, n_steps):
        self.machine, self.flat, self.units, self.n_steps = machine, flat, units, n_steps
        self.params, self.dtype = machine.network.views(flat), flat.dtype

    def moved(self, prototype):
        """Return the same machine with its parameters in the library and on the device of ``prototype``."""
        return FittedMachine(self.machine, like(self.flat, prototype), self.units, self.n_steps)

    def layer_means(self, x):
        """Return x next to the means of the even hidden layers, and the means of the odd layers, for scaled rows x."""
        n_even, n_odd = self.machine.network.sizes
        states, odd = zeros((x.shape[0], n_even), x), empty((x.shape[0], n_odd), x)
        beside_zeros(x, states)
        self.machine.mean_field(self.params, states, odd, self.n_steps)
        return states, odd

    def visible_means(self, odd):
        """Return the means of the columns of X given the odd layers."""
        logits = empty((odd.shape[0], self.machine.network.sizes[0]), odd)
        visible_logits(self.params, odd, logits)
        n_visible = self.machine.sizes[0]
        return self.units.scaling.invert(self.units.loss.activate(logits[:, :n_visible]))

    @property
    def even_units(self):
        """Reconstruction: the units of the even layers, beginning with those of X."""
        return self.machine.units(self.units.loss)

    def bounds(self, states, odd):
        """Return lower bounds on the unnormalized log densities."""
        return self.machine.bounds(self.params, self.units.loss, states, odd)

    def base_logits(self):
        """Return the logits of the even layers without the odd ones: base rates for X, 0 for hidden units."""
        hidden = np.zeros(self.machine.n_latent, self.dtype)
        return np.concatenate([self.units.base_logits.astype(self.dtype), hidden])

    def sample(self, n_chains, n_steps, X, means, rng):
        """Return the ends of Gibbs chains from the rows of X or, if it is None, from draws by the base rates."""
        if X is None:
            states = self.even_units.draws(self.base_logits(), n_chains, rng)
        else:
            states = self.layer_means(self.units.scaling.apply(X))[0]
        n_odd = self.machine.network.sizes[1]
        odd = run_chains(self.params, self.even_units, states, n_odd, n_steps, rng)
        if means:
            return self.visible_means(odd)
        return self.units.scaling.invert(states[:, : self.machine.sizes[0]])

    def weights(self):
        """Return the weights between neighboring layers."""
        weights = self.params.encoder_weights[0]
        return [self.machine.block(weights, n) for n in range(1, len(self.machine.sizes))]

    def biases(self):
        """Return the biases of each layer, from the visible one up."""
        return [self.machine.bias(self.params, n) for n in range(len(self.machine.sizes))]

    def encoder_parameters(self):
        """Return weights, bias and activation of each layer of one mean-field pass up, from ``input_rows``."""
        weights, biases = self.weights(), self.biases()
        lowest = np.hstack([weights[0], weights[1].T])
        return list(zip([lowest, *weights[1:]], biases[1:], ["sigmoid"] * len(weights)))

    def input_rows(self, X):
        """Return the rows of X next to the mean-field means of the second hidden layer."""
        width, rows = self.machine.sizes[0] + self.machine.sizes[2], self.units.scaling.rows(X)
        return by_block(rows, lambda x: self.layer_means(x)[0][:, :width], width)


def beside_zeros(rows, out):
    """Fill ``out`` with the rows, and with zeros for the layers to infer."""
    out[:, : rows.shape[1]] = rows
    out[:, rows.shape[1] :] = 0
