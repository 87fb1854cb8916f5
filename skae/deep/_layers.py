"""Layers of a stack: defaults, checks, names, units and shapes."""

from .._compat import StrOptions
from .._estimators.layer import NetworkLayer, check_layers, kind_of_units
from .._estimators.named_layers import check_names, of_widths
from .._estimators.needs import Need
from .._estimators.supervised import MOST_UNITS
from .._estimators.units import plain_units
from ..autoencoders import ContractiveAE

LAYER_CONSTRAINTS = {
    "layers": [list, tuple, None],
    "schedule": [StrOptions({"greedy", "simultaneous"})],
    "corrupted": [StrOptions({"code", "input"})],
}


def _has_noise_above(stack):
    """Return whether a layer above the first adds noise to its input; those without a network are refused later."""
    check_stack(stack)
    layers = [layer for _, layer in chosen_layers(stack)[1:]]
    return any(
        not isinstance(layer, NetworkLayer) or layer.layer_training().make_noise is not None
        for layer in layers
    )


NOISE_ABOVE_NEED = Need(
    "corrupted", "layers", "a DenoisingAE above the first layer", _has_noise_above
)


def default_layers(widths):
    """Return one or two contractive auto-encoders, as in Rifai et al. 2011."""
    return [(name, ContractiveAE(width)) for name, width in zip(("low", "high"), widths)]


def chosen_layers(stack, widths=(MOST_UNITS, MOST_UNITS)):
    """Return the ``layers`` of ``stack``: default ones for None, contractive auto-encoders for widths.

    The default ones have ``widths`` units.
    """
    if stack.layers is None:
        return default_layers(widths)
    return of_widths(stack.layers, ContractiveAE)


def check_stack(stack):
    """Raise if ``layers`` are not layers, or cannot be stacked."""
    if stack.layers is None:
        return
    layers = chosen_layers(stack)
    check_layers(layers)
    check_names(stack)
    check_losses(layers)


def encoder_shape(layers):
    """Return the widths and the activations of the whole encoder, from the input to the code."""
    pairs = [pair for _, layer in layers for pair in layer.layer_shapes()]
    widths, activations = zip(*pairs)
    return widths, activations


def ties(layer):
    """Return whether the decoder of ``layer`` is tied to its encoder."""
    return isinstance(layer, NetworkLayer) and layer.layer_training().tied


def units_of(layer, data):
    """Return the ``Units`` in which ``layer`` sees the X of ``data``."""
    if isinstance(layer, NetworkLayer):
        return layer.layer_training().make_units(data)
    return plain_units(data.X.shape[1])


def check_losses(layers):
    """Raise if a layer above the first has a loss that does not suit codes."""
    for name, layer in layers[1:]:
        loss = kind_of_units(layer)
        if loss not in ("auto", "gaussian", "bernoulli"):
            raise ValueError(
                f"{layer.layer_training().units_parameter} of the layer {name!r} must be 'auto', 'gaussian' or 'bernoulli', since its input is "
                f"the code below; got {loss!r}."
            )


def downward(layers):
    """Return the activations of the hidden layers of a decoder that joins the decoders of all layers."""
    names = []
    for number, (_, layer) in enumerate(layers):
        activations = [activation for _, activation in layer.layer_shapes()]
        names += activations[:-1]
        if number < len(layers) - 1:
            above = kind_of_units(layers[number + 1][1])
            linear = "relu" if activations[-1] == "relu" else "identity"
            names.append("sigmoid" if above == "bernoulli" else linear)
    return tuple(names)
