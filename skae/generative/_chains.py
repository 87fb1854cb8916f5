"""Markov chains of a fitted auto-encoder, which move where it has learned that data are dense."""

from typing import Any, Literal

import numpy as np

from .._arrays.underflow import ignoring_underflow
from .._estimators.fitting import generator
from .._typing import ArrayLike, FloatArray, RandomState
from ..nn.activations import Elementwise
from ..nn.linear_maps import ProductMap
from ._checks import (
    check_decoder,
    check_positive,
    check_schedule,
    checked_rows,
    feed_forward,
    kept_states,
    noise_level,
)
from ._mcmc import langevin


@ignoring_underflow
def sample_chain(
    model: Any,
    x0: ArrayLike,
    n_steps: int = 100,
    sigma: float = 1.0,
    *,
    covariance: Literal["jacobian", "reconstruction", "isotropic"] = "jacobian",
    burn_in: int = 0,
    thin: int = 1,
    random_state: RandomState = None,
) -> FloatArray:
    """Return states of chains that move in code space along the manifold (Rifai et al. 2012).

    A step encodes h = f(x), moves to ``h* = h + J J' e`` with J = dh/dx and e normal of standard deviation sigma, and
    decodes x' = g(h*), the means of the output units. J J' e follows the directions in which x can vary; isotropic
    noise in the code is the control. With ``covariance='reconstruction'`` the noise has the covariance that the
    reconstruction of the code, f(g(h)), estimates. Codes may leave the range of their activation. In a network of
    several layers, f and g are all of them.

    Parameters
    ----------
    model : fitted auto-encoder or StackedAE
        Model with an encoder and a decoder, not RecurrentAE.
    x0 : array-like of shape (n_chains, n_features)
        Initial states of the chains.
    n_steps : int, default=100
        Number of steps of each chain.
    sigma : float, default=1.0
        Standard deviation of e.
    covariance : {'jacobian', 'reconstruction', 'isotropic'}, default='jacobian'
        Noise of the codes: J J' e, normal noise of covariance ``sigma**2 K``, or e. K is d f(g(h)) / dh, with the roots
        of the derivatives of f's units on both sides, which makes it symmetric without changing its eigenvalues. In a
        network of several layers, K is that of the highest one. It needs tied weights and elementwise units.
    burn_in : int, default=0
        Number of first steps whose states are dropped.
    thin : int, default=1
        Interval between the states that are kept after ``burn_in``.
    random_state : int, RandomState instance or None, default=None
        Random seed of the noise.

    Returns
    -------
    samples : ndarray of shape (n_kept, n_chains, n_features)
        States of the chains, with ``n_kept = (n_steps - burn_in) // thin``.

    Raises
    ------
    ValueError
        If x0 or a parameter is invalid, or the model does not meet the conditions of ``covariance``.
    TypeError
        If the model has no layered encoder and decoder.

    References
    ----------
    Rifai, S., Bengio, Y., Dauphin, Y. & Vincent, P. A generative process for sampling contractive auto-encoders. ICML
    2012.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAE
    >>> from skae.generative import sample_chain
    >>> X = load_digits().data / 16
    >>> cae = ContractiveAE(50, max_iter=5, random_state=0).fit(X)
    >>> sample_chain(cae, X[:10], n_steps=20, thin=5, random_state=0).shape
    (4, 10, 64)
    """
    fitted, start = feed_forward(model), checked_rows(model, x0)
    check_positive("sigma", sigma)
    check_schedule(n_steps, burn_in, thin)
    if not (isinstance(covariance, str) and covariance in _NOISE):
        raise ValueError(f"covariance must be one of {sorted(_NOISE)}; got {covariance!r}.")
    if covariance == "reconstruction":
        _check_tied(fitted)
    chain = _code_chain(fitted, start, float(sigma), _NOISE[covariance], generator(random_state))
    return kept_states(chain, fitted.scaling, start, n_steps, burn_in, thin)


