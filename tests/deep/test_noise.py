"""Noise in fine-tuning: at the inputs, and hidden units that are left out."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skae import (
    AutoEncoder,
    ContractiveAE,
    ManifoldTangentClassifier,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.boltzmann import RBM, BoltzmannClassifier
from skae.manifold._store import TangentStore
from skae.nn.corruption import InputDropout, make_corruption, make_input_noise

X, y = load_digits(return_X_y=True)
X, y = X[:300] / 16, y[:300]
pytestmark = pytest.mark.filterwarnings("ignore:Outputs hardly depend on X")
FAST = {"batch_size": 50, "max_iter": 3, "random_state": 0}
PLAIN = {"standardize": False, "loss": "gaussian", **FAST}
LAYERS = [("low", AutoEncoder(20, **PLAIN)), ("high", AutoEncoder(12, **FAST))]
MODELS = {
    "classifier": lambda **options: StackedAEClassifier(LAYERS, **FAST, **options),
    "regressor": lambda **options: StackedAERegressor(LAYERS, **FAST, **options),
    "stack": lambda **options: StackedAE(LAYERS, fine_tune="supervised", **FAST, **options),
    "tangents": lambda **options: ManifoldTangentClassifier(
        ContractiveAE(20, **FAST), n_tangents=3, **FAST, **options
    ),
    "boltzmann": lambda **options: BoltzmannClassifier(RBM(20, **FAST), **FAST, **options),
}


class Recorder:
    """A corruption that changes nothing, and counts."""

    def __init__(self):
        self.n_rows = 0

    def __call__(self, X, seed, out):
        self.n_rows += len(X)
        out[...] = X


def _outputs(model):
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)


def test_what_masking_keeps_is_scaled_up():
    data, out = 1 + np.random.default_rng(0).random((200, 300)), np.empty((200, 300))
    InputDropout(0.2)(data, 5, out)
    kept = out != 0
    assert kept.mean() == pytest.approx(0.8, abs=0.01)
    np.testing.assert_allclose(out[kept], 1.25 * data[kept], rtol=1e-12)
    assert out.mean() == pytest.approx(data.mean(), rel=0.01)
    assert make_input_noise(None, 0.3) is None


@pytest.mark.parametrize("kind", MODELS)
def test_noise_comes_in_at_training_only(kind):
    noise = Recorder()
    model = MODELS[kind](corruption=noise).fit(X, y)
    assert noise.n_rows == 3 * len(X)
    # Noise that changes nothing gives the bits of a training without.
    np.testing.assert_array_equal(_outputs(model), _outputs(MODELS[kind]().fit(X, y)))
    assert noise.n_rows == 3 * len(X)


@pytest.mark.slow
@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "gaussian", "swap"])
@pytest.mark.parametrize("kind", MODELS)
def test_named_noise_changes_the_training(kind, corruption):
    noisy = MODELS[kind](corruption=corruption).fit(X, y)
    assert not np.allclose(_outputs(noisy), _outputs(MODELS[kind]().fit(X, y)))


@pytest.mark.slow
@pytest.mark.parametrize(("width", "level"), [(83, None), (84, 0.0504), (250, 0.15), (700, 0.3)])
@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind != "boltzmann"])
def test_automatic_masking_is_a_share_by_the_width(kind, width, level):
    data = np.random.default_rng(0).standard_normal((60, width))
    auto = MODELS[kind](corruption="auto").fit(data, y[:60])
    options = {"corruption": "masking", "corruption_level": level}
    if level is None:
        options = {"corruption": None}
    model = MODELS[kind](**options).fit(data, y[:60])
    own, named = (m.predictor_ if kind == "stack" else m for m in (auto, model))
    np.testing.assert_allclose(own._params, named._params, rtol=1e-6, atol=1e-9)
    if kind == "tangents":
        # Constant columns are none that the network sees.
        wider = np.hstack([data, np.ones((60, 300))])
        again = MODELS[kind](corruption="auto").fit(wider, y[:60])
        np.testing.assert_allclose(again._params, own._params, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", ["classifier", "regressor", "tangents"])
@pytest.mark.parametrize(
    ("rate", "width", "level"), [(0.04, 250, 0.25), (0.12, 700, 0.5), (0.2, 700, 0.3)]
)
def test_half_of_the_words_are_masked(kind, rate, width, level):
    words = np.random.default_rng(0).poisson(rate, (60, width)).astype(float)
    words[0] += 1 - words.max(axis=0).clip(max=1)  # each is in some row
    options = {"corruption": "masking", "corruption_level": level}
    own, named = (MODELS[kind](**each).fit(words, y[:60]) for each in ({}, options))
    np.testing.assert_allclose(own._params, named._params)


def _smooth(n_directions, share, width=120):
    """Return rows of which ``n_directions`` have a known share of the variance, evenly."""
    rng = np.random.default_rng(0)
    rows, columns = rng.standard_normal((60, width)), rng.standard_normal((width, width))
    rows = np.linalg.qr(rows - rows.mean(axis=0))[0]
    variances = np.full(rows.shape[1], (1 - share) / (rows.shape[1] - n_directions))
    variances[:n_directions] = share / n_directions
    return rows * np.sqrt(variances) @ np.linalg.qr(columns)[0][:, : rows.shape[1]].T


@pytest.mark.parametrize(("share", "masks"), [(0.98, False), (0.9, True), (1.0, True)])
@pytest.mark.parametrize("kind", ["classifier", "regressor", "tangents"])
def test_columns_of_few_directions_are_not_masked(kind, share, masks):
    # With all of the variance there are no small differences that noise would hide.
    data = 1e3 * _smooth(3, share) + 7
    layer = AutoEncoder(4, standardize="shared", loss="gaussian", max_iter=1, random_state=0)
    part = {"base": layer} if kind == "tangents" else {"layers": [("layer", layer)]}
    model = MODELS[kind](corruption="auto").set_params(max_iter=1, **part)
    level = 0.3 * 120 / 500
    named = {"corruption": "masking", "corruption_level": level} if masks else {"corruption": None}
    auto = model.fit(data, y[:60])._params
    np.testing.assert_allclose(clone(model).set_params(**named).fit(data, y[:60])._params, auto)


def test_a_stack_that_reconstructs_has_no_automatic_noise():
    data = np.random.default_rng(0).standard_normal((60, 300))
    tuned = {"fine_tune": "reconstruction", **FAST}
    auto, none = (StackedAE(LAYERS, corruption=c, **tuned).fit(data) for c in ("auto", None))
    np.testing.assert_array_equal(auto._params, none._params)


@pytest.mark.parametrize("storage", ["float16", "float32", None])
def test_tangents_are_those_of_the_clean_sample(storage, monkeypatch):
    seen = []
    tangents = TangentStore._tangents

    def watched(self, inputs, places=None):
        seen.append(inputs.copy())
        return tangents(self, inputs, places)

    monkeypatch.setattr(TangentStore, "_tangents", watched)
    model = MODELS["tangents"](corruption="masking", tangent_storage=storage, tangent_penalty=1.0)
    model.fit(X, y)
    clean = {row.tobytes() for row in model.base_.model_.scaling.apply(X)}
    assert seen and all(row.tobytes() in clean for inputs in seen for row in inputs)


@pytest.mark.parametrize("kind", ["tangents", "boltzmann"])
def test_dropout(kind):
    plain, thinned = (MODELS[kind](dropout=share).fit(X, y) for share in (0.0, 0.4))
    assert not np.allclose(_outputs(plain), _outputs(thinned))


def test_a_fine_tuned_stack_reconstructs_the_clean_input_from_noise():
    noise = {"corruption": "masking", "corruption_level": 0.4}
    stack = StackedAE(LAYERS, fine_tune="reconstruction", **noise, **{**FAST, "solver": "lbfgs"})
    stack.set_params(max_iter=100, tol=1e-12)
    with pytest.warns(ConvergenceWarning):
        stack.fit(X)
    # L-BFGS minimizes under one draw of the noise, whose loss is known by definition.
    network, flat = stack._network, stack._params
    noisy = np.empty_like(X)
    seed = np.random.default_rng(stack._state["seed"]).integers(2**63, size=3, dtype=np.uint64)[0]
    make_corruption(*noise.values())(X, seed, noisy)
    logits = network.reconstruct(network.views(flat), noisy)
    expected = np.mean(0.5 * np.sum((logits - X) ** 2, axis=1))
    assert set(np.unique(noisy[X == 1])) == {0.0, 1.0}
    assert stack.loss_ == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"corruption": "blur"}, "corruption"),
        ({"corruption": "masking", "corruption_level": 1.0}, "corruption_level must be below 1"),
        ({"corruption": "swap", "corruption_level": 1.5}, "corruption_level must be a fraction"),
        ({"corruption_level": -0.1}, "corruption_level"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_bad_noise(options, words):
    for kind in ("classifier", "tangents"):
        with pytest.raises(ValueError, match=words):
            MODELS[kind](**options).fit(X, y)
