"""A warning points to the line of the user's code, however many functions are between that line and the warning."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    DBM,
    DBN,
    PSD,
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
)

rng = np.random.default_rng(0)
X, Y = rng.random((40, 6)), np.arange(40) % 2
STEPS = {"learning_rate": "constant", "max_iter": 1, "n_iter_no_change": 1, "random_state": 0}
LBFGS = {"solver": "lbfgs", "max_iter": 1, "random_state": 0}
STOPPED = "stopped at max_iter=1 before it converged"


def _stack(layer):
    return StackedAE([("low", layer)], random_state=0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: AutoEncoder(3, **STEPS).fit(X), STOPPED),
        (lambda: AutoEncoder(3, **LBFGS).fit(X), STOPPED),
        (lambda: AutoEncoder(3, **STEPS).fit_transform(X), STOPPED),
        (lambda: make_pipeline(StandardScaler(), AutoEncoder(3, **STEPS)).fit(X), STOPPED),
        (lambda: cross_val_score(AutoEncoder(3, **STEPS), X, cv=2), STOPPED),
        (lambda: _stack(AutoEncoder(3, **STEPS)).fit(X), STOPPED),
        (lambda: _stack(AutoEncoder(3, max_iter=1)).fit(np.ones((40, 6))), "codes of"),
        (lambda: DBN([("low", RBM(3, n_chains=2, max_iter=1))]).fit(X), "n_chains=2 of RBM"),
        (lambda: StackedAEClassifier([3], **STEPS).fit(X, Y), STOPPED),
        (lambda: PSD(3, alpha=0.1, **STEPS).fit(X), STOPPED),
    ],
)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("few_epochs")
def test_warnings_point_to_the_code_of_the_user(call, text):
    with pytest.warns(UserWarning, match=text) as caught:
        call()
    assert {each.filename for each in caught if text in str(each.message)} == {__file__}


def _told(call, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args)
    return [str(each.message) for each in caught]


def _with_marks():
    rows = np.random.default_rng(0).standard_normal((300, 8))
    rows[::9, 2] = -999
    return rows


LAYERS = [("low", AutoEncoder(5, max_iter=2)), ("high", AutoEncoder(3, max_iter=2))]


@pytest.mark.parametrize(
    "model",
    [
        AutoEncoder(5, max_iter=2),
        StackedAE(LAYERS),
        StackedAE(LAYERS, schedule="simultaneous"),
        StackedAE(LAYERS, fine_tune="supervised", max_iter=2),
        StackedAEClassifier(LAYERS, max_iter=2),
        StackedAEClassifier(LAYERS, pretraining="supervised", max_iter=2),
        StackedAEClassifier(LAYERS, pretraining=None, max_iter=2),
        RecurrentAE(LAYERS, max_iter=2),
        ManifoldTangentClassifier(StackedAE(LAYERS), max_iter=2),
        DBN([5, 3]),
        DBM([5, 3]),
        AnomalyDetector(AutoEncoder(5, max_iter=2)),
        Imputer(AutoEncoder(5, max_iter=2)),
    ],
)
@pytest.mark.usefixtures("few_epochs")
def test_columns_of_a_stack_are_told_once(model):
    found = _told(model.fit, _with_marks(), np.arange(300) % 2)
    assert len([text for text in found if "far from all others: -999" in text]) == 1


@pytest.mark.parametrize("Model", [AutoEncoder, ContractiveAE, DenoisingAE])
def test_a_column_that_dwarfs_others_is_one_message(Model):
    rows = np.random.default_rng(0).standard_normal((300, 8)) * [1, 1, 1e4, 1, 1, 1, 1, 1]
    model = Model(5, standardize=False, max_iter=20, random_state=0)
    for each in (model, StackedAE([("low", model)]), AnomalyDetector(model)):
        (text,) = _told(each.fit, rows)
        assert "Column 2 has a standard deviation" in text


OUT_OF_RANGE = [
    (SparseCoder(5), 1e200),
    (PSD(5), 1e200),
    (AutoEncoder(5, activation="relu", solver="sgd", learning_rate_init=1e200), 1),
    (RBM(5, visible="gaussian", solver="sgd", learning_rate_init=1e200), 1),
    (StackedAEClassifier(LAYERS, solver="sgd", learning_rate_init=1e200, dropout=0), 1),
]


@pytest.mark.parametrize(("model", "factor"), OUT_OF_RANGE)
def test_a_training_that_diverges_has_no_warning_of_numpy(model, factor):
    rows = factor * np.random.default_rng(0).standard_normal((300, 8))

    def fit():
        with pytest.raises(ValueError, match="not finite in epoch"):
            model.fit(rows, np.arange(300) % 2)

    assert not [text for text in _told(fit) if "encountered" in text]
