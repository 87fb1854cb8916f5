"""The forms that data come in, and what leaves an auto-encoder."""

import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from scipy.special import expit, log_softmax
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from skae import AnomalyDetector, AutoEncoder, ContractiveAE, DenoisingAE

X = load_digits().data[:300] / 16
SMALL = {"n_components": 8, "batch_size": 50, "max_iter": 3, "random_state": 0}
MODELS = [AutoEncoder, DenoisingAE, ContractiveAE]


def _strided(X):
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
    wide[::2, ::3] = X
    return wide[::2, ::3]


@pytest.fixture(params=["C", "F", "strided", "memmap", "pandas", "polars", "csr", "csc"])
def same_data(request, tmp_path):
    """X in another form."""
    if request.param == "memmap":
        np.save(tmp_path / "X.npy", X)
        return np.load(tmp_path / "X.npy", mmap_mode="r")
    names = [f"pixel{j}" for j in range(X.shape[1])]
    return {
        "C": lambda: X,
        "F": lambda: np.asfortranarray(X),
        "strided": lambda: _strided(X),
        "pandas": lambda: pd.DataFrame(X, columns=names),
        "polars": lambda: pl.DataFrame(X, schema=names),
        "csr": lambda: scipy.sparse.csr_matrix(X),
        "csc": lambda: scipy.sparse.csc_array(X),
    }[request.param]()


@pytest.mark.parametrize("Model", MODELS)
def test_every_layout_gives_the_same_result(Model, same_data):
    expected, model = Model(**SMALL).fit(X), Model(**SMALL).fit(same_data)
    np.testing.assert_array_equal(model.components_, expected.components_)
    np.testing.assert_array_equal(model.transform(same_data), expected.transform(X))
    np.testing.assert_array_equal(model.score_samples(same_data), expected.score_samples(X))


@pytest.mark.slow
def test_sparse_data_are_never_dense_as_a_whole():
    tall = scipy.sparse.random(25_000, 300, 0.01, format="csr", dtype=np.float32, random_state=0)
    model = DenoisingAE(4, batch_size=100, max_iter=1, loss="gaussian", random_state=0)
    model.fit(tall[:200])
    assert _peak(lambda: model.fit(tall).score(tall)) < 0.4 * 25_000 * 300 * 4


