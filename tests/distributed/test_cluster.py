"""Training on a cluster is that of one process, whatever the number of workers and what becomes of them."""

import os
import pickle
import signal
import threading
import time
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from processes import forks
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_outlier_detector, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skae import (
    DBM,
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.distributed import Distributed, by_partition
from skae.distributed._cluster import Cluster
from skae.generative import parzen_log_likelihood
from skae.images import ConvolutionalPSD
from skae.manifold import tangent_basis
from skae.training import SGD

distributed = pytest.importorskip("distributed")
array = pytest.importorskip("dask.array")
frame = pytest.importorskip("dask.dataframe")

X, y = (each[:400] for each in load_digits(return_X_y=True))
X = X / 16
WEIGHTS = np.random.default_rng(0).integers(0, 3, 400)
LAYERS = [("low", ContractiveAE(12, max_iter=2, random_state=0))]
FAST = {"max_iter": 3, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore")


def _cluster(n_workers, **options):
    options = {"processes": False, "threads_per_worker": 1, "dashboard_address": None, **options}
    return distributed.LocalCluster(n_workers=n_workers, **options)


@pytest.fixture(scope="module")
def client():
    with _cluster(2) as cluster, distributed.Client(cluster) as client:
        yield client


def _parameters(model):
    return model._state["params"]


EXACT = [
    ContractiveAE(10, solver="lbfgs", **FAST),
    ContractiveAE(10, **FAST),
    DenoisingAE(10, early_stopping=True, **FAST),
    DenoisingAE(10, solver="lbfgs", **FAST),
    SparseCoder(12, alpha=0.3, gap_tol=1e-10, **FAST),
    PSD(12, alpha=0.3, gap_tol=1e-10, **FAST),
    SparseAutoEncoder(20, **FAST),
    StackedAEClassifier(LAYERS, corruption="masking", **FAST),
]
# Random combinations of tangents are those of a place in a minibatch.
NEAR = [ManifoldTangentClassifier(LAYERS[0][1], n_tangents=2, **FAST)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "model", EXACT + NEAR, ids=lambda model: f"{type(model).__name__}-{model.solver}"
)
def test_steps_are_those_of_one_process(client, model):
    expected = clone(model).fit(X, y)
    found = Distributed(model, n_parts=3).fit(X, y).to_local()
    assert type(found) is type(model)
    rtol, atol = (1e-3, 2e-3) if model in NEAR else (1e-5, 1e-6)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=rtol / 10)
    np.testing.assert_allclose(_parameters(found), _parameters(expected), rtol=rtol, atol=atol)


def test_steps_of_plain_gradient_descent_are_those_of_one_process(client):
    """In one process these need no array of the gradient, on a cluster they do."""
    model = ContractiveAE(10, solver=SGD(momentum=0), **FAST)
    found = Distributed(model, n_parts=3).fit(X).estimator_
    np.testing.assert_allclose(_parameters(found), _parameters(model.fit(X)), rtol=1e-5, atol=1e-6)


def test_a_deep_machine_learns(client):
    layers = [("low", RBM(8, **FAST)), ("high", RBM(5, **FAST))]
    model = DBM(layers, **FAST)
    found = Distributed(model, n_parts=3).fit(X).to_local()
    bounds = [each.log_likelihood_bound(X).value for each in (found, model.fit(X))]
    assert bounds[0] == pytest.approx(bounds[1], abs=0.1)


@pytest.mark.parametrize("model", EXACT[:2], ids=["lbfgs", "adam"])
def test_weights_targets_and_parts_of_a_dask_array(client, model):
    expected = clone(model).fit(X, sample_weight=WEIGHTS)
    rows, weights = (array.from_array(each, chunks=90) for each in (X, WEIGHTS))
    found = Distributed(model).fit(rows, sample_weight=weights).estimator_
    np.testing.assert_allclose(_parameters(found), _parameters(expected), rtol=1e-5, atol=1e-6)
    again = Distributed(model) if model.solver == "lbfgs" else Distributed(model).partial_fit(rows)
    if model.solver != "lbfgs":
        once = clone(model).partial_fit(X)
        np.testing.assert_allclose(_parameters(again.estimator_), _parameters(once), rtol=1e-5)


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_workers(client):
    models = [EXACT[0], EXACT[4], RBM(10, visible="gaussian", **FAST), DenoisingAE(10, **FAST)]
    options = [{}, {}, {}, {"sync_every": 2}]
    found = []
    for n_workers in (1, 4):
        with (
            _cluster(n_workers) as cluster,
            distributed.Client(cluster, set_as_default=False) as other,
        ):
            wrapped = [
                Distributed(model, client=other, n_parts=3, **each).fit(X)
                for model, each in zip(models, options)
            ]
            found.append([_parameters(each.to_local()) for each in wrapped])
    for one, four in zip(*found):
        np.testing.assert_array_equal(one, four)


class _Rate:
    """Gradient descent by hand."""

    def start(self, params):
        return {}

    def step(self, params, grad, state, learning_rate):
        params -= learning_rate * grad


def test_parameters_are_averaged_after_so_many_steps(client):
    """Two steps of each half alone, and then the mean."""
    options = {"solver": _Rate(), "shuffle": False, "batch_size": 100, "learning_rate": "constant"}
    model = ContractiveAE(6, loss="gaussian", max_iter=1, random_state=0, **options)
    found = Distributed(model, n_parts=2, sync_every=2).fit(X).estimator_
    start = clone(model).set_params(learning_rate_init=1e-300).fit(X).set_params(**options)
    start.set_params(learning_rate_init=model.learning_rate_init)
    halves = [deepcopy(start).partial_fit(rows) for rows in (X[:200], X[200:])]
    expected = sum(map(_parameters, halves)) / 2
    np.testing.assert_allclose(_parameters(found), expected, rtol=1e-9)
    assert not np.allclose(_parameters(found), _parameters(start))


@pytest.mark.slow
def test_averages_learn(client):
    model = ContractiveAE(10, max_iter=12, random_state=0)
    curves = [
        clone(model).fit(X).loss_curve_,
        Distributed(model, sync_every=2).fit(X).estimator_.loss_curve_,
    ]
    gains = [curve[0] - curve[-1] for curve in curves]
    assert gains[1] > 0.5 * gains[0] > 0
    machine = RBM(10, max_iter=12, random_state=0)
    expected, found = clone(machine).fit(X), Distributed(machine, sync_every=2).fit(X).estimator_
    # Independent pixels that are on or off with probability 1/2 have a loss of 64 log 2 = 44.
    assert max(expected.loss_, found.loss_) < 30


@pytest.mark.slow
@pytest.mark.parametrize("sync_every", [None, 2])
def test_steps_of_a_centered_machine(client, sync_every):
    """Without centering, most units turn off on columns that are mostly on."""
    bright = np.tile(1 - X, 6).astype(np.float32)
    on = []
    for centered in (True, False):
        machine = RBM(10, centered=centered, max_iter=12, random_state=0)
        fitted = Distributed(machine, sync_every=sync_every).fit(bright).to_local()
        on.append((fitted.transform(bright).std(axis=0) > 0.05).sum())
    assert on[0] >= 9 > 5 >= on[1]


def test_statistics_of_a_dictionary_are_not_averaged(client):
    with pytest.raises(ValueError, match="statistics from which SparseCoder learns are sums"):
        Distributed(SparseCoder(5, **FAST), sync_every=2).fit(X)


@pytest.mark.slow
def test_checkpoints_are_resumed_by_other_workers(client, tmp_path):
    options = {"learning_rate": "constant", "random_state": 0, "tol": 0}
    model = DenoisingAE(10, max_iter=6, checkpoint=tmp_path / "file", **options)
    expected = Distributed(model, n_parts=3).fit(X).estimator_
    os.remove(tmp_path / "file")
    Distributed(clone(model).set_params(max_iter=2), n_parts=3).fit(X)
    model = clone(model).set_params(resume=True)
    with _cluster(1) as cluster, distributed.Client(cluster, set_as_default=False) as other:
        found = Distributed(model, client=other, n_parts=3).fit(X).estimator_
    np.testing.assert_array_equal(_parameters(found), _parameters(expected))


@pytest.mark.parametrize("other", [{"sync_every": 3}, {"n_parts": 3}, {"sync_every": None}, None])
def test_averages_are_part_of_what_a_checkpoint_belongs_to(client, other, tmp_path):
    options = {"max_iter": 2, "checkpoint": tmp_path / "file", "resume": True}
    model = DenoisingAE(4, random_state=0, **options)
    averaged = {"n_parts": 2, "sync_every": 2}
    first = Distributed(model, **averaged).fit(X).estimator_
    again = Distributed(model, **averaged).fit(X).estimator_
    np.testing.assert_array_equal(_parameters(again), _parameters(first))
    with pytest.raises(ValueError, match="belongs to another training: (sync_every|n_parts)"):
        (model if other is None else Distributed(model, **{**averaged, **other})).fit(X)


def test_an_interrupted_or_diverged_training_leaves_what_it_has(client, monkeypatch):
    model = Distributed(DenoisingAE(4, max_iter=9, verbose=1, random_state=0), n_parts=2)
    shown = iter([None])

    def show(*_):
        if next(shown, "second epoch"):
            raise KeyboardInterrupt

    monkeypatch.setattr("skae.training.verbose.Verbose.epoch_end", show)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.estimator_.n_iter_ == 2 and np.isfinite(model.transform(X)).all()
    wild = DenoisingAE(4, solver="sgd", activation="identity", learning_rate_init=1e30, max_iter=3)
    with pytest.raises(ValueError, match="not finite"):
        model.set_params(estimator=wild).fit(X)
    assert model.estimator_.n_iter_ == 2


@pytest.mark.slow
def test_results_of_dask_collections_are_lazy(client):
    rows = array.from_array(X, chunks=(90, 30))
    table = frame.from_pandas(pd.DataFrame(X, columns=[f"x{i}" for i in range(64)]), npartitions=3)
    labels = array.from_array(y, chunks=90)
    model = Distributed(StackedAEClassifier(LAYERS, **FAST)).fit(rows, labels)
    local = model.to_local()
    model = pickle.loads(pickle.dumps(model))
    for name in ("transform", "predict", "predict_proba"):
        found = getattr(model, name)(rows)
        assert found.chunks[0] == (90, 90, 90, 90, 40)
        # Without a cluster.
        np.testing.assert_allclose(
            found.compute(scheduler="sync"), getattr(local, name)(X), rtol=1e-9
        )
        assert getattr(model, name)(X).shape == found.shape
    assert model.score(rows, labels) == local.score(X, y)
    named = Distributed(ContractiveAE(5, **FAST)).fit(table)
    codes = named.transform(table)
    np.testing.assert_allclose(codes.compute(), named.transform(table.compute()), rtol=1e-9)
    assert not hasattr(named, "predict")


def test_tangents_and_densities_of_partitions():
    """Without a cluster."""
    model = ContractiveAE(10, **FAST).fit(X)
    rows = array.from_array(X, chunks=(90, 30))
    table = frame.from_pandas(pd.DataFrame(X), npartitions=3)

    def tangents(some):
        return tangent_basis(model, np.asarray(some), 3, tol=1e-10).basis

    def densities(some):
        return parzen_log_likelihood(X[:50], some, 0.5).log_likelihoods

    jacobians = np.einsum("nij,nij->n", *2 * [model.jacobian(X)])
    for source in (rows, table):
        basis = by_partition(tangents, source)
        assert basis.ndim == 3 and basis.shape[1:] == (3, 64)
        found = basis.compute(scheduler="sync")
        # Orthonormal, and those of the largest singular values.
        np.testing.assert_allclose(
            found @ found.transpose(0, 2, 1), np.tile(np.eye(3), (400, 1, 1)), atol=1e-8
        )
        along = np.square(model.jacobian(X) @ found.transpose(0, 2, 1)).sum(axis=(1, 2))
        values = np.linalg.svd(model.jacobian(X), compute_uv=False)[:, :3]
        np.testing.assert_allclose(along, np.square(values).sum(axis=1), rtol=1e-6)
        assert np.all(along < jacobians)
    distances = np.square(X[:, None] - X[:50]).sum(axis=2)
    kernels = np.exp(-distances / 0.5) / (0.5 * np.pi) ** 32
    mean = by_partition(densities, rows).mean().compute(scheduler="sync")
    np.testing.assert_allclose(mean, np.log(kernels.mean(axis=1)).mean(), rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "source", "words"),
    [
        (np.sum, array.ones((6, 3)), "an array with an entry for each row of X; of 2 rows"),
        (lambda rows: rows.tolist(), array.ones((6, 3)), "it returned list"),
        (np.cumsum, np.ones((6, 3)), "X must be an array or a data frame of Dask; got ndarray"),
    ],
)
def test_what_has_no_entry_for_each_row_is_told(function, source, words):
    with pytest.raises(TypeError, match=words):
        by_partition(function, source)


