"""What parts of X may be: filled anew, masked, without rows, with missing values, names that are no strings, and y."""

import os

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import skae
from skae import AnomalyDetector, AutoEncoder, StackedAEClassifier
from skae.generative import JointEnergy
from skae.images import ZCA, ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from skae.sources import apply, gather
from skae.sources._gather import gather_with_y

RNG = np.random.default_rng(0)
X, y = RNG.random((60, 5)), RNG.integers(0, 3, 60)
FAST = {"max_iter": 2, "random_state": 0}
LAYERS = [("low", AutoEncoder(4, **FAST))]


def _filled_anew(kind):
    """Yield batches and targets in the same memory, as loaders do that read into a buffer."""
    rows, targets = kind(X[:10]), np.empty(10, int)
    for start in range(0, 60, 10):
        values = rows.data if kind is csr_matrix else rows
        values[...] = X[start : start + 10].reshape(values.shape)
        targets[...] = y[start : start + 10]
        yield rows, targets


@pytest.mark.parametrize("kind", [np.array, csr_matrix])
def test_batches_may_be_the_same_memory(kind):
    rows, targets = gather_with_y(_filled_anew(kind))
    np.testing.assert_array_equal(rows.toarray() if kind is csr_matrix else rows, X)
    np.testing.assert_array_equal(targets, y)


@pytest.mark.parametrize("kind", [np.array, csr_matrix])
@pytest.mark.parametrize("model", [FunctionTransformer(accept_sparse=True), StandardScaler(copy=False, with_mean=False)])  # fmt: skip
def test_results_are_no_views_of_batches(kind, model):
    expected = model.fit(X.copy()).transform(X.copy())
    found = apply(model, (rows for rows, _ in _filled_anew(kind)))
    np.testing.assert_allclose(found.toarray() if kind is csr_matrix else found, expected)


class _Masking:
    """An array in a file whose slices have masks, as those of netCDF."""

    def __init__(self, values):
        self._values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, rows):
        return self._values[rows]


def _of_dask(values):
    return pytest.importorskip("dask.array").from_array(values, chunks=(20, 5))


@pytest.mark.parametrize("make", [_Masking, _of_dask])
@pytest.mark.parametrize("dtype", [float, int])
def test_masked_values_of_parts_are_refused(make, dtype):
    values = (100 * X).astype(dtype)
    masked = np.ma.array(values, mask=np.arange(300).reshape(60, 5) == 7)
    with pytest.raises(ValueError, match="Part 0 of X, counted from 0, has masked values"):
        gather(make(masked))
    masked.mask = False
    np.testing.assert_array_equal(gather(make(masked)), values)


@pytest.mark.parametrize("what", ["images", "y", "sample_weight"])
def test_masks_of_dask_are_not_dropped(what):
    array, masked = pytest.importorskip("dask.array"), np.ma.masked_equal(y, 1)
    model, arguments = StackedAEClassifier(LAYERS, **FAST), [X, y, None]
    if what == "images":
        images = np.ma.masked_less(RNG.random((10, 8, 8)), 0.5)
        model, arguments = (
            ConvolutionalFeatures(3, patch_size=3, random_state=0),
            [array.from_array(images)],
        )
    else:
        arguments[1 if what == "y" else 2] = array.from_array(masked)
    with pytest.raises(ValueError, match="has masked values"):
        model.fit(*arguments)


