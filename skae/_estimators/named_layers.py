"""Methods of an estimator whose parameter ``layers`` is a list of (name, estimator), like the steps of a Pipeline.

A class takes these functions as methods, and derives from scikit-learn's ``_BaseComposition``::

    get_params, set_params = named_layers.get_params, named_layers.set_params
    named_layers_ = named_layers.named_layers_
    _sk_visual_block_ = named_layers.visual_block
"""

from numbers import Integral
from typing import Any

from sklearn.utils import Bunch

from .._compat import _VisualBlock
from .._typing import Estimator
from .parameters import check_parts


def get_params(self, deep: bool = True) -> dict[str, Any]:
    """Return the parameters of the stack and, as ``name__parameter``, of its layers.

    Parameters
    ----------
    deep : bool, default=True
        Whether to return the parameters of the layers too.

    Returns
    -------
    params : dict
        Parameters by name.
    """
    return self._get_params("layers", deep=deep)


def set_params(self: Estimator, **params: Any) -> Estimator:
    """Set parameters of the stack, whole layers by their names, or parameters of layers.

    Parameters
    ----------
    **params : dict
        Parameters by name.

    Returns
    -------
    self : object
        The estimator.

    Raises
    ------
    ValueError
        If there is no such parameter, or ``layers`` stands for the name of a layer.
    """
    _check_names_a_layer(self, params)
    check_parts(self, params)
    self._set_params("layers", **params)
    return self


def _check_names_a_layer(stack, params):
    """Raise if one of ``params`` is ``layers__parameter``, which names no layer."""
    key = next((each for each in params if each.startswith("layers__")), None)
    if key is None:
        return
    layers, parameter = params.get("layers", stack.layers), key.rpartition("__")[2]
    if isinstance(layers, (list, tuple)) and layers and isinstance(layers[0], (list, tuple)):
        name, missing = layers[0][0], ""
    else:
        name = "low"
        missing = f", and layers={layers!r} has none: set it to a list of (name, estimator)"
    raise ValueError(
        f"{key} cannot be set: a parameter of a layer is set by the layer's name, as in {name}__{parameter}{missing}."
    )


@property
def named_layers_(self) -> Bunch:
    """The layers after pre-training, by name: Bunch."""
    return Bunch(**dict(self.layers_))


def visual_block(self):
    """Return what the HTML of a notebook shows: the layers, one below the other."""
    # Widths have no estimator to show before they are fitted.
    layers = [entry for entry in self.layers or [] if isinstance(entry, (tuple, list))]
    names = [f"{name}: {type(layer).__name__}" for name, layer in layers]
    return _VisualBlock(
        "serial",
        [layer for _, layer in layers],
        names=names,
        name_details=[str(layer) for _, layer in layers],
    )


def check_names(stack):
    """Raise if names of layers are not unique, or are names of parameters; widths have none."""
    if are_widths(stack.layers):
        return
    stack._validate_names([name for name, _ in stack.layers])


def of_widths(layers, Layer):
    """Return named layers of the class ``Layer`` for a list of widths, and other ``layers`` as they are."""
    if not are_widths(layers):
        return layers
    return [(f"layer{number}", Layer(int(width))) for number, width in enumerate(layers)]


def are_widths(layers):
    """Return whether ``layers`` are one or more integers."""
    widths = [isinstance(layer, Integral) and not isinstance(layer, bool) for layer in layers]
    return bool(widths) and all(widths)
