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
    integral = INTEGRALS[model.network.activation_names[0]]
    deviations = z - model.params.decoder_biases[0]
    with np.errstate(over="ignore", invalid="ignore"):
        energies = _differences(integral, deviations, a)
        far = np.isnan(energies)  # both terms are infinite, as those of products may be
        if far.any():
            unit = np.abs(np.hstack([deviations[far], a[far]])).max(axis=1).astype(np.float64)
            scaled = (each[far] / unit[:, np.newaxis] for each in (deviations, a))
            energies[far] = _differences(integral, *scaled) * unit * unit
    return energies


def _differences(integral, deviations, a):
    """Return half the squared norms of the deviations minus the integrals at the pre-activations a."""
    integrals = integral(a).sum(axis=1, dtype=np.float64)
    return _half_square(deviations).sum(axis=1, dtype=np.float64) - integrals
