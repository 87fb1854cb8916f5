"""Regressor over stacked auto-encoders."""

from numbers import Real
from typing import ClassVar, Literal

from sklearn.utils.validation import check_is_fitted

from .._compat import Interval
from .._estimators.devices import shown
from .._estimators.parameters import estimator
from .._typing import ArrayLike, FloatArray, MatrixLike, RegressorMixin
from ._supervised import BaseSupervisedStack


@estimator
class StackedAERegressor(RegressorMixin, BaseSupervisedStack):
    """Regressor over stacked auto-encoders: layers pre-trained, then trained together with an output layer.

    Minimizes the mean over samples of half the squared error, summed over outputs, in multiples of each output's
    standard deviation, so that neither the scale nor the mean of y matters. The training parameters below apply to this
    joint training. Early stopping monitors its loss on held-out samples, without dropout.

    Parameters
    ----------
    layers : list of (str, estimator) or list of int, default=None
        Layers from the lowest to the highest: auto-encoders, or :class:`PSD` with ``encoder='tanh'``, whose gains go
        into its decoder. They are cloned; :func:`make_stack` names them. A list of int stands for
        :class:`ContractiveAE` of these widths. None stands for two, each with 5 units per column of X, but at least
        100 and at most 500; and for one of 100 units if X is as sparse as counts of words: outside of one-hot groups,
        32 columns or more vary, and at most 5% of their cells are above the least value of their column, or 15% if
        neighboring columns are not alike, as those of images are.
        ``loss='auto'`` is the cross-entropy on the codes of a sigmoid layer. ``set_params`` and parameter grids take
        the parameters of layers as ``name__parameter``.
    schedule : {'greedy', 'simultaneous'}, default='greedy'
        Whether to train the layers one after the other, or all at once, each on the current codes, with the minibatches
        and epochs of the first one.
    corrupted : {'code', 'input'}, default='code'
        Where the noise of a denoising layer is added: to the codes that it reconstructs, or to X, so that the layer
        sees the codes of the noisy X.
    pretraining : {'unsupervised', 'supervised', 'partial'} or None, default='unsupervised'
        How to pre-train the layers. ``'unsupervised'`` uses their own objectives. ``'supervised'`` trains each as the
        hidden layer of a network that predicts y from the codes below. ``'partial'`` does both at once (Bengio et al.
        2006), for data whose largest variation says little about y. None skips pre-training.
        With up to three columns and 100 rows or more, where y follows from X, the units of the first layer become
        steeper after it, and each is halfway between its limits at a random row, to learn functions that bend often.
    supervision_weight : float, default=1.0
        Weight of predicting y with ``pretraining='partial'``. A layer then minimizes its own objective plus
        ``supervision_weight * (R / S) * loss(y, o(h))``, where o is an output layer above its codes h, which is
        discarded afterwards. R and S are the losses of the best constants: the layer's loss if it reconstructs means,
        and half the variance of y. The second term is a mean over rows.
    reconstruction_weight : float, default=0.0
        Weight of reconstructing X in the joint training, so that layers still learn to represent X. This adds
        ``reconstruction_weight * (S / R) * loss(x, r(x))``, a mean over rows. R is the loss of the constant
        reconstruction and S half the variance of y, so that neither the width nor the scale of X matter. r passes
        through all hidden layers, without dropout, and back through a decoder that starts from pre-training. The
        decoder is tied to the encoder unless a layer has an untied one. With ``corruption``, the clean X is
        reconstructed.
    dropout : float or 'auto', default='auto'
        Fraction of the units of each layer that are dropped at each step of the joint training. ``'auto'`` is up to 0.5
        if rows are few or targets noisy, by the squared difference to the target of the nearest row, as in
        :class:`StackedAEClassifier`. Where most of y is noise, R^2 is 0.03 to 0.6 higher than with 0; elsewhere it is
        up to 0.05 lower.
    corruption : {'auto', 'masking', 'salt_and_pepper', 'gaussian', 'swap'}, callable or None, default='auto'
        Noise added to X in the joint training, drawn anew at each step; prediction uses the clean X. ``'masking'`` sets
        cells to 0 and divides the others by ``1 - corruption_level``, as dropout does; ``'salt_and_pepper'`` sets them
        to an end of their column's range; ``'swap'`` takes the same column of another row of the minibatch;
        ``'gaussian'`` adds noise to every cell. A callable has the signature ``f(X, seed, out)``. ``'auto'`` masks a
        fraction of 0.3 with 500 inputs or more (0.5 if X is as sparse as counts of words, see ``layers``),
        proportionally less with fewer inputs, and none below a fraction of 0.05, or if a few directions have 95% of the
        variance of real columns, as in spectra: the noise would hide small differences between columns.
    corruption_level : float, default=0.3
        Fraction of the cells that are corrupted; for gaussian noise, its standard deviation.
    frozen : int or 'all', default=0
        Number of the lowest hidden layers that keep their pre-trained weights. With ``'all'``, only the output layer is
        trained.
    weight_decay : float or str, default='auto'
        Weight of half the squared norm of the weights in the joint training. ``'auto'`` is 0.3 divided by the number of
        rows, or by the sum of their weights where that is larger, as in ``sklearn.linear_model.Ridge(alpha=0.3)`` with
        a standardized y. It is less where y follows from X: with e the mean squared difference of y to that of the
        nearest row, as a fraction of that to any row, it is 0 up to e = 0.1, and whole from 0.3 on. ``'3*auto'`` is
        three times that.
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
        1000 and 2000 minibatches, and between 12 and 1000 epochs (for L-BFGS, 200 iterations). Where y follows from X
        (see ``weight_decay``) there are up to three times as many, to learn functions that bend often.
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
    refit : bool, default=False
        Whether to train once more from the same start, on the held-out samples too, for the number of epochs after
        which their error was least. Needs ``early_stopping``.
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
    target_center_, target_scale_ : ndarray of shape (n_outputs,)
        Mean and standard deviation of each column of y; 1 in place of a deviation of 0.
    n_iter_ : int
        Epochs of the joint training.
    loss_curve_ : list of float
        Objective of each epoch, with y in multiples of ``target_scale_``.
    validation_curve_ : list of float
        Half the squared error on held-out samples after each epoch, on the same scale.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Bengio, Y. et al. Greedy layer-wise training of deep networks. NIPS 2006.

    Vincent, P. et al. Stacked denoising autoencoders. JMLR 11 (2010), section 6.

    Srivastava, N. et al. Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skae import AutoEncoder, StackedAERegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> layers = [("low", AutoEncoder(20, max_iter=20)), ("high", AutoEncoder(10, max_iter=20))]
    >>> options = {"learning_rate_init": 1e-2, "max_iter": 50, "random_state": 0}
    >>> StackedAERegressor(layers, **options).fit(X, y).score(X, y) > 0.4
    True
    """

    dropout: float | Literal["auto"] = "auto"
    weight_decay: float | str = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervisedStack._parameter_constraints,
        "weight_decay": [Interval(Real, 0, None, closed="left"), str],
    }

    @property
    def target_center_(self) -> FloatArray:
        """The mean of each column of y: ndarray of shape (n_outputs,)."""
        check_is_fitted(self)
        return shown(self._backend, self._kind.center)

    @property
    def target_scale_(self) -> FloatArray:
        """The standard deviation of each column of y, or 1 where that is 0: ndarray of shape (n_outputs,)."""
        check_is_fitted(self)
        return shown(self._backend, self._kind.scale)

    def score(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return R^2 of ``predict(X)``: 1 minus the squared error over that of the mean of y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True values; R^2 is the mean of those of the outputs.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            At most 1; 0 for the mean of y as prediction.
        """
        return RegressorMixin.score(self, X, y, sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags
