"""Stacked auto-encoders: a deep representation, learned layer by layer."""

from dataclasses import fields
from typing import ClassVar, Literal

from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import in_numpy
from .._compat import StrOptions, _fit_context
from .._estimators.callbacks import callbacks_passed_on
from .._estimators.devices import DEVICE_CONSTRAINTS, fitting_parts
from .._estimators.fit_warnings import warn_of_few_directions
from .._estimators.fitting import gathered_with_y, is_fitted, take_columns, unchanged_on_error
from .._estimators.needs import Need
from .._estimators.parameters import check_params, estimator, warn_of_unused
from .._estimators.reading import is_continuous
from .._estimators.subestimators import ready_layers, without_output
from .._typing import AnyArray, ArrayLike, FloatArray, MatrixLike, Self, available_if
from ..nn.objective import Objective
from ..nn.penalties import weight_decays
from ..training.loop import Problem
from ._base import BaseStack
from ._classifier import StackedAEClassifier
from ._layers import check_stack, chosen_layers, downward, encoder_shape
from ._regressor import StackedAERegressor


def _predictor_has(method):
    """Return a check for ``available_if``: whether the stack predicts, by a predictor that has ``method``."""

    def check(self):
        if not self._predicts:
            raise AttributeError(f"{method} needs fine_tune='supervised' and a fit with y.")
        return not hasattr(self, "predictor_") or hasattr(self.predictor_, method)

    return check


