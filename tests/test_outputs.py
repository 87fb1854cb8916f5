"""scikit-learn's setting of what transformers give to users does not reach codes that are used inside."""

from functools import cache

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import DBN, RBM, AnomalyDetector, AutoEncoder, SparseAutoEncoder, SparseCoder
from skae.images import ZCA, ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from skae.plotting import CodeDisplay, SaturationDisplay, SparseFeatureDisplay
from skae.sources import apply

X = load_digits().data[:150] / 16
FAST = {"max_iter": 2, "random_state": 0}


@cache
def _dense():
    return AutoEncoder(5, **FAST).fit(X)


@cache
def _sparse():
    return SparseAutoEncoder(20, k=3, **FAST).fit(X)


PATCHES = {"patch_size": 3, "pool_grid": 4, "n_patches": 500, "random_state": 0}
INSIDE = {
    "detector": lambda: AnomalyDetector(SparseAutoEncoder(20, k=3, **FAST)).fit(X).score_samples(X),
    "detector, coder": lambda: (
        AnomalyDetector(SparseCoder(9, sparse_output=True, **FAST)).fit(X).score_samples(X)
    ),
    "features of images": lambda: (
        ConvolutionalFeatures(
            dictionary=SparseAutoEncoder(8, k=2, **FAST), encoder="code", **PATCHES
        )
        .fit(X)
        .set_output(transform="default")
        .transform(X)
    ),
    "stages": lambda: (
        ConvolutionalStack(
            [
                ("low", ConvolutionalFeatures(4, **PATCHES)),
                ("high", ConvolutionalFeatures(4, **{**PATCHES, "pool_grid": 1})),
            ]
        )
        .fit(X)
        .set_output(transform="default")
        .transform(X)
    ),
    "plane": lambda: np.abs(CodeDisplay.from_estimator(_dense(), X).points),
    "plane of sparse codes": lambda: np.abs(CodeDisplay.from_estimator(_sparse(), X).points),
    "saturation": lambda: SaturationDisplay.from_estimator(_sparse(), X).shares,
    "features": lambda: SparseFeatureDisplay.from_estimator(_sparse(), X).features,
    "parts": lambda: apply(_sparse(), iter([X[:80], X[80:]])).toarray(),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("name", INSIDE)
def test_data_frames_as_output_change_nothing_inside(name, output):
    pytest.importorskip(output)
    expected = INSIDE[name]()
    with config_context(transform_output=output):
        np.testing.assert_allclose(INSIDE[name](), expected, rtol=1e-9)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_an_estimator_that_gives_data_frames_is_used_inside(output):
    pytest.importorskip(output)
    framed = SparseAutoEncoder(20, k=3, **FAST).set_output(transform=output)
    scores = AnomalyDetector(framed).fit(X).score_samples(X)
    np.testing.assert_array_equal(scores, INSIDE["detector"]())
    framed.fit(X)
    features = SparseFeatureDisplay.from_estimator(framed, X).features
    np.testing.assert_array_equal(features, INSIDE["features"]())
    np.testing.assert_array_equal(
        np.abs(CodeDisplay.from_estimator(framed, X).points), INSIDE["plane of sparse codes"]()
    )
    with pytest.raises(ValueError, match="sparse_output=False"):
        framed.transform(X)


@pytest.mark.parametrize("method", ["transform", "fit_transform"])
@pytest.mark.parametrize(
    "transformer",
    [
        AutoEncoder(5, **FAST),
        SparseCoder(4, **FAST),
        ConvolutionalFeatures(4, image_shape=(8, 8), **PATCHES),
        ConvolutionalPSD(2, patch_size=3, image_shape=(8, 8), **FAST),
        ConvolutionalStack([("low", ConvolutionalFeatures(4, **PATCHES))], image_shape=(8, 8)),
        ZCA(),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_users_get_the_data_frames_that_they_ask_for(transformer, method):
    pandas = pytest.importorskip("pandas")
    model = clone(transformer).fit(X)
    expected = model.transform(X)
    frame = getattr(model.set_output(transform="pandas"), method)(X)
    assert isinstance(frame, pandas.DataFrame)
    assert frame.columns.tolist() == model.get_feature_names_out().tolist()
    np.testing.assert_array_equal(frame, expected)


LAYERS = [("low", RBM(5, **FAST)), ("high", RBM(4, **FAST))]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize(
    "model",
    [
        AutoEncoder(5, **FAST),
        SparseAutoEncoder(8, k=3, sparse_output=False, **FAST),
        SparseCoder(6, split_sign=True, **FAST),
        DBN(LAYERS, random_state=0),
        ZCA(),
    ],
    ids=lambda model: type(model).__name__,
)
def test_codes_in_another_order_are_not_decoded(model, output):
    pytest.importorskip(output)
    codes = clone(model).fit(X).set_output(transform=output)
    frame, expected = codes.transform(X), codes.inverse_transform(codes.transform(X).to_numpy())
    np.testing.assert_array_equal(codes.inverse_transform(frame), expected)
    names = list(frame.columns)
    with pytest.raises(ValueError, match="X must have the columns of .*in the same order: give"):
        codes.inverse_transform(frame[names[::-1]])
    frame.columns = [f"other {name}" for name in names]
    np.testing.assert_array_equal(codes.inverse_transform(frame), expected)


def test_initial_codes_in_another_order_are_refused():
    coder = SparseCoder(3, **FAST).fit(X).set_output(transform="pandas")
    codes = coder.transform(X)
    with pytest.raises(ValueError, match="init must have the columns of SparseCoder.transform in"):
        coder.infer(X, codes[codes.columns[::-1]])
