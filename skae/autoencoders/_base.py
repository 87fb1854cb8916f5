"""The one abstract base of the auto-encoders: parameters and training, everything but the objective."""

from abc import ABC
from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import scipy.sparse
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted

from .._compat import StrOptions
from .._estimators.fitted import FittedAutoEncoder
from .._estimators.fitting import check_counts
from .._estimators.layer import Layer
from .._estimators.units import make_units
from .._estimators.unsupervised import UnsupervisedModel
from ..nn.activations import ACTIVATIONS
from ..nn.losses import LOSSES


@dataclass(kw_only=True, eq=False, repr=False)
class BaseAutoEncoder(UnsupervisedModel, FittedAutoEncoder, Layer, ABC):
    """Parameters and training, shared by all auto-encoders."""

    _allows_missing = True
    _n_imputations = 10

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

    def impute(self, X, *, max_iter=None, tol=1e-3):
        """Return X with its missing values (NaN) replaced by their reconstruction.

        The first reconstruction sees 0 (of a scaled column, its mean) where values are missing; further ones see
        what was filled in before.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        max_iter : int, default=None
            Most reconstructions; None takes 1 of a :class:`DenoisingAE`, which is trained to reconstruct from what is left
            and may go far astray on its own values, and 10 of others.
        tol : float, default=1e-3
            Mean change of the filled values, in the units of the scaled columns, at which to stop.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            A copy; of a binary column or a one-hot group, probabilities are filled in.
        """
        check_is_fitted(self)
        max_iter = self._n_imputations if max_iter is None else max_iter
        check_counts(max_iter=max_iter)
        check_scalar(tol, "tol", Real, min_val=0)
        X = self._validated(X, dtype=self._params.dtype, reset=False)
        X = X.toarray() if scipy.sparse.issparse(X) else X.copy()
        missing = np.isnan(X)
        filled = X
        for turn in range(max_iter if missing.any() else 0):
            before, filled = filled, np.where(missing, self.reconstruct(filled), X)
            if turn and np.abs((filled - before) / self.scale_)[missing].mean() < tol:
                break
        return filled

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
