"""What a fitted auto-encoder does: encode, decode, score, and show its weights and Jacobian."""

from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Bunch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._fitting import BLOCK, MeanScore, by_block, column_names
from ..nn.linear_maps import encoder_map
from ..nn.network import Network


class FittedNetwork(BaseEstimator):
    """A network with its parameters, which ``fit`` leaves.

    ``fit`` sets ``_state`` (a dict with ``params``, the flat vector), ``_shape`` (the arguments of the network)
    and ``_loss`` (of the output units).
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _params(self):
        return self._state["params"]

    @property
    def _network(self):
        return Network(**self._shape)

    @property
    def _n_encoder_layers(self):
        return len(self._shape["sizes"]) - 1

    @property
    def _map_dtype(self):
        return self._params.dtype

    @property
    def _n_directions(self):
        return self._shape["sizes"][self._n_encoder_layers]

    def _linear_map(self, X):
        """Return dh/dx at the rows of X, which are dense and checked."""
        network = self._network
        return encoder_map(network, network.views(self._params), X, self._n_encoder_layers)

    def _by_block(self, X, function, width, *, check=False, block=BLOCK):
        check_is_fitted(self)
        X = validate_data(
            self, X, accept_sparse="csr", dtype=self._params.dtype, order="C", reset=False
        )
        if check:
            self._loss.check(X, column_names(self, X))
        network = self._network
        params = network.views(self._params)
        return by_block(X, lambda x: function(network, params, x), width, block)


def _decodes(estimator):
    if not estimator._has_decoder:
        raise AttributeError("Supervised training leaves no decoder.")
    return True


class EncoderDecoder(MeanScore, ClassNamePrefixFeaturesOutMixin, TransformerMixin, FittedNetwork):
    """The methods that need a network and no training."""

    def transform(self, X):
        """Return the codes of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
        """
        return self._by_block(X, self._encode, self.n_components_)

    @available_if(_decodes)
    def inverse_transform(self, X):
        """Return what the decoder makes of codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Means of the output units: probabilities for binary columns and one-hot groups.
        """
        check_is_fitted(self)
        codes = np.atleast_2d(np.asarray(X, dtype=self._params.dtype))
        if codes.ndim != 2 or codes.shape[1] != self.n_components_:
            raise ValueError(
                f"X must have shape (n_samples, {self.n_components_}), the codes of this "
                f"{type(self).__name__}; got {codes.shape}."
            )
        if not np.isfinite(codes).all():
            raise ValueError("X contains NaN or infinity; give finite codes.")
        network = self._network
        return self._decode(network, network.views(self._params), codes)

    @available_if(_decodes)
    def reconstruct(self, X):
        """Return r(x), the decoded code of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        return self._by_block(X, self._reconstruct, self.n_features_in_)

    @available_if(_decodes)
    def score_field(self, X):
        """Return r(x) - x, which points to where the data are denser.

        For gaussian columns and an auto-encoder trained with noise of standard deviation sigma (or
        with contraction sigma^2 / 2 of its reconstruction), it estimates sigma^2 times the gradient of
        log p(x) (Alain & Bengio 2014, theorem 1): divide by sigma^2 for the score itself.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        F : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        return self._by_block(
            X,
            lambda network, params, x: self._reconstruct(network, params, x) - x,
            self.n_features_in_,
        )

    def jacobian(self, X):
        """Return dh/dx at each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        J : ndarray of shape (n_samples, n_components, n_features)
            Large: give few samples.
        """
        return self._by_block(
            X,
            self._jacobian,
            (self.n_components_, self.n_features_in_),
            block=16,
        )

    def singular_values(self, X):
        """Return the singular values of dh/dx at each sample, largest first.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        S : ndarray of shape (n_samples, min(n_components, n_features))
        """
        return self._by_block(
            X,
            lambda *x: np.linalg.svd(self._jacobian(*x), compute_uv=False),
            min(self.n_components_, self.n_features_in_),
            block=16,
        )

    def report(self, X):
        """Return what table 1 of Rifai et al. 2011 looks at.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        report : Bunch
            ``saturation``, the share of codes below 0.05 or above 0.95; ``jacobian_norm``, the mean
            of ||dh/dx||_F; ``singular_values``, the mean spectrum of dh/dx, largest first.
        """
        codes = self.transform(X)
        singular_values = self.singular_values(X)
        return Bunch(
            saturation=float(np.mean((codes < 0.05) | (codes > 0.95))),
            jacobian_norm=float(np.sqrt((singular_values**2).sum(axis=1)).mean()),
            singular_values=singular_values.mean(axis=0),
        )

    # Fitted attributes are views of one parameter vector.

    @property
    def components_(self):
        """ndarray of shape (n_components, n_features): the encoder's weights, without hidden layers."""
        return self._single_layer("components_").encoder_weights[0]

    @property
    def encoder_bias_(self):
        """ndarray of shape (n_components,): the encoder's bias, without hidden layers."""
        return self._single_layer("encoder_bias_").encoder_biases[0]

    @property
    def decoder_components_(self):
        """ndarray of shape (n_components, n_features): the decoder's weights, without hidden layers."""
        return self._single_layer("decoder_components_").decoder_weights[0]

    @property
    def decoder_bias_(self):
        """ndarray of shape (n_features,): the bias of the output units."""
        return self._fitted_params("decoder_bias_").decoder_biases[0]

    @property
    def encoder_weights_(self):
        """list of ndarray of shape (n_upper, n_lower): weights from the input to the code."""
        return self._fitted_params("encoder_weights_").encoder_weights

    @property
    def decoder_weights_(self):
        """list of ndarray of shape (n_upper, n_lower): weights of the decoder, in the encoder's order."""
        return self._fitted_params("decoder_weights_").decoder_weights

    @property
    def n_components_(self):
        """int: the width of the fitted code."""
        check_is_fitted(self)
        return self._shape["sizes"][-1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _has_decoder(self):
        return not hasattr(self, "_shape") or self._shape.get("decoder", True) is not None

    @property
    def _n_features_out(self):
        return self._shape["sizes"][-1]

    def _fitted_params(self, name):
        return self._network.views(self._history(name)["params"])

    def _single_layer(self, name):
        params = self._fitted_params(name)
        if len(params.encoder_weights) > 1:
            raise AttributeError(f"{name} exists without hidden layers only: see encoder_weights_.")
        return params

    def _encode(self, network, params, x):
        return network.encode(params, x)

    def _decode(self, network, params, codes):
        return self._loss.activate(network.decode(params, codes))

    def _reconstruct(self, network, params, x):
        return self._loss.activate(network.reconstruct(params, x))

    def _jacobian(self, network, params, x):
        return network.jacobian(params, x)


class FittedAutoEncoder(EncoderDecoder):
    """The scores of an auto-encoder: by its reconstruction."""

    @available_if(_decodes)
    def score_samples(self, X):
        """Return the log-likelihood of each sample under its own reconstruction.

        This is minus the reconstruction loss, summed over features. Gaussian columns have unit
        variance and leave out the constant -log(2 pi) / 2. Low values are anomalies.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        return -self._by_block(X, self._sample_losses, None, check=True)

    def _sample_losses(self, network, params, x):
        logits = network.reconstruct(params, x)
        values = np.empty(len(x), x.dtype)
        no_cells = np.empty((0, 0), x.dtype)
        target = np.array(x, order="C")
        self._loss.delta(logits, target, np.zeros(len(x), x.dtype), no_cells, values)
        return values


class FittedEnergy(EncoderDecoder, ABC):
    """The scores of a model with an energy: by its density, up to a factor."""

    @abstractmethod
    def _log_densities(self, network, params, x):
        """Return the unnormalized log density of each row."""

    def score_samples(self, X):
        """Return the logarithm of each sample's unnormalized density: minus its (free) energy.

        The unknown normalizer is the same for all samples: differences are exact, and low values are anomalies. Two
        models have two normalizers: neither these scores nor their mean, ``score``, tell which one is better.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
        """
        return self._by_block(X, self._log_densities, None, check=True)