@ignoring_underflow
def sample_langevin(
    model: Any,
    x0: ArrayLike,
    n_steps: int = 100,
    sigma: float | None = None,
    *,
    step_size: float | None = None,
    burn_in: int = 0,
    thin: int = 1,
    random_state: RandomState = None,
) -> FloatArray:
    """Return states of Langevin chains, with the score that the reconstruction estimates.

    A step is ``x <- x + step_size / 2 (r(x) - x) / sigma^2 + sqrt(step_size) e``, e standard normal. For a model
    trained with normal noise of standard deviation sigma, (r(x) - x) / sigma^2 is the gradient of the log density of
    noisy data (Alain & Bengio 2014). Steps are not adjusted: large ones widen the density.

    Parameters
    ----------
    model : fitted auto-encoder, StackedAE or RecurrentAE
        Model with a decoder.
    x0 : array-like of shape (n_chains, n_features)
        Initial states of the chains.
    n_steps : int, default=100
        Number of steps of each chain.
    sigma : float, default=None
        Standard deviation of the noise, for scaled columns (see ``scale_``). By default, that of
        training: ``corruption_level`` of gaussian noise, or the root of twice the ``contraction`` of the
        reconstruction.
    step_size : float, default=None
        Step size on the same scale; the default, ``sigma**2``, moves x half of the way to the reconstruction.
    burn_in : int, default=0
        Number of first steps whose states are dropped.
    thin : int, default=1
        Interval between the states that are kept after ``burn_in``.
    random_state : int, RandomState instance or None, default=None
        Random seed of the noise.

    Returns
    -------
    samples : ndarray of shape (n_kept, n_chains, n_features)
        States of the chains, with ``n_kept = (n_steps - burn_in) // thin``.

    Raises
    ------
    ValueError
        If x0 or a parameter is invalid, or sigma is None and training had none.
    TypeError
        If the model has no decoder.

    Warns
    -----
    UserWarning
        If steps are too large, or chains run away.

    References
    ----------
    Alain, G. & Bengio, Y. What regularized auto-encoders learn from the data-generating distribution. JMLR 15
    (2014).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAE
    >>> from skae.generative import sample_langevin
    >>> X = load_digits().data / 16
    >>> dae = DenoisingAE(50, corruption="gaussian", max_iter=5, random_state=0).fit(X)
    >>> sample_langevin(dae, X[:10], n_steps=20, thin=5, random_state=0).shape
    (4, 10, 64)
    """
    check_decoder(model)
    fitted, x = model.model_, checked_rows(model, x0)
    sigma = noise_level(model, sigma)
    step_size = sigma**2 if step_size is None else step_size
    check_positive("step_size", step_size)
    check_schedule(n_steps, burn_in, thin)

    def score(x):
        return (fitted.reconstruct_scaled(x) - x) / sigma**2

    n_steps -= (n_steps - burn_in) % thin  # the last state is one that is kept
    chain = langevin(score, x, n_steps, step_size, generator(random_state))
    return kept_states(chain, fitted.scaling, x, n_steps, burn_in, thin)


def _check_tied(fitted):
    """Raise unless the highest layer has elementwise units and tied weights."""
    encoder, decoder = fitted.params.encoder_layers[-1], fitted.params.decoder_layers[0]
    tied = np.array_equal(encoder.weights, decoder.weights.T)
    outputs_elementwise = fitted.network.depth > 1 or fitted.loss.elementwise
    if not (tied and outputs_elementwise and isinstance(encoder.activation, Elementwise)):
        raise ValueError(
            "covariance='reconstruction' needs a model with tied_weights=True and units that each depend on one "
            "pre-activation; take covariance='jacobian'."
        )


def _code_chain(fitted, x, sigma, noise, rng):
    """Yield x' = g(h + sigma noise)."""
    network, params = fitted.network, fitted.params
    while True:
        outputs = [x]
        for layer in params.encoder_layers:
            outputs.append(layer.forward(outputs[-1]))
        codes = outputs[-1] + sigma * noise(fitted, outputs, rng)
        x = fitted.loss.activate(network.decode(params, codes))
        yield x


def _normal(like, rng):
    return rng.standard_normal(like.shape, like.dtype)


def _isotropic(fitted, outputs, rng):
    """Return e; ``outputs`` are x and the outputs of each layer, as for other kinds of noise."""
    return _normal(outputs[-1], rng)


def _along_jacobian(fitted, outputs, rng):
    """Return J J' e."""
    layers = zip(fitted.params.encoder_layers, outputs[1:])
    linear = [layer.linearize(output) for layer, output in layers]
    jacobian = ProductMap(linear, len(outputs[0]))
    return jacobian.jvp(jacobian.vjp(_normal(outputs[-1], rng)))


def _as_reconstructed(fitted, outputs, rng):
    """Return normal noise of covariance D^1/2 W R W' D^1/2, with f and g of the highest layer.

    D are the derivatives of f's units at h, and R those of g's at their outputs. This matrix is similar to D W R W' = d
    f(g(h)) / dh.
    """
    encoder, (below, codes) = fitted.params.encoder_layers[-1], outputs[-2:]
    outer = encoder.activation.derivatives(codes).first
    noise = np.sqrt(_output_derivatives(fitted, below).clip(0)) * _normal(below, rng)
    return np.sqrt(outer) * (noise @ encoder.weights.T)


def _output_derivatives(fitted, outputs):
    """Return the derivatives of the highest decoder layer's elementwise units at their ``outputs``."""
    if fitted.network.depth > 1:
        return fitted.params.decoder_layers[0].activation.derivatives(outputs).first
    first = np.empty_like(outputs)
    fitted.loss.mean_derivatives(outputs, first, np.empty_like(outputs))
    return first


_NOISE = {"isotropic": _isotropic, "jacobian": _along_jacobian, "reconstruction": _as_reconstructed}
