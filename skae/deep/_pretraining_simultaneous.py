"""Pre-training of all layers at once, each by its own objective on the present codes of the ones below."""

from dataclasses import fields
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator

from .._estimators.callbacks import Callbacks, end_callbacks_of
from .._estimators.identity import described
from .._estimators.parameters import changed_parameters
from .._estimators.training import TrainedModel
from .._protocols import Observer
from .._warnings import warn
from ..nn.layerwise import JointSolver, Layerwise
from ..training.loop import Problem, TrainingState
from ..training.solvers import LBFGS

# Training parameters that each layer has for itself when all are trained at once, or that change no result.
_OWN = {"solver", "learning_rate_init", "random_state", "verbose", "checkpoint", "resume"}


def pretrain_simultaneously(layers, checkpoint, resume):
    """Fit all layers at once, with the minibatches and epochs of the first one.

    Parameters
    ----------
    layers : LayersInTraining
    checkpoint : str or None
        Path of the checkpoint of this training.
    resume : bool
    """
    layers.check_networks("schedule='simultaneous'")
    objectives, states = _begin_all(layers)
    together = Layerwise(objectives, layers.noise_below)
    for number, (_, layer, _) in enumerate(layers):
        own = described(layer).items()
        together.identity |= {f"{name} of layer {number}": value for name, value in own}
    trainer = _joint_training(layers, together, checkpoint, resume)
    flat = np.concatenate([state.params for state in states])
    state = TrainingState(flat, trainer.solver.start(flat), states[0].rng, states[0].seed)
    problem = Problem(together, layers.rows, layers.data.sample_weight)
    set_layers = partial(_set_layers, layers, together)
    try:
        all_callbacks = _all_callbacks(layers, trainer.n_epochs(problem))
        if all_callbacks:
            problem.observers += [_AfterEpochs(set_layers), *all_callbacks]
        trainer.train(problem, state, set_layers)
        for callbacks in all_callbacks:
            callbacks.close()
    finally:
        end_callbacks_of([layer for _, layer, _ in layers])


def _begin_all(layers):
    """Return the objectives and the first states of all layers, on codes of the first weights of those below."""
    objectives, states = [], []
    for number, (_, layer, start) in enumerate(layers):
        problem, state = layers.begin(layer, start)
        layer.layer_training().set_fitted(state)
        layers.copy_weights(layer, start)
        for observer in problem.objective.observers:
            observer.key = f"{observer.key}_{number}"  # all keep arrays in one state
        objectives.append(problem.objective)
        states.append(state)
    return objectives, states


def _joint_training(layers, together, checkpoint, resume):
    """Return a training with the parameters of the first layer, but with the solver of each layer for its part."""
    _warn_of_ignored_parameters(layers)
    solvers = [layer.layer_training().make_solver() for _, layer, _ in layers]
    for (name, _, _), (solver, _) in zip(layers, solvers):
        if isinstance(solver, LBFGS):
            raise ValueError(
                f"schedule='simultaneous' needs a solver of minibatches in each layer, such as 'adam': {name!r} has 'lbfgs'."
            )
    (_, first, _), *_ = layers
    options = {field.name: getattr(first, field.name) for field in fields(TrainedModel)}
    options |= {"solver": JointSolver(solvers, together.ends), "learning_rate_init": 1.0}
    options |= {"checkpoint": checkpoint, "resume": resume}
    return _JointTraining(**options)


def _warn_of_ignored_parameters(layers):
    """Warn of parameters of layers above the first that have no effect, since all are trained as that one says."""
    names = {field.name for field in fields(TrainedModel)} - _OWN
    (_, first, _), *others = layers
    first = vars(first)
    for name, layer, _ in others:
        changed = changed_parameters(layer).items()
        ignored = {key: value for key, value in changed if key in names and value != first[key]}
        if ignored:
            values = ", ".join(f"{key}={value!r}" for key, value in ignored.items())
            warn(
                f"{values} of the layer {name!r} has no effect: schedule='simultaneous' trains all layers as the parameters "
                "of the first one say."
            )


def _set_layers(layers, together, joint):
    """Set the fitted attributes of each layer from its part of the ``joint`` state."""
    pieces = together.split(joint.params)
    for (_, layer, start), params in zip(layers, pieces):
        layer.layer_training().set_fitted(joint, params.copy())
        layers.copy_weights(layer, start)


def _all_callbacks(layers, n_epochs):
    """Return a list of the ``Callbacks`` of the epochs of all layers at once: those of the whole, and of each of its layers."""
    all_callbacks = [layers.callbacks.inner(n_epochs)]
    for _, layer, start in layers:
        shown = partial(layers.codes, start) if start else layers.data.X
        all_callbacks.append(Callbacks(layer, shown, n_epochs))
    return [callbacks for callbacks in all_callbacks if callbacks.is_open]


class _AfterEpochs(Observer):
    """Call ``function(state)`` after each epoch."""

    def __init__(self, function):
        self._function = function

    def epoch_end(self, state):
        """Call the function."""
        self._function(state)
        return False


class _JointTraining(TrainedModel, BaseEstimator):
    """The training of several layers at once."""

    _title = "Training of all layers"

    def n_epochs(self, problem):
        """Return the maximum number of epochs of the training."""
        return self._n_epochs(problem)

    def train(self, problem, state, set_state):
        """Minimize ``problem`` from ``state``, and call ``set_state(state)`` when training ends, also by an error."""
        self._train(problem, state, set_state)