def test_what_is_missing_is_told(client):
    model = Distributed(ContractiveAE(5, **FAST), min_workers=3, timeout=0.2)
    with pytest.raises(RuntimeError, match="has 2 workers, and min_workers=3, for 0.2 s"):
        model.fit(X)
    assert clone(Distributed(ContractiveAE(5), client=client)).client is client

    def broken(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] == 2:
            raise OSError("the disk is gone")
        return block

    rows = array.from_array(X, chunks=(90, 64)).map_blocks(broken, dtype=X.dtype)
    fitted = Distributed(ContractiveAE(5, **FAST)).fit(X)
    before = _parameters(fitted.estimator_)
    with pytest.raises(RuntimeError, match="Part 2 of X, counted from 0, .* the disk is gone"):
        fitted.fit(rows)
    np.testing.assert_array_equal(_parameters(fitted.estimator_), before)


def test_workers_that_are_gone_are_an_error():
    model = DenoisingAE(10, max_iter=2000, tol=0, random_state=0)
    with _cluster(1) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        leaving = threading.Timer(0.5, lambda: cluster.scale(0))
        leaving.start()
        with pytest.raises(RuntimeError, match="has 0 workers, and min_workers=1, for 0.5 s"):
            Distributed(model, client=client, timeout=0.5).fit(X)
        leaving.join()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills processes")
