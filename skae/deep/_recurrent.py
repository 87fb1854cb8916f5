"""Deep recurrent auto-encoder: layers that hear the layer below and the one above."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar

from .._compat import Interval, StrOptions, _fit_context
from .._fitting import unchanged_on_error
from ..autoencoders._fitted import FittedAutoEncoder
from ..autoencoders._losses import make_loss
from ..nn.corruption import CORRUPTIONS, make_corruption
from ..nn.objective import Objective
from ..nn.penalties import WeightDecay
from ..nn.recurrent import RecurrentNetwork
from ..training.loop import DivergenceError
from ..training.problem import Problem
from ._base import BaseStack
from ._layers import layer_shapes


@dataclass(kw_only=True, eq=False, repr=False)
class RecurrentAE(BaseStack, FittedAutoEncoder):
    n_steps: int = 3
    pretraining: str | None = "unsupervised"
    corruption: object = "masking"
    corruption_level: float = 0.3
    weight_decay: float = 0.0

    _parameter_constraints: ClassVar[dict] = {
        **BaseStack._parameter_constraints,
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "pretraining": [StrOptions({"unsupervised"}), None],
        "corruption": [StrOptions(set(CORRUPTIONS)), callable, None],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Pre-train the layers, and train all of them through the mean-field steps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X or a parameter is invalid (the estimator is then as before), or if the loss becomes
            infinite (the weights of the last finite epoch are then kept).
        TypeError
            If a layer has no encoder weights.
        """
        with unchanged_on_error(self, published=(DivergenceError, KeyboardInterrupt)):
            self._check_layers()
            frame = X
            X, weights = self._check_training_data(X, sample_weight)
            columns = frame if hasattr(frame, "columns") else X
            self._loss = make_loss(getattr(self.layers[0][1], "loss", "gaussian"), X, columns)
            self._loss.check(X, self._column_names(X))
            self.layers_ = self._copies()
            widths, activations, _ = layer_shapes(self.layers_)
            if len(widths) < 2:
                raise ValueError("layers of a RecurrentAE must be two or more, to hear each other.")
            sizes = (X.shape[1], *widths)
            self._shape = {"sizes": sizes, "activation": activations, "n_steps": self.n_steps}
            self._learn(X, weights)
        return self

    def _learn(self, X, weights):
        network = self._network
        state = self._start(network, X.dtype)
        with self._publishing(state):
            if self.pretraining:
                self._pretrain(network, state.params, X, weights)
        objective = Objective(
            network,
            self._loss,
            corruption=make_corruption(self.corruption, self.corruption_level),
            penalties=[WeightDecay(self.weight_decay)] if self.weight_decay else [],
        )
        self._train(Problem(objective, X, weights), state)

    @property
    def _network(self):
        return RecurrentNetwork(**self._shape)
