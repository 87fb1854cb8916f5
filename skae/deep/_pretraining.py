"""Pre-training of layers, each on the codes of the ones below.

- ``Pretraining.greedy``: one after the other, each by its own objective, without labels;
- ``Pretraining.simultaneous``: the same, all at once;
- ``Pretraining.supervised``: one after the other, each by how well its codes predict the targets;
- ``Pretraining.partly_supervised``: one after the other, each by both.

A layer is an estimator, fitted in place, whose encoder may have several layers of the network of the whole stack:
``start`` is the index of the lowest one. That network has a copy of the weights, from which the codes for the layers
above are computed.
"""

import os
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from functools import partial

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from .._arrays.namespace import Constant, like
from .._estimators.callbacks import reported
from .._estimators.devices import computing, prototype_of_parts
from .._estimators.fitting import by_block, is_fitted
from .._estimators.identity import seeds
from .._estimators.layer import NetworkLayer
from .._estimators.subestimators import fill, weights_of, without_output
from .._estimators.training import TrainedModel
from .._estimators.units import plain_units
from .._estimators.unlabeled import mark_unlabeled, supervised_factors
from .._protocols import Observer
from ..nn.composition import SharedEncoder
from ..nn.layerwise import JointSolver, Layerwise, OnCodes
from ..nn.network import Network
from ..nn.objective import Objective
from ..training.loop import TrainingState
from ..training.problem import Problem
from ..training.solvers import LBFGS
from ._layers import layer_shapes


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

    See :class:`Pretraining` for the arguments.
    """
    noise_below = stack.corrupted == "input"
    pretraining = Pretraining(stack.layers_, model, first_data, report, noise_below)
    if stack.schedule == "greedy":
        pretraining.greedy(X, sample_weight)
    else:
        path = stack.checkpoint
        path = None if path is None else f"{os.fsdecode(path)}.layers"
        pretraining.simultaneous(X, sample_weight, path, stack.resume)


class Pretraining:
    """Training of each layer on the codes of the one below, with copies of their weights in a network.

    Only one matrix of codes is in memory at a time; the network computes it from X block by block.

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
        self.model, self.first_data, self.report, self.noise_below = (
            model,
            first_data,
            report,
            noise_below,
        )
        depths = [len(layer.layer_shapes()) for _, layer in layers]
        starts = np.cumsum([0, *depths[:-1]]).tolist()
        self.layers = [(name, layer, start) for (name, layer), start in zip(layers, starts)]
        if noise_below:
            self._check_noise_below()

    def greedy(self, X, sample_weight):
        """Fit each layer without labels, from the lowest to the highest."""
        for name, layer, start in self.layers:
            with self._fitting(name, layer, start):
                if self.noise_below and start:
                    self._fit_with_noise_below(layer, start, X, sample_weight)
                elif start:
                    # The codes get no name, so that they are freed before those of the next layer are computed.
                    layer.fit(self._codes(X, start), sample_weight=sample_weight)
                else:
                    layer.fit(self.first_data.X, sample_weight=self.first_data.sample_weight)

    def simultaneous(self, X, sample_weight, checkpoint, resume):
        """Fit all layers at once, with the minibatches and epochs of the first one."""
        self._need_networks("schedule='simultaneous'")
        objectives, states = self._begin_all(X, sample_weight)
        together = Layerwise(objectives, self.noise_below)
        for number, (_, layer, _) in enumerate(self.layers):
            own = seeds(layer).items()
            together.identity |= {f"{name} of layer {number}": seed for name, seed in own}
        trainer = self._joint_training(together, checkpoint, resume)
        flat = np.concatenate([state.params for state in states])
        state = TrainingState(flat, trainer.solver.start(flat), states[0].rng, states[0].seed)
        problem = Problem(together, self.model.scaling.rows(X), sample_weight)
        set_state = partial(self._set_layers, together)
        with self._reporting(X, trainer.n_epochs(problem), set_state) as observers:
            problem.observers += observers
            trainer.train(problem, state, set_state)

    def _begin_all(self, X, sample_weight):
        """Return the objectives and the first states of all layers, on codes of the first weights of those below."""
        objectives, states = [], []
        for number, (_, layer, start) in enumerate(self.layers):
            problem, state = self._begin(layer, start, X, sample_weight)
            layer.layer_training().set_state(state)
            self._fill(layer, start)
            for observer in problem.objective.observers:
                observer.key = f"{observer.key}_{number}"  # all keep arrays in one state
            objectives.append(problem.objective)
            states.append(state)
        return objectives, states

    def _joint_training(self, together, checkpoint, resume):
        """Return a training with the parameters of the first layer, but with the solver of each layer for its part."""
        trainings = [layer.layer_training() for _, layer, _ in self.layers]
        solvers = [(training.make_solver(), training.step_size()) for training in trainings]
        if any(isinstance(solver, LBFGS) for solver, _ in solvers):
            raise ValueError("schedule='simultaneous' needs a solver of minibatches in each layer.")
        first = self.layers[0][1]
        options = {field.name: getattr(first, field.name) for field in fields(TrainedModel)}
        options |= {"solver": JointSolver(solvers, together.ends), "learning_rate_init": 1.0}
        return _JointTraining(**{**options, "checkpoint": checkpoint, "resume": resume})

    @contextmanager
    def _reporting(self, X, n_epochs, set_state):
        """Yield observers that report epochs of all layers at once to the callbacks of the layers and of the whole."""
        with ExitStack() as opened:
            reports = [self.report.inner(n_epochs)]
            for _, layer, start in self.layers:
                shown = partial(self._codes, X, start) if start else X
                # The observer sets the attributes of the layer.
                report = reported(layer, shown, n_epochs, lambda state: None)
                reports.append(opened.enter_context(report))
            with_callbacks = [report for report in reports if report.has_callbacks]
            yield [_AfterEpochs(set_state), *with_callbacks] if with_callbacks else []
            for report in reports:
                report.close(None)

    def _set_layers(self, together, joint):
        """Give each layer its part of the joint state."""
        pieces = together.split(joint.params)
        for (_, layer, start), params in zip(self.layers, pieces):
            _set_part(layer, params, joint)
            self._fill(layer, start)

    def supervised(self, data, loss):
        """Fit each layer as the hidden layer of a network that predicts targets from the codes below.

        Parameters
        ----------
        data : SupervisedData
        loss : Reconstruction
            Loss of the output units.
        """
        self._need_networks("pretraining='supervised'")
        for name, layer, start in self.layers:
            codes = self._codes(data.X, start)
            widths, activations = layer_shapes([(name, layer)])
            network = _predictor((codes.shape[1], *widths), activations, data.targets)
            problem = Problem(
                Objective(network, loss),
                codes,
                data.balanced_weights,
                data.targets.values,
                rows=data.labeled_rows,
                strata=data.targets.strata,
            )
            seen = codes if start else self.first_data.X
            units = plain_units(codes.shape[1]) if start else self.model.units
            set_state = partial(_set_encoder, layer, network, units, seen)
            training = layer.layer_training()
            state = training.new_state(partial(_initial, network, codes.dtype))
            with self._fitting(name, layer, start):
                training.train(problem, state, set_state)

    def partly_supervised(self, data, loss, weight):
        """Fit each layer by its own objective and, on labeled rows, by how well its codes predict the targets.

        Parameters
        ----------
        data : SupervisedData
        loss : Reconstruction
            Loss of the output units.
        weight : float
            Weight of the prediction; 1 makes it count as much as the reconstruction.
        """
        self._need_networks("pretraining='partial'")
        targets, weights = data.targets, data.balanced_weights
        loss_of_constants = data.constant_loss()
        factors = supervised_factors(data, ratio=None)
        mark_unlabeled(targets)
        for name, layer, start in self.layers:
            with self._fitting(name, layer, start):
                problem, state = self._begin(layer, start, data.X, data.weights)
                training = layer.layer_training()
                training.set_state(state)
                own = problem.objective.network
                network = _predictor(own.sizes, own.names, targets)
                predicting = Objective(network, loss, row_factors=factors)
                # Constant outputs of both networks have the same loss, times ``weight``.
                own_loss_of_constants = sum(layer.model_.units.constant_losses.values())
                scale = own_loss_of_constants / loss_of_constants if loss_of_constants else 0.0
                both = SharedEncoder(problem.objective, predicting, weight * scale)
                state.params = both.join(state.params, _best_constant(network, targets, state))
                state.solver = training.make_solver().start(state.params)
                problem = Problem(both, problem.X, weights, targets.values, strata=targets.strata)
                training.train(problem, state, partial(_set_autoencoder, layer, own.size))

    @contextmanager
    def _fitting(self, name, layer, start):
        """Copy the weights of ``layer`` to the network, however its training ends, and name it in errors."""
        self.report.epoch_begin(None)
        try:
            try:
                yield
            except BaseException:  # also Ctrl-C
                if is_fitted(layer):
                    self._fill(layer, start)
                raise
            self._fill(layer, start)
        except (TypeError, ValueError) as error:
            error.args = (f"In the layer {name!r}: {error}",)
            raise
        self.report.epoch_end(None)

    def _fill(self, layer, start):
        """Copy the weights of ``layer`` to the network, from its layer ``start`` on."""
        fill(self.model.params, start, weights_of(layer, self.model.network.sizes[start]))

    def _codes(self, X, n_layers):
        """Return the outputs of the first ``n_layers`` layers of the network."""
        rows, network = self.model.scaling.rows(X), self.model.network
        if not n_layers:
            return rows
        prototype, params = prototype_of_parts(), self.model.params
        if prototype is not None:
            params = network.views(like(self.model.flat, prototype))
        with computing(self.layers[0][1], prototype, rows.dtype):
            return by_block(
                rows,
                lambda x: network.encode(params, x, n_layers=n_layers),
                network.sizes[n_layers],
                prototype=prototype,
            )

    def _begin(self, layer, start, X, sample_weight):
        """Let the layer check its training data; return its ``Problem`` and first state."""
        inputs = (self._codes(X, start), sample_weight) if start else self.first_data
        training = layer.layer_training()
        problem, state = training.begin(*inputs)
        if start and self.noise_below and training.make_noise is not None:
            # The noise is that of the columns of X, to which it is added, and not that of the codes.
            problem.objective.corruption = training.make_noise(self.model.units)
        return problem, state

    def _fit_with_noise_below(self, layer, start, X, sample_weight):
        """Fit a layer to codes of X with noise, which are computed for each minibatch."""
        problem, state = self._begin(layer, start, X, sample_weight)
        network, flat = self.model.network, Constant(self.model.flat)

        def encode(rows, out):
            network.encode(network.views(flat.like(rows)), rows, out=out, n_layers=start)

        rows = self.model.scaling.rows(X)
        problem = Problem(OnCodes(problem.objective, rows.shape[1], encode), rows, sample_weight)
        problem.callback_X = partial(self._codes, X, start)
        layer.layer_training().train(problem, state)

    def _need_networks(self, option):
        """Raise, with the ``option`` that needs them, if a layer is no ``NetworkLayer``."""
        for name, layer, _ in self.layers:
            if not isinstance(layer, NetworkLayer):
                raise ValueError(
                    f"{option} needs auto-encoders or RBMs as layers; {name!r} is {layer!r}."
                )

    def _check_noise_below(self):
        self._need_networks("corrupted='input'")
        for name, layer, _ in self.layers[1:]:
            if layer.layer_training().weighs_cells:
                raise ValueError(
                    "corrupted='input' changes no single cell of the codes: the layer "
                    f"{name!r} must have emphasis=None."
                )