def test_a_worker_that_is_killed_changes_nothing(monkeypatch):
    model = DenoisingAE(10, max_iter=4, verbose=1, random_state=0)
    options = {"n_parts": 3, "timeout": 60}
    alive = []

    def kill(verbose, state):
        if len(state.loss_curve) == 2 and alive:
            os.kill(alive.pop(), signal.SIGKILL)

    monkeypatch.setattr("skae.training.verbose.Verbose.epoch_end", kill)
    forks()  # of what Dask's own list has not
    with _cluster(2, processes=True) as cluster, distributed.Client(cluster) as client:
        expected = Distributed(model, client=client, **options).fit(X).estimator_
        alive.append(next(iter(client.run(os.getpid).values())))
        found = Distributed(model, client=client, **options).fit(X).estimator_
    assert not alive
    np.testing.assert_array_equal(_parameters(found), _parameters(expected))


def test_without_a_client_it_says_what_to_do():
    if distributed.client._get_global_client() is None:
        with pytest.raises(ValueError, match="No Dask client is active: make one"):
            Distributed(ContractiveAE(5)).fit(X)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (StackedAEClassifier(LAYERS, **FAST), is_classifier),
        (StackedAERegressor(LAYERS, **FAST), is_regressor),
        (AnomalyDetector(ContractiveAE(4, **FAST)), is_outlier_detector),
        (ContractiveAE(4, **FAST), lambda model: model.__sklearn_tags__().input_tags.allow_nan),
    ],
    ids=lambda model: type(model).__name__,
)
def test_it_is_to_scikit_learn_what_its_estimator_is(client, model, kind):
    wrapped = Distributed(model)
    assert kind(wrapped)
    table = pd.DataFrame(X[:, 20:24], columns=list("abcd"))
    wrapped.fit(table, y)
    assert kind(wrapped) and wrapped.n_features_in_ == 4
    assert list(wrapped.feature_names_in_) == list("abcd")


