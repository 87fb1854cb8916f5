"""Joint energy of data and parameters: a Bayesian auto-encoder."""

from dataclasses import field
from functools import partial
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state, check_scalar
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import HasMethods, Interval, _fit_context
from .._estimators.fitting import (
    DTYPES,
    MeanScore,
    by_block,
    check_counts,
    column_names,
    counted_rows,
    generator,
    unchanged_on_error,
    validated_rows,
)
from .._estimators.frozen import is_prefit, unfrozen
from .._estimators.parameters import estimator
from .._estimators.subestimators import check_prefit, ready_copy
from ..autoencoders import AutoEncoder, BaseAutoEncoder
from ..nn.model import Model
from ._checks import (
    check_positive,
    check_squared,
    column_moments,
    finite_states,
    like_columns,
)
from ._energies import (
    ReconstructionMoments,
    clean_energy,
    differentiable_energy,
    draw_data,
    draw_parameters,
    mean_energies,
    mean_gradients,
    moments,
)


@estimator
class JointEnergy(MeanScore, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Bayesian auto-encoder: parameters drawn given the data, and data drawn given the parameters.

    The criterion of an auto-encoder is taken for an energy of data X and parameters theta together,
    ``P(X, theta) = exp(-sum_t E(x_t, theta) / temperature - ||theta||^2 / (2 prior_scale^2)) / Z``, with
    ``E(x, theta) = loss(x, r(x)) + penalties`` and Z free of theta. Weight decay of the base counts as a part of the
    prior. ``fit`` trains the base and draws theta given X from there on, by stochastic gradient Langevin dynamics
    with a preconditioner that is fixed after ``burn_in``. ``sample`` draws x given theta.

    The draws come from one chain around one optimum. They do not tell of other optima, and are close to the
    posterior only where ``step_size`` is small and the chain long: look whether ``loss_curve_`` is level after
    ``burn_in``, and whether half the step changes the result. The noise of minibatches and corruptions widens it.

    Parameters
    ----------
    base : estimator, default=None
        An :class:`AutoEncoder` (also the default), :class:`DenoisingAE` or :class:`ContractiveAE`, which is cloned;
        in a ``FrozenEstimator`` of scikit-learn one that is fitted and taken as it is.
    n_draws : int, default=20
        Parameter vectors to keep.
    thin : int, default=10
        Epochs from one to the next.
    burn_in : int, default=100
        Epochs before the first ones, which also set the preconditioner.
    step_size : float, default=1e-3
        What multiplies the preconditioned gradient of the mean energy. The stationary law is exact as it falls to 0.
    temperature : float, default=1.0
        Of the energy of the data. For gaussian columns it is the variance of the noise around r(x), which the loss
        alone takes for 1: the mean squared error of the reconstruction is a fair value. For the likelihood of other
        columns it is 1.
    prior_scale : float, default=1.0
        Standard deviation of the normal prior of each weight and bias.
    batch_size : int, default=256
        Samples of a step of the chain.
    random_state : int, RandomState instance or None, default=None
        Seed of the chain, and of ``base`` where it has none of its own.
    verbose : int, default=0
        Print the mean energy every so many epochs, also of a ``base`` that says nothing else.

    Attributes
    ----------
    base_ : estimator
        The base as trained: the mode where the prior is flat.
    draws_ : ndarray of shape (n_draws, n_parameters)
        Parameters of its network.
    loss_curve_ : list of float
        Objective of the base in each epoch of the chain.
    n_features_in_ : int
        Number of features.

    References
    ----------
    Bengio, Y., Courville, A. & Vincent, P. Representation learning: a review and new perspectives. IEEE TPAMI 35
    (2013), arXiv:1206.5538.

    Welling, M. & Teh, Y. W. Bayesian learning via stochastic gradient Langevin dynamics. ICML 2011.

    Li, C., Chen, C., Carlson, D. & Carin, L. Preconditioned stochastic gradient Langevin dynamics for deep neural
    networks. AAAI 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoder
    >>> from skae.generative import JointEnergy
    >>> X = load_digits().data[:500] / 16
    >>> base = AutoEncoder(20, max_iter=20)
    >>> model = JointEnergy(base, n_draws=5, burn_in=20, temperature=0.02, random_state=0).fit(X)
    >>> mean, standard_deviation = model.predict_distribution(X)
    >>> standard_deviation.shape
    (500, 64)
    >>> model.sample(3, random_state=0).shape
    (3, 64)
    """

    base: object = field(default=None, kw_only=False)
    n_draws: int = 20
    thin: int = 10
    burn_in: int = 100
    step_size: float = 1e-3
    temperature: float = 1.0
    prior_scale: float = 1.0
    batch_size: int = 256
    random_state: object = None
    verbose: int = 0

    _parameter_constraints: ClassVar[dict] = {
        "base": [HasMethods("fit"), None],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "thin": [Interval(Integral, 1, None, closed="left")],
        "burn_in": [Interval(Integral, 1, None, closed="left")],
        "step_size": [Interval(Real, 0, None, closed="neither")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "prior_scale": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Train the base on X, then draw its parameters.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            How many times each sample counts.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If X or a parameter is invalid, or if the energy becomes infinite; the estimator is then as before.
        TypeError
            If ``base`` is no auto-encoder.
        """
        with unchanged_on_error(self, learned="draws_"):
            rng = check_random_state(self.random_state)
            base, frame = self._checked_base(), X
            X = validated_rows(self, X, dtype=DTYPES)
            self.base_ = self._fitted_base(base, frame, sample_weight, rng)
            X, weights, _ = counted_rows(X, sample_weight)
            self._moments = column_moments(X, weights)
            seed = int(rng.randint(np.iinfo(np.int32).max))
            self._temperature = self.temperature
            check_squared("prior_scale", self.prior_scale)
            draw_parameters(self, X, weights, seed)
        return self

    def transform(self, X):
        """Return the codes of X in ``base_``: a mean over draws means nothing, for units drift apart or swap places.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
        """
        X = self._checked(X)
        return by_block(X, self.base_.model_.encode, self._n_features_out)

    def reconstruct(self, X):
        """Return the mean of r(x) over the draws.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
        """
        return self.predict_distribution(X).mean

    def predict_distribution(self, X):
        """Return mean and standard deviation of r(x) over the draws: what is not known because theta is not.

        The noise of x around r(x) is not in it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        moments : ReconstructionMoments
            ``mean`` and ``standard_deviation``, each of shape (n_samples, n_features), a named tuple.
        """
        X, base = self._checked(X), self.base_.model_
        models = [Model(base.network, flat, base.units) for flat in self.draws_]

        def mean_and_deviation(x):
            return moments(model.reconstruct(x) for model in models)

        both = by_block(X, mean_and_deviation, (2, X.shape[1]))
        return ReconstructionMoments(both[:, 0], both[:, 1])

    def energy(self, X):
        """Return E(x, theta), the loss plus the penalties on x, as its mean over the draws.

        Input is not corrupted, and weight decay is left out. Penalties are taken row by row, which is slower.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        energies : ndarray of shape (n_samples,)
        """
        X = self._checked(X, in_range=True)
        X = self.base_.model_.scaling.rows(X)
        return by_block(X, partial(mean_energies, clean_energy(self.base_), self._draws), None)

    def energy_gradient(self, X, draw=None):
        """Return dE/dx: through the network, and through x as what is to be reconstructed.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        draw : int, default=None
            Which of ``draws_`` to take; the mean over all of them by default.

        Returns
        -------
        G : ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If ``draw`` is out of range, or the base has a curvature penalty.
        """
        X = self._checked(X, in_range=True)
        draws = self._draws
        if draw is not None:
            check_scalar(draw, "draw", Integral, min_val=0, max_val=len(draws) - 1)
            draws = draws[draw : draw + 1]
        objective = differentiable_energy(self.base_)
        scaling = self.base_.model_.scaling

        def gradients(x):
            return scaling.derivatives(mean_gradients(objective, draws, scaling.apply(x)))

        return by_block(X, gradients, X.shape[1])

    def score_samples(self, X):
        """Return ``-energy(X)``: low values are anomalies.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        return -self.energy(X)

    def sample(self, n_samples=1, *, x0=None, n_steps=200, step_size=0.1, random_state=None):
        """Draw x given theta, each x by a chain of its own with one of the ``draws_``, which is drawn too.

        A step of Langevin dynamics is ``x <- x - step_size / 2 * dE/dx + sqrt(step_size * temperature) * e``. Bernoulli
        columns are reflected at 0 and 1. With codes that are not bounded, or between optima, the energy need not
        hold x back, or chains may be far from their law after ``n_steps``.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains.
        x0 : array-like of shape (n_chains, n_features), default=None
            Where chains start, one from each row, whatever ``n_samples`` is; by default at normal noise with the
            mean and variance of each training column.
        n_steps : int, default=200
        step_size : float, default=0.1
            In the units of the scaled columns.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        X : ndarray of shape (n_chains, n_features)
            Where the chains end.

        Raises
        ------
        ValueError
            If a parameter is invalid, the chains diverge, or the base has multinomial columns or a curvature penalty.
        """
        check_is_fitted(self)
        check_counts(n_samples=n_samples, n_steps=n_steps)
        check_positive("step_size", step_size)
        rng = generator(random_state)
        start = self._starts(n_samples, x0, rng)
        scaling = self.base_.model_.scaling
        drawn = draw_data(
            self.base_,
            self._draws,
            scaling.apply(start),
            n_steps,
            step_size,
            self._temperature,
            rng,
        )
        return finite_states(scaling.invert(drawn))

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
    def _draws(self):
        """The parameters of each draw, by name."""
        network = self.base_.model_.network
        return [network.views(flat) for flat in self.draws_]

    def _checked_base(self):
        base = AutoEncoder() if self.base is None else unfrozen(self.base)
        if not isinstance(base, BaseAutoEncoder):
            raise TypeError(
                f"base must be an AutoEncoder, DenoisingAE or ContractiveAE; got {base!r}."
            )
        return base

    def _fitted_base(self, base, X, sample_weight, rng):
        if is_prefit(self):
            check_prefit(base=base)
            validate_data(base, X, reset=False, skip_check_array=True)
            return base
        options = {"verbose": self.verbose, "checkpoint": None, "resume": False}
        return ready_copy("base", base, rng, **options).fit(X, sample_weight=sample_weight)

    def _checked(self, X, *, in_range=False):
        check_is_fitted(self)
        X = validated_rows(self, X, dtype=self.base_.model_.dtype, reset=False)
        if in_range:
            self.base_.model_.units.check(X, column_names(self.base_, X))
        return X

    def _starts(self, n_samples, x0, rng):
        dtype = self.base_.model_.dtype
        if x0 is not None:
            return validate_data(self, x0, dtype=dtype, order="C", reset=False)
        return like_columns(self._moments, n_samples, dtype, rng)
