"""The energy of a network with tied weights, whose activations have known integrals."""

import numpy as np


def _softplus(a):
    return np.logaddexp(0, a)


def _log_cosh(a):
    return np.logaddexp(a, -a) - np.log(2)


def _half_square(a):
    return np.square(a) / 2


def _half_square_of_positive(a):
    return np.square(np.maximum(a, 0)) / 2


# For each activation, its integral.
INTEGRALS = {
    "sigmoid": _softplus,
    "tanh": _log_cosh,
    "relu": _half_square_of_positive,
    "identity": _half_square,
}


def pre_activations(params, z):
    """Return Wz + b."""
    return z @ params.encoder_weights[0].T + params.encoder_biases[0]


def energies_at(model, z, a):
    """Return E at z, in multiples of the noise, from the pre-activations a."""
    integrals = INTEGRALS[model.network.names[0]](a).sum(axis=1, dtype=np.float64)
    return (
        _half_square(z - model.params.decoder_biases[0]).sum(axis=1, dtype=np.float64) - integrals
    )
