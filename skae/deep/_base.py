"""The one abstract base of unsupervised stacks: named layers, and their training one above the other."""

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import ClassVar, Literal

from .._compat import Interval, _BaseComposition
from .._estimators import named_layers
from .._estimators.fitted import FittedNetwork
from .._estimators.fitting import column_names, fit_data
from .._estimators.needs import LEVEL_NEED, SWAP_NEED
from .._estimators.supervised import NOISE_CONSTRAINTS
from .._estimators.training import TrainedModel
from .._typing import Corruption, NamedLayers, Schedule
from ._layers import LAYER_CONSTRAINTS, NOISE_ABOVE_NEED, chosen_layers, units_of
from ._pretraining import layers_in_training, pretrain


@dataclass(kw_only=True, eq=False, repr=False)
class BaseStack(TrainedModel, FittedNetwork, _BaseComposition, ABC):
    """Base of unsupervised stacks; the parameters of ``TrainedModel`` apply to training all layers together."""

    layers: Sequence[int] | NamedLayers | None = field(default=None, kw_only=False)
    schedule: Literal["greedy", "simultaneous"] = "greedy"
    corrupted: Literal["code", "input"] = "code"
    corruption: Literal["auto"] | Corruption = "auto"
    corruption_level: float = 0.3
    weight_decay: float = 0.0
    learning_rate_init: float = 3e-3
    learning_rate: Schedule = "cosine"
    batch_size: int = 64
    max_iter: int | Literal["auto"] = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        **LAYER_CONSTRAINTS,
        **NOISE_CONSTRAINTS,
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    _needs: ClassVar[tuple] = (NOISE_ABOVE_NEED, LEVEL_NEED, SWAP_NEED)

    get_params, set_params = named_layers.get_params, named_layers.set_params
    named_layers_, _sk_visual_block_ = named_layers.named_layers_, named_layers.visual_block
    _layers_in_training = layers_in_training

    @property
    def n_iter_(self) -> int:
        """The number of epochs of the joint training; without one, the largest number of a layer: int."""
        n_epochs = super().n_iter_
        return n_epochs or max(getattr(layer, "n_iter_", 0) for _, layer in self.layers_)

    def _validated_data(self, frame, sample_weight):
        """Return the ``FitData`` of X, and the ``Units`` in which the first layer sees it."""
        data = fit_data(self, frame, sample_weight)
        first = chosen_layers(self)[0][1]
        units = units_of(first, data)
        units.check(data.X, column_names(self, data.X), warns=False)
        return data, units

    def _pretrain(self, state, data, n_more):
        """Fit the layers to ``data``, and put their weights into ``state``.

        Return the ``Callbacks`` of the fit, which are to be closed after ``n_more`` trainings.
        """
        layers = self._layers_in_training(state, data, n_more)
        try:
            pretrain(self, layers)
        finally:
            self._set_state(state)
        return layers.callbacks
