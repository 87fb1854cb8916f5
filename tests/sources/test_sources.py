"""Rows from anywhere give the model that the same rows in memory give, and bad parts are named."""

import gc
import os
from decimal import Decimal

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, issparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_array

from skae import (
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.boltzmann import DBN
from skae.images import ZCA
from skae.manifold import LocalPCA, TangentNeighborsClassifier, tangent_basis
from skae.sources import apply, gather
from skae.sources._parts import parts_of

X, y = (each[:300] for each in load_digits(return_X_y=True))
X = X.astype(np.float32)
NAMES = [f"pixel{number}" for number in range(64)]
FAST = {"max_iter": 2, "random_state": 0}
LAYERS = [("low", ContractiveAE(12, **FAST)), ("high", ContractiveAE(8, **FAST))]


def _memory_map(folder, rows=X):
    np.save(folder / "rows.npy", rows)
    return np.load(folder / "rows.npy", mmap_mode="r")


def _integers(folder):
    return _memory_map(folder, X.astype(np.uint8))


def _hdf5(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "rows.h5", "w") as file:
        file["rows"] = X
    return h5py.File(folder / "rows.h5")["rows"]


def _zarr(folder):
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(
        store=str(folder / "z"), shape=X.shape, dtype=X.dtype, chunks=(70, 20)
    )
    array[:] = X
    return array


def _parquet(folder):
    pytest.importorskip("pyarrow")
    from pyarrow.dataset import dataset

    for number, rows in enumerate(np.array_split(X, 3)):
        pd.DataFrame(rows, columns=NAMES).to_parquet(folder / f"{number}.parquet")
    return dataset(folder)


def _parquet_file(folder):
    pytest.importorskip("pyarrow")
    from pyarrow.parquet import ParquetFile

    pd.DataFrame(X, columns=NAMES).to_parquet(folder / "rows.parquet")
    return ParquetFile(folder / "rows.parquet")


def _lazy_frame(folder):
    polars = pytest.importorskip("polars")
    pd.DataFrame(X, columns=NAMES).to_parquet(folder / "rows.parquet")
    return polars.scan_parquet(folder / "rows.parquet")


def _dask_array(folder):
    array = pytest.importorskip("dask.array")
    return array.from_array(X, chunks=(90, 30))


def _dask_frame(folder):
    frame = pytest.importorskip("dask.dataframe")
    return frame.from_pandas(pd.DataFrame(X, columns=NAMES), npartitions=3)


class Batches:
    """Rows in batches, as often as they are asked for."""

    def __iter__(self):
        return iter(np.array_split(X, 7))


KINDS = [_memory_map, _hdf5, _zarr, _parquet, _parquet_file, _lazy_frame, _dask_array, _dask_frame]
MODELS = [
    ContractiveAE(10, early_stopping=True, **FAST),
    RBM(10, **FAST),
    SparseCoder(10, alpha=5.0, **FAST),
    PSD(10, alpha=5.0, **FAST),
    SparseAutoEncoder(20, **FAST),
    StackedAE(LAYERS),
    StackedAEClassifier(LAYERS, **FAST),
    StackedAERegressor(LAYERS, **FAST),
    ManifoldTangentClassifier(StackedAE(LAYERS), n_tangents=3, **FAST),
    AnomalyDetector(AutoEncoder(3, **FAST)),
    TangentNeighborsClassifier(ContractiveAE(5, **FAST), n_tangents=2),
    ZCA(),
    DBN([("low", RBM(10, **FAST)), ("high", RBM(5, **FAST))]),
]


def _results(model, rows):
    names = [
        "transform",
        "predict",
        "predict_proba",
        "score_samples",
    ]
    return {name: getattr(model, name)(rows) for name in names if hasattr(model, name)}


def _assert_equal(found, expected):
    for name, value in expected.items():
        ours, theirs = (each.toarray() if issparse(each) else each for each in (found[name], value))
        np.testing.assert_array_equal(ours, theirs, err_msg=name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("make", [_parquet, lambda folder: Batches()], ids=["parquet", "batches"])
def test_all_estimators_are_to_the_last_bit_those_of_memory(model, make, tmp_path):
    expected = clone(model).fit(X, y)
    found = clone(model).fit(make(tmp_path), y)
    _assert_equal(_results(found, X), _results(expected, X))


@pytest.mark.slow
def test_gathered_rows_go_to_other_processes():
    rows = gather(Batches())
    model = LocalPCA(9).fit(Batches())
    expected = tangent_basis(LocalPCA(9).fit(X), X[:5], 3)[0]
    there = joblib.Parallel(2, backend="multiprocessing", timeout=60, max_nbytes=100)(
        joblib.delayed(tangent_basis)(model, each, 3) for each in (rows[:5], X[:5])
    )
    for basis, _ in there:  # other processes may round in another way
        np.testing.assert_allclose(basis, expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__[1:])
def test_all_kinds_of_sources_give_the_same_model(make, tmp_path):
    source, model = make(tmp_path), ContractiveAE(10, **FAST)
    expected = clone(model).fit(X)
    found = clone(model).fit(source)
    _assert_equal({"transform": found.transform(source)}, {"transform": expected.transform(X)})
    assert found.score(source) == expected.score(X)
    named = hasattr(found, "feature_names_in_")
    assert not named or list(found.feature_names_in_) == NAMES
    again = clone(model).partial_fit(source)
    np.testing.assert_array_equal(
        dense_codes(again), dense_codes(clone(model).partial_fit(X)), err_msg="partial_fit"
    )


def dense_codes(model):
    """Return the codes of all rows, without a warning of names."""
    rows = pd.DataFrame(X, columns=NAMES) if hasattr(model, "feature_names_in_") else X
    return model.transform(rows)


def test_integers_become_what_they_become_in_memory(tmp_path):
    source = _integers(tmp_path)
    gathered = gather(source)
    assert gathered.dtype == np.float64
    np.testing.assert_array_equal(gathered, X)
    plain = _memory_map(tmp_path)
    assert gather(plain) is plain


def test_sparse_batches_become_one_matrix():
    gathered = gather(iter([csr_matrix(X[:100]), csr_matrix(X[100:])]))
    assert gathered.format == "csr"
    np.testing.assert_array_equal(gathered.toarray(), X)


def test_named_columns_can_have_losses(tmp_path):
    losses = [("gaussian", NAMES[:30]), ("bernoulli", NAMES[30:])]
    frame = pd.DataFrame(X / 16, columns=NAMES)
    frame.to_parquet(tmp_path / "rows.parquet")
    dataset = pytest.importorskip("pyarrow.dataset").dataset(tmp_path)
    model = AutoEncoder(5, loss=losses, **FAST)
    found, expected = clone(model).fit(dataset), clone(model).fit(frame)
    np.testing.assert_array_equal(found.transform(frame), expected.transform(frame))


def test_datasets_keep_their_filter_and_the_columns_of_folders(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow.dataset import dataset, field

    frame = pd.DataFrame(X[:120, :6], columns=NAMES[:6])
    frame["half"] = (np.arange(120) >= 50).astype(np.float32)
    frame.to_parquet(tmp_path, partition_cols=["half"])
    whole = dataset(tmp_path, partitioning="hive")
    model = AutoEncoder(2, **FAST)
    found = clone(model).fit(whole)
    assert list(found.feature_names_in_) == [*NAMES[:6], "half"]
    # Numbers in the names of folders are read as float64.
    expected = clone(model).fit(frame).transform(frame)
    np.testing.assert_allclose(found.transform(frame), expected, rtol=1e-4)
    some = frame[frame[NAMES[2]] > 3]
    found = clone(model).fit(whole.filter(field(NAMES[2]) > 3))
    expected = clone(model).fit(some).transform(some)
    np.testing.assert_allclose(found.transform(some), expected, rtol=1e-4)


@pytest.mark.slow
def test_parquet_is_decoded_as_it_is_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.dataset import dataset
    from pyarrow.parquet import write_table

    n_rows, names = 2**21, NAMES[:4]
    columns = np.random.default_rng(0).random((4, n_rows), dtype=np.float32)
    table = pyarrow.table(dict(zip(names, columns)))
    write_table(table, tmp_path / "rows.parquet", row_group_size=n_rows, use_dictionary=False)
    del table
    before, held = pyarrow.total_allocated_bytes(), 0
    for part in parts_of(dataset(tmp_path)):
        held = max(held, pyarrow.total_allocated_bytes() - before)
        assert len(part.rows) <= 2**16
    assert held < columns.nbytes / 4  # a row group has all rows


def test_files_of_any_file_system_and_of_fewer_columns_are_read(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow.dataset import dataset
    from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

    _parquet(tmp_path)
    other = SubTreeFileSystem(str(tmp_path), LocalFileSystem())  # not known as local
    np.testing.assert_array_equal(gather(dataset("/", filesystem=other)), X)
    schema = dataset(tmp_path).schema
    pd.DataFrame(X[:9, :20], columns=NAMES[:20]).to_parquet(tmp_path / "-.parquet")
    rows = gather(dataset(tmp_path, schema=schema), allow_nan=True)
    np.testing.assert_array_equal(rows.iloc[9:], X)
    np.testing.assert_array_equal(rows.iloc[:9, :20], X[:9, :20])
    assert rows.iloc[:9, 20:].isna().all(axis=None)
    with pytest.raises(ValueError, match="Part 0 of X, counted from 0, has missing"):
        gather(dataset(tmp_path, schema=schema))
    with pytest.raises(ValueError, match=r"0.parquet' .* 'pixel20': float, and none in the first"):
        gather(dataset(tmp_path))


def _frame(rows=X, names=NAMES):
    return pd.DataFrame(rows, columns=names)


def _files(*frames):
    def make(folder):
        dataset = pytest.importorskip("pyarrow.dataset").dataset
        for number, frame in enumerate(frames):
            frame.to_parquet(folder / f"{number}.parquet", index=False)
        return dataset(folder)

    return make


def _cut_short(folder):
    dataset = _files(_frame(), _frame())(folder)
    whole = (folder / "1.parquet").read_bytes()
    (folder / "1.parquet").write_bytes(whole[:2000] + bytes(500) + whole[2500:])
    return dataset


def _lost(folder):
    array = pytest.importorskip("dask.array")
    parts = array.from_array(X, chunks=(50, 64))
    return parts.map_blocks(lambda rows: rows / int(rows[0, 0] != X[100, 0]), dtype=X.dtype)


def _query_of_dates(folder):
    polars = pytest.importorskip("polars")
    day = polars.lit("2020-01-01").str.to_date().alias("day")
    return _lazy_frame(folder).with_columns(day)


def _group(folder):
    return _hdf5(folder).parent


REFUSED = [
    (_files(_frame(), _frame(names=NAMES[::-1]).iloc[:, 1:]), "1.parquet' .* 'pixel63': none, and"),
    (_files(_frame().iloc[:, 1:], _frame()), "1.parquet' .* 'pixel0': float, and none"),
    (_files(_frame(), _frame(X.astype(float))), "1.parquet' .* double, and float in the first"),
    (_files(_frame(X.astype(int)), _frame()), "1.parquet' .* float, and int64 in the first"),
    (_files(_frame(), _frame(X.astype(str))), "1.parquet' .*string, and float in the first"),
    (_cut_short, "1.parquet' of X could not be read"),
    (_query_of_dates, "X has the column 'day' of Date"),
    (lambda folder: iter([X[:, :0]]), "has no columns"),
    (lambda folder: iter([X, X.astype(complex)]), "Part 1 .* complex128: give real numbers"),
    (lambda folder: iter([X, [[1.0, 2.0], [3.0]]]), "Part 1 .* is no array of numbers"),
    (_group, r"X is of the type Group: give one of its arrays, of \['rows'\]"),
    (str, "X is the path .*: open it first"),
    (lambda folder: folder, "X is the path .*: open it first"),
    (
        lambda folder: _dask_array(folder)[:, 0],
        "X is of the type Array of Dask: give an array with",
    ),
    (lambda folder: _dask_frame(folder)["pixel0"], "X is of the type Series of Dask"),
    (lambda folder: _dask_array(folder).to_delayed()[0, 0], "type Delayed of Dask"),
    (lambda folder: pytest.importorskip("pyarrow").array([1.0]), "type DoubleArray of pyarrow"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_what_cannot_be_read_as_one_is_refused(method, make, words, tmp_path):
    model = RBM(5, visible="gaussian", **FAST).fit(X)
    before = model.transform(X)
    with pytest.raises((ValueError, TypeError, OSError), match=words):
        getattr(model, method)(make(tmp_path))
    np.testing.assert_array_equal(model.transform(X), before)


def test_files_are_converted_where_that_is_asked_for(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    dataset = _files(_frame(X[:100]), _frame(X[100:].astype(float))[NAMES[::-1]])(tmp_path)
    np.testing.assert_array_equal(gather(dataset.scanner()), X)
    swapped = _files(_frame(X[:100]), _frame(X[100:])[NAMES[::-1]], _frame(X[:0].astype(int)))
    (tmp_path / "swapped").mkdir()
    np.testing.assert_array_equal(gather(swapped(tmp_path / "swapped")), X)
    batches = dataset.to_table().to_batches()
    largest = X[:100, 30].max()  # so that no row of the first file is left
    some = dataset.filter(pyarrow.dataset.field(NAMES[30]) > largest)
    np.testing.assert_array_equal(gather(some), X[X[:, 30] > largest])
    np.testing.assert_array_equal(gather(batches[0]), X[: len(batches[0])])


@pytest.mark.parametrize("backend", ["numpy_nullable", "pyarrow"])
def test_nullable_columns_of_pandas_are_numbers(backend):
    pytest.importorskip("pyarrow")
    holes = np.where(X == 16, np.float32(np.nan), X)
    frames = [_frame(each).convert_dtypes(dtype_backend=backend) for each in (X, holes)]
    for frame, rows in zip(frames, (X, holes)):
        gathered = gather(iter([frame[:100], frame[100:]]), allow_nan=True)
        np.testing.assert_array_equal(gathered, rows)


def test_a_query_is_computed_once(monkeypatch, tmp_path):
    polars = pytest.importorskip("polars", minversion="1.34")
    monkeypatch.setattr("skae.sources._parts._PART_ROWS", 50)
    seen = []
    rows = _lazy_frame(tmp_path).map_batches(lambda frame: seen.append(len(frame)) or frame)
    query = rows.filter(polars.col(NAMES[2]) > 3)
    np.testing.assert_array_equal(gather(query), X[X[:, 2] > 3])
    assert sum(seen) == 300
    with pytest.raises(ValueError, match="X has no rows"):
        gather(query.filter(polars.col(NAMES[2]) < 3))


def test_targets_come_with_the_batches():
    pairs = list(zip(np.array_split(X, 4), np.array_split(y, 4)))
    model = StackedAEClassifier(LAYERS, **FAST)
    found, expected = clone(model).fit(iter(pairs), None), clone(model).fit(X, y)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    with pytest.raises(ValueError, match=r"Part 1 of X, counted from 0, has 3 rows, and 2 targets"):
        clone(model).fit(iter([(X[:5], y[:5]), (X[:3], y[:2])]), None)
    # As of a DataLoader of PyTorch, with and without targets; lists of rows stay rows.
    found = clone(model).fit(map(list, pairs), None)
    np.testing.assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    for batches in ([[X[:5]], [X[5:8]]], [list(X[:2]), list(X[2:8])], [X[:2].tolist()]):
        rows = gather(iter(batches))
        np.testing.assert_array_equal(rows, X[: len(rows)])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda part: part[:, :5], "has 5 columns, and the first one 64"),
        (lambda part: part.astype(float), "has the dtype float64, and the first one float32"),
        (
            lambda part: np.where(part == 0, np.nan, part),
            "has missing .* values: .* by Imputer of skae",
        ),
        (lambda part: np.where(part == 0, np.inf, part), "has missing or infinite values"),
        (lambda part: part[:0], "is empty"),
        (lambda part: part.ravel(), "has 1 dimensions instead of 2"),
        (lambda part: part.astype(str), "has the dtype <U.*: encode columns of text"),
        (csr_matrix, "is sparse, and the first one dense"),
        (lambda part: pd.DataFrame(part, columns=NAMES), r"has the columns \['pixel0'"),
        (lambda part: (part, y[: len(part)]), "has a y, and the first one none"),
    ],
)
def test_a_bad_part_is_named_and_the_model_is_as_before(change, words):
    parts = np.array_split(X, 20)
    model = RBM(5, visible="gaussian", **FAST).fit(X)
    before = model.transform(X)
    parts[17] = change(parts[17])
    with pytest.raises(ValueError, match=f"Part 17 of X, counted from 0, {words}"):
        model.fit(iter(parts))
    np.testing.assert_array_equal(model.transform(X), before)


def test_missing_values_are_taken_where_the_model_takes_them():
    holes = np.where(X == 16, np.float32(np.nan), X)
    model = AutoEncoder(5, **FAST)
    found, expected = clone(model).fit(iter(np.array_split(holes, 3))), clone(model).fit(holes)
    np.testing.assert_array_equal(found.transform(X), expected.transform(X))


def test_what_is_short_or_used_up_is_told():
    model, batches = ContractiveAE(5, **FAST), iter([X])
    model.fit(batches)
    with pytest.raises(ValueError, match="X has no rows. An iterator gives its batches once"):
        model.fit(batches)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        StackedAEClassifier(LAYERS, **FAST).fit(Batches(), y[:-1])


def test_text_in_a_column_is_named(tmp_path):
    pytest.importorskip("pyarrow")
    from pyarrow.dataset import dataset

    pd.DataFrame({"a": [1.0, 2.0], "city": ["x", "y"]}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match="column 'city' of .*string: encode or drop it"):
        AutoEncoder(1).fit(dataset(tmp_path))


def test_objects_that_are_numbers_are_read_from_batches_as_from_memory():
    frame = pd.DataFrame({"a": [0.5, 1.5], "price": [Decimal("1.5"), None], "sold": [True, None]})
    rows = gather(iter([frame, frame]), allow_nan=True)
    expected = np.tile(check_array(frame, dtype=float, ensure_all_finite=False), (2, 1))
    np.testing.assert_array_equal(np.asarray(rows), expected)


@pytest.mark.parametrize(
    "column, kind",
    [
        (pd.date_range("2020", periods=10), r"datetime64\[.s\]"),
        (pd.to_timedelta(np.arange(10), unit="s"), r"timedelta64\[.s\]"),
        (pd.Categorical(["warm", "cold"] * 5), "category"),
        (pd.Series([[1.0, 2.0]] * 10), "object"),
        (pd.date_range("2020", periods=10).astype(object), r"(object|datetime64\[.s\])"),
        (1j, "complex128"),
    ],
)
def test_columns_of_batches_that_are_no_numbers_are_named(column, kind):
    first = pd.DataFrame(X[:10, :3], columns=list("abc"))
    message = f"Part 1 of X, .* has the column 'b' of {kind}: encode or drop it"
    with pytest.raises(ValueError, match=message):
        gather(iter([first, first.assign(b=column)]))


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files of Linux")
def test_the_temporary_file_goes_with_the_rows(tmp_path):
    rows = gather(iter([X, X]), folder=tmp_path)
    assert not list(tmp_path.iterdir())
    with open("/proc/self/maps") as maps:
        assert str(tmp_path) in maps.read()
    del rows
    gc.collect(1)
    with open("/proc/self/maps") as maps:
        assert str(tmp_path) not in maps.read()


@pytest.mark.parametrize("named", [False, True])
def test_apply_writes_what_the_method_returns(named, tmp_path):
    rows = pd.DataFrame(X, columns=NAMES) if named else X
    model = make_pipeline(ContractiveAE(6, **FAST), LogisticRegression(max_iter=2000)).fit(rows, y)
    parts = [rows[start : start + 70] for start in range(0, 300, 70)]
    np.testing.assert_array_equal(apply(model, iter(parts), method="predict"), model.predict(rows))
    encoder = model[0]
    out = np.lib.format.open_memmap(tmp_path / "codes.npy", "w+", np.float32, (300, 6))
    assert apply(encoder, iter(parts), out) is out
    np.testing.assert_allclose(out, encoder.transform(rows), rtol=1e-6)
    folder = tmp_path / "codes"
    apply(encoder, iter(parts), folder)
    written = np.concatenate([np.load(path) for path in sorted(folder.iterdir())])
    np.testing.assert_array_equal(written, out)


@pytest.mark.parametrize(
    "make", [_memory_map, np.asarray, csr_matrix, lambda rows: pd.DataFrame(rows, columns=NAMES)]
)
def test_apply_cuts_what_has_an_array_to_go_to(make, monkeypatch, tmp_path):
    monkeypatch.setattr("skae.sources._parts._PART_BYTES", 8 * 64 * 70)
    rows = make(tmp_path) if make is _memory_map else make(X)
    model = AutoEncoder(6, **FAST).fit(rows)
    expected, sizes, transform = model.transform(rows), [], AutoEncoder.transform

    def watched(self, part):
        sizes.append(part.shape[0])
        return transform(self, part)

    monkeypatch.setattr(AutoEncoder, "transform", watched)
    out = np.empty((300, 6), np.float32)
    assert apply(model, rows, out) is out
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
    assert sizes == [70, 70, 70, 70, 20]
    assert apply(model, rows).shape == (300, 6) and sizes[5:] == [300]
    apply(model, rows, tmp_path / "codes")
    assert len(list((tmp_path / "codes").iterdir())) == 5


def test_apply_refuses_places_that_do_not_suit(tmp_path):
    model = AutoEncoder(6, **FAST).fit(X)
    for rows in (X, Batches()):
        with pytest.raises(ValueError, match="out has 200 rows, and X has more: its part"):
            apply(model, rows, np.empty((200, 6), np.float32))
        with pytest.raises(ValueError, match="out has 301 rows, and X only 300"):
            apply(model, rows, np.empty((301, 6), np.float32))
    apply(model, X, tmp_path)
    with pytest.raises(ValueError, match="has parts already: choose a new or an empty folder"):
        apply(model, X[:5], str(tmp_path))


@pytest.mark.parametrize(
    ("method", "out", "message"),
    [
        # Three rows in a part, whose scores numpy would write into each row.
        ("score_samples", np.zeros((300, 3)), r"rows of shape \(3,\), and the results of 'score_samples' of \(\)"),
        ("transform", np.zeros((300, 5)), r"rows of shape \(5,\), and the results of 'transform' of \(6,\)"),
        ("score_samples", np.zeros(300, int), "would change results of 'score_samples': give one of float32"),
        ("transform", np.zeros((300, 6), np.uint8), "dtype uint8, which would change"),
        ("impute", np.zeros((300, 64), np.float16), "dtype float16, which would change"),
    ],
)  # fmt: skip
def test_apply_writes_no_other_values(method, out, message):
    model = AutoEncoder(6, loss="gaussian", **FAST).fit(X * 1e6)
    with pytest.raises(ValueError, match=message):
        apply(model, iter(np.split(X * 1e6, 100)), out, method=method)


def test_apply_writes_labels_as_they_are():
    classes = np.array(["none", "some"])
    model = LogisticRegression(max_iter=2000).fit(X, classes[(y > 4).astype(int)])
    with pytest.raises(ValueError, match="dtype <U1, which would change"):
        apply(model, iter([X]), np.empty(300, "U1"), method="predict")
    with pytest.raises(ValueError, match="dtype float64, which would change"):
        apply(model, iter([X]), np.empty(300), method="predict")
    for dtype in ("U9", object):
        found = apply(model, iter([X]), np.empty(300, dtype), method="predict")
        np.testing.assert_array_equal(found, model.predict(X))
    model.fit(X, y)
    found = apply(model, iter([X]), np.empty(300, np.uint8), method="predict")
    np.testing.assert_array_equal(found, model.predict(X))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "fit_transform"])
def test_apply_fits_nothing(method):
    model = AutoEncoder(6, **FAST).fit(X)
    before = model.transform(X)
    with pytest.raises(TypeError, match="would fit the model to each part alone"):
        apply(model, iter(np.split(X, 10)), method=method)
    np.testing.assert_array_equal(model.transform(X), before)


@pytest.mark.parametrize("method", ["score", "report"])
def test_apply_refuses_what_is_no_row_for_each_row(method):
    model = AutoEncoder(6, **FAST).fit(X)
    with pytest.raises(TypeError, match=f"method='{method}' returns no array with a row for each"):
        apply(model, iter(np.split(X, 10)), method=method)


def test_apply_writes_sparse_codes(tmp_path):
    model = SparseAutoEncoder(20, **FAST).fit(X)
    found = apply(model, iter(np.array_split(X, 4)))
    assert found.format == "csr"
    np.testing.assert_allclose(found.toarray(), model.transform(X).toarray(), rtol=1e-6)
    apply(model, Batches(), tmp_path)
    assert len(list(tmp_path.glob("part-*.npz"))) == 7
    with pytest.raises(ValueError, match="Part 1 of X, counted from 0, has 5 columns"):
        apply(model, iter([X, X[:, :5]]))