@pytest.mark.slow
def test_scorers_and_meta_estimators_take_it(client):
    model, odd = Distributed(StackedAEClassifier(LAYERS, **FAST)), y % 2
    plain = StackedAEClassifier(LAYERS, **FAST)
    options = {"cv": 2, "scoring": "roc_auc", "error_score": "raise"}
    np.testing.assert_allclose(
        cross_val_score(model, X, odd, **options),
        cross_val_score(plain, X, odd, **options),
        atol=0.01,
    )
    calibrated = CalibratedClassifierCV(model, cv=2).fit(X, y)
    assert calibrated.predict_proba(X).shape == (400, 10)
    np.testing.assert_array_equal(model.fit(X, y).classes_, np.arange(10))
    names = make_pipeline(Distributed(ContractiveAE(3, **FAST)), PCA(2)).set_output(
        transform="pandas"
    )
    assert list(names.fit(X).transform(X).columns) == ["pca0", "pca1"]
    first = Distributed(ContractiveAE(3, **FAST)).set_output(transform="pandas")
    codes = first.fit_transform(X)
    assert list(codes.columns) == list(first.get_feature_names_out())
    np.testing.assert_array_equal(codes, first.to_local().transform(X))


def test_scores_need_no_weights(client):
    # score of PCA takes none.
    assert Distributed(PCA(2)).fit(X).score(X) == pytest.approx(PCA(2).fit(X).score(X))


