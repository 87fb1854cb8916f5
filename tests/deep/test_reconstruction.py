"""Reconstruction beside the supervised loss, by closed forms and by its parts."""

import os

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale

from skae import (
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.nn.network import Network

X, y = load_digits(return_X_y=True)
X, y = X[:300] / 16, y[:300]
SOME = np.where(np.arange(300) % 3 == 0, y, -1)
pytestmark = pytest.mark.filterwarnings(
    "ignore:Outputs hardly depend on X", "ignore::sklearn.exceptions.ConvergenceWarning"
)
FAST = {"batch_size": 50, "max_iter": 4, "random_state": 0}
LAYERS = [("low", DenoisingAE(20, tied_weights=True, **FAST)), ("high", AutoEncoder(12, **FAST))]
MODELS = {
    "classifier": StackedAEClassifier(LAYERS, **FAST),
    "regressor": StackedAERegressor(LAYERS, **FAST),
    "tangents": ManifoldTangentClassifier(
        ContractiveAE(20, **FAST), n_tangents=3, tangent_penalty=0.1, **FAST
    ),
    "tangents of a stack": ManifoldTangentClassifier(
        StackedAE(LAYERS), penalize_unlabeled=False, tangent_penalty=0.1, **FAST
    ),
    "sigmoids": ManifoldTangentClassifier(
        ContractiveAE(20, **FAST), output="sigmoid", tangent_penalty=0.1, **FAST
    ),
}


def _model(kind, **options):
    return clone(MODELS[kind]).set_params(**{"reconstruction_weight": 0.5, **options})


def _labels(kind):
    return y.astype(float) if kind == "regressor" else SOME


def _mean_reconstruction_loss(model, network, data, weights=None):
    rows = model._units.scaling.apply(data)
    r = model._units.loss.activate(network.reconstruct(network.views(_autoencoder(model)), rows))
    bernoulli = model.column_losses_[0][0] == "bernoulli"
    losses = -rows * np.log(r) - (1 - rows) * np.log(1 - r) if bernoulli else (rows - r) ** 2 / 2
    return np.average(losses.sum(axis=1), weights=weights)


def _autoencoder(model):
    """Return the flat vector of the auto-encoder: of tied weights, its decoder's biases come last."""
    predictor = model._network
    params = predictor.views(model._params)
    parts = [*params.encoder_weights[:-1], *params.encoder_biases[:-1]]
    return np.concatenate([*map(np.ravel, parts), model._params[predictor.size :]])


@pytest.mark.parametrize("weight", [0.3, 3.0])
def test_linear_layers_are_a_reduced_rank_regression(weight):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((200, 6)) @ rng.standard_normal((6, 6))
    data -= data.mean(axis=0)
    targets = data @ rng.standard_normal((6, 3)) + rng.standard_normal((200, 3))
    options = {"activation": "identity", "tied_weights": False, "standardize": False, "max_iter": 2}
    layers = [("only", AutoEncoder(2, **options))]
    model = StackedAERegressor(
        layers,
        reconstruction_weight=weight,
        solver="lbfgs",
        max_iter=5000,
        tol=1e-13,
        weight_decay=0,
    )
    model.set_params(random_state=0).fit(data, targets)
    raw, targets = targets, scale(targets)  # as the network sees them
    # The best rank 2 of both, where the weight is that of equal shares of variance.
    ratio = np.sqrt(weight * targets.var(axis=0).sum() / data.var(axis=0).sum())
    both = np.hstack([targets, ratio * data])
    fitted = data @ np.linalg.lstsq(data, both, rcond=None)[0]
    basis = np.linalg.svd(fitted, full_matrices=False)[2][:2]
    expected = fitted @ basis.T @ basis
    assert model.loss_ == pytest.approx(np.sum((both - expected) ** 2) / 400, rel=1e-5)
    predicted = (model.predict(data) - raw.mean(axis=0)) / raw.std(axis=0)
    np.testing.assert_allclose(predicted, expected[:, :3], atol=2e-2)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["classifier", "sigmoids"])
def test_objective_is_the_sum_of_the_parts(kind, weighted):
    weights = np.random.default_rng(0).random(300) if weighted else np.ones(300)
    options = {"solver": "lbfgs", "max_iter": 3, "corruption": None}
    if kind == "sigmoids":
        options["tangent_penalty"] = 0
    model = _model(kind, **options).fit(X, SOME, sample_weight=weights if weighted else None)
    labeled = SOME >= 0
    hits = np.eye(10)[y[labeled]]
    p, shares = (
        model._output_units.activate(model._logits(X[labeled], "predict")),
        weights[labeled] / weights[labeled].sum(),
    )
    loss, means = -hits * np.log(p), shares @ hits
    entropy = -np.sum(means * np.log(means))
    if kind == "sigmoids":
        loss -= (1 - hits) * np.log(1 - p)
        entropy -= np.sum((1 - means) * np.log(1 - means))
    scale = entropy / sum(model._units.constant_losses.values())
    widths = model._shape["sizes"][:-1]
    network = Network(widths, "sigmoid")
    expected = shares @ loss.sum(axis=1)
    expected += 0.5 * scale * _mean_reconstruction_loss(model, network, X, weights)
    assert model.loss_ == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", sorted(MODELS.keys() - {"regressor"}))