def test_an_array_without_rows_is_told(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["rows"] = X[:0]
        for read in (gather, AutoEncoder(2, **FAST).fit):
            with pytest.raises(ValueError, match="X has no rows"):
                read(file["rows"])


def test_names_that_are_no_strings_are_what_they_are_in_memory():
    frame = pd.DataFrame(X)
    model = AutoEncoder(2, **FAST).fit(iter([frame[:30], frame[30:]]))
    assert not hasattr(model, "feature_names_in_")
    expected = AutoEncoder(2, **FAST).fit(frame)
    np.testing.assert_array_equal(model.transform(frame), expected.transform(frame))
    with pytest.raises(TypeError, match="string names"):
        model.fit(iter([frame.rename(columns={0: "first"})]))


def _tables():
    """Yield sources of two parts, of which the second has missing values beside numbers of few bits."""
    numbers = {"bits": [True, False], "small": [1, 2], "share": [0.5, 0.25]}
    missing = {"bits": [None, False], "small": [1, None], "share": [0.5, None]}
    pyarrow, polars = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    schema = [("bits", pyarrow.bool_()), ("small", pyarrow.int8()), ("share", pyarrow.float32())]
    types = {"bits": polars.Boolean, "small": polars.Int8, "share": polars.Float32}
    parts = [pyarrow.table(each, pyarrow.schema(schema)) for each in (numbers, missing)]
    yield lambda names: pyarrow.concat_tables(parts).select(names)
    frames = [polars.DataFrame(each, types) for each in (numbers, missing)]
    yield lambda names: (each.select(names) for each in frames)


@pytest.mark.parametrize(
    ("names", "dtype"),
    [
        (["bits"], np.float64),
        (["bits", "small"], np.float64),
        (["small", "share"], np.float32),
        (["bits", "small", "share"], np.float32),
    ],
)
def test_missing_values_do_not_change_the_dtype_of_a_part(names, dtype):
    nan = np.nan
    expected = np.array([[1, 1, 0.5], [0, 2, 0.25], [nan, 1, 0.5], [0, nan, nan]])
    places = [["bits", "small", "share"].index(name) for name in names]
    for make in _tables():
        gathered = gather(make(names), allow_nan=True).to_numpy()
        assert gathered.dtype == dtype
        np.testing.assert_array_equal(gathered, expected[:, places])


def test_decimals_are_numbers_as_they_are_in_memory():
    pyarrow, polars = pytest.importorskip("pyarrow"), pytest.importorskip("polars")
    column = pyarrow.array([1.25, None, 2.5]).cast(pyarrow.decimal128(20, 2))
    table = pyarrow.table({"price": column})
    for source in (table, polars.from_arrow(table).lazy()):
        gathered = gather(source, allow_nan=True)
        np.testing.assert_array_equal(gathered["price"], [1.25, np.nan, 2.5])


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([y[:30], y[30:, np.newaxis]], r"has targets of shape \(1,\), and the first one of \(\)"),
        ([y[:30], 3], "has no array of targets as its y"),
    ],
)
def test_a_y_unlike_the_others_is_named(targets, words):
    batches = zip((X[:30], X[30:]), targets)
    with pytest.raises(ValueError, match=f"Part 1 of X, counted from 0, {words}"):
        StackedAEClassifier(LAYERS, **FAST).fit(batches, None)


def test_numbers_beside_text_in_y_stay_numbers():
    text = np.array(["a", "b", "c"])[y]
    labels = text.astype(object)
    labels[40:] = -1
    parts = [(X[:40], text[:40]), (X[40:], np.full(20, -1))]
    model = StackedAEClassifier(LAYERS, **FAST)
    expected = model.fit(X, labels).predict_proba(X)
    np.testing.assert_array_equal(model.fit(iter(parts), None).predict_proba(X), expected)
    lists = [(X[rows], list(labels[rows])) for rows in (slice(30), slice(30, 50), slice(50, 60))]
    np.testing.assert_array_equal(model.fit(iter(lists), None).predict_proba(X), expected)
    with pytest.raises(ValueError, match=r"y has labels of text and \{0, 1, 2\}"):
        model.fit(iter([(X[:30], text[:30]), (X[30:], y[30:])]), None)


@pytest.mark.parametrize(
    ("batch", "words"),
    [({"x": X, "y": y}, r"of the type dict, with \['x', 'y'\]"), ([X, y, y], "it has 3 arrays")],
)
def test_batches_of_more_than_rows_and_targets_are_told_the_cure(batch, words):
    with pytest.raises(ValueError, match=f"Part 0 of X.*{words}. Give rows, or pairs"):
        StackedAEClassifier(LAYERS, **FAST).fit(iter([batch]), None)


def test_results_in_an_array_that_cannot_be_written_are_refused():
    out = np.broadcast_to(np.zeros(4), (60, 4))
    with pytest.raises(ValueError, match="out is read-only: give an array that can be"):
        apply(StandardScaler().fit(X), X, out)


def test_two_y_are_one_too_many():
    with pytest.raises(ValueError, match="The batches of X have a y, and y is given too"):
        StackedAEClassifier(LAYERS, **FAST).fit(iter([(X, y)]), 1 - y)


