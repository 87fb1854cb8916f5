"""Filters that positions ``tiling`` apart share, against loops over images, positions and windows."""

import re
import tracemalloc

import numpy as np
import pytest
from common import sklearn_checks
from scipy.ndimage import gaussian_filter
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator

from skae import PSD, RBM, ContractiveAE, SparseCoder
from skae.images import (
    ConvolutionalFeatures,
    ConvolutionalPSD,
    ConvolutionalStack,
    _maps,
)

rng = np.random.default_rng(0)
COLOR = rng.random((12, 8, 9, 3))  # of 7 x 7 positions of patches of 2 x 3
HALVES = [(0, 4), (4, 7)]
TILING = (2, 3)


def whitened(features, patch):
    """Return a patch as filters see it."""
    x = patch.ravel()
    if features.floor_ is not None:
        x = (x - x.mean()) / np.sqrt(x.var() + features.floor_)
    return x if features.zca_ is None else features.zca_.transform(x[np.newaxis])[0]


def code(features, z, tile, n_tiles):
    """Return the code of one whitened patch by the filters of its tile."""
    if features.encoder == "code":
        h = np.asarray(features.dictionary_[tile].transform(z[np.newaxis]))[0]
    else:
        n_filters = len(features.components_) // n_tiles
        D = features.components_[tile * n_filters : (tile + 1) * n_filters]
        if features.encoder == "triangle":
            distances = np.array([np.linalg.norm(z - center) for center in D])
            return np.maximum(distances.mean() - distances, 0)
        h = np.array([z @ atom / np.linalg.norm(atom) for atom in D])
        if features.encoder == "threshold":
            return np.maximum(np.concatenate([h, -h]) - features.alpha, 0)
    if features.rectification == "split":
        return np.maximum(np.concatenate([h, -h]), 0)
    return np.abs(h) if features.rectification == "absolute" else h


def normalized(maps, sigma):
    """Return codes (rows, columns, codes of a position) over their contrast in a Gaussian window."""
    means = [gaussian_filter(each, sigma) for each in np.moveaxis(maps, 2, 0)]
    centered = maps - np.mean(means, axis=0)[..., np.newaxis]
    squares = [gaussian_filter(each**2, sigma) for each in np.moveaxis(centered, 2, 0)]
    deviations = np.sqrt(np.mean(squares, axis=0))
    return centered / np.maximum(deviations, deviations.mean())[..., np.newaxis]


POOL = {
    "mean": lambda h: np.mean(h, axis=0),
    "sum": lambda h: np.sum(h, axis=0),
    "max": lambda h: np.max(h, axis=0),
    "l2": lambda h: np.sqrt(np.sum(np.square(h), axis=0)),
}


def reference(features, images, rows, columns):
    """Return pooled codes: of each window those of each tile, at its positions alone."""
    (height, width), (down, across) = (
        np.broadcast_to(each, 2) for each in (features.patch_size, features.tiling)
    )
    out = []
    for image in images:
        n_rows, n_columns = image.shape[0] - height + 1, image.shape[1] - width + 1
        maps = []
        for i in range(n_rows):
            for j in range(n_columns):
                z = whitened(features, image[i : i + height, j : j + width])
                maps.append(code(features, z, i % down * across + j % across, down * across))
        maps = np.reshape(maps, (n_rows, n_columns, -1))
        if features.local_contrast is not None:
            maps = normalized(maps, features.local_contrast)
        for first, last in rows:
            for left, right in columns:
                for tile in range(down * across):
                    own = [
                        maps[i, j]
                        for i in range(first, last)
                        for j in range(left, right)
                        if (i % down, j % across) == divmod(tile, across)
                    ]
                    out.append(POOL[features.pooling](own))
    return np.reshape(out, (len(images), -1))


OPTIONS = [
    {},
    {"tiling": 3},
    {"tiling": (1, 2)},
    {"encoder": "threshold", "alpha": 0.3},
    {"encoder": "threshold", "contrast": None, "whitening": None, "dictionary": "patches"},
    {"encoder": "linear", "pooling": "l2"},
    {"encoder": "linear", "rectification": "absolute", "pooling": "max"},
    {"encoder": "linear", "rectification": "split", "pooling": "sum"},
    {"pooling": "max"},
    {"local_contrast": 1.2},
    {"local_contrast": 0.7, "encoder": "threshold", "pooling": "l2"},
    {"local_contrast": 0.7, "encoder": "linear", "pooling": "max"},
    {"dictionary": rng.standard_normal((24, 2, 3, 3)), "encoder": "linear"},
    {"dictionary": rng.standard_normal((24, 18)).tolist()},
    {"dictionary": KMeans(4, n_init=1), "encoder": "code"},
    {"dictionary": PCA(4), "encoder": "code", "rectification": "split"},
    {"dictionary": SparseCoder(4, max_iter=2), "encoder": "code", "rectification": "absolute"},
    {"dictionary": PSD(4, max_iter=2), "encoder": "threshold"},
    {"dictionary": ContractiveAE(4, max_iter=2), "encoder": "code", "local_contrast": 1.0},
    {"dictionary": RBM(4, max_iter=2, visible="gaussian"), "encoder": "code"},
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # few patches and two epochs make no good dictionary
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_features_are_those_of_a_loop(options):
    features = ConvolutionalFeatures(4, patch_size=(2, 3), random_state=0)
    features.set_params(**{"tiling": TILING, **options})
    Z = features.fit(COLOR).transform(COLOR[:4])
    expected = reference(features, COLOR[:4], HALVES, HALVES)
    np.testing.assert_allclose(Z, expected, rtol=1e-6, atol=1e-9)
    n_tiles = np.prod(np.broadcast_to(features.tiling, 2))
    both = 2 if features.encoder == "threshold" or features.rectification == "split" else 1
    assert features.map_shape_ == (2, 2, 4 * n_tiles * both)
    assert Z.shape[1] == len(features.get_feature_names_out()) == 16 * n_tiles * both


@pytest.mark.slow
@pytest.mark.parametrize("pooling", POOL)
@pytest.mark.parametrize(
    "options, rows, columns",
    [
        ({"pool_grid": 1}, [(0, 7)], [(0, 7)]),
        ({"pool_grid": (3, 2)}, [(0, 2), (2, 5), (5, 7)], HALVES),
        ({"pool_size": 3, "pool_stride": (1, 2)}, [(i, i + 3) for i in range(5)], [(0, 3), (2, 5), (4, 7)]),
        ({"pool_size": (2, 3), "pool_stride": 5}, [(0, 2), (5, 7)], [(0, 3)]),
    ],
)  # fmt: skip
def test_windows(options, rows, columns, pooling):
    features = ConvolutionalFeatures(3, patch_size=(2, 3), tiling=TILING, pooling=pooling)
    features.set_params(random_state=0, **options)
    if "pool_stride" in options and options["pool_stride"] == 5:
        with pytest.raises(ValueError, match="the smallest one has 2 x 2"):
            features.fit(COLOR)
        features.set_params(pool_stride=(5, 7))
    Z = features.fit(COLOR).transform(COLOR[:3])
    np.testing.assert_allclose(Z, reference(features, COLOR[:3], rows, columns), atol=1e-12)


def patches_of_tile(features, images, tile):
    """Return the whitened patches at the positions of a tile."""
    (height, width), (down, across) = features.patch_size, features.tiling
    return np.array(
        [
            whitened(features, image[i : i + height, j : j + width])
            for image in images
            for i in range(image.shape[0] - height + 1)
            for j in range(image.shape[1] - width + 1)
            if (i % down, j % across) == divmod(tile, across)
        ]
    )


def test_each_tile_learns_from_the_patches_at_its_positions():
    features = ConvolutionalFeatures(patch_size=(2, 3), tiling=TILING, random_state=0)
    features.set_params(dictionary=KMeans(3, n_init=1, random_state=5)).fit(COLOR)
    shared = clone(features).set_params(tiling=1).fit(COLOR)
    assert features.floor_ == shared.floor_
    np.testing.assert_array_equal(features.zca_.whitening_, shared.zca_.whitening_)
    assert features.components_.shape == (18, 18) and features.filters_.shape == (18, 2, 3, 3)
    for tile, centers in enumerate(np.split(features.components_, 6)):
        own = patches_of_tile(features, COLOR, tile)
        expected = KMeans(3, n_init=1, random_state=5).fit(own).cluster_centers_
        np.testing.assert_allclose(centers, expected, atol=1e-9)
        np.testing.assert_array_equal(features.dictionary_[tile].cluster_centers_, centers)


@pytest.mark.parametrize("contrast", [0.3, None])
def test_patches_as_filters_are_those_of_the_tile(contrast):
    images = COLOR.copy()
    images[:6] = 0.5  # whose patches are constant, and left out
    features = ConvolutionalFeatures(5, dictionary="patches", patch_size=(2, 3), tiling=TILING)
    features.set_params(n_patches=500, contrast=contrast, random_state=0).fit(images)
    assert features.dictionary_ is None
    for tile, filters in enumerate(np.split(features.components_, 6)):
        own = patches_of_tile(features, images, tile)
        distances = [np.abs(own - each).max(axis=1).min() for each in filters]
        assert max(distances) < 1e-9


def test_seeds_of_tiles_differ():
    images = np.tile(rng.random((20, 4, 4)), (1, 3, 3))  # the same at each tile
    features = ConvolutionalFeatures(4, dictionary="patches", patch_size=4, tiling=(1, 4))
    filters = features.set_params(random_state=0, pool_grid=1).fit(images).filters_
    again = clone(features).fit(images).filters_
    np.testing.assert_array_equal(filters, again)
    assert not np.allclose(filters[:4], np.roll(filters[4:8], 1, axis=2))


@pytest.mark.parametrize("encoder", ["triangle", "threshold", "linear"])
@pytest.mark.parametrize("local_contrast", [None, 1.0])
def test_tiles_of_the_same_filters_add_up_to_those_that_all_positions_share(
    encoder, local_contrast
):
    filters = rng.standard_normal((3, 18))
    options = {"encoder": encoder, "local_contrast": local_contrast, "random_state": 0}
    shared = ConvolutionalFeatures(dictionary=filters, patch_size=(2, 3), pooling="sum", **options)
    tiled = clone(shared).set_params(dictionary=np.tile(filters, (6, 1)), tiling=TILING)
    Z = tiled.fit(COLOR).transform(COLOR).reshape(len(COLOR), 2, 2, 6, -1)
    expected = shared.fit(COLOR).transform(COLOR).reshape(len(COLOR), 2, 2, -1)
    np.testing.assert_allclose(Z.sum(axis=3), expected)


def test_as_many_tiles_as_positions_share_nothing():
    features = ConvolutionalFeatures(
        2, dictionary="patches", patch_size=(2, 3), tiling=7, pool_grid=1
    )
    features.set_params(encoder="linear", random_state=0)
    Z = features.fit(COLOR).transform(COLOR)
    assert features.components_.shape == (98, 18) and Z.shape == (12, 98)
    patch = whitened(features, COLOR[3, 4:6, 5:8])
    atom = features.components_[2 * (4 * 7 + 5) + 1]
    number = features.get_feature_names_out().tolist().index("convolutionalfeatures67")
    np.testing.assert_allclose(Z[3, number], patch @ atom / np.linalg.norm(atom))


@pytest.mark.slow
@pytest.mark.parametrize("local_contrast", [None, 1.0])
def test_bands_blocks_and_threads_change_nothing(local_contrast, monkeypatch):
    images = rng.random((150, 9, 9))
    features = ConvolutionalFeatures(3, patch_size=2, tiling=2, local_contrast=local_contrast)
    Z = features.set_params(random_state=0).fit(images).transform(images)
    alone = np.concatenate([features.transform(each[np.newaxis]) for each in images])
    np.testing.assert_allclose(Z, alone, rtol=1e-9)
    monkeypatch.setattr(_maps, "_POSITIONS_PER_TILE", 200)
    monkeypatch.setattr(_maps, "_MAX_POSITIONS", 7)
    monkeypatch.setattr(_maps, "_MIN_POSITIONS", 7)
    np.testing.assert_allclose(features.set_params(n_jobs=3).transform(images), Z, rtol=1e-9)


def test_single_precision_pixels_and_rows():
    pixels = (255 * COLOR).astype(np.uint8)
    features = ConvolutionalFeatures(3, patch_size=3, tiling=2, random_state=0)
    features.set_params(dictionary="patches", image_shape=(8, 9, 3))
    Z = features.fit(pixels).transform(pixels)
    assert Z.dtype == np.float32
    np.testing.assert_array_equal(features.transform(pixels.reshape(12, -1)), Z)
    twice = features.fit(pixels / 255).transform(pixels / 255)
    assert twice.dtype == np.float64
    np.testing.assert_allclose(twice, Z, rtol=1e-3, atol=1e-4)
    with config_context(transform_output="pandas"):
        frame = features.transform(pixels / 255)
    np.testing.assert_array_equal(frame, twice)


def test_filters_of_a_tiled_decomposition():
    """Its filters are tile by tile as well."""
    options = {"patch_size": 3, "tiling": (2, 3), "random_state": 0}
    psd = ConvolutionalPSD(2, max_iter=1, **options).fit(COLOR)
    features = ConvolutionalFeatures(dictionary=psd.filters_, contrast=None, **options)
    features.set_params(whitening=None, encoder="linear", pool_size=TILING, pool_stride=TILING)
    maps = features.fit(COLOR[:, :8, :8]).transform(COLOR[:, :8, :8])
    maps = maps.reshape(12, 3, 2, 6, 2)
    products = COLOR[2, 2:5, 4:7].ravel() @ psd.components_.reshape(6, 2, -1)[1].T
    np.testing.assert_allclose(maps[2, 1, 1, 1], products)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_stage_above_pools_the_filters_of_neighboring_positions():
    """With patches of one position, its codes are those of the tiled decomposition."""
    options = {"patch_size": 3, "tiling": (2, 3), "pool_size": 3, "random_state": 0}
    psd = ConvolutionalPSD(2, max_iter=1, **options)
    codes = psd.fit(COLOR).transform(COLOR)
    pools = ConvolutionalFeatures(
        dictionary=np.eye(2), encoder="linear", rectification="absolute", patch_size=1,
        contrast=None, whitening=None, pooling="l2", pool_size=3, pool_stride=2,
        image_shape=psd.map_shape_,
    )  # fmt: skip
    pooled = pools.fit_transform(codes).reshape(12, *pools.map_shape_)
    maps = codes.reshape(12, *psd.map_shape_)
    for i, j in np.ndindex(2, 2):
        window = maps[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]  # of all tiles
        expected = np.sqrt((window**2).sum(axis=(1, 2)))
        np.testing.assert_allclose(pooled[:, i, j], expected, rtol=1e-6)


@pytest.mark.slow
def test_stages():
    low = ConvolutionalFeatures(3, patch_size=3, tiling=2, pool_size=2, pool_stride=1)
    high = ConvolutionalFeatures(4, patch_size=2, tiling=(1, 2), random_state=2)
    low.set_params(random_state=1)
    stack = ConvolutionalStack([("low", low), ("high", high)], all_stages=True).fit(COLOR)
    below = clone(low).fit(COLOR)
    maps = below.transform(COLOR).reshape(12, *below.map_shape_)
    assert stack.named_layers_.high.image_shape_ == below.map_shape_ == (5, 6, 12)
    above = clone(high).fit(maps)
    expected = np.hstack([below.transform(COLOR), above.transform(maps)])
    np.testing.assert_allclose(stack.transform(COLOR), expected)
    stack.set_params(high__tiling=6)
    with pytest.raises(ValueError, match=r"Stage 'high', .*tiling=\(6, 6\) is more than the 4 x 5"):
        stack.fit(COLOR)


FEW = PCA(0.9)  # components in a number that depends on the patches
ALIKE = COLOR.copy()
ALIKE[:, :, 1::2] = ALIKE[:, :, :1]
ERRORS = [
    ({"tiling": 0}, COLOR, "'tiling' parameter"),
    ({"tiling": 2.0}, COLOR, "'tiling' parameter"),
    ({"tiling": (2, 0)}, COLOR, "tiling must be a positive integer or a pair"),
    ({"tiling": (2, 3, 1)}, COLOR, "tiling must be a positive integer or a pair"),
    ({"tiling": 8}, COLOR, "tiling=(8, 8) is more than the 7 x 7 positions of a filter"),
    ({"tiling": 4}, COLOR, "tiling=(4, 4) needs windows of pooling with at least 4 x 4"),
    ({"pool_size": 3}, COLOR, "the smallest one has 1 x 1. Make tiling smaller"),
    ({"pool_size": (3, 1)}, COLOR, "at least 2 x 3 positions, one of each tile"),
    ({"n_filters": 40, "n_patches": 100}, COLOR, "Tile (0, 0), of "),
    ({"n_filters": 40, "n_patches": 100}, COLOR, "patches; lower it or raise n_patches"),
    ({"n_patches": 3}, COLOR, "without patches that are not constant: make it smaller, or raise"),
    ({"dictionary": np.ones((5, 18))}, COLOR, "dictionary has 5 filters, but 6 tiles by tiling"),
    ({"dictionary": np.ones((6, 17))}, COLOR, "filters of 17 numbers, but patches have 18"),
    ({"dictionary": KMeans(99)}, COLOR[:2], "Tile (0, 0), of 24 patches: n_samples=24"),
    ({"dictionary": FrozenEstimator(PCA(2).fit(np.eye(18)))}, COLOR, "is fitted already. Give an"),
    ({"dictionary": FEW, "encoder": "linear"}, ALIKE, "maps in a tile and"),
    ({"dictionary": FEW, "encoder": "code"}, ALIKE, "set their number in dictionary, or tiling=1"),
]


@pytest.mark.parametrize("options, X, words", ERRORS, ids=[each[2] for each in ERRORS])
def test_bad_input(options, X, words):
    features = ConvolutionalFeatures(2, patch_size=(2, 3), tiling=TILING, random_state=0)
    before = features.fit(COLOR).transform(COLOR)
    with pytest.raises(ValueError, match=re.escape(words)):
        features.set_params(**options).fit(X)
    np.testing.assert_array_equal(features.transform(COLOR), before)


def test_a_frozen_dictionary_needs_no_tiles():
    dictionary = FrozenEstimator(PCA(2).fit(rng.random((30, 18))))
    features = ConvolutionalFeatures(dictionary=dictionary, patch_size=(2, 3), tiling=(1, 1))
    assert features.fit(COLOR).map_shape_ == (2, 2, 2)


def test_constant_tiles_are_told():
    images = np.zeros((20, 8, 8))
    images[:, 2:, 2:] = rng.random((20, 6, 6))
    features = ConvolutionalFeatures(2, patch_size=2, tiling=7, pool_grid=1, random_state=0)
    with pytest.raises(ValueError, match=r"tiling=\(7, 7\) leaves tile \(0, 0\) without patches"):
        features.fit(images)
    assert np.isfinite(features.set_params(tiling=3).fit(images).transform(images)).all()


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"encoder": "linear", "local_contrast": 1.0}], ids=str)
def test_the_maps_of_all_images_are_never_in_memory(options):
    images = rng.integers(0, 256, (1000, 16, 16), dtype=np.uint8)
    features = ConvolutionalFeatures(40, dictionary="patches", patch_size=3, tiling=2, **options)
    features.set_params(n_patches=1000, random_state=0).fit(images).transform(images[:9])
    maps = 1000 * 14 * 14 * 40 * 4
    tracemalloc.start()
    Z = features.transform(images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - Z.nbytes < maps / 4


@pytest.mark.slow
@sklearn_checks(
    [
        ConvolutionalFeatures(
            2, dictionary=dictionary, tiling=(1, 2), patch_size=1, contrast=None, pool_grid=1
        )
        for dictionary in ("kmeans", "patches", PCA(1))
    ],
    expected_failures=lambda estimator: {
        "check_fit2d_1feature": "a column has one position, and two tiles need two"
    },
)
def test_sklearn(estimator, check):
    check(estimator)