def _peak(call):
    """Return how much memory the call has at most, in bytes."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.slow
def test_fit_adds_little_memory():
    tall = np.random.default_rng(0).random((40_000, 400), dtype=np.float32)
    model = ContractiveAE(100, max_iter=1, loss="bernoulli", random_state=0).fit(tall[:500])
    assert _peak(lambda: model.fit(tall)) < 0.25 * tall.nbytes


@pytest.mark.slow
def test_scores_of_anomalies_have_the_residuals_and_little_else():
    tall = np.random.default_rng(0).random((20_000, 300), dtype=np.float32)
    model = AnomalyDetector(AutoEncoder(10, max_iter=1, random_state=0)).fit(tall[:500])
    assert _peak(lambda: model.fit(tall)) < 1.6 * tall.nbytes
    assert _peak(lambda: model.score_samples(tall)) < 1.6 * tall.nbytes


@pytest.mark.parametrize("Model", MODELS)
def test_pickle_and_clone(Model):
    model = Model(**SMALL).fit(X)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    again.partial_fit(X)
    model.partial_fit(X)
    np.testing.assert_array_equal(again.components_, model.components_)
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "components_")


def test_concurrent_transform():
    model = ContractiveAE(**SMALL).fit(X)
    expected = model.transform(X)
    with ThreadPoolExecutor(8) as pool:
        for codes in pool.map(lambda _: model.transform(X), range(64)):
            np.testing.assert_allclose(codes, expected, rtol=1e-5)


@pytest.mark.slow
def test_concurrent_fit():
    with ThreadPoolExecutor(8) as pool:
        models = list(pool.map(lambda _: DenoisingAE(**SMALL).fit(X), range(16)))
    for model in models[1:]:
        np.testing.assert_allclose(model.components_, models[0].components_, atol=1e-5)


def test_names_of_features():
    frame = pd.DataFrame(X, columns=[f"pixel{j}" for j in range(64)])
    model = AutoEncoder(**SMALL).set_output(transform="pandas")
    codes = model.fit_transform(frame)
    assert list(codes.columns) == list(model.get_feature_names_out())
    assert codes.columns[0] == "autoencoder0" and codes.index.equals(frame.index)
    with pytest.raises(ValueError, match="feature names"):
        model.transform(frame.rename(columns={"pixel0": "other"}))


def test_methods_agree_with_their_definitions():
    model = AutoEncoder(**SMALL, loss="bernoulli", standardize=False).fit(X)
    W, b, c = model.components_, model.encoder_bias_, model.decoder_bias_
    codes = expit(X @ W.T + b)
    logits = codes @ W + c
    np.testing.assert_allclose(model.transform(X), codes, atol=1e-6)
    np.testing.assert_allclose(model.reconstruct(X), expit(logits), atol=1e-6)
    np.testing.assert_allclose(model.inverse_transform(codes), expit(logits), atol=1e-6)
    np.testing.assert_allclose(model.score_field(X), expit(logits) - X, atol=1e-6)
    likelihood = np.sum(X * logits - np.logaddexp(0, logits), axis=1)
    np.testing.assert_allclose(model.score_samples(X), likelihood, rtol=1e-5)
    weights = np.linspace(0, 1, len(X))
    expected = np.average(likelihood, weights=weights)
    assert model.score(X, sample_weight=weights) == pytest.approx(expected, rel=1e-5)


def test_anomalies_score_low():
    model = AutoEncoder(16, max_iter=50, learning_rate_init=1e-2, random_state=0).fit(X)
    shuffled = np.random.default_rng(0).permuted(X, axis=1)
    assert np.median(model.score_samples(shuffled)) < np.quantile(model.score_samples(X), 0.05)


@pytest.fixture
def table():
    """A frame of real, binary and categorical columns, with structure between them."""
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal(400)
    return pd.DataFrame(
        {
            "size": hidden + 0.1 * rng.standard_normal(400),
            "weight": -hidden + 0.1 * rng.standard_normal(400),
            "owned": (hidden > 0).astype(float),
            "color": np.select([hidden < -0.5, hidden < 0.5], ["red", "green"], "blue"),
        }
    )


def _encoded(table):
    encoder = make_column_transformer(
        (StandardScaler(), ["size", "weight"]),
        ("passthrough", ["owned"]),
        (OneHotEncoder(sparse_output=False), ["color"]),
        verbose_feature_names_out=False,
    )
    return encoder.set_output(transform="pandas").fit_transform(table)


COLOURS = ["color_blue", "color_green", "color_red"]
NAMED = [
    ("gaussian", ["size", "weight"]),
    ("bernoulli", ["owned"]),
    ("multinomial", {"color": COLOURS}),
]


def test_mixed_losses_are_found_or_named(table):
    data = _encoded(table)
    models = [
        DenoisingAE(8, corruption="swap", max_iter=30, random_state=0, loss=loss).fit(data)
        for loss in ("auto", NAMED, NAMED[:2] + [("multinomial", COLOURS)])
    ]
    for model in models[1:]:
        np.testing.assert_array_equal(model.components_, models[0].components_)
    means = models[0].reconstruct(data)
    np.testing.assert_allclose(means[:, 3:].sum(axis=1), 1, rtol=1e-6)
    assert ((means[:, 2] >= 0) & (means[:, 2] <= 1)).all()


def test_mixed_loss_is_the_sum_of_its_parts(table):
    data = _encoded(table)
    model = AutoEncoder(8, max_iter=30, random_state=0, loss=NAMED).fit(data)
    codes, x = model.transform(data), data.to_numpy()
    a = codes @ model.components_ + model.decoder_bias_
    expected = (
        -0.5 * np.sum((a[:, :2] - x[:, :2]) ** 2, axis=1)
        + x[:, 2] * a[:, 2]
        - np.logaddexp(0, a[:, 2])
        + np.sum(x[:, 3:] * log_softmax(a[:, 3:], axis=1), axis=1)
    )
    np.testing.assert_allclose(model.score_samples(data), expected, rtol=1e-10)


def test_auto_takes_ambiguous_columns_as_gaussian():
    rng = np.random.default_rng(0)
    data = np.column_stack([np.ones(50), np.zeros(50), rng.random(50), rng.integers(0, 3, 50)])
    model = AutoEncoder(2, max_iter=1, random_state=0).fit(data)
    same = AutoEncoder(2, max_iter=1, random_state=0, loss="gaussian").fit(data)
    assert model.score(data) == same.score(data)


@pytest.mark.parametrize(
    "loss, words",
    [
        ([("gaussian", ["size"])], "missing"),
        (NAMED + [("gaussian", ["size"])], "twice"),
        ([("gaussian", ["nothing"])], "nothing"),
        ([("huber", ["size"])], "huber"),
    ],
    ids=["missing", "twice", "unknown", "name"],
)
def test_wrong_columns_are_named(table, loss, words):
    with pytest.raises(ValueError, match=words):
        AutoEncoder(2, loss=loss).fit(_encoded(table))


def test_values_out_of_range_name_the_column(table):
    data = _encoded(table)
    data["owned"] *= 2
    with pytest.raises(ValueError, match="'owned'.*from 0 to 2.*MinMaxScaler"):
        AutoEncoder(2, loss=NAMED).fit(data)


@pytest.mark.slow
def test_emphasis_moves_the_fit():
    rng = np.random.default_rng(0)
    data = MinMaxScaler().fit_transform(rng.standard_normal((200, 10)) @ rng.random((10, 10)))
    options = {"loss": "gaussian", "corruption_level": 0.5, **SMALL, "max_iter": 300}
    options |= {"activation": "tanh", "learning_rate_init": 1e-2, "standardize": False}
    only_corrupted = DenoisingAE(**options, emphasis=(1, 0)).fit(data)
    only_clean = DenoisingAE(**options, emphasis=(0, 1)).fit(data)
    hidden = data.copy()
    hidden[:, :5] = 0
    filled = [model.reconstruct(hidden)[:, :5] for model in (only_corrupted, only_clean)]
    errors = [np.mean((values - data[:, :5]) ** 2) for values in filled]
    assert errors[0] < 0.8 * errors[1]
