"""Posterior of the parameters of a network given data, and chains that draw from it."""

from functools import partial

import numpy as np
from scipy.optimize import minimize as scipy_minimize
from sklearn.exceptions import ConvergenceWarning

from .._arrays.namespace import some_rows
from .._estimators.fitting import BLOCK, by_block, rows_at_once
from .._estimators.subestimators import unfrozen
from .._warnings import warn
from ..autoencoders import AutoEncoder, BaseAutoEncoder
from ..training.batches import mean_objective
from ..training.loop import Problem
from ..training.verbose import say
from ._adaptation import AdaptiveChains
from ._diagnostics import MIN_DRAWS, ChainDiagnostics, diagnose
from ._energies import ReconstructionMoments, mean_and_deviation

MAX_R_HAT = 1.1
MIN_SAMPLE_SIZE = 50  # these estimate a standard deviation to 10%
_N_CHECKED_ROWS = 64  # training rows whose reconstructions are diagnosed


def checked_base(base):
    """Return the auto-encoder ``base``, taken out of its ``FrozenEstimator`` if it is in one."""
    base = AutoEncoder() if base is None else unfrozen(base)
    if not isinstance(base, BaseAutoEncoder):
        raise TypeError(f"base must be an AutoEncoder, DenoisingAE or ContractiveAE; got {base!r}.")
    return base


def reconstruction_diagnostics(x, models, n_chains):
    """Return the :class:`ChainDiagnostics` of the reconstructions of the rows x by ``models``."""
    block = rows_at_once(BLOCK, 2 * len(models) * x.shape[1], x.dtype)
    both = by_block(x, partial(_diagnosed, models, n_chains), (2, x.shape[1]), block)
    return ChainDiagnostics(both[:, 0], both[:, 1])


def reconstruction_moments(X, models):
    """Return the :class:`ReconstructionMoments` of the rows of X over ``models``."""
    scaling = models[0].scaling

    def at_rows(x):
        # On the scale of the network's inputs, whose squares do not overflow.
        z = scaling.apply(x)
        mean, deviation = mean_and_deviation(model.reconstruct_scaled(z) for model in models)
        return np.stack([scaling.invert(mean), scaling.invert_difference(deviation)], axis=1)

    both = by_block(X, at_rows, (2, X.shape[1]))
    return ReconstructionMoments(both[:, 0], both[:, 1])


def _diagnosed(models, n_chains, x):
    """Return effective sample size and R-hat of the reconstructions of x, stacked."""
    n_steps = len(models) // n_chains
    z, widened = models[0].inputs(x), models[0].scaling.widened
    # On the scale of the network's inputs, whose squares do not overflow.
    each = [model.reconstruct_scaled(z) for model in models[: n_steps * n_chains]]
    sizes, r_hats = diagnose(np.reshape(each, (n_steps, n_chains, *z.shape)))
    # A constant column is known.
    return np.stack([widened(sizes, n_steps * n_chains), widened(r_hats, 1)], axis=1)


