"""Layer by layer: unsupervised one after the other or all at once, or supervised."""

from contextlib import contextmanager
from dataclasses import fields

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from .._estimators.fitting import by_block
from .._estimators.parts import is_fitted
from .._estimators.training import TrainedModel
from .._estimators.units import plain_units
from .._estimators.unlabeled import constant_loss, mark_unlabeled
from .._estimators.unsupervised import UnsupervisedModel
from .._estimators.weights import fill, without_output
from ..nn.composition import SharedEncoder
from ..nn.layerwise import JointSolver, Layerwise, OnCodes
from ..nn.network import Network
from ..nn.objective import Objective
from ..training.problem import Problem
from ..training.solvers import LBFGS
from ..training.state import TrainingState
from ._layers import layer_shapes


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
    units : Units
        How the first layer sees X.
    lowest : (array-like, array-like)
        What the first layer is fitted to, and weights: as the user gave them where columns have names.
    noise_below : bool, default=False
        Whether noise comes in at X instead of at the codes.
    """

    def __init__(self, layers, network, flat, units, lowest, noise_below=False):
        self.layers, self.network, self.noise_below = layers, network, noise_below
        self.units, self.lowest = units, lowest
        self.params = network.views(flat)
        depths = [len(layer.layer_shapes()) for _, layer in layers]
        self.starts = np.cumsum([0, *depths[:-1]]).tolist()
        if noise_below:
            self._check_noise_below()

    def greedy(self, X, sample_weight):
        """Fit each layer without labels, from the lowest to the highest."""
        for (name, layer), start in zip(self.layers, self.starts):
            with self._fitting(name, layer, start):
                if self.noise_below and start:
                    self._fit_with_noise_below(layer, start, X, sample_weight)
                elif start:
                    # No name for the codes: they are gone before those of the next layer are computed.
                    layer.fit(self._codes(X, start), sample_weight=sample_weight)
                else:
                    layer.fit(self.lowest[0], sample_weight=self.lowest[1])

    def simultaneous(self, X, sample_weight, checkpoint, resume):
        """Fit all layers at once, in the batches and for the epochs of the first one."""
        self._need_networks("schedule='simultaneous'")
        layers = [layer for _, layer in self.layers]
        for layer, start in zip(layers, self.starts):
            layer._state = self._first_state(layer, start, X, sample_weight).to_dict()
            layer._remember_parameters()
            fill(self.params, start, layer.layer_weights())
        objectives = [layer._objective(layer._network, layer._loss) for layer in layers]
        for number, objective in enumerate(objectives):
            for observer in objective.observers:
                observer.key = f"{observer.key}_{number}"
        together = Layerwise(objectives, self.noise_below)
        solvers = [(layer._make_solver(), layer.learning_rate_init) for layer in layers]
        if any(isinstance(solver, LBFGS) for solver, _ in solvers):
            raise ValueError("schedule='simultaneous' needs a solver of minibatches in each layer.")
        options = {field.name: getattr(layers[0], field.name) for field in fields(TrainedModel)}
        options |= {"solver": JointSolver(solvers, together.split), "learning_rate_init": 1.0}
        trainer = _JointTraining(**{**options, "checkpoint": checkpoint, "resume": resume})
        flat = np.concatenate([layer._params for layer in layers])
        first = TrainingState.from_dict(layers[0]._state)
        state = TrainingState(flat, trainer.solver.start(flat), first.rng, first.seed)
        try:
            trainer._train(Problem(together, self.units.scaling.rows(X), sample_weight), state)
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
            fill(self.params, start, layer.layer_weights())

    def supervised(self, X, sample_weight, targets, loss, rows, strata):
        """Fit each layer as the hidden one of a net that predicts ``targets`` from the codes below."""
        self._need_networks("pretraining='supervised'")
        for (name, layer), start in zip(self.layers, self.starts):
            codes = self._codes(X, start)
            widths, activations = layer_shapes([(name, layer)])
            shape = {
                "sizes": (codes.shape[1], *widths, targets.shape[1]),
                "activation": (*activations, "identity"),
                "decoder": None,
            }
            network = Network(**shape)
            problem = Problem(
                Objective(network, loss), codes, sample_weight, targets, rows=rows, strata=strata
            )
            with self._fitting(name, layer, start):
                try:
                    layer._train(problem, layer._start(network, codes.dtype))
                finally:
                    if hasattr(layer, "_state"):
                        # Sets number and names of the columns.
                        seen = codes if start else self.lowest[0]
                        validate_data(layer, seen, skip_check_array=True)
                        layer._units = plain_units(codes.shape[1]) if start else self.units
                        layer._loss = layer._units.loss
                        layer._shape, params = without_output(network, layer._params)
                        layer._state["params"] = params

    def partial(self, X, sample_weight, balanced, targets, loss, weight):
        """Fit each layer by its own objective and, on labeled rows, by how well its codes predict ``targets``.

        Parameters
        ----------
        X : ndarray or CSR matrix of shape (n_samples, n_features)
        sample_weight, balanced : ndarray of shape (n_samples,) or None
            Weights of the rows, and with those of the classes.
        targets : Targets
        loss : Reconstruction
            Of the output units.
        weight : float
            Of the prediction, as a multiple of what makes it count as much as the reconstruction.
        """
        self._need_networks("pretraining='partial'")
        labeled, factors, scale = targets.labeled, None, constant_loss(targets, balanced)
        if not labeled.all():
            share = np.average(labeled, weights=balanced)
            factors = (labeled / share).astype(targets.values.dtype)
            mark_unlabeled(targets)
        for (name, layer), start in zip(self.layers, self.starts):
            with self._fitting(name, layer, start):
                rows = self._shown(layer, start, X, sample_weight)
                state = layer._first_state(rows, sample_weight)
                own, names = layer._network, layer._shape["activation"]
                sizes = (*own.sizes, targets.values.shape[1])
                predictor = Network(sizes, (*names, "identity"), decoder=None)
                ratio = sum(layer._units.constant_losses.values()) / scale if scale else 0.0
                both = SharedEncoder(
                    layer._objective(own, layer._loss),
                    Objective(predictor, loss, row_factors=factors),
                    weight * ratio,
                )
                first = np.zeros(predictor.size, state.params.dtype)
                predictor.views(first).encoder_biases[-1][...] = targets.bias
                state.params = both.join(state.params, first)
                state.solver = layer._make_solver().start(state.params)
                problem = Problem(both, rows, balanced, targets.values, strata=targets.strata)
                try:
                    layer._train(problem, state)
                finally:
                    if hasattr(layer, "_state"):
                        self._drop_output(layer, own.size)

    def _drop_output(self, layer, size):
        """Leave the first ``size`` parameters to ``layer``."""
        state = TrainingState.from_dict(layer._state)
        state.params = state.params[:size].copy()
        state.solver = layer._make_solver().start(state.params)
        layer._state = state.to_dict()

    @contextmanager
    def _fitting(self, name, layer, start):
        """Take the weights of ``layer`` over, however its training ends, and name it in errors."""
        try:
            yield
        except ValueError as error:
            error.args = (f"In the layer {name!r}: {error}",)
            raise
        finally:
            if is_fitted(layer):
                fill(self.params, start, layer.layer_weights())

    def _codes(self, X, n_layers):
        """Return the outputs of the network's first layers."""
        rows = self.units.scaling.rows(X)
        if not n_layers:
            return rows
        return by_block(
            rows,
            lambda x: self.network.encode(self.params, x, n_layers=n_layers),
            self.network.sizes[n_layers],
        )

    def _first_state(self, layer, start, X, sample_weight):
        """Let the layer see what it will be trained on, as it is before; return its first state."""
        return layer._first_state(self._shown(layer, start, X, sample_weight), sample_weight)

    def _shown(self, layer, start, X, sample_weight):
        """Let the layer check what it is to be trained on, and return that as its network sees it."""
        given = (self._codes(X, start), sample_weight) if start else self.lowest
        return layer._check_training_data(*given, reset=True)[0]

    def _fit_with_noise_below(self, layer, start, X, sample_weight):
        state = self._first_state(layer, start, X, sample_weight)

        def encode(rows, out):
            self.network.encode(self.params, rows, out=out, n_layers=start)

        rows = self.units.scaling.rows(X)
        objective = OnCodes(layer._objective(layer._network, layer._loss), rows.shape[1], encode)
        layer._train(Problem(objective, rows, sample_weight), state)

    def _need_networks(self, option):
        for name, layer in self.layers:
            if not isinstance(layer, UnsupervisedModel):
                raise ValueError(f"{option} needs auto-encoders as layers; {name!r} is {layer!r}.")

    def _check_noise_below(self):
        self._need_networks("corrupted='input'")
        for name, layer in self.layers[1:]:
            if getattr(layer, "emphasis", None) is not None:
                raise ValueError(
                    "corrupted='input' changes no single cell of the codes: the layer "
                    f"{name!r} must have emphasis=None."
                )


class _JointTraining(TrainedModel, BaseEstimator):
    """The training of several layers at once."""
