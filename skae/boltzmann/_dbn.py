"""Deep belief network."""

from collections.abc import Sequence
from dataclasses import field
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._compat import _BaseComposition, _fit_context
from .._estimators import named_layers
from .._estimators.checks import check_order_of_codes
from .._estimators.devices import as_given, backend_of_fit, check_backend
from .._estimators.fitting import (
    by_block,
    check_counts,
    generator,
    is_fitted,
    score,
    take_columns,
    unchanged_on_error,
)
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import estimator, validate_params
from .._typing import (
    ArrayLike,
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    FloatArray,
    MatrixLike,
    NamedLayers,
    PathLike,
    RandomState,
    Self,
    TransformerMixin,
)
from ..deep import StackedAE
from ._layers import check_machines
from ._machine import checked_start
from ._passes import visible_draws, visible_means
from ._rbm import RBM


@estimator
class DBN(ClassNamePrefixFeaturesOutMixin, TransformerMixin, _BaseComposition, BaseEstimator):
    """Deep belief network: a stack of RBMs, the highest of which generates samples.

    Each RBM learns the means of the hidden units of the one below (Hinton et al. 2006). The density is that of the
    highest RBM, times that of each lower layer given the one above: ``p(x, h1, h2) = p(x | h1) p(h1, h2)``. Codes are
    the means on the way up. :class:`BoltzmannClassifier` trains all layers together with labels.

    Parameters
    ----------
    layers : list of (str, RBM) or list of int
        Names and layers, from the lowest to the highest, or widths of layers with the defaults of :class:`RBM`, such as
        ``[200, 100]``. Layers are cloned. Their parameters are ``name__parameter`` in ``set_params`` and grids.
    random_state : int, RandomState instance or None, default=None
        Random seed of layers that have none of their own.
    verbose : int, default=0
        Value of ``verbose`` for layers whose own is 0.
    checkpoint : path-like, default=None
        File next to which layers that have none write their checkpoints, with their names added.
    resume : bool, default=False
        Whether ``fit`` continues from these files if they exist.

    Attributes
    ----------
    layers_ : list of (str, RBM)
        Fitted layers.
    named_layers_ : Bunch
        Fitted layers by name.
    stack_ : StackedAE
        Network of their encoders and decoders.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Hinton, G., Osindero, S. & Teh, Y. A fast learning algorithm for deep belief nets. Neural Computation 18 (2006).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DBN, RBM
    >>> X = load_digits().data / 16
    >>> dbn = DBN([("low", RBM(50, max_iter=5)), ("high", RBM(30, max_iter=5))], random_state=0).fit(X)
    >>> dbn.transform(X).shape, dbn.sample(4, n_steps=10, random_state=0).shape
    ((1797, 30), (4, 64))
    """

    layers: Sequence[int] | NamedLayers = field(kw_only=False)
    random_state: RandomState = None
    verbose: int = 0
    checkpoint: PathLike | None = None
    resume: bool = False

    _parameter_constraints: ClassVar[dict] = {
        "layers": [list, tuple],
        **{
            name: StackedAE._parameter_constraints[name]
            for name in ("random_state", "verbose", "checkpoint", "resume")
        },
    }

    _validate_params = validate_params
    get_params, set_params = named_layers.get_params, named_layers.set_params
    named_layers_, _sk_visual_block_ = named_layers.named_layers_, named_layers.visual_block

    fit_transform, score = fit_transform, score

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Train the layers on X, from the lowest to the highest.

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
            If X or a parameter is invalid; the estimator is then as before.
        TypeError
            If a layer is not an RBM.
        """
        with unchanged_on_error(self, learned="stack_"):
            layers = named_layers.of_widths(self.layers, RBM)
            check_machines(layers)
            options = {"random_state": self.random_state, "verbose": self.verbose}
            stack = StackedAE(layers, checkpoint=self.checkpoint, resume=self.resume, **options)
            try:
                stack.fit(X, sample_weight=sample_weight)
            finally:
                if is_fitted(stack):
                    self._adopt(stack)
        return self

    def _adopt(self, stack):
        """Adopt a stack and the columns that it was trained on."""
        self.stack_ = stack
        take_columns(self, stack)

    def transform(self, X: MatrixLike) -> FloatArray:
        """Return the means of the highest hidden units, on the way up.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            Codes.
        """
        return self._fitted_for(X, "transform").transform(X)

    def inverse_transform(self, X: MatrixLike) -> FloatArray:
        """Return the reconstruction from codes: one pass of means down.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Samples, on the scale of the training data.
        """
        fitted = self._fitted_for(X, "inverse_transform")
        check_order_of_codes(self, X)
        return fitted.inverse_transform(X)

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return minus the reconstruction loss of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            High for samples that are like the training data.
        """
        return self._fitted_for(X, "score_samples").score_samples(X)

    def sample(
        self,
        n_samples: int = 1,
        *,
        n_steps: int = 1000,
        start: ArrayLike | None = None,
        means: bool = False,
        random_state: RandomState = None,
    ) -> FloatArray:
        """Return samples: Gibbs chains of the highest RBM, followed by one pass of draws down.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains; with ``start``, the number of its rows.
        n_steps : int, default=1000
            Number of steps of each chain.
        start : array-like of shape (n_samples, n_features), default=None
            Data at whose means below the highest RBM the chains start. By default, they start at draws from the base
            rates there.
        means : bool, default=False
            Whether to return the means of the visible units given the layer above, instead of draws.
        random_state : int, RandomState instance or None, default=None
            Random seed of the draws.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The ends of the chains.
        """
        check_is_fitted(self)
        lower, top = [layer for _, layer in self.layers_[:-1]], self.layers_[-1][1]
        check_counts(n_samples=n_samples, n_steps=n_steps)
        rng, units = generator(random_state), self.layers_[0][1].model_.units
        states = checked_start(self, start, n_samples, top.model_.dtype, units)
        if states is not None:
            n_samples = len(states)
            for layer in lower:
                states = by_block(states, layer.model_.encode, layer.n_components_)
        # The chain of a single RBM itself ends at the visible units.
        means_of_top = means and not lower
        states = top.sample(
            n_samples,
            n_steps=n_steps,
            start=states,
            means=means_of_top,
            random_state=int(rng.integers(np.iinfo(np.int32).max)),
        )
        for layer in reversed(lower):
            if means and layer is lower[0]:
                states = visible_means(layer.model_, states)
            else:
                states = visible_draws(layer.model_, states, rng)
        return as_given(states, start)

    @property
    def model_(self) -> Any:
        """The layers end to end, as in :class:`StackedAE`: Model."""
        return self.stack_.model_

    @property
    def layers_(self) -> list[tuple[str, RBM]]:
        """The fitted layers: list of (str, RBM)."""
        return self.stack_.layers_

    def _fitted_for(self, X, method):
        """Return the fitted stack, after checking the library of X for a public ``method``."""
        check_is_fitted(self)
        check_backend(backend_of_fit(self.stack_), X, f"{type(self).__name__}.{method}")
        return self.stack_

    @property
    def _n_features_out(self):
        return self.stack_.n_components_

    def __sklearn_is_fitted__(self):
        return hasattr(self, "stack_")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
