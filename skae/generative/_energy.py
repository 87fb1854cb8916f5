"""Auto-encoder with an explicit energy, trained by denoising score matching."""

from dataclasses import field
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import some_rows
from .._compat import Interval, StrOptions, _fit_context
from .._estimators.fitted import FittedNetwork
from .._estimators.fitting import check_counts, generator, unchanged_on_error
from .._estimators.parameters import estimator, warn_of_argument
from .._estimators.reading import validated_start
from .._estimators.training import TrainedModel
from .._estimators.units import make_units
from .._estimators.unsupervised import NETWORK_CONSTRAINTS, begin, fit_network, partial_fit
from .._typing import ArrayLike, FloatArray, MatrixLike, RandomState, Schedule, Self, Standardize
from .._warnings import warn
from ..nn.corruption import GaussianNoise
from ..nn.layerwise import OnCodes
from ..nn.model import Model
from ..nn.objective import Objective
from ..nn.penalties import weight_decays
from ..nn.scaling import Scaling
from ._checks import check_positive, checked_states, column_moments, last_state, normal_rows
from ._integrals import INTEGRALS, energies_at, pre_activations
from ._mcmc import hamiltonian, langevin, moving

_N_CHECKED_ROWS = 1024  # training rows whose energies are compared with those of samples
_MIN_SAMPLES = 10  # samples whose median says something


