"""Rows without a label, marked by -1, in the score of all classifiers."""

import warnings
from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold, cross_val_score
from sklearn.preprocessing import MultiLabelBinarizer

from skae import (
    DBN,
    RBM,
    BoltzmannClassifier,
    ContractiveAE,
    ManifoldTangentClassifier,
    StackedAE,
    StackedAEClassifier,
)
from skae.manifold import LocalPCA, TangentNeighborsClassifier

X, y = load_wine(return_X_y=True)
NAMES = np.array(["barolo", "grignolino", "barbera"], dtype=object)
UNLABELED = np.arange(len(y)) % 3 == 0
WEIGHTS = np.random.default_rng(0).random(len(y))
SHORT = {"max_iter": 2, "random_state": 0}
LAYERS = [("low", ContractiveAE(5, **SHORT))]
MODELS = [
    StackedAEClassifier(LAYERS, **SHORT),
    StackedAE(LAYERS, fine_tune="supervised", **SHORT),
    ManifoldTangentClassifier(ContractiveAE(5, **SHORT), n_tangents=1, **SHORT),
    BoltzmannClassifier(DBN([("low", RBM(5, **SHORT))]), **SHORT),
    TangentNeighborsClassifier(LocalPCA(5)),
]
pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def _each(models):
    return pytest.mark.parametrize("model", models, ids=lambda each: type(each).__name__)


@_each(MODELS)
@pytest.mark.parametrize(
    "labels", [np.arange(3), np.arange(3.0), NAMES], ids=["int", "float", "text"]
)
@pytest.mark.parametrize("form", [np.asarray, list])
def test_rows_without_a_label_do_not_count_in_the_score(model, labels, form):
    target = form(np.where(UNLABELED, -1, labels[y]))
    model = clone(model).fit(X, target)
    truth, predicted = labels[y[~UNLABELED]], model.predict(X)[~UNLABELED]
    assert model.score(X, target) == accuracy_score(truth, predicted)
    weighted = accuracy_score(truth, predicted, sample_weight=WEIGHTS[~UNLABELED])
    assert model.score(X, target, sample_weight=WEIGHTS) == pytest.approx(weighted)
    assert model.score(X, labels[y]) == accuracy_score(labels[y], model.predict(X))
    folds = KFold(3, shuffle=True, random_state=0)
    assert np.isfinite(cross_val_score(model, X, target, cv=folds, error_score="raise")).all()


@_each(MODELS)
def test_minus_one_counts_where_it_is_a_class(model):
    target = np.where(y == 1, 1, -1)
    model = clone(model).fit(X, target)
    assert model.score(X, target) == np.mean(model.predict(X) == target)


@_each(MODELS)
def test_no_row_with_a_label_has_no_score(model):
    with pytest.raises(ValueError, match="y has no labels"):
        clone(model).fit(X, y).score(X, np.full(len(y), -1))


@_each(MODELS)
@pytest.mark.parametrize("labels", [np.arange(3), NAMES], ids=["int", "text"])
def test_labels_in_a_column_have_the_same_score(model, labels):
    target = np.where(UNLABELED, -1, labels[y])
    model = clone(model).fit(X, target)
    for column in (target[:, None], pd.DataFrame({"label": target})):
        assert model.score(X, column) == model.score(X, target)


@_each(MODELS)
@pytest.mark.skipif(np.__version__ < "2", reason="numpy 1 has no such strings")
def test_strings_of_any_length_are_text(model):
    strings = NAMES[y].astype(np.dtypes.StringDType())
    texts, model = clone(model).fit(X, NAMES[y]), clone(model).fit(X, strings)
    assert model.predict(X).tolist() == texts.predict(X).tolist()
    assert model.score(X, strings) == texts.score(X, NAMES[y])


@_each(MODELS)
@pytest.mark.parametrize("dtype", ["Int64", "boolean", "uint64[pyarrow]"])
def test_nullable_labels_are_integers_and_booleans(model, dtype):
    """Whole numbers as floats would be one class."""
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow")
    labels = y > 0 if dtype == "boolean" else 2**60 + y.astype("u8" if "uint" in dtype else "i8")
    target = pd.Series(labels, dtype=dtype)
    for form in (target, target.to_frame()):
        model = clone(model).fit(X, form)
        assert model.classes_.dtype == labels.dtype
        np.testing.assert_array_equal(model.classes_, np.unique(labels))
        assert model.score(X, form) == np.mean(model.predict(X) == labels)


@_each(MODELS)
def test_labels_without_a_length_are_named(model):
    with pytest.raises(TypeError, match="y: Expected sequence or array-like"):
        clone(model).fit(X, (label for label in y))


@_each(MODELS)
@pytest.mark.parametrize("text", ["", " ", "nan", "<NA>"])
def test_text_like_a_missing_label_is_told(model, text):
    target = np.where(UNLABELED, text, NAMES[y])
    with pytest.warns(
        UserWarning, match="taken for classes. Rows without a label have the"
    ) as all_:
        fitted = clone(model).fit(X, target)
    assert sum("taken for classes" in str(each.message) for each in all_) == 1
    assert text in fitted.classes_


def test_usual_labels_are_not_told():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "y has the labels")
        for names in (NAMES, np.array(["None", "na", "b"], dtype=object)):
            clone(MODELS[-1]).fit(X, names[y])
            clone(MODELS[-1]).fit(X, np.where(UNLABELED, -1, names[y]))


@_each(MODELS)
@pytest.mark.parametrize("labels", [np.arange(-1, 2), np.arange(-1.0, 2), np.array([-2, -1, 3])])
def test_a_class_that_counts_as_no_label_is_told(model, labels):
    with pytest.warns(UserWarning, match=r"y has -1 in \d+ rows.*give y - y.min\(\)") as told:
        clone(model).fit(X, labels[y])
    assert sum("y has -1 in" in str(each.message) for each in told) == 1
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "y has -1")
        clone(model).fit(X, labels[y] - labels.min())
        clone(model).fit(X, np.where(np.arange(len(y)) % 2, -1, y > 0))
        clone(model).fit(X, np.where(UNLABELED, -1, y))
        clone(model).fit(X, np.where(y > 0, 1, -1))


@_each(MODELS)
@pytest.mark.parametrize("kind", ["date", "Interval", "complex"])
def test_labels_that_are_no_labels_are_told_the_cure(model, kind):
    target = {
        "date": np.array([date(2000, 1, 1 + each) for each in y]),
        "Interval": pd.cut(pd.Series(y), 3),
        "complex": y + 1j,
    }[kind]
    cure = (
        "y: Complex data not supported" if kind == "complex" else rf"y has {kind} .*astype\(str\)"
    )
    with pytest.raises(ValueError, match=cure):
        clone(model).fit(X, target)


@_each(MODELS[:1] + MODELS[2:4])
@pytest.mark.parametrize("missing", [-1, np.nan, "sparse", "frame"])
def test_indicators_cannot_be_unlabeled(model, missing):
    mark = missing if isinstance(missing, (int, float)) else -1
    indicators = np.where(UNLABELED[:, None], mark, np.eye(3)[y])
    if missing == "sparse":
        indicators = csr_matrix(indicators)
    elif missing == "frame":
        indicators = pd.DataFrame(indicators).replace(-1, pd.NA).convert_dtypes()
    message = "^(Input )?y (is an indicator matrix with -1|contains NaN).* leave them out, or fit a"
    with pytest.raises(ValueError, match=message):
        clone(model).fit(X, indicators)
    with pytest.raises(ValueError, match=message):
        clone(model).fit(X, np.eye(3, dtype=int)[y]).score(X, indicators)


@_each(MODELS[:1] + MODELS[2:4])
def test_labels_that_no_row_or_each_row_has_are_told(model):
    indicators = np.column_stack([y == 0, np.ones(len(y)), y == 1, np.zeros(len(y))])
    message = r"Column 1 of y \(like 1 other column\) is 1 in all rows of the training data"
    with pytest.warns(UserWarning, match=message):
        clone(model).fit(X, indicators)
    with pytest.warns(UserWarning, match="Column 2 of y is 0 in all rows of the training data"):
        clone(model).fit(X, indicators[:, [0, 0, 2]], sample_weight=y != 1)


@_each(MODELS[:1] + MODELS[2:4])
def test_lists_of_labels_are_refused_with_the_cure(model):
    ragged = [["a", "b"] if each else ["c"] for each in y]
    for target in (ragged, [["a", "b"] if each else ["c", "a"] for each in y]):
        with pytest.raises(
            ValueError, match="y must have one column of classes.*MultiLabelBinarizer"
        ):
            clone(model).fit(X, target)
    binary = MultiLabelBinarizer().fit_transform(ragged)
    assert clone(model).fit(X, binary).predict(X).shape == binary.shape


@_each(MODELS)
@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=str)
@pytest.mark.parametrize("dtype", [object, "category", float])
def test_the_cure_of_missing_labels_cures(model, missing, dtype):
    if dtype is float and missing is not np.nan:
        return
    labels = np.arange(3.0) if dtype is float else NAMES
    target = pd.Series(labels[y]).where(~UNLABELED, missing).astype(dtype)
    with pytest.raises(ValueError, match=r"np.where\(pandas.isna\(y\), -1, y\)"):
        clone(model).fit(X, target)
    cured = np.where(pd.isna(target), -1, target)
    expected = clone(model).fit(X, np.where(UNLABELED, -1, labels[y]))
    np.testing.assert_array_equal(clone(model).fit(X, cured).predict(X), expected.predict(X))
