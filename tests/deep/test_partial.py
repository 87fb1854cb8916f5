"""Layers that are pre-trained to reconstruct and to predict, by closed forms and beside pure pre-training."""

import numpy as np
import pytest
from scipy.linalg import subspace_angles
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import scale

from skae import (
    PSD,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    StackedAEClassifier,
    StackedAERegressor,
)

X, y = load_digits(return_X_y=True)
X, y = X[:300] / 16, y[:300]
SOME = np.where(np.arange(300) % 3 == 0, y, -1)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FAST = {"batch_size": 50, "max_iter": 4, "random_state": 0}
LAYERS = [("low", DenoisingAE(20, **FAST)), ("high", ContractiveAE(12, **FAST))]
FEW_STEPS = {"max_iter": 1, "learning_rate_init": 1e-12, "random_state": 0}


def _nuisance(n_samples, seed=0):
    """Return data whose ten largest directions have nothing to do with y, which is in two small ones."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    sources = rng.standard_normal((n_samples, 40)) * np.r_[np.full(10, 5.0), np.ones(30)]
    return sources @ directions.T, sources[:, 10] * sources[:, 11] + sources[:, 10]


def _codes(model, data):
    for _, layer in model.layers_:
        data = layer.transform(data)
    return data


@pytest.mark.parametrize("weight", [0.3, 3.0])
def test_a_linear_layer_is_a_reduced_rank_regression(weight):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((200, 6)) @ rng.standard_normal((6, 6))
    data -= data.mean(axis=0)
    targets = data @ rng.standard_normal((6, 3)) + rng.standard_normal((200, 3))
    exact = {"solver": "lbfgs", "max_iter": 5000, "tol": 1e-13, "random_state": 0}
    options = {"activation": "identity", "tied_weights": False, "standardize": False}
    layers = [("only", AutoEncoder(2, **options, **exact))]
    model = StackedAERegressor(
        layers, pretraining="partial", supervision_weight=weight, **FEW_STEPS
    ).fit(data, targets)
    targets = scale(targets)  # as the network sees them
    ratio = np.sqrt(weight * data.var(axis=0).sum() / targets.var(axis=0).sum())
    both = np.hstack([ratio * targets, data])
    fitted = data @ np.linalg.lstsq(data, both, rcond=None)[0]
    basis = np.linalg.svd(fitted, full_matrices=False)[2][:2]
    expected = fitted @ basis.T
    layer = model.named_layers_["only"]
    assert layer.loss_ == pytest.approx(np.sum((both - expected @ basis) ** 2) / 400, rel=1e-5)
    codes = layer.transform(data)
    assert subspace_angles(codes - codes.mean(axis=0), expected).max() < 1e-2


@pytest.mark.parametrize("labels", [y, SOME], ids=["all", "some"])
def test_without_weight_it_is_unsupervised(labels):
    exact = {"solver": "lbfgs", "max_iter": 20}
    layers = [("low", AutoEncoder(20, **exact)), ("high", ContractiveAE(12, **exact))]
    model = StackedAEClassifier(layers, pretraining="partial", supervision_weight=0, **FAST)
    plain = StackedAEClassifier(layers, **FAST).fit(X, labels)
    model.fit(X, labels)
    np.testing.assert_allclose(_codes(model, X), _codes(plain, X), rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), rtol=1e-5)


@pytest.mark.slow
def test_codes_keep_what_predicts_where_the_variation_is_elsewhere():
    data, targets = _nuisance(2500)
    layers = [("low", AutoEncoder(20, max_iter=60)), ("high", AutoEncoder(10, max_iter=60))]
    scores = {}
    for pretraining in ("unsupervised", "partial"):
        model = StackedAERegressor(layers, pretraining=pretraining, **FEW_STEPS)
        model.fit(data[:2000], targets[:2000])
        codes = _codes(model, data)
        linear = LinearRegression().fit(codes[:2000], targets[:2000])
        scores[pretraining] = linear.score(codes[2000:], targets[2000:])
    assert scores["partial"] > scores["unsupervised"] + 0.2


def test_unlabeled_rows_are_only_reconstructed():
    model = StackedAEClassifier(LAYERS, pretraining="partial", **FEW_STEPS)
    codes = _codes(clone(model).fit(X, SOME), X)
    noise = X.copy()
    noise[SOME < 0] = X[SOME < 0][:, ::-1]
    assert not np.allclose(_codes(clone(model).fit(noise, SOME), X), codes)
    labels, held_out = SOME >= 0, SOME < 0
    plain = _codes(StackedAEClassifier(LAYERS, **FEW_STEPS).fit(X, SOME), X)
    scores = [
        LogisticRegression(max_iter=5000)
        .fit(each[labels], y[labels])
        .score(each[held_out], y[held_out])
        for each in (codes, plain)
    ]
    assert scores[0] > scores[1] - 0.05
    assert codes.shape == plain.shape == (300, 12)


@pytest.mark.parametrize("Model", [StackedAEClassifier, StackedAERegressor])
def test_layers_of_many_kinds(Model):
    layers = [
        ("rbm", RBM(16, max_iter=2)),
        ("deep", AutoEncoder(8, hidden_layer_sizes=[12], tied_weights=False, max_iter=2)),
        ("held", DenoisingAE(6, early_stopping=True, max_iter=3)),
    ]
    model = Model(layers, pretraining="partial", reconstruction_weight=0.5, **FAST)
    labels = y.astype(float) if Model is StackedAERegressor else SOME
    model.fit(X, labels)
    sparse = clone(model).fit(csr_matrix(X), labels)
    np.testing.assert_allclose(sparse.predict(X), model.predict(X), rtol=1e-6)
    for _, layer in model.layers_:
        assert layer._params.size == layer._network.size
    low = model.named_layers_["deep"]
    codes = model.named_layers_["rbm"].transform(X)
    assert low.partial_fit(codes).reconstruct(codes).shape == (300, 16)


def test_resume_to_the_same_bits(tmp_path):
    options = {**FAST, "pretraining": "partial", "checkpoint": tmp_path / "state"}
    stacks = []
    for n_epochs, resume in ((2, False), (6, True), (6, False)):
        layers = clone(StackedAEClassifier(LAYERS)).layers
        for _, layer in layers:
            layer.set_params(max_iter=n_epochs, learning_rate="constant", tol=0)
        model = StackedAEClassifier(layers, **options).set_params(resume=resume)
        if stacks and not resume:
            model.set_params(checkpoint=None)
        elif resume:
            for name in ("state", "state.high"):
                (tmp_path / name).unlink()
        stacks.append(model.fit(X, SOME))
    np.testing.assert_array_equal(stacks[1]._params, stacks[2]._params)
    first = stacks[0].layers_[0][1]
    assert first.loss_curve_ == stacks[1].layers_[0][1].loss_curve_[: first.n_iter_]
    with pytest.raises(ValueError, match="belongs to another training"):
        stacks[1].set_params(supervision_weight=2).fit(X, SOME)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"schedule": "simultaneous"}, "needs schedule='greedy'"),
        ({"corrupted": "input"}, "corrupted='code'"),
        ({"supervision_weight": -1}, "supervision_weight"),
        ({"layers": [("psd", PSD(4, encoder="tanh"))]}, "needs auto-encoders or RBMs as layers"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        StackedAEClassifier(LAYERS, pretraining="partial").set_params(**options).fit(X, y)