@estimator
class EnergyAE(TrainedModel, FittedNetwork):
    """Auto-encoder with a density: r(x) - x is proportional to the negative gradient of an energy.

    Weights are tied and the decoder is linear. With x the scaled columns and z = x / noise, the energy is
    ``E(x) = ||z - c||^2 / 2 - sum_j S(w_j z + b_j)``, where S' = s. Its negative gradient by z is
    ``W's(Wz + b) + c - z``, and the reconstruction r(x) is noise times ``W's(Wz + b) + c``. Training minimizes
    ``E ||x - r(x + e)||^2 / (2 noise^2)`` over data and normal noise e of standard deviation ``noise`` (denoising score
    matching). Then (r(x) - x) / noise^2 is the gradient of the log density of noisy data, and -E(x) is that log density
    up to a constant.

    With sigmoids this is a gaussian RBM: a mixture of normal densities of standard deviation ``noise``.

    Parameters
    ----------
    n_components : int, default=100
        Number of hidden units.
    activation : {'sigmoid', 'tanh', 'relu', 'identity'}, default='sigmoid'
        Activation s of the hidden units.
    noise : float, default=0.5
        Standard deviation of the noise, for scaled columns (see ``standardize``), which is the width of
        the blur of the density. Training learns the density only where noisy rows are: with many columns, ``sample``
        needs a larger one, as 1.
    standardize : {'auto', 'columns', 'shared', False}, default='auto'
        How columns of X are scaled inside the model, as in :class:`AutoEncoder`.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights.
    solver : {'adam', 'sgd', 'lbfgs'} or solver, default='adam'
        ``'lbfgs'`` takes all samples at once. An instance from :mod:`skae.training` has options.
    learning_rate_init : float, default=3e-2
        Step size of adam and sgd.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs; with ``warm_start`` anew in each ``fit``. ``partial_fit``
        has no last epoch and takes constant steps. A training can be resumed with the same ``max_iter`` only. Not used
        by L-BFGS.
    batch_size : int, default=256
        Samples in a minibatch.
    max_iter : int or 'auto', default='auto'
        Maximum number of epochs, or of iterations of L-BFGS. ``'auto'`` means two minibatches per sample, but between
        1000 and 2000 minibatches, and between 12 and 1000 epochs (for L-BFGS, 200 iterations).
    tol : float, default=1e-4
        Training stops when, for ``n_iter_no_change`` epochs in a row, the training loss (with
        ``learning_rate='constant'``) or the error on held-out samples (with ``early_stopping``) improves by less than
        this fraction. For L-BFGS, its tolerance.
    shuffle : bool or int, default=True
        Whether to shuffle the samples in each epoch. An int shuffles within blocks of that many consecutive samples
        only, so that a file is read in order.
    early_stopping : bool, default=False
        Whether to stop when the error on held-out samples no longer improves, and keep the weights at which it was
        least.
    validation_fraction : float, default=0.1
        Share of samples to hold out for ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit, optimizer state included. With ``learning_rate='constant'`` two fits
        of n epochs are one of 2 n. Other parameters than ``n_components``, ``activation``, ``noise`` and
        ``standardize``, which have to stay, may change in between.
    random_state : int, RandomState instance or None, default=None
        Random seed of initial weights, shuffling and noise.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped.
    checkpoint : path-like, default=None
        File to which ``fit`` writes the state of training after each epoch, atomically.
    resume : bool, default=False
        Whether ``fit`` continues from ``checkpoint`` if the file exists, with bitwise the same result as without the
        interruption (L-BFGS forgets its past gradients). ``max_iter`` may be larger than before only with
        ``learning_rate='constant'``.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Weights W, which apply to x in multiples of ``noise``.
    encoder_bias_ : ndarray of shape (n_components,)
        Biases b.
    decoder_bias_ : ndarray of shape (n_features,)
        Biases c, in multiples of ``noise``.
    n_iter_ : int
        Epochs so far.
    loss_curve_, validation_curve_ : list of float
        Objective of each epoch, on training and on held-out samples.
    converged_ : bool
        Whether training stopped by itself.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Vincent, P. A connection between score matching and denoising autoencoders. Neural Computation 23 (2011).

    Alain, G. & Bengio, Y. What regularized auto-encoders learn from the data-generating distribution. JMLR 15 (2014).

    Examples
    --------
    >>> import numpy as np
    >>> from skae.generative import EnergyAE
    >>> rng = np.random.default_rng(0)
    >>> X = rng.choice([-2.0, 2.0], (2000, 1)) + 0.3 * rng.standard_normal((2000, 1))
    >>> model = EnergyAE(20, noise=0.2, solver="lbfgs", random_state=0).fit(X)
    >>> valley, peak = model.score_samples([[0.0], [2.0]])
    >>> bool(peak > valley + 2)
    True
    """

    n_components: int = field(default=100, kw_only=False)
    activation: Literal["sigmoid", "tanh", "relu", "identity"] = "sigmoid"
    noise: float = 0.5
    standardize: Standardize = "auto"
    weight_decay: float = 0.0
    learning_rate_init: float = 3e-2
    learning_rate: Schedule = "cosine"
    max_iter: int | Literal["auto"] = "auto"
    warm_start: bool = False

    _low_energy = None  # the lower quartile at training rows after fit; None after partial_fit
    _learned_afterwards = ("_low_energy",)

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        **NETWORK_CONSTRAINTS,
        "activation": [StrOptions(set(INTEGRALS))],
        "noise": [Interval(Real, 0, None, closed="neither")],
    }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the encoder and the decoder from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64. A C-ordered array is not copied; a sparse
            matrix is made dense one minibatch at a time.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of the objective.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is invalid (the estimator is then as before), or if the loss becomes
            infinite (the weights of the last finite epoch are then kept).
        """
        with unchanged_on_error(self):
            fitted, rows, _ = self._fit_network(X, sample_weight)
            energies = self._energies(fitted, some_rows(rows, _N_CHECKED_ROWS))
            self._low_energy = float(np.quantile(energies, 0.25))
        return self

    _begin, _fit_network, partial_fit = begin, fit_network, partial_fit

    def energy(self, X: MatrixLike) -> FloatArray:
        """Return E(x), whose negative gradient by scaled columns is (r(x) - x) / noise^2.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        energies : ndarray of shape (n_samples,)
            Energies of the samples.
        """
        check_is_fitted(self)
        return self._by_block(X, self._energies, None, method="energy")

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return the logarithm of each sample's unnormalized density: minus its energy.

        The unknown normalizer is the same for all samples: differences are exact, and low values are anomalies.
        Different models have different normalizers: neither these scores nor their mean, ``score``, can compare models.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            High for samples that are like the training data.
        """
        return -self._by_block(X, self._energies, None, method="score_samples", check=True)

    def sample(
        self,
        n_samples: int = 1,
        *,
        method: Literal["hmc", "langevin"] = "hmc",
        n_steps: int = 100,
        step_size: float | None = None,
        n_leapfrog: int = 10,
        start: ArrayLike | None = None,
        random_state: RandomState = None,
    ) -> FloatArray:
        """Return the ends of Markov chains, whose density is that of noisy data.

        :meth:`reconstruct` removes the noise from samples. Chains hardly ever move between distant modes: give a
        ``start`` with rows near all of them.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains; with ``start``, the number of its rows.
        method : {'hmc', 'langevin'}, default='hmc'
            Metropolis-adjusted Hamiltonian Monte Carlo, or unadjusted Langevin dynamics.
        n_steps : int, default=100
            Number of steps of each chain.
        step_size : float, default=None
            Size of a leapfrog step, ``noise / 2`` by default, or of a Langevin step, ``noise**2 / 4`` by default, for
            scaled columns.
        n_leapfrog : int, default=10
            Number of leapfrog steps of a trajectory.
        start : array-like of shape (n_samples, n_features), default=None
            Initial states; by default, normal draws with the mean and variance of each training column.
        random_state : int, RandomState instance or None, default=None
            Random seed of the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The ends of the chains.

        Raises
        ------
        ValueError
            If a parameter is invalid, or the chains diverge.

        Warns
        -----
        UserWarning
            If no step of any chain was accepted, those of ``method='langevin'`` are too large, or chains run away. If
            samples have a higher density than the training rows, which means that ``noise`` is too small.
        """
        check_is_fitted(self)
        check_counts(n_samples=n_samples, n_steps=n_steps, n_leapfrog=n_leapfrog)
        if method not in ("hmc", "langevin"):
            raise ValueError(f"method must be 'hmc' or 'langevin'; got {method!r}.")
        if step_size is None:
            step_size = self._noise / 2 if method == "hmc" else self._noise**2 / 4
        check_positive("step_size", step_size)
        rng = generator(random_state)
        x, model = self._chain_start(n_samples, start, rng), self.model_
        if method == "langevin":
            if n_leapfrog != 10:
                warn_of_argument(f"n_leapfrog={n_leapfrog}", "method='hmc'")
            states = langevin(partial(self._scores, model), x, n_steps, step_size, rng)
        else:
            density = partial(self._densities_and_scores, model)
            states = moving(hamiltonian(density, x, n_steps, step_size, n_leapfrog, rng))
        states = checked_states(self._units.scaling, last_state(states), x)
        if start is None:
            self._warn_of_other_modes(states)
        return states

    def _warn_of_other_modes(self, states):
        """Warn if most chains end where the energy is lower than at most training rows, though noise should raise it."""
        low = self._low_energy
        if low is None or len(states) < _MIN_SAMPLES:
            return
        median = float(np.median(self._energies(self.model_, states)))
        if median < low:
            warn(
                f"The median energy of these samples of EnergyAE is {median:.4g}, and three quarters of the training rows have "
                f"a higher one, above {low:.4g}: the chains found modes far from the data, where training saw no rows. Raise "
                f"noise, which is {self._noise:g}."
            )

    def _chain_start(self, n_samples, start, rng):
        """Return the initial states as scaled rows."""
        dtype = self._params.dtype
        if start is None:
            return normal_rows(self._moments, n_samples, dtype, rng)
        X = validated_start(self, start, "start", n_samples, dtype)
        return self._units.scaling.apply(X)

    def objective(self, network, units):
        """Return the loss of reconstructing rows from noisy copies, in multiples of the noise.

        Parameters
        ----------
        network : Network
            The network, without its parameters.
        units : Units
            How it sees the columns of X, with the loss.

        Returns
        -------
        objective : Objective
            What :mod:`skae.training` minimizes.
        """
        penalties = weight_decays(self.weight_decay)
        corruption = GaussianNoise(self.noise)
        objective = Objective(network, units.loss, corruption=corruption, penalties=penalties)

        def scale(rows, out):
            np.divide(rows, out.dtype.type(self.noise), out=out)

        return OnCodes(objective, network.sizes[0], scale)

    def _make_units(self, data):
        """Return the ``Units`` in which the network sees the X of ``data``."""
        return make_units("gaussian", data, standardize=self.standardize)

    def _network_shape(self, n_inputs):
        """Return the arguments of the ``Network`` for ``n_inputs`` inputs."""
        sizes = (n_inputs, self.n_components)
        return {"sizes": sizes, "activation": (self.activation,), "decoder": "tied"}

    def _first_state(self, network, rows, sample_weight):
        """Return the initial state for scaled rows: outputs are the means of the columns."""
        self._noise = self.noise
        self._moments = column_moments(rows, sample_weight)
        return self._initial_state(network, rows.dtype, output_bias=self._moments[0] / self.noise)

    # The network works in multiples of the noise.

    @property
    def model_(self) -> Any:
        """The fitted network with its parameters and units, which takes and returns columns of X: Model."""
        flat, scaling = self._history("model_")["params"], self._units.scaling
        in_noise = Scaling(scaling.center, scaling.scale * self._noise, scaling.varies)
        return Model(self._network, flat, self._units, scaling=in_noise)

    @staticmethod
    def _energies(model, x):
        """Return E at dense rows of X."""
        z = model.scaling.apply(x)
        return energies_at(model, z, pre_activations(model.params, z))

    def _scores(self, model, x):
        """Return the gradient of the log density at scaled rows."""
        z = x / x.dtype.type(self._noise)
        return (model.reconstruct_scaled(z) - z) / x.dtype.type(self._noise)

    def _densities_and_scores(self, model, x):
        """Return log densities and their gradients, which share the product with W."""
        network, params, noise = model.network, model.params, x.dtype.type(self._noise)
        z = x / noise
        a = pre_activations(params, z)
        densities = -energies_at(model, z, a)
        network.activations[0].forward(a, np.zeros_like(params.encoder_biases[0]))
        return densities, (network.decode(params, a) - z) / noise
