"""Pre-training of layers, each on the codes of the ones below.

- :func:`pretrain`: without labels, one layer after the other, or all at once (``_pretraining_simultaneous.py``);
- :func:`~skae.deep._pretraining_supervised.pretrain_supervised` and
  :func:`~skae.deep._pretraining_supervised.pretrain_partially_supervised`: one layer after the other, with labels.

A layer is an estimator, fitted in place, whose encoder may have several layers of the network of the whole stack:
``start`` is the index of the lowest one. That network has a copy of the weights, from which the codes for the layers
above are computed: see :class:`~skae.deep._layers_in_training.LayersInTraining`.
"""

import os
from functools import partial

from .._arrays.namespace import Constant
from .._estimators.callbacks import Callbacks
from ..nn.layerwise import OnCodes
from ..nn.model import Model
from ..training.loop import Problem
from ._layers_in_training import LayersInTraining
from ._pretraining_simultaneous import pretrain_simultaneously


def layers_in_training(self, state, data, n_more):
    """Return the ``LayersInTraining`` of a stack, whose weights go into ``state``: a method of the classes of stacks.

    Their training and ``n_more`` tasks after it are the parts of the fit that callbacks see.
    """
    model = Model(self._network, state.params, self._units)
    noise_below = self.corrupted == "input"
    n_parts = n_more + (1 if self.schedule == "simultaneous" else len(self.layers_))
    # Whatever has been trained, its weights are in ``state``.
    callbacks = Callbacks(self, data.X, n_parts, lambda _: self._set_state(state), "layer")
    return LayersInTraining(self.layers_, model, data, callbacks, noise_below)


def pretrain(stack, layers):
    """Fit ``layers`` without labels, as the parameters of ``stack`` say.

    Parameters
    ----------
    stack : estimator
        Has the parameters ``schedule``, ``checkpoint`` and ``resume``.
    layers : LayersInTraining
    """
    if layers.noise_below:
        layers.check_noise_below()
    if stack.schedule == "greedy":
        _pretrain_greedily(layers)
        return
    checkpoint = None if stack.checkpoint is None else f"{os.fsdecode(stack.checkpoint)}.layers"
    pretrain_simultaneously(layers, checkpoint, stack.resume)


def _pretrain_greedily(layers):
    """Fit each layer, from the lowest to the highest."""
    for name, layer, start in layers:
        with layers.fitting(name, layer, start):
            if layers.noise_below and start:
                _fit_with_noise_below(layers, layer, start)
            else:
                # The codes get no name, so that they are freed before those of the next layer are computed.
                _fit(layer, *layers.data_of(start))


def _fit(layer, X, sample_weight):
    layer.fit(X, sample_weight=sample_weight)


def _fit_with_noise_below(layers, layer, start):
    """Fit a layer to codes of X with noise, which are computed for each minibatch."""
    problem, state = layers.begin(layer, start)
    network, flat = layers.model.network, Constant(layers.model.flat)

    def encode(rows, out):
        network.encode(network.views(flat.like(rows)), rows, out=out, n_layers=start)

    rows, weights = layers.rows, layers.data.sample_weight
    objective = OnCodes(problem.objective, rows.shape[1], encode, layers.below(start))
    problem = Problem(objective, rows, weights)
    problem.callback_X = partial(layers.codes, start)
    layer.layer_training().train(problem, state)
