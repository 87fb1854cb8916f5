"""Fitted parts in cross-validation, and stacks that predict to scikit-learn's tools."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, MiniBatchDictionaryLearning
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence
from sklearn.metrics import get_scorer, roc_auc_score
from sklearn.model_selection import cross_val_score

from skae import (
    DBM,
    DBN,
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    BoltzmannClassifier,
    ContractiveAE,
    Imputer,
    ManifoldTangentClassifier,
    SparseCoder,
    StackedAE,
)
from skae.generative import JointEnergy
from skae.images import ConvolutionalFeatures
from skae.manifold import TangentNeighborsClassifier

DIGITS = load_digits(n_class=2)
X, Y = DIGITS.data[:120] / 16, DIGITS.target[:120]
SHORT = {"max_iter": 2, "random_state": 0}
BASE = ContractiveAE(6, **SHORT).fit(X)
MACHINE = DBN([("low", RBM(6, **SHORT))], random_state=0).fit(X)
WHOLES = [
    AnomalyDetector(FrozenEstimator(BASE)),
    Imputer(FrozenEstimator(BASE)),
    ManifoldTangentClassifier(FrozenEstimator(BASE), n_tangents=2, **SHORT),
    BoltzmannClassifier(FrozenEstimator(MACHINE), **SHORT),
    TangentNeighborsClassifier(FrozenEstimator(BASE), n_neighbors=3, n_tangents=2),
    JointEnergy(FrozenEstimator(BASE), n_draws=2, burn_in=1, random_state=0),
]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _part(model):
    return model.encoder_ if hasattr(model, "encoder_") else model.base_


@pytest.mark.parametrize("model", WHOLES, ids=lambda each: type(each).__name__)
def test_a_frozen_part_is_taken_as_it_is(model):
    fitted = clone(model).fit(X[::2], Y[::2])
    given = MACHINE if isinstance(model, BoltzmannClassifier) else BASE
    np.testing.assert_array_equal(_part(fitted).transform(X), given.transform(X))
    if "prefit" in model.get_params():
        name = "encoder" if "encoder" in model.get_params() else "base"
        options = {name: _part(fitted), "prefit": True}
        again = clone(model).set_params(**options).fit(X[::2], Y[::2])
        method = "predict_proba" if is_classifier(model) else "score_samples"
        np.testing.assert_array_equal(getattr(fitted, method)(X), getattr(again, method)(X))


LAYERS = [("low", AutoEncoder(5, **SHORT)), ("high", AutoEncoder(4, **SHORT))]
REFITTED = [
    *((whole, ContractiveAE(6, **SHORT)) for whole in WHOLES if whole is not WHOLES[3]),
    (WHOLES[3], DBN([("low", RBM(6, **SHORT))], random_state=0)),
    (AnomalyDetector(FrozenEstimator(BASE)), StackedAE(LAYERS, random_state=0)),
    (AnomalyDetector(FrozenEstimator(BASE)), SparseCoder(5, alpha=0.1, **SHORT)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("whole", "part"), REFITTED, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("frozen", [True, False])
def test_a_part_that_is_fitted_anew_leaves_the_whole(whole, part, frozen):
    if not frozen and "prefit" not in whole.get_params():
        return
    part = clone(part).fit(X)
    name = "encoder" if "encoder" in whole.get_params() else "base"
    options = {name: FrozenEstimator(part)} if frozen else {name: part, "prefit": True}
    fitted = clone(whole).set_params(**options).fit(X, Y)
    holes = np.where(np.arange(X.size).reshape(X.shape) % 7, X, np.nan)
    methods = "predict_proba", "score_samples", "transform"
    method = getattr(fitted, next(each for each in methods if hasattr(fitted, each)))
    rows = holes if isinstance(whole, Imputer) else X
    expected = method(rows)
    assert np.isfinite(expected).all()
    changes = [lambda: part.fit(X[::-1] * 5 + 3), lambda: part.fit(X[:, :9])]
    if hasattr(part, "partial_fit"):
        changes.insert(0, lambda: part.partial_fit(X * 5))
    if hasattr(part, "warm_start"):
        changes.insert(1, lambda: part.set_params(warm_start=True).fit(X * 5).set_params(warm_start=False))  # fmt: skip
    for change in changes:
        change()
        np.testing.assert_array_equal(method(rows), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("Part", [AutoEncoder, MiniBatchKMeans])
@pytest.mark.usefixtures("few_epochs")
def test_a_dictionary_that_is_fitted_anew_leaves_the_features(Part):
    rng = np.random.default_rng(0)
    images, patches = rng.random((5, 12, 12)), rng.random((50, 25))
    part = Part(4, random_state=0).fit(patches)
    options = {"encoder": "code", "patch_size": 5, "random_state": 0}
    features = ConvolutionalFeatures(dictionary=FrozenEstimator(part), **options).fit(images)
    expected = features.transform(images)
    for change in (part.partial_fit, part.fit):
        change(patches * 5)
        np.testing.assert_array_equal(features.transform(images), expected)


@pytest.mark.parametrize("model", WHOLES, ids=lambda each: type(each).__name__)
def test_a_frozen_part_must_be_fitted_and_of_the_same_columns(model):
    name = "encoder" if "encoder" in model.get_params() else "base"
    part = clone(_part(clone(model).fit(X, Y)))
    with pytest.raises(ValueError, match=f"needs a fitted {name}"):
        clone(model).set_params(**{name: FrozenEstimator(part)}).fit(X, Y)
    with pytest.raises(ValueError, match="features"):
        clone(model).fit(X[:, :9], Y)


def test_a_fitted_base_is_cross_validated():
    model = ManifoldTangentClassifier(
        FrozenEstimator(BASE), n_tangents=2, max_iter=30, learning_rate_init=0.02, random_state=0
    )
    before = BASE.components_.copy()
    assert cross_val_score(model, X, Y, cv=2).min() > 0.8
    np.testing.assert_array_equal(BASE.components_, before)


def test_a_checkpoint_knows_the_weights_of_a_frozen_base(tmp_path):
    options = {"n_tangents": 2, "checkpoint": tmp_path / "state", "resume": True, **SHORT}
    ManifoldTangentClassifier(FrozenEstimator(BASE), **options).fit(X, Y)
    other = ContractiveAE(6, **SHORT, learning_rate_init=0.1).fit(X)
    other.set_params(learning_rate_init=BASE.learning_rate_init)
    with pytest.raises(ValueError, match="weights of base differ"):
        ManifoldTangentClassifier(FrozenEstimator(other), **options).fit(X, Y)


@pytest.mark.parametrize("encoder", ["code", "linear"])
def test_frozen_filters_of_images(encoder):
    images = np.random.default_rng(0).random((5, 12, 12))
    patches = np.random.default_rng(1).random((50, 25))
    dictionary = AutoEncoder(4, **SHORT).fit(patches)
    frozen = ConvolutionalFeatures(
        dictionary=FrozenEstimator(dictionary), encoder=encoder, patch_size=5, random_state=0
    )
    fitted = clone(frozen).fit(images).dictionary_
    np.testing.assert_array_equal(fitted.transform(patches), dictionary.transform(patches))
    np.testing.assert_array_equal(frozen.fit(images).components_, dictionary.components_)
    with pytest.raises(ValueError, match="25 numbers, but patches have 16"):
        clone(frozen).set_params(patch_size=4).fit(images)
    for wrong in (AutoEncoder(4), PCA(3)):
        with pytest.raises(ValueError, match="needs a fitted dictionary"):
            clone(frozen).set_params(dictionary=FrozenEstimator(wrong)).fit(images)


def _stack():
    layers = [("low", AutoEncoder(8, **SHORT))]
    options = {"max_iter": 30, "learning_rate_init": 0.02, "random_state": 0}
    return StackedAE(layers, fine_tune="supervised", **options)


def test_a_stack_that_predicts_classes_is_a_classifier():
    stack = _stack()
    assert is_classifier(stack) and not is_classifier(stack.set_params(fine_tune=None))
    stack = _stack().fit(X, Y)
    assert is_classifier(stack) and not is_regressor(stack)
    np.testing.assert_array_equal(stack.classes_, [0, 1])
    np.testing.assert_allclose(stack.predict_log_proba(X), np.log(stack.predict_proba(X)))
    score = get_scorer("roc_auc")(stack, X, Y)
    assert score == roc_auc_score(Y, stack.predict_proba(X)[:, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert cross_val_score(_stack(), X, Y, cv=2, scoring="roc_auc").min() > 0.8
    found = partial_dependence(stack, X, [36], grid_resolution=3)
    at = X.copy()
    at[:, 36] = found.grid_values[0][0]
    assert found.average[0, 0] == pytest.approx(stack.predict_proba(at)[:, 1].mean())


def test_a_stack_that_predicts_numbers_is_a_regressor():
    y = X @ np.linspace(-1, 1, 64)
    stack = _stack().fit(X, y)
    assert is_regressor(stack) and not is_classifier(stack)
    assert not hasattr(stack, "classes_") and not hasattr(stack, "predict_proba")
    found = partial_dependence(stack, X, [36], grid_resolution=3)
    at = X.copy()
    at[:, 36] = found.grid_values[0][0]
    assert found.average[0, 0] == pytest.approx(stack.predict(at).mean())
    assert cross_val_score(_stack(), X, y, cv=2, scoring="r2").shape == (2,)


PATCHES = np.random.default_rng(1).random((50, 25))
MACHINES = [("low", RBM(4, visible="gaussian", **SHORT)), ("high", RBM(3, **SHORT))]


@pytest.mark.parametrize(
    ("whole", "part", "rows"),
    [
        (ManifoldTangentClassifier(n_tangents=2, **SHORT), BASE, X),
        (BoltzmannClassifier(None, **SHORT), RBM(4, visible="gaussian", **SHORT), X),
        (BoltzmannClassifier(None, **SHORT), DBM(MACHINES, **SHORT), X),
        (ConvolutionalFeatures(encoder="code", patch_size=5), AutoEncoder(4, **SHORT), PATCHES),
        (ConvolutionalFeatures(encoder="code", patch_size=5), PSD(4, alpha=0.05, **SHORT), PATCHES),
    ],
    ids=["tangents", "rbm", "dbm", "autoencoder", "psd"],
)
@pytest.mark.filterwarnings("ignore")  # two epochs learn little
def test_arrays_of_a_whole_are_not_those_of_its_frozen_part(whole, part, rows):
    part = clone(part).fit(rows)
    before = part.transform(rows)
    name = "base" if "base" in whole.get_params(deep=False) else "dictionary"
    images = np.random.default_rng(0).random((5, 12, 12))
    data = (X, Y) if name == "base" else (images,)
    whole = clone(whole).set_params(**{name: FrozenEstimator(part)}).fit(*data)
    attributes = [each for each in ("components_", "center_", "scale_") if hasattr(whole, each)]
    assert attributes
    for each in attributes:
        array = getattr(whole, each)
        array *= 2
    np.testing.assert_array_equal(part.transform(rows), before)


def test_filters_of_a_stage_are_not_those_that_a_dictionary_goes_on_to_learn():
    images = np.random.default_rng(0).random((5, 12, 12))
    dictionary = MiniBatchDictionaryLearning(4, max_iter=2, random_state=0).fit(PATCHES)
    stage = ConvolutionalFeatures(
        dictionary=FrozenEstimator(dictionary), encoder="code", patch_size=5, random_state=0
    ).fit(images)
    before = stage.components_.copy()
    dictionary.partial_fit(PATCHES**2)  # in place
    assert np.abs(dictionary.components_ - before).max() > 1e-3
    np.testing.assert_array_equal(stage.components_, before)
