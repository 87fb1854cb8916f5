"""Joint training of the layers of a deep Boltzmann machine, and pre-training of each."""

from functools import partial

from .._estimators.fitting import by_block, is_fitted
from ..nn.boltzmann import BoltzmannObjective
from ._passes import upward_means


def double_weights(layers):
    """Double, in place, the weights of ``layers`` towards each side that will have a second neighboring layer."""
    for number, (_, layer) in enumerate(layers):
        layer.scales = (1 if number == len(layers) - 1 else 2, 2 if number else 1)
    return layers


def pretrain(layers, machine, params, rows, weights, first_data):
    """Fit each layer on the codes of the one below, the first on ``first_data``, and copy it into ``params``."""
    for number, (_, layer) in enumerate(layers, 1):
        X, sample_weight = first_data if number == 1 else (rows, weights)
        try:
            layer.fit(X, sample_weight=sample_weight)
        finally:
            if is_fitted(layer):
                _take(layer, number, machine, params)
        if number < len(layers):
            upward = partial(upward_means, layer.model_, scale=layer.scales[0])
            rows = by_block(rows, upward, layer.n_components)


def _take(layer, number, machine, params):
    """Copy a fitted layer into ``params``."""
    fitted = layer.model_.params
    decoder_bias = fitted.decoder_biases[0]
    machine.block(params.encoder_weights[0], number)[...] = fitted.encoder_weights[0]
    machine.bias(params, number)[...] = fitted.encoder_biases[0]
    below = machine.bias(params, number - 1)
    # A hidden layer was the upper layer of one RBM and the lower one of another, each with a bias.
    below[...] = (below + decoder_bias) / 2 if number > 1 else decoder_bias


def joint_objective(machine, loss, *, n_mean_field_steps, **options):
    """Return the ``BoltzmannObjective`` of all layers with ``options``, which infers the hidden layers by mean field."""

    def infer(params, states, odd):
        machine.mean_field(params, states, odd, n_mean_field_steps)

    return BoltzmannObjective(
        machine.network,
        machine.units(loss),
        monitored=loss,
        infer=infer,
        mask=machine.mask(),
        **options,
    )
