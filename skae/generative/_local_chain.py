"""Chain of local moments: each state is normal around the reconstruction of the previous one."""

from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from .._arrays.underflow import ignoring_underflow
from .._estimators.fitting import generator
from .._typing import ArrayLike, FloatArray, RandomState
from ._checks import (
    check_gaussian,
    check_schedule,
    checked_rows,
    feed_forward,
    kept_states,
    noise_level,
)
from ._moments import reconstruction_and_jacobian, symmetric_eigen

_BLOCK = 16  # rows whose Jacobians are in memory at once


@ignoring_underflow
def sample_local_moments(
    model: Any,
    x0: ArrayLike,
    n_steps: int = 100,
    sigma: float | None = None,
    *,
    burn_in: int = 0,
    thin: int = 1,
    random_state: RandomState = None,
) -> FloatArray:
    """Return states of chains that draw x' from the normal distribution that the model estimates near x.

    A step draws ``x' ~ N(r(x), C(x))`` (Bengio et al. 2012) with ``C = sigma^2 (J + J^2)`` and J = dr/dx. C is the sum
    of two covariances: sigma^2 J^2, that of r at x with noise of standard deviation sigma, and sigma^2 J, that of a
    clean sample given its noisy copy. For normal data and the optimal r, for which C0 = sigma^2 J (I - J)^-1 is their
    covariance, the chain has exactly their distribution. For other data its distribution is smoothed, less so the
    smaller sigma was in training.

    J is symmetrized, and its eigenvalues are brought into [0, 1].

    Parameters
    ----------
    model : fitted auto-encoder or StackedAE
        Model with ``loss='gaussian'``, trained with gaussian noise or contraction of the reconstruction.
    x0 : array-like of shape (n_chains, n_features)
        Initial states of the chains.
    n_steps : int, default=100
        Number of steps of each chain. A step computes the eigenvectors of J, which costs ``O(n_features^3)`` per chain.
    sigma : float, default=None
        Standard deviation of the noise, for scaled columns (see ``scale_``). By default, that of
        training: ``corruption_level`` of gaussian noise, or the root of twice the ``contraction`` of the
        reconstruction.
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
        If x0 or a parameter is invalid, the loss is not gaussian, or sigma is None and training had none.
    TypeError
        If the model has no layered encoder and decoder.

    See Also
    --------
    local_moments : The moments themselves.

    References
    ----------
    Bengio, Y., Alain, G. & Rifai, S. Implicit density estimation by local moment matching to sample from
    auto-encoders. 2012 (arXiv 1207.0057).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAE
    >>> from skae.generative import sample_local_moments
    >>> X = load_digits().data / 16
    >>> options = {"corruption": "gaussian", "corruption_level": 0.3, "loss": "gaussian"}
    >>> dae = DenoisingAE(50, max_iter=5, random_state=0, **options).fit(X)
    >>> sample_local_moments(dae, X[:10], n_steps=20, thin=5, random_state=0).shape
    (4, 10, 64)
    """
    fitted, x = feed_forward(model), checked_rows(model, x0)
    check_gaussian(fitted.loss)
    sigma = noise_level(model, sigma)
    check_schedule(n_steps, burn_in, thin)
    chain = _local_chain(fitted.params, x, sigma, generator(random_state))
    return kept_states(chain, fitted.scaling, x, n_steps, burn_in, thin)


def _local_chain(params, x, sigma, rng):
    """Yield x' ~ N(r(x), sigma^2 (J + J^2))."""
    while True:
        noise = sigma * rng.standard_normal(x.shape, x.dtype)
        x = np.concatenate(
            [_step(params, x[rows], noise[rows]) for rows in gen_batches(len(x), _BLOCK)]
        )
        yield x


def _step(params, x, noise):
    """Return r(x) + (J + J^2)^1/2 noise."""
    mean, jacobian = reconstruction_and_jacobian(params, x)
    values, vectors = symmetric_eigen(jacobian, 1)
    scaled = np.sqrt(values * (1 + values)) * noise
    return mean + np.squeeze(vectors @ scaled[:, :, np.newaxis], axis=2)
