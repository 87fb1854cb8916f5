"""Convolutional features against loops over images, positions and windows."""

import copy
import re
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from common import sklearn_checks
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, load_sample_images
from sklearn.decomposition import NMF, PCA, SparsePCA
from sklearn.frozen import FrozenEstimator

from skae import PSD, RBM, ContractiveAE, DenoisingAE, SparseCoder
from skae.images import (
    ConvolutionalFeatures,
    ConvolutionalPSD,
    ConvolutionalStack,
    sample_patches,
)
from skae.plotting import FilterDisplay
from skae.sources import apply

rng = np.random.default_rng(0)
GRAY = rng.random((7, 9, 11))
COLOR = rng.random((6, 8, 9, 3))


@pytest.fixture(scope="module")
def fitted():
    """Return features of small patches in colors."""
    return ConvolutionalFeatures(4, patch_size=3, random_state=0).fit(COLOR)


def whitened(features, patch):
    """Return a patch as the estimator's filters see it."""
    x = patch.ravel()
    if features.floor_ is not None:
        x = (x - x.mean()) / np.sqrt(x.var() + features.floor_)
    return x if features.zca_ is None else features.zca_.transform(x[np.newaxis])[0]


def code(features, z):
    """Return the code of one whitened patch."""
    D = features.components_
    if features.encoder == "triangle":
        distances = np.array([np.linalg.norm(z - center) for center in D])
        return np.maximum(distances.mean() - distances, 0)
    if features.encoder == "code":
        h = np.asarray(features.dictionary_.transform(z[np.newaxis]))[0]
    else:
        h = np.array([z @ atom / np.linalg.norm(atom) for atom in D])
    if features.encoder == "threshold":
        return np.concatenate(
            [np.maximum(h - features.alpha, 0), np.maximum(-h - features.alpha, 0)]
        )
    if features.rectification == "split":
        return np.concatenate([np.maximum(h, 0), np.maximum(-h, 0)])
    return np.abs(h) if features.rectification == "absolute" else h


def normalized(maps, sigma):
    """Return maps over their contrast, as Jarrett et al. write it: weights sum to 1 over window and maps."""
    centered = (
        maps
        - np.mean([gaussian_filter(each, sigma) for each in np.moveaxis(maps, 2, 0)], axis=0)[
            ..., np.newaxis
        ]
    )
    squares = [gaussian_filter(each**2, sigma) for each in np.moveaxis(centered, 2, 0)]
    deviations = np.sqrt(np.mean(squares, axis=0))
    return centered / np.maximum(deviations, deviations.mean())[..., np.newaxis]


POOL = {
    "mean": lambda h: h.mean(axis=0),
    "sum": lambda h: h.sum(axis=0),
    "max": lambda h: h.max(axis=0),
    "l2": lambda h: np.sqrt((h**2).sum(axis=0)),
}


def reference(features, images, rows, columns):
    """Return pooled codes of images (n, height, width, channels), one at a time."""
    height, width = np.broadcast_to(features.patch_size, 2)
    out = []
    for image in images:
        maps = np.array(
            [
                [
                    code(features, whitened(features, image[i : i + height, j : j + width]))
                    for j in range(image.shape[1] - width + 1)
                ]
                for i in range(image.shape[0] - height + 1)
            ]
        )
        if features.local_contrast is not None:
            maps = normalized(maps, features.local_contrast)
        out += [
            POOL[features.pooling](maps[a:b, c:d].reshape(-1, maps.shape[2]))
            for a, b in rows
            for c, d in columns
        ]
    return np.reshape(out, (len(images), -1))


