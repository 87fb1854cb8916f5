"""Functions and displays of numpy, given models and arrays of other libraries."""

import pickle

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from common import in_library, some_digits
from sklearn import config_context
from sklearn.base import clone

from skae import (
    DenoisingAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.generative import (
    EnergyAE,
    ball_moments,
    local_moments,
    parzen_log_likelihood,
    sample_chain,
    sample_langevin,
    sample_walkback,
)
from skae.images import normalize_contrast, sample_patches
from skae.io import load, load_weights, save, save_weights
from skae.onnx import to_onnx
from skae.plotting import (
    ChainDisplay,
    CodeDisplay,
    FilterDisplay,
    ReconstructionDisplay,
    SaturationDisplay,
    SparseFeatureDisplay,
    SpectrumDisplay,
    TangentDisplay,
)

pytest.importorskip("array_api_compat")
pytestmark = pytest.mark.filterwarnings("ignore")  # few epochs learn little
matplotlib.use("Agg")
SHORT = {"max_iter": 2, "random_state": 0}
NOISY = DenoisingAE(9, loss="gaussian", corruption="gaussian", **SHORT)


def _image(display):
    return display.ax_.images[0].get_array()


def _nothing(X, seed, out):  # noise would depend on the last bits of X
    out[...] = X


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize(
    "result",
    [
        lambda model, X: sample_chain(model, X[:3, ...], 2, 0.1, random_state=0),
        lambda model, X: sample_langevin(model, X[:3, ...], 2, random_state=0),
        lambda model, X: sample_walkback(model, X[:3, ...], 2, corruption=_nothing),
        lambda model, X: local_moments(model, X[:3, ...]).covariance,
        lambda model, X: ball_moments(X, X[:3, ...], 9.0).mean,
        lambda model, X: parzen_log_likelihood(X, X, 1.0).log_likelihoods,
        lambda model, X: normalize_contrast(X),
        lambda model, X: sample_patches([X], (3, 4), 20, random_state=0),
        lambda model, X: SparseCoder.from_estimator(model).dictionary,
        lambda model, X: _image(FilterDisplay.from_estimator(model)),
        lambda model, X: _image(ReconstructionDisplay.from_estimator(model, X[:4, ...])),
        lambda model, X: _image(TangentDisplay.from_estimator(model, X[:4, ...])),
        lambda model, X: _image(
            ChainDisplay.from_estimator(model, X[:4, ...], n_steps=3, corruption=_nothing)
        ),
        lambda model, X: SpectrumDisplay.from_estimator(model, X[:9, ...]).spectrum,
        lambda model, X: SaturationDisplay.from_estimator(model, X).shares,
        lambda model, X: CodeDisplay.from_estimator(model, X, components=(0, 1)).points,
    ],
)
def test_results_are_those_of_numpy(library, result):
    X = some_digits("float64")
    (theirs,) = in_library(library, X)
    expected = result(clone(NOISY).fit(X), X)
    with config_context(array_api_dispatch=True):
        found = result(clone(NOISY).fit(theirs), theirs)
    plt.close("all")
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_sparse_features_are_drawn(library):
    X = some_digits("float64")
    (theirs,) = in_library(library, X)
    model = SparseAutoEncoder(20, k=3, **SHORT)
    expected = SparseFeatureDisplay.from_estimator(clone(model).fit(X), X)
    with config_context(array_api_dispatch=True):
        found = SparseFeatureDisplay.from_estimator(clone(model).fit(theirs), theirs)
    plt.close("all")
    np.testing.assert_array_equal(found.features, expected.features)
    np.testing.assert_allclose(found.rows, expected.rows, atol=1e-6)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("several", [False, True])
def test_classifiers_are_written(library, several, tmp_path):
    """As weights, and as a graph: whether a row has one class is read off a prediction."""
    X = some_digits("float64")
    y = (X[:, [20, 30]] > X[:, [20, 30]].mean(axis=0)).astype(int)
    arrays = in_library(library, X, y if several else y[:, 0])
    with config_context(array_api_dispatch=True):
        model = StackedAEClassifier([3], **SHORT).fit(*arrays)
        save_weights(model, tmp_path / "weights")
        pytest.importorskip("onnx")
        assert to_onnx(model, "predict").graph.output[0].name == "label"
    assert load_weights(tmp_path / "weights")[1]["multilabel"] is several


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_regressors_are_written(library, tmp_path):
    X = some_digits("float64")
    y = X[:, [20, 30]] * [1, 30]
    theirs = in_library(library, X, y)
    with config_context(array_api_dispatch=True):
        model = StackedAERegressor([3], **SHORT).fit(*theirs)
        for attribute, expected in (
            (model.target_center_, y.mean(axis=0)),
            (model.target_scale_, y.std(axis=0)),
        ):
            assert type(attribute) is type(theirs[0])
            np.testing.assert_allclose(np.from_dlpack(attribute), expected)
        save_weights(model, tmp_path / "weights")
        pytest.importorskip("onnx")
        assert to_onnx(model, "predict").graph.output[0].name == "values"
    np.testing.assert_allclose(load_weights(tmp_path / "weights")[0]["target_scale"], y.std(axis=0))


@pytest.mark.parametrize("model", [NOISY, SparseAutoEncoder(20, k=3, **SHORT)])
def test_models_in_files_take_arrays_of_any_library(model, tmp_path):
    pytest.importorskip("skops")
    X = some_digits("float64")
    theirs, strict = in_library("torch", X)[0], in_library("array_api_strict", X)[0]
    with config_context(array_api_dispatch=True):
        fitted = clone(model).fit(theirs)
        save(fitted, tmp_path / "model")
        read = load(tmp_path / "model")
        expected = fitted.transform(theirs)
        for each in (theirs, strict):
            assert type(read.transform(each)) is type(each)
            np.testing.assert_allclose(np.from_dlpack(read.transform(each)), expected, atol=1e-12)
        assert type(read.components_) is np.ndarray


def test_models_in_files_refuse_arrays_that_their_class_does_not_take():
    X = some_digits("float64")
    model = EnergyAE(5, max_iter=1, random_state=0).fit(X)
    codes = in_library("torch", model.transform(X))[0]
    read = pickle.loads(pickle.dumps(model))
    with config_context(array_api_dispatch=True):
        for method, given in (
            ("transform", in_library("torch", X)[0]),
            ("inverse_transform", codes),
        ):
            with pytest.raises(TypeError, match="EnergyAE takes arrays of numpy only"):
                getattr(read, method)(given)
