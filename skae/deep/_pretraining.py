"""Layer by layer: unsupervised one after the other or all at once, or supervised."""

from contextlib import contextmanager
from dataclasses import fields

import numpy as np
from sklearn.base import BaseEstimator

from ..autoencoders._fitted import BLOCK, by_block
from ..autoencoders._trained import TrainedModel
from ..nn.layerwise import JointSolver, Layerwise, OnCodes
from ..nn.network import Network
from ..nn.objective import Objective
from ..training.problem import Problem
from ..training.solvers import LBFGS
from ..training.state import TrainingState
from ._layers import fill


class Pretraining:
    """Fit ``layers`` one on the codes of the other, and put their weights into a network as they come.

    Only one matrix of codes is in memory at a time: it is computed from X by blocks, through the network.

    Parameters
    ----------
    layers : list of (str, estimator)
        Fitted in place.
    network : Network
        Whose encoder is that of the layers end to end (and more, perhaps).
    flat : ndarray
        The network's parameters.
    noise_below : bool
        Whether noise comes in at X instead of at the codes.
    """

    def __init__(self, layers, network, flat, noise_below):
        self.layers, self.network, self.noise_below = layers, network, noise_below
        self.params = network.views(flat)
        depths = [len(layer._layer_shapes()) for _, layer in layers]
        self.starts = np.cumsum([0, *depths[:-1]]).tolist()

    def greedy(self, X, sample_weight):
        """Fit each layer without labels, from the lowest to the highest."""
        for (name, layer), start in zip(self.layers, self.starts):
            with self._naming(name):
                try:
                    if self.noise_below and start:
                        self._fit_with_noise_below(layer, start, X, sample_weight)
                    else:
                        layer.fit(self._codes(X, start), sample_weight=sample_weight)
                finally:
                    if hasattr(layer, "_state"):
                        fill(self.params, start, layer._layer_weights())

    def simultaneous(self, X, sample_weight, checkpoint, resume):
        """Fit all layers at once, in the batches and for the epochs of the first one."""
        self._check_simultaneous()
        layers = [layer for _, layer in self.layers]
        for layer, start in zip(layers, self.starts):
            self._prepare(layer, start, X)
            layer._state = layer._start(layer._network, X.dtype).to_dict()
            fill(self.params, start, layer._layer_weights())
        objectives = [layer._objective(layer._network, layer._loss) for layer in layers]
        together = Layerwise(objectives, self.noise_below)
        solvers = [(layer._make_solver(), layer.learning_rate_init) for layer in layers]
        options = {field.name: getattr(layers[0], field.name) for field in fields(TrainedModel)}
        options |= {"solver": JointSolver(solvers, together.split), "learning_rate_init": 1.0}
        trainer = _JointTraining(**{**options, "checkpoint": checkpoint, "resume": resume})
        flat = np.concatenate([layer._params for layer in layers])
        first = TrainingState.from_dict(layers[0]._state)
        state = TrainingState(flat, trainer.solver.start(flat), first.rng, first.seed)
        try:
            trainer._train(Problem(together, X, sample_weight), state)
        finally:
            if hasattr(trainer, "_state"):
                self._part(trainer._state, together)

    def _part(self, joint, together):
        """Give each layer its part of the joint state."""
        pieces = together.split(joint["params"])
        for (_, layer), start, params in zip(self.layers, self.starts, pieces):
            history = TrainingState.from_dict(joint)
            history.params, history.solver = params.copy(), layer._make_solver().start(params)
            layer._state = history.to_dict()
            fill(self.params, start, layer._layer_weights())

    def supervised(self, X, sample_weight, targets, loss, rows, strata):
        """Fit each layer as the hidden one of a net that predicts ``targets`` from the codes below."""
        for (name, layer), start in zip(self.layers, self.starts):
            if not hasattr(layer, "_train"):
                raise ValueError(
                    f"pretraining='supervised' needs auto-encoders as layers; {name!r} is {layer!r}."
                )
            codes = self._codes(X, start)
            widths, activations = zip(*layer._layer_shapes())
            sizes = (codes.shape[1], *widths, targets.shape[1])
            network = Network(sizes, (*activations, "identity"), decoder=None)
            problem = Problem(
                Objective(network, loss), codes, sample_weight, targets, rows=rows, strata=strata
            )
            with self._naming(name):
                try:
                    layer._train(problem, layer._start(network, codes.dtype))
                finally:
                    if hasattr(layer, "_state"):
                        params = network.views(layer._state["params"])
                        hidden = list(zip(params.encoder_weights, params.encoder_biases))[:-1]
                        fill(self.params, start, [(*pair, None, None) for pair in hidden])

    @contextmanager
    def _naming(self, name):
        """Say in errors which layer they are about."""
        try:
            yield
        except ValueError as error:
            raise ValueError(f"In the layer {name!r}: {error}") from error

    def _codes(self, X, n_layers):
        """Return the outputs of the network's first layers."""
        if not n_layers:
            return X
        return by_block(
            X,
            lambda x: self.network.encode(self.params, x, n_layers=n_layers),
            self.network.sizes[n_layers],
        )

    def _prepare(self, layer, start, X):
        """Let the layer see what it will be trained on, or the first of its codes."""
        sample = self._codes(X[:BLOCK], start) if start else X
        layer._check_training_data(sample, None, reset=True)

    def _fit_with_noise_below(self, layer, start, X, sample_weight):
        if getattr(layer, "emphasis", None) is not None or not hasattr(layer, "_train"):
            raise ValueError(
                f"corrupted='input' needs auto-encoders without emphasis above the first layer; got {layer!r}."
            )
        self._prepare(layer, start, X)

        def encode(rows, out):
            self.network.encode(self.params, rows, out=out, n_layers=start)

        objective = OnCodes(layer._objective(layer._network, layer._loss), X.shape[1], encode)
        problem = Problem(objective, X, sample_weight)
        layer._train(problem, layer._start(layer._network, X.dtype))

    def _check_simultaneous(self):
        for number, (name, layer) in enumerate(self.layers):
            if not hasattr(layer, "_train") or isinstance(layer._make_solver(), LBFGS):
                raise ValueError(
                    "schedule='simultaneous' needs auto-encoders with a solver of minibatches as layers; "
                    f"{name!r} is {layer!r}."
                )
            if number and self.noise_below and getattr(layer, "emphasis", None) is not None:
                raise ValueError(
                    f"corrupted='input' needs layers without emphasis above the first; {name!r} has it."
                )


class _JointTraining(TrainedModel, BaseEstimator):
    """The training of several layers at once."""
