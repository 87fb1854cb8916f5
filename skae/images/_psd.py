"""Predictive sparse decomposition of whole images."""

from dataclasses import field
from numbers import Integral, Real
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from joblib import effective_n_jobs

from .._arrays.namespace import some_rows
from .._compat import HasMethods, Interval, StrOptions, _fit_context
from .._estimators.checks import check_unchanged
from .._estimators.code_warnings import warn_of_equal_codes
from .._estimators.fit_warnings import warn_of_new_scale
from .._estimators.fitting import unchanged_on_error
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import estimator
from .._estimators.squares import loss_of_zeros, scale_of_values, spread_of_values
from .._estimators.training import TrainedModel
from .._estimators.unit_atoms import UnitAtoms
from .._typing import (
    ArrayLike,
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ImageShape,
    Schedule,
    Self,
    StepSolverLike,
    TransformerMixin,
)
from ..training.loop import Problem
from ._convolution import Convolution, ConvolutionalObjective
from ._map_coder import MapCoder
from ._validation import as_floats, checked_patch_size, counted_images, drawn_filters, pair

_N_CHECKED_IMAGES = 4  # images whose codes the check after a fit looks at


@estimator
class ConvolutionalPSD(
    MapCoder, TrainedModel, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator
):
    """Convolutional sparse coding of whole images, with a fast encoder that predicts the codes.

    Minimizes the mean over images of ``||x - sum_k d_k * h_k||^2 / 2 + alpha ||h||_1 + beta ||h - f(x)||^2 / 2`` over
    maps of codes h, filters d of norm 1 and the encoder f, which sees the patch at each position (Kavukcuoglu et al.
    2010). Since each filter applies at all positions, the filters need not be shifted copies of each other, as they are
    in a dictionary of patches. Images should have normalized contrast (``normalize_contrast``) or be whitened. 8-bit
    pixels are divided by 255.

    Parameters
    ----------
    n_filters : int, default=16
        Number of filters at each position.
    patch_size : int or (int, int), default=7
        Height and width of a filter.
    tiling : int or (int, int), default=1
        Number of rows and columns between positions that share their filters: with k there are ``k * k * n_filters`` of
        them, tile by tile.
    alpha : float, 'auto' or str, default='auto'
        Weight of the absolute values of the codes. ``'auto'`` is the root of the mean variance of the pixels in the
        first ``fit``, so that their scale does not matter; ``'0.3*auto'`` is a multiple. A number is in the units of
        the pixels, which are divided by 255 if they are of 8 bits.
    pool_size : int, default=None
        Width, in positions, of the windows in which the codes of a filter are pooled. The sparsity penalty is then
        ``sum_P sqrt(sum_j w_Pj h_j^2)`` over a window P around each position. With ``tiling`` it makes the filters of
        neighboring positions similar, so that the tiles are topographic maps. No duality gap is then known.
    beta : float, default=1.0
        Weight of half the squared distance between codes and their predictions.
    encoder : {'tanh', 'soft_threshold'}, default='soft_threshold'
        Form of the encoder: ``g tanh(K x + b)`` of a patch x, as in the paper, or a soft threshold of ``K x``.
    transform_algorithm : {'encoder', 'inference', 'lasso'}, default='encoder'
        Codes that ``transform`` returns: f(x); the codes that minimize all three terms; or those of the filters alone,
        without the term of the encoder.
    gap_tol : float, default=1e-2
        Maximum duality gap of the codes of an image, relative to the objective of zero codes; with ``pool_size``,
        inference stops when a pass changes the codes by less than this fraction.
    max_inference_iter : int, default=200
        Maximum number of passes of coordinate descent over the codes of an image that may be nonzero.
    image_shape : tuple of int, default=None
        Shape of the images that are rows of X, see :class:`ConvolutionalFeatures`.
    solver : {'adam', 'sgd'} or solver, default='adam'
        An instance from :mod:`skae.training` has options.
    learning_rate_init : float, default=3e-3
        Step size.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs. Training that is resumed then needs the same ``max_iter``.
    batch_size : int, default=16
        Images in a minibatch.
    max_iter : int or 'auto', default=20
        Maximum number of epochs. ``'auto'`` means two minibatches per sample, but between 1000 and 2000 minibatches,
        and between 12 and 1000 epochs.
    tol : float, default=1e-4
        Training stops when, for ``n_iter_no_change`` epochs in a row, the objective (with ``learning_rate='constant'``)
        or that of held-out images (with ``early_stopping``) improves by less than this fraction.
    shuffle : bool or int, default=True
        Whether to shuffle the images in each epoch. An int shuffles within blocks of that size, to read files in order.
    early_stopping : bool, default=False
        Whether to stop when the objective of held-out images no longer improves, and keep the weights of the least one.
    validation_fraction : float, default=0.1
        Share of images to hold out for ``early_stopping``.
    n_iter_no_change : int, default=5
        Epochs without improvement after which to stop.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit, optimizer state included. Other parameters than ``n_filters``,
        ``patch_size``, ``tiling`` and ``encoder``, which have to stay, may change in between.
    n_jobs : int, default=None
        Number of threads, as in joblib.
    random_state : int, RandomState instance or None, default=None
        Random seed of the initial filters and of shuffling.
    verbose : int, default=0
        If positive, print loss, seconds and images per second every ``verbose`` epochs, and why training stopped.
    checkpoint : path-like, default=None
        File to which ``fit`` writes the state of training after each epoch, atomically.
    resume : bool, default=False
        Whether to continue from ``checkpoint`` if it exists, with bitwise the same result as without the interruption.

    Attributes
    ----------
    components_ : ndarray of shape (n_tiles * n_filters, n_patch_features)
        Filters, in the order height, width, channel, tile by tile in row order.
    filters_ : ndarray of shape (n_tiles * n_filters, height, width, channels)
        Filters as images.
    encoder_parameters_ : list of ndarray
        Gains, filters and biases of ``'tanh'``, or filters and logarithms of thresholds. Tiles are the first axis.
    alpha_ : float
        ``alpha``, or what ``'auto'`` stands for.
    image_shape_ : (int, int, int)
        Height, width and channels of an image.
    map_shape_ : (int, int, int)
        Rows, columns and filters of the codes of an image, in the order of ``transform``.
    tiling_ : (int, int)
        Number of rows and columns between positions that share their filters.
    n_iter_ : int
        Epochs so far.
    loss_curve_, validation_curve_ : list of float
        Mean objective of each epoch, on training and on held-out images.
    converged_ : bool
        Whether training stopped by itself.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Kavukcuoglu, K. et al. Learning convolutional feature hierarchies for visual recognition. NIPS 2010. Le, Q. et al.
    Tiled convolutional neural networks. NIPS 2010. Gregor, K. & LeCun, Y. Emergence of complex-like cells in a temporal
    product network. 2010 (arXiv 1006.0448).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.images import ConvolutionalPSD
    >>> images = load_digits().images[:200] / 16
    >>> psd = ConvolutionalPSD(8, patch_size=4, max_iter=2, random_state=0).fit(images)
    >>> psd.transform(images).shape, psd.map_shape_
    ((200, 200), (5, 5, 8))
    """

    n_filters: int = field(default=16, kw_only=False)
    patch_size: int | tuple[int, int] = 7
    tiling: int | tuple[int, int] = 1
    alpha: float | str = "auto"
    pool_size: int | None = None
    beta: float = 1.0
    encoder: Literal["tanh", "soft_threshold"] = "soft_threshold"
    transform_algorithm: Literal["encoder", "inference", "lasso"] = "encoder"
    gap_tol: float = 1e-2
    max_inference_iter: int = 200
    solver: StepSolverLike = "adam"
    image_shape: ImageShape = None
    learning_rate_init: float = 3e-3
    learning_rate: Schedule = "cosine"
    batch_size: int = 16
    max_iter: int | Literal["auto"] = 20
    n_iter_no_change: int = 5
    warm_start: bool = False
    n_jobs: int | None = None

    if TYPE_CHECKING:
        image_shape_: tuple[int, int, int] = field(init=False)
        tiling_: tuple[int, int] = field(init=False)

    _parameter_constraints: ClassVar[dict] = {
        **TrainedModel._parameter_constraints,
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "patch_size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "tiling": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "alpha": [Interval(Real, 0, None, closed="left"), str],
        "pool_size": [Interval(Integral, 1, None, closed="left"), None],
        "beta": [Interval(Real, 0, None, closed="neither")],
        "encoder": [StrOptions({"tanh", "soft_threshold"})],
        "transform_algorithm": [StrOptions({"encoder", "inference", "lasso"})],
        "gap_tol": [Interval(Real, 0, None, closed="left")],
        "max_inference_iter": [Interval(Integral, 1, None, closed="left")],
        "image_shape": [tuple, list, None],
        "solver": [StrOptions({"adam", "sgd"}), HasMethods(["start", "step"])],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
    }

    fit_transform = fit_transform

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the filters and the encoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Training data.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the images in the mean of the objective.

        Returns
        -------
        self : ConvolutionalPSD
            The fitted estimator.
        """
        with unchanged_on_error(self, effective_n_jobs(self.n_jobs)):
            again = self.warm_start and hasattr(self, "_state")
            self._learn(X, sample_weight, self._train, again=again)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one epoch on X, from the state that earlier calls left.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Images.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the images.

        Returns
        -------
        self : ConvolutionalPSD
            The estimator after the epoch.
        """
        with unchanged_on_error(self, effective_n_jobs(self.n_jobs)):
            again = hasattr(self, "_state")
            self._learn(X, sample_weight, self._train_epoch, again=again)
        return self

    def _learn(self, X, sample_weight, train, *, again):
        """Learn by ``train(problem, state)``, with ``again`` from the last state; warn of useless codes."""
        problem, state = self._prepared(X, sample_weight, again)
        train(problem, state)
        if not again or self.warm_start:
            rows = some_rows(problem.X, _N_CHECKED_IMAGES)
            codes, *_ = self._codes(rows.reshape(-1, *self.image_shape_))
            warn_of_equal_codes(codes, rows, type(self).__name__, self._alpha)

    def _prepared(self, X, sample_weight, again):
        """Return the ``Problem`` and the initial state: the last one, or a new one."""
        image_shape = self.image_shape_ if again and self.image_shape is None else self.image_shape
        seen, dtype = (self._pixels, self.components_.dtype) if again else (None, None)
        images, weights, self._pixels = counted_images(self, X, sample_weight, image_shape, seen)
        rows = as_floats(images, dtype).reshape(len(images), -1)
        shape = self._wanted_shape(images.shape[1:])
        if again:
            check_unchanged(self._shape, shape)
            scale = self._shape["scale"]
            # Once, since calls of partial_fit are many.
            self._warned_of_drift = self._warned_of_drift or warn_of_new_scale(
                rows, weights, scale, self._alpha
            )
        else:
            scale = scale_of_values(rows, weights)
            self._warned_of_drift, self._spread = False, spread_of_values(rows, weights)
        self._shape = {**shape, "scale": scale}
        self.image_shape_, self.tiling_ = shape["image_shape"], shape["tiling"]
        self._convolution = Convolution(self.image_shape_, shape["patch_size"], self.tiling_)
        encoder = self._make_encoder()
        objective = ConvolutionalObjective(self._convolution, encoder, self._infer, self.beta)
        problem = Problem(objective, rows, weights, constant_loss=loss_of_zeros(rows, weights))
        return problem, self._last_state() if again else self._first_state(problem)

    def _wanted_shape(self, image_shape):
        """Return a dict of the parameters that must not change when training continues."""
        return {
            "n_filters": self.n_filters,
            "patch_size": checked_patch_size(self.patch_size, image_shape),
            "encoder": self.encoder,
            "image_shape": image_shape,
            "tiling": pair(self.tiling, "tiling"),
        }

    def _first_state(self, problem):
        """Return the state with random filters, of images that are not held out, and an encoder that matches them."""
        seed, rng = self._seed()
        rows = problem.X[self._split(problem, seed)[0]] if self.early_stopping else problem.X
        images = rows.reshape(-1, *self.image_shape_)
        n_filters, size = self._convolution.n_tiles * self.n_filters, self._convolution.patch_size
        filters = drawn_filters(images, size, n_filters, np.random.RandomState(seed))
        params = self._make_encoder().initial(filters, self._alpha, self.beta)
        flat = np.concatenate([filters.ravel(), params]).astype(filters.dtype)
        return self._new_state(flat, seed, rng)

    def _make_solver(self):
        """Return the solver that the parameters name, wrapped to keep filters at norm 1."""
        n_filters = self._convolution.n_tiles * self.n_filters
        solver, n_values = super()._make_solver(), self._convolution.n_values
        return UnitAtoms(solver, n_filters, n_values, self._alpha)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags
