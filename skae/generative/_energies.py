"""The energy E(x, theta), its gradient, and the chains that draw x given theta."""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from .._typing import FloatArray
from .._warnings import warn
from ..nn.jacobian_penalties import JacobianCurvature
from ..nn.losses import Bernoulli, Gaussian, Multinomial
from ..nn.objective import Objective
from ..nn.penalties import Curvature, WeightDecay
from ._checks import checked_states, last_state
from ._mcmc import langevin

_SEED = np.uint64(0)  # of penalties that draw: a row gets the same draws at each call


class ReconstructionMoments(NamedTuple):
    """Mean and standard deviation of reconstructions over draws of the parameters.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_features)
        Means.
    standard_deviation : ndarray of shape (n_samples, n_features)
        Standard deviations.
    """

    mean: FloatArray
    standard_deviation: FloatArray


def clean_energy(base):
    """Return the objective of ``base`` as a function of clean x: no corruption, no weight decay."""
    fitted = base.model_
    objective = base.objective(fitted.network, fitted.units)
    penalties = [each for each in objective.penalties if not isinstance(each, WeightDecay)]
    return Objective(objective.network, objective.loss, penalties=penalties)


def differentiable_energy(base):
    """Return ``clean_energy``; raise if it cannot be differentiated by x."""
    energy = clean_energy(base)
    if any(isinstance(each, (Curvature, JacobianCurvature)) for each in energy.penalties):
        raise ValueError(
            "The gradient of the energy needs a base with curvature=0: that penalty also sees x through "
            "noisy copies of it."
        )
    return energy


def mean_energies(objective, models, x):
    """Return the mean over ``models`` of loss plus penalties for each of the rows x of X."""
    z = models[0].scaling.apply(x)
    return sum(_energies(objective, each.params, z) for each in models) / len(models)


def mean_gradients(objective, models, x):
    """Return the gradient of ``mean_energies`` at each of the rows x of X."""
    scaling = models[0].scaling
    z = scaling.apply(x)
    gradients = sum(_gradients(objective, each.params, z) for each in models) / len(models)
    return scaling.derivatives(gradients)


def _passed_up(network, params, trace, x):
    """Return ``trace`` after a forward pass of ``x``, with weight 1 for each row."""
    trace.start()
    trace.inputs[...] = x
    trace.sample_weights[:] = 1
    network.forward(params, trace, _SEED)
    return trace


def _lost(loss, trace):
    """Return the loss of each row, and replace the logits by the gradient of the loss."""
    no_cells = np.empty((0, 0), trace.logits.dtype)
    loss.loss_and_gradient(trace.logits, trace.inputs, trace.sample_weights, no_cells, trace.losses)
    return trace.losses


def _energies(objective, params, x):
    """Return loss plus penalties for each row of ``x``."""
    network = objective.network
    trace = _passed_up(network, params, network.trace(len(x), x), x)
    energies = _lost(objective.loss, trace)
    if objective.penalties:
        single = network.trace(1, x)
        for i, row in enumerate(x):
            _passed_up(network, params, single, row)
            energies[i] += sum(each(params, single, _SEED) for each in objective.penalties)
    return energies


def _gradients(objective, params, x):
    """Return the gradient of loss plus penalties at each row of ``x``."""
    network, loss = objective.network, objective.loss
    trace = _passed_up(network, params, network.trace(len(x), x), x)
    for penalty in objective.penalties:
        penalty(params, trace, _SEED)
    gradient = _target_gradient(loss, trace.logits, x)
    _lost(loss, trace)
    network.backward(params, trace, network.views(np.empty(network.size, x.dtype)))
    return gradient + trace.encoder[0].delta @ params.encoder_weights[0]


_TARGET_GRADIENTS = {
    Gaussian: lambda logits, x: x - logits,
    Bernoulli: lambda logits, x: -logits,
    Multinomial: lambda logits, x: -log_softmax(logits, axis=1),
}


def _target_gradient(loss, logits, x):
    """Return the gradient of the loss by its target x, for fixed logits."""
    out = np.empty_like(x)
    for part in loss.parts:
        columns = part.columns
        out[:, columns] = _TARGET_GRADIENTS[type(part)](logits[:, columns], x[:, columns])
    return out


def mean_and_deviation(arrays):
    """Return the mean and the standard deviation over ``arrays``, without storing them (Welford 1962)."""
    mean = squares = 0.0
    for count, array in enumerate(arrays, 1):
        deviation = array.astype(np.float64) - mean
        mean = mean + deviation / count
        squares = squares + deviation * (array - mean)
    return mean, np.sqrt(squares / count)


def draw_data(base, models, start, n_steps, step_size, temperature, rng):
    """Return the ends of chains from ``start``, rows of X, each with the parameters of a random one of ``models``."""
    loss, scaling = base.model_.loss, base.model_.scaling
    if not loss.elementwise:
        raise ValueError(
            "sample needs gaussian or bernoulli columns: those of loss='multinomial' are categories, and have "
            "no values in between."
        )
    objective, bounded = differentiable_energy(base), loss.columns_of(Bernoulli)
    if bounded.size and step_size * temperature > 1:
        warn(
            f"step_size={step_size:.3g} times the temperature {temperature:.3g} is above 1: steps are wider than the range "
            "of bernoulli columns, and their samples are noise. Lower step_size."
        )
    chosen = rng.integers(len(models), size=len(start))
    groups = [(models[k].params, np.flatnonzero(chosen == k)) for k in np.unique(chosen)]
    start = scaling.apply(start)

    def score(x):
        x, signs = _reflect(x, bounded)
        gradients = np.empty_like(x)
        for params, rows in groups:
            gradients[rows] = _gradients(objective, params, x[rows])
        return -signs * gradients / float(temperature)

    end = last_state(langevin(score, start, n_steps, step_size * temperature, rng))
    return checked_states(scaling, _reflect(end, bounded)[0], start)


def _reflect(x, bounded):
    """Return x with the columns ``bounded`` reflected into [0, 1], and the signs of its derivative."""
    inside, signs = x.copy(), np.ones_like(x)
    phase = x[:, bounded] % 2
    inside[:, bounded] = np.minimum(phase, 2 - phase)
    signs[:, bounded] = np.where(phase > 1, -1, 1)
    return inside, signs
