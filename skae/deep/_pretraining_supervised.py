"""Pre-training of layers with labels, one after the other: each is the hidden layer of a network that predicts them."""

from functools import partial

import numpy as np
from sklearn.utils.validation import validate_data

from .._estimators.subestimators import without_output
from .._estimators.units import plain_units
from .._estimators.unlabeled import supervised_factors, with_unlabeled_stratum
from ..nn.composition import SharedEncoder
from ..nn.network import Network
from ..nn.objective import Objective
from ..training.loop import Problem
from ._layers import encoder_shape


def pretrain_supervised(layers, data, loss):
    """Fit each layer as the hidden layer of a network that predicts targets from the codes below.

    Parameters
    ----------
    layers : LayersInTraining
    data : SupervisedData
    loss : Reconstruction
        Loss of the output units.
    """
    layers.check_networks("pretraining='supervised'")
    for name, layer, start in layers:
        codes = layers.codes(start)
        widths, activations = encoder_shape([(name, layer)])
        network = _predictor((codes.shape[1], *widths), activations, data.targets)
        problem = Problem(
            Objective(network, loss),
            codes,
            data.balanced_weights,
            data.targets.values,
            rows=data.labeled_rows,
            strata=data.targets.strata,
        )
        seen = codes if start else layers.data.for_part()[0]
        units = plain_units(codes.shape[1]) if start else layers.model.units
        training = layer.layer_training()
        state = training.initial_state(network, codes.dtype)
        with layers.fitting(name, layer, start):
            training.train(problem, state, partial(_set_encoder, layer, network, units, seen))


def pretrain_partially_supervised(layers, data, loss, weight):
    """Fit each layer by its own objective and, on labeled rows, by how well its codes predict the targets.

    Parameters
    ----------
    layers : LayersInTraining
    data : SupervisedData
    loss : Reconstruction
        Loss of the output units.
    weight : float
        Weight of the prediction; 1 makes it count as much as the reconstruction.
    """
    layers.check_networks("pretraining='partial'")
    data = with_unlabeled_stratum(data)
    targets, weights = data.targets, data.balanced_weights
    loss_of_constants = data.constant_loss()
    factors = supervised_factors(data, ratio=None)
    for name, layer, start in layers:
        with layers.fitting(name, layer, start):
            problem, state = layers.begin(layer, start)
            training = layer.layer_training()
            training.set_fitted(state)
            own = problem.objective.network
            network = _predictor(own.sizes, own.activation_names, targets)
            predicting = Objective(network, loss, row_factors=factors)
            # Constant outputs of both networks have the same loss, times ``weight``.
            own_loss_of_constants = sum(layer.model_.units.constant_losses.values())
            scale = own_loss_of_constants / loss_of_constants if loss_of_constants else 0.0
            both = SharedEncoder(problem.objective, predicting, weight * scale)
            flat = np.zeros(network.size, state.params.dtype)  # of which the output layer is taken
            solver, _ = training.make_solver()
            state = state.restarted(both.join(state.params, flat), solver)
            problem = Problem(both, problem.X, weights, targets.values, strata=targets.strata)
            training.train(problem, state, partial(_set_autoencoder, layer, own.size))


def _predictor(sizes, activations, targets):
    """Return the network of an encoder of these widths and activations, and an output layer for ``targets``."""
    sizes = (*sizes, targets.values.shape[1])
    return Network(sizes, (*activations, "identity"), decoder=None)


def _set_autoencoder(layer, size, state):
    """Set the fitted attributes of ``layer``: the first ``size`` parameters, without those of the output layer."""
    layer.layer_training().set_fitted(state, state.params[:size].copy())


def _set_encoder(layer, network, units, seen, state):
    """Set the fitted attributes of ``layer``: the columns of ``seen``, and ``network`` without its output layer."""
    shape, params = without_output(network, state.params)
    validate_data(layer, seen, skip_check_array=True)  # sets number and names of the columns
    layer.layer_training().set_fitted(state, params, (units, shape))
