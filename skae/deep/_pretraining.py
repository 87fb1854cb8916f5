"""Pre-training of layers, each on the codes of the ones below.

- :func:`pretrain`: without labels, one layer after the other, or all at once (``_pretraining_simultaneous.py``);
- :func:`~skae.deep._pretraining_with_targets.pretrain_with_targets` and
  :func:`~skae.deep._pretraining_with_targets.pretrain_with_both`: one layer after the other, with labels.

A layer is an estimator, fitted in place, whose encoder may have several layers of the network of the whole stack:
``start`` is the index of the lowest one. That network has a copy of the weights, from which the codes for the layers
above are computed.
"""

import os
from contextlib import contextmanager
from functools import partial

import numpy as np

from .._arrays.namespace import Constant, like
from .._estimators.callbacks import reported
from .._estimators.devices import computing, prototype_of_parts
from .._estimators.fitting import by_block, is_fitted
from .._estimators.layer import NetworkLayer
from .._estimators.subestimators import fill, weights_of
from ..nn.layerwise import OnCodes
from ..training.problem import Problem
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


def pretrain(stack, model, X, sample_weight, first_data, report):
    """Fit the ``layers_`` of ``stack`` without labels, as its parameters say, and copy their weights to ``model``.

    See :class:`LayersOfNetwork` for the other arguments.
    """
    noise_below = stack.corrupted == "input"
    layers = LayersOfNetwork(stack.layers_, model, first_data, report, noise_below)
    if stack.schedule == "greedy":
        _pretrain_greedily(layers, X, sample_weight)
        return
    checkpoint = None if stack.checkpoint is None else f"{os.fsdecode(stack.checkpoint)}.layers"
    pretrain_simultaneously(layers, X, sample_weight, checkpoint, stack.resume)


def _pretrain_greedily(layers, X, sample_weight):
    """Fit each layer without labels, from the lowest to the highest."""
    for name, layer, start in layers:
        with layers.fitting(name, layer, start):
            if layers.noise_below and start:
                _fit_with_noise_below(layers, layer, start, X, sample_weight)
            elif start:
                # The codes get no name, so that they are freed before those of the next layer are computed.
                layer.fit(layers.codes(X, start), sample_weight=sample_weight)
            else:
                layer.fit(layers.first_data.X, sample_weight=layers.first_data.sample_weight)


def _fit_with_noise_below(layers, layer, start, X, sample_weight):
    """Fit a layer to codes of X with noise, which are computed for each minibatch."""
    problem, state = layers.begin(layer, start, X, sample_weight)
    network, flat = layers.model.network, Constant(layers.model.flat)

    def encode(rows, out):
        network.encode(network.views(flat.like(rows)), rows, out=out, n_layers=start)

    rows = layers.model.scaling.rows(X)
    problem = Problem(OnCodes(problem.objective, rows.shape[1], encode), rows, sample_weight)
    problem.callback_X = partial(layers.codes, X, start)
    layer.layer_training().train(problem, state)


class LayersOfNetwork:
    """The layers of a stack in training, and the network to which their weights are copied.

    Iteration yields (name, layer, start) from the lowest layer up. Only one matrix of codes is in memory at a time; the
    network computes it from X block by block.

    Parameters
    ----------
    layers : list of (str, estimator)
        Layers, which are fitted in place.
    model : Model
        The network, whose encoder consists of the layers end to end and possibly more layers; its parameters; and the
        units in which the first layer sees X.
    first_data : PartData
        Data to which the first layer is fitted; as given by the user if columns have names.
    report : Callbacks
        Callbacks of the whole fit, of which the layers are parts.
    noise_below : bool, default=False
        Whether noise is added to X instead of to the codes.
    """

    def __init__(self, layers, model, first_data, report, noise_below=False):
        self.model, self.first_data, self.report = model, first_data, report
        self.noise_below = noise_below
        depths = [len(layer.layer_shapes()) for _, layer in layers]
        starts = np.cumsum([0, *depths[:-1]]).tolist()
        self._layers = [(name, layer, start) for (name, layer), start in zip(layers, starts)]
        if noise_below:
            self._check_noise_below()

    def __iter__(self):
        return iter(self._layers)

    @contextmanager
    def fitting(self, name, layer, start):
        """Copy the weights of ``layer`` to the network, however its training ends, and name it in errors."""
        self.report.epoch_begin(None)
        try:
            try:
                yield
            except BaseException:  # also Ctrl-C
                if is_fitted(layer):
                    self.copy_weights(layer, start)
                raise
            self.copy_weights(layer, start)
        except (TypeError, ValueError) as error:
            error.args = (f"In the layer {name!r}: {error}",)
            raise
        self.report.epoch_end(None)

    def copy_weights(self, layer, start):
        """Copy the weights of ``layer`` to the network, from its layer ``start`` on."""
        fill(self.model.params, start, weights_of(layer, self.model.network.sizes[start]))

    def codes(self, X, n_layers):
        """Return the outputs of the first ``n_layers`` layers of the network."""
        rows, network = self.model.scaling.rows(X), self.model.network
        if not n_layers:
            return rows
        prototype, params = prototype_of_parts(), self.model.params
        if prototype is not None:
            params = network.views(like(self.model.flat, prototype))
        with computing(self._layers[0][1], prototype, rows.dtype):
            return by_block(
                rows,
                lambda x: network.encode(params, x, n_layers=n_layers),
                network.sizes[n_layers],
                prototype=prototype,
            )

    def begin(self, layer, start, X, sample_weight):
        """Let the layer check its training data; return its ``Problem`` and first state."""
        inputs = (self.codes(X, start), sample_weight) if start else self.first_data
        training = layer.layer_training()
        problem, state = training.begin(*inputs)
        if start and self.noise_below and training.make_noise is not None:
            # The noise is that of the columns of X, to which it is added, and not that of the codes.
            problem.objective.corruption = training.make_noise(self.model.units)
        return problem, state

    def check_networks(self, option):
        """Raise, with the ``option`` that needs them, if a layer is no ``NetworkLayer``."""
        for name, layer, _ in self:
            if not isinstance(layer, NetworkLayer):
                raise ValueError(
                    f"{option} needs auto-encoders or RBMs as layers; {name!r} is {layer!r}."
                )

    def _check_noise_below(self):
        self.check_networks("corrupted='input'")
        for name, layer, _ in self._layers[1:]:
            if layer.layer_training().weighs_cells:
                raise ValueError(
                    "corrupted='input' changes no single cell of the codes: the layer "
                    f"{name!r} must have emphasis=None."
                )
