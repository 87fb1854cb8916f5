"""Wide sparse data: what is dense at once goes into the working memory."""

import tracemalloc
from functools import cache

import numpy as np
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.base import clone

from skae import (
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
)

N_FEATURES = 15_000


def _peak(function):
    tracemalloc.start()
    try:
        result = function()
        return result, tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def X():
    """Return what would take 59 MB dense."""
    X = scipy.sparse.random(1024, N_FEATURES, 1e-3, "csr", np.float32, random_state=0)
    X.data[:] = 1
    return X


MODELS = {
    "coder": SparseCoder(dictionary=np.eye(4, N_FEATURES, dtype=np.float32), alpha=0.1),
    "psd": PSD(4, max_iter=1),
    "autoencoder": AutoEncoder(4, max_iter=1, loss="bernoulli", standardize=False),
    "rbm": RBM(4, max_iter=1),
    "detector": AnomalyDetector(AutoEncoder(4, max_iter=1, loss="bernoulli", standardize=False)),
    "sparse": SparseAutoEncoder(4, max_iter=1, sparse_output=False),
}


@pytest.fixture(scope="module")
def fitted(X):
    """Return a function that fits a model by its name, once."""
    return cache(lambda name: MODELS[name].fit(X[:20]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["transform", "score_samples"])
@pytest.mark.parametrize("name", MODELS)
def test_blocks_heed_the_working_memory(X, fitted, name, method):
    model = fitted(name)
    if not hasattr(model, method):
        pytest.skip("it has none")
    whole = getattr(model, method)(X)
    with config_context(working_memory=4):
        result, peak = _peak(lambda: getattr(model, method)(X))
    np.testing.assert_allclose(result, whole, rtol=1e-4, atol=1e-4)
    assert peak < 15


def test_a_score_of_sparse_rows_is_that_of_dense_ones(X, fitted):
    model, x = fitted("coder"), X[:50].toarray()
    errors = x - model.transform(x) @ model.components_
    expected = -0.5 * (errors**2).sum(axis=1)
    np.testing.assert_allclose(model.score_samples(X[:50]), expected, rtol=1e-5)
    assert model.score(X[:50]) == pytest.approx(expected.mean(), rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["autoencoder", "rbm", "sparse"])
def test_checks_of_a_fit_take_few_rows_of_many_columns(X, name):
    gray = X.copy()
    gray.data[:] = np.random.default_rng(0).random(gray.nnz)
    model = clone(MODELS[name]).fit(gray[:20])
    _, peak = _peak(lambda: model.fit(gray))
    assert peak < 170


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_classifier_of_tangents_makes_no_copy_of_its_rows():
    rng = np.random.default_rng(0)
    rows = rng.random((20_000, 200), dtype=np.float32)
    labels = rng.integers(3, size=len(rows))
    base = ContractiveAE(5, max_iter=1, random_state=0)
    options = {"n_tangents": 2, "tangent_storage": None, "max_iter": 1, "random_state": 0}
    model = ManifoldTangentClassifier(base, early_stopping=True, **options)
    model.fit(rows[:500], labels[:500])
    _, peak = _peak(lambda: model.fit(rows, labels))
    assert peak < 0.7 * rows.nbytes / 2**20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_detector_keeps_residuals_and_codes_once():
    rows = np.random.default_rng(0).random((20_000, 200), dtype=np.float32)
    model = AnomalyDetector(AutoEncoder(200, max_iter=1, random_state=0)).fit(rows[:500])
    _, peak = _peak(lambda: model.fit(rows))
    assert peak < 2.8 * rows.nbytes / 2**20