def test_a_column_of_a_dask_array_is_no_matrix(client):
    model, X_dask = Distributed(ContractiveAE(3, **FAST)).fit(X), array.from_array(X, chunks=100)
    with pytest.raises(ValueError, match=r"a row for each sample.*got shape \(400,\)"):
        model.transform(X_dask[:, 0])


def test_images_of_a_dask_array_are_taken_by_all_methods(client):
    images = X[:40].reshape(40, 8, 8)
    rows = array.from_array(images, chunks=(15, 4, 8))
    model = Distributed(ConvolutionalPSD(2, patch_size=5, max_iter=1, random_state=0)).fit(rows)
    found = model.transform(rows)
    assert found.chunks[0] == (15, 15, 10)
    expected = model.to_local().transform(images)
    np.testing.assert_allclose(found.compute(scheduler="sync"), expected, rtol=1e-9)


def test_training_that_goes_on_has_the_parameters_of_now(client):
    options = {"solver": "sgd", "batch_size": 400, "max_iter": 2, "random_state": 0}
    local = AutoEncoder(3, warm_start=True, **options)
    model = Distributed(clone(local)).fit(X).partial_fit(X)
    local.fit(X).partial_fit(X)
    model.set_params(estimator__learning_rate_init=1e-3).fit(X).partial_fit(X)
    local.set_params(learning_rate_init=1e-3).fit(X).partial_fit(X)
    assert model.estimator_.n_iter_ == local.n_iter_ == 6
    np.testing.assert_allclose(_parameters(model.estimator_), _parameters(local), rtol=1e-5)
    with pytest.raises(ValueError):
        model.set_params(estimator__learning_rate_init=0.5).partial_fit(X[:, :2])
    assert model.estimator_.learning_rate_init == 1e-3
    other = clone(model).set_params(estimator__warm_start=False)
    assert other.fit(X).fit(X).estimator_.n_iter_ == 2
    other.set_params(estimator=RBM(3, max_iter=1)).partial_fit(X)
    assert type(other.estimator_) is RBM


def test_an_address_without_a_scheduler_is_told_within_the_timeout():
    begin = time.monotonic()
    model = Distributed(ContractiveAE(3), client="tcp://127.0.0.1:1", timeout=0.2)
    with pytest.raises(OSError, match="Timed out trying to connect to tcp://127.0.0.1:1"):
        model.fit(X)
    assert time.monotonic() - begin < 10


def test_a_client_that_fit_makes_is_closed():
    with _cluster(1) as cluster:
        model = Distributed(ContractiveAE(3, **FAST), client=cluster.scheduler_address)
        for _ in range(2):
            before = len(cluster.scheduler.clients)
            model.fit(X)
            assert len(cluster.scheduler.clients) == before
        with pytest.raises(ValueError, match="n_components"):
            Distributed(ContractiveAE(-1), client=cluster.scheduler_address).fit(X)
        assert len(cluster.scheduler.clients) == before


@pytest.mark.slow
def test_partitions_that_a_filter_leaves_empty(client):
    table = pd.DataFrame(X[:, 20:24], columns=list("abcd"))
    table["row"] = np.arange(400.0)
    parts = frame.from_pandas(table, npartitions=4)
    kept, some = table[table["row"] > 250], parts[parts["row"] > 250]
    model = Distributed(StackedAEClassifier(LAYERS, **FAST)).fit(table, y)
    for method in ("predict", "predict_proba", "transform"):
        expected = getattr(model.to_local(), method)(kept)
        np.testing.assert_array_equal(getattr(model, method)(some).compute(), expected)
    rows = array.from_array(table.to_numpy(), chunks=(100, 5))
    rows = rows[rows[:, 4] > 250]
    rows.compute_chunk_sizes()
    model = Distributed(ContractiveAE(3, **FAST)).fit(table.to_numpy())
    expected = model.to_local().transform(kept.to_numpy())
    np.testing.assert_array_equal(model.transform(rows).compute(), expected)
    for source in (some, rows):
        fitted = ContractiveAE(3, **FAST).fit(source)
        np.testing.assert_array_equal(fitted.loss_curve_, fitted.fit(kept.to_numpy()).loss_curve_)


