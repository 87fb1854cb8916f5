"""Deep Boltzmann machine."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import Interval, StrOptions, _fit_context
from .._estimators.fitting import (
    DTYPES,
    MeanScore,
    by_block,
    check_counts,
    checked_weights,
    column_names,
    generator,
    unchanged_on_error,
)
from .._estimators.parts import NamedLayers, copies
from .._estimators.training import TrainedModel
from .._threads import team
from ..nn.boltzmann import (
    BoltzmannObjective,
    Chains,
    gibbs_step,
    visible_logits,
)
from ..nn.deep_boltzmann import DeepMachine
from ..nn.layerwise import OnCodes
from ..nn.penalties import weight_decays
from ..training.problem import Problem
from ..training.solvers import LBFGS
from ._chains import ChainTraining
from ._layers import check_machines
from ._partition import log_partition, normalized


@dataclass(kw_only=True, eq=False, repr=False)
class DBM(
    ChainTraining,
    TrainedModel,
    MeanScore,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    NamedLayers,
    BaseEstimator,
):
    """Deep Boltzmann machine: hidden layers each joined with the one below and the one above.

    ``p(x, h1, h2)`` is in proportion to ``exp(h1'W1 x + h2'W2 h1 + biases)``. RBMs are trained first, one on the codes of
    the other, with doubled weights towards a layer that will have a neighbour on its other side too. Then all weights
    follow the gradient of the likelihood: the data's phase by mean field, the model's by persistent chains
    (Salakhutdinov & Hinton 2009). The parameters of training below are those of this joint training, which takes
    ``max_iter`` epochs; ``loss_curve_`` has the loss of reconstructing x, which is no reason to stop.

    Parameters
    ----------
    layers : list of (str, RBM)
        Two or more, from the lowest to the highest. They are cloned. Their parameters are ``name__parameter`` for
        ``set_params`` and grids.
    pretraining : {'greedy'}, default='greedy'
        How the layers are initialized; with None, by random weights.
    n_mean_field_steps : int, default=10
        Steps of mean field up and down, of which each renews all layers.
    n_gibbs_steps : int, default=1
        Steps of the chains in each step of training.
    n_chains : int, default=None
        Number of chains; ``batch_size`` by default.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights.
    momentum : float, default=0.0
        Of ``solver='sgd'``.
    solver : {'sgd', 'adam'} or solver, default='sgd'
    learning_rate_init : float, default=0.01
        Step size.
    learning_rate : {'constant', 'cosine'}, default='constant'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs. Training that is resumed then needs the same
        ``max_iter``. Not used by L-BFGS.
    batch_size : int, default=100
        Samples in a minibatch.
    max_iter : int, default=50
        Epochs.
    tol : float, default=1e-4
        Relative improvement that counts as one, where training may stop early.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    early_stopping : bool, default=False
        Whether to stop by the reconstruction loss of held-out samples, and keep the best weights.
    validation_fraction : float, default=0.1
        Share of samples held out.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, shuffles and chains, and of layers that have none of their own.
    verbose : int, default=0
        Print loss, seconds and samples per second every so many epochs, also of layers that say nothing else.
    checkpoint : path-like, default=None
        File to which the state of the joint training is written after each epoch, atomically. Layers write beside it,
        with their names added.
    resume : bool, default=False
        Whether ``fit`` goes on from these files where they exist.

    Attributes
    ----------
    layers_ : list of (str, RBM)
        Layers as pre-training left them; without it, unfitted.
    named_layers_ : Bunch
        The same, by name.
    weights_ : list of ndarray of shape (n_upper, n_lower)
        Weights between neighbouring layers, from the lowest up.
    biases_ : list of ndarray of shape (n_units,)
        Biases of each layer, from the visible one up.
    n_iter_ : int
        Epochs of the joint training.
    loss_curve_, validation_curve_ : list of float
        Loss of reconstructing x in each epoch.

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

    pretraining: str | None = "greedy"
    n_mean_field_steps: int = 10
    n_gibbs_steps: int = 1
    n_chains: int | None = None
    weight_decay: float = 0.0
    momentum: float = 0.0
    solver: object = "sgd"
    learning_rate_init: float = 0.01
    batch_size: int = 100
    max_iter: int = 50

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        "layers": [list, tuple],
        "pretraining": [StrOptions({"greedy"}), None],
        "n_mean_field_steps": [Interval(Integral, 1, None, closed="left")],
        "n_gibbs_steps": [Interval(Integral, 1, None, closed="left")],
        "n_chains": [Interval(Integral, 1, None, closed="left"), None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y=None, sample_weight=None):
        """Learn the layers one by one, then all of them together.

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

        Raises
        ------
        ValueError
            If X or a parameter is invalid (the estimator is then as before), or if weights become infinite (those of
            the last finite epoch are then kept).
        TypeError
            If a layer is no RBM.
        """
        with unchanged_on_error(self):
            check_machines(self.layers, least=2)
            self._validate_names([name for name, _ in self.layers])
            if isinstance(self._make_solver(), LBFGS):
                raise ValueError("solver='lbfgs' needs an exact gradient: take 'sgd' or 'adam'.")
            frame = X
            X = validate_data(self, X, accept_sparse="csr", dtype=DTYPES, order="C")
            weights = checked_weights(sample_weight, X)
            self._units = self.layers[0][1]._make_units(X, frame, weights)
            self._loss = self._units.loss
            self._check_range(X)
            self.layers_ = self._copies()
            widths = [layer.n_components for _, layer in self.layers_]
            self._sizes = (self._units.scaling.n_inputs, *widths)
            self._learn(X, weights)
        return self

    def transform(self, X):
        """Return the mean-field means of the highest hidden layer.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
        """
        top = len(self._fitted_sizes) - 1
        width = self._sizes[-1]
        return self._by_block(X, lambda *sides: sides[top % 2][:, self._machine.places[top]], width)

    def reconstruct(self, X):
        """Return the means of x given the mean-field means of the hidden layers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        return self._by_block(X, lambda states, odd: self._visible_means(odd), self.n_features_in_)

    def score_samples(self, X):
        """Return a lower bound of each sample's unnormalized log density, by mean field.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """

        def bounds(states, odd):
            return self._machine.bounds(self._machine_params, self._loss, states, odd)

        return self._by_block(X, bounds, None, check=True)

    def sample(self, n_samples=1, *, n_steps=1000, start=None, means=False, random_state=None):
        """Return the ends of Gibbs chains of all layers.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains; with ``start``, its rows are.
        n_steps : int, default=1000
            Steps of each chain.
        start : array-like of shape (n_samples, n_features), default=None
            Visible states to begin with, the hidden ones being at their mean field; by default, draws by base rates.
        means : bool, default=False
            Whether to return the means of the last visible units, instead of draws.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        n_visible = self._fitted_sizes[0]
        check_counts(n_samples=n_samples, n_steps=n_steps)
        rng = generator(random_state)
        params, units = self._machine_params, self._machine.units(self._loss)
        states = self._chain_start(n_samples, start, units, rng)
        codes, odd = np.empty((2, len(states), self._machine.network.sizes[1]), states.dtype)
        with team():
            for _ in range(n_steps):
                gibbs_step(params, units, states, codes, odd, rng)
        scaling = self._units.scaling
        return self._visible_means(odd) if means else scaling.invert(states[:, :n_visible])

    def log_partition(self, *, n_runs=100, n_temperatures=10_000, random_state=None):
        """Return log Z, the logarithm of the normalizer of ``score_samples``.

        See :meth:`RBM.log_partition`: exact for at most 20 units in the odd hidden layers together.

        Parameters
        ----------
        n_runs : int, default=100
            Independent runs, whose weights are averaged.
        n_temperatures : int, default=10000
            Steps from the independent units to the machine; too few underestimate Z.
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        estimate : LogPartition
            ``value``, and ``low`` and ``high``, three standard errors of Z away: a named tuple.
        """
        check_is_fitted(self)
        params, units = self._machine_params, self._machine.units(self._loss)
        start = self._base_logits()
        return log_partition(params, units, start, n_runs, n_temperatures, random_state)

    def log_likelihood_bound(self, X, *, n_runs=100, n_temperatures=10_000, random_state=None):
        """Return a lower bound of the mean log-likelihood of X, with the error bars of log Z.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        n_runs, n_temperatures, random_state
            See :meth:`log_partition`.

        Returns
        -------
        estimate : LogPartition
            ``value``, ``low`` and ``high``, in nats.
        """
        score = self.score(X)
        options = {"n_temperatures": n_temperatures, "random_state": random_state}
        return normalized(score, self.log_partition(n_runs=n_runs, **options))

    @property
    def weights_(self):
        """list of ndarray of shape (n_upper, n_lower): weights between neighbouring layers."""
        lowest, *others = self._weights()
        return [self._units.scaling.widened(lowest), *others]

    @property
    def biases_(self):
        """list of ndarray of shape (n_units,): biases of each layer, from the visible one up."""
        visible, *hidden = self._biases()
        return [self._units.scaling.widened(visible), *hidden]

    def _weights(self):
        weights = self._machine_params.encoder_weights[0]
        return [self._machine.block(weights, layer) for layer in range(1, len(self._sizes))]

    def _biases(self):
        return [self._machine.bias(self._machine_params, n) for n in range(len(self._sizes))]

    def _discriminative_layers(self):
        """Return weights and biases of a network on ``_discriminative_inputs``, from the lowest layer up."""
        weights, biases = self._weights(), self._biases()
        lowest = np.hstack([weights[0], weights[1].T])
        return list(zip([lowest, *weights[1:]], biases[1:]))

    def _discriminative_inputs(self, X):
        """Return X and, beside it, the mean-field means of the second hidden layer."""
        n_visible, n_second = self._sizes[0], self._sizes[2]
        width, rows = n_visible + n_second, self._units.scaling.rows(X)
        return by_block(rows, lambda x: self._sides(x)[0][:, :width], width)

    def _copies(self):
        machines = copies(
            self.layers,
            check_random_state(self.random_state),
            verbose=self.verbose,
            checkpoint=self.checkpoint,
            resume=self.resume,
        )
        for number, (_, layer) in enumerate(machines):
            # A layer that will hear two sides hears one of them twice while the other is not there.
            layer._scales = (1 if number == len(machines) - 1 else 2, 2 if number else 1)
        return machines

    def _learn(self, X, weights):
        rows = self._units.scaling.rows(X)
        self._base_bias = self._units.base_logits.astype(X.dtype)
        state = self._start(self._machine.network, X.dtype)
        params = self._machine.network.views(state.params)
        mask = self._machine.mask()
        if mask is not None:
            params.encoder_weights[0][...] *= mask
        n_visible = rows.shape[1]
        params.decoder_biases[0][:n_visible] = self._base_bias
        if self.pretraining:
            self._pretrain(params, X, weights)
        objective = self._objective(n_visible, X.dtype, mask)
        self._train(Problem(OnCodes(objective, n_visible, _beside_nothing), rows, weights), state)

    def _pretrain(self, params, X, weights):
        """Fit each layer on the codes of those below and put it into ``params``."""
        rows = self._units.scaling.rows(X)
        for number, (_, layer) in enumerate(self.layers_, 1):
            layer.fit(X, sample_weight=weights)
            fitted = layer._model.params
            decoder_bias = fitted.decoder_biases[0]
            self._machine.block(params.encoder_weights[0], number)[...] = fitted.encoder_weights[0]
            self._machine.bias(params, number)[...] = fitted.encoder_biases[0]
            below = self._machine.bias(params, number - 1)
            # A hidden layer had a bias as the upper and one as the lower of two.
            below[...] = (below + decoder_bias) / 2 if number > 1 else decoder_bias
            if number < len(self.layers_):
                X = rows = by_block(rows, layer._upward_means, layer.n_components)

    def _objective(self, n_visible, dtype, mask):
        machine = self._machine

        def infer(params, states, odd):
            machine.mean_field(params, states, odd, self.n_mean_field_steps)

        return BoltzmannObjective(
            machine.network,
            machine.units(self._loss),
            n_steps=self.n_gibbs_steps,
            chains=Chains(self.n_chains or self.batch_size, machine.network.sizes[1], dtype),
            penalties=weight_decays(self.weight_decay),
            watched=self._loss,
            infer=infer,
            mask=mask,
        )

    def _by_block(self, X, function, width, *, check=False):
        """Return ``function`` of the states of the even and of the odd layers, at their mean field."""
        check_is_fitted(self)
        dtype = self._state["params"].dtype
        X = validate_data(self, X, accept_sparse="csr", dtype=dtype, order="C", reset=False)
        if check:
            self._check_range(X)
        rows = self._units.scaling.rows(X)
        return by_block(rows, lambda x: function(*self._sides(x)), width)

    def _sides(self, x):
        """Return the scaled rows x and the means of the even hidden layers side by side, and the means of the odd layers."""
        n_even, n_odd = self._machine.network.sizes
        states, odd = np.zeros((len(x), n_even), x.dtype), np.empty((len(x), n_odd), x.dtype)
        _beside_nothing(x, states)
        self._machine.mean_field(self._machine_params, states, odd, self.n_mean_field_steps)
        return states, odd

    def _visible_means(self, odd):
        logits = np.empty((len(odd), self._machine.network.sizes[0]), odd.dtype)
        visible_logits(self._machine_params, odd, logits)
        return self._units.scaling.invert(self._loss.activate(logits[:, : self._sizes[0]]))

    def _base_logits(self):
        return np.concatenate(
            [self._base_bias, np.zeros(self._machine.n_latent, self._base_bias.dtype)]
        )

    def _check_range(self, X):
        self._units.check(X, column_names(self, X))

    def _chain_start(self, n_samples, start, units, rng):
        if start is not None:
            dtype = self._state["params"].dtype
            X = validate_data(self, start, dtype=dtype, order="C", reset=False)
            self._check_range(X)
            return self._sides(self._units.scaling.apply(X))[0]
        return units.draws(self._base_logits(), n_samples, rng)

    @property
    def _machine(self):
        return DeepMachine(self._sizes)

    @property
    def _machine_params(self):
        return self._machine.network.views(self._state["params"])

    @property
    def _fitted_sizes(self):
        check_is_fitted(self)
        return self._sizes

    @property
    def _n_features_out(self):
        return self._sizes[-1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _beside_nothing(rows, out):
    """Fill ``out`` with the rows, and zeros for what is to be inferred."""
    out[:, : rows.shape[1]] = rows
    out[:, rows.shape[1] :] = 0
