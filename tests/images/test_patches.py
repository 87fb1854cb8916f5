"""Patches, whitening, contrast, denoising."""

import re

import numpy as np
import pandas as pd
import pytest
from common import sklearn_checks
from scipy.ndimage import convolve1d
from sklearn.feature_extraction.image import extract_patches_2d

from skae import SparseCoder
from skae.images import ZCA, _patches, denoise, normalize_contrast, sample_patches

rng = np.random.default_rng(0)


@sklearn_checks([ZCA()])
def test_sklearn(estimator, check):
    check(estimator)


def test_whitening_is_the_symmetric_root_of_the_inverse_covariance():
    X = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6)) + 3
    zca = ZCA(epsilon=1e-10).fit(X)
    covariance = np.cov(X.T, bias=True)
    np.testing.assert_allclose(zca.whitening_, zca.whitening_.T, atol=1e-8)
    np.testing.assert_allclose(zca.whitening_ @ covariance @ zca.whitening_, np.eye(6), atol=1e-6)
    np.testing.assert_allclose(zca.inverse_transform(zca.transform(X)), X)


def test_whitening_of_constant_features_stays_finite():
    X = np.column_stack([np.full(50, 2.0), rng.standard_normal(50)])
    assert np.isfinite(ZCA().fit_transform(X)).all()
    assert np.isfinite(ZCA().fit_transform(np.ones((50, 3)))).all()


