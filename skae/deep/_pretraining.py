"""Pre-training of layers, each on the codes of the ones below.

- :func:`pretrain`: without labels, one layer after the other, or all at once (``_pretraining_simultaneous.py``);
- :func:`~skae.deep._pretraining_with_targets.pretrain_with_targets` and
  :func:`~skae.deep._pretraining_with_targets.pretrain_with_both`: one layer after the other, with labels.

A layer is an estimator, fitted in place, whose encoder may have several layers of the network of the whole stack:
``start`` is the index of the lowest one. That network has a copy of the weights, from which the codes for the layers
above are computed: see :class:`~skae.deep._layers_of_network.LayersOfNetwork`.
"""

import os
from contextlib import contextmanager
from functools import partial

from .._arrays.namespace import Constant
from .._estimators.callbacks import reported
from ..nn.layerwise import OnCodes
from ..nn.model import Model
from ..training.problem import Problem
from ._layers_of_network import LayersOfNetwork
from ._pretraining_simultaneous import pretrain_simultaneously


@contextmanager
def reported_layers(stack, X, state, set_state, n_more):
    """Report the training of layers, and ``n_more`` tasks after it, to callbacks of ``stack`` as parts of the fit."""
    n_parts = 1 if stack.schedule == "simultaneous" else len(stack.layers_)

    ended = False

    def set_layers(_):
        if not ended:  # in the end the stack has what it learned last, after a second training or from a checkpoint
            set_state(state)

    with reported(stack, X, n_parts + n_more, set_layers, "layer") as report:
        yield report
        ended = True
        report.close(None)


def layers_in_training(self, state, data, first_data, report):
    """Return the ``LayersOfNetwork`` of a stack, which takes this function as a method; their weights go into ``state``."""
    model = Model(self._network, state.params, self._units)
    noise_below = self.corrupted == "input"
    return LayersOfNetwork(self.layers_, model, data, first_data, report, noise_below)


def pretrain(stack, layers):
    """Fit ``layers`` without labels, as the parameters of ``stack`` say.

    Parameters
    ----------
    stack : estimator
        Has the parameters ``schedule``, ``checkpoint`` and ``resume``.
    layers : LayersOfNetwork
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
            elif start:
                # The codes get no name, so that they are freed before those of the next layer are computed.
                layer.fit(layers.codes(start), sample_weight=layers.data.sample_weight)
            else:
                layer.fit(layers.first_data.X, sample_weight=layers.first_data.sample_weight)


def _fit_with_noise_below(layers, layer, start):
    """Fit a layer to codes of X with noise, which are computed for each minibatch."""
    problem, state = layers.begin(layer, start)
    network, flat = layers.model.network, Constant(layers.model.flat)

    def encode(rows, out):
        network.encode(network.views(flat.like(rows)), rows, out=out, n_layers=start)

    rows, weights = layers.rows, layers.data.sample_weight
    problem = Problem(OnCodes(problem.objective, rows.shape[1], encode), rows, weights)
    problem.callback_X = partial(layers.codes, start)
    layer.layer_training().train(problem, state)
