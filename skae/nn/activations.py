"""The activations that a layer can have."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._kernels import activations as kernels


class Activation(NamedTuple):
    """An elementwise function: its code in the kernels, the kernel that applies it in place, and s'(0)."""

    kind: int
    kernel: Callable
    slope_at_zero: float

    def apply(self, a, bias, rows=slice(None), units=slice(None)):
        """a <- s(a + bias), in some rows and the columns ``units``."""
        start, stop, _ = units.indices(a.shape[1])
        self.kernel(a[rows], bias, start, stop)


ACTIVATIONS = {
    "sigmoid": Activation(kernels.SIGMOID, kernels.sigmoid, 0.25),
    "tanh": Activation(kernels.TANH, kernels.tanh, 1.0),
    "relu": Activation(kernels.RELU, kernels.relu, 0.5),
    "softplus": Activation(kernels.SOFTPLUS, kernels.softplus, 0.5),
    "identity": Activation(kernels.IDENTITY, kernels.identity, 1.0),
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
