"""Layers of deep Boltzmann machines and belief networks."""

from .._estimators.subestimators import check_layers
from ._rbm import RBM


def check_machines(layers, least=1):
    """Raise unless ``layers`` is a list of at least ``least`` pairs (name, RBM) that can be stacked."""
    check_layers(layers)
    for name, layer in layers:
        if not isinstance(layer, RBM):
            raise TypeError(f"layers must be RBMs; {name!r} is {layer!r}.")
        if layer.gradient == "autoencoder" and least > 1:
            raise ValueError(
                f"gradient of the layer {name!r} must be 'cd' or 'pcd' in a DBM, whose pre-training doubles weights; 'autoencoder' cannot."
            )
    for name, layer in layers[1:]:
        if layer.visible not in ("auto", "bernoulli"):
            raise ValueError(
                f"visible of the layer {name!r} must be 'auto' or 'bernoulli', since it sees the hidden units "
                f"below; got {layer.visible!r}."
            )
    if len(layers) < least:
        raise ValueError(f"layers must have at least {least} RBMs; got {len(layers)}.")
