"""Deep Boltzmann machine."""

from collections.abc import Sequence
from dataclasses import field
from numbers import Integral
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import in_numpy
from .._compat import Interval, StrOptions, _BaseComposition, _fit_context
from .._estimators import named_layers
from .._estimators.devices import fitting_parts, shown
from .._estimators.fitted import by_block_of_model
from .._estimators.fitting import column_names, fit_data, score, unchanged_on_error
from .._estimators.needs import Need
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import check_set, estimator
from .._estimators.subestimators import ready_layers
from .._typing import (
    ArrayLike,
    ClassNamePrefixFeaturesOutMixin,
    FloatArray,
    MatrixLike,
    NamedLayers,
    RandomState,
    Self,
    StepSolverLike,
    TransformerMixin,
)
from ..nn.deep_boltzmann import DeepMachine
from ..nn.layerwise import OnCodes
from ..nn.penalties import weight_decays
from ..training.loop import Problem
from ..training.solvers import LBFGS
from ._layers import check_deep_machine, double_weights, pretrain
from ._machine import BoltzmannMachine, means_to_center
from ._mean_field import FittedMachine, beside_zeros
from ._partition import LogPartition, RBMParts, normalized
from ._rbm import RBM


@estimator
class DBM(BoltzmannMachine, ClassNamePrefixFeaturesOutMixin, TransformerMixin, _BaseComposition):
    """Deep Boltzmann machine: each hidden layer is connected with the one below and the one above.

    ``p(x, h1, h2)`` is proportional to ``exp(h1'W1 x + h2'W2 h1 + biases)``. First, each RBM is trained on the codes of
    the one below, with doubled weights towards each layer that will have a neighbor on its other side too. Then all
    weights follow the gradient of the likelihood, with mean field for the data phase and persistent chains for the
    model phase (Salakhutdinov & Hinton 2009). The training parameters below belong to this joint training. It takes
    ``max_iter`` epochs, since the reconstruction loss in ``loss_curve_`` does not tell when to stop.

    Parameters
    ----------
    layers : list of (str, RBM) or list of int
        Names and layers, two or more, from the lowest to the highest, or widths of layers with the defaults of
        :class:`RBM`, such as ``[200, 100]``. Layers are cloned. Their parameters are ``name__parameter`` in
        ``set_params`` and grids.
    pretraining : {'greedy'} or None, default='greedy'
        Initialization of the layers; None means random weights.
    n_mean_field_steps : int, default=10
        Number of mean-field steps, each of which updates all layers once. It may be changed after ``fit``.
    n_gibbs_steps : int, default=1
        Number of Gibbs steps of the chains in each training step.
    n_chains : int, default=None
        Number of chains; ``batch_size`` by default.
    centered : {'auto', True, False}, default='auto'
        Whether steps are those of the centered machine, see :class:`RBM`.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights.
    momentum : float, default=0.0
        Momentum of ``solver='sgd'``.
    solver : {'sgd', 'adam'} or solver, default='sgd'
        How steps follow the gradient of the joint training.
    learning_rate_init : float, default=0.01
        Step size.
    learning_rate : {'constant', 'cosine'}, default='constant'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs. Training that is resumed then needs the same
        ``max_iter``.
    batch_size : int, default=100
        Samples in a minibatch.
    max_iter : int or 'auto', default=50
        Number of epochs. ``'auto'`` means two minibatches per sample, but between 1000 and 2000 minibatches, and
        between 12 and 1000 epochs.
    tol : float, default=1e-4
        With ``early_stopping``, training stops when the reconstruction loss of held-out samples improves by less than
        this fraction for ``n_iter_no_change`` epochs in a row.
    shuffle : bool or int, default=True
        Whether to shuffle the samples in each epoch. An int shuffles within blocks of that many consecutive samples
        only, so that a file is read in order.
    early_stopping : bool, default=False
        Whether to stop when the reconstruction loss of held-out samples no longer improves, and keep the weights at
        which it was least.
    validation_fraction : float, default=0.1
        Share of samples to hold out for ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    random_state : int, RandomState instance or None, default=None
        Random seed of initial weights, shuffling and chains, and of layers that have none of their own.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped; also
        of layers whose own ``verbose`` is 0.
    checkpoint : path-like, default=None
        File to which the state of the joint training is written after each epoch, atomically. Layers write beside it,
        with their names added.
    resume : bool, default=False
        Whether ``fit`` continues from these files if they exist.

    Attributes
    ----------
    layers_ : list of (str, RBM)
        Layers after pre-training; unfitted without it.
    named_layers_ : Bunch
        Layers by name.
    weights_ : list of ndarray of shape (n_upper, n_lower)
        Weights between neighboring layers, from the lowest up.
    biases_ : list of ndarray of shape (n_units,)
        Biases of each layer, from the visible one up.
    n_iter_ : int
        Number of epochs of the joint training.
    loss_curve_, validation_curve_ : list of float
        Reconstruction loss of x in each epoch.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Salakhutdinov, R. & Hinton, G. Deep Boltzmann machines. AISTATS 2009.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DBM, RBM
    >>> X = load_digits().data / 16
    >>> layers = [("low", RBM(40, max_iter=5)), ("high", RBM(20, max_iter=5))]
    >>> dbm = DBM(layers, max_iter=5, random_state=0).fit(X)
    >>> dbm.transform(X).shape, dbm.sample(4, n_steps=10, random_state=0).shape
    ((1797, 20), (4, 64))
    """

    layers: Sequence[int] | NamedLayers = field(kw_only=False)
    pretraining: Literal["greedy"] | None = "greedy"
    n_mean_field_steps: int = 10
    solver: StepSolverLike = "sgd"
    learning_rate_init: float = 0.01
    max_iter: int | Literal["auto"] = 50

    _parameter_constraints: ClassVar[dict] = {
        **BoltzmannMachine._parameter_constraints,
        "layers": [list, tuple],
        "pretraining": [StrOptions({"greedy"}), None],
        "n_mean_field_steps": [Interval(Integral, 1, None, closed="left")],
    }

    _needs: ClassVar[tuple] = (Need.of_value("tol n_iter_no_change", "early_stopping", True),)

    get_params, set_params = named_layers.get_params, named_layers.set_params
    named_layers_, _sk_visual_block_ = named_layers.named_layers_, named_layers.visual_block

    fit_transform, score = fit_transform, score

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train the layers one by one, then all of them together.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is invalid (the estimator is then as before), or if weights become infinite (those of
            the last finite epoch are then kept).
        TypeError
            If a layer is not an RBM.
        """
        with unchanged_on_error(self), fitting_parts(self, X) as self._backend:
            layers = named_layers.of_widths(self.layers, RBM)
            check_deep_machine(layers)
            named_layers.check_names(self)
            if isinstance(self._make_solver(), LBFGS):
                raise ValueError("solver='lbfgs' needs an exact gradient: take 'sgd' or 'adam'.")
            data = fit_data(self, in_numpy(X), in_numpy(sample_weight))
            self._units = layers[0][1].layer_training().make_units(data)
            self._units.check(data.X, column_names(self, data.X), warns=False)
            self.layers_ = double_weights(ready_layers(layers, self))
            widths = [layer.n_components for _, layer in self.layers_]
            self._sizes = (self._units.scaling.n_inputs, *widths)
            self._learn(data)
        return self

    def transform(self, X: MatrixLike) -> FloatArray:
        """Return the mean-field means of the highest hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            Codes.
        """
        check_is_fitted(self)
        top, width = len(self._sizes) - 1, self._sizes[-1]
        places = self._machine.places[top]

        def highest(fitted, *sides):
            return sides[top % 2][:, places]

        return self._by_block(X, highest, width, method="transform")

    def reconstruct(self, X: MatrixLike) -> FloatArray:
        """Return the means of x given the mean-field means of the hidden layers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Reconstructions, on the scale of X.
        """

        def visible(fitted, states, odd):
            return fitted.visible_means(odd)

        check_is_fitted(self)
        return self._by_block(X, visible, self.n_features_in_, method="reconstruct")

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return a mean-field lower bound on the unnormalized log density of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            High for samples that are like the training data.
        """
        return self._by_block(X, FittedMachine.bounds, None, method="score_samples", check=True)

    def log_likelihood_bound(
        self,
        X: MatrixLike,
        *,
        n_runs: int = 100,
        n_temperatures: int = 10_000,
        random_state: RandomState = None,
    ) -> LogPartition:
        """Return a lower bound on the mean log-likelihood of X, with the error bars of log Z.

        For gaussian columns it is that of the density of scaled columns (see ``standardize`` of :class:`RBM`), which
        the scale of X does not change.

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
            ``value``, ``low`` and ``high``, in nats.
        """
        score = self.score(X)
        options = {"n_temperatures": n_temperatures, "random_state": random_state}
        return normalized(score, self.log_partition(n_runs=n_runs, **options))

    @property
    def weights_(self) -> list[FloatArray]:
        """Weights between neighboring layers: list of ndarray of shape (n_upper, n_lower)."""
        lowest, *others = self.model_.weights()
        weights = [self._units.scaling.widened(lowest), *others]
        return [shown(self._backend, each) for each in weights]

    @property
    def biases_(self) -> list[FloatArray]:
        """Biases of each layer, from the visible one up: list of ndarray of shape (n_units,)."""
        visible, *hidden = self.model_.biases()
        biases = [self._units.scaling.widened(visible), *hidden]
        return [shown(self._backend, each) for each in biases]

    def _learn(self, data):
        """Train the layers one by one, unless ``pretraining`` is None, and then all of them together."""
        rows, dtype = self._units.scaling.rows(data.X), data.X.dtype
        network, mask = self._machine.network, self._machine.mask()
        state = self._initial_state(network, dtype)
        params = network.views(state.params)
        if mask is not None:
            params.encoder_weights[0][...] *= mask
        n_visible = rows.shape[1]
        params.decoder_biases[0][:n_visible] = self._units.base_logits
        try:
            if self.pretraining:
                pretrain(self.layers_, self._machine, params, rows, data)
        finally:
            self._set_state(state)
        objective = self._machine.objective(
            self._units.loss,
            self.n_mean_field_steps,
            n_steps=self.n_gibbs_steps,
            chains=self._new_chains(network.sizes[1], dtype),
            penalties=weight_decays(self.weight_decay),
            means=self._means_to_center(dtype),
        )
        objective = OnCodes(objective, n_visible, beside_zeros)
        self._train(Problem(objective, rows, data.sample_weight), state)

    def _means_to_center(self, dtype):
        """Return the means of the even layers if training is ``centered``, or None: 1/2 for hidden units."""
        means = means_to_center(self.centered, self._units, dtype)
        if means is None:
            return None
        return np.append(means, np.full(self._machine.n_latent, 0.5, dtype))

    def _by_block(self, X, function, width, **options):
        """Return ``function(machine, even, odd)`` of the layer states at all rows of X: see ``by_block_of_model``."""

        def at_states(fitted, x):
            return function(fitted, *fitted.layer_means(self._units.scaling.apply(x)))

        return by_block_of_model(self, X, at_states, width, **options)

    def _ends_of_chains(self, n_chains, n_steps, X, means, rng):
        return self.model_.sample(n_chains, n_steps, X, means, rng)

    def _as_rbm(self):
        fitted = self.model_
        return RBMParts(fitted.params, fitted.even_units, fitted.base_logits())

    @property
    def model_(self) -> Any:
        """The fitted machine, which takes and returns columns of X."""
        flat = self._history("model_")["params"]
        check_set(self, "n_mean_field_steps")
        return FittedMachine(self._machine, flat, self._units, self.n_mean_field_steps)

    @property
    def _machine(self):
        return DeepMachine(self._sizes)

    @property
    def _n_features_out(self):
        return self._sizes[-1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
