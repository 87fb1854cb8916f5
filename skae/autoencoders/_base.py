"""The one abstract base of the auto-encoders: parameters and training, everything but the objective."""

from abc import ABC
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

from .._compat import StrOptions
from ..nn.activations import ACTIVATIONS
from ..nn.losses import LOSSES
from ._fitted import FittedAutoEncoder
from ._units import make_units
from ._unsupervised import UnsupervisedModel


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoEncoder(UnsupervisedModel, FittedAutoEncoder, ABC):
    """Parameters and training, shared by all auto-encoders."""

    hidden_layer_sizes: tuple = ()
    activation: str = "sigmoid"
    tied_weights: bool = True
    loss: object = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **UnsupervisedModel._parameter_constraints,
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "tied_weights": ["boolean"],
        "loss": [StrOptions({"auto", *LOSSES}), list],
    }

    def _make_units(self, X, frame, sample_weight):
        return make_units(self.loss, X, frame, sample_weight, standardize=self.standardize)

    def _layer_shapes(self):
        """Return width and activation of each layer of the encoder, from the parameters."""
        hidden = tuple(self.hidden_layer_sizes)
        if not all(isinstance(size, Integral) and size >= 1 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must hold integers >= 1; got {hidden!r}.")
        return [(width, self.activation) for width in (*hidden, self.n_components)]

    def _decoder(self):
        return "tied" if self.tied_weights else "untied"