@pytest.mark.slow
def test_the_mean_of_many_rows_in_float32_is_exact():
    X = (1 + 0.1 * rng.random((1_000_000, 2))).astype(np.float32)
    np.testing.assert_allclose(ZCA().fit(X).mean_, X.mean(axis=0, dtype=float), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning:numpy")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whitening_of_the_largest_numbers(dtype):
    X = rng.uniform(-1, 1, (50, 3)).astype(dtype)
    largest = np.finfo(dtype).max
    # The sum of the rows is beyond the range, their mean is not.
    X[:, 0] = np.abs(X[:, 0])
    if dtype == np.float32:
        found = ZCA().fit(largest / 2 * X).transform(largest / 2 * X)
        np.testing.assert_allclose(found, ZCA().fit_transform(X), rtol=1e-3, atol=1e-3)
    X[:2, 1] = 1, -1
    with pytest.raises(ValueError, match="X is too large for float.*: scale it"):
        ZCA().fit(largest * X)


def test_contrast_is_local():
    texture = rng.standard_normal((64, 64))
    contrast = np.where(np.arange(64) < 32, 1.0, 20.0)
    image = texture * contrast + np.linspace(0, 50, 64)[:, np.newaxis]
    normalized = normalize_contrast(image, sigma=3.0)
    left, right = normalized[10:-10, 8:24], normalized[10:-10, 40:56]
    assert left.std() == pytest.approx(right.std(), rel=0.2)
    assert abs(convolve1d(normalized, np.ones(15) / 15)[32, 16]) < 1
    np.testing.assert_allclose(normalize_contrast(np.full((20, 20), 3.0)), 0, atol=1e-9)


def test_flat_regions_stay_flat_with_the_smallest_floor():
    image = np.zeros((20, 20), dtype=np.float32)
    image[:, 15:] = np.random.default_rng(0).random((20, 5))
    normalized = normalize_contrast(image, sigma=1.0, floor=1e-300)
    assert np.isfinite(normalized).all() and (normalized[:, :5] == 0).all()


def test_patches_come_from_the_images():
    images = [np.arange(400.0).reshape(20, 20), 1000 + np.arange(900.0).reshape(30, 30)]
    X = sample_patches(images, (3, 4), 101, center=False, random_state=0)
    assert X.shape == (101, 12)
    for row in X:
        image = images[int(row[0] >= 1000)]
        top, left = divmod(int(row[0]) % 1000, image.shape[1])
        np.testing.assert_array_equal(row.reshape(3, 4), image[top : top + 3, left : left + 4])
    centered = sample_patches(images, (3, 4), 101, random_state=0)
    np.testing.assert_allclose(centered, X - X.mean(axis=1, keepdims=True))


def test_one_number_is_the_size_of_square_patches():
    expected = sample_patches([IMAGE + np.arange(20)], (3, 3), 20, random_state=0)
    found = sample_patches([IMAGE + np.arange(20)], 3, 20, random_state=0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("make", [np.ndarray.tolist, pd.DataFrame])
def test_patches_of_lists_and_frames(make):
    images = [rng.random((9, 7)), rng.random((6, 8))]
    expected = sample_patches(images, (3, 4), 20, random_state=0)
    found = sample_patches([make(image) for image in images], (3, 4), 20, random_state=0)
    np.testing.assert_array_equal(found, expected)


def test_patches_in_color_are_in_the_order_height_width_channel():
    image = np.arange(9 * 8 * 3).reshape(9, 8, 3)
    for row in sample_patches([image], (2, 4), 20, center=False, random_state=0):
        top, left = divmod(row[0] // 3, 8)
        np.testing.assert_array_equal(row.reshape(2, 4, 3), image[top : top + 2, left : left + 4])


@pytest.mark.parametrize("size", [(3, 4), (1, 5), (20, 2), (20, 30), (1, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_image_is_denoised_in_blocks(size, dtype, monkeypatch):
    """Bitwise as an average of all patches at once, and of memory for a few rows of them."""
    image = np.random.default_rng(0).random((20, 30)).astype(dtype)
    seen = []

    class Coder:
        def reconstruct(self, X):
            seen.append(len(X))
            return np.asfortranarray(np.tanh(X))

    rows = extract_patches_2d(image, size).reshape(-1, size[0] * size[1])
    means = rows.mean(axis=1, keepdims=True)
    patches = (np.tanh(rows - means) + means).reshape(-1, *size)
    total, counts = np.zeros((2, *image.shape))
    for patch, (row, column) in zip(patches, np.ndindex(21 - size[0], 31 - size[1]), strict=True):
        place = np.s_[row : row + size[0], column : column + size[1]]
        total[place] += patch
        counts[place] += 1
    expected = total / counts
    monkeypatch.setattr(_patches, "_BLOCK_VALUES", 300)
    np.testing.assert_array_equal(denoise(image, Coder(), size), expected)
    assert max(seen) * size[0] * size[1] <= max(300, (31 - size[1]) * size[0] * size[1])
    assert sum(seen) == len(rows)


def test_denoising_gains_decibels():
    waves = np.sin(np.arange(80) / 3)
    clean = np.outer(waves, np.cos(np.arange(90) / 4))
    noisy = clean + 0.3 * rng.standard_normal(clean.shape)
    patches = sample_patches([noisy], (6, 6), 3000, random_state=0)
    coder = SparseCoder(30, alpha=0.6, max_iter=5, random_state=0).fit(patches)
    error = np.mean((denoise(noisy, coder, (6, 6)) - clean) ** 2)
    assert error < 0.15 * np.mean((noisy - clean) ** 2)


IMAGE = np.zeros((20, 20))


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: sample_patches([], (3, 3), 5), "images must be a list"),
        (
            lambda: sample_patches([IMAGE], (3, 3), 325),
            "n_patches=325 takes 325 patches of each image",
        ),
        (
            lambda: sample_patches([IMAGE, IMAGE[:2]], (3, 3), 5),
            "patch_size=(3, 3) is larger than images[1], of height 2 and width 20",
        ),
        (
            lambda: denoise(IMAGE, SparseCoder(2).fit(np.eye(9)), (21, 3)),
            "patch_size=(21, 3) is larger than image, of height 20 and width 20",
        ),
        (
            lambda: sample_patches([IMAGE, IMAGE * np.nan], (3, 3), 5),
            "images[1] contains NaN or infinity: fill in such pixels first",
        ),
        (
            lambda: normalize_contrast(IMAGE * np.nan),
            "image contains NaN or infinity: fill in such pixels first",
        ),
        (
            lambda: sample_patches([IMAGE, np.ma.masked_less(IMAGE, 1)], (3, 3), 5),
            "images[1] has masked values",
        ),
        (
            lambda: sample_patches([IMAGE, np.stack(3 * [IMAGE], axis=2)], (3, 3), 5),
            "all be gray, or all have the same number of channels",
        ),
        (
            lambda: sample_patches([IMAGE.reshape(20, 5, 2, 2)], (3, 3), 5),
            "(height, width, channels)",
        ),
        (lambda: denoise(IMAGE[0], None, (3, 3)), "got (20,). Give a signal as [signal]"),
        (lambda: denoise(IMAGE * np.nan, None, (3, 3)), "fill in such pixels first"),
        (
            lambda: denoise(np.dstack(3 * [IMAGE]), None, (3, 3)),
            "each channel of a color image alone",
        ),
        (lambda: normalize_contrast(IMAGE, sigma=0), "must be positive"),
        (lambda: normalize_contrast(IMAGE[0]), "2D array"),
        (
            lambda: denoise(IMAGE, SparseCoder(2).fit(np.eye(5)), (3, 3)),
            "coder=SparseCoder was fitted to rows of 5 numbers, but patches have 9",
        ),
    ],
)
def test_bad_images(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


def test_a_window_that_is_wider_than_the_image_is_the_whole_of_it():
    image = rng.random((9, 5))
    expected = (image - image.mean()) / image.std()
    for sigma in (40.0, 1e12, np.inf):
        np.testing.assert_allclose(normalize_contrast(image, sigma=sigma), expected, atol=1e-3)
