"""The one abstract base of the auto-encoders: parameters and training, everything but the objective."""

from abc import ABC
from dataclasses import dataclass
from numbers import Integral
from typing import ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import StrOptions
from .._estimators.fitted import FittedAutoEncoder
from .._estimators.fitting import by_block
from .._estimators.layer import Layer
from .._estimators.units import make_units
from .._estimators.unsupervised import UnsupervisedModel
from ..nn.activations import ACTIVATIONS
from ..nn.losses import LOSSES, Gaussian
from ..nn.scaling import dense
from ._imputation import learned_imputation, plain_imputation, some_rows


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoEncoder(UnsupervisedModel, FittedAutoEncoder, Layer, ABC):
    """Parameters and training, shared by all auto-encoders."""

    _allows_missing = True

    hidden_layer_sizes: tuple = ()
    activation: str = "sigmoid"
    tied_weights: bool = True
    loss: object = "auto"
    learning_rate_init: float = 3e-3
    learning_rate: str = "cosine"
    batch_size: int = 64
    max_iter: int | str = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **UnsupervisedModel._parameter_constraints,
        "hidden_layer_sizes": ["array-like"],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "tied_weights": ["boolean"],
        "loss": [StrOptions({"auto", *LOSSES}), list],
    }

    def impute(self, X):
        """Return X with its missing values (NaN) filled in from reconstructions.

        The first reconstruction sees 0 (of a scaled column, its mean) where values are missing, further ones what was
        filled in before. Of gaussian columns ``mean + slope * (r - mean)`` is filled in, as reconstructions of what the
        network does not see are too near to the mean, and iterated ones too far from it. ``fit`` measures the slopes on
        known values that it hides, a tenth of at most 2000 rows, and takes as many reconstructions as lower the error on them;
        after ``partial_fit`` it is one, with slopes of 1.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            A copy; of a binary column or a one-hot group, probabilities are filled in.

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
        X = self._validated(X, dtype=self._params.dtype, reset=False)
        X = dense(X)
        return np.where(np.isnan(X), by_block(X, self._filled, X.shape[1]), X)

    def _filled(self, x):
        model = self.model_
        z = model.scaling.apply(x)
        imputation = getattr(self, "_imputation", None) or plain_imputation(
            self._input_means(z.dtype)
        )
        return model.scaling.invert(imputation.fill(model.reconstruct_scaled, z))

    def _input_means(self, dtype):
        """Return the means of the gaussian inputs of the network, and 0 of others."""
        return np.where(self._gaussian_inputs(), self._units.base_logits, 0).astype(dtype)

    def _gaussian_inputs(self):
        gaussian = np.zeros(self._units.scaling.n_inputs, bool)
        for part in self._units.loss.parts:
            gaussian[part.columns] = isinstance(part, Gaussian)
        return gaussian

    def _check_training_data(self, X, sample_weight, reset):
        self._imputation = None
        return super()._check_training_data(X, sample_weight, reset)

    def _learn_from_trained(self, X):
        """Measure how reconstructions of hidden cells are to be stretched, on some rows of X."""
        model = self.model_
        z = model.scaling.apply(some_rows(X))
        self._imputation = learned_imputation(
            model.reconstruct_scaled,
            z,
            self._input_means(z.dtype),
            self._gaussian_inputs(),
            self._units.groups,
        )

    def _first_state(self, X, weights):
        state = super()._first_state(X, weights)
        self._network.views(state.params).decoder_biases[0][...] = self._units.base_logits
        return state

    def _make_units(self, X, frame, sample_weight):
        return make_units(self.loss, X, frame, sample_weight, standardize=self.standardize)

    def layer_shapes(self):
        """Return width and activation of each layer of the encoder, from the parameters."""
        hidden = tuple(self.hidden_layer_sizes)
        if not all(isinstance(size, Integral) and size >= 1 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must hold integers >= 1; got {hidden!r}.")
        return [(width, self.activation) for width in (*hidden, self.n_components)]

    def _decoder(self):
        return "tied" if self.tied_weights else "untied"
