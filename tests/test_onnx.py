"""ONNX graphs beside the estimators that they are of, by onnxruntime."""

import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import is_classifier
from sklearn.datasets import load_digits, load_iris, load_wine

from skae import (
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.onnx import to_onnx

DIGITS, NUMBERS = load_digits(return_X_y=True)
DIGITS, NUMBERS = DIGITS[:200], NUMBERS[:200]
IRIS, SPECIES = load_iris(return_X_y=True)
WINE, GRAPES = load_wine(return_X_y=True)
FAST = {"max_iter": 3, "random_state": 0}
LAYERS = [("low", ContractiveAE(20, **FAST)), ("high", DenoisingAE(10, **FAST))]
# One-hot, 0/1, constant and real columns.
TABLE = np.column_stack([np.eye(3)[SPECIES], SPECIES > 0, np.full(150, 7.0), IRIS])

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def run(model, X):
    """Return the outputs of an ONNX model by name."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx").checker.check_model(model)
    session = runtime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"X": X.astype(np.float32)})))


def assert_near(found, expected):
    """Compare in the scale of what is expected."""
    expected = np.asarray(expected)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("X", [DIGITS, TABLE, WINE], ids=["digits", "table", "wine"])
def test_missing_values(X):
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model = DenoisingAE(8, **FAST).fit(holes)
    assert_near(run(to_onnx(model), holes)["codes"], model.transform(holes))
    found = run(to_onnx(model, "reconstruct"), holes)["reconstruction"]
    assert_near(found, model.reconstruct(holes))


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu", "softplus", "identity"])
@pytest.mark.parametrize("X", [DIGITS, TABLE, WINE], ids=["digits", "table", "wine"])
def test_codes_and_reconstructions(X, activation):
    model = AutoEncoder(8, hidden_layer_sizes=(12,), activation=activation, **FAST).fit(X)
    assert_near(run(to_onnx(model), X)["codes"], model.transform(X))
    found = run(to_onnx(model, "reconstruct"), X)["reconstruction"]
    assert_near(found, model.reconstruct(X))


@pytest.mark.parametrize(
    "model",
    [
        ContractiveAE(10, **FAST),
        DenoisingAE(10, standardize=False, **FAST),
        StackedAE(LAYERS, **FAST),
        StackedAE(LAYERS, fine_tune="reconstruction", **FAST),
        RBM(10, **FAST),
    ],
    ids=lambda model: type(model).__name__,
)
def test_codes_of_others(model):
    X = DIGITS / 16
    model.fit(X)
    assert_near(run(to_onnx(model), X)["codes"], model.transform(X))


@pytest.mark.parametrize("labels", [NUMBERS, NUMBERS.astype(str), NUMBERS > 4])
@pytest.mark.parametrize(
    "model",
    [
        StackedAEClassifier(LAYERS, **FAST),
        ManifoldTangentClassifier(
            LAYERS[0][1], n_tangents=3, output="sigmoid", penalize_unlabeled=False, **FAST
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_classifiers(model, labels):
    model.fit(DIGITS, labels)
    found = run(to_onnx(model, "predict"), DIGITS)
    assert_near(found["probabilities"], model.predict_proba(DIGITS))
    kept = model.classes_.dtype.type(found["label"][0])
    assert kept in model.classes_
    np.testing.assert_array_equal(
        found["label"].astype(model.classes_.dtype), model.predict(DIGITS)
    )
    assert_near(
        run(to_onnx(model, "predict_proba"), DIGITS)["probabilities"], model.predict_proba(DIGITS)
    )


@pytest.mark.parametrize(
    "labels",
    [
        NUMBERS.astype(np.uint64) + np.uint64(2**63),
        np.array(["2020-01-01", "2021-01-01"], "M8[D]")[NUMBERS % 2],
    ],
    ids=["large", "dates"],
)
@pytest.mark.usefixtures("few_epochs")
def test_labels_that_onnx_cannot_hold_are_refused(labels):
    model = StackedAEClassifier([5], **FAST).fit(DIGITS, labels)
    with pytest.raises(ValueError, match=r"y has classes of .*fit again with y.astype\(str\)"):
        to_onnx(model, "predict")
    assert_near(
        run(to_onnx(model, "predict_proba"), DIGITS)["probabilities"], model.predict_proba(DIGITS)
    )


@pytest.mark.parametrize(
    "model", [StackedAEClassifier([5], **FAST), StackedAERegressor([5], **FAST)]
)
@pytest.mark.usefixtures("few_epochs")
def test_names_of_columns_are_no_reason_to_warn(model):
    model.fit(pd.DataFrame(IRIS, columns=list("abcd")), SPECIES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        graph = to_onnx(model, "predict")
    found = run(graph, IRIS)
    if is_classifier(model):
        np.testing.assert_array_equal(found["label"], model.predict(IRIS))
    else:
        assert_near(found["values"], model.predict(IRIS))


def test_several_labels_and_values():
    both = np.column_stack([NUMBERS > 4, NUMBERS % 2])
    model = StackedAEClassifier(LAYERS, **FAST).fit(DIGITS, both)
    found = run(to_onnx(model, "predict"), DIGITS)
    np.testing.assert_array_equal(found["label"], model.predict(DIGITS))
    assert_near(found["probabilities"], model.predict_proba(DIGITS))
    for values in (NUMBERS * 1.5, np.column_stack([NUMBERS * 1.5, DIGITS[:, 20]])):
        model = StackedAERegressor(LAYERS, **FAST).fit(DIGITS, values)
        assert_near(run(to_onnx(model, "predict"), DIGITS)["values"], model.predict(DIGITS))


def test_what_has_no_graph_is_refused(monkeypatch):
    pytest.importorskip("onnx")
    for model in (SparseCoder(5, **FAST), RecurrentAE(LAYERS, **FAST)):
        with pytest.raises(TypeError, match="must have a feed-forward network"):
            to_onnx(model.fit(DIGITS))
    with pytest.raises(TypeError, match="AnomalyDetector or Imputer its base_"):
        to_onnx(AnomalyDetector(AutoEncoder(5, **FAST)).fit(DIGITS))
    with pytest.raises(TypeError, match="exports the activations.*got TopK.*save_features"):
        to_onnx(SparseAutoEncoder(8, **FAST).fit(DIGITS))
    model = ContractiveAE(5, **FAST).fit(DIGITS)
    with pytest.raises(TypeError, match="ContractiveAE has no predict"):
        to_onnx(model, "predict")
    with pytest.raises(ValueError, match="method must be one of"):
        to_onnx(model, "encode")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"skae\[onnx\]"):
        to_onnx(model)


@pytest.mark.parametrize("y", [SPECIES, IRIS[:, 0], (IRIS[:, :2] > 3).astype(int)])
def test_predictions_of_a_stack_that_was_fine_tuned_with_y(y):
    model = StackedAE(LAYERS, fine_tune="supervised", **FAST).fit(IRIS, y)
    found = run(to_onnx(model, "predict"), IRIS)
    if "values" in found:
        assert_near(found["values"], model.predict(IRIS))
        return
    assert_near(found["probabilities"], model.predict_proba(IRIS))
    np.testing.assert_array_equal(found["label"], model.predict(IRIS))
    assert_near(
        run(to_onnx(model, "predict_proba"), IRIS)["probabilities"], model.predict_proba(IRIS)
    )
    assert_near(run(to_onnx(model), IRIS)["codes"], model.transform(IRIS))


@pytest.mark.parametrize("method", ["transform", "reconstruct"])
@pytest.mark.parametrize("unit", [1e-50, 1e50])
def test_units_beyond_float32_are_refused(unit, method):
    pytest.importorskip("onnx")
    model = AutoEncoder(2, **FAST).fit(unit * IRIS)
    with pytest.raises(ValueError, match="X has columns in units beyond the float32 of ONNX"):
        to_onnx(model, method)


def test_units_of_y_beyond_float32_are_refused():
    pytest.importorskip("onnx")
    model = StackedAERegressor(LAYERS, **FAST).fit(IRIS, 1e50 * IRIS[:, 0])
    with pytest.raises(ValueError, match="y has columns in units beyond the float32 of ONNX"):
        to_onnx(model, "predict")


def test_columns_that_float32_rounds_are_told():
    pytest.importorskip("onnx")
    with pytest.warns(UserWarning, match=r"Values of y about 1e\+08 that differ by 0.4"):
        to_onnx(StackedAERegressor(LAYERS, **FAST).fit(IRIS, IRIS[:, 1] + 1e8), "predict")
    with pytest.warns(UserWarning, match=r"about 1e\+08 that differ by 0.4 are rounded") as told:
        to_onnx(AutoEncoder(4, **FAST).fit(IRIS + 1e8))
    assert told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_onnx(AutoEncoder(2, **FAST).fit(1000 * IRIS + 1e5))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_certain_predictions(output):
    """Sigmoids of all classes are 0 or 1 far from the data."""
    base = AutoEncoder(20, activation="identity", loss="gaussian", **FAST)
    options = {"tangent_penalty": 0, "max_iter": 30, "random_state": 0, "output": output}
    model = ManifoldTangentClassifier(base, **options).fit(DIGITS.astype(np.float32), NUMBERS)
    far = (100 * DIGITS).astype(np.float32)
    found = run(to_onnx(model, "predict"), far)
    np.testing.assert_array_equal(found["label"], model.predict(far))
    assert_near(found["probabilities"], model.predict_proba(far))
