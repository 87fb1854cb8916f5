"""Sparse auto-encoder."""

import math
from dataclasses import field
from numbers import Integral, Real
from typing import ClassVar, Literal

import numpy as np

from .._compat import HasMethods, Interval, StrOptions, _fit_context
from .._estimators.code_warnings import warn_of_dead_features
from .._estimators.fitting import unchanged_on_error
from .._estimators.needs import Need
from .._estimators.parameters import AUTO_STEP_SIZE_CONSTRAINTS, estimator
from .._estimators.training import TrainedModel
from .._estimators.unit_atoms import ProjectedAtoms
from .._estimators.units import make_units, plain_units
from .._estimators.unsupervised import NETWORK_CONSTRAINTS, begin, partial_fit
from .._typing import ArrayLike, MatrixLike, Schedule, Self, Standardize, StepSolverLike
from ..nn.scaling import unscaled
from ..nn.sparse_objective import SparseObjective
from ..nn.sparse_units import SPARSE_TRAININGS
from ._features import FittedFeatures, given_parameters, group_ends

_ACTIVE = 32  # active features of a sample by default, but at most one in _SPARSE features
_SPARSE = 8
_STEP = 0.04  # step of a weight, in multiples of an entry of a direction of norm 1
_LONGEST_STEP = 5e-3