HALVES = (
    [(0, 4), (4, 7)],
    [(0, 4), (4, 7)],
)  # of the 7 x 7 positions that COLOR has for 2 x 3 patches
OPTIONS = [
    {},
    {"encoder": "threshold", "alpha": 0.3},
    {"encoder": "linear"},
    {"encoder": "linear", "rectification": "absolute"},
    {"encoder": "linear", "rectification": "split"},
    {"contrast": None},
    {"whitening": None},
    {"contrast": None, "whitening": None, "encoder": "threshold", "alpha": 0.1},
    {"pooling": "sum"},
    {"pooling": "max"},
    {"pooling": "max", "encoder": "linear"},
    {"pooling": "l2", "encoder": "linear"},
    {"local_contrast": 1.2},
    {"local_contrast": 0.7, "encoder": "linear", "rectification": "absolute", "pooling": "max"},
    {"dictionary": "patches", "encoder": "threshold"},
    {"dictionary": rng.standard_normal((4, 2, 3, 3)), "encoder": "linear"},
    {"dictionary": rng.standard_normal((4, 18)).tolist(), "encoder": "triangle"},
    {"dictionary": KMeans(5, n_init=1), "encoder": "code"},
    {"dictionary": PCA(5), "encoder": "code", "rectification": "split"},
    {"dictionary": SparseCoder(5, max_iter=2), "encoder": "code", "rectification": "absolute"},
    {"dictionary": SparseCoder(5, max_iter=2, sparse_output=False), "encoder": "threshold"},
    {"dictionary": PSD(5, max_iter=2, encoder="tanh"), "encoder": "code"},
    {"dictionary": ContractiveAE(5, max_iter=2), "encoder": "code"},
    {"dictionary": DenoisingAE(5, max_iter=2), "encoder": "triangle"},
    {"dictionary": RBM(5, max_iter=2, visible="gaussian"), "encoder": "code"},
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_features_are_those_of_a_loop(options):
    features = ConvolutionalFeatures(5, patch_size=(2, 3), random_state=0, **options)
    Z = features.fit(COLOR).transform(COLOR)
    np.testing.assert_allclose(Z, reference(features, COLOR, *HALVES), rtol=1e-6, atol=1e-9)
    assert Z.shape == (len(COLOR), np.prod(features.map_shape_))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, rows, columns",
    [
        ({"pool_grid": 1}, [(0, 7)], [(0, 9)]),
        ({"pool_grid": (3, 2)}, [(0, 2), (2, 5), (5, 7)], [(0, 5), (5, 9)]),
        ({"pool_size": 4}, [(0, 4), (4, 7)], [(0, 4), (4, 8), (8, 9)]),
        ({"pool_size": (7, 3), "pool_stride": 3}, [(0, 7)], [(0, 3), (3, 6), (6, 9)]),
        ({"pool_size": 5, "pool_stride": (2, 3)}, [(0, 5), (2, 7)], [(0, 5), (3, 8), (6, 9)]),
        ({"pool_size": 2, "pool_stride": 4}, [(0, 2), (4, 6)], [(0, 2), (4, 6), (8, 9)]),
    ],
)
@pytest.mark.parametrize("pooling", POOL)
def test_windows(options, rows, columns, pooling):
    features = ConvolutionalFeatures(4, patch_size=3, pooling=pooling, random_state=0, **options)
    Z = features.fit_transform(GRAY)
    np.testing.assert_allclose(Z, reference(features, GRAY[..., np.newaxis], rows, columns))
    assert features.map_shape_ == (len(rows), len(columns), 4)


def test_bands_that_cross_images_and_threads_change_nothing():
    images = rng.random((150, 9, 9))
    features = ConvolutionalFeatures(3, patch_size=2, random_state=0, local_contrast=1.0)
    Z = features.fit(images).transform(images)
    alone = np.concatenate([features.transform(each[np.newaxis]) for each in images])
    np.testing.assert_allclose(Z, alone, rtol=1e-9)
    np.testing.assert_allclose(features.set_params(n_jobs=3).transform(images), Z, rtol=1e-9)


@pytest.mark.slow
def test_the_same_images_in_other_forms():
    features = ConvolutionalFeatures(5, patch_size=3, image_shape=(8, 9, 3), random_state=0)
    Z = features.fit_transform(COLOR)
    rows = COLOR.reshape(len(COLOR), -1)
    np.testing.assert_array_equal(features.transform(rows), Z)
    # The threads of KMeans add up in any order.
    again = features.fit(rows).transform(COLOR.tolist())
    np.testing.assert_allclose(again, Z, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(features.fit_transform(COLOR.astype(np.float32)), Z, atol=2e-4)
    square = GRAY[:, :, :9]
    features = ConvolutionalFeatures(5, patch_size=3, random_state=0).fit(square)
    np.testing.assert_array_equal(
        features.transform(square.reshape(len(square), -1)), features.transform(square[..., None])
    )


@pytest.mark.parametrize("encoder", ["triangle", "threshold", "linear"])
def test_units_of_pixels_do_not_matter(encoder):
    pixels = (255 * COLOR).astype(np.uint8)
    features = ConvolutionalFeatures(5, patch_size=3, encoder=encoder, random_state=0)
    Z = features.fit_transform(pixels)
    assert Z.dtype == np.float32
    shares = features.transform((pixels / 255).astype(np.float32))
    np.testing.assert_allclose(shares, Z, rtol=1e-4, atol=1e-5)
    for others in (pixels / 255, pixels.astype(np.float64), pixels.astype(np.int64)):
        np.testing.assert_allclose(features.fit_transform(others), Z, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("encoder", ["triangle", "threshold", "linear"])
@pytest.mark.parametrize("contrast", [0.3, None])
@pytest.mark.parametrize("whitening", [0.1, None])
def test_pixels_far_from_0_keep_their_digits_in_single_precision(encoder, contrast, whitening):
    images = (60_000 + 200 * COLOR).astype(np.float32)
    options = {
        "patch_size": (2, 3),
        "encoder": encoder,
        "contrast": contrast,
        "whitening": whitening,
    }
    features = ConvolutionalFeatures(4, random_state=0, **options).fit(images.astype(float))
    expected = reference(features, images.astype(float), *HALVES)
    options["dictionary"] = features.components_
    Z = ConvolutionalFeatures(**options).fit(images).transform(images)
    assert Z.dtype == np.float32
    # With neither, products are as large as pixels, whose last digit is 0.004.
    last = 0.02 if contrast is whitening is None else 0
    np.testing.assert_allclose(Z, expected, rtol=1e-6, atol=max(1e-3 * expected.std(), last))


def test_a_small_contrast_of_pixels_far_from_0_is_learned_from():
    images = (60_000 + 8 * COLOR).astype(np.float32)
    found, expected = (
        ConvolutionalFeatures(
            4, dictionary="patches", patch_size=3, encoder="linear", random_state=0
        )
        .fit(X)
        .transform(X)
        for X in (images, images.astype(float))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.std())
    with pytest.raises(ValueError, match="constant patches only"):
        last = np.spacing(np.float32(60_000)) * np.round(COLOR).astype(np.float32)
        ConvolutionalFeatures(4, patch_size=3).fit(np.float32(60_000) + last)


def test_centers_of_pixels_far_from_0_are_as_good_in_single_precision():
    images = (60_000 + 20 * GRAY).astype(np.float32)
    options = {"patch_size": 3, "contrast": None, "whitening": None, "random_state": 0}
    patches = np.lib.stride_tricks.sliding_window_view(images.astype(float), (3, 3), axis=(1, 2))
    errors = [
        cdist(patches.reshape(-1, 9), ConvolutionalFeatures(4, **options).fit(X).components_).min(1)
        for X in (images, images.astype(float))
    ]
    assert np.mean(errors[0]) < 1.01 * np.mean(errors[1])


def test_pixels_without_contrast_or_whitening_are_shares_of_255():
    options = {"dictionary": "patches", "contrast": None, "whitening": None, "random_state": 0}
    pixels = (255 * COLOR).astype(np.uint8)
    features = ConvolutionalFeatures(5, patch_size=3, encoder="linear", **options)
    Z = features.fit_transform(pixels)
    np.testing.assert_allclose(Z, features.fit_transform(pixels / 255), rtol=1e-4)


def test_patches_are_whitened_before_filters_are_learned():
    features = ConvolutionalFeatures(4, patch_size=2, whitening=1e-6, random_state=0).fit(GRAY)
    patches = [
        whitened(features, image[i : i + 2, j : j + 2])
        for image in GRAY
        for i in range(8)
        for j in range(10)
    ]
    variances = np.linalg.eigvalsh(np.cov(np.transpose(patches), bias=True))
    np.testing.assert_allclose(variances[1:], 1, rtol=1e-3)  # the mean has none
    assert variances[0] < 1e-6


def test_filters_as_images():
    features = ConvolutionalFeatures(4, dictionary="patches", patch_size=(3, 2), random_state=0)
    filters = features.fit(COLOR).filters_
    assert filters.shape == (4, 3, 2, 3)
    white = features.zca_.transform(filters.reshape(4, -1) + features.zca_.mean_)
    np.testing.assert_allclose(white, features.components_)


@pytest.mark.parametrize("whitening", [None, 0.1])
@pytest.mark.parametrize("tiling", [1, 2])
def test_a_dictionary_without_components_has_no_filters(whitening, tiling):
    """Distances to centers are its code."""
    options = {"dictionary": KMeans(3, n_init=1), "encoder": "code", "whitening": whitening}
    features = ConvolutionalFeatures(patch_size=3, tiling=tiling, **options).fit(GRAY)
    assert features.components_ is None and features.filters_ is None
    with pytest.raises(ValueError, match="has neither components_ nor"):
        FilterDisplay.from_estimator(features)


def test_constant_patches_are_nothing_to_learn_from():
    images = np.zeros((20, 12, 12))
    images[:, :4, :4] = rng.random((20, 4, 4))
    features = ConvolutionalFeatures(30, dictionary="patches", patch_size=3, random_state=0)
    Z = features.fit(images).transform(images)
    assert np.isfinite(Z).all()
    blank = whitened(features, np.zeros((3, 3)))
    assert np.abs(features.components_ - blank).max(axis=1).min() > 1e-3


def test_constant_images():
    flat = np.full((4, 8, 8), 3.0)
    with pytest.raises(ValueError, match="constant patches only"):
        ConvolutionalFeatures(2, patch_size=3).fit(flat)
    features = ConvolutionalFeatures(3, patch_size=3, random_state=0).fit(GRAY)
    for encoder in ("triangle", "linear"):
        features.set_params(encoder=encoder, local_contrast=1.0).fit(GRAY)
        assert np.isfinite(features.transform(np.zeros((2, 9, 11)))).all()
        np.testing.assert_allclose(
            features.transform(np.zeros((1, 9, 11))), features.transform(np.ones((1, 9, 11)))
        )


@pytest.mark.slow
def test_digits_are_told_apart_better_than_by_pixels():
    from sklearn.linear_model import RidgeClassifier

    X, y = load_digits(return_X_y=True)
    train, test = slice(0, 600), slice(600, 1200)
    features = ConvolutionalFeatures(64, patch_size=4, random_state=0)
    Z = features.fit_transform(X[train])
    accuracy = RidgeClassifier(0.1).fit(Z, y[train]).score(features.transform(X[test]), y[test])
    pixels = RidgeClassifier(0.1).fit(X[train], y[train]).score(X[test], y[test])
    assert accuracy > 0.95 > pixels + 0.03


def test_photographs():
    images = np.stack([image[:64, :80] for image in load_sample_images().images])
    features = ConvolutionalFeatures(16, n_patches=1000, random_state=0).fit(images)
    assert features.transform(images).shape == (2, 64)


class _OfUser(TransformerMixin, BaseEstimator):
    """A dictionary whose codes are made by ``codes``, and whose ``fit`` returns nothing."""

    def __init__(self, codes=lambda patches: patches, atoms=lambda patches: patches[:2]):
        self.codes, self.atoms = codes, atoms

    def fit(self, X, y=None):
        self.components_ = self.atoms(X)

    def transform(self, X):
        return self.codes(X)


def test_filters_of_users_are_copied():
    """Otherwise ``filters_`` would not be the filters of ``transform`` any more."""
    given = rng.standard_normal((4, 9))
    features = ConvolutionalFeatures(dictionary=given, patch_size=3, whitening=None).fit(GRAY)
    before = given.copy()
    given *= 3
    np.testing.assert_array_equal(features.components_, before)
    np.testing.assert_array_equal(features.filters_.reshape(4, 9), before)


def test_a_dictionary_may_return_nothing_from_fit():
    options = {"patch_size": 3, "pool_grid": 1, "whitening": None, "random_state": 0}
    for encoder in ("code", "linear"):
        features = ConvolutionalFeatures(dictionary=_OfUser(), encoder=encoder, **options)
        assert np.isfinite(features.fit_transform(GRAY)).all()


ERRORS = [
    ({"dictionary": _OfUser(lambda X: None), "encoder": "code"}, GRAY, "return a row of codes"),
    ({"dictionary": _OfUser(lambda X: X[:, 0]), "encoder": "code"}, GRAY, "Expected 2D array"),
    ({"dictionary": _OfUser(lambda X: X[1:]), "encoder": "code"}, GRAY, "got the shape (1, 36)"),
    ({"dictionary": _OfUser(lambda X: X * np.nan), "encoder": "code"}, GRAY, "contains NaN"),
    ({"dictionary": _OfUser(lambda X: X.astype(str)), "encoder": "code"}, GRAY, "of dictionary=_O"),
    ({"dictionary": _OfUser(atoms=lambda X: X[:2, :9])}, GRAY, "filters of 9 numbers, but patche"),
    ({"dictionary": _OfUser(atoms=lambda X: X[:2] * np.nan)}, GRAY, "dictionary contains NaN"),
    (
        {},
        GRAY[:, :5],
        "patch_size=6 is larger than the images of X, of height 5 and width 11",
    ),
    ({}, GRAY.reshape(7, -1), "patch_size=6 is larger"),
    (
        {"image_shape": (9, 12)},
        GRAY.reshape(7, -1),
        "X has 99 features; image_shape=(9, 12, 1) needs",
    ),
    ({"image_shape": (9, 11, 3)}, GRAY, "X has images of height, width and channels (9, 11, 1)"),
    ({"image_shape": (9,)}, GRAY, "image_shape must be (height, width) or"),
    ({"image_shape": (9, -1)}, GRAY, "image_shape must be (height, width) or"),
    ({}, GRAY * np.nan, "NaN"),
    ({}, GRAY * 1e200, "too large for float64; divide X"),
    ({}, (GRAY * 1e30).astype(np.float32), "too large for float32; divide X"),
    (
        {},
        GRAY[np.newaxis, :, np.newaxis],
        "(n, height, width, channels); got shape (1, 7, 1, 9, 11)",
    ),
    ({"patch_size": (3, 3, 3)}, GRAY, "patch_size must be a positive integer or a pair"),
    (
        {"pool_grid": 9},
        GRAY,
        "more than the 4 x 6 positions of a patch in an image: set it to (4, 6)",
    ),
    (
        {"patch_size": (1, 5)},
        GRAY[:, 0, :10],
        "x 6 positions of a patch in an image: set it to (1, 2)",
    ),
    ({"pool_size": 5}, GRAY, "pool_size=(5, 5) is more than the 4 x 6 positions"),
    ({"pool_stride": 5}, GRAY, "pool_stride needs pool_size"),
    ({"encoder": "code"}, GRAY, "encoder='code' needs a dictionary with transform"),
    (
        {"dictionary": FrozenEstimator(PCA(2).fit(np.eye(5))), "encoder": "code"},
        GRAY,
        "dictionary=PCA was fitted to rows of 5 numbers, but patches have 36: give the patch_size",
    ),
    ({"rectification": "split"}, GRAY, "has no negative codes"),
    ({"n_patches": 100}, GRAY, "n_filters=256 is more than the 100 patches"),
    ({"dictionary": DenoisingAE(3).fit}, GRAY, "'dictionary' parameter"),
    ({"dictionary": np.ones((3, 35))}, GRAY, "filters of 35 numbers, but patches have 36"),
    ({"dictionary": np.full((3, 36), np.nan)}, GRAY, "dictionary contains NaN"),
    (
        {"dictionary": np.ones((3, 36)), "encoder": "code"},
        GRAY,
        "needs a dictionary with transform",
    ),
]


def _apart(images):
    """Return an array of objects, each of which is an image."""
    out = np.empty(len(images), object)
    out[:] = images
    return out


RAGGED = [GRAY[0], GRAY[1, 1:]]
ERRORS += [
    ({}, GRAY * np.nan, "X contains NaN or infinity: fill in such pixels first"),
    ({}, -np.inf * GRAY, "X contains NaN or infinity: fill in such pixels first"),
    ({}, np.where(GRAY > 0.9, None, GRAY), "X contains NaN or infinity: fill in such pixels first"),
    ({"n_patches": 1, "n_filters": 1}, GRAY, "needs at least two patches that are not constant"),
    ({"pool_grid": 10**12}, GRAY, "pool_grid=(1000000000000, 1000000000000) is more than the"),
    ({}, RAGGED, "X must be one array of images, all of the same height, width and channels: crop"),
    ({}, _apart(RAGGED), "join them by np.stack(images)"),
    ({}, _apart(list(GRAY)), "join them by np.stack(images)."),
    ({}, pd.Series(list(GRAY), index=range(3, 10)), "one array of images, all of the same"),
    ({}, ["a.png", "b.png"], "X must be the pixels of images, not names of their files: read"),
    ({}, [Path("a.png"), Path("b.png")], "np.asarray(Image.open(file).convert('RGB')) for file"),
    ({}, np.array(["a.png", "b.png"]), "not names of their files"),
    ({}, pd.Series(["a.png", "b.png"], index=[5, 7]), "not names of their files"),
    ({}, COLOR.reshape(6, -1)[:, :192], "if rows are images, give image_shape, such as (8, 8, 3)"),
    ({}, GRAY.reshape(7, -1), "if rows are images, give image_shape; if X is one image, give X["),
    (
        {},
        COLOR.transpose(0, 3, 1, 2),
        "channels first: give X.transpose(0, 2, 3, 1). If images have 3",
    ),
    (
        {},
        COLOR[..., :2].transpose(0, 3, 1, 2),
        "if channels come first, give X.transpose(0, 2, 3, 1)",
    ),
]


@pytest.mark.parametrize("options, X, words", ERRORS, ids=[each[2] for each in ERRORS])
def test_bad_input_of_fit(options, X, words, fitted):
    features = copy.deepcopy(fitted)
    before = features.transform(COLOR)
    options = {"n_filters": 256, "patch_size": 6, **options}
    with pytest.raises(ValueError, match=re.escape(words)):
        features.set_params(**options).fit(X)
    np.testing.assert_allclose(features.transform(COLOR), before, rtol=1e-12, atol=1e-12)


CHANNELS_FIRST = [(3, 8, 9), (1, 8, 8), (4, 8, 8)]
LIKE_CHANNELS_FIRST = [(1, 8, 9), (3, 8, 4), (3, 3, 8), (8, 8, 8), (8, 9, 3)]


@pytest.mark.parametrize("shape", CHANNELS_FIRST)
def test_channels_that_come_first_are_refused_where_patches_fit(shape):
    X = rng.random((6, *shape))
    options = {"contrast": None, "pool_grid": 1, "n_patches": 50, "random_state": 0}
    stage = ConvolutionalFeatures(3, patch_size=1, **options)
    for model in (
        clone(stage),
        ConvolutionalStack([("low", stage)]),
        ConvolutionalPSD(3, patch_size=1, max_iter=1, random_state=0),
    ):
        with pytest.raises(ValueError, match=r"channels first: give X.transpose\(0, 2, 3, 1\)"):
            model.fit(X)
        last = X.transpose(0, 2, 3, 1)
        model.fit(last)
        with pytest.raises(ValueError, match=r"Channels come last: give X.transpose\(0, 2, 3, 1\)"):
            model.transform(X)
        model.set_params(image_shape=shape).fit(X)  # the user says that this is their shape
    with pytest.warns(UserWarning, match=r"images\[0\].*give images\[0\].transpose\(1, 2, 0\)"):
        sample_patches(list(X), 1, 10)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("shape", LIKE_CHANNELS_FIRST)
def test_images_of_other_shapes_are_taken(shape):
    X = rng.random((6, *shape))
    options = {"contrast": None, "pool_grid": 1, "n_patches": 50, "random_state": 0}
    ConvolutionalFeatures(3, patch_size=1, **options).fit(X)
    sample_patches(list(X), 1, 10)


@pytest.mark.filterwarnings("ignore")
def test_maps_of_a_stack_may_look_like_channels_first():
    low = ConvolutionalFeatures(9, patch_size=3, n_patches=50, pool_grid=(3, 5), random_state=0)
    high = ConvolutionalFeatures(2, patch_size=1, n_patches=50, random_state=0)
    stack = ConvolutionalStack([("low", low), ("high", high)], random_state=0).fit(GRAY)
    assert stack.layers_[0][1].map_shape_ == (3, 5, 9)


@pytest.mark.parametrize("tiling", [1, 2])
@pytest.mark.parametrize(
    ("options", "cure"),
    [
        ({"encoder": "threshold", "alpha": 1e3}, "lower alpha=1000"),
        ({"n_filters": 1}, "give at least two filters, which differ"),
        (
            {"dictionary": np.ones((4, 9)), "n_filters": 256},
            "give at least two filters, which differ",
        ),
        (
            {"dictionary": _OfUser(lambda X: 0 * X), "encoder": "code", "n_filters": 256},
            "give another dictionary",
        ),
    ],
)
def test_codes_of_zeros_are_told(options, cure, tiling):
    options = {"dictionary": "patches", "tiling": tiling, "random_state": 0, **options}
    features = ConvolutionalFeatures(4, patch_size=3).set_params(**options)
    with pytest.warns(UserWarning, match=f"are 0 on the training data: {cure}") as caught:
        features.fit(GRAY)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert not features.transform(GRAY).any()


@pytest.mark.parametrize("encoder", ["threshold", "triangle"])
def test_codes_of_images_that_are_all_the_same_are_told(encoder):
    features = ConvolutionalFeatures(4, encoder=encoder, contrast=None, patch_size=3)
    with pytest.warns(UserWarning, match="are 0 .*: all patches are the same: give images that"):
        features.fit(np.full((20, 8, 8), 5.0))


@pytest.mark.parametrize(
    "X, words",
    [
        (COLOR[0, ..., 0], "X has the shape (8, 9) of one image: give X[np.newaxis]"),
        (COLOR[..., 0], "X has images of height, width and channels (8, 9, 1), not (8, 9, 3)"),
        (COLOR[:, 1:], "(7, 9, 3), not (8, 9, 3)"),
        (COLOR[0], "(9, 3, 1), not (8, 9, 3). Give a single image as X[np.newaxis]."),
        (COLOR.reshape(6, -1)[:, 1:], "215 features, but ConvolutionalFeatures is expecting 216"),
        (COLOR * np.inf, "infinity"),
        (COLOR * 1e200, "too large for float64; divide X"),
        (COLOR[:0], "0 sample(s)"),
    ],
)
def test_bad_input_of_transform(X, words, fitted):
    with pytest.raises(ValueError, match=re.escape(words)):
        fitted.transform(X)


@pytest.mark.slow
@sklearn_checks(
    [
        ConvolutionalFeatures(2, dictionary=dictionary, patch_size=1, contrast=None, pool_grid=1)
        for dictionary in ("kmeans", "patches", PCA(1))
    ]
)
def test_sklearn(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"encoder": "linear", "local_contrast": 1.0}], ids=str)
def test_the_maps_of_all_images_are_never_in_memory(options):
    images = rng.integers(0, 256, (1000, 16, 16), dtype=np.uint8)
    features = ConvolutionalFeatures(40, dictionary="patches", patch_size=3, **options)
    features.set_params(n_patches=1000, random_state=0).fit(images).transform(images[:9])
    maps = 1000 * 14 * 14 * 40 * 4
    tracemalloc.start()
    features.transform(images)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < maps / 4


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("Model", [ConvolutionalFeatures, ConvolutionalPSD])
def test_pixels_have_the_scale_that_they_had_in_fit(Model, flat):
    """Those of 8 bits are divided by 255, and all others are not."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6, 6), dtype=np.uint8)
    pixels = pixels.reshape(20, -1) if flat else pixels
    options = {"max_iter": 1} if Model is ConvolutionalPSD else {}
    model = Model(3, patch_size=3, random_state=0, **options)
    codes = model.fit(pixels).transform(pixels)
    np.testing.assert_allclose(model.transform(pixels / np.float32(255)), codes, rtol=1e-5)
    for other in (pixels.astype(float), pixels.astype(int)):
        with pytest.raises(ValueError, match="fit had pixels of 8 bits, which are divided by 255"):
            model.transform(other)
    codes = model.fit(pixels / np.float32(255)).transform(pixels / np.float32(255))
    np.testing.assert_allclose(model.transform(pixels), codes, rtol=1e-5)
    for other in (pixels.astype(float), pixels.astype(int)):
        with pytest.raises(ValueError, match="X has pixels of 8 bits.*fit had others, up to 255"):
            model.fit(other).transform(pixels)


@pytest.mark.parametrize(
    "model",
    [
        ConvolutionalFeatures(3, patch_size=3, random_state=0),
        ConvolutionalPSD(3, patch_size=3, max_iter=1, random_state=0),
        ConvolutionalStack([("low", ConvolutionalFeatures(3, patch_size=3, random_state=0))]),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_pixels_of_another_scale_than_in_fit_are_told(model):
    shares = np.random.default_rng(0).random((20, 6, 6))
    eight_bit = (255 * shares).astype(np.uint8)
    for first, same, other in (
        (shares, [3 * shares, 0 * shares, eight_bit], 255 * shares),
        (255 * shares, [20 * shares, 0 * shares], shares),
        (eight_bit, [shares], None),
    ):
        model.fit(first)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            for images in (first, *same):
                model.transform(images)
        if other is not None:
            with pytest.warns(UserWarning, match="X has pixels up to .* fit had pixels up") as told:
                model.transform(other)
            assert len(told) == 1


@pytest.mark.parametrize("kind", [bool, int])
def test_pixels_of_0_and_1_keep_their_scale(kind):
    """In 8 bits, 1 is divided by 255, as it is no other number; masks of 0 and 255 are the same as those of bools."""
    on = np.random.default_rng(0).random((20, 6, 6)) > 0.5
    options = {"contrast": None, "whitening": None, "dictionary": "patches", "encoder": "linear"}
    model = ConvolutionalFeatures(3, patch_size=3, random_state=0, **options).fit(on.astype(kind))
    expected = model.transform(on.astype(kind))
    np.testing.assert_allclose(model.transform(255 * on.astype(np.uint8)), expected, rtol=1e-6)
    assert np.isfinite(model.transform(np.zeros_like(on, np.uint8))).all()
    with pytest.raises(ValueError, match="X has pixels of 8 bits.*fit had others, up to 1"):
        model.transform(on.astype(np.uint8))
    model.fit(on.astype(np.uint8))
    shares = model.transform(on / np.float32(255))
    np.testing.assert_allclose(shares, model.transform(on.astype(np.uint8)), rtol=1e-6)
    for other in (on.astype(kind), on.astype(float)):
        with pytest.raises(ValueError, match="up to 1, but fit had pixels of 8 bits"):
            model.transform(other)
    model.fit(255 * on.astype(np.uint8))
    np.testing.assert_array_equal(model.transform(on), model.transform(255 * on.astype(np.uint8)))


def test_lists_of_rows_have_the_pixels_of_lists_of_images():
    for dtype in (np.uint8, np.int64, np.float32):
        images = (200 * GRAY[:, :, :9]).astype(dtype)
        features = ConvolutionalFeatures(3, patch_size=3, dictionary="patches", random_state=0)
        expected = features.fit_transform(images)
        for form in (list(images), list(images.reshape(7, -1)), images.reshape(7, -1).tolist()):
            if dtype == np.int64 or not isinstance(form[0], list):
                found = features.fit_transform(form)
                assert found.dtype == expected.dtype
                np.testing.assert_array_equal(found, expected)


def test_constant_patches_are_zeros_with_the_smallest_contrast():
    images = np.zeros((4, 8, 8), dtype=np.float32)
    images[:, :, 4:] = np.random.default_rng(0).random((4, 8, 4))
    features = ConvolutionalFeatures(4, patch_size=2, contrast=1e-300, random_state=0)
    assert np.isfinite(features.fit_transform(images)).all()


@pytest.mark.parametrize("dtype", [">f8", np.longdouble])
@pytest.mark.parametrize(
    "model",
    [
        ConvolutionalFeatures(4, patch_size=3, random_state=0),
        ConvolutionalPSD(3, patch_size=3, max_iter=1, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_wide_floats_are_seen_as_float64(model, dtype):
    expected = model.fit(GRAY).transform(GRAY)
    found = model.fit(GRAY.astype(dtype)).transform(GRAY.astype(dtype))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("dtype", "unit"), [(np.float32, 1e-25), (np.float64, 1e-180)])
def test_pixels_too_small_for_their_squares_are_told(dtype, unit):
    images = (unit * GRAY).astype(dtype)
    with pytest.raises(ValueError, match="too small for float.*divide X by the largest pixel"):
        ConvolutionalFeatures(4, patch_size=3).fit(images)


def _eight_bit_sources(pixels, folder):
    """Return rows of 8-bit pixels from all kinds of sources, by name."""
    dask, pyarrow = pytest.importorskip("dask.array"), pytest.importorskip("pyarrow")
    h5py, polars = pytest.importorskip("h5py"), pytest.importorskip("polars")
    rows = pixels.reshape(len(pixels), -1)
    mapped = np.memmap(folder / "pixels", np.uint8, "w+", shape=rows.shape)
    mapped[:] = rows
    file = h5py.File(folder / "pixels.h5", "w")
    file["rows"], file["images"] = rows, pixels
    frame = polars.DataFrame(rows, schema=[f"p{k}" for k in range(rows.shape[1])])
    table = pytest.importorskip("pandas").DataFrame(rows)
    return {
        "memory map": mapped,
        "hdf5": file["rows"],
        "hdf5 images": file["images"],
        "dask": dask.from_array(rows, chunks=(7, 5)),
        "dask images": dask.from_array(pixels, chunks=(7, 5, 3)),
        "polars": frame,
        "polars, lazy": frame.lazy(),
        "arrow": pyarrow.table(dict(zip(frame.columns, rows.T))),
        "pandas": table,
        "pandas, nullable": table.astype("UInt8"),
        "pandas, Arrow": table.astype("uint8[pyarrow]"),
        "rows in a tuple": tuple(rows),
        "images in a tuple": tuple(pixels),
        "batches": [*np.split(rows, 4)],
    }


@pytest.mark.filterwarnings("ignore:.*feature names")
@pytest.mark.parametrize(
    "make",
    [
        lambda: ConvolutionalFeatures(
            4,
            patch_size=3,
            dictionary="patches",
            encoder="threshold",
            contrast=None,
            random_state=0,
        ),
        lambda: ConvolutionalPSD(4, patch_size=3, max_iter=1, random_state=0),
    ],
)
def test_pixels_of_eight_bits_are_the_same_from_all_sources(make, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 6, 6), dtype=np.uint8)
    expected = make().set_params(image_shape=(6, 6)).fit(pixels)
    codes = expected.transform(pixels)
    for name, X in _eight_bit_sources(pixels, tmp_path).items():

        def rows(X=X):
            return iter(X) if isinstance(X, list) else X

        model = make().set_params(image_shape=(6, 6)).fit(rows())
        np.testing.assert_array_equal(model.components_, expected.components_, err_msg=name)
        np.testing.assert_array_equal(model.transform(rows()), codes, err_msg=name)
        np.testing.assert_array_equal(apply(expected, rows()), codes, err_msg=name)
        with pytest.raises(ValueError, match="fit had pixels of 8 bits"):
            model.transform(255.0 * pixels)


@pytest.mark.parametrize("dtype", [np.int64, np.int16, bool, np.float16])
def test_pixels_of_other_types_are_the_same_from_all_sources(dtype, tmp_path):
    on = np.random.default_rng(0).random((20, 6, 6)) > 0.5
    rows = on.astype(dtype).reshape(20, -1)
    options = {"dictionary": "patches", "contrast": None, "whitening": None, "encoder": "linear"}
    model = ConvolutionalFeatures(4, patch_size=3, random_state=0, **options)
    codes = model.fit(rows).transform(rows)
    mapped = np.memmap(tmp_path / "pixels", dtype, "w+", shape=rows.shape)
    mapped[:] = rows
    for X in (mapped, pytest.importorskip("dask.array").from_array(rows, chunks=(7, 36))):
        found = model.fit(X).transform(X)
        assert found.dtype == codes.dtype
        np.testing.assert_array_equal(found, codes)
        if dtype is not np.float16:
            # As numbers other than 8 bits, 1 is no fraction of 255.
            with pytest.raises(ValueError, match="X has pixels of 8 bits"):
                model.transform(on.astype(np.uint8))
    with pytest.raises(ValueError, match="Part 1 of X.*has the dtype float64, and the first one"):
        model.fit(iter([rows, rows.astype(float)]))


class Counted:
    """An image that counts how many times it is read."""

    def __init__(self, image):
        self.image, self.n_reads = image, 0

    def __array__(self, dtype=None, copy=None):
        self.n_reads += 1
        return self.image


def test_lists_and_frames_are_read_once(monkeypatch):
    images = [Counted(image) for image in (200 * GRAY[:, :, :9]).astype(np.uint8)]
    features = ConvolutionalFeatures(3, patch_size=3, dictionary="patches", random_state=0)
    expected = features.fit_transform(np.stack([each.image for each in images]))
    np.testing.assert_array_equal(features.fit(images).transform(images), expected)
    assert {each.n_reads for each in images} == {2}
    rows, read, values = [each.image.ravel() for each in images], [], pd.DataFrame.to_numpy
    frame = pd.DataFrame(rows).astype("UInt8").rename(columns=str)
    monkeypatch.setattr(
        pd.DataFrame,
        "to_numpy",
        lambda X, *args, **kwargs: read.append(len(X)) or values(X, *args, **kwargs),
    )
    np.testing.assert_array_equal(features.fit(frame).transform(frame), expected)
    assert sum(read) <= 2 * len(frame)


def test_frames_without_a_pixel_say_so():
    frame = pd.DataFrame((200 * GRAY[:, :, :9]).astype(np.uint8).reshape(7, -1)).astype("UInt8")
    frame.iloc[3, 5] = pd.NA
    with pytest.raises(ValueError, match="Input X contains NaN. Fill in"):
        ConvolutionalFeatures(3, patch_size=3).fit(frame)


def test_a_dictionary_of_nonnegative_parts():
    nmf = NMF(4, init="random", random_state=0, max_iter=500)
    options = {"encoder": "code", "contrast": None, "whitening": None, "patch_size": 3}
    features = ConvolutionalFeatures(4, dictionary=nmf, random_state=0, **options).fit(GRAY)
    assert (features.transform(GRAY) >= 0).all()


def test_a_dictionary_whose_code_of_one_row_is_a_vector():
    """As that of SparsePCA is: the only patch of one image is a band of one row."""
    images = GRAY[:, :4, :4]
    options = {"encoder": "code", "contrast": None, "whitening": None, "pool_grid": 1}
    features = ConvolutionalFeatures(
        dictionary=SparsePCA(3, alpha=0.01, max_iter=5), patch_size=4, random_state=0, **options
    ).fit(images)
    expected = features.dictionary_.transform(images.reshape(len(images), -1))
    np.testing.assert_allclose(features.transform(images), expected)
    np.testing.assert_allclose(features.transform(images[:1]), expected[:1])