def test_y_may_be_an_array_of_dask():
    array, model = pytest.importorskip("dask.array"), StackedAEClassifier(LAYERS, **FAST)
    expected = model.fit(X, y).predict_proba(X)
    model.fit(array.from_array(X, chunks=(20, 5)), array.from_array(y, chunks=7))
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_y_may_be_a_lazy_frame_and_weights_are_named():
    polars, model = pytest.importorskip("polars"), StackedAEClassifier(LAYERS, **FAST)
    weights = 1 + y / 2.0
    expected = model.fit(X, y, sample_weight=weights).predict_proba(X)
    table = polars.DataFrame({"y": y, "weight": weights}).lazy()
    model.fit(X, table.select("y"), sample_weight=weights)
    np.testing.assert_array_equal(model.predict_proba(X), expected)
    with pytest.raises(ValueError, match="sample_weight must have one axis; .*frame.'weight'."):
        model.fit(X, y, sample_weight=table.select("weight"))


@pytest.mark.parametrize("place", ["turned", "later", "same", "beside"])
def test_results_do_not_overwrite_rows_that_are_read_later(place, monkeypatch):
    monkeypatch.setattr("skae.sources._parts._PART_BYTES", 8 * 5 * 10)
    model = StandardScaler().fit(X)
    table = np.hstack([np.vstack([X, X[:10]]), np.zeros((70, 5))])
    rows = table[:60, :5]
    places = {"turned": rows[::-1], "later": table[10:, :5], "same": rows, "beside": table[:60, 5:]}
    if place in ("turned", "later"):
        with pytest.raises(ValueError, match="out is in the memory of X, .* rows 0 to 10"):
            apply(model, rows, places[place])
        np.testing.assert_array_equal(rows, X)
    else:
        np.testing.assert_array_equal(apply(model, rows, places[place]), model.transform(X))


def _rows_of(table, kind):
    """Return the first 60 rows of an array in another form over the same memory."""
    rows = table[:60]
    if kind == "dlpack":
        return pytest.importorskip("array_api_strict").from_dlpack(rows)
    if kind == "frame":
        return pytest.importorskip("pandas").DataFrame(rows, copy=False)
    if kind == "polars":
        return pytest.importorskip("polars").DataFrame(rows)
    return iter(np.split(rows, 6))


@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("kind", ["frame", "polars", "dlpack", "batches"])
def test_rows_in_other_forms_are_not_overwritten_before_they_are_read(kind, monkeypatch):
    monkeypatch.setattr("skae.sources._parts._PART_BYTES", 8 * 5 * 10)
    # Columns of polars are contiguous.
    model, table = StandardScaler().fit(X), np.asfortranarray(np.vstack([X, X[:10]]))
    with pytest.raises(ValueError, match="(out is in the|in the) memory of .*an array of its own"):
        apply(model, _rows_of(table, kind), table[10:])
    table = np.asfortranarray(np.vstack([X, X[:10]]))
    apply(model, _rows_of(table, kind), table[:60])
    np.testing.assert_array_equal(table[:60], model.transform(X))


@pytest.mark.parametrize("place", [slice(10, 70), slice(0, 60), slice(70, 130), slice(130, 70, -1)])
@pytest.mark.parametrize("mode", ["r+", "c"])
def test_a_file_that_is_mapped_twice_is_not_overwritten_before_it_is_read(
    place, mode, monkeypatch, tmp_path
):
    monkeypatch.setattr("skae.sources._parts._PART_BYTES", 8 * 5 * 10)
    model = StandardScaler().fit(X)
    np.save(tmp_path / "rows.npy", np.vstack([np.zeros((10, 5)), X, np.zeros((80, 5))]))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")[10:70]
    out = np.load(tmp_path / "rows.npy", mmap_mode=mode)[10:][place]
    if mode == "r+" and place == slice(10, 70):
        with pytest.raises(ValueError, match="out is in the file of X, .* rows 0 to 10"):
            apply(model, rows, out)
        np.testing.assert_array_equal(rows, X)
    else:
        np.testing.assert_array_equal(apply(model, rows, out), model.transform(X))


