"""Markov chain Monte Carlo on arrays: parallel chains, a row for each."""

import numpy as np

from .._warnings import warn

_MAX_FALL = 100  # of the log density in a step, for each feature: 14 standard deviations of a normal density


def langevin(score, x, n_steps, step_size, rng):
    """Yield x after each step of unadjusted Langevin dynamics, x <- x + step_size / 2 score(x) + sqrt(step_size) e.

    Chains that diverge become infinite or NaN. Before the last state, warn if it is finite but the log density fell far
    in a step, as estimated from the mean of the scores at both ends.

    Parameters
    ----------
    score : callable
        Takes x to the gradient of the log density at each row.
    x : ndarray of shape (n_chains, n_features)
        Initial states, which are not modified.
    n_steps : int
    step_size : float
    rng : Generator
    """
    step_size, steady = float(step_size), True
    with np.errstate(over="ignore", invalid="ignore"):
        gradient = score(x)
    for remaining in reversed(range(n_steps)):
        noise = rng.standard_normal(x.shape, x.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            end = x + step_size / 2 * gradient + step_size**0.5 * noise
            end_gradient = score(end)
            rise = np.einsum("ij,ij->i", end - x, gradient + end_gradient) / 2
        steady = steady and (rise >= -_MAX_FALL * x.shape[1]).all()
        x, gradient = end, end_gradient
        if not (remaining or steady) and np.isfinite(x).all():
            warn(
                "Steps of the chains are too large: they end where the density is almost 0, so the states are no samples. "
                "Lower step_size."
            )
        yield x


def hamiltonian(log_density, x, n_steps, step_size, n_leapfrog, rng):
    """Yield (x, accepted) after each step of Metropolis-adjusted Hamiltonian Monte Carlo (Neal 2011).

    One leapfrog step is the Metropolis-adjusted Langevin algorithm, with proposals of :func:`langevin` at
    ``step_size**2``. A chain whose trajectory diverges stays where it was.

    Parameters
    ----------
    log_density : callable
        Takes x to its log densities, of shape (n_chains,), up to a constant, and their gradients.
    x : ndarray of shape (n_chains, n_features)
        Initial states, which are not modified.
    n_steps : int
    step_size : float
        Size of a leapfrog step.
    n_leapfrog : int
        Number of leapfrog steps of a trajectory.
    rng : Generator
    """
    state = (x, *log_density(x))
    for _ in range(n_steps):
        state, gain, accepted = transition(log_density, state, float(step_size), n_leapfrog, rng)
        yield state[0], accepted


def transition(log_density, state, step_size, n_leapfrog, rng):
    """Return the state after a step of :func:`hamiltonian`, its gain of log density, and whether it was accepted.

    A state consists of x, its log densities and their gradients. The gain includes the kinetic energy.
    """
    x = state[0]
    momentum = rng.standard_normal(x.shape, x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        proposal, end = _trajectory(log_density, state, momentum, step_size, n_leapfrog)
        gain = proposal[1] - state[1] + _kinetic_energy(momentum) - _kinetic_energy(end)
    accepted = -rng.standard_exponential(len(x)) < gain
    state = tuple(_chosen(accepted, new, old) for new, old in zip(proposal, state))
    return state, gain, accepted


def moving(steps):
    """Yield x of each (x, accepted) of :func:`hamiltonian`; warn at the end if no step was accepted."""
    moved = False
    for x, accepted in steps:
        moved = moved or accepted.any()
        yield x
    if not moved:
        warn(
            "No step of the chains was accepted: the samples are where the chains start. Lower step_size."
        )


def _trajectory(log_density, state, momentum, step, n_leapfrog):
    """Return the state (x, log density, gradient) and the momentum after ``n_leapfrog`` steps."""
    x, value, gradient = state
    for _ in range(n_leapfrog):
        momentum = momentum + step / 2 * gradient
        x = x + step * momentum
        value, gradient = log_density(x)
        momentum = momentum + step / 2 * gradient
    return (x, value, gradient), momentum


def _kinetic_energy(momentum):
    return np.einsum("ij,ij->i", momentum, momentum, dtype=np.float64) / 2


def _chosen(accepted, new, old):
    return np.where(accepted.reshape(-1, *[1] * (new.ndim - 1)), new, old)
