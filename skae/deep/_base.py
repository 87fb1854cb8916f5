"""The one abstract base of stacks: named layers, and their training one above the other."""

import os
from abc import ABC
from dataclasses import dataclass, field
from numbers import Real
from typing import ClassVar

from sklearn.utils import check_random_state

from .._compat import Interval, StrOptions
from .._estimators.fitting import DTYPES, column_names, counted_rows, validated_rows
from .._estimators.parts import NamedLayers, check_layers, copies, for_parts
from .._estimators.supervised import NoisyInputs
from .._estimators.training import TrainedModel
from ._layers import check_losses, default_layers, units_of
from ._pretraining import Pretraining


@dataclass(kw_only=True, eq=False, repr=False)
class BaseStack(NoisyInputs, TrainedModel, NamedLayers, ABC):
    """A composition of layers; the parameters of ``TrainedModel`` are those of training all of them together."""

    layers: list | None = field(default=None, kw_only=False)
    learning_rate_init: float = 3e-3
    learning_rate: str = "cosine"
    batch_size: int = 64
    max_iter: int | str = "auto"
    schedule: str = "greedy"
    corrupted: str = "code"
    weight_decay: float = 0.0

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        **NoisyInputs._parameter_constraints,
        "layers": [list, tuple, None],
        "schedule": [StrOptions({"greedy", "simultaneous"})],
        "corrupted": [StrOptions({"code", "input"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    @property
    def n_iter_(self):
        """int: epochs of the joint training; without one, those of the layer that took most."""
        n_epochs = super().n_iter_
        return n_epochs or max(layer.n_iter_ for _, layer in self.layers_)

    def _check_layers(self):
        if self.layers is None:
            return
        check_layers(self.layers)
        self._validate_names([name for name, _ in self.layers])
        check_losses(self.layers)

    def _check_training_data(self, X, sample_weight, **options):
        X = validated_rows(self, X, dtype=DTYPES, **options)
        return counted_rows(X, sample_weight)[:2]

    def _chosen_layers(self):
        """Return ``layers``, or the default ones."""
        return default_layers() if self.layers is None else self.layers

    def _check_input(self, frame, sample_weight):
        """Check what is to be reconstructed, and set scaling and loss: those of the first layer.

        Return rows and their weights, and what the first layer is fitted to.
        """
        X, weights = self._check_training_data(frame, sample_weight)
        self._units = units_of(self._chosen_layers()[0][1], X, frame, weights)
        self._units.check(X, column_names(self, X))
        return X, weights, for_parts(frame, sample_weight, X, weights)

    def _copies(self):
        """Return layers that are ready to be fitted."""
        return copies(
            self._chosen_layers(),
            check_random_state(self.random_state),
            verbose=self.verbose,
            checkpoint=self.checkpoint,
            resume=self.resume,
        )

    def _pretrain(self, network, flat, X, sample_weight, lowest):
        """Fit ``layers_`` without labels and put their weights into ``flat``."""
        noise_below = self.corrupted == "input"
        pretraining = Pretraining(self.layers_, network, flat, self._units, lowest, noise_below)
        if self.schedule == "greedy":
            pretraining.greedy(X, sample_weight)
        else:
            path = self.checkpoint
            path = None if path is None else f"{os.fspath(path)}.layers"
            pretraining.simultaneous(X, sample_weight, path, self.resume)
