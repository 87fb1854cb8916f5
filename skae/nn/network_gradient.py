"""The gradient of a network for plain gradient descent, which needs no array of the size of the weights."""

from .._arrays.namespace import empty_like, scalar
from .._arrays.products import few_terms, multiplier
from .._protocols import FactoredGradient


class NetworkGradient(FactoredGradient):
    """Gradients of biases, and those of weights as products of few rows.

    Parameters
    ----------
    network : Network
    params : ndarray
        The flat parameters, or an array like them.

    Attributes
    ----------
    views : Params
        What the backward pass fills.
    """

    def __init__(self, network, params):
        self._biases, self._flat = network.biases, empty_like(params)
        self.views = network.views(self._flat)
        self.views.left = []

    def descend(self, params, rate):
        """Subtract the gradient times ``rate`` from ``params``, the parameters where it was computed."""
        rate = scalar(rate, params)
        for gradient in self.views.left:
            gradient.descend(rate)
        params[self._biases] -= rate * self._flat[self._biases]


def has_products_of_few_rows(network, params, batch_size):
    """Return whether gradients of some weights, in batches of this size, are such products."""
    n_terms = 2 * batch_size if network.decoder else batch_size
    weights = network.views(params).encoder_weights
    return any(multiplier(each, n_terms) is few_terms for each in weights)
