"""Deep recurrent auto-encoder: layers with input from the layer below and the one above."""

from numbers import Integral, Real
from typing import ClassVar, Literal

from .._compat import Interval, StrOptions, _fit_context
from .._estimators.fitting import unchanged_on_error
from .._estimators.needs import Need
from .._estimators.parameters import estimator
from .._estimators.subestimators import ready_layers
from .._typing import ArrayLike, Corruption, MatrixLike, Self
from ..nn.corruption import CORRUPTIONS
from ..nn.objective import Objective
from ..nn.penalties import weight_decays
from ..nn.recurrent import RecurrentNetwork
from ..training.loop import Problem
from ._base import BaseStack
from ._layers import check_stack, chosen_layers, encoder_shape


@estimator
class RecurrentAE(BaseStack):
    """Deep auto-encoder whose hidden layers get input from the layer below and the one above.

    An upward pass computes ``h_l = s(W_l h_(l-1) + b_l)``. Each of ``n_steps`` mean-field steps then updates the layers
    from the lowest to the highest: ``h_l = s((W_l h_(l-1) + W_(l+1)' h_(l+1)) / 2 + b_l)`` with halved weights, and the
    highest as in the upward pass. The output is that of ``W_1' h_1 + c``. Back-propagation through the steps minimizes
    the mean over samples of the first layer's ``loss(x, r(x~))``, summed over features, where x~ is a new corruption of
    x at each training step.

    ``transform`` returns the highest layer after the last step; ``inverse_transform`` is one downward pass from it.

    Parameters
    ----------
    layers : list of (str, estimator) or list of int, default=None
        Layers from the lowest to the highest: auto-encoders, or :class:`PSD` with ``encoder='tanh'``, whose gains go
        into its decoder. They are cloned; :func:`make_stack` names them. A list of int stands for
        :class:`ContractiveAE` of these widths. None stands for two of 500 units.
        ``loss='auto'`` is the cross-entropy on the codes of a sigmoid layer. ``set_params`` and parameter grids take
        the parameters of layers as ``name__parameter``.
    n_steps : int, default=3
        Number of mean-field steps after the upward pass.
    pretraining : {'unsupervised'} or None, default='unsupervised'
        Whether to start from the weights of the pre-trained layers; None starts from random ones.
    corruption : {'masking', 'salt_and_pepper', 'gaussian', 'swap'}, callable or None, default='masking'
        Noise added to X in the joint training, as in :class:`DenoisingAE`.
    corruption_level : float, default=0.3
        Fraction of the cells that are corrupted; for gaussian noise, its standard deviation.
    schedule : {'greedy', 'simultaneous'}, default='greedy'
        Whether to train the layers one after the other, or all at once, each on the current codes, with the minibatches
        and epochs of the first one.
    corrupted : {'code', 'input'}, default='code'
        Where the noise of a denoising layer is added: to the codes that it reconstructs, or to X, so that the layer
        sees the codes of the noisy X.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights in the joint training.
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

    Attributes
    ----------
    encoder_weights_ : list of ndarray of shape (n_upper, n_lower)
        Weights between neighboring layers, used in both directions.
    layers_ : list of (str, estimator)
        Layers after pre-training.
    named_layers_ : Bunch
        The same layers by name.
    n_iter_ : int
        Epochs of the joint training.
    loss_curve_ : list of float
        Objective of each epoch.
    validation_curve_ : list of float
        Objective on held-out samples after each epoch.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Savard, F. Réseaux de neurones à relaxation entraînés par critère d'autoencodeur débruitant. M.Sc. thesis,
    Université de Montréal (2011).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoder, RecurrentAE
    >>> X = load_digits().data / 16
    >>> layers = [("low", AutoEncoder(50, max_iter=5)), ("high", AutoEncoder(20, max_iter=5))]
    >>> RecurrentAE(layers, n_steps=2, max_iter=5, random_state=0).fit_transform(X).shape
    (1797, 20)
    """

    n_steps: int = 3
    pretraining: Literal["unsupervised"] | None = "unsupervised"
    corruption: Corruption | None = "masking"
    corruption_level: float = 0.3

    _parameter_constraints: ClassVar[dict] = {
        **BaseStack._parameter_constraints,
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "pretraining": [StrOptions({"unsupervised"}), None],
        "corruption": [StrOptions(set(CORRUPTIONS)), callable, None],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
    }

    _needs: ClassVar[tuple] = (Need.of_value("schedule corrupted", "pretraining", "unsupervised"),)

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Pre-train the layers, and train all of them through the mean-field steps.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is invalid (the estimator is then as before), or if the loss becomes
            infinite (the weights of the last finite epoch are then kept).
        TypeError
            If a layer has no encoder weights.
        """
        with unchanged_on_error(self):
            check_stack(self)
            data, units = self._validated_data(X, sample_weight)
            self.layers_ = ready_layers(chosen_layers(self), self)
            widths, activations = encoder_shape(self.layers_)
            if len(widths) < 2:
                raise ValueError(f"RecurrentAE needs two layers or more; got {len(widths)}.")
            sizes = (units.scaling.n_inputs, *widths)
            shape = {"sizes": sizes, "activation": activations, "n_steps": self.n_steps}
            self._units, self._shape = units, shape
            self._learn(data, units)
        return self

    def _learn(self, data, units):
        network = self._network
        state = self._initial_state(network, data.X.dtype)
        corruption = units.make_corruption(self.corruption, self.corruption_level)
        penalties = weight_decays(self.weight_decay)
        objective = Objective(network, units.loss, corruption=corruption, penalties=penalties)
        problem = Problem(objective, units.scaling.rows(data.X), data.sample_weight)
        if not self.pretraining:
            self._train(problem, state)
            return
        callbacks = self._pretrain(state, data, 1)
        self._train(problem, state)
        callbacks.close()

    @property
    def _network(self):
        return RecurrentNetwork(**self._shape)