def _predictor(sizes, activations, targets):
    """Return the network of an encoder of these widths and activations, and an output layer for ``targets``."""
    sizes = (*sizes, targets.values.shape[1])
    return Network(sizes, (*activations, "identity"), decoder=None)


def _initial(network, dtype, rng, seed):
    return network.initial(rng, dtype)


def _best_constant(network, targets, state):
    """Return parameters of 0, but with the biases of the output layer that are best without inputs."""
    flat = np.zeros(network.size, state.params.dtype)
    network.views(flat).encoder_biases[-1][...] = targets.bias
    return flat


def _set_part(layer, params, whole):
    """Give ``layer`` its ``params`` and the history in ``whole``, the state of the whole training."""
    params, training = params.copy(), layer.layer_training()
    training.set_state(replace(whole, params=params, solver=training.make_solver().start(params)))


def _set_autoencoder(layer, size, state):
    """Give ``layer`` the first ``size`` parameters, without those of the output layer."""
    _set_part(layer, state.params[:size], state)


def _set_encoder(layer, network, units, seen, state):
    """Give ``layer`` the columns of ``seen``, and the parameters of ``network`` below its output layer."""
    shape, params = without_output(network, state.params)
    validate_data(layer, seen, skip_check_array=True)  # sets number and names of the columns
    training = layer.layer_training()
    training.set_network(units, shape)
    training.set_state(replace(state, params=params))


class _AfterEpochs(Observer):
    """Call ``set_state(state)`` after each epoch."""

    def __init__(self, set_state):
        self._set_state = set_state

    def epoch_end(self, state):
        """Publish."""
        self._set_state(state)
        return False


class _JointTraining(TrainedModel, BaseEstimator):
    """The training of several layers at once."""

    def n_epochs(self, problem):
        """Return the maximum number of epochs of the training."""
        return self._n_epochs(problem)

    def train(self, problem, state, set_state):
        """Minimize ``problem`` from ``state``, and call ``set_state(state)`` when training ends, also by an error."""
        self._train(problem, state, set_state)
