"""Methods of a fitted auto-encoder: encode, decode, score, and show its weights and Jacobian."""

from functools import partial
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import all_finite, dense, like, to_numpy
from .._typing import (
    BaseEstimator,
    Bunch,
    ClassNamePrefixFeaturesOutMixin,
    FloatArray,
    IntArray,
    MatrixLike,
    TransformerMixin,
    available_if,
)
from ..nn.model import Model
from ..nn.network import Params, network_of
from .checks import check_codes, check_order_of_codes
from .devices import check_backend, check_library, computing, dispatched, place_for, shown
from .fitting import (
    BLOCK,
    by_block,
    column_names,
    dtypes_of_library,
    gathered,
    score,
    validated_rows,
)
from .one_pass import fit_transform
from .reading import named_array
from .squares import unit_of_squares


def by_block_of_model(self, X, function, width, *, method, check=False, block=BLOCK):
    """Return ``function(model, x)`` for all rows of X, for the public ``method`` of a fitted estimator.

    ``model`` is ``model_`` on the device that computes, and x dense rows; with ``check``, X must be in the range of the
    losses.
    """
    check_is_fitted(self)
    check_backend(self._backend, X, f"{type(self).__name__}.{method}")
    model = self.model_
    X = validated_rows(self, X, dtype=model.dtype, reset=False)
    if check:
        self._units.check(to_numpy(X) if dispatched(X) else X, column_names(self, X))
    prototype, _ = place_for(self, X)
    with computing(self, prototype, X.dtype):
        model = model if prototype is None else model.moved(prototype)
        return by_block(X, partial(function, model), width, block, prototype)