@estimator
class SparseAutoEncoder(TrainedModel, FittedFeatures):
    """Auto-encoder with many features, few of which are active in a sample.

    The code is h = s(W x + b) and the reconstruction is h D + c. The rows of D, the directions of the features, have
    norm 1. ``fit`` minimizes the mean over samples of ``||x - h D - c||^2 / 2``, summed over features, plus the penalty
    on the codes if ``activation`` has one, plus ``aux`` times the loss of features that would otherwise stay dead (Gao
    et al. 2024). Products with D, and all gradients, need the active features only.

    Parameters
    ----------
    n_components : int, default=None
        Number of features. None means ``expansion`` times the number of columns of X.
    expansion : int, default=4
        Number of features per column of X, if ``n_components`` is None.
    activation : {'topk', 'batch_topk', 'jumprelu', 'relu'}, default='topk'
        Activation of the code. ``'topk'`` keeps the k largest positive pre-activations of each sample. ``'batch_topk'``
        keeps k per sample on average over a minibatch, weighted by ``sample_weight``, so that some samples have more
        than others; ``transform`` then keeps those above ``thresholds_``, the running mean of the smallest one kept in
        training. ``'jumprelu'`` keeps those above a threshold learned for each feature, with a penalty of ``alpha`` per
        active feature of a sample. ``'relu'`` keeps positive ones, with a penalty of ``alpha`` times the sum of the
        codes, which makes codes too small.
    k : int or 'auto', default='auto'
        Number of active features per sample, for ``'topk'`` and ``'batch_topk'``. ``'auto'`` is 32, or an eighth of
        ``n_components`` if that is less.
    alpha : float, default=0.3
        Weight of the penalty on the codes, for ``'jumprelu'`` and ``'relu'`` and columns of variance 1 (see
        ``standardize``).
    groups : sequence of int, default=None
        Ends of nested groups of features, such as (64, 256, 1024); the last one is ``n_components``. The loss is then
        the mean of the losses of the first 64, the first 256 and all features, so that the first ones learn what is
        most general (Matryoshka, Bussmann et al. 2025).
    aux : float, default=0.03125
        Weight of the loss with which dead features reconstruct the residual of the others.
    dead_after : int, default=20
        Number of consecutive minibatches without activity after which a feature is dead.
    standardize : {'auto', 'columns', 'shared', False}, default='auto'
        How to scale the columns of X inside the model. ``'columns'`` scales each column to mean 0 and variance 1.
        ``'shared'`` uses one variance for all of them, for columns on one scale such as embeddings and pixels.
        ``'auto'`` means ``'shared'`` for pixels (three quarters of the columns begin at the least value of all and
        reach half of the range of all), for counts of words, weighted or not (32 columns or more, of whose values three
        quarters are the least one; three quarters of the columns have a third to three times the median range), and for
        principal components (eight columns or more in the order of decreasing variance), else ``'columns'``. Constant
        columns are left out. False uses X as it is. Methods take and return values on the scale of X. ``center_`` and
        ``scale_`` hold the scaling, which warm starts and ``partial_fit`` keep.
    sparse_output : bool, default=True
        Whether ``transform`` returns a CSR matrix for numpy arrays. For other libraries it returns a dense array.
    solver : {'adam', 'sgd'} or solver, default='adam'
        An instance from :mod:`skae.training` has options.
    learning_rate_init : float or 'auto', default='auto'
        Step size. ``'auto'`` is 0.04 over the root of the number of columns, as entries of a direction of norm 1 are
        about 1 over that root, and 0.005 at most.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs; with ``warm_start`` anew in each ``fit``. ``partial_fit``
        has no last epoch and takes constant steps. A training can be resumed with the same ``max_iter`` only.
    batch_size : int, default=64
        Samples in a minibatch.
    max_iter : int or 'auto', default='auto'
        Maximum number of epochs. ``'auto'`` means two minibatches per sample, but between 1000 and 2000 minibatches,
        and between 12 and 1000 epochs.
    tol : float, default=1e-4
        Training stops when, for ``n_iter_no_change`` epochs in a row, the training loss (with
        ``learning_rate='constant'``) or the error on held-out samples (with ``early_stopping``) improves by less than
        this fraction.
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
        Whether ``fit`` goes on from the last fit, optimizer state included. Other parameters than ``n_components``,
        ``expansion``, ``activation``, ``k`` and ``standardize``, which have to stay, may change in between.
    random_state : int, RandomState instance or None, default=None
        Random seed of initial weights and shuffling.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped.
    checkpoint : path-like, default=None
        File to which ``fit`` writes the state of training after each epoch, atomically.
    resume : bool, default=False
        Whether ``fit`` continues from ``checkpoint`` if the file exists, with bitwise the same result as without the
        interruption. ``max_iter`` may be larger than before only with ``learning_rate='constant'``.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        W, the weights of the encoder for scaled columns.
    encoder_bias_ : ndarray of shape (n_components,)
        b, the bias of the encoder.
    decoder_components_ : ndarray of shape (n_components, n_features)
        D, the directions of the features in scaled columns, with norm 1.
    decoder_bias_ : ndarray of shape (n_features,)
        c, the bias of the reconstruction.
    thresholds_ : ndarray of shape (n_components,)
        Threshold above which a pre-activation becomes a code, for ``'batch_topk'``, ``'jumprelu'`` and ``'relu'``.
    center_, scale_ : ndarray of shape (n_features,)
        Scaling: the network sees ``(X - center_) / scale_`` without constant columns, which get weights of 0.
    n_iter_ : int
        Number of epochs so far.
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
    Gao, L. et al. Scaling and evaluating sparse autoencoders. 2024 (arXiv 2406.04093).

    Bussmann, B. et al. BatchTopK sparse autoencoders. 2024 (arXiv 2412.06410); Learning multi-level features with
    Matryoshka sparse autoencoders. 2025 (arXiv 2503.17547).

    Rajamanoharan, S. et al. Jumping ahead: improving reconstruction fidelity with JumpReLU sparse autoencoders. 2024
    (arXiv 2407.14435).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoEncoder
    >>> X = load_digits().data
    >>> model = SparseAutoEncoder(256, k=8, max_iter=5, random_state=0).fit(X)
    >>> codes = model.transform(X)
    >>> codes.shape, codes.nnz / len(X)
    ((1797, 256), 8.0)
    """

    n_components: int | None = field(default=None, kw_only=False)
    expansion: int = 4
    activation: Literal["topk", "batch_topk", "jumprelu", "relu"] = "topk"
    k: int | Literal["auto"] = "auto"
    alpha: float = 0.3
    groups: tuple | None = None
    aux: float = 1 / 32
    dead_after: int = 20
    standardize: Standardize = "auto"
    sparse_output: bool = True
    warm_start: bool = False
    solver: StepSolverLike = "adam"
    learning_rate_init: float | Literal["auto"] = "auto"
    learning_rate: Schedule = "cosine"
    batch_size: int = 64
    max_iter: int | Literal["auto"] = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        **AUTO_STEP_SIZE_CONSTRAINTS,
        **{name: NETWORK_CONSTRAINTS[name] for name in ("standardize", "warm_start")},
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "expansion": [Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(SPARSE_TRAININGS))],
        "k": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "groups": ["array-like", None],
        "aux": [Interval(Real, 0, None, closed="left")],
        "dead_after": [Interval(Integral, 1, None, closed="left")],
        "sparse_output": ["boolean"],
        "solver": [StrOptions({"adam", "sgd"}), HasMethods(["start", "step"])],
    }

    _needs: ClassVar[tuple] = (
        Need.of_value("expansion", "n_components", None),
        Need.of_value("k", "activation", "topk", "batch_topk"),
        Need.of_value("alpha", "activation", "jumprelu", "relu"),
    )

    @classmethod
    def from_weights(
        cls,
        components: ArrayLike,
        encoder_bias: ArrayLike,
        decoder_components: ArrayLike,
        decoder_bias: ArrayLike,
        *,
        activation: Literal["topk", "jumprelu", "relu"] = "relu",
        k: int | None = None,
        thresholds: ArrayLike | None = None,
    ) -> Self:
        """Return a fitted model with given weights, which does not scale X.

        Further training first scales the directions to norm 1.

        Parameters
        ----------
        components : array-like of shape (n_components, n_features)
            Weights of the encoder.
        encoder_bias : array-like of shape (n_components,)
            Bias of the encoder.
        decoder_components : array-like of shape (n_components, n_features)
            Weights of the decoder.
        decoder_bias : array-like of shape (n_features,)
            Bias of the output.
        activation : {'topk', 'jumprelu', 'relu'}, default='relu'
            Activation of the code.
        k : int, default=None
            Number of active features per sample, for ``'topk'``.
        thresholds : array-like of shape (n_components,), default=None
            Thresholds of the pre-activations, for ``'jumprelu'``.

        Returns
        -------
        model : SparseAutoEncoder
            A fitted model with these weights.
        """
        params = given_parameters(
            components, encoder_bias, decoder_components, decoder_bias, activation, k, thresholds
        )
        options = {"activation": activation, "k": "auto" if k is None else k}
        return cls(len(params[0]), standardize=False, **options)._with_weights(params)

    def _with_weights(self, params):
        """Return self, fitted with ``params``, the parts of the network's parameter vector."""
        self.n_features_in_ = params[0].shape[1]
        units = plain_units(self.n_features_in_)
        self._units, self._shape = units, self._network_shape(self.n_features_in_)
        flat = np.concatenate([part.ravel() for part in params])
        self._set_state(self._new_state(flat, *self._seed()))
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the features from X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64. A C-ordered array, such as a memory map, is not copied; a sparse
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
            problem, state = self._begin(X, sample_weight, warm_start=self.warm_start)
            self._train(problem, state)
            n_batches = max(-(-problem.n_rows // self.batch_size), self.dead_after)
            dead = self._state["extra_idle"] >= n_batches
            warn_of_dead_features(dead, unscaled(problem.X), type(self).__name__)
        return self

    _begin, partial_fit = begin, partial_fit
    _takes_arrays = True

    # Methods that begin and train call.

    def _make_units(self, data):
        """Return the ``Units`` in which the network sees the X of ``data``."""
        options = {"standardize": self.standardize, "warns": not self._as_part.columns_are_known}
        return make_units("gaussian", data, **options)

    def _network_shape(self, n_inputs):
        """Return the arguments of the ``SparseNetwork`` for ``n_inputs`` inputs."""
        n = self.n_components
        n = self.expansion * self.n_features_in_ if n is None else n
        k = min(_ACTIVE, max(n // _SPARSE, 1)) if self.k == "auto" else self.k
        if k > n:
            raise ValueError(f"k={k} must be at most the number of features, n_components={n}.")
        return {"sizes": (n_inputs, n), "activation": self.activation, "k": k}

    def objective(self, network, units):
        """Return the objective of ``network``.

        Parameters
        ----------
        network : Network
            The network, without its parameters.
        units : Units
            How the network sees the columns of X, and their loss.

        Returns
        -------
        objective : Objective
            Objective that :mod:`skae.training` minimizes.
        """
        return SparseObjective(
            network,
            group_ends(self.groups, network.sizes[1]),
            alpha=self.alpha,
            aux=self.aux,
            dead_after=self.dead_after,
        )

    def _first_state(self, network, rows, sample_weight):
        """Return the state before the first step, in which the encoder sees deviations from the columns' means."""
        state = self._initial_state(network, rows.dtype)
        params = network.views(state.params)
        params.thresholds[...] = network.training.initial_thresholds(self.alpha)
        params.decoder_biases[0][...] = self._units.base_logits
        params.encoder_biases[0][...] = -params.encoder_weights[0] @ params.decoder_biases[0]
        return state

    def _auto_step_size(self):
        return min(_STEP / math.sqrt(self._shape["sizes"][0]), _LONGEST_STEP)

    def _make_solver(self):
        """Return the solver, which keeps the rows of D at norm 1."""
        return ProjectedAtoms(super()._make_solver(), *self._shape["sizes"][::-1])
