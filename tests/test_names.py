"""Names of columns reach all parts of an estimator, and are checked there."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris

from skae import (
    DBN,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    Imputer,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.boltzmann import DBM, BoltzmannClassifier
from skae.generative import (
    JointEnergy,
    ball_moments,
    parzen_comparison,
    parzen_log_likelihood,
)
from skae.manifold import TangentNeighborsClassifier

X, y = load_iris(return_X_y=True)
X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
FRAME = pd.DataFrame(X, columns=list("abcd"))
WEIGHTS = np.arange(len(X)) % 3
NAMED = [("gaussian", ["a", "b"]), ("bernoulli", ["c", "d"])]
PLACED = [("gaussian", [0, 1]), ("bernoulli", [2, 3])]
SHORT = {"max_iter": 1, "random_state": 0}
pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*codes of .* are constant"
)


def _layers(loss, Model=ContractiveAE):
    return [("low", Model(4, loss=loss, **SHORT)), ("high", Model(3, **SHORT))]


def _machines(loss):
    return [("low", RBM(4, visible=loss, **SHORT)), ("high", RBM(3, **SHORT))]


def _classifier(loss, **options):
    return StackedAEClassifier(_layers(loss), **SHORT, **options)


COMPOSITIONS = {
    "stack": lambda loss: StackedAE(_layers(loss), random_state=0),
    "stack, fine-tuned": lambda loss: StackedAE(_layers(loss), fine_tune="reconstruction", **SHORT),
    "stack that predicts": lambda loss: StackedAE(_layers(loss), fine_tune="supervised", **SHORT),
    "all layers at once": lambda loss: StackedAE(
        _layers(loss), schedule="simultaneous", random_state=0
    ),
    "noise at the input": lambda loss: StackedAE(
        _layers(loss, DenoisingAE), corrupted="input", random_state=0
    ),
    "machines in a stack": lambda loss: StackedAE(_machines(loss), random_state=0),
    "recurrent": lambda loss: RecurrentAE(_layers(loss), **SHORT),
    "classifier": _classifier,
    "classifier, supervised layers": lambda loss: _classifier(loss, pretraining="supervised"),
    "classifier, partly": lambda loss: _classifier(loss, pretraining="partial"),
    "classifier that reconstructs": lambda loss: _classifier(loss, reconstruction_weight=1.0),
    "regressor": lambda loss: StackedAERegressor(_layers(loss), **SHORT),
    "tangents": lambda loss: ManifoldTangentClassifier(
        ContractiveAE(4, loss=loss, **SHORT), **SHORT
    ),
    "tangents of a stack": lambda loss: ManifoldTangentClassifier(
        StackedAE(_layers(loss), random_state=0), **SHORT
    ),
    "belief network": lambda loss: DBN(_machines(loss), random_state=0),
    "deep machine": lambda loss: DBM(_machines(loss), **SHORT),
    "classifier of a machine": lambda loss: BoltzmannClassifier(
        DBM(_machines(loss), **SHORT), **SHORT
    ),
    "joint energy": lambda loss: JointEnergy(
        AutoEncoder(4, loss=loss, **SHORT), n_draws=1, burn_in=1, random_state=0
    ),
    "anomalies": lambda loss: AnomalyDetector(AutoEncoder(4, loss=loss, **SHORT)),
    "imputation": lambda loss: Imputer(AutoEncoder(4, loss=loss, **SHORT)),
    "neighbors": lambda loss: TangentNeighborsClassifier(
        ContractiveAE(4, loss=loss, **SHORT), n_tangents=2
    ),
}


def _outputs(model, X):
    for method in ("predict_proba", "predict", "transform", "score_samples"):
        if hasattr(model, method):
            return getattr(model, method)(X)
    raise AssertionError(model)


def _parts(model):
    """Yield the fitted parts that see the columns of X."""
    for name in ("base_", "encoder_", "predictor_", "stack_"):
        if hasattr(model, name):
            part = getattr(model, name)
            yield from (part, *_parts(part))
    if hasattr(model, "layers_"):
        yield model.layers_[0][1]


@pytest.mark.parametrize("make", COMPOSITIONS.values(), ids=COMPOSITIONS)
def test_names_reach_all_parts(make):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="X does not have valid feature names")
        named = make(NAMED).fit(FRAME, y)
        outputs = _outputs(named, FRAME)
        if hasattr(named, "sample"):
            start = {"x0" if isinstance(named, JointEnergy) else "start": FRAME[:3]}
            assert named.sample(n_steps=1, **start).shape == (3, 4)
    np.testing.assert_array_equal(outputs, _outputs(make(PLACED).fit(X, y), X))
    assert list(_parts(named))
    for part in _parts(named):
        assert list(part.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="same order as they were in fit"):
        _outputs(named, FRAME[list("dcba")])


WEIGHTED = [name for name in COMPOSITIONS if name not in ("anomalies", "neighbors")]


@pytest.mark.parametrize("name", WEIGHTED)
def test_names_and_weights_of_0(name):
    model = COMPOSITIONS[name](NAMED).fit(FRAME, y, sample_weight=WEIGHTS)
    kept = WEIGHTS > 0
    other = COMPOSITIONS[name](NAMED).fit(FRAME[kept], y[kept], sample_weight=WEIGHTS[kept])
    np.testing.assert_array_equal(_outputs(model, FRAME), _outputs(other, FRAME))


PREFIT = {
    "tangents": (ManifoldTangentClassifier, ContractiveAE(4, **SHORT)),
    "tangents of a stack": (ManifoldTangentClassifier, StackedAE(_layers("auto"))),
    "machine": (BoltzmannClassifier, RBM(4, **SHORT)),
    "belief network": (BoltzmannClassifier, DBN(_machines("auto"))),
    "deep machine": (BoltzmannClassifier, DBM(_machines("auto"), **SHORT)),
    "anomalies": (AnomalyDetector, AutoEncoder(4, **SHORT)),
    "neighbors": (TangentNeighborsClassifier, ContractiveAE(4, **SHORT)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("Model", "base"), PREFIT.values(), ids=PREFIT)
@pytest.mark.usefixtures("few_epochs")
def test_a_fitted_part_has_its_columns(Model, base):
    model = Model(base.fit(FRAME), prefit=True)
    if Model is TangentNeighborsClassifier:
        model.set_params(n_tangents=2)
    _outputs(model.fit(FRAME, y), FRAME)
    with pytest.raises(ValueError, match="same order as they were in fit"):
        model.fit(FRAME[list("dcba")], y)
    with pytest.raises(ValueError, match="should match those that were passed during fit"):
        model.fit(FRAME.rename(columns={"a": "e"}), y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        with pytest.raises(ValueError, match="3 features, but .* is expecting 4"):
            model.fit(X[:, :3], y)


def test_tables_side_by_side_have_the_same_columns():
    turned = FRAME[list("dcba")]
    atoms = pd.DataFrame(np.eye(4), columns=list("abcd"))
    coder = SparseCoder(dictionary=atoms, alpha=0.1).fit(FRAME)
    np.testing.assert_array_equal(coder.components_, np.eye(4))
    validation = {"X_validation": FRAME[:50]}
    for call, name in (
        (lambda: coder.fit(turned), "dictionary"),
        (lambda: parzen_log_likelihood(FRAME, turned, 0.1), "X_test"),
        (lambda: parzen_log_likelihood(turned, turned, **validation), "X_validation"),
        (lambda: parzen_comparison(FRAME, turned, FRAME, FRAME), "X_train"),
        (lambda: ball_moments(FRAME, turned, 2.0), "centers"),
    ):
        with pytest.raises(
            ValueError, match=f"{name} must have the columns of .* in the same order"
        ):
            call()
    assert np.isfinite(parzen_log_likelihood(FRAME, X, 0.1).mean)
