"""Steps on the parameters of a centered machine, from whose inputs their means are subtracted (Montavon & Müller 2012)."""

from .._arrays.namespace import Constant
from .._threads import ELEMENT, share


class CenteredSteps:
    """The steps of ``solver`` on W and b + W mean, instead of the weights W and the biases b.

    The units of the first layer have the same inputs W (x - mean) + (b + W mean), but a step of W does not shift them
    all at once. If most inputs are on, as in noisy pictures, the shifts of plain steps turn off every unit for good.

    Parameters
    ----------
    solver : solver
    network : Network
        The network whose parameters come first in the flat vector.
    means : ndarray of shape (n_inputs,)
    mask : ndarray or None
        Mask of the weights: 0 where there is no connection.
    """

    def __init__(self, solver, network, means, mask=None):
        self._solver, self._network = solver, network
        self._means, self._mask = Constant(means), None if mask is None else Constant(mask)

    def step(self, params, grad, state, learning_rate):
        """Move ``params`` and ``state`` by one step, in place."""
        weights, bias = self._first_layer(params)
        means = self._means.like(params)
        self._center(grad, means)
        before = weights @ means
        self._solver.step(params, grad, state, learning_rate)
        bias[...] -= weights @ means - before

    def _first_layer(self, flat):
        views = self._network.views(flat[: self._network.size])
        return views.encoder_weights[0], views.encoder_biases[0]

    def _center(self, grad, means):
        """Turn the gradient by W at fixed b into the one at fixed b + W mean, in place."""
        weights, bias = self._first_layer(grad)
        mask = None if self._mask is None else self._mask.like(grad)

        def work(units):
            shift = bias[units][:, None] * means
            weights[units, ...] -= shift if mask is None else shift * mask[units, ...]

        share(work, weights.shape[0], ELEMENT * weights.shape[1])
