"""A stack of layers without names."""

from numbers import Integral
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline

from ..autoencoders import ContractiveAE
from ._stacked import StackedAE


def make_stack(*layers: Any, **options: Any) -> StackedAE:
    """Return a :class:`StackedAE` whose layers are named after their classes, as in ``make_pipeline``.

    Parameters
    ----------
    *layers : estimator or int
        Layers from the lowest to the highest, which are cloned. An int stands for a :class:`ContractiveAE` of this
        width.
    **options : object
        Parameters of the stack.

    Returns
    -------
    stack : StackedAE
        Unfitted stack.

    Raises
    ------
    ValueError
        If there is no layer.
    TypeError
        If a layer is neither an estimator nor a width.

    Examples
    --------
    >>> from skae import DenoisingAE, make_stack
    >>> stack = make_stack(DenoisingAE(100), 50, fine_tune="reconstruction")
    >>> [name for name, _ in stack.layers]
    ['denoisingae', 'contractiveae']
    >>> stack.get_params()["contractiveae__n_components"]
    50
    """
    if not layers:
        raise ValueError("make_stack needs at least one layer, such as ContractiveAE(100) or 100.")
    for layer in layers:
        if not isinstance(layer, (Integral, BaseEstimator)):
            raise TypeError(f"layers of make_stack must be estimators or widths; got {layer!r}.")
    layers = [
        ContractiveAE(int(layer)) if isinstance(layer, Integral) else layer for layer in layers
    ]
    steps = make_pipeline(*layers).steps
    return StackedAE([(name.replace("-", ""), clone(step)) for name, step in steps], **options)
