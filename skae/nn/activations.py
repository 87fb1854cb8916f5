"""The activations that a layer can have."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._kernels import activations as kernels


class Activation(NamedTuple):
    """An elementwise function: its code in the kernels, and the kernel that applies it in place."""

    kind: int
    kernel: Callable

    def apply(self, a, bias, rows=slice(None), units=slice(None)):
        """a <- s(a + bias), in some rows and the columns ``units``."""
        start, stop, _ = units.indices(a.shape[1])
        self.kernel(a[rows], bias, start, stop)


ACTIVATIONS = {
    "sigmoid": Activation(kernels.SIGMOID, kernels.sigmoid),
    "tanh": Activation(kernels.TANH, kernels.tanh),
    "relu": Activation(kernels.RELU, kernels.relu),
    "softplus": Activation(kernels.SOFTPLUS, kernels.softplus),
    "identity": Activation(kernels.IDENTITY, kernels.identity),
}


def initial_bound(activation, fan_in, fan_out, decoder):
    """Half-width of the uniform initial weights: He et al. 2015 for relu, Glorot & Bengio 2010 for the rest.

    Their factor 4 for sigmoids is for networks without a decoder, which learn badly otherwise. With one it trains no
    better, and its noise stays visible in the filters.
    """
    if activation in ("relu", "softplus"):
        return np.sqrt(6 / fan_in)
    factor = 4 if activation == "sigmoid" and not decoder else 1
    return factor * np.sqrt(6 / (fan_in + fan_out))
