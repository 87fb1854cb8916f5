"""Hamiltonian chains that adapt the size and the coordinates of their steps during burn-in."""

from dataclasses import dataclass, replace

import numpy as np

from .._arrays.namespace import some_rows
from ._mcmc import transition

_TRAJECTORY_LENGTH = np.pi / 2  # of a trajectory, after which a standard normal state is forgotten
_MAX_LEAPFROG = 32
# Fractions of the burn-in after which the coordinates are chosen anew.
_WINDOWS = 0.05, 0.15, 0.4, 0.85
_MAX_STATES = 256  # states from which to estimate the covariance
_MIN_STATES = 10
_N_PROBES = 8  # directions in which curvatures are estimated


@dataclass
class Coordinates:
    """Coordinates z of x = origin + A z, A = diag(scales) (I + V diag(stretches - 1) V'), to make a density round."""

    origin: np.ndarray
    scales: np.ndarray
    directions: np.ndarray
    stretches: np.ndarray
    longest: float  # largest known standard deviation in any direction

    def invert(self, z):
        """Return x."""
        return self.origin + self._stretched(z) * self.scales

    def derivatives(self, by_x):
        """Return derivatives by z from those by x."""
        return self._stretched(by_x * self.scales)

    def _stretched(self, rows):
        return rows + (rows @ self.directions * (self.stretches - 1)) @ self.directions.T

    def learned(self, origin, states):
        """Return coordinates in which ``states``, of shape (n_states, n_numbers), have about unit covariance.

        The scales are standard deviations. Eigenvalues of the correlations are used only if as many independent states
        would not have them by chance (Marchenko & Pastur 1967).
        """
        states = some_rows(states, _MAX_STATES)
        deviations = states.std(axis=0)
        varies = deviations > 0
        if len(states) < _MIN_STATES or not varies.any():
            return replace(self, origin=origin)
        scales = np.where(varies, deviations, self.scales)
        roots, directions, spread = _principal_directions(states / scales)
        significant = (roots > 1 + spread) | ((roots < 1 - spread) & (roots > 0))
        before, _, _ = _principal_directions(self._straightened(states / self.scales))
        # Chains that moved further than expected have not yet reached the whole density.
        longest = max(before.max() / (1 + spread), 1.0)
        return Coordinates(origin, scales, directions[significant].T, roots[significant], longest)

    def _straightened(self, rows):
        """Return the inverse of ``_stretched`` at ``rows``."""
        return rows + (rows @ self.directions * (1 / self.stretches - 1)) @ self.directions.T


def _principal_directions(rows):
    """Return the deviations along principal directions, these directions, and the random spread of the deviations."""
    n_rows, n_numbers = rows.shape
    centered = (rows - rows.mean(axis=0)) / np.sqrt(n_rows)
    _, roots, directions = np.linalg.svd(centered, full_matrices=False)
    return roots, directions, np.sqrt(n_numbers / n_rows)


def curvature_scales(log_density, x, rng):
    """Return a first guess of the standard deviations of a density around x: one over the root of the curvatures.

    The curvature of a coordinate is the norm of its row of the Hessian, estimated by differences of gradients in random
    directions.
    """
    step = 1e-3 * max(np.sqrt(np.mean(np.square(x))), 1e-3)
    shifts = step * rng.choice([-1.0, 1.0], (_N_PROBES, len(x)))
    differences = log_density(x + shifts)[1] - log_density(x - shifts)[1]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        curvatures = np.sqrt(np.square(differences / (2 * step)).mean(axis=0))
        scales = 1 / np.sqrt(curvatures)
    return np.where(np.isfinite(scales), scales, 1.0)


