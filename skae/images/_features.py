"""One stage of convolutional features, learned without labels."""

from dataclasses import field
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, Interval, StrOptions, _fit_context
from .._estimators.fitting import unchanged_on_error
from .._estimators.frozen import is_prefit
from .._estimators.parameters import check_set, estimator
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
from ._encoders import Coder, Linear, Threshold, Triangle
from ._maps import KINDS, FeatureMaps, pooling_windows
from ._pictures import (
    as_floats,
    checked_patch_size,
    drawn_patches,
    dtype_of,
    pair,
    validated_pictures,
)
from ._tiles import check_windows, checked_tiling, tile_numbers
from ._whitening import ZCA


@estimator
class ConvolutionalFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Features of pictures: codes of the patch at every position, by filters learned on patches, and pooled.

    ``fit`` draws patches, subtracts from each its mean and divides by its deviation, whitens them, and learns filters
    on them. ``transform`` does the same at every position: it encodes, rectifies, normalizes contrast among the codes
    (if asked to), and pools (Coates, Lee & Ng 2011; Jarrett et al. 2009). X has pictures, of shape
    ``(n_samples, height, width)`` or ``(n_samples, height, width, channels)``, or rows of ``image_shape``. 8-bit pixels
    are divided by 255.

    Parameters
    ----------
    n_filters : int, default=256
        Number of filters of ``'kmeans'`` and of ``'patches'``, in each tile; others have their own.
    dictionary : {'kmeans', 'patches'}, estimator or array-like, default='kmeans'
        What learns filters on whitened patches: k-means on minibatches, patches as they are, or any transformer or
        clusterer of rows, for instance ``SparseCoder``, ``PSD``, ``ContractiveAE``, ``RBM``, ``PCA`` or ``KMeans``; one
        in a ``FrozenEstimator`` of scikit-learn is taken as it was fitted. Or filters themselves, as in ``components_``
        or in ``filters_``, tile by tile.
    encoder : {'triangle', 'threshold', 'linear', 'code'}, default='triangle'
        ``'triangle'``: by how much a filter is nearer to the patch than filters are on average. The others are given by
        filters of norm 1: ``'linear'``, their products with the patch, and ``'threshold'``, the products less ``alpha``
        where positive, and then, as further maps, the same of minus the products. ``'code'`` is ``transform`` of
        ``dictionary``.
    alpha : float, default=0.25
        Threshold of ``'threshold'``.
    rectification : {'absolute', 'split'}, default=None
        Absolute values of ``'linear'`` and ``'code'``, or their positive and then their negative parts. The other codes
        have no negative values.
    patch_size : int or (int, int), default=6
        Height and width of a patch.
    tiling : int or (int, int), default=1
        Rows and columns between positions that share their filters: with k there are ``k * k`` dictionaries, one for
        each tile, learned on the patches at its positions. Contrast and whitening are common to all. In each window of
        pooling codes of a tile are pooled by themselves, so that there are ``k * k`` times as many features.
    contrast : float or None, default=0.3
        Added to the variance of a patch before its root is the divisor, as a share of the mean variance of patches.
        None leaves patches as they are. Coates, Lee & Ng (2011) have 0.01; more of it keeps the noise of smooth
        patches, for instance that of JPEG files, from being as large as structure.
    whitening : float or None, default=0.1
        ``epsilon`` of :class:`~skae.images.ZCA`. None does not whiten.
    local_contrast : float, default=None
        Deviation in positions of the Gaussian window in which codes are normalized; None leaves them.
    pooling : {'mean', 'sum', 'max', 'l2'}, default='mean'
        What is kept of the codes of a window; ``'l2'`` is the root of the sum of squares.
    pool_grid : int or (int, int), default=2
        Windows down and across, of equal size as far as possible; not used with ``pool_size``.
    pool_size : int or (int, int), default=None
        Positions of a window. Where windows do not fit the last one is smaller.
    pool_stride : int or (int, int), default=None
        Positions from window to window; by default those of ``pool_size``.
    image_shape : tuple of int, default=None
        (height, width) or (height, width, channels) of the rows of X; by default those are square and gray, or else
        lines of one pixel's height. Not needed where X has pictures.
    n_patches : int, default=100_000
        Maximum number of patches to learn from, of all tiles together.
    n_jobs : int, default=None
        Threads of ``transform``, as in joblib.
    random_state : int, RandomState instance or None, default=None
        Seed of the patches and of ``dictionary``.

    Attributes
    ----------
    components_ : ndarray of shape (n_tiles * n_filters, n_patch_features)
        Filters of whitened patches, in the order height, width, channel; the tiles row by row. With ``'code'``, None if
        ``dictionary`` has none.
    filters_ : ndarray of shape (n_tiles * n_filters, height, width, channels)
        The same as pictures, with whitening undone, or None.
    dictionary_ : estimator, list of estimator or None
        What learned them; of several tiles a list.
    zca_ : ZCA or None
        The whitening.
    floor_ : float or None
        What ``contrast`` adds to variances.
    image_shape_ : (int, int, int)
        Of a picture.
    map_shape_ : (int, int, int)
        Rows, columns and maps, tile by tile, of the features of a picture, in the order of ``transform``.
    tiling_ : (int, int)
        Rows and columns between positions that share their filters.
    n_features_in_ : int
        Numbers of a picture.

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

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn filters on patches of pictures.

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
            pictures = validated_pictures(self, X, self.image_shape, reset=True)
            size = checked_patch_size(self.patch_size, pictures)
            n_positions = tuple(n - k + 1 for n, k in zip(pictures.shape[1:], size))
            tiling = checked_tiling(self.tiling, n_positions)
            grid = {"size": self.pool_size, "stride": self.pool_stride, "grid": self.pool_grid}
            rows, columns = pooling_windows(n_positions, **grid)
            check_windows(tiling, rows, columns)
            rng = check_random_state(self.random_state)
            dtype = dtype_of(pictures)
            patches, positions = drawn_patches(pictures, size, self.n_patches, dtype, rng)
            self.image_shape_, self.tiling_ = pictures.shape[1:], tiling
            whitened, kept = self._whitened(patches)
            numbers = tile_numbers(n_positions, tiling)[positions[kept]]
            learned = learned_dictionaries(self, whitened, numbers, tiling, rng)
            self._keep(learned)
            self._maps = FeatureMaps(
                patch_size=size,
                floor=self.floor_,
                encoders=self._encoders(learned, patches.shape[1], dtype),
                tiling=tiling,
                sigma=self.local_contrast,
                n_positions=n_positions,
                rows=rows,
                columns=columns,
                pooling=self.pooling,
            )
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the pooled codes of pictures.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Pictures.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            In the order of ``map_shape_``; float64 where ``fit`` had float64, else float32.
        """
        check_is_fitted(self)
        check_set(self, "n_jobs")
        pictures = validated_pictures(self, X, self.image_shape_, reset=False)
        dtype = self._maps.dtype
        features = np.empty((len(pictures), *self.map_shape_), dtype)

        def fill(rows):
            self._maps.fill(as_floats(pictures[rows], dtype), features[rows])

        with team(effective_n_jobs(self.n_jobs)):
            share_items(fill, list(gen_batches(len(pictures), self._maps.n_pictures)))
        return features.reshape(len(features), -1)

    @property
    def map_shape_(self) -> tuple[int, int, int]:
        """Rows, columns and maps, tile by tile, of the features, in the order of ``transform``: (int, int, int)."""
        check_is_fitted(self)
        return self._maps.shape

    @property
    def filters_(self) -> FloatArray | None:
        """Ndarray of shape (n_tiles * n_filters, height, width, channels): filters as pictures, with whitening undone."""
        check_is_fitted(self)
        if self.components_ is None:
            return None
        filters = self.components_ if self.zca_ is None else self.components_ @ self.zca_.coloring_
        return filters.reshape(-1, *self._maps.patch_size, self.image_shape_[2])

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
        """Return patches as filters are learned on them, and which of them these are."""
        patches, self.floor_, kept = over_contrast(patches, self.contrast)
        self.zca_ = None
        if self.whitening is not None:
            self.zca_ = ZCA(epsilon=self.whitening).fit(patches)
            patches = np.asarray(self.zca_.transform(patches))
        return patches, kept

    def _keep(self, learned):
        """Keep dictionaries and filters, those of tiles tile by tile."""
        dictionaries, filters = zip(*learned)
        self.dictionary_, self.components_ = learned[0]
        if len(learned) > 1:
            self.dictionary_ = None if dictionaries[0] is None else list(dictionaries)
            self.components_ = None if filters[0] is None else np.concatenate(filters)

    def _encoders(self, learned, n_values, dtype):
        """Return the encoder of each tile; raise where they do not have equal numbers of maps."""
        whitening = self._whitening(n_values).astype(dtype)
        encoders = [self._encoder(whitening, *each) for each in learned]
        numbers = sorted({each.n_maps for each in encoders})
        if len(numbers) > 1:
            raise ValueError(
                f"dictionary={self.dictionary!r} makes {numbers[0]} maps in a tile and {numbers[-1]} in another, but all need "
                "as many: set their number in dictionary, or tiling=1."
            )
        return encoders

    def _encoder(self, whitening, dictionary, filters):
        if self.encoder == "code":
            return Coder(whitening, dictionary, self.rectification)
        atoms = np.asarray(filters, dtype=whitening.dtype)
        if self.encoder == "triangle":
            return Triangle(whitening, atoms)
        norms = np.linalg.norm(atoms, axis=1, keepdims=True)
        atoms = atoms / np.where(norms > 0, norms, 1)
        if self.encoder == "threshold":
            return Threshold(whitening, atoms, self.alpha)
        if self.rectification == "split":
            return Threshold(whitening, atoms, 0)
        return Linear(whitening, atoms, self.rectification)

    def _whitening(self, n_values):
        """Return the matrix from a normalized patch, with a 1 behind it, to the whitened one."""
        if self.zca_ is None:
            return np.eye(n_values + 1, n_values)
        whitening, mean = self.zca_.whitening_, self.zca_.mean_
        return np.vstack([whitening, -mean @ whitening])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags
