"""A transformer that fills in missing values: what it returns, and the tools of scikit-learn around it."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skae import AutoEncoder, ContractiveAE, DenoisingAE, Imputer, StackedAE
from skae import io as skae_io

RNG = np.random.default_rng(0)
HIDDEN = RNG.standard_normal((300, 2))
WHOLE = np.column_stack([5 + HIDDEN @ RNG.standard_normal((2, 5)), HIDDEN[:, 0] > 0.3])
WHOLE[:, :5] += 0.1 * RNG.standard_normal((300, 5))
MISSING = RNG.random(WHOLE.shape) < 0.2
MISSING[5] = True
TABLE = np.where(MISSING, np.nan, WHOLE)
NAMES = list("abcdef")
FRAME = pd.DataFrame(TABLE, columns=NAMES)
FAST = {"max_iter": 20, "random_state": 0}
BASE = DenoisingAE(10, **FAST)
IMPUTER = Imputer(BASE).fit(TABLE)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("Model", [AutoEncoder, DenoisingAE, ContractiveAE])
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, pd.DataFrame, np.ndarray.tolist])
def test_missing_cells_are_those_of_the_base_and_others_stay(Model, form):
    base = Model(10, **FAST)
    filled = Imputer(base).fit(form(TABLE)).transform(form(TABLE))
    np.testing.assert_array_equal(filled, clone(base).fit(TABLE).impute(TABLE))
    np.testing.assert_array_equal(filled[~MISSING], WHOLE[~MISSING])
    assert np.isfinite(filled).all() and np.isnan(TABLE).any()


def test_it_fills_in_better_values_than_the_mean():
    errors = [
        np.mean((model.fit(TABLE[:200]).transform(TABLE[200:]) - WHOLE[200:])[MISSING[200:]] ** 2)
        for model in (Imputer(DenoisingAE(random_state=0)), SimpleImputer())
    ]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.slow
@pytest.mark.usefixtures("few_epochs")
def test_the_default_base_is_a_denoising_one_with_its_seed():
    found = Imputer(random_state=3).fit(TABLE[:60])
    assert type(found.base_) is DenoisingAE
    seed = np.random.RandomState(3).randint(np.iinfo(np.int32).max)
    expected = DenoisingAE(random_state=seed).fit(TABLE[:60])
    np.testing.assert_array_equal(found.transform(TABLE), expected.impute(TABLE))
    assert clone(found).set_params(base=BASE).fit(TABLE).base_.random_state == 0


def test_whole_tables_stay_as_they_are():
    of_whole = Imputer(BASE).fit(WHOLE)
    for rows in (WHOLE, WHOLE.astype(np.float32)):
        for model in (of_whole, IMPUTER):
            filled = model.transform(rows)
            np.testing.assert_array_equal(filled, rows)
            assert filled.dtype == rows.dtype and not np.shares_memory(filled, rows)
    assert np.isfinite(of_whole.transform(TABLE)).all()


@pytest.mark.parametrize("of_fit", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cells_that_are_there_are_not_rounded(of_fit, dtype):
    rows = TABLE.astype(dtype)
    model = clone(IMPUTER).fit(TABLE.astype(of_fit))
    filled = model.transform(rows)
    assert filled.dtype == dtype
    np.testing.assert_array_equal(filled[~MISSING], rows[~MISSING])
    of_base = model.base_.impute(rows)
    assert of_base.dtype == of_fit
    np.testing.assert_array_equal(filled[MISSING], of_base[MISSING].astype(dtype))


@pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_tables_stay_sparse(form):
    rows = np.where(RNG.random(TABLE.shape) < 0.5, 0, TABLE)
    given = form(rows)
    model = clone(IMPUTER).fit(given)
    filled = model.transform(given)
    assert filled.format == "csr" and filled.nnz == given.nnz
    np.testing.assert_array_equal(filled.toarray(), model.base_.impute(rows))
    np.testing.assert_array_equal(given.toarray(), rows)


def test_entries_of_a_sparse_table_that_stand_twice_are_added():
    twice = scipy.sparse.csr_matrix(([1.0, np.nan, 2.0, 3.0], [0, 0, 1, 1], [0, 4]), shape=(1, 6))
    filled = clone(IMPUTER).fit(scipy.sparse.csr_matrix(TABLE)).transform(twice)
    row = np.array([[np.nan, 5.0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(filled.toarray(), IMPUTER.base_.impute(row))


@pytest.mark.slow
def test_wide_sparse_tables_are_dense_in_parts_only():
    rows = scipy.sparse.random(1024, 6000, 1e-3, "csr", np.float32, random_state=0)
    rows.data[::7] = np.nan
    base = AutoEncoder(4, max_iter=1, standardize=False, random_state=0)
    model = Imputer(base).fit(np.random.default_rng(0).random((20, 6000), np.float32))
    whole = model.transform(rows)
    with config_context(working_memory=2):
        tracemalloc.start()
        filled = model.transform(rows)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    np.testing.assert_allclose(filled.data, whole.data, rtol=1e-4, atol=1e-4)
    assert peak < 8 and np.isfinite(filled.data).all()


def test_constant_columns_and_categories():
    one_hot = np.eye(3)[np.digitize(HIDDEN[:, 0], [-0.5, 0.5])]
    gaps = RNG.random((300, 1)) < 0.2
    table = np.hstack([TABLE, np.where(gaps, np.nan, one_hot), np.where(gaps, np.nan, 7.0)])
    filled = clone(IMPUTER).fit_transform(table)
    np.testing.assert_allclose(filled[:, 6:9].sum(axis=1), 1)
    assert ((filled[:, 5:9] >= 0) & (filled[:, 5:9] <= 1)).all()
    np.testing.assert_allclose(filled[:, 9], 7.0)


@pytest.mark.slow
def test_categories_that_are_partly_known_have_their_probabilities_given_the_known_ones():
    table = np.hstack([TABLE, np.eye(4)[np.digitize(HIDDEN[:, 0], [-0.7, 0, 0.7])]])
    holes = np.where(np.random.default_rng(1).random(table.shape) < 0.3, np.nan, table)
    base = DenoisingAE(8, random_state=0).partial_fit(table)  # it imputes one reconstruction
    found = base.impute(holes)[:, -4:]
    for row, r, cells in zip(found, base.reconstruct(holes)[:, -4:], holes[:, -4:]):
        hidden = np.isnan(cells)
        rest = 1 - np.nansum(cells)
        expected = np.where(hidden, rest * r / r[hidden].sum(), cells) if hidden.any() else cells
        np.testing.assert_allclose(row, expected, atol=1e-9)
    filled = Imputer(random_state=0).fit_transform(holes)[:, -4:]
    np.testing.assert_allclose(filled.sum(axis=1), 1)
    known = np.nanmax(holes[:, -4:], axis=1, initial=0) == 1
    np.testing.assert_array_equal(filled[known], table[known, -4:])


def test_shares_sum_to_one_and_counts_need_not():
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 100)
    base = AutoEncoder(3, loss="multinomial", max_iter=20, random_state=0).fit(rows)
    holes = rows.copy()
    holes[:, 1] = holes[::2, 3] = np.nan
    found = base.impute(holes)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[1::2], rows[1::2])
    expected = base.reconstruct(holes)[::2]
    np.testing.assert_allclose(found[::2, 1] / found[::2, 3], expected[:, 1] / expected[:, 3])
    counts = 9 * holes[np.nansum(holes, axis=1) > 0.2]
    np.testing.assert_allclose(base.impute(counts)[:, 1], base.reconstruct(counts)[:, 1])


def test_weights_are_those_of_the_base():
    weights = np.arange(300) % 3
    found = clone(IMPUTER).fit(TABLE, sample_weight=weights)
    expected = clone(BASE).fit(TABLE, sample_weight=weights)
    np.testing.assert_array_equal(found.transform(TABLE), expected.impute(TABLE))
    frozen = Imputer(FrozenEstimator(expected))
    for model in (clone(IMPUTER), frozen):
        with pytest.raises(ValueError, match="sample_weight"):
            model.fit(TABLE, sample_weight=-np.ones(300))


def test_a_frozen_base_is_not_fitted_again():
    base = clone(BASE).fit(FRAME)
    model = clone(Imputer(FrozenEstimator(base))).fit(FRAME[:50])
    np.testing.assert_array_equal(model.base_.components_, base.components_)
    np.testing.assert_array_equal(model.transform(FRAME), base.impute(FRAME))
    with pytest.raises(NotFittedError, match="FrozenEstimator; got base"):
        Imputer(FrozenEstimator(BASE)).fit(TABLE)
    with pytest.raises(ValueError, match="same order as they were in fit"):
        Imputer(FrozenEstimator(base)).fit(FRAME[NAMES[::-1]])


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_frames_with_names(output):
    library = pytest.importorskip(output)
    given = FRAME if output == "pandas" else library.DataFrame(TABLE, schema=NAMES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = clone(IMPUTER).set_output(transform=output).fit(given)
        filled = model.transform(given)
    assert isinstance(filled, library.DataFrame) and list(filled.columns) == NAMES
    np.testing.assert_array_equal(filled.to_numpy(), IMPUTER.transform(TABLE))
    assert list(model.base_.feature_names_in_) == list(model.get_feature_names_out()) == NAMES
    with pytest.raises(ValueError, match="same order as they were in fit"):
        model.transform(given[NAMES[::-1]])


def test_an_index_stays_and_missing_integers_are_taken():
    frame = FRAME.assign(f=FRAME["f"].astype("Int64")).set_index(pd.Index(range(7, 307)))
    filled = clone(IMPUTER).set_output(transform="pandas").fit_transform(frame)
    assert list(filled.index) == list(frame.index)
    np.testing.assert_array_equal(filled.to_numpy(), IMPUTER.transform(TABLE))


def test_columns_of_a_column_transformer():
    frame = FRAME.assign(word=np.where(WHOLE[:, 0] > 5, "high", "low"))
    parts = make_column_transformer(
        (Imputer(BASE), NAMES), (OneHotEncoder(sparse_output=False), ["word"])
    ).set_output(transform="pandas")
    table = parts.fit_transform(frame)
    assert list(table.columns)[:6] == [f"imputer__{name}" for name in NAMES]
    np.testing.assert_array_equal(table.iloc[:, :6], IMPUTER.transform(TABLE))


@pytest.mark.parametrize("scores", [False, True])
def test_a_pipeline_is_cross_validated_and_searched(scores):
    X, y = load_wine(return_X_y=True)
    X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    imputer = Imputer(DenoisingAE(20, max_iter=50), random_state=0)
    pipeline = make_pipeline(imputer, StandardScaler(), LogisticRegression())
    if scores:
        assert cross_val_score(pipeline, X, y, cv=3, error_score="raise").min() > 0.85
        return
    grid = {"imputer__base__n_components": [5, 20]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    width = search.best_params_["imputer__base__n_components"]
    assert search.best_estimator_["imputer"].base_.components_.shape == (width, 13)
    assert search.predict(X).shape == y.shape


@pytest.mark.slow
def test_it_is_the_same_when_it_is_read(tmp_path):
    pytest.importorskip("skops")
    skae_io.save(IMPUTER, tmp_path / "model.skops")
    for again in (pickle.loads(pickle.dumps(IMPUTER)), skae_io.load(tmp_path / "model.skops")):
        np.testing.assert_array_equal(again.transform(TABLE), IMPUTER.transform(TABLE))
    with pytest.raises(NotFittedError):
        clone(IMPUTER).transform(TABLE)


def test_sources_are_gathered(tmp_path):
    FRAME.to_parquet(tmp_path / "rows.parquet")
    dataset = pytest.importorskip("pyarrow.dataset").dataset(tmp_path)
    model = clone(IMPUTER).fit(dataset)
    assert list(model.get_feature_names_out()) == NAMES
    np.testing.assert_array_equal(model.transform(dataset), IMPUTER.transform(TABLE))
    rows = np.memmap(tmp_path / "rows", mode="w+", dtype=np.float64, shape=TABLE.shape)
    rows[:] = TABLE
    filled = clone(IMPUTER).fit(rows).transform(rows)
    assert type(filled) is np.ndarray
    np.testing.assert_array_equal(filled, IMPUTER.transform(TABLE))
    np.testing.assert_array_equal(rows, TABLE)


def test_what_is_refused_leaves_the_imputer():
    model, empty = clone(IMPUTER).fit(TABLE), TABLE.copy()
    empty[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"Column 2 of X has no value.*Leave it out"):
        model.fit(empty)
    with pytest.raises(ValueError, match="infinity"):
        model.transform(np.where(MISSING, np.inf, WHOLE))
    with pytest.raises(ValueError, match="X has 3 features"):
        model.transform(TABLE[:, :3])
    np.testing.assert_array_equal(
        model.transform(empty)[~MISSING[:, 2], 3], IMPUTER.transform(empty)[~MISSING[:, 2], 3]
    )
    for base in (StackedAE([3]), StandardScaler(), 5):
        with pytest.raises(ValueError, match="'base' parameter of Imputer.*'impute'"):
            Imputer(base).fit(TABLE)
    with pytest.raises(TypeError, match="base=.*is a class: give an instance"):
        Imputer(DenoisingAE).fit(TABLE)
