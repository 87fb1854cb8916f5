"""Layers of a stack: defaults, checks, names, units and shapes."""

from dataclasses import fields
from numbers import Integral

from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from .._compat import StrOptions
from .._estimators.layer import NetworkLayer, check_layers, kind_of_units
from .._estimators.named_layers import check_names, of_widths
from .._estimators.supervised import MOST_UNITS
from .._estimators.training import TrainedModel
from .._estimators.units import plain_units
from .._estimators.validation import Need, changed_parameters
from .._warnings import warn
from ..autoencoders import ContractiveAE

# Training parameters that each layer has for itself when all are trained at once, or that change no result.
_OWN = {"solver", "learning_rate_init", "random_state", "verbose", "checkpoint", "resume"}

# Constraints of the parameters for the layers and their pre-training.
LAYERS = {
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


OF_NOISE_ABOVE = Need(
    "corrupted", "layers", "a DenoisingAE above the first layer", _has_noise_above
)


def warn_of_first_layer(layers):
    """Warn of parameters of layers above the first that have no effect, since all are trained as that one says."""
    names = {field.name for field in fields(TrainedModel)} - _OWN
    first = vars(layers[0][1])
    for name, layer in layers[1:]:
        changed = changed_parameters(layer).items()
        ignored = {key: value for key, value in changed if key in names and value != first[key]}
        if ignored:
            values = ", ".join(f"{key}={value!r}" for key, value in ignored.items())
            warn(
                f"{values} of the layer {name!r} has no effect: schedule='simultaneous' trains all layers as the parameters "
                "of the first one say."
            )


def default_layers(n_units):
    """Return two contractive auto-encoders, as in Rifai et al. 2011."""
    return [("low", ContractiveAE(n_units)), ("high", ContractiveAE(n_units))]


def chosen_layers(stack, n_units=MOST_UNITS):
    """Return the ``layers`` of ``stack``: default ones for None, contractive auto-encoders for widths.

    The default ones have ``n_units`` each.
    """
    if stack.layers is None:
        return default_layers(n_units)
    return of_widths(stack.layers, ContractiveAE)


def check_stack(stack):
    """Raise if ``layers`` are not layers, or cannot be stacked."""
    if stack.layers is None:
        return
    layers = chosen_layers(stack)
    check_layers(layers)
    check_names(stack)
    check_losses(layers)


def named(layers):
    """Return (name, estimator) pairs for ``layers``, estimators or widths, named as in ``make_pipeline``."""
    steps = [
        ContractiveAE(int(layer)) if isinstance(layer, Integral) else layer for layer in layers
    ]
    return [(name.replace("-", ""), clone(step)) for name, step in make_pipeline(*steps).steps]


def layer_shapes(layers):
    """Return widths and activations of the whole encoder.

    Returns
    -------
    shapes : list of (int, str)
        From the input to the code.
    """
    pairs = [pair for _, layer in layers for pair in layer.layer_shapes()]
    widths, activations = zip(*pairs)
    return widths, activations


def ties(layer):
    """Return whether the decoder of ``layer`` is tied to its encoder."""
    return isinstance(layer, NetworkLayer) and layer.layer_training().tied


def units_of(layer, X, frame, sample_weight):
    """Return the ``Units`` in which ``layer`` sees the validated ``X``, which the user gave as ``frame``."""
    if isinstance(layer, NetworkLayer):
        return layer.layer_training().make_units(X, frame, sample_weight)
    return plain_units(X.shape[1])


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
