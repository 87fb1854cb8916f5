"""What the classifier and the regressor over a stack share: pre-training, an output layer, joint training."""

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np

from .._compat import Interval, StrOptions, _fit_context
from .._estimators.fitting import column_names, unchanged_on_error
from .._estimators.parts import for_parts
from .._estimators.supervised import BaseSupervised
from .._estimators.unlabeled import Reconstructing
from .._estimators.weights import fill
from ._base import BaseStack
from ._layers import downward, layer_shapes, ties, units_of
from ._pretraining import Pretraining


@dataclass(kw_only=True, eq=False, repr=False)
class BaseSupervisedStack(Reconstructing, BaseSupervised, BaseStack):
    """Everything but the kind of the targets."""

    pretraining: str | None = "unsupervised"
    supervision_weight: float = 1.0

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervised._parameter_constraints,
        **BaseStack._parameter_constraints,
        **Reconstructing._parameter_constraints,
        "pretraining": [StrOptions({"unsupervised", "supervised", "partial"}), None],
        "supervision_weight": [Interval(Real, 0, None, closed="left")],
    }

    def _check_layers(self):
        super()._check_layers()
        if self.pretraining == "partial" and (self.schedule, self.corrupted) != ("greedy", "code"):
            raise ValueError(
                "pretraining='partial' takes one layer after the other, on the codes below: it needs schedule='greedy' "
                f"and corrupted='code'; got {self.schedule!r} and {self.corrupted!r}."
            )

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None):
        """Pre-train the layers, and train them and the output layer together.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets. For a classifier with two or more other classes, rows with -1 are unlabeled: they take
            part in what needs no labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X, y or a parameter is invalid (the estimator is then as before), or if the loss becomes
            infinite (the weights of the last finite epoch are then kept).
        TypeError
            If a layer has no encoder weights.
        """
        with unchanged_on_error(self):
            self._check_layers()
            frame = X
            X, weights, balanced, targets = self._check_supervised_data(X, y, sample_weight)
            seen = weights
            if not (self.pretraining in ("unsupervised", "partial") or self.reconstruction_weight):
                seen = np.where(targets.labeled, 1.0 if weights is None else weights, 0)
            self._units = units_of(self._chosen_layers()[0][1], X, frame, seen)
            if self.reconstruction_weight:
                self._units.check(X, column_names(self, X))
            self.layers_ = self._copies()
            state = self._add_output(*layer_shapes(self.layers_), targets, targets.unit)
            lowest = for_parts(frame, sample_weight, X, weights)
            self._learn(X, targets, weights, balanced, state, lowest)
        return self

    def _learn(self, X, targets, weights, balanced, state, lowest):
        network, rows = self._network, np.flatnonzero(targets.labeled)
        with self._publishing(state):
            if self.pretraining == "unsupervised":
                self._pretrain(network, state.params, X, weights, lowest)
            elif self.pretraining is not None:
                pretraining = Pretraining(self.layers_, network, state.params, self._units, lowest)
                if self.pretraining == "supervised":
                    pretraining.supervised(
                        X, balanced, targets.values, self._loss, rows, targets.strata
                    )
                else:
                    pretraining.partial(
                        X, weights, balanced, targets, self._loss, self.supervision_weight
                    )
        inputs, options = self._units.scaling.rows(X), {}
        if self.reconstruction_weight:
            options["beside"] = self._reconstruction(self._autoencoder(state), targets, balanced)
            options["unlabeled_per_labeled"] = self._unlabeled_ratio()
            rows, options["factors"] = self._all_rows(targets, balanced)
        self._train_outputs(inputs, targets, balanced, state, rows, **options)

    def _autoencoder(self, state):
        """Return encoders and decoders end to end: a network and its parameters."""
        widths, activations = layer_shapes(self.layers_)
        shape = {
            "sizes": (self._units.scaling.n_inputs, *widths),
            "activation": activations,
            "decoder": "tied" if all(ties(layer) for _, layer in self.layers_) else "untied",
            "downward": downward(self.layers_),
        }
        network, flat = self._new_autoencoder(shape, state)
        start = 0
        for _, layer in self.layers_ if self.pretraining else ():
            weights = layer.layer_weights()
            fill(network.views(flat), start, weights)
            start += len(weights)
        return network, flat
