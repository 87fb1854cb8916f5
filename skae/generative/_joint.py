"""Bayesian auto-encoder: a joint energy of data and parameters."""

from dataclasses import field
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, Interval, StrOptions, _fit_context
from .._estimators.fitting import (
    by_block,
    check_counts,
    column_names,
    fit_data,
    generator,
    score,
    unchanged_on_error,
    validated_rows,
)
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import estimator
from .._estimators.reading import validated_start
from .._estimators.subestimators import fitted_base
from .._typing import ArrayLike, FloatArray, MatrixLike, RandomState, Self
from ..nn.model import Model
from ._checks import check_positive, check_squared, column_moments, normal_rows
from ._diagnostics import ChainDiagnostics
from ._energies import (
    ReconstructionMoments,
    clean_energy,
    differentiable_energy,
    draw_data,
    mean_energies,
    mean_gradients,
)
from ._posterior import (
    checked_base,
    draw_parameters,
    reconstruction_diagnostics,
    reconstruction_moments,
    warn_of_mixing,
)


@estimator
class JointEnergy(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Bayesian auto-encoder that samples parameters given data, and data given parameters.

    The objective of an auto-encoder serves as the joint energy of data X and parameters theta, ``P(X, theta) =
    exp(-sum_t E(x_t, theta) / temperature - ||theta||^2 / (2 prior_scale^2)) / Z``, with
    ``E(x, theta) = loss(x, r(x)) + penalties`` and Z independent of theta. Weight decay of the base counts as part of
    the prior. ``fit`` trains the base, then draws theta given X by Hamiltonian Monte Carlo on all rows of X, starting
    from the trained parameters. During ``burn_in`` the chains adapt their step size and the covariance of theta.
    ``sample`` draws x given theta.

    The chains start at one optimum and may not find others. ``fit`` warns if r(x) of training rows has not mixed, see
    :meth:`diagnose`. ``r_hat_`` tells of parameters instead, which mix worse: r(x) does not change when units swap
    places. The noise of a :class:`DenoisingAE` is drawn once for each row.

    Parameters
    ----------
    base : estimator, default=None
        An :class:`AutoEncoder` (the default), :class:`DenoisingAE` or :class:`ContractiveAE`, which is cloned. In a
        ``FrozenEstimator`` of scikit-learn, it is already fitted and used as it is.
    n_draws : int, default=1000
        Number of draws to keep, over all chains. The relative error of a standard deviation is ``1 / sqrt(2 n_draws)``.
    n_chains : int, default=4
        Number of parallel chains.
    thin : int, default=1
        Number of steps of a chain between draws.
    burn_in : int, default=200
        Number of steps of a chain before the first draw, during which it adapts.
    step_size : float or 'auto', default='auto'
        Size of a leapfrog step, in standard deviations; ``'auto'`` adapts it to accept about 0.8 of the steps.
    temperature : float, default=1.0
        Temperature of the energy of the data. For gaussian columns it is the variance of the noise around r(x), which
        the loss assumes to be 1: the mean squared reconstruction error is a reasonable value. For other columns, 1
        gives their likelihood.
    prior_scale : float, default=1.0
        Standard deviation of the normal prior of each weight and bias.
    batch_size : int, default=1024
        Number of samples in memory at once; each step of a chain uses all samples.
    random_state : int, RandomState instance or None, default=None
        Random seed of the chains, and of a ``base`` that has none of its own.
    verbose : int, default=0
        If positive, print the mean energy every ``verbose`` steps; also ``verbose`` of a ``base`` whose own is 0.

    Attributes
    ----------
    base_ : estimator
        Trained base: the mode of the posterior if the prior is flat.
    draws_ : ndarray of shape (n_draws, n_parameters)
        Draws of the parameters of its network.
    effective_sample_size_ : ndarray of shape (n_parameters,)
        Number of independent draws that would estimate the mean of a parameter equally well; 0 if there are too few.
    r_hat_ : ndarray of shape (n_parameters,)
        Ratio of the deviation of a parameter over all chains to that within one: below 1.1 if they have mixed; infinite
        if there are too few draws.
    loss_curve_ : list of float
        Objective of the base after each step, as the mean over chains.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Bengio, Y., Courville, A. & Vincent, P. Representation learning: a review and new perspectives. IEEE TPAMI 35
    (2013).

    Neal, R. M. MCMC using Hamiltonian dynamics. Handbook of Markov chain Monte Carlo (2011), arXiv:1206.1901. Hoffman,
    M. D. & Gelman, A. The No-U-Turn sampler. JMLR 15 (2014). Gelman, A. et al. Bayesian data analysis. Third edition
    (2013), sections 11.4 and 11.5.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoEncoder
    >>> from skae.generative import JointEnergy
    >>> X = load_iris().data
    >>> base = AutoEncoder(1, activation="identity", loss="gaussian", solver="lbfgs", random_state=0)
    >>> model = JointEnergy(base, n_draws=200, temperature=0.1, random_state=0).fit(X)
    >>> bool(model.r_hat_.max() < 1.1)
    True
    >>> model.predict_distribution(X).standard_deviation.shape, model.sample(3, random_state=0).shape
    ((150, 4), (3, 4))
    """

    base: Any = field(default=None, kw_only=False)
    n_draws: int = 1000
    n_chains: int = 4
    thin: int = 1
    burn_in: int = 200
    step_size: float | Literal["auto"] = "auto"
    temperature: float = 1.0
    prior_scale: float = 1.0
    batch_size: int = 1024
    random_state: RandomState = None
    verbose: int = 0

    if TYPE_CHECKING:
        draws_: FloatArray = field(init=False)
        effective_sample_size_: FloatArray = field(init=False)
        r_hat_: FloatArray = field(init=False)
    _parameter_constraints: ClassVar[dict] = {
        "base": [HasMethods("fit"), None],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "n_chains": [Interval(Integral, 1, None, closed="left")],
        "thin": [Interval(Integral, 1, None, closed="left")],
        "burn_in": [Interval(Integral, 1, None, closed="left")],
        "step_size": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "prior_scale": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    fit_transform, score = fit_transform, score

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train the base on X, then draw its parameters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Number of times that each sample counts.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is invalid, or if the energy becomes infinite; the estimator is then as before.
        TypeError
            If ``base`` is not an auto-encoder.
        """
        with unchanged_on_error(self, learned="draws_"):
            rng, base = check_random_state(self.random_state), checked_base(self.base)
            data = fit_data(self, X, sample_weight)
            X, weights = data.X, data.sample_weight
            self.base_ = fitted_base(self, base, data.frame, sample_weight, rng=rng)
            self._moments = column_moments(X, weights)
            seed = int(rng.randint(np.iinfo(np.int32).max))
            self._temperature, self._n_chains = self.temperature, self.n_chains
            check_squared("prior_scale", self.prior_scale)
            draw_parameters(self, X.astype(self.base_.model_.dtype, copy=False), weights, seed)
        warn_of_mixing(self, X, self._models)
        return self

    def transform(self, X: MatrixLike) -> FloatArray:
        """Return the codes of ``base_``; a mean over draws would be meaningless, since units drift and swap places.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            Codes.
        """
        X = self._checked(X)
        return by_block(X, self.base_.model_.encode, self._n_features_out)

    def reconstruct(self, X: MatrixLike) -> FloatArray:
        """Return the mean of r(x) over the draws.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Reconstructions, on the scale of X.
        """
        return self.predict_distribution(X).mean

    def predict_distribution(self, X: MatrixLike) -> ReconstructionMoments:
        """Return mean and standard deviation of r(x) over the draws: its uncertainty due to that of theta.

        The noise of x around r(x) is not included.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        moments : ReconstructionMoments
            Named tuple of ``mean`` and ``standard_deviation``, each of shape (n_samples, n_features).
        """
        return reconstruction_moments(self._checked(X), self._models)

    def diagnose(self, X: MatrixLike) -> ChainDiagnostics:
        """Return effective sample size and R-hat of r(x), which tell whether to trust :meth:`predict_distribution`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        diagnostics : ChainDiagnostics
            Named tuple of ``effective_sample_size`` and ``r_hat``, each of shape (n_samples, n_features).
        """
        return reconstruction_diagnostics(self._checked(X), self._models, self._n_chains)

    def energy(self, X: MatrixLike) -> FloatArray:
        """Return the mean over the draws of E(x, theta), the loss plus the penalties on x.

        The input is not corrupted, and weight decay is left out. Penalties are computed row by row, which is slower.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        energies : ndarray of shape (n_samples,)
            Energies of the samples.
        """
        X = self._checked(X, in_range=True)
        return by_block(X, partial(mean_energies, clean_energy(self.base_), self._models), None)

    def energy_gradient(self, X: MatrixLike, draw: int | None = None) -> FloatArray:
        """Return dE/dx, in which x is both the input and the target of the reconstruction.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        draw : int, default=None
            Index of the row of ``draws_`` to use; by default, the mean over all of them.

        Returns
        -------
        G : ndarray of shape (n_samples, n_features)
            Gradients of the energy by x.

        Raises
        ------
        ValueError
            If ``draw`` is out of range, or the base has a curvature penalty.
        """
        X = self._checked(X, in_range=True)
        models = self._models
        if draw is not None:
            check_scalar(draw, "draw", Integral, min_val=0, max_val=len(models) - 1)
            models = models[draw : draw + 1]
        energy = differentiable_energy(self.base_)
        return by_block(X, partial(mean_gradients, energy, models), X.shape[1])

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return ``-energy(X)``: low values are anomalies.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            High for samples that are like the training data.
        """
        return -self.energy(X)

    def sample(
        self,
        n_samples: int = 1,
        *,
        x0: ArrayLike | None = None,
        n_steps: int = 200,
        step_size: float = 0.1,
        random_state: RandomState = None,
    ) -> FloatArray:
        """Draw x given theta, each x by its own chain with a random one of the ``draws_``.

        A step of Langevin dynamics is ``x <- x - step_size / 2 * dE/dx + sqrt(step_size * temperature) * e``. Bernoulli
        columns are reflected at 0 and 1. With unbounded codes, or between optima, the energy may not confine x, or
        chains may be far from their distribution after ``n_steps``. It warns if steps are too large or chains run away.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains; with ``x0``, the number of its rows.
        x0 : array-like of shape (n_chains, n_features), default=None
            Initial states; by default, normal draws with the mean and variance of each training column.
        n_steps : int, default=200
            Number of steps of each chain.
        step_size : float, default=0.1
            Step size for scaled columns.
        random_state : int, RandomState instance or None, default=None
            Random seed of the draws.

        Returns
        -------
        X : ndarray of shape (n_chains, n_features)
            Ends of the chains.

        Raises
        ------
        ValueError
            If a parameter is invalid, the chains diverge, or the base has multinomial columns or a curvature penalty.
        """
        check_is_fitted(self)
        check_counts(n_samples=n_samples, n_steps=n_steps)
        check_positive("step_size", step_size)
        rng = generator(random_state)
        dtype = self.base_.model_.dtype
        if x0 is None:
            start = normal_rows(self._moments, n_samples, dtype, rng)
        else:
            start = validated_start(self, x0, "x0", n_samples, dtype)
        temperature = self._temperature
        return draw_data(self.base_, self._models, start, n_steps, step_size, temperature, rng)

    def __sklearn_is_fitted__(self):
        return hasattr(self, "draws_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self):
        return self.base_.n_components_

    @property
    def _models(self):
        base = self.base_.model_
        return [Model(base.network, flat, base.units) for flat in self.draws_]

    def _checked(self, X, *, in_range=False):
        check_is_fitted(self)
        X = validated_rows(self, X, dtype=self.base_.model_.dtype, reset=False)
        if in_range:
            self.base_.model_.units.check(X, column_names(self.base_, X))
        return X
