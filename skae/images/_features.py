"""One stage of convolutional features, learned without labels."""

from dataclasses import field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import some_rows
from .._compat import HasMethods, Interval, StrOptions, _fit_context
from .._estimators.fit_warnings import are_equal
from .._estimators.fitting import unchanged_on_error
from .._estimators.needs import Need
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import check_set, estimator, validate_params
from .._estimators.subestimators import is_prefit, plain_codes
from .._threads import share_items, team
from .._typing import (
    ArrayLike,
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    FloatArray,
    ImageShape,
    RandomState,
    Self,
    TransformerMixin,
)
from ._dictionaries import learned_dictionaries, over_contrast
from ._encoders import tile_encoders, whitening_matrix
from ._maps import KINDS, Contrast, FeatureMaps, make_pooling
from ._tiles import PatchGrid, check_windows, checked_tiling, tile_numbers
from ._validation import (
    as_floats,
    checked_patch_size,
    drawn_patches,
    dtype_of,
    pair,
    validated_images,
    warn_of_zero_codes,
)
from ._whitening import ZCA

_N_CHECKED_PATCHES = 1000  # patches whose codes the check after a fit looks at


@estimator
class ConvolutionalFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Pooled features of images: filters that are learned on patches encode the patch at every position.

    ``fit`` draws patches, subtracts the mean of each and divides by its deviation, whitens them, and learns filters on
    them. ``transform`` prepares the patch at every position in the same way, encodes and rectifies it, optionally
    normalizes the contrast of the codes, and pools them (Coates, Lee & Ng 2011; Jarrett et al. 2009). X contains
    images, of shape ``(n_samples, height, width)`` or ``(n_samples, height, width, channels)``, or rows of
    ``image_shape``. 8-bit pixels are divided by 255.

    Parameters
    ----------
    n_filters : int, default=256
        Number of filters of each tile with ``'kmeans'`` and ``'patches'``; other dictionaries define their own.
    dictionary : {'kmeans', 'patches'}, estimator or array-like, default='kmeans'
        Model that learns filters on whitened patches: minibatch k-means, the patches themselves, or any transformer or
        clusterer of rows, for instance ``SparseCoder``, ``PSD``, ``ContractiveAE``, ``RBM``, ``PCA`` or ``KMeans``; in
        a ``FrozenEstimator`` of scikit-learn it is used as fitted. An array holds the filters themselves, as in
        ``components_`` or ``filters_``, tile by tile.
    encoder : {'triangle', 'threshold', 'linear', 'code'}, default='triangle'
        Encoder of patches. ``'triangle'`` is the mean distance of the patch to the filters minus its distance to each
        filter, where positive. ``'linear'`` is the product of the patch and each filter, scaled to norm 1.
        ``'threshold'`` is that product minus ``alpha``, where positive, followed by maps of the same for minus the
        product. ``'code'`` is ``transform`` of ``dictionary``.
    alpha : float, default=0.25
        Threshold of ``'threshold'``.
    rectification : {'absolute', 'split'}, default=None
        Rectification of ``'linear'`` and ``'code'``: absolute values, or positive parts followed by negative parts.
        Other codes have no negative values.
    patch_size : int or (int, int), default=6
        Height and width of a patch.
    tiling : int or (int, int), default=1
        Number of rows and columns between positions that share their filters: with k there are ``k * k`` dictionaries,
        one for each tile, learned on the patches at its positions. Contrast and whitening are common to all tiles. Each
        pooling window pools the codes of each tile separately, so that there are ``k * k`` times as many features.
    contrast : float or None, default=0.3
        Value added to the variance of a patch before dividing by its root, as a fraction of the mean variance of
        patches. None leaves patches as they are. Coates, Lee & Ng (2011) use 0.01; larger values keep the noise of
        smooth patches, for instance that of JPEG files, from becoming as large as structure.
    whitening : float or None, default=0.1
        Value of ``epsilon`` of :class:`~skae.images.ZCA`. With None, patches are not whitened.
    local_contrast : float, default=None
        Standard deviation, in positions, of the Gaussian window in which codes are normalized. With None, they are not.
    pooling : {'mean', 'sum', 'max', 'l2'}, default='mean'
        Statistic of the codes in a window; ``'l2'`` is the root of the sum of squares.
    pool_grid : int or (int, int), default=2
        Number of windows down and across, as equal in size as possible. Not used with ``pool_size``.
    pool_size : int or (int, int), default=None
        Height and width of a window, in positions. If windows do not fit, the last ones are smaller.
    pool_stride : int or (int, int), default=None
        Number of positions between windows; ``pool_size`` by default.
    image_shape : tuple of int, default=None
        Shape of the images that are rows of X: (height, width) or (height, width, channels). By default, rows are
        square gray images or, if they cannot be, images of one pixel in height. Not needed if X contains images.
    n_patches : int, default=100_000
        Maximum number of patches to learn from, over all tiles.
    n_jobs : int, default=None
        Number of threads of ``transform``, as in joblib.
    random_state : int, RandomState instance or None, default=None
        Random seed of the patches and of ``dictionary``.

    Attributes
    ----------
    components_ : ndarray of shape (n_tiles * n_filters, n_patch_features)
        Filters of whitened patches, in the order height, width, channel, tile by tile in row order. With ``'code'``,
        None if ``dictionary`` has none.
    filters_ : ndarray of shape (n_tiles * n_filters, height, width, channels)
        Filters as images, with whitening undone, or None.
    dictionary_ : estimator, list of estimator or None
        Estimator that learned the filters, or a list of one for each tile.
    zca_ : ZCA or None
        Fitted whitening.
    floor_ : float or None
        Value that ``contrast`` adds to variances.
    image_shape_ : (int, int, int)
        Height, width and channels of an image.
    map_shape_ : (int, int, int)
        Rows, columns and maps of the features of an image, in the order of ``transform``; maps are tile by tile.
    tiling_ : (int, int)
        Number of rows and columns between positions that share their filters.
    n_features_in_ : int
        Number of values of an image.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Coates, A., Lee, H. & Ng, A. An analysis of single-layer networks in unsupervised feature learning. AISTATS 2011.

    Coates, A. & Ng, A. The importance of encoding versus training with sparse coding and vector quantization. ICML
    2011.

    Jarrett, K. et al. What is the best multi-stage architecture for object recognition? ICCV 2009.

    Le, Q. et al. Tiled convolutional neural networks. NIPS 2010.

    Gregor, K. & LeCun, Y. Emergence of complex-like cells in a temporal product network. 2010 (arXiv 1006.0448).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.images import ConvolutionalFeatures
    >>> images = load_digits().images
    >>> features = ConvolutionalFeatures(32, patch_size=4, random_state=0).fit(images)
    >>> features.transform(images[:5]).shape, features.map_shape_
    ((5, 128), (2, 2, 32))
    """

    n_filters: int = field(default=256, kw_only=False)
    dictionary: Literal["kmeans", "patches"] | Any = "kmeans"
    encoder: Literal["triangle", "threshold", "linear", "code"] = "triangle"
    alpha: float = 0.25
    rectification: Literal["absolute", "split"] | None = None
    patch_size: int | tuple[int, int] = 6
    tiling: int | tuple[int, int] = 1
    contrast: float | None = 0.3
    whitening: float | None = 0.1
    local_contrast: float | None = None
    pooling: Literal["mean", "sum", "max", "l2"] = "mean"
    pool_grid: int | tuple[int, int] = 2
    pool_size: int | tuple[int, int] | None = None
    pool_stride: int | tuple[int, int] | None = None
    image_shape: ImageShape = None
    n_patches: int = 100_000
    n_jobs: int | None = None
    random_state: RandomState = None

    if TYPE_CHECKING:
        floor_: float | None = field(init=False)
        image_shape_: tuple[int, int, int] = field(init=False)
        tiling_: tuple[int, int] = field(init=False)

    _parameter_constraints: ClassVar[dict] = {
        "n_filters": [Interval(Integral, 1, None, closed="left")],
        "dictionary": [StrOptions({"kmeans", "patches"}), HasMethods("fit"), "array-like"],
        "encoder": [StrOptions({"triangle", "threshold", "linear", "code"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "rectification": [StrOptions({"absolute", "split"}), None],
        "patch_size": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "tiling": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "contrast": [Interval(Real, 0, None, closed="neither"), None],
        "whitening": [Interval(Real, 0, None, closed="neither"), None],
        "local_contrast": [Interval(Real, 0, None, closed="neither"), None],
        "pooling": [StrOptions(set(KINDS))],
        "pool_grid": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "pool_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "pool_stride": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
        "image_shape": [tuple, list, None],
        "n_patches": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    _validate_params = validate_params
    _needs: ClassVar[tuple] = (
        Need(
            "n_filters",
            "dictionary",
            "dictionary='kmeans' or 'patches'",
            lambda self: isinstance(self.dictionary, str),
        ),
        Need.of_value("alpha", "encoder", "threshold"),
        Need.of_value("pool_grid", "pool_size", None),
    )

    fit_transform = fit_transform

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn filters on patches of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Training data.
        y : None
            Ignored.

        Returns
        -------
        self : ConvolutionalFeatures
            The fitted estimator.
        """
        self._check_combinations()
        with unchanged_on_error(self):
            # 1. The images, and where patches, tiles and windows are in them.
            images, self._pixels = validated_images(self, X, self.image_shape)
            self.image_shape_ = images.shape[1:]
            size = checked_patch_size(self.patch_size, self.image_shape_)
            n_positions = tuple(n - k + 1 for n, k in zip(self.image_shape_, size))
            self.tiling_ = tiling = checked_tiling(self.tiling, n_positions)
            windows = {"size": self.pool_size, "stride": self.pool_stride, "grid": self.pool_grid}
            pooling = make_pooling(self.pooling, n_positions, **windows)
            check_windows(tiling, pooling.rows, pooling.columns)
            # 2. Patches, and the filters that are learned on them.
            rng, dtype = check_random_state(self.random_state), dtype_of(images)
            patches, positions = drawn_patches(images, size, self.n_patches, dtype, rng)
            whitened, kept = self._whitened(patches)
            tile_of_patch = tile_numbers(n_positions, tiling)[positions[kept]]
            learned = learned_dictionaries(self, whitened, tile_of_patch, tiling, rng)
            self._set_learned(learned)
            # 3. The maps that these make of images.
            center = self._center(patches)
            whitening = whitening_matrix(self.zca_, center, patches.shape[1])
            self._maps = FeatureMaps(
                PatchGrid(size, n_positions, tiling),
                Contrast(self.floor_, center),
                tile_encoders(self, learned, whitening, dtype),
                self.local_contrast,
                pooling,
            )
            self._warn_of_zeros(patches[kept])
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the pooled codes of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Images.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            Features in the order of ``map_shape_``, in float64 if ``fit`` had float64 or whole numbers beyond 2^24,
            else in float32.
        """
        check_is_fitted(self)
        check_set(self, "n_jobs")
        images, _ = validated_images(self, X, self.image_shape_, self._pixels)
        dtype = self._maps.dtype
        features = np.empty((len(images), *self.map_shape_), dtype)

        def fill(rows):
            self._maps.fill(as_floats(images[rows], dtype), features[rows])

        with team(effective_n_jobs(self.n_jobs)):
            share_items(fill, list(gen_batches(len(images), self._maps.n_images)))
        return features.reshape(len(features), -1)

    @property
    def map_shape_(self) -> tuple[int, int, int]:
        """Rows, columns and maps of the features, in the order of ``transform``: (int, int, int)."""
        check_is_fitted(self)
        return self._maps.shape

    @property
    def filters_(self) -> FloatArray | None:
        """Ndarray of shape (n_tiles * n_filters, height, width, channels): filters as images, with whitening undone."""
        check_is_fitted(self)
        if self.components_ is None:
            return None
        filters = self.components_ if self.zca_ is None else self.components_ @ self.zca_.coloring_
        return filters.reshape(-1, *self._maps.grid.patch_size, self.image_shape_[2])

    @property
    def _n_features_out(self):
        return int(np.prod(self.map_shape_))

    def _check_combinations(self):
        if self.encoder == "code" and not hasattr(self.dictionary, "transform"):
            raise ValueError(
                f"encoder='code' needs a dictionary with transform; got dictionary={self.dictionary!r}."
            )
        if self.rectification is not None and self.encoder in ("triangle", "threshold"):
            raise ValueError(
                f"rectification={self.rectification!r} is for 'linear' and 'code'; encoder={self.encoder!r} has no "
                "negative codes. Leave rectification at None."
            )
        if self.pool_stride is not None and self.pool_size is None:
            raise ValueError("pool_stride needs pool_size; pool_grid has windows side by side.")
        if is_prefit(self, "dictionary") and pair(self.tiling, "tiling") != (1, 1):
            raise ValueError(
                f"tiling={self.tiling} learns a dictionary for each tile, but that in dictionary is fitted already. Give an "
                "estimator that is not in a FrozenEstimator, or the filters of all tiles, tile by tile, as an array."
            )

    def _whitened(self, patches):
        """Return the normalized patches that filters are learned on, and which of the patches they are."""
        patches, self.floor_, kept = over_contrast(patches, self.contrast)
        self.zca_ = None
        if self.whitening is not None:
            if len(patches) < 2:
                raise ValueError(
                    "whitening needs at least two patches that are not constant; got one: raise n_patches, or set "
                    "whitening=None."
                )
            self.zca_ = ZCA(epsilon=self.whitening).fit(patches)
            patches = plain_codes(self.zca_, patches)
        return patches, kept

    def _warn_of_zeros(self, patches):
        """Warn if codes of training patches are all 0."""
        cures = {
            "threshold": f"lower alpha={self.alpha:g}",
            "triangle": "give at least two filters, which differ",
        }
        cure = cures.get(self.encoder, "give another dictionary")
        some = some_rows(patches, _N_CHECKED_PATCHES)
        if are_equal(some):
            cure = "all patches are the same: give images that differ"
        warn_of_zero_codes(self._maps.codes(some), type(self).__name__, cure)

    def _set_learned(self, learned):
        """Set the attributes for dictionaries and filters, tile by tile."""
        if len(learned) == 1:
            self.dictionary_, self.components_ = learned[0]
            return
        dictionaries, filters = zip(*learned)
        self.dictionary_ = None if dictionaries[0] is None else list(dictionaries)
        self.components_ = None if filters[0] is None else np.concatenate(filters)

    def _center(self, patches):
        """Return the mean patch if contrasts stay as they are: products with large pixels would lose their last digits."""
        if self.contrast is not None or (self.whitening is None and self.encoder == "code"):
            return None
        return patches.mean(axis=0, dtype=np.float64).astype(patches.dtype)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags
