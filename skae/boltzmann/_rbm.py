"""Restricted Boltzmann machine."""

from dataclasses import field
from numbers import Real
from typing import ClassVar, Literal

from .._arrays.namespace import Constant
from .._compat import Interval, StrOptions, _fit_context
from .._estimators import unsupervised
from .._estimators.devices import DEVICE_CONSTRAINTS
from .._estimators.fitted import FittedNetwork
from .._estimators.fitting import unchanged_on_error
from .._estimators.layer import NetworkLayer
from .._estimators.needs import Need
from .._estimators.parameters import estimator
from .._estimators.subestimators import layer_weights
from .._estimators.units import make_units
from .._estimators.unsupervised import NETWORK_CONSTRAINTS
from .._typing import (
    ArrayLike,
    FloatArray,
    Loss,
    MatrixLike,
    RandomState,
    Schedule,
    Self,
    Standardize,
)
from ..nn.boltzmann import BoltzmannObjective, log_densities
from ..nn.losses import LOSSES
from ..nn.objective import Objective
from ..nn.penalties import ActivitySparsity, weight_decays
from ..training.solvers import is_full_batch
from ._machine import BoltzmannMachine, check_group_sums, means_to_center
from ._partition import LogPartition, RBMParts, normalized
from ._passes import run_chains, visible_means


@NetworkLayer.register
@estimator
class RBM(BoltzmannMachine, FittedNetwork):
    """Restricted Boltzmann machine: binary hidden units that explain the visible units.

    The density of x is proportional to ``sum_h exp(h'Wx + b'h + c'x)``, times ``exp(-||x||^2 / 2)`` for gaussian
    columns, which have unit variance. The code is the mean of h given x, and the reconstruction is the mean of x given
    the code. Weights and code are those of a tied auto-encoder with sigmoids, so that an RBM can be a layer of
    :class:`StackedAE`.

    Training follows the gradient of the mean free energy of the data minus that of samples of the model. It takes
    ``max_iter`` epochs, since the reconstruction loss of some rows, which ``loss_curve_`` records, does not tell when
    to stop. With ``early_stopping``, training stops by the reconstruction loss of held-out samples.

    Parameters
    ----------
    n_components : int, default=100
        Number of hidden units.
    visible : str or list of (str, columns), default='auto'
        Kinds of the visible units, as ``loss`` of :class:`AutoEncoder`: ``'bernoulli'`` (X in [0, 1]: probabilities of
        ones), ``'gaussian'`` (unit variance), ``'multinomial'`` (the row is one one-hot group), or pairs as in
        ColumnTransformer. ``'auto'`` takes runs of one-hot columns as multinomial groups and 0/1 columns as bernoulli,
        and also real columns if all of them are in [0, 1] or they are on one scale, such as pixels. The rest is
        gaussian.
    gradient : {'cd', 'pcd', 'autoencoder'}, default='cd'
        Estimate of the gradient: with samples of short chains from the data (``'cd'``), with samples of chains that
        persist from step to step (``'pcd'``), or the gradient of the reconstruction loss instead.
    n_gibbs_steps : int, default=1
        Number of Gibbs steps of these chains in each training step.
    n_chains : int, default=None
        Number of persistent chains; ``batch_size`` by default.
    centered : {'auto', True, False}, default='auto'
        Whether steps are those of the centered machine, from whose visible units the means of the columns are
        subtracted. It is the same model, but a step of the weights no longer shifts the inputs of a hidden unit all
        at once, which turns units off for good where many columns are on, as in pictures with noise. ``'auto'`` is
        True if the means of the scaled columns sum to more than 200. Below, as for digits on black background, codes
        are better without.
    sparsity : float, default=0.0
        Weight of the divergence of the mean activities of the units from ``sparsity_target``.
    sparsity_target : float, default=0.1
        Target of the mean activities, in (0, 1).
    standardize : {'auto', 'columns', 'shared', False}, default='auto'
        How columns of X are scaled inside the model, as in :class:`AutoEncoder`.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights.
    momentum : float, default=0.0
        Momentum of ``solver='sgd'``. With persistent chains of one Gibbs step it lowers the likelihood, since the
        chains fall behind.
    solver : {'adam', 'sgd'} or solver, default='adam'
        An instance from :mod:`skae.training` has options. ``'lbfgs'`` for the gradient of the auto-encoder only.
    learning_rate_init : float, default=1e-2
        Step size. Of ``solver='sgd'``, 0.1 is usual for bernoulli columns, and 0.001 for gaussian ones.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs; with ``warm_start`` anew in each ``fit``. ``partial_fit``
        has no last epoch and takes constant steps. A training can be resumed with the same ``max_iter`` only. Not used
        by L-BFGS.
    batch_size : int, default=100
        Samples in a minibatch.
    max_iter : int or 'auto', default='auto'
        Number of epochs, or maximum number of iterations of L-BFGS. ``'auto'`` means two minibatches per sample, but
        between 1000 and 2000 minibatches, and between 12 and 1000 epochs (for L-BFGS, 200 iterations).
    tol : float, default=1e-4
        Training stops when, for ``n_iter_no_change`` epochs in a row, the error on held-out samples (with
        ``early_stopping``) or the loss of ``gradient='autoencoder'`` (with ``learning_rate='constant'``) improves by
        less than this fraction. For L-BFGS, its tolerance.
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
        Whether ``fit`` goes on from the last fit, optimizer state and chains included. With
        ``learning_rate='constant'`` two fits of n epochs are one of 2 n. Other parameters than ``n_components``,
        ``visible`` and ``standardize``, which have to stay, may change in between.
    random_state : int, RandomState instance or None, default=None
        Random seed of initial weights, shuffling and chains.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped.
    checkpoint : path-like, default=None
        File to which ``fit`` writes the state of training after each epoch, atomically.
    resume : bool, default=False
        Whether ``fit`` continues from ``checkpoint`` if the file exists, with bitwise the same result as without the
        interruption.
    device : str, default=None
        Device to compute on if X is a numpy array: None or ``'cpu'``, or a GPU through PyTorch, ``'cuda'`` or
        ``'cuda:1'``; results are numpy arrays. With scikit-learn's ``array_api_dispatch``, arrays of other libraries
        stay on their device.
    precision : {'float32', 'bfloat16'}, default='float32'
        ``'bfloat16'`` rounds the factors of matrix products; weights and sums stay in float32. It needs X in float32,
        and a GPU or a processor with AVX512-BF16.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Weights W.
    encoder_bias_ : ndarray of shape (n_components,)
        Biases b of the hidden units.
    decoder_bias_ : ndarray of shape (n_features,)
        Biases c of the visible units.
    n_iter_ : int
        Epochs so far.
    loss_curve_, validation_curve_ : list of float
        Reconstruction loss of each epoch, on some of the training and on held-out samples.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Hinton, G. Training products of experts by minimizing contrastive divergence. Neural Computation 14 (2002).

    Tieleman, T. Training restricted Boltzmann machines using approximations to the likelihood gradient. ICML 2008.

    Hinton, G. A practical guide to training restricted Boltzmann machines. UTML TR 2010-003.

    Montavon, G. & Müller, K.-R. Deep Boltzmann machines and the centering trick. Neural Networks: Tricks of the Trade
    (2012).

    Bengio, Y. & Delalleau, O. Justifying and generalizing contrastive divergence. Neural Computation 21 (2009).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import RBM
    >>> X = load_digits().data / 16
    >>> rbm = RBM(30, max_iter=5, random_state=0).fit(X)
    >>> rbm.transform(X).shape, rbm.sample(4, n_steps=10, random_state=0).shape
    ((1797, 30), (4, 64))
    """

    n_components: int = field(default=100, kw_only=False)
    visible: Loss = "auto"
    gradient: Literal["cd", "pcd", "autoencoder"] = "cd"
    sparsity: float = 0.0
    sparsity_target: float = 0.1
    standardize: Standardize = "auto"
    learning_rate_init: float = 1e-2
    learning_rate: Schedule = "cosine"
    max_iter: int | Literal["auto"] = "auto"
    warm_start: bool = False
    device: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"

    scales = (1, 1)  # of the weights on the way up and down; others in a DBM

    _parameter_constraints: ClassVar[dict] = {
        **BoltzmannMachine._parameter_constraints,
        **NETWORK_CONSTRAINTS,
        **DEVICE_CONSTRAINTS,
        "visible": [StrOptions({"auto", *LOSSES}), list],
        "gradient": [StrOptions({"pcd", "cd", "autoencoder"})],
        "sparsity": [Interval(Real, 0, None, closed="left")],
        "sparsity_target": [Interval(Real, 0, 1, closed="neither")],
    }

    _needs: ClassVar[tuple] = (
        Need(
            "tol n_iter_no_change",
            "early_stopping gradient",
            "early_stopping=True or gradient='autoencoder'",
            lambda self: self.early_stopping or self.gradient == "autoencoder",
        ),
        Need.of_value("n_gibbs_steps centered", "gradient", "cd", "pcd"),
        Need.of_value("n_chains", "gradient", "pcd"),
        Need.of_positive("sparsity_target", "sparsity"),
    )

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the weights and biases from X.

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
            If X or a parameter is invalid (the estimator is then as before), or if the loss becomes infinite (the
            weights of the last finite epoch are then kept).
        """
        with unchanged_on_error(self):
            self._fit_network(X, sample_weight)
        return self

    _begin, _fit_network = unsupervised.begin, unsupervised.fit_network
    _layer_training, partial_fit = unsupervised.layer_training, unsupervised.partial_fit

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return the logarithm of each sample's unnormalized density: minus its (free) energy.

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

        def densities(model, x):
            return log_densities(model.params, model.loss, model.scaling.apply(x))

        return self._by_block(X, densities, None, method="score_samples", check=True)

    def log_likelihood(
        self,
        X: MatrixLike,
        *,
        n_runs: int = 100,
        n_temperatures: int = 10_000,
        random_state: RandomState = None,
    ) -> LogPartition:
        """Return the mean log-likelihood of X, with bounds that follow from those of log Z.

        For gaussian columns it is that of the density of scaled columns (see ``standardize``), which the scale of X
        does not change. For the density of X, subtract the sum of ``np.log(scale_)`` over these columns.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        n_runs, n_temperatures : int, default=100 and 10000
            See :meth:`log_partition`.
        random_state : int, RandomState instance or None, default=None
            Random seed of the runs.

        Returns
        -------
        estimate : LogPartition
            ``value``, ``low`` and ``high`` of the mean log-likelihood, in nats.
        """
        score = self.score(X)
        options = {"n_temperatures": n_temperatures, "random_state": random_state}
        return normalized(score, self.log_partition(n_runs=n_runs, **options))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        return tags

    # As a layer of a stack: see NetworkLayer.

    def layer_training(self):
        """Return how a stack may train the network of this layer.

        Returns
        -------
        training : LayerTraining
            Functions that train it, and its properties that the stack needs.
        """
        return self._layer_training(units_parameter="visible", tied=True)

    def objective(self, network, units):
        """Return the objective that estimates the gradient of the likelihood, or that of the reconstruction loss.

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
        if self.sparsity:
            penalties = [*penalties, ActivitySparsity(self.sparsity, self.sparsity_target)]
        if self.gradient == "autoencoder":
            return Objective(network, units.loss, penalties=penalties)
        if is_full_batch(self.solver):
            raise ValueError("solver='lbfgs' needs an exact gradient: set gradient='autoencoder'.")
        dtype = self._base_bias.dtype
        return BoltzmannObjective(
            network,
            units.loss,
            n_steps=self.n_gibbs_steps,
            chains=self._new_chains(self.n_components, dtype) if self.gradient == "pcd" else None,
            penalties=penalties,
            scales=self.scales,
            means=means_to_center(self.centered, units, dtype),
        )

    @property
    def _base_bias(self):
        """ndarray of shape (n_inputs,): biases with which the visible units have the base rates of the columns."""
        return self._base_rates.array

    def _first_state(self, network, rows, sample_weight):
        """Return the initial state for scaled rows: visible units have the base rates of the columns."""
        check_group_sums(rows, self._units.loss)
        # Not an array: attributes that are arrays would have to be of the library of X.
        self._base_rates = Constant(self._units.base_logits.astype(rows.dtype))
        return self._initial_state(network, rows.dtype, output_bias=self._base_bias)

    def _make_units(self, data):
        """Return the ``Units`` in which the network sees the X of ``data``."""
        options = {"standardize": self.standardize, "warns": not self._as_part.columns_are_known}
        return make_units(self.visible, data, machine=True, **options)

    def layer_shapes(self):
        """Return width and activation of the one layer.

        Returns
        -------
        shapes : list of (int, str)
            From the input to the code.
        """
        return [(self.n_components, "sigmoid")]

    def _network_shape(self, n_inputs):
        """Return the arguments of the ``Network`` for ``n_inputs`` inputs."""
        sizes = (n_inputs, self.n_components)
        return {"sizes": sizes, "activation": ("sigmoid",), "decoder": "tied"}

    def layer_weights(self):
        """Return encoder weights, encoder bias, decoder weights and decoder bias.

        Returns
        -------
        weights : list of tuple of ndarray
            From the input to the code.
        """
        return layer_weights(self.model_.params)

    def _ends_of_chains(self, n_chains, n_steps, X, means, rng):
        model = self.model_
        if X is None:
            visible = model.loss.draws(self._base_bias, n_chains, rng)
        else:
            visible = model.scaling.apply(X).copy()
        hidden = run_chains(model.params, model.loss, visible, model.n_outputs, n_steps, rng)
        return visible_means(model, hidden) if means else model.scaling.invert(visible)

    def _as_rbm(self):
        return RBMParts(self._network.views(self._params), self._units.loss, self._base_bias)