class StepSize:
    """Leapfrog step size at which chains accept a fraction ``target``, by dual averaging (Hoffman & Gelman 2014)."""

    target = 0.8

    def __init__(self, first):
        self._center, self._n_steps = np.log(first), 0
        self._error, self.log, self._log_average = 0.0, np.log(first), 0.0

    def update(self, probability):
        """Adapt to the mean acceptance probability of a step."""
        self._n_steps += 1
        t = self._n_steps
        self._error += (self.target - probability - self._error) / (t + 10)
        self.log = self._center - np.sqrt(t) / 0.05 * self._error
        weight = t**-0.75
        self._log_average += weight * (self.log - self._log_average)

    @property
    def average(self):
        """The averaged step size: float."""
        return float(np.exp(self._log_average if self._n_steps else self.log))


class AdaptiveChains:
    """Parallel Hamiltonian chains that adapt during burn-in.

    Parameters
    ----------
    log_density : callable
        Takes x of shape (n_chains, n_numbers) to log densities and their gradients.
    start : ndarray of shape (n_chains, n_numbers)
    rng : Generator
    step_size : float or None
        Size of a leapfrog step, in standard deviations; None adapts it.
    """

    def __init__(self, log_density, start, rng, step_size=None):
        self._log_density, self._rng, self._fixed = log_density, rng, step_size
        self.step_size, self.n_accepted = step_size, 0
        value, gradient = log_density(start)
        scales = curvature_scales(log_density, start[0], rng)
        directions, stretches = np.empty((start.shape[1], 0)), np.empty(0)
        self._take(Coordinates(start, scales, directions, stretches, np.inf), value, gradient)

    @property
    def x(self):
        """The states of the chains: ndarray of shape (n_chains, n_numbers)."""
        return self._coordinates.invert(self._state[0])

    @property
    def log_densities(self):
        """The log densities of the states: ndarray of shape (n_chains,)."""
        return self._state[1]

    def burn_in(self, n_steps):
        """Yield after each step; steps adapt to those before."""
        ends, states = {round(fraction * n_steps) for fraction in _WINDOWS}, []
        sizes = self._first_step_size()
        for step in range(1, n_steps + 1):
            gain = self._move(self._fixed or np.exp(sizes.log))
            sizes.update(np.exp(np.minimum(np.where(np.isnan(gain), -np.inf, gain), 0)).mean())
            states.append(self.x)
            if step in ends:
                self._learn(np.concatenate(states))
                sizes, states = self._first_step_size(), []
            yield
        self.step_size, self.n_accepted = self._fixed or sizes.average, 0

    def draws(self, n_steps):
        """Yield after each step; steps no longer adapt, so that the stationary distribution is right."""
        for _ in range(n_steps):
            self._move(self.step_size)
            yield

    def _take(self, coordinates, value, gradient_by_x):
        """Continue from the present states in other coordinates."""
        self._coordinates = coordinates
        z = np.zeros_like(coordinates.origin)
        self._state = (z, value, coordinates.derivatives(gradient_by_x))

    def _learn(self, states):
        x = self.x
        self._take(self._coordinates.learned(x, states), *self._log_density(x))

    def _by_z(self, z):
        value, gradient = self._log_density(self._coordinates.invert(z))
        return value, self._coordinates.derivatives(gradient)

    def _move(self, step_size):
        # Trajectories of equal length could return to their start.
        varied = step_size * self._rng.uniform(0.75, 1.25)
        length = _TRAJECTORY_LENGTH * self._coordinates.longest
        n_leapfrog = int(np.clip(np.rint(length / step_size), 1, _MAX_LEAPFROG))
        self._state, gain, accepted = transition(
            self._by_z, self._state, varied, n_leapfrog, self._rng
        )
        self.n_accepted += int(accepted.sum())
        return gain

    def _first_step_size(self):
        """Return a ``StepSize`` that starts at half the size at which about half of single leapfrogs are accepted."""
        if self._fixed is not None:
            return StepSize(self._fixed)
        size, direction = 1.0, 0
        while 1e-12 < size < 1e12:
            _, gain, _ = transition(self._by_z, self._state, size, 1, self._rng)
            wanted = 1 if np.median(np.where(np.isnan(gain), -np.inf, gain)) > np.log(0.5) else -1
            if direction and wanted != direction:
                break
            direction, size = wanted, size * 2.0**wanted
        return StepSize(size / 2)