@estimator
class StackedAE(BaseStack):
    """Auto-encoders one above the other: a deep representation, learned layer by layer.

    Each layer minimizes its own objective on the codes of the layer below (Bengio et al. 2006). The training parameters
    below apply to ``fine_tune``. All encoders and decoders, joined end to end, then minimize the mean over samples of
    the first layer's ``loss(x, r(x))``, summed over features (Hinton & Salakhutdinov 2006), or the encoders and an
    output layer predict y.

    Without fine-tuning, ``transform`` and ``inverse_transform`` compose those of the layers (decoded relu codes are
    clipped at 0). The fine-tuned decoder has its own weights and mirrors the encoder's activations.

    Parameters
    ----------
    layers : list of (str, estimator) or list of int, default=None
        Layers from the lowest to the highest: auto-encoders, or :class:`PSD` with ``encoder='tanh'``, whose gains go
        into its decoder. They are cloned; :func:`make_stack` names them. A list of int stands for
        :class:`ContractiveAE` of these widths. None stands for two of 500 units, or for fewer with
        ``fine_tune='supervised'``, as :class:`StackedAEClassifier` has them. ``loss='auto'`` is the cross-entropy on
        the codes of a sigmoid layer. ``set_params`` and parameter grids take the parameters of layers as
        ``name__parameter``.
    fine_tune : {'reconstruction', 'supervised'}, default=None
        Goal of training all layers together after pre-training. With ``'supervised'``, ``fit`` needs y, and the stack
        predicts and has no decoder. It is a :class:`StackedAEClassifier` if y holds strings, booleans or whole numbers,
        else a :class:`StackedAERegressor`, with the defaults of these; use the latter directly for targets that are
        counts. scikit-learn sees a classifier before ``fit``, and the type of ``predictor_`` afterwards.
    schedule : {'greedy', 'simultaneous'}, default='greedy'
        Whether to train the layers one after the other, or all at once, each on the current codes, with the minibatches
        and epochs of the first one.
    corrupted : {'code', 'input'}, default='code'
        Where the noise of a denoising layer is added: to the codes that it reconstructs, or to X, so that the layer
        sees the codes of the noisy X.
    corruption : {'auto', 'masking', 'salt_and_pepper', 'gaussian', 'swap'}, callable or None, default='auto'
        Noise added to X in fine-tuning. With ``fine_tune='reconstruction'`` the clean X is reconstructed from the noisy
        one, as in :class:`DenoisingAE`, and ``'auto'`` means no noise. For ``'supervised'`` see
        :class:`StackedAEClassifier`. Codes are those of the clean X.
    corruption_level : float, default=0.3
        Fraction of the cells that are corrupted; for gaussian noise, its standard deviation.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights in fine-tuning.
    solver : {'adam', 'sgd', 'lbfgs'} or solver, default='adam'
        ``'lbfgs'`` takes all samples at once. An instance from :mod:`skae.training` has options.
    learning_rate_init : float, default=3e-3
        Step size of adam and sgd.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs. Training that is resumed then needs the same
        ``max_iter``. Not used by L-BFGS.
    batch_size : int, default=64
        Samples in a minibatch.
    max_iter : int or 'auto', default='auto'
        Maximum number of epochs, or of iterations of L-BFGS. ``'auto'`` means two minibatches per sample, but between
        1000 and 2000 minibatches, and between 12 and 1000 epochs (for L-BFGS, 200 iterations).
    tol : float, default=1e-4
        Training stops when, for ``n_iter_no_change`` epochs in a row, the training loss (with
        ``learning_rate='constant'``) or the error on held-out samples (with ``early_stopping``) improves by less than
        this fraction. For L-BFGS, its tolerance.
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
    random_state : int, RandomState instance or None, default=None
        Random seed of initial weights, shuffling and noise, and of layers that have none of their own.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped; also
        of layers whose own ``verbose`` is 0.
    checkpoint : path-like, default=None
        File to which the state of the joint training is written after each epoch, atomically. Auto-encoders
        among the layers write beside it, with their names added.
    resume : bool, default=False
        Whether ``fit`` continues from these files if they exist, at the layer and epoch of the interruption, with
        bitwise the same result as without it (L-BFGS forgets its past gradients).
    device : str, default=None
        Where to compute if X is a numpy array: None or ``'cpu'``, or a GPU by PyTorch, ``'cuda'`` or ``'cuda:1'``;
        results are numpy arrays. With scikit-learn's ``array_api_dispatch``, arrays of other libraries stay on the
        device where they are.
    precision : {'float32', 'bfloat16'}, default='float32'
        ``'bfloat16'`` rounds the factors of matrix products; weights and sums stay in float32. It needs X in float32,
        and a GPU or a processor with AVX512-BF16.

    Attributes
    ----------
    layers_ : list of (str, estimator)
        Layers after pre-training.
    named_layers_ : Bunch
        The same layers by name.
    encoder_weights_, decoder_weights_ : list of ndarray of shape (n_upper, n_lower)
        Weights of the whole network.
    predictor_ : StackedAEClassifier or StackedAERegressor
        Fitted predictor, with ``fine_tune='supervised'``.
    classes_ : ndarray of shape (n_classes,), or list of them
        Classes of y, with ``fine_tune='supervised'``.
    n_iter_ : int
        Epochs of fine-tuning; without it, of the layer that took most.
    loss_curve_, validation_curve_ : list of float
        Objective of each epoch of fine-tuning, on training and on held-out samples.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Bengio, Y. et al. Greedy layer-wise training of deep networks. NIPS 2006.

    Hinton, G. & Salakhutdinov, R. Reducing the dimensionality of data with neural networks. Science 313
    (2006).

    Vincent, P. et al. Stacked denoising autoencoders. JMLR 11 (2010).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoder, DenoisingAE, StackedAE
    >>> X = load_digits().data / 16
    >>> layers = [("low", DenoisingAE(50, max_iter=5)), ("high", AutoEncoder(10, max_iter=5))]
    >>> StackedAE(layers, fine_tune="reconstruction", max_iter=5, random_state=0).fit_transform(X).shape
    (1797, 10)
    """

    fine_tune: Literal["reconstruction", "supervised"] | None = None
    device: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"

    _parameter_constraints: ClassVar[dict] = {
        **BaseStack._parameter_constraints,
        **DEVICE_CONSTRAINTS,
        "fine_tune": [StrOptions({"reconstruction", "supervised"}), None],
    }

    _takes_arrays = True
    _needs: ClassVar[tuple] = (
        Need(
            "corruption corruption_level weight_decay solver learning_rate_init learning_rate batch_size max_iter tol "
            "shuffle early_stopping validation_fraction n_iter_no_change",
            "fine_tune",
            "fine_tune; layers have training parameters of their own",
            lambda self: self.fine_tune is not None,
        ),
    )

    def _validate_params(self):
        check_params(self)
        if self.fine_tune != "supervised":  # a predictor with the same parameters warns itself
            warn_of_unused(self)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Learn the layers from X, and fine-tune them together if ``fine_tune`` is set.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets of supervised fine-tuning; rows with -1 are unlabeled. Otherwise ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is invalid (the estimator is then as before), or if the loss of fine-tuning
            becomes infinite (the weights of the last finite epoch are then kept).
        TypeError
            If a layer has no encoder weights.
        """
        with unchanged_on_error(self), fitting_parts(self, X) as self._backend:
            X, y, sample_weight = map(in_numpy, (X, y, sample_weight))
            check_stack(self)
            if self.fine_tune == "supervised":
                self._fit_predictor(X, y, sample_weight)
            else:
                self._fit_autoencoder(X, sample_weight)
        return self

    def _fit_autoencoder(self, X, sample_weight):
        vars(self).pop("predictor_", None)
        data, units = self._validated_data(X, sample_weight)
        corruption = None
        if self.corruption != "auto":
            corruption = units.make_corruption(self.corruption, self.corruption_level)
        self.layers_ = ready_layers(chosen_layers(self), self)
        widths, activations = encoder_shape(self.layers_)
        shape = {
            "sizes": (units.scaling.n_inputs, *widths),
            "activation": activations,
            "decoder": "untied",
            "downward": None if self.fine_tune else downward(self.layers_),
        }
        self._units, self._shape = units, shape
        inputs = units.scaling.rows(data.X)
        if self._as_part.name is None:  # else the whole warns
            warn_of_few_directions(inputs, units, type(self).__name__)
        network = self._network
        state = self._initial_state(network, data.X.dtype)
        penalties = weight_decays(self.weight_decay)
        objective = Objective(network, units.loss, corruption=corruption, penalties=penalties)
        callbacks = self._pretrain(state, data, bool(self.fine_tune))
        if self.fine_tune:
            loss = units.constant_loss
            problem = Problem(objective, inputs, data.sample_weight, constant_loss=loss)
            self._train(problem, state)
        callbacks.close()

    def _remember_parameters(self):
        """Store the parameters of training, with the corruption that the layers together have seen."""
        super()._remember_parameters()
        if self.fine_tune is None or self.corruption == "auto":
            self._trained_with["corruption"] = None

    def _fit_predictor(self, X, y, sample_weight):
        X, y = gathered_with_y(self, X, y, needed_by="fine_tune='supervised'")
        Predictor = StackedAERegressor if is_continuous(y) else StackedAEClassifier
        shared = {field.name: getattr(self, field.name) for field in fields(BaseStack)}
        predictor = Predictor(**shared, device=self.device, precision=self.precision)
        try:
            with callbacks_passed_on(self, predictor):
                predictor.fit(X, y, sample_weight)
        finally:
            if is_fitted(predictor):
                self._adopt(predictor)

    def _adopt(self, predictor):
        """Use the encoder of ``predictor``, its network without the last layer, as that of the stack."""
        self.predictor_, self.layers_ = predictor, predictor.layers_
        fitted = predictor.model_
        take_columns(self, predictor)
        shape, params = without_output(fitted.network, fitted.flat)
        self._units, self._shape = fitted.units, shape
        self._state = {
            "params": params,
            "loss_curve": predictor.loss_curve_,
            "validation_curve": predictor.validation_curve_,
            "converged": predictor.converged_,
        }

    @available_if(_predictor_has("predict"))
    def predict(self, X: MatrixLike) -> AnyArray:
        """Return the prediction of the network that was fine-tuned with y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions.
        """
        check_is_fitted(self)
        return self.predictor_.predict(X)

    @available_if(_predictor_has("predict_proba"))
    def predict_proba(self, X: MatrixLike) -> FloatArray:
        """Return the probability of each class, if y has classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.predictor_.predict_proba(X)

    @available_if(_predictor_has("predict_log_proba"))
    def predict_log_proba(self, X: MatrixLike) -> FloatArray:
        """Return the logarithm of ``predict_proba(X)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        L : ndarray of shape (n_samples, n_classes)
            Logarithms of probabilities.
        """
        check_is_fitted(self)
        return self.predictor_.predict_log_proba(X)

    def score(
        self, X: MatrixLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return minus the mean reconstruction loss; after supervised fine-tuning, accuracy or R^2.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, for a stack that predicts.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean.

        Returns
        -------
        score : float
            The mean over the samples.
        """
        check_is_fitted(self)
        if self._predicts:
            return self.predictor_.score(X, y, sample_weight)
        return super().score(X, y, sample_weight)

    @property
    def classes_(self) -> AnyArray | list[AnyArray]:
        """The classes of y, if the stack predicts classes: ndarray of shape (n_classes,) or list of them."""
        if not hasattr(self, "predictor_"):
            raise AttributeError("classes_ needs fine_tune='supervised' and a fit with y.")
        return self.predictor_.classes_

    @property
    def _predicts(self):
        """Whether the fitted stack predicts instead of decoding, or would once it is fitted: bool."""
        if hasattr(self, "_state"):
            return hasattr(self, "predictor_")
        return self.fine_tune == "supervised"

    @property
    def _has_decoder(self):
        """Whether codes can be decoded; a stack that predicts has no decoder: bool."""
        return not self._predicts

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if self._predicts:
            # y is unknown before fit: the tags of a classifier make cross-validation stratified.
            kind = get_tags(getattr(self, "predictor_", StackedAEClassifier()))
            tags.estimator_type = kind.estimator_type
            tags.target_tags = kind.target_tags
            tags.classifier_tags, tags.regressor_tags = kind.classifier_tags, kind.regressor_tags
        return tags
