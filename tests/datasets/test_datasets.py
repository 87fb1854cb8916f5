"""Generated sets have what the recipe asks for."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import rotate
from scipy.signal import fftconvolve
from sklearn.datasets import load_digits
from sklearn.utils import Bunch

from skae.datasets import (
    _mnist,
    fetch_mnist,
    make_convex,
    make_digits,
    make_rectangles,
    published_split,
)
from skae.datasets._splits import SIZES
from skae.datasets._variations import VARIATIONS, rotated

rng = np.random.default_rng(0)
IMAGES = [rng.random((40, 60)), rng.random((30, 30))]
DIGITS = load_digits()
X_DIGITS, Y_DIGITS = DIGITS.data / 16, DIGITS.target


def generators():
    yield lambda n, seed: make_rectangles(n, random_state=seed)
    yield lambda n, seed: make_rectangles(n, images=IMAGES, random_state=seed)
    yield lambda n, seed: make_convex(n, random_state=seed)
    for name in VARIATIONS:
        yield lambda n, seed, name=name: make_digits(
            X_DIGITS, Y_DIGITS, name, images=IMAGES, n_samples=n, random_state=seed
        )


@pytest.mark.parametrize("generate", list(generators()))
def test_pixels_are_float32_between_0_and_1_and_follow_the_seed(generate):
    X, y = generate(200, 0)
    assert X.dtype == np.float32 and X.shape[0] == y.shape[0] == 200
    assert 0 <= X.min() < X.max() <= 1
    again, other = generate(200, 0), generate(200, 1)
    np.testing.assert_array_equal(X, again[0])
    np.testing.assert_array_equal(y, again[1])
    assert not np.array_equal(X, other[0])


def bounding_box(image):
    rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
    return rows[0], rows[-1], columns[0], columns[-1]


def test_rectangles_are_outlines_tall_or_wide():
    X, y = make_rectangles(500, random_state=0)
    for image, tall in zip(X.reshape(-1, 28, 28), y):
        top, bottom, left, right = bounding_box(image)
        expected = np.zeros((28, 28))
        expected[top : bottom + 1, left : right + 1] = 1
        expected[top + 1 : bottom, left + 1 : right] = 0
        np.testing.assert_array_equal(image, expected)
        height, width = bottom - top + 1, right - left + 1
        assert abs(height - width) >= 3
        assert tall == (height > width)
    assert 0.4 < y.mean() < 0.6


def is_rectangle(mask):
    top, bottom, left, right = bounding_box(mask)
    return mask[top : bottom + 1, left : right + 1].all()


def test_rectangles_with_images_have_the_published_sizes():
    light, dark = 0.5 + IMAGES[0] / 2, IMAGES[0] / 2
    X, y = make_rectangles(300, images=[light, dark], random_state=0)
    seen = 0
    for image, tall in zip(X.reshape(-1, 28, 28) >= 0.5, y):
        if image.all() or not image.any() or is_rectangle(image) == is_rectangle(~image):
            continue  # it cannot be seen which of the two is in front
        seen += 1
        top, bottom, left, right = bounding_box(image if is_rectangle(image) else ~image)
        height, width = bottom - top + 1, right - left + 1
        assert min(height, width) >= 10 and abs(height - width) >= 5
        assert 0.25 <= height * width / 28**2 <= 0.75
        assert tall == (height > width)
    assert seen > 100


def test_rotation_is_that_of_scipy():
    angles = rng.uniform(0, 360, 20)
    X = rng.random((20, 49)).astype(np.float32)
    turned = rotated(X, np.deg2rad(angles))
    for row, image, angle in zip(turned, X.reshape(-1, 7, 7), angles):
        expected = rotate(image, angle, reshape=False, order=1)
        np.testing.assert_allclose(row.reshape(7, 7), expected, atol=1e-5)


def test_variations_are_of_the_same_digits():
    plain, y = make_digits(X_DIGITS, Y_DIGITS, n_samples=300, random_state=0)
    for name in VARIATIONS:
        X, labels = make_digits(
            X_DIGITS, Y_DIGITS, name, images=IMAGES, n_samples=300, random_state=0
        )
        np.testing.assert_array_equal(labels, y)
        if name in ("bg-rand", "bg-img"):
            assert (X >= plain).all()
            assert X[plain == 0].mean() == pytest.approx(0.5, abs=0.02)
    pool = {row.tobytes() for row in X_DIGITS.astype(np.float32)}
    assert all(row.tobytes() in pool for row in plain)


def test_rotation_keeps_what_is_in_the_middle():
    middle = np.zeros((100, 9, 9))
    middle[:, 4, 4] = 1
    X, _ = make_digits(middle.reshape(100, 81), np.zeros(100), "rot", random_state=0)
    np.testing.assert_allclose(X[:, 40], 1, atol=1e-6)


def test_patches_without_texture_are_left_out():
    flat = np.full((50, 50), 0.5)
    X, _ = make_digits(
        np.zeros((50, 64)), np.zeros(50), "bg-img", images=[flat, IMAGES[0]], random_state=0
    )
    assert (X.std(axis=1) > 0.1).all()
    with pytest.raises(ValueError, match="more contrast"):
        make_rectangles(5, images=[flat])


def has_all_between(mask):
    """Return whether the middle of each pair of white pixels is white, if it is a pixel."""
    n_pairs = np.round(fftconvolve(mask, mask))  # by the sum of their positions
    return mask[n_pairs[::2, ::2] > 0].all()


def is_within_a_line(mask):
    """Return whether a black pixel has white ones on both sides, in a row or a column."""
    for lines in (mask, mask.T):
        inside = np.maximum.accumulate(lines, axis=1)
        inside &= np.maximum.accumulate(lines[:, ::-1], axis=1)[:, ::-1]
        if (inside & ~lines).any():
            return True
    return False


@pytest.mark.slow
def test_regions_are_convex_or_not():
    X, y = make_convex(600, random_state=0)
    masks = X.reshape(-1, 28, 28) == 1
    assert np.isin(X, (0, 1)).all() and 0.4 < y.mean() < 0.6
    for mask in masks[y == 1]:
        assert mask.sum() >= 19 and has_all_between(mask) and not is_within_a_line(mask)
    others = masks[y == 0]
    assert all(mask.sum() >= 10 for mask in others)
    # What is convex has the middles of all pairs; few other regions have them, by the size of pixels.
    assert np.mean([has_all_between(mask) for mask in others]) < 0.1
    # The recipe balances the number of pixels.
    assert 0.9 < X[y == 1].sum() / X[y == 0].sum() * np.mean(y == 0) / np.mean(y == 1) < 1.1


def test_splits_are_the_published_ones():
    X = np.arange(62_000)
    for name, (n_train, n_validation) in SIZES.items():
        n = n_train + n_validation + 50_000
        parts = published_split(X[:n], X[:n], name)
        assert [len(y) for _, y in parts.values()] == [n_train, n_validation, 50_000]
        np.testing.assert_array_equal(np.concatenate([x for x, _ in parts.values()]), X[:n])
    with pytest.raises(ValueError, match="10000 rows for training"):
        published_split(X[:12_000], X[:12_000], "basic")
    with pytest.raises(ValueError, match="name must be one of"):
        published_split(X, X, "mnist")


def test_wrong_input_is_named():
    for options, message in (
        ({"variation": "rotated"}, "variation must be one of"),
        ({"variation": "bg-img"}, "needs images"),
        ({"variation": "bg-img", "images": []}, "at least one"),
        ({"variation": "bg-img", "images": [np.zeros((5, 5))]}, "8 x 8 or larger"),
        ({"variation": "bg-img", "images": [np.full((9, 9), 255)]}, "divide 8-bit"),
    ):
        with pytest.raises(ValueError, match=message):
            make_digits(X_DIGITS, Y_DIGITS, **options)
    for X in (DIGITS.data, X_DIGITS[:, :60]):
        with pytest.raises(ValueError, match=r"square images with values in \[0, 1\]"):
            make_digits(X, Y_DIGITS)


def stored(folder):
    x = rng.integers(0, 256, (15, 28, 28), dtype=np.uint8)
    y = np.arange(15, dtype=np.uint8) % 10
    np.savez(folder / "mnist.npz", x_train=x[:10], y_train=y[:10], x_test=x[10:], y_test=y[10:])
    return x, y


def test_mnist_from_a_folder(tmp_path):
    x, y = stored(tmp_path)
    mnist = fetch_mnist(Path(tmp_path))
    assert mnist.data.dtype == np.float32
    np.testing.assert_allclose(mnist.data * 255, x.reshape(15, 784), atol=1e-4)
    np.testing.assert_array_equal(mnist.target, y)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("y_test", np.zeros(4, int), "a label for each image; got 5 images and labels of shape"),
        ("y_train", np.arange(10) - 1, "the labels 0 to 9; got .*-1"),
        ("y_train", np.arange(10) + 0.5, "the labels 0 to 9"),
        ("y_train", np.array(list("0123456789")), "the labels 0 to 9"),
        ("x_train", rng.random((10, 784)), "pixels from 0 to 255"),
        ("x_train", np.full((10, 784), -1), "pixels from 0 to 255; got -1"),
        ("x_test", np.full((5, 784), np.nan), "pixels from 0 to 255; got nan"),
        ("x_test", np.full((5, 783), 9), r"28 x 28 numbers; got int64 of shape \(5, 783\)"),
        ("x_test", np.empty((0, 784)), "28 x 28 numbers"),
        ("x_test", None, "cannot be read.*x_test"),
        ("x_test", np.full((5, 784), None), "cannot be read.*Delete it"),
    ],
)
def test_a_file_that_is_not_mnist_is_refused(tmp_path, name, content, message):
    stored(tmp_path)
    path = tmp_path / "mnist.npz"
    with np.load(path) as file:
        arrays = {**file, name: content}
    np.savez(path, **{key: each for key, each in arrays.items() if each is not None})
    with pytest.raises(ValueError, match=message):
        fetch_mnist(tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (10000000000, 28, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (5, 784, }",
    ],
    ids=["more than there is", "unfinished"],
)
def test_a_damaged_file_is_not_mnist(tmp_path, header):
    stored(tmp_path)
    path = tmp_path / "mnist.npz"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = f"{header:117}\n".encode()
    members["x_test.npy"] = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match="cannot be read as the MNIST digits.*Delete it"):
        fetch_mnist(tmp_path)
    with open(path, "wb") as file:
        np.save(file, np.zeros((5, 784)))
    with pytest.raises(ValueError, match="cannot be read as the MNIST digits.*Delete it"):
        fetch_mnist(tmp_path)


def test_mnist_from_openml(monkeypatch):
    def fetch(name, **options):
        assert name == "mnist_784" and options["data_home"] == "here"
        return Bunch(data=np.full((3, 784), 51), target=np.array(["5", "0", "4"], object)).values()

    monkeypatch.setattr(_mnist, "fetch_openml", fetch)
    mnist = fetch_mnist(data_home="here")
    np.testing.assert_allclose(mnist.data, 0.2, rtol=1e-6)
    np.testing.assert_array_equal(mnist.target, [5, 0, 4])


@pytest.mark.parametrize("index", [np.linspace(5, 6, 1300), np.linspace(0, 1e4, 1300)])
def test_frames_are_split_by_place_whatever_their_index(index):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": np.arange(1300)}, index=index)
    parts = published_split(frame, frame["a"], "rect")
    found = [list(each) for X, y in parts.values() for each in (X["a"], y)]
    wanted = [list(range(*ends)) for ends in ((0, 1000), (1000, 1200), (1200, 1300))]
    assert found == [each for part in wanted for each in (part, part)]


@pytest.mark.parametrize("make", [list, tuple, pd.Series])
def test_classes_are_an_array(make):
    X, y = load_digits(return_X_y=True)
    options = {"n_samples": 50, "random_state": 0}
    found = make_digits(X / 16, make(y), **options)[1]
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, make_digits(X / 16, y, **options)[1])


def test_masked_and_complex_numbers_are_no_images():
    digits, image = load_digits(), np.random.default_rng(0).random((40, 40))
    X, y = digits.data / 16, digits.target
    for arguments in ((np.ma.masked_equal(X, 1), y), (X, np.ma.masked_equal(y, 1))):
        with pytest.raises(ValueError, match="X and y must not have masked values"):
            make_digits(*arguments, n_samples=5)
    for images, words in (
        ([np.ma.masked_less(image, 0.5)], "images have masked values"),
        ([image + 1j], "images must be arrays of real numbers; got the dtype complex128"),
        ("text", "images must be arrays of real numbers"),
    ):
        with pytest.raises(ValueError, match=words):
            make_rectangles(5, images=images)


def test_the_folder_of_mnist_may_be_named_in_bytes(tmp_path):
    images, labels = np.full((2, 784), 255, np.uint8), np.array([3, 7])
    parts = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    np.savez(tmp_path / "mnist.npz", **parts)
    found = fetch_mnist(os.fsencode(tmp_path))
    np.testing.assert_array_equal(found.target, [3, 7, 3, 7])
