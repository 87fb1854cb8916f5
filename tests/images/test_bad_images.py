"""Images that no estimator can use are told by all, and those of other kinds are the same images."""

import re

import numpy as np
import pytest
from sklearn.base import clone

from skae.images import ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack

COLOR = np.random.default_rng(0).random((12, 8, 8, 3))
HOLE = COLOR.copy()
HOLE[3, 2, 1, 0] = np.nan
PATCHES = {"dictionary": "patches", "random_state": 0}
LOW = ConvolutionalFeatures(3, patch_size=3, pool_size=2, pool_stride=1, **PATCHES)
HIGH = ConvolutionalFeatures(2, patch_size=2, **PATCHES)
MODELS = [
    ConvolutionalFeatures(3, patch_size=3, **PATCHES),
    ConvolutionalStack([("low", LOW), ("high", HIGH)]),
    ConvolutionalPSD(3, patch_size=3, max_iter=1, random_state=0),
]
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@each_model
@pytest.mark.parametrize(
    ("options", "X", "words"),
    [
        ({}, COLOR[:, :2], "patch_size=3 is larger than the images of X, of height 2"),
        ({}, HOLE, "X contains NaN or infinity: fill in such pixels first"),
        ({"image_shape": (8, 7, 3)}, COLOR, "channels (8, 8, 3), not (8, 7, 3)"),
        ({"image_shape": (8, 7, 3)}, COLOR.reshape(12, -1), "image_shape=(8, 7, 3) needs 168"),
    ],
)
def test_what_cannot_be_learned_from(model, options, X, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        clone(model).set_params(**options).fit(X)


@each_model
def test_what_cannot_be_transformed(model):
    model = clone(model).fit(COLOR)
    for X, words in (
        (COLOR[..., 0], "channels (8, 8, 1), not (8, 8, 3)"),
        (COLOR[..., :1], "channels (8, 8, 1), not (8, 8, 3)"),
        (HOLE, "X contains NaN or infinity: fill in such pixels first"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            model.transform(X)


@each_model
def test_constant_images(model):
    flat = np.full_like(COLOR, 0.5)
    assert np.isfinite(clone(model).fit(COLOR).transform(flat)).all()
    if isinstance(model, ConvolutionalPSD):  # it may learn their brightness
        with pytest.warns(UserWarning, match="these are all the same"):
            clone(model).fit(flat)
    else:
        with pytest.raises(ValueError, match="constant patches only"):
            clone(model).fit(flat)


@each_model
def test_whole_pixels_are_shares_of_255(model):
    pixels = (255 * COLOR).astype(np.uint8)
    shares = (pixels / 255).astype(np.float32)
    codes = clone(model).fit(shares).transform(shares)
    np.testing.assert_allclose(clone(model).fit(pixels).transform(pixels), codes, atol=1e-5)
    whole = clone(model).fit(pixels.astype(int)).transform(pixels.astype(int))
    units = 255 if isinstance(model, ConvolutionalPSD) else 1  # its codes have those of pixels
    np.testing.assert_allclose(whole / units, codes, rtol=1e-3, atol=1e-3)