def test_unlabeled_rows_are_reconstructed(kind):
    options = {"pretraining": None}
    if kind != "classifier":
        fitted = StackedAE(LAYERS).fit(X)
        options = {"base": fitted, "prefit": True, "penalize_unlabeled": False}
    noise = X.copy()
    noise[SOME < 0] = np.random.default_rng(0).permutation(X[SOME < 0].ravel()).reshape(-1, 64)
    for weight, same in ((0, True), (0.5, False)):
        model = _model(kind, reconstruction_weight=weight, **options)
        outputs = [
            clone(model).set_params(**options).fit(data, SOME).predict_proba(X)
            for data in (X, noise)
        ]
        assert np.array_equal(*outputs) == same


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_reconstruction_stays_better(kind):
    losses = []
    for weight in (1e-9, 10.0):
        model = _model(kind, reconstruction_weight=weight, max_iter=60, learning_rate_init=0.01)
        model.fit(X, _labels(kind))
        if kind == "tangents of a stack":
            network = Network(**model.base_._shape)
        else:
            network = Network(model._shape["sizes"][:-1], "sigmoid")
        losses.append(_mean_reconstruction_loss(model, network, X))
    assert losses[1] < 0.9 * losses[0]


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_sparse_single_precision_dropout_noise_and_refit(kind):
    options = {"dropout": 0.2, "corruption": "masking", "early_stopping": True, "refit": True}
    model = _model(kind, **options, validation_fraction=0.2)
    labels = _labels(kind)
    dense = model.fit(X, labels).predict(X)
    sparse = clone(model).fit(csr_matrix(X), labels).predict(csr_matrix(X))
    np.testing.assert_allclose(sparse, dense, rtol=1e-6)
    single = clone(model).fit(X.astype(np.float32), labels)
    assert single._params.dtype == np.float32 and np.isfinite(single.loss_)


@pytest.mark.parametrize("kind", MODELS)
def test_frozen_layers_stay(kind):
    model, start = (
        _model(kind, **options).fit(X, _labels(kind))
        for options in ({"frozen": 1}, {"learning_rate_init": 1e-300, "solver": "sgd"})
    )
    own, first = (m._network.views(m._params).encoder_weights for m in (model, start))
    assert [np.array_equal(*pair) for pair in zip(own, first)] == [True] + [False] * (len(own) - 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_resume_to_the_same_bits(kind, tmp_path):
    calls, last = [], []

    class Breaking:
        """Noise that is interrupted. It counts outside: what it has is part of what a checkpoint belongs to."""

        def __call__(self, rows, seed, out):
            calls.append(seed)
            out[...] = rows
            if [len(calls)] == last:
                raise KeyboardInterrupt

    options = {"max_iter": 6, "early_stopping": True, "refit": True, "validation_fraction": 0.2}
    noise, path = Breaking(), tmp_path / "state"
    whole = _model(kind, corruption=noise, **options).fit(X, _labels(kind))
    assert len(calls) > 20
    last.append(len(calls) // 2)
    calls.clear()
    model = _model(kind, corruption=noise, checkpoint=path, resume=True, **options)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, _labels(kind))
    assert os.path.exists(path) and np.isfinite(model.predict(X)).all()
    model.fit(X, _labels(kind))
    np.testing.assert_array_equal(model._params, whole._params)
    assert model.loss_curve_ == whole.loss_curve_


@pytest.mark.parametrize("factor", [1, 1000])
@pytest.mark.parametrize("copies", [1, 3])
def test_neither_units_nor_the_width_of_X_matter(copies, factor):
    options = {"activation": "identity", "tied_weights": False, "max_iter": 2}
    layers = [("only", AutoEncoder(2, standardize="columns", loss="gaussian", **options))]
    rng = np.random.default_rng(0)
    data, targets = rng.standard_normal((100, 4)), rng.standard_normal(100)
    exact = {"solver": "lbfgs", "max_iter": 5000, "tol": 1e-14, "random_state": 0}
    exact["weight_decay"] = 0
    model = StackedAERegressor(layers, reconstruction_weight=0.5, pretraining=None, **exact)
    wide = clone(model).fit(np.tile(data, copies), factor * targets)
    narrow = model.fit(data, targets)
    assert wide.loss_ == pytest.approx(narrow.loss_, rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("classifier", {"reconstruction_weight": -1}, "reconstruction_weight"),
        (
            "classifier",
            {"reconstruction_weight": 0, "unlabeled_per_labeled": 2},
            "needs reconstruction_weight > 0",
        ),
        ("classifier", {"solver": "lbfgs", "unlabeled_per_labeled": 2}, "changes what is"),
        ("regressor", {"reconstruction_weight": "auto"}, "reconstruction_weight"),
    ],
)
def test_bad_options(kind, options, words):
    with pytest.raises(ValueError, match=words):
        _model(kind, **options).fit(X, _labels(kind))


def test_named_losses_are_checked():
    layers = [("only", AutoEncoder(5, loss="bernoulli", **FAST))]
    model = StackedAEClassifier(layers, pretraining=None, **FAST)
    model.fit(X * 2, y)
    with pytest.raises(ValueError, match="needs X in"):
        model.set_params(reconstruction_weight=1).fit(X * 2, y)


def test_one_row_has_nothing_to_reconstruct():
    model = _model("regressor", pretraining="partial", reconstruction_weight=1)
    assert model.fit(X[:1], [3.0]).predict(X[:1]) == pytest.approx(3)