class FittedNetwork(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The methods of a fitted encoder and decoder.

    ``fit`` sets ``_units`` (how the network sees X), ``_shape`` (the arguments of the network) and ``_state`` (a dict
    with ``params``, the flat vector).
    """

    fit_transform, score = fit_transform, score
    _by_block = by_block_of_model
    # Whether X may have missing values, and whether it may be of another library than numpy.
    _takes_nan = _takes_arrays = False

    @property
    def model_(self) -> Model:
        """The fitted network with its parameters and units, which takes and returns columns of X: Model."""
        flat = self._history("model_")["params"]
        return Model(self._network, flat, self._units)

    def transform(self, X: MatrixLike) -> FloatArray:
        """Return the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples; an auto-encoder sees 0 in place of missing values (NaN).

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            Codes.
        """
        return self._by_block(X, Model.encode, self.n_components_, method="transform")

    def _decodes(self):
        if not self._has_decoder:
            raise AttributeError("A network that was trained to predict has no decoder.")
        return True

    @available_if(_decodes)
    def inverse_transform(self, X: MatrixLike) -> FloatArray:
        """Return decoded codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Means of the output units: probabilities for binary columns and one-hot groups.
        """
        check_is_fitted(self)
        check_order_of_codes(self, X)
        check_backend(self._backend, X, f"{type(self).__name__}.inverse_transform")
        check_library(self, X)
        dtype, (prototype, backend) = self._params.dtype, place_for(self, X)
        # Shape and range are checked below; codes may have no rows.
        codes = named_array(
            dense(X),
            "X",
            dtype=dtypes_of_library(X, dtype) if backend else dtype,
            ensure_2d=False,
            allow_nd=True,
            ensure_all_finite=False,
            ensure_min_samples=0,
        )
        check_codes(codes, self.n_components_)
        if not all_finite(codes):
            raise ValueError("X contains NaN or infinity; give finite codes.")
        if prototype is None:
            return self.model_.decode(codes)
        with computing(self, prototype, codes.dtype):
            decoded = self.model_.moved(prototype).decode(like(codes, prototype))
        return decoded if backend else to_numpy(decoded)

    @available_if(_decodes)
    def reconstruct(self, X: MatrixLike) -> FloatArray:
        """Return r(x), the decoded code of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Reconstructions, on the scale of X.
        """
        check_is_fitted(self)
        return self._by_block(X, Model.reconstruct, self.n_features_in_, method="reconstruct")

    @available_if(_decodes)
    def score_field(self, X: MatrixLike) -> FloatArray:
        """Return r(x) - x, which points to where the data are denser.

        For gaussian columns and an auto-encoder trained with noise of standard deviation sigma (or with contraction
        sigma^2 / 2 of its reconstruction), it estimates the gradient of log p(x), the score, times sigma^2 for scaled
        columns (Alain & Bengio 2014, theorem 1): the score itself is ``score_field(X) / (sigma * scale_) ** 2``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        F : ndarray of shape (n_samples, n_features)
            Differences, on the scale of X.
        """
        check_is_fitted(self)
        return self._by_block(
            X, Model.reconstruction_error, self.n_features_in_, method="score_field"
        )

    @available_if(_decodes)
    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return the log-likelihood of each sample under its own reconstruction.

        This is minus the reconstruction loss, summed over features. Gaussian columns have unit
        variance and leave out the constant -log(2 pi) / 2. Low values are anomalies. Columns that ``standardize``
        scales have variance 1 for it, also in a model that sees them with another variance: models with other
        numbers of units can be compared by it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            High for samples that are like the training data.
        """
        return -self._by_block(X, Model.losses, None, method="score_samples", check=True)

    def jacobian(self, X: MatrixLike) -> FloatArray:
        """Return dh/dx at each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        J : ndarray of shape (n_samples, n_components, n_features)
            Jacobian of each sample. The array is large: give few samples.
        """
        shape = self.n_components_, self.n_features_in_
        return self._by_block(X, Model.jacobian, shape, method="jacobian", block=16)

    def singular_values(self, X: MatrixLike) -> FloatArray:
        """Return the singular values of dh/dx at each sample, largest first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        S : ndarray of shape (n_samples, min(n_components, n_features))
            Singular values of each sample, largest first.
        """
        width = min(self.n_components_, self.n_features_in_)

        def values(model, x):
            return like(model.singular_values(x, width), x)

        return self._by_block(X, values, width, method="singular_values", block=16)

    def report(self, X: MatrixLike) -> Bunch:
        """Return the measures of table 1 in Rifai et al. 2011: saturation and Jacobian of the codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        report : Bunch
            ``saturation``, the fraction of codes below 0.05 or above 0.95; ``jacobian_norm``, the mean of ||dh/dx||_F;
            ``singular_values``, the mean spectrum of dh/dx, largest first.
        """
        check_is_fitted(self)
        X = gathered(self, X)  # batches can be read once only
        # Not by transform, which may return a data frame.
        codes = to_numpy(self._by_block(X, Model.encode, self.n_components_, method="report"))
        singular_values = to_numpy(self.singular_values(X))
        unit = unit_of_squares(singular_values)
        norms = np.sqrt(((singular_values / unit) ** 2).sum(axis=1))
        return Bunch(
            saturation=float(np.mean((codes < 0.05) | (codes > 0.95))),
            jacobian_norm=float(norms.mean() * unit),
            singular_values=singular_values.mean(axis=0, dtype=np.float64),
        )

    @property
    def center_(self: Any) -> FloatArray:
        """The value that is subtracted from each column of X before the network: ndarray of shape (n_features,)."""
        check_is_fitted(self)
        return shown(self._backend, self._units.scaling.center)

    @property
    def scale_(self: Any) -> FloatArray:
        """The value by which each column of X is then divided: ndarray of shape (n_features,)."""
        check_is_fitted(self)
        return shown(self._backend, self._units.scaling.scale)

    @property
    def column_losses_(self: Any) -> list[tuple[str, IntArray]]:
        """The losses of the reconstruction, each with the columns of X that it applies to: list of (str, ndarray)."""
        check_is_fitted(self)
        return self._units.column_losses

    # Weights are those of the network for scaled columns; constant columns have weights of 0.

    @property
    def components_(self) -> FloatArray:
        """The encoder's weights of scaled columns, without hidden layers: ndarray of shape (n_components, n_features)."""
        return self._single_layer("components_").encoder_weights[0]

    @property
    def encoder_bias_(self) -> FloatArray:
        """The encoder's bias, without hidden layers: ndarray of shape (n_components,)."""
        return self._single_layer("encoder_bias_").encoder_biases[0]

    @property
    def decoder_components_(self) -> FloatArray:
        """The decoder's weights, without hidden layers: ndarray of shape (n_components, n_features)."""
        return self._single_layer("decoder_components_").decoder_weights[0]

    @property
    def decoder_bias_(self) -> FloatArray:
        """The bias of the output units: ndarray of shape (n_features,)."""
        return self._shown_params("decoder_bias_").decoder_biases[0]

    @property
    def encoder_weights_(self) -> list[FloatArray]:
        """Weights from the input to the code: list of ndarray of shape (n_upper, n_lower)."""
        return self._shown_params("encoder_weights_").encoder_weights

    @property
    def decoder_weights_(self) -> list[FloatArray]:
        """Weights of the decoder, in the encoder's order: list of ndarray of shape (n_upper, n_lower)."""
        return self._shown_params("decoder_weights_").decoder_weights

    @property
    def n_components_(self) -> int:
        """The width of the fitted code: int."""
        check_is_fitted(self)
        return self._shape["sizes"][-1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse, tags.input_tags.allow_nan = True, self._takes_nan
        tags.array_api_support = self._takes_arrays
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _has_decoder(self):
        """Whether codes can be decoded; networks that are trained to predict have no decoder: bool."""
        return not hasattr(self, "_shape") or self._shape.get("decoder", True) is not None

    @property
    def _n_features_out(self):
        return self._shape["sizes"][-1]

    @property
    def _params(self):
        return self._state["params"]

    @property
    def _network(self):
        return network_of(**self._shape)

    def _fitted_params(self, name):
        flat = self._history(name)["params"]
        return self._network.views(flat)

    def _shown_params(self, name):
        """Return the parameters with weights for all columns of X."""
        if name.startswith("decoder") and not self._has_decoder:
            raise AttributeError(f"{type(self).__name__} has no {name}: it is trained to predict.")
        params, widen = self._fitted_params(name), self._units.scaling.widened
        encoder, decoder = list(params.encoder_weights), list(params.decoder_weights)
        encoder[0] = widen(encoder[0])
        if decoder:
            tied = params.decoder_weights[0] is params.encoder_weights[0]
            decoder[0] = encoder[0] if tied else widen(decoder[0])
        biases = [
            widen(bias) if not layer else bias for layer, bias in enumerate(params.decoder_biases)
        ]
        parts = encoder, params.encoder_biases, decoder, biases
        return Params(*([shown(self._backend, each) for each in part] for part in parts))

    def _single_layer(self, name):
        params = self._shown_params(name)
        if len(params.encoder_weights) > 1:
            raise AttributeError(f"{name} exists without hidden layers only: see encoder_weights_.")
        return params