@pytest.mark.slow
def test_an_iterator_of_batches_is_fitted_and_transformed(client):
    batches = [X[:250], X[250:]]
    wrapper = Distributed(ContractiveAE(3, **FAST), client=client, n_parts=2)
    expected = clone(wrapper).fit(X).transform(X)
    np.testing.assert_array_equal(clone(wrapper).fit_transform(iter(batches)), expected)
    with_y = ((rows, y[: len(rows)]) for rows in batches)
    classifier = Distributed(StackedAEClassifier(LAYERS, **FAST), client=client)
    assert classifier.fit_transform(with_y).shape == (400, 12)
    rows = array.from_array(X, chunks=(200, 64))
    lazy = clone(wrapper).fit_transform(rows)
    assert isinstance(lazy, array.Array)
    np.testing.assert_allclose(lazy.compute(), expected, rtol=1e-6)


def test_kinds_of_an_iterator_of_batches_are_predicted(client):
    wrapper = Distributed(AnomalyDetector(ContractiveAE(3, **FAST)), client=client, n_parts=2)
    expected = clone(wrapper).fit(X).predict(X)
    np.testing.assert_array_equal(clone(wrapper).fit_predict(iter([X[:250], X[250:]])), expected)
    assert not hasattr(Distributed(ContractiveAE(3)), "fit_predict")


@pytest.mark.parametrize("whole", [False, True])
def test_lazy_results_are_arrays_whatever_set_output_asks_for(client, whole):
    model = Distributed(ContractiveAE(3, **FAST)).set_output(transform="pandas").fit(X)
    expected = model.to_local().transform(X).to_numpy()
    rows = array.from_array(X, chunks=X.shape if whole else (90, 64))
    table = frame.from_pandas(pd.DataFrame(X), npartitions=1 if whole else 3)
    for source in (rows, table):
        codes = model.transform(source)
        found = codes.compute()
        assert type(found) is np.ndarray and found.dtype == codes.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-9)
        np.testing.assert_allclose(codes.mean(axis=0).compute(), expected.mean(axis=0))


@pytest.mark.slow
def test_lazy_sparse_codes_are_sparse_and_are_taken_back(client):
    model = Distributed(SparseAutoEncoder(20, **FAST)).fit(X)
    local = model.to_local()
    table = pd.DataFrame(X)
    kept = table[table[20] > 0.9]
    parts = frame.from_pandas(table, npartitions=30)
    rows = array.from_array(X, chunks=(90, 64))
    some = parts[parts[20] > 0.9]
    assert 0 in some.map_partitions(len).compute().to_numpy()
    for source, taken in ((rows, X), (some, kept.to_numpy())):
        codes, expected = model.transform(source), local.transform(taken)
        found = codes.compute()
        assert found.format == codes._meta.format == "csr"
        np.testing.assert_allclose(found.toarray(), expected.toarray(), rtol=1e-9)
        again = model.inverse_transform(codes).compute()
        np.testing.assert_allclose(again, local.inverse_transform(expected), rtol=1e-9)


def test_collections_that_are_no_tables_are_named(client):
    bag, delayed = pytest.importorskip("dask.bag"), pytest.importorskip("dask").delayed
    model = Distributed(ContractiveAE(3, **FAST)).fit(X)
    column = frame.from_pandas(pd.DataFrame(X), npartitions=2)[0]
    for source, kind in (
        (bag.from_sequence([1]), "Bag"),
        (delayed(X), "Delayed"),
        (column, "Series"),
    ):
        with pytest.raises(
            TypeError, match=f"X is of the type {kind}.* of Dask: give an array with"
        ):
            model.transform(source)


def test_a_closed_client_is_told_and_the_model_is_as_before():
    with _cluster(1) as cluster:
        client = distributed.Client(cluster, set_as_default=False)
        model = Distributed(ContractiveAE(3, **FAST), client=client).fit(X)
        before = model.transform(X)
        client.close()
        with pytest.raises(RuntimeError, match="The Dask client is closed: make a new one"):
            model.fit(X[:100])
    np.testing.assert_array_equal(model.transform(X), before)


def test_requests_of_metadata_are_cloned():
    with config_context(enable_metadata_routing=True):
        model = Distributed(ContractiveAE(3)).set_fit_request(sample_weight=True)
        requests = clone(model).get_metadata_routing().fit.requests
    assert requests == {"sample_weight": True}


def test_no_worker_for_a_moment(client, monkeypatch):
    cluster = Cluster(client, min_workers=1, timeout=10)
    present = cluster._workers()
    answers = iter([present, [], present, present])
    monkeypatch.setattr(cluster, "_workers", lambda: next(answers))
    assert cluster.send(0, "rows").result() == "rows"
    assert next(answers, None) is None
