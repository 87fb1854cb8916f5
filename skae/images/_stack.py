"""Stacked stages of convolutional features."""

from contextlib import nullcontext
from dataclasses import field
from numbers import Integral
from typing import ClassVar

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted

from .._compat import _BaseComposition, _fit_context
from .._estimators import named_layers
from .._estimators.fitting import unchanged_on_error
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import check_set, estimator
from .._estimators.subestimators import plain_codes, ready_copy
from .._threads import team
from .._typing import (
    ArrayLike,
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    FloatArray,
    ImageShape,
    NamedLayers,
    RandomState,
    Self,
    TransformerMixin,
)
from ._features import ConvolutionalFeatures
from ._validation import checked_patch_size, validated_images

_BLOCK = 512  # images that pass through the stages together
_MAX_VALUES = 2**27  # maximum number of values in the maps that an upper stage learns from


@estimator
class ConvolutionalStack(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, _BaseComposition, BaseEstimator
):
    """Stack of convolutional features: each stage is learned on the pooled maps of the one below.

    The maps of a stage are the channels of the images that the next one sees. Parameters of stages are
    ``name__parameter``, as in ``Pipeline``.

    Parameters
    ----------
    layers : list of (str, ConvolutionalFeatures)
        Names and stages, from the lowest to the highest. Lower stages need small windows (``pool_size``), since the
        2 x 2 ones of the default ``pool_grid`` leave no room for patches.
    all_stages : bool, default=False
        Whether ``transform`` returns the features of all stages, the lowest first, instead of those of the last one.
    image_shape : tuple of int, default=None
        Shape of the images that are rows of X, see :class:`ConvolutionalFeatures`.
    n_jobs : int, default=None
        Number of threads for all stages, as in joblib; by default, each stage uses its own ``n_jobs``.
    random_state : int, RandomState instance or None, default=None
        Random seed of stages that have none of their own.

    Attributes
    ----------
    layers_ : list of (str, ConvolutionalFeatures)
        Fitted stages.
    named_layers_ : Bunch
        Fitted stages by name.
    image_shape_ : (int, int, int)
        Height, width and channels of an image.
    n_features_in_ : int
        Number of values of an image.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Jarrett, K. et al. What is the best multi-stage architecture for object recognition? ICCV 2009.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae.images import ConvolutionalFeatures, ConvolutionalStack
    >>> images = load_digits().images
    >>> low = ConvolutionalFeatures(16, patch_size=3, pool_size=2)
    >>> high = ConvolutionalFeatures(32, patch_size=2, pool_grid=2)
    >>> stack = ConvolutionalStack([("low", low), ("high", high)], random_state=0).fit(images)
    >>> stack.transform(images[:5]).shape
    (5, 128)
    """

    layers: NamedLayers = field(kw_only=False)
    all_stages: bool = False
    image_shape: ImageShape = None
    n_jobs: int | None = None
    random_state: RandomState = None

    _parameter_constraints: ClassVar[dict] = {
        "layers": [list, tuple],
        "all_stages": ["boolean"],
        "image_shape": [tuple, list, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    get_params, set_params = named_layers.get_params, named_layers.set_params
    named_layers_, _sk_visual_block_ = named_layers.named_layers_, named_layers.visual_block

    fit_transform = fit_transform

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Learn the stages, from the lowest to the highest.

        An upper stage learns from the maps of all images, or of a random subset if those exceed 512 MB in float32.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Training data.
        y : None
            Ignored.

        Returns
        -------
        self : ConvolutionalStack
            The fitted estimator.
        """
        self._check_layers()
        n_threads = None if self.n_jobs is None else effective_n_jobs(self.n_jobs)
        with unchanged_on_error(self, n_threads):
            images, self._pixels = validated_images(self, X, self.image_shape)
            self.image_shape_ = images.shape[1:]
            rng = check_random_state(self.random_state)
            fitted, maps = [], images
            for name, stage in self.layers:
                stage = ready_copy(name, stage, self, rng)
                if stage.image_shape is None:  # maps may look like images with channels first
                    stage.set_params(image_shape=maps.shape[1:])
                try:
                    if fitted:
                        _check_maps(stage, maps, fitted[-1][0])
                    stage.fit(maps)
                except ValueError as error:
                    raise ValueError(
                        f"Stage {name!r}, on maps of {maps.shape[1:]}: {error}"
                    ) from error
                fitted.append((name, stage))
                if len(fitted) < len(self.layers):
                    maps = self._maps_to_learn_from(images, fitted, rng)
            self.layers_ = fitted
        return self

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the features of the last stage or of all stages.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Images.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            Features, see :meth:`ConvolutionalFeatures.transform`.
        """
        check_is_fitted(self)
        check_set(self, "n_jobs")
        # The lowest stage warns.
        images, _ = validated_images(self, X, self.image_shape_, self._pixels, warns=False)
        # A team of all stages would keep each from its own threads.
        threads = nullcontext() if self.n_jobs is None else team(effective_n_jobs(self.n_jobs))
        with threads:
            blocks = [self._features(images[rows]) for rows in gen_batches(len(images), _BLOCK)]
        return np.concatenate(blocks)

    def _features(self, images):
        stages = [maps.reshape(len(maps), -1) for maps in _maps_of_stages(images, self.layers_)]
        return np.hstack(stages) if self.all_stages else stages[-1]

    def _maps_to_learn_from(self, images, layers, rng):
        n_most = max(_MAX_VALUES // int(np.prod(layers[-1][1].map_shape_)), 1)
        rows = np.arange(len(images))
        if n_most < len(rows):
            rows = np.sort(sample_without_replacement(len(rows), n_most, random_state=rng))
        blocks = (images[rows[block]] for block in gen_batches(len(rows), _BLOCK))
        return np.concatenate([list(_maps_of_stages(each, layers))[-1] for each in blocks])

    def _check_layers(self):
        for entry in self.layers:
            if not (isinstance(entry, (tuple, list)) and len(entry) == 2):
                raise ValueError(
                    f"layers must be a list of (name, stage); got the entry {entry!r}."
                )
            if not isinstance(entry[1], ConvolutionalFeatures):
                raise TypeError(
                    f"layers has {entry[0]!r}: {entry[1]!r}, which is no ConvolutionalFeatures."
                )
        if not self.layers:
            raise ValueError("layers must have at least one stage; got none.")
        named_layers.check_names(self)

    @property
    def _n_features_out(self):
        sizes = [int(np.prod(stage.map_shape_)) for _, stage in self.layers_]
        return sum(sizes) if self.all_stages else sizes[-1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags


def _check_maps(stage, maps, below):
    """Raise if patches of ``stage`` are larger than the maps of the stage ``below``."""
    cure = f"give {below!r} small windows, as pool_size=2, or make patch_size smaller"
    checked_patch_size(stage.patch_size, maps.shape[1:], f"the maps of {below!r}", cure)


def _maps_of_stages(images, layers):
    """Yield the pooled maps of each stage as images."""
    for _, stage in layers:
        maps = plain_codes(stage, images)
        images = maps.reshape(len(maps), *stage.map_shape_)
        yield images
