"""Pre-training, output layer and joint training, shared by the classifier and the regressor over a stack."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import ClassVar, Literal

import numpy as np
from sklearn.base import is_regressor

from .._arrays.namespace import in_numpy
from .._compat import Interval, StrOptions, _BaseComposition, _fit_context
from .._estimators import named_layers
from .._estimators.devices import DEVICE_CONSTRAINTS, fitting_parts
from .._estimators.fitting import column_names, unchanged_on_error
from .._estimators.label_neighbors import roughness_of
from .._estimators.layer import weights_of
from .._estimators.needs import Need
from .._estimators.parameters import resolved
from .._estimators.subestimators import fill_layers, ready_layers
from .._estimators.supervised import BaseSupervised, widths_below_outputs
from .._estimators.unlabeled import (
    RECONSTRUCTION_CONSTRAINTS,
    new_autoencoder,
    supervised_factors,
    with_unlabeled_stratum,
)
from .._typing import ArrayLike, MatrixLike, NamedLayers, Self
from ..nn.network import spread_units
from ..nn.penalties import weight_decays
from ._layers import (
    LAYER_CONSTRAINTS,
    NOISE_ABOVE_NEED,
    check_stack,
    chosen_layers,
    downward,
    encoder_shape,
    ties,
    units_of,
)
from ._pretraining import layers_in_training, pretrain
from ._pretraining_supervised import pretrain_partially_supervised, pretrain_supervised

# 'auto' weight decay times the number of rows, as alpha of sklearn.linear_model.Ridge, where y is rough, and the factor of 'auto'
# epochs where it is smooth.
_DECAY, _MORE_STEPS = 0.3, 3.0
# Up to so many inputs, so many rows fill the space: a function that bends often can be learned from them.
_FEW_INPUTS, _MANY_ROWS = 3, 100


@dataclass(kw_only=True, eq=False, repr=False)
class BaseSupervisedStack(BaseSupervised, _BaseComposition):
    """Base of the classifier and the regressor: everything but the kind of targets."""

    layers: Sequence[int] | NamedLayers | None = field(default=None, kw_only=False)
    schedule: Literal["greedy", "simultaneous"] = "greedy"
    corrupted: Literal["code", "input"] = "code"
    pretraining: Literal["unsupervised", "supervised", "partial"] | None = "unsupervised"
    supervision_weight: float = 1.0
    reconstruction_weight: float = 0.0
    device: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervised._parameter_constraints,
        **LAYER_CONSTRAINTS,
        **RECONSTRUCTION_CONSTRAINTS,
        **DEVICE_CONSTRAINTS,
        "pretraining": [StrOptions({"unsupervised", "supervised", "partial"}), None],
        "supervision_weight": [Interval(Real, 0, None, closed="left")],
    }

    _needs: ClassVar[tuple] = (
        Need(
            "schedule corrupted",
            "pretraining",
            "pretraining='unsupervised'",
            lambda self: self.pretraining in ("unsupervised", "partial"),  # the latter refuses them
        ),
        NOISE_ABOVE_NEED,
        Need.of_value("supervision_weight", "pretraining", "partial"),
    )

    get_params, set_params = named_layers.get_params, named_layers.set_params
    named_layers_, _sk_visual_block_ = named_layers.named_layers_, named_layers.visual_block
    _layers_in_training = layers_in_training

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        return tags

    def _check_parameters(self):
        check_stack(self)
        if self.pretraining == "partial" and (self.schedule, self.corrupted) != ("greedy", "code"):
            raise ValueError(
                "pretraining='partial' takes one layer after the other, on the codes below: it needs schedule='greedy' "
                f"and corrupted='code'; got {self.schedule!r} and {self.corrupted!r}."
            )

    def _unlabeled_ratio(self):
        """Return the number of unlabeled rows per labeled row in a minibatch, or None for all of them."""
        return None

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Pre-train the layers, and train them and the output layer together.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. For a classifier with two or more other classes, rows with -1 are unlabeled, and are used where no
            labels are needed.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is invalid (the estimator is then as before), or if the loss becomes
            infinite (the weights of the last finite epoch are then kept).
        TypeError
            If a layer has no encoder weights.
        """
        with unchanged_on_error(self), fitting_parts(self, X) as self._backend:
            X, y, sample_weight = map(in_numpy, (X, y, sample_weight))
            self._check_parameters()
            data = self._validated_data(X, y, sample_weight)
            layers = chosen_layers(self, widths_below_outputs(data.X))
            units = self._units_of_first_layer(layers[0][1], data)
            if self.reconstruction_weight:
                units.check(data.X, column_names(self, data.X), warns=False)
            self.layers_ = ready_layers(layers, self)
            widths, activations = encoder_shape(self.layers_)
            sizes = (units.scaling.n_inputs, *widths)
            state = self._start_network(units, sizes, activations, data)
            self._learn(data, state)
        return self

    def _units_of_first_layer(self, layer, data):
        """Return the ``Units`` of the first layer, from the rows that it learns from."""
        weights, labeled = data.sample_weight, data.targets.labeled
        uses_all = self.pretraining in ("unsupervised", "partial") or self.reconstruction_weight
        if not (uses_all or labeled.all()):
            weights = None if weights is None else weights[labeled]
            data = replace(data, X=data.X[labeled], sample_weight=weights)
        return units_of(layer, data)

    def _learn(self, data, state):
        """Train the layers, and then all of them together."""
        if self.pretraining is None:
            self._fine_tune(data, state)
            return
        layers = self._layers_in_training(state, data, 1 + self.refit)
        try:
            self._pretrain(layers, data)
        finally:
            self._set_state(state)
        self._fine_tune(data, state)
        layers.callbacks.close()

    def _pretrain(self, layers, data):
        """Fit the ``LayersInTraining``."""
        if self.pretraining == "unsupervised":
            pretrain(self, layers)
        elif self.pretraining == "supervised":
            pretrain_supervised(layers, data, self._output_units)
        else:
            pretrain_partially_supervised(layers, data, self._output_units, self.supervision_weight)

    def _fine_tune(self, data, state):
        """Train all layers and the output layer, starting from ``state``; unlabeled rows only if X is reconstructed."""
        inputs, constant_loss = self._inputs(data.X), data.constant_loss()
        roughness = self._roughness(data, inputs)
        options = {
            "penalties": self._weight_decays(data, roughness),
            "more_steps": float(np.interp(roughness, (0, 1), (_MORE_STEPS, 1))),
        }
        if not self.reconstruction_weight:
            self._spread_units(data, inputs, state, 1 - roughness)
            options["rows"] = data.labeled_rows
            self._train_jointly(data, inputs, state, constant_loss, **options)
            return
        ratio = self._unlabeled_ratio()
        self._train_jointly(
            with_unlabeled_stratum(data),
            inputs,
            state,
            constant_loss,
            factors=supervised_factors(data, ratio),
            autoencoder=self._autoencoder(state),
            unlabeled_per_labeled=ratio,
            **options,
        )

    def _roughness(self, data, inputs):
        """Return 0 if targets are nearly those of the nearest rows, and up to 1 if not.

        It is 1 where nothing depends on it, and for classes if there are many inputs or few rows.
        """
        is_automatic = isinstance(self.weight_decay, str) or self.max_iter == "auto"
        if _fills_space(data, inputs) or (is_regressor(self) and is_automatic):
            return roughness_of(inputs, data, self._kind)
        return 1.0

    def _weight_decays(self, data, roughness):
        """Return the penalties of weight decay."""
        if not isinstance(self.weight_decay, str):
            return weight_decays(self.weight_decay)
        decay = _DECAY * roughness / data.n_labeled
        return weight_decays(resolved(self.weight_decay, "weight_decay", decay))

    def _spread_units(self, data, inputs, state, amount):
        """Make the units of few inputs steeper than pre-training leaves them, in ``state``."""
        if amount and _fills_space(data, inputs) and not self.frozen:
            spread_units(self._network, state.params, inputs, amount, state.rng)

    def _autoencoder(self, state):
        """Return a network of all encoders and decoders end to end, and its parameters."""
        widths, activations = encoder_shape(self.layers_)
        shape = {
            "sizes": (self._units.scaling.n_inputs, *widths),
            "activation": activations,
            "decoder": "tied" if all(ties(layer) for _, layer in self.layers_) else "untied",
            "downward": downward(self.layers_),
        }
        network, flat = new_autoencoder(shape, self._units, state)
        start = 0
        for _, layer in self.layers_ if self.pretraining else ():
            weights = weights_of(layer, network.sizes[start])
            fill_layers(network.views(flat), start, weights)
            start += len(weights)
        return network, flat


def _fills_space(data, inputs):
    """Return whether there are many labeled rows of few ``inputs``."""
    return inputs.shape[1] <= _FEW_INPUTS and len(data.counted_labeled_rows) >= _MANY_ROWS
