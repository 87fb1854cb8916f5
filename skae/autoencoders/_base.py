"""The one abstract base of the auto-encoders: parameters and training, everything but the objective."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from numbers import Integral
from typing import ClassVar, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import dense, in_numpy
from .._compat import Interval, StrOptions, _fit_context
from .._estimators import unsupervised
from .._estimators.devices import DEVICE_CONSTRAINTS, as_given
from .._estimators.fit_warnings import few_directions_of, warn_of_few_directions
from .._estimators.fitted import FittedNetwork
from .._estimators.fitting import by_block, unchanged_on_error, validated_rows
from .._estimators.layer import NetworkLayer
from .._estimators.needs import Need
from .._estimators.subestimators import layer_weights
from .._estimators.training import TrainedModel
from .._estimators.units import make_units
from .._estimators.unsupervised import CURE_OF_CONSTANT_CODES, NETWORK_CONSTRAINTS
from .._typing import (
    ActivationName,
    ArrayLike,
    BiasInit,
    FloatArray,
    Loss,
    MatrixLike,
    Schedule,
    Self,
    Standardize,
)
from ..nn.activations import ACTIVATIONS, Activation
from ..nn.losses import LOSSES
from ._imputation import imputation_of, plain_imputation, rows_to_learn_from


@NetworkLayer.register
@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoEncoder(TrainedModel, FittedNetwork, ABC):
    """Base of the auto-encoders: parameters, training and methods, all but the objective.

    Parameters are those of :class:`~skae.AutoEncoder`. A subclass adds a method ``objective(network, units)`` and
    fields for its own parameters, and is decorated with :func:`~skae.autoencoders.estimator`.
    """

    n_components: int = field(default=100, kw_only=False)
    hidden_layer_sizes: int | Sequence[int] = ()
    activation: ActivationName | Activation = "sigmoid"
    tied_weights: bool = True
    loss: Loss = "auto"
    standardize: Standardize = "auto"
    bias_init: BiasInit = "auto"
    weight_decay: float = 0.0
    warm_start: bool = False
    learning_rate_init: float = 3e-3
    learning_rate: Schedule = "cosine"
    batch_size: int = 64
    max_iter: int | Literal["auto"] = "auto"
    device: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        **NETWORK_CONSTRAINTS,
        **DEVICE_CONSTRAINTS,
        "hidden_layer_sizes": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "activation": [StrOptions(set(ACTIVATIONS)), Activation],
        "tied_weights": ["boolean"],
        "loss": [StrOptions({"auto", *LOSSES}), list],
        "bias_init": [StrOptions({"auto", "off", "zeros"})],
    }

    _needs: ClassVar[tuple] = (
        Need(
            "bias_init",
            "bias_init activation hidden_layer_sizes",
            "activation='sigmoid' without hidden_layer_sizes",
            lambda self: (
                self.bias_init != "off"
                or (self.activation == "sigmoid" and np.size(self.hidden_layer_sizes) == 0)
            ),
        ),
    )
    _takes_nan = _takes_arrays = True
    _automatic_bias_init = "zeros"  # on standardized columns
    _cure_of_constant_codes = CURE_OF_CONSTANT_CODES
    _imputation = None  # for ``impute``
    _learned_afterwards = ("_imputation",)

    @abstractmethod
    def objective(self, network, units):
        """Return the training objective of ``network``, composed of loss, corruption and penalties.

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

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the encoder and the decoder from X.

        Warn if a few directions have more than 95% of the variance of the scaled real columns, as in spectra: at most
        one for each five columns, and at most ten. The network then learns little of the small differences between
        columns; ``make_pipeline(StandardScaler(), PCA(whiten=True))`` before it is the cure.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64; NaN is a missing value. A C-ordered array is not copied; a sparse
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
            fitted, X, weights = self._fit_network(X, sample_weight, self._cure_of_constant_codes)
            x, weights = rows_to_learn_from(X, weights)
            z = fitted.scaling.apply(x)
            if self._as_part.name is None:  # a whole says by itself what concerns its results
                warn_of_few_directions(z, fitted.units, type(self).__name__, X.shape[0])
            self._imputation = imputation_of(fitted, z, weights)
        return self

    _begin, _fit_network = unsupervised.begin, unsupervised.fit_network
    _layer_training, partial_fit = unsupervised.layer_training, unsupervised.partial_fit

    def impute(self, X: MatrixLike) -> FloatArray:
        """Return X with its missing values (NaN) filled in from reconstructions.

        The first reconstruction sees 0 in place of missing values (the mean of a scaled column); later ones see the
        values filled in before. Gaussian columns are filled with ``linear + slope * (r - linear)``: ``linear`` is the
        mean given the known values of the row if all inputs are jointly normal (with more than 128 inputs the mean of
        the column), and is better than r where columns depend on each other linearly. ``fit`` learns it on at most
        2000 rows by the EM algorithm. It measures the slopes on a tenth of the known values, which it hides, and adds
        reconstructions as long as the error on them falls. After ``partial_fit`` there is one reconstruction, with
        slopes of 1.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Dense copy of X; binary columns and one-hot groups are filled with probabilities, those of a category given
            what is known of the others of its group.

        References
        ----------
        Dempster, A., Laird, N. & Rubin, D. Maximum likelihood from incomplete data via the EM algorithm. JRSS B 39
        (1977). Breiman, L. Stacked regressions. Machine Learning 24 (1996), on weights of several estimates.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from skae import DenoisingAE
        >>> X = load_iris().data
        >>> X[::3, 2] = np.nan
        >>> X_filled = DenoisingAE(50, random_state=0).fit(X).impute(X)
        >>> bool(np.isnan(X_filled).any()), X_filled.shape
        (False, (150, 4))
        """
        check_is_fitted(self)
        rows = validated_rows(self, X, dtype=self._params.dtype, reset=False)
        rows = dense(in_numpy(rows))
        filled = np.where(np.isnan(rows), by_block(rows, self._filled, rows.shape[1]), rows)
        return as_given(filled, X)

    def _filled(self, x):
        model = self.model_
        z = model.scaling.apply(x)
        imputation = self._imputation or plain_imputation(z.shape[1], z.dtype)
        filled = imputation.fill(model.reconstruct_scaled, z, model.units.multinomial_groups)
        return model.scaling.invert(filled)

    # As a layer of a stack: see NetworkLayer.

    def layer_training(self):
        """Return how a stack may train the network of this layer.

        Returns
        -------
        training : LayerTraining
            Functions that train the network, and facts that the stack needs.
        """
        return self._layer_training(units_parameter="loss", tied=self.tied_weights)

    def _make_units(self, data):
        """Return the ``Units`` in which the network sees the X of ``data``."""
        options = {"standardize": self.standardize, "warns": not self._as_part.columns_are_known}
        return make_units(self.loss, data, code=self._sigmoid_code(), **options)

    def _sigmoid_code(self):
        """Return the ``SigmoidCode`` of the first layer if X is to be scaled to suit it, else None."""
        return None

    def layer_shapes(self):
        """Return width and activation of each layer of the encoder, from the parameters.

        Returns
        -------
        shapes : list of (int, str)
            From the input to the code.
        """
        hidden = self.hidden_layer_sizes
        hidden = (hidden,) if isinstance(hidden, Integral) else tuple(hidden)
        for size in hidden:
            if not (isinstance(size, Integral) and size >= 1):
                raise ValueError(f"hidden_layer_sizes must hold integers >= 1; got {hidden!r}.")
        return list(zip((*hidden, self.n_components), repeat(self.activation)))

    def _network_shape(self, n_inputs):
        """Return the arguments of the ``Network`` for ``n_inputs`` inputs."""
        widths, activations = zip(*self.layer_shapes())
        decoder = "tied" if self.tied_weights else "untied"
        return {"sizes": (n_inputs, *widths), "activation": activations, "decoder": decoder}

    def _first_state(self, network, rows, sample_weight):
        """Return the state before the first step on scaled rows, in which outputs are the columns' means."""
        units, bias_init, off_at = self._units, self.bias_init, None
        if bias_init == "auto" and self.standardize is not False:
            bias_init = self._automatic_bias_init
        if bias_init == "off" and self.activation == "sigmoid" and network.is_shallow:
            # Units that are off hardly learn small differences between columns that nearly depend on each other.
            if self.bias_init == "off" or few_directions_of(rows, units) is None:
                off_at = units.means, units.deviations
        options = {"output_bias": units.base_logits, "off_at": off_at}
        return self._initial_state(network, rows.dtype, **options)

    def layer_weights(self):
        """Return encoder weights, encoder bias, decoder weights and decoder bias of each layer.

        Returns
        -------
        weights : list of tuple of ndarray
            From the input to the code.
        """
        return layer_weights(self.model_.params)