class Posterior:
    """``exp(-n_samples F(theta) / temperature - ||theta||^2 / (2 prior_scale^2))``, F a mean objective, up to a constant.

    Noise in the objective is drawn once: it is determined by ``seed`` and the rows.

    Parameters
    ----------
    problem : Problem
    n_samples : float
        Sum of the sample weights.
    temperature, prior_scale : float
    seed : int
    batch_size : int
        Number of rows at once.
    """

    def __init__(self, problem, n_samples, temperature, prior_scale, seed, batch_size=BLOCK):
        self._objective, self._seed = problem.objective, seed
        self._batches = problem.batches(problem.rows, batch_size, equal_noise=True)
        self._factor, self._precision = float(n_samples) / temperature, float(prior_scale) ** -2
        self._n_samples, self._dtype = float(n_samples), problem.X.dtype

    def __call__(self, theta):
        """Return the log density and its gradient at each row of ``theta``."""
        values, gradients = np.empty(len(theta)), np.empty_like(theta)
        grad = np.empty(theta.shape[1], self._dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            for row, (flat, gradient) in enumerate(zip(theta, gradients)):
                flat = flat.astype(self._dtype)
                value = mean_objective(self._objective, flat, self._batches, self._seed, grad)
                values[row] = -self._factor * value
                np.multiply(grad, -self._factor, out=gradient)
            values -= self._precision / 2 * np.square(theta).sum(axis=1)
            gradients -= self._precision * theta
        return values, gradients

    def objective(self, theta, log_densities):
        """Return the mean over the rows of ``theta`` of the objective, from their log densities.

        Parameters
        ----------
        theta : ndarray of shape (n_chains, n_parameters)
        log_densities : ndarray of shape (n_chains,)
            Log densities that the posterior returned for ``theta``.
        """
        prior = self._precision / 2 * np.square(theta).sum(axis=1)
        return float(np.mean((-log_densities - prior) / self._factor))


def draw_parameters(model, X, weights, seed):
    """Draw the parameters of ``model`` given the data, by chains that start at those of ``model.base_``.

    Sets the attributes of ``model`` that describe the draws. After an interrupt, these are the draws so far, if any.
    """
    posterior, flat = _posterior(model, X, weights, seed), model.base_.model_.flat
    start = flat.astype(np.float64)[np.newaxis]
    if not np.isfinite(posterior(start)[0]):
        raise ValueError(
            f"The energy divided by temperature={model.temperature} is beyond the range of numbers: raise temperature, or "
            "scale X."
        )
    step_size = None if model.step_size == "auto" else float(model.step_size)
    start = np.tile(_climbed(posterior, start[0], model.burn_in), (model.n_chains, 1))
    chains = AdaptiveChains(posterior, start, np.random.default_rng(seed), step_size)
    draws = _Draws(model, posterior, flat)
    try:
        for _ in chains.burn_in(model.burn_in):
            draws.take(chains)
        for _ in chains.draws(model.thin * -(-model.n_draws // model.n_chains)):
            draws.take(chains)
    except KeyboardInterrupt:
        draws.set_on(model)
        raise
    if not chains.n_accepted and draws.n_kept >= MIN_DRAWS:
        raise ValueError(
            f"No step of the chains was accepted with step_size={chains.step_size:.3g}: lower step_size or raise burn_in."
        )
    draws.set_on(model)


def _climbed(posterior, theta, n_steps):
    """Return the end of ``n_steps`` of L-BFGS from ``theta``, a better start for the chains."""

    def value_and_gradient(theta):
        value, gradient = posterior(theta[np.newaxis])
        return -value[0], -gradient[0]

    options = {"maxiter": n_steps, "ftol": 0, "gtol": 0}
    found = scipy_minimize(value_and_gradient, theta, jac=True, method="L-BFGS-B", options=options)
    return found.x if np.isfinite(found.fun) else theta


def _posterior(model, X, weights, seed):
    """Return the posterior of the parameters of ``model`` given X."""
    fitted = model.base_.model_
    objective = model.base_.objective(fitted.network, fitted.units)
    problem = Problem(objective, fitted.scaling.rows(X), weights)
    n_samples = X.shape[0] if weights is None else weights.sum(dtype=np.float64)
    return Posterior(
        problem, n_samples, model.temperature, model.prior_scale, seed, model.batch_size
    )


class _Draws:
    """Results of chains: states every ``thin`` steps after ``burn_in``, and the mean objective after each step."""

    def __init__(self, model, posterior, flat):
        self._burn_in, self._thin, self._verbose = model.burn_in, model.thin, int(model.verbose)
        self._name, self._posterior = type(model).__name__, posterior
        n_steps = -(-model.n_draws // model.n_chains)
        self._states = np.empty((n_steps, model.n_chains, flat.size), flat.dtype)
        self.n_kept, self.curve = 0, []

    def take(self, chains):
        """Record the present states of the chains."""
        x = chains.x
        self.curve.append(self._posterior.objective(x, chains.log_densities))
        n_steps = len(self.curve)
        if self._verbose and n_steps % self._verbose == 0:
            say(f"[{self._name}] step {n_steps}: loss = {self.curve[-1]:.6g}")
        if n_steps > self._burn_in and (n_steps - self._burn_in) % self._thin == 0:
            self._states[self.n_kept] = x
            self.n_kept += 1

    def set_on(self, model):
        """Set the draws of ``model`` and their diagnostics, if there are any draws."""
        if not self.n_kept:
            return
        states = self._states[: self.n_kept]
        model.draws_ = states.reshape(-1, states.shape[2])[: model.n_draws]
        model.loss_curve_ = self.curve
        model.effective_sample_size_, model.r_hat_ = diagnose(states)


def warn_of_mixing(model, X, models):
    """Warn, with the cure, if reconstructions of some rows of X by ``models`` have not mixed, or draws are too few to tell.

    Parameters are not checked: units that swap places, and weights that make up for each other, leave r(x) as it is.
    """
    rows = some_rows(X, _N_CHECKED_ROWS)
    sizes, r_hats = reconstruction_diagnostics(rows, models, model.n_chains)
    least, worst = sizes.min(), r_hats.max()
    if least >= MIN_SAMPLE_SIZE and worst <= MAX_R_HAT:
        return
    if len(model.draws_) < MIN_DRAWS * model.n_chains:
        found = f"n_draws={model.n_draws} of n_chains={model.n_chains} are too few to tell whether the chains have mixed"
    else:
        few = np.mean((sizes < MIN_SAMPLE_SIZE) | (r_hats > MAX_R_HAT))
        found = (
            f"the chains have not mixed in {few:.0%} of the values of r(x) (R-hat up to {worst:.3g}, which should be below "
            f"{MAX_R_HAT}; effective sample sizes down to {least:.3g}, which should be {MIN_SAMPLE_SIZE})"
        )
    warn(
        f"{type(model).__name__}: {found}. Standard deviations over the draws may be too small. Raise burn_in and n_draws or "
        "thin; diagnose(X) tells which reconstructions are to be trusted.",
        ConvergenceWarning,
    )