@pytest.mark.parametrize("library", ["h5py", "zarr"])
def test_a_dataset_may_be_replaced_by_its_results(library, monkeypatch, tmp_path):
    """Its rows are read before they are written."""
    monkeypatch.setattr("skae.sources._parts._PART_BYTES", 8 * 5 * 10)
    model, library = StandardScaler().fit(X), pytest.importorskip(library)
    if library.__name__ == "h5py":
        rows = library.File(tmp_path / "rows.h5", "w").create_dataset("rows", data=X, chunks=(7, 2))
        again = rows.file["/rows"]
    else:
        rows = library.open(
            tmp_path / "rows.zarr", mode="w", shape=X.shape, chunks=(7, 2), dtype=float
        )
        rows[:] = X
        again = library.open(tmp_path / "rows.zarr", mode="r+")
    apply(model, again, rows)
    np.testing.assert_array_equal(again[:], model.transform(X))


def test_a_folder_may_be_named_in_bytes(tmp_path):
    folder = os.fsencode(tmp_path / "codes")
    model = AutoEncoder(2, **FAST).fit(X)
    apply(model, iter([X[:30], X[30:]]), folder)
    parts = [np.load(path) for path in sorted((tmp_path / "codes").iterdir())]
    np.testing.assert_allclose(np.concatenate(parts), model.transform(X), rtol=1e-12)
    with pytest.raises(TypeError, match="out must be an array that takes slices"):
        apply(model, X, np.array(0.0))


def test_a_report_reads_batches_once():
    model = AutoEncoder(3, **FAST).fit(X)
    found, expected = model.report(iter(np.split(X, 6))), model.report(X)
    assert (found.saturation, found.jacobian_norm) == (expected.saturation, expected.jacobian_norm)


def _in_batches(values, *targets):
    """Return an iterator over ten rows at a time, which can be read once."""
    rows = [slice(start, start + 10) for start in range(0, 60, 10)]
    return ((values[each], *(y[each] for y in targets)) if targets else values[each] for each in rows)  # fmt: skip


PIXELS = RNG.integers(0, 256, (60, 25)).astype(np.uint8)
FEATURES = ConvolutionalFeatures(4, patch_size=3, n_patches=50, random_state=0)
TRANSFORMERS = [
    AutoEncoder(3, **FAST),
    skae.RBM(3, **FAST),
    skae.DBN([("low", skae.RBM(3, **FAST))]),
    skae.DBM([("low", skae.RBM(3, **FAST)), ("high", skae.RBM(2, **FAST))], **FAST),
    skae.SparseCoder(3, alpha=0.1, **FAST),
    skae.StackedAE(LAYERS),
    skae.Imputer(AutoEncoder(3, **FAST)),
    JointEnergy(AutoEncoder(3, **FAST), n_draws=2, burn_in=2, random_state=0),
    ZCA(),
    FEATURES,
    ConvolutionalStack([("low", FEATURES)], random_state=0),
    ConvolutionalPSD(3, patch_size=3, **FAST),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", TRANSFORMERS, ids=lambda model: type(model).__name__)
def test_an_iterator_is_read_once_by_fit_transform(model):
    # Pixels of 8 bits are divided by 255: their dtype must not be lost between fit and transform.
    values = PIXELS if "Conv" in type(model).__name__ else X
    expected = clone(model).fit(values).transform(values)
    found = clone(model).fit_transform(_in_batches(values))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.filterwarnings("ignore")
def test_an_iterator_is_read_once_by_fit_predict_and_steps_of_a_pipeline():
    detector = AnomalyDetector(AutoEncoder(3, **FAST))
    expected = clone(detector).fit(X).predict(X)
    np.testing.assert_array_equal(detector.fit_predict(_in_batches(X)), expected)
    model = make_pipeline(ZCA(), AutoEncoder(3, **FAST))
    expected = clone(model).fit(X).transform(X)
    np.testing.assert_array_equal(model.fit_transform(_in_batches(X)), expected)


@pytest.mark.filterwarnings("ignore")
def test_the_y_of_batches_reaches_the_fit_of_fit_transform():
    model = StackedAEClassifier(LAYERS, **FAST)
    expected = clone(model).fit(X, y).transform(X)
    np.testing.assert_array_equal(model.fit_transform(_in_batches(X, y)), expected)
    with pytest.raises(ValueError, match="y is given too"):
        model.fit_transform(_in_batches(X, y), y)
