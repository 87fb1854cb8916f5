"""Estimators under Dask: grid search on a cluster, and codes that are computed partition by partition."""

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AutoEncoder, SparseCoder

distributed = pytest.importorskip("dask.distributed")
array = pytest.importorskip("dask.array")

X, y = (each[:300] for each in load_digits(return_X_y=True))


@pytest.fixture(scope="module")
def client():
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": False}
    with (
        distributed.LocalCluster(dashboard_address=None, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_grid_search_on_a_cluster_is_that_of_one_process(client):
    pipeline = make_pipeline(
        AutoEncoder(10, max_iter=3, random_state=0), LogisticRegression(max_iter=200)
    )
    search = GridSearchCV(pipeline, {"autoencoder__n_components": [3, 10]}, cv=2)
    expected = search.fit(X, y).cv_results_["mean_test_score"]
    with joblib.parallel_config(backend="dask"):
        found = search.fit(X, y).cv_results_["mean_test_score"]
    np.testing.assert_array_equal(found, expected)
    assert expected[0] != expected[1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "model",
    [AutoEncoder(5, max_iter=3, random_state=0), SparseCoder(5, max_iter=2, random_state=0)],
    ids=lambda model: type(model).__name__,
)
def test_codes_of_partitions_are_computed_when_asked_for(client, model):
    rows = array.from_array(X, chunks=(90, 64))
    model.fit(rows)
    codes = rows.map_blocks(model.transform, dtype=float, chunks=(rows.chunks[0], (5,)))
    assert codes.shape == (300, 5)
    np.testing.assert_allclose(codes.compute(), model.transform(X), rtol=1e-10, atol=1e-12)
