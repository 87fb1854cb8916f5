"""Learning of a stage on patches: their contrast, and the filters of each tile."""

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils.validation import validate_data

from .._arrays.namespace import in_numpy
from .._estimators.reading import named_array
from .._estimators.subestimators import (
    atoms_of,
    check_prefit,
    fitted_copy,
    is_prefit,
    ready_copy,
    unfrozen,
)
from .._kernels.patches import normalize_patches
from ._validation import check_fitted_to_patches

_ROUNDING = 4  # last digits of pixels, a deviation that may be rounding alone
_CONSTANT = 1e-6  # fraction of the mean variance below which a patch is constant


def over_contrast(patches, contrast):
    """Return patches divided by their contrast, without constant ones, from which nothing can be learned.

    Returns
    -------
    normalized : ndarray
    floor : float or None
        Value added to variances.
    kept : ndarray or slice
        Index of the patches that are returned.
    """
    if contrast is None:
        return patches, None, slice(None)
    # Relative to the first pixel, variances of constant patches are 0.
    variances, largest = (patches - patches[:, :1]).var(axis=1), np.abs(patches).max()
    if 0 < largest < np.finfo(patches.dtype).tiny ** 0.5:
        raise ValueError(
            f"X has pixels up to {largest:.0e}, too small for {patches.dtype}; divide X by the largest pixel."
        )
    if not variances.max() > (_ROUNDING * np.finfo(patches.dtype).eps * largest) ** 2:
        raise ValueError(
            "X has constant patches only: no contrast to learn from. Give other images or a larger patch_size, or set "
            "contrast=None to learn from their brightness."
        )
    # A smaller one would be 0 in float32, and constant patches are divided by it.
    floor = max(float(contrast * variances.mean()), float(np.finfo(patches.dtype).tiny))
    kept = variances > _CONSTANT * variances.mean()
    patches = patches[kept]
    patches = np.hstack([patches, np.ones((len(patches), 1), patches.dtype)])
    normalize_patches(patches, patches.dtype.type(floor))
    return np.ascontiguousarray(patches[:, :-1]), floor, kept


def learned_dictionaries(stage, patches, tile_of_patch, tiling, rng):
    """Return the dictionary (None if nothing was fitted) and the filters of each tile.

    Parameters
    ----------
    stage : ConvolutionalFeatures
        Stage whose parameters say what to learn.
    patches : ndarray of shape (n_patches, n_patch_features)
        Whitened patches.
    tile_of_patch : ndarray of shape (n_patches,)
        Index of the tile that each patch is in.
    tiling : (int, int)
    rng : RandomState

    Raises
    ------
    ValueError
        If a tile has too few patches, or if given filters have a wrong shape.
    """
    n_tiles = tiling[0] * tiling[1]
    if not (isinstance(stage.dictionary, str) or hasattr(stage.dictionary, "fit")):
        return [(None, each) for each in _given_filters(stage.dictionary, patches, n_tiles)]
    if n_tiles == 1:
        return [_learned(stage, patches, rng)]
    learned = []
    for number in range(n_tiles):
        own, place = patches[tile_of_patch == number], divmod(number, tiling[1])
        if not len(own):
            raise ValueError(
                f"tiling={tiling} leaves tile {place} without patches that are not constant: make it smaller, or raise "
                "n_patches."
            )
        try:
            learned.append(_learned(stage, own, rng))
        except ValueError as error:
            raise ValueError(f"Tile {place}, of {len(own)} patches: {error}") from error
    return learned


def _given_filters(dictionary, patches, n_tiles):
    # A copy, since users may change their array.
    filters = named_array(
        dictionary, "dictionary", allow_nd=True, dtype=patches.dtype, copy=True, order="C"
    )
    filters = filters.reshape(len(filters), -1)
    if filters.shape[1] != patches.shape[1]:
        raise ValueError(
            f"dictionary has filters of {filters.shape[1]} numbers, but patches have {patches.shape[1]}."
        )
    if len(filters) % n_tiles:
        raise ValueError(
            f"dictionary has {len(filters)} filters, but {n_tiles} tiles by tiling: give the same number for each tile, tile by tile."
        )
    return np.split(filters, n_tiles)


def _learned(stage, patches, rng):
    if isinstance(stage.dictionary, str) and stage.n_filters > len(patches):
        raise ValueError(
            f"n_filters={stage.n_filters} is more than the {len(patches)} patches; lower it or raise n_patches."
        )
    if isinstance(stage.dictionary, str) and stage.dictionary == "patches":
        chosen = rng.permutation(len(patches))[: stage.n_filters]
        return None, patches[chosen]
    dictionary = _fitted(stage, patches, rng)
    if stage.encoder == "code":
        # A copy: the dictionary may be frozen, and users may scale what they see as filters of the stage.
        filters = getattr(dictionary, "components_", None)
        return dictionary, None if filters is None else np.array(in_numpy(filters))
    return dictionary, _given_filters(atoms_of(dictionary), patches, 1)[0]


def _fitted(stage, patches, rng):
    learner = stage.dictionary
    if isinstance(learner, str):
        batch_size = 8 * max(stage.n_filters, 256)
        learner = MiniBatchKMeans(stage.n_filters, init="random", batch_size=batch_size, n_init=1)
        if stage.contrast is None and stage.whitening is None:
            return _fitted_to_centered(ready_copy("dictionary", learner, stage, rng), patches)
    if is_prefit(stage, "dictionary"):
        dictionary = unfrozen(learner)
        check_prefit(dictionary=dictionary)
        check_fitted_to_patches("dictionary", dictionary, patches.shape[1])
        validate_data(dictionary, patches, reset=False, skip_check_array=True)
        return fitted_copy(dictionary)
    dictionary = ready_copy("dictionary", learner, stage, rng)
    dictionary.fit(patches)
    return dictionary


def _fitted_to_centered(kmeans, patches):
    """Return k-means fitted to patches that are not centered: their distances would lose digits in float32."""
    mean = patches.mean(axis=0, dtype=np.float64).astype(patches.dtype)
    kmeans.fit(patches - mean)
    kmeans.cluster_centers_ += mean
    return kmeans
