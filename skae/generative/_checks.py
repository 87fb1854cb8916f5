"""Checks and defaults that the samplers share."""

from itertools import islice
from numbers import Integral, Real

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._estimators.columns import Columns
from .._estimators.reading import validated
from .._estimators.training import parameters_of_fit
from .._warnings import warn
from ..autoencoders import BaseAutoEncoder
from ..deep import RecurrentAE, StackedAE
from ..nn.losses import Gaussian
from ..nn.network import Network

_MAX_DISTANCE = 1000.0  # times as far as the data that chains may go


def check_decoder(model):
    """Raise unless ``model`` is a fitted auto-encoder with a decoder."""
    if not (
        isinstance(model, (BaseAutoEncoder, StackedAE, RecurrentAE))
        and hasattr(model, "reconstruct")
    ):
        raise TypeError(
            f"model must be an auto-encoder with a decoder, such as ContractiveAE or StackedAE; got {model!r}."
        )
    check_is_fitted(model)


def feed_forward(model):
    """Return the fitted network of ``model``; raise unless it is feed-forward."""
    check_decoder(model)
    fitted = model.model_
    if not isinstance(fitted.network, Network):
        raise TypeError(
            f"model must be feed-forward, such as StackedAE, not recurrent; got {model!r}."
        )
    return fitted


def check_gaussian(loss):
    """Raise unless ``loss`` is gaussian in all columns."""
    if not all(isinstance(part, Gaussian) for part in loss.parts):
        raise ValueError("model must have loss='gaussian' in all columns, for moments of its data.")


def checked_rows(model, X, name="x0"):
    """Return X, the argument ``name``, in the dtype of ``model`` and scaled for its network."""
    fitted = model.model_
    X = validated(model, X, name, dtype=fitted.dtype, order="C", reset=False)
    return fitted.scaling.apply(X)


def check_positive(name, value):
    """Raise unless ``value`` is a positive number."""
    if not (isinstance(value, Real) and 0 < value < np.inf):
        raise ValueError(f"{name} must be a positive number; got {value!r}.")


def check_squared(name, value):
    """Raise unless ``value`` is a positive number whose square is neither infinite nor 0."""
    check_positive(name, value)
    if not 1e-150 < value < 1e150:
        raise ValueError(f"{name} must be within 1e-150 and 1e150, to be squared; got {value!r}.")


def noise_level(model, sigma):
    """Return sigma, by default the standard deviation of the training noise of ``model``, or its equivalent."""
    params = parameters_of_fit(model)
    if sigma is None and params.get("corruption") == "gaussian":
        sigma = params["corruption_level"]
    elif sigma is None and params.get("contracted") == "reconstruction":
        # The loss is half the squared error: contraction / loss is sigma^2 / 2.
        sigma = (2 * model.contraction_) ** 0.5
    elif sigma is None:
        raise ValueError(
            "sigma must be given for a model that was trained without gaussian noise and without contraction of "
            "its reconstruction."
        )
    check_squared("sigma", sigma)
    return float(sigma)


def check_schedule(n_steps, burn_in, thin):
    """Raise if no state would be kept, or an argument is not a valid count."""
    for name, value, least in (("n_steps", n_steps, 1), ("burn_in", burn_in, 0), ("thin", thin, 1)):
        if not (isinstance(value, Integral) and value >= least):
            raise ValueError(f"{name} must be an integer of at least {least}; got {value!r}.")
    if n_steps < burn_in + thin:
        raise ValueError(
            f"n_steps must be at least burn_in + thin = {burn_in + thin}, to keep a state; got {n_steps}."
        )


def kept_states(states, scaling, start, n_steps, burn_in, thin):
    """Return the states, by :func:`checked_states`, that ``burn_in`` and ``thin`` keep."""
    kept = np.empty(((n_steps - burn_in) // thin, *start.shape), start.dtype)
    for place, state in zip(kept, islice(states, burn_in + thin - 1, None, thin)):
        place[...] = state
    return checked_states(scaling, kept, start)


def last_state(states):
    """Return the last of ``states``."""
    for state in states:
        last = state
    return last


def checked_states(scaling, states, start):
    """Return ``states`` of chains, which began at ``start``, on the scale of X.

    Raise ``ValueError`` unless they are finite, and warn if they have run away.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        result = scaling.invert(states)
    if not np.isfinite(result).all():
        raise ValueError(
            "The chain diverged (NaN or infinity): take a smaller step_size or less noise."
        )
    # Scaled columns are of the order of 1.
    if np.abs(states).max() > _MAX_DISTANCE * max(np.abs(start).max(), 1):
        warn(
            f"The chains have run away from the data, to values of {np.abs(result).max():.2g}: the density of the model does "
            "not fall off there, or step_size or the noise is too large. Lower these, take fewer steps, or a model with "
            "bounded codes (activation='sigmoid')."
        )
    return result


def column_moments(X, weights):
    """Return the mean and the standard deviation of each column."""
    columns = Columns(X, weights)
    return columns.mean, columns.deviation


def normal_rows(moments, n_samples, dtype, rng):
    """Return normal draws with the ``column_moments`` of data, as initial states of chains."""
    mean, deviation = moments
    return (mean + deviation * rng.standard_normal((n_samples, len(mean)))).astype(dtype)
