"""Fits of little use tell what to change; good ones say nothing."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer, StandardScaler

from skae import (
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    Imputer,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae._estimators.fit_warnings import warn_of_rising_loss
from skae.boltzmann import DBM
from skae.images import ZCA, ConvolutionalFeatures, ConvolutionalPSD
from skae.manifold import LocalPCA, TangentNeighborsClassifier

DIGITS, NUMBERS = (each[:400] for each in load_digits(return_X_y=True))
IRIS, SPECIES = load_iris(return_X_y=True)
WINE = load_wine().data
MACHINE = DBM([("low", RBM(2)), ("high", RBM(2))])
FAST = {"batch_size": 50, "max_iter": 5, "random_state": 0}


def _silent(model, *data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.fit(*data)


@pytest.mark.parametrize(
    "model",
    [
        AutoEncoder(10, **FAST),
        SparseCoder(10, max_iter=2, random_state=0),
        ConvolutionalPSD(4, patch_size=3, image_shape=(8, 8), max_iter=1, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_blank_rows_that_come_first_are_no_reason_to_warn(model):
    X = np.concatenate([np.zeros((1100, 64)), np.tile(DIGITS, (3, 1))])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X)
    assert not [each for each in caught if "the training data" in str(each.message)]


@pytest.mark.slow
@pytest.mark.parametrize("data", [DIGITS, IRIS], ids=["digits", "iris"])
def test_codes_that_a_huge_contraction_holds_still_are_told(data):
    options = {"batch_size": 20, "max_iter": 60, "learning_rate_init": 0.02, "random_state": 0}
    with pytest.warns(UserWarning, match=r"100% of the codes of ContractiveAE are constant.*Lower"):
        model = ContractiveAE(100, contraction=1e5, **options).fit(data)
    codes = model.transform(data)
    assert (codes.std(axis=0) <= 1e-3 * codes.max()).all()
    _silent(ContractiveAE(100, contraction=1e-3, **options), data)


class Growing:
    """Noise that grows from call to call by ``step``."""

    def __init__(self, step):
        self.step, self.level = step, 0.0

    def __call__(self, X, seed, out):
        self.level += self.step
        out[...] = X + self.level * np.random.default_rng(seed).standard_normal(X.shape)


@pytest.mark.slow
def test_rectified_units_that_no_row_reaches_are_told():
    model = AutoEncoder(
        20, hidden_layer_sizes=(50,), activation="relu", learning_rate_init=0.1, random_state=0
    )
    with pytest.warns(UserWarning, match="0 in every row: lower learning_rate_init"):
        model.fit(DIGITS)
    assert not model.transform(DIGITS).any()


def test_a_loss_that_rises_is_told():
    options = {**FAST, "activation": "identity", "learning_rate_init": 1e-3}
    with pytest.warns(ConvergenceWarning, match="loss of DenoisingAE rose from .* in the last"):
        model = DenoisingAE(5, corruption=Growing(0.1), **options).fit(DIGITS)
    assert model.loss_curve_[-1] > model.loss_curve_[0]
    calm = _silent(DenoisingAE(5, corruption=Growing(0), **options), DIGITS)
    assert calm.loss_curve_[-1] < calm.loss_curve_[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "target"),
    [
        (AutoEncoder(20), None),
        (SparseAutoEncoder(64), None),
        (PSD(20, alpha=1.0), None),
        (StackedAE([20], fine_tune="reconstruction"), None),
        (StackedAEClassifier([20]), NUMBERS),
        (StackedAERegressor([20]), NUMBERS),
        (ManifoldTangentClassifier(StackedAE([20]), tangent_penalty=0), NUMBERS),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.usefixtures("few_epochs")
def test_what_is_worse_than_constants_is_told(model, target):
    # The first epoch ends with a loss that is large already, and the later ones lower it.
    model = clone(model).set_params(max_iter=3, random_state=0, learning_rate_init=100.0)
    with pytest.warns(ConvergenceWarning, match=f"{type(model).__name__} is worse than constant"):
        model.fit(DIGITS[:300], None if target is None else target[:300])
    assert model.loss_curve_[-1] < model.loss_curve_[0]


def test_a_machine_worse_than_constants_is_told():
    X = np.random.default_rng(0).standard_normal((100, 5))
    model = RBM(10, learning_rate_init=1e6, max_iter=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="RBM is worse than constant outputs"):
        model.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        RBM(10, max_iter=2, random_state=0).fit(X)


@pytest.mark.slow
@pytest.mark.parametrize("Model", [SparseCoder, PSD, ConvolutionalPSD])
def test_equal_codes_are_told(Model):
    options = {"max_iter": 5, "random_state": 0}
    images = {"patch_size": 3, "image_shape": (8, 8)} if Model is ConvolutionalPSD else {}
    words = f"The codes of {Model.__name__} are 0 on the training data: lower alpha=1e"
    with pytest.warns(UserWarning, match=words):
        model = Model(5, alpha=1e6, **images, **options).fit(DIGITS)
    assert not model.transform(DIGITS).any()
    words = (
        "are the same for all training rows, since these are all the same: give rows that differ"
    )
    for row in (DIGITS[:1], 0 * DIGITS[:1]):
        with pytest.warns(UserWarning, match=words):
            Model(5, alpha=0.1, **images, **options).fit(np.repeat(row, 20, axis=0))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        Model(5, alpha=0.1, **images, **options).fit(DIGITS)
    assert not any("codes of" in str(each.message) for each in found)


def test_a_loss_that_only_varies_is_not_told():
    noise = np.random.default_rng(0).standard_normal(50)
    curve = 10 + 0.1 * np.append(noise, noise.max())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_rising_loss(curve, "AutoEncoder", True)
    with pytest.warns(ConvergenceWarning, match="rose"):
        warn_of_rising_loss(curve + 0.1 * np.arange(51), "AutoEncoder", True)


@pytest.mark.parametrize("Model", [AutoEncoder, DenoisingAE, ContractiveAE])
def test_steady_steps_that_end_at_max_iter_are_told(Model):
    model = Model(5, learning_rate="constant", **FAST)
    with pytest.warns(ConvergenceWarning, match="stopped at max_iter=5 before it converged.*raise"):
        clone(model).fit(DIGITS)
    _silent(clone(model).set_params(learning_rate="cosine"), DIGITS)
    _silent(clone(model).set_params(max_iter="auto", batch_size=400, tol=0.1), DIGITS)
    converged = _silent(clone(model).set_params(tol=0.9, n_iter_no_change=2), DIGITS)
    assert converged.converged_


def test_auto_is_no_number_of_epochs_to_raise():
    model = AutoEncoder(3, learning_rate="constant", max_iter="auto", batch_size=10, tol=0)
    model.set_params(n_iter_no_change=10**6, random_state=0)
    assert not _silent(model, IRIS).converged_


def test_layers_and_joint_training_are_told_by_name():
    layers = [("low", AutoEncoder(5, **FAST)), ("high", AutoEncoder(4, **FAST))]
    slow = {**FAST, "learning_rate": "constant"}
    with pytest.warns(ConvergenceWarning, match="StackedAEClassifier stopped at max_iter=5"):
        StackedAEClassifier(layers, **slow).fit(IRIS, SPECIES)
    with pytest.warns(ConvergenceWarning, match="StackedAE stopped at max_iter=5"):
        StackedAE(layers, fine_tune="reconstruction", **slow).fit(IRIS)
    at_once = [(name, clone(layer).set_params(learning_rate="constant")) for name, layer in layers]
    with pytest.warns(ConvergenceWarning, match="^Training of all layers stopped at max_iter=5"):
        StackedAE(at_once, schedule="simultaneous").fit(IRIS)
    _silent(StackedAE(layers, fine_tune="reconstruction", **FAST), IRIS)


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame], ids=["array", "frame"])
def test_a_column_that_dwarfs_the_others_is_told(form):
    wide = IRIS.copy()
    wide[:, 2] *= 1e4
    data = wide if form is np.asarray else pd.DataFrame(wide, columns=["a", "b", "petal", "d"])
    column = 2 if form is np.asarray else "'petal'"
    words = f"Column {column} has a standard deviation of .* times the median.*standardize='auto'"
    with pytest.warns(UserWarning, match=words):
        AutoEncoder(3, standardize=False, activation="identity", **FAST).fit(data)
    for standardize in ("auto", "columns", "shared"):
        _silent(AutoEncoder(3, standardize=standardize, **FAST), data)
    _silent(AutoEncoder(3, standardize=False, **FAST), IRIS)
    # Codes, and other values in [-1, 1], have a range of their own.
    longer = FAST | {"max_iter": 100}
    _silent(AutoEncoder(3, standardize=False, **longer), wide / np.abs(wide).max())


@pytest.mark.parametrize("Model", [SparseCoder, PSD])
def test_coders_that_see_one_column_are_told(Model):
    with pytest.warns(UserWarning, match="Column 12 has a standard deviation.* Scale X"):
        Model(5, max_iter=3, random_state=0).fit(WINE)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        Model(5, max_iter=3, random_state=0).fit(WINE / WINE.std(axis=0))


@pytest.mark.parametrize(
    "model", [LocalPCA(5), TangentNeighborsClassifier(ContractiveAE(5, **FAST), n_jobs=1)]
)
def test_neighbors_that_see_one_column_are_told(model):
    kinds = load_wine().target
    with pytest.warns(UserWarning, match="Column 12 has a standard deviation.* Scale X"):
        model.fit(WINE, kinds)
    _silent(model, WINE / WINE.std(axis=0), kinds)


@pytest.mark.parametrize("Model", [SparseCoder, PSD])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_coders_that_see_little_but_means_are_told(Model):
    model = Model(5, max_iter=3, random_state=0)
    ratio = np.linalg.norm(DIGITS.mean(axis=0) + 100) / np.linalg.norm(DIGITS.std(axis=0))
    message = rf"means of the columns are (\S+) times .*{Model.__name__}.*Center X"
    for unit in (1e-6, 1, 1e6):
        with pytest.warns(UserWarning, match=message) as told:
            model.fit((DIGITS + 100) * unit)
        found = filter(None, (re.search(message, str(each.message)) for each in told))
        assert float(next(found)[1]) == pytest.approx(ratio, rel=0.05)  # of 128 rows
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(DIGITS)
        model.fit(DIGITS - DIGITS.mean(axis=0))


@pytest.mark.slow
def test_default_denoising_layers_have_codes_that_vary():
    X = load_breast_cancer().data
    stack = StackedAE([("low", DenoisingAE(200)), ("high", DenoisingAE(200))], random_state=0)
    _silent(stack, X)
    assert np.mean(stack.transform(X).std(axis=0) > 0.05) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "Model"),
    [
        (DIGITS, DenoisingAE),
        (IRIS, AutoEncoder),
        (IRIS, ContractiveAE),
        (WINE, DenoisingAE),
        (WINE, ContractiveAE),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value.shape),
)
def test_good_fits_are_silent(data, Model):
    _silent(Model(random_state=0), data)


_of_many_families = pytest.mark.parametrize(
    "model",
    [
        *(
            AutoEncoder(2),
            StackedAE(),
            StackedAEClassifier(),
            SparseCoder(),
            AnomalyDetector(),
            Imputer(),
        ),
        *(MACHINE, LocalPCA(2), TangentNeighborsClassifier(), ZCA(), ConvolutionalFeatures()),
    ],
    ids=lambda model: type(model).__name__,
)


@_of_many_families
def test_columns_of_text_are_refused_with_the_cure(model):
    frame = pd.DataFrame({"age": np.arange(20.0), "work": pd.Categorical(["a", "b"] * 10)})
    with pytest.raises(ValueError, match=r"columns of text .*'a'.* Encode .*OneHotEncoder"):
        model.fit(frame, np.arange(20) % 2)


@pytest.mark.parametrize("text", ["object", "category", "string"])
def test_columns_of_text_are_named(text):
    # Beside a 0/1 column of bool, scikit-learn's error about a category names neither text nor column.
    frame = pd.DataFrame({"age": np.arange(20.0), "owner": np.arange(20) % 2 == 0})
    frame["work"] = pd.Series(["a", "b"] * 10, dtype=text)
    with pytest.raises(
        ValueError, match=r"columns of text in \['work'\] .* Encode .*OneHotEncoder"
    ):
        AutoEncoder(2).fit(frame)


@pytest.mark.parametrize("form", ["pandas", "polars", "array", "list"])
def test_the_cure_for_columns_of_text_works(form):
    X = pd.DataFrame({"age": np.arange(20.0), "work": ["a", "b"] * 10})
    if form == "polars":
        X = pytest.importorskip("polars").DataFrame(X.to_dict("list"))
    elif form != "pandas":
        X = X.to_numpy(dtype=object) if form == "array" else X.to_numpy(dtype=object).tolist()
    with pytest.raises(ValueError, match="columns of text in") as caught:
        AutoEncoder(2).fit(X)
    cure = re.search(r"make_column_transformer\(.*\)", str(caught.value)).group()
    names = {"make_column_transformer": make_column_transformer, "OneHotEncoder": OneHotEncoder}
    encode = eval(cure, names)
    model = make_pipeline(encode, AutoEncoder(2, max_iter=1)).fit(X)
    assert model[-1].n_features_in_ == 3


@pytest.mark.parametrize("form", [list, np.array, pd.Series], ids=["list", "array", "series"])
def test_a_list_of_texts_is_refused_with_the_cure(form):
    with pytest.raises(ValueError, match="X is a list of texts .*'the cat'.*TfidfVectorizer"):
        AutoEncoder(2).fit(form(["the cat", "a dog"] * 10))


def test_lists_of_images_are_refused_with_the_cure():
    images = list(DIGITS[:20].reshape(20, 8, 8))
    for X in (images, np.array(images)):
        with pytest.raises(ValueError, match=r"dim 3.*np.reshape\(X, \(len\(X\), -1\)\)"):
            AutoEncoder(2).fit(X)
    rows = np.reshape(images, (len(images), -1))
    assert AutoEncoder(2, **FAST).fit(rows).n_features_in_ == 64


@pytest.mark.parametrize("sizes", [(10, 10), (10, 7)])
@pytest.mark.parametrize("form", [np.array, pd.DataFrame], ids=["array", "frame"])
def test_lists_of_batches_are_refused_with_the_cure(sizes, form):
    batches = [form(DIGITS[:size]) for size in sizes]
    with pytest.raises(ValueError, match=r"Batches of rows come from an iterator, iter\(X\)"):
        AutoEncoder(2).fit(batches)
    assert AutoEncoder(2, **FAST).fit(iter(batches)).n_features_in_ == 64


def test_complex_columns_are_refused():
    frame = pd.DataFrame({"age": np.arange(20.0), "wave": np.full(20, 1j)})
    with pytest.raises(ValueError, match=r"complex numbers in the columns \['wave'\]"):
        AutoEncoder(2).fit(frame)


@_of_many_families
@pytest.mark.parametrize(
    "dates",
    [
        pd.date_range("2026-01-01", periods=20),
        pd.date_range("2026-01-01", periods=20, tz="UTC"),
        pd.timedelta_range("1D", periods=20),
        pd.date_range("2026-01-01", periods=20).astype(object),
        pd.period_range("2026-01", periods=20, freq="M"),
    ],
    ids=["dates", "zone", "durations", "objects", "periods"],
)
def test_columns_of_dates_are_refused_with_the_cure(model, dates):
    frame = pd.DataFrame({"age": np.arange(20.0), "since": dates})
    with pytest.raises(TypeError, match=r"hold no numbers .*Turn dates into numbers"):
        model.fit(frame, np.arange(20) % 2)


@_of_many_families
@pytest.mark.parametrize("values", [[1.0, 2.0], {"low": 1.0}], ids=["lists", "records"])
def test_columns_of_several_numbers_are_named_with_the_cure(model, values):
    frame = pd.DataFrame({"age": np.arange(20.0), "range": [values] * 20})
    with pytest.raises((TypeError, ValueError), match=r"\['range'\].*Give each part .* a column"):
        model.fit(frame, np.arange(20) % 2)


@pytest.mark.parametrize(
    "model",
    [
        *(RBM(2), PSD(2), SparseCoder(2), SparseAutoEncoder(8), StackedAEClassifier([2]), MACHINE),
        *(LocalPCA(2), TangentNeighborsClassifier(), ZCA(), ConvolutionalFeatures()),
    ],
    ids=lambda model: type(model).__name__,
)
def test_missing_values_are_refused_with_the_cure(model):
    holes = np.where(np.eye(20, 4), np.nan, 1.0)
    with pytest.raises(ValueError, match=r"^Input X contains NaN\. Fill in .* by Imputer of skae"):
        model.fit(holes, np.arange(20) % 2)
    assert np.isfinite(Imputer(DenoisingAE(2, max_iter=1)).fit_transform(holes)).all()


@_of_many_families
def test_infinity_is_refused_with_its_column(model):
    frame = pd.DataFrame(
        np.where(np.eye(20, 4, -3) > 0, np.inf, DIGITS[:20, 2:6]), columns=[*"abcd"]
    )
    with pytest.raises(ValueError, match="Input X contains infinity .* Column 'a' has it: put"):
        model.fit(frame, np.arange(20) % 2)


def test_infinity_is_found_in_sparse_rows_and_beyond_float32():
    rows = csr_array(np.where(np.eye(20, 4, 2) > 0, -np.inf, DIGITS[:20, 2:6]))
    with pytest.raises(ValueError, match="contains infinity .* Column 2 has it"):
        AutoEncoder(2).fit(rows)
    model = AutoEncoder(2, **FAST).fit(DIGITS[:20].astype(np.float32))
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match="Column 1 has it.*scale large"),
    ):
        model.transform(1e300 * DIGITS[:20])


def test_structured_arrays_are_refused_with_the_cure():
    rows = np.rec.fromarrays(DIGITS[:20, 2:4].T, names="width, height")
    for X in (rows, np.asarray(rows)):
        with pytest.raises(
            TypeError, match=r"structured_to_unstructured\(X\), or pandas.DataFrame"
        ):
            AutoEncoder(2).fit(X)
    assert list(AutoEncoder(2, **FAST).fit(pd.DataFrame(rows)).feature_names_in_) == [
        *("width", "height")
    ]


def test_equal_rows_are_told_to_differ():
    rows = np.tile(DIGITS[0], (50, 1))
    with pytest.warns(UserWarning, match="codes of ContractiveAE are constant.*So are the rows"):
        ContractiveAE(5, **FAST).fit(rows)


TABLE = load_diabetes(scaled=False).data


def _told_placeholders(X):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        AutoEncoder(2, **FAST).fit(X)
    return [str(each.message) for each in caught if "far from all others" in str(each.message)]


@pytest.mark.parametrize("value", [-999, 9999, -99.9, 1e30])
def test_a_value_that_stands_for_missing_ones_is_told(value):
    frame = pd.DataFrame(TABLE.copy(), columns=[*"abcdefghij"])
    frame.loc[::9, "c"] = value
    (told,) = _told_placeholders(frame)
    assert f"Column 'c' has a value far from all others: {value:.10g} in 11.3% of the rows" in told
    assert "the others are from 18 to 42.2. If it stands for missing values, put NaN" in told
    frame.loc[::7, "i"] = value
    assert "Column 'c' (like 1 other column) has" in _told_placeholders(frame)[0]
    for X in (csr_array(frame.to_numpy()), frame.to_numpy(np.float32)):
        assert "Column 2 (like 1 other column) has a value" in _told_placeholders(X)[0]
    holes = frame.replace(value, np.nan)
    assert not _told_placeholders(holes)
    holes.iloc[::11, 2] = value
    assert _told_placeholders(holes)


def _usual_columns():
    rng = np.random.default_rng(0)
    heavy = np.column_stack(
        [rng.standard_cauchy(400), rng.pareto(0.5, 400), rng.lognormal(0, 4, 400)]
    )
    yield heavy
    yield heavy[rng.integers(400, size=400)]
    yield np.clip(heavy, *np.percentile(heavy, [2, 98], axis=0))
    often = rng.random((400, 3)) < 0.7
    yield np.where(often, 0, rng.normal(1000, 3, (400, 3)))
    yield StandardScaler().fit_transform(np.where(often, 0, rng.normal(1000, 3, (400, 3))))
    yield np.log(np.where(often, 0, rng.gamma(50, 1, (400, 3))) + 1e-9)
    yield np.where(often, rng.integers(3, size=(400, 3)), 100)
    yield rng.poisson(0.1, (400, 3)).astype(float)
    yield from (IRIS, WINE, TABLE, load_breast_cancer().data, DIGITS)


@pytest.mark.parametrize("X", list(_usual_columns()))
def test_usual_columns_have_no_value_that_stands_for_missing_ones(X):
    assert not _told_placeholders(X)


def _told_tails(X, Model=AutoEncoder, **fit_params):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Model(max_iter=1, random_state=0).fit(X, **fit_params)
    return [str(each.message) for each in caught if "dwarf all others" in str(each.message)]


@pytest.mark.parametrize("Model", [AutoEncoder, DenoisingAE, ContractiveAE])
def test_a_few_values_that_dwarf_all_others_are_told(Model):
    rng = np.random.default_rng(0)
    amounts = rng.lognormal(7, 1, (500, 3))
    amounts[::100, [0, 2]] *= 10_000
    frame = pd.DataFrame({"age": rng.normal(50, 9, 500), **dict(zip("abc", amounts.T))})
    (told,) = _told_tails(frame, Model)
    assert "A few values of column 'a' (like 1 other column) dwarf all others" in told
    assert "Take logarithms, or put QuantileTransformer(output_distribution='normal')" in told
    assert not _told_tails(np.log(frame), Model)
    assert not _told_tails(QuantileTransformer(n_quantiles=99).fit_transform(frame), Model)
    assert not _told_tails(frame, Model, sample_weight=np.arange(500) % 100 > 0)
    holes = frame.mask(rng.random(frame.shape) < 0.2)
    assert _told_tails(holes, Model)
    assert _told_tails(csr_array(frame.to_numpy()), Model)


def _columns_without_dwarfs():
    rng = np.random.default_rng(0)
    yield np.where(rng.random((400, 3)) < 0.9, 0, rng.lognormal(5, 2, (400, 3)))
    yield rng.lognormal(0, 1.5, (400, 3))
    yield rng.standard_t(3, (400, 3))
    yield np.where(np.arange(400)[:, np.newaxis] % 40 == 0, -999, rng.normal(40, 9, (400, 3)))
    yield np.full((400, 3), 7.0) + (np.arange(400) == 9)[:, np.newaxis]
    yield from (IRIS, WINE, TABLE, load_breast_cancer().data, DIGITS)


@pytest.mark.parametrize("X", list(_columns_without_dwarfs()))
def test_usual_tails_do_not_dwarf_the_others(X):
    assert not _told_tails(X)


def _spectra(share):
    """Return 300 x 20 columns of equal variance; a known ``share`` of it is in one direction."""
    rng = np.random.default_rng(0)
    rest = np.linalg.qr(np.column_stack([np.ones(300), rng.standard_normal((300, 21))]))[0][:, 1:]
    # Equal columns plus orthogonal ones: the Gram matrix has the eigenvalues 20 a + b and, 19 times, b.
    b = (1 - share) * 20 / 19
    return np.sqrt(1 - b) * rest[:, :1] + np.sqrt(b) * rest[:, 1:]


@pytest.mark.parametrize("model", [AutoEncoder, DenoisingAE, ContractiveAE])
def test_columns_that_are_nearly_proportional_are_told(model):
    X = _spectra(0.97) * np.geomspace(1, 1e3, 20) + 5
    variances = np.linalg.eigvalsh(np.corrcoef(X.T))
    assert variances[-1] / variances.sum() == pytest.approx(0.97)
    message = (
        rf"One principal component has 97% .*{model.__name__} learns little.*PCA\(whiten=True\)"
    )
    with pytest.warns(UserWarning, match=message):
        model(10, **FAST).fit(X)
    _silent(model(10, **FAST), _spectra(0.9))
    whitened = make_pipeline(StandardScaler(), PCA(whiten=True)).fit_transform(X)
    _silent(model(10, **FAST), whitened)


@pytest.mark.parametrize("n_rows", [60, 300])
def test_a_few_directions_are_told_with_as_many_components_as_rows_determine(n_rows):
    rng = np.random.default_rng(0)
    smooth = rng.standard_normal((n_rows, 3)) @ np.linalg.qr(rng.standard_normal((40, 3)))[0].T
    X = smooth + 0.03 * rng.standard_normal(smooth.shape)
    variances = np.linalg.eigvalsh(np.cov(X.T))
    share = variances[-3:].sum() / variances.sum()
    assert 0.95 < share < 1
    components = "12, " if n_rows == 60 else ""
    message = rf"3 principal components have {share:.0%} of .*PCA\({components}whiten=True\)"
    model = AutoEncoder(10, standardize="shared", **FAST)
    with pytest.warns(UserWarning, match=message):
        model.fit(X * 1e4 + 5)
    # Nothing is hidden in columns that are linear functions of three.
    _silent(model, smooth)
    _silent(model, smooth + 0.3 * rng.standard_normal(smooth.shape))


def test_detectors_tell_proportional_columns_by_their_name_and_imputers_do_not():
    detector = AnomalyDetector(ContractiveAE(5, **FAST))
    with pytest.warns(UserWarning, match="AnomalyDetector learns little .* before it") as told:
        detector.fit(_spectra(0.97))
    assert len(told) == 1
    assert told[0].filename == __file__
    _silent(detector, _spectra(0.9))
    _silent(Imputer(AutoEncoder(5, **FAST)), _spectra(0.97))


@pytest.mark.parametrize(
    "model",
    [
        StackedAE([("low", ContractiveAE(10, **FAST))]),
        StackedAEClassifier([("low", ContractiveAE(10, **FAST))], **FAST),
        ManifoldTangentClassifier(ContractiveAE(10, **FAST), n_tangents=2, **FAST),
    ],
    ids=lambda model: type(model).__name__,
)
def test_stacks_tell_proportional_columns_by_their_own_name(model):
    X, y = _spectra(0.97), np.arange(len(_spectra(0.97))) % 2
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y)
    told = [str(each.message) for each in caught if "One principal component" in str(each.message)]
    assert len(told) == 1
    assert f"{type(model).__name__} learns little" in told[0]


@pytest.mark.parametrize("X", [DIGITS[:2] + 0.1, np.full((20, 5), 3.7)], ids=["two", "equal"])
def test_two_rows_and_equal_rows_are_not_called_proportional(X):
    X = X + np.linspace(0, 0.1, X.shape[1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ContractiveAE(4, **FAST).fit(X)
        AutoEncoder(4, **FAST).fit(X)
    assert not any("One principal component" in str(each.message) for each in caught)


def test_proportional_columns_are_told_beside_missing_and_categorical_ones():
    X = _spectra(0.97)
    rng = np.random.default_rng(1)
    X[rng.random(X.shape) < 0.02] = np.nan
    X = np.column_stack([np.eye(3)[rng.integers(3, size=300)], X])
    with pytest.warns(UserWarning, match="One principal component has 9[5-7]%"):
        DenoisingAE(10, **FAST).fit(X)


@pytest.mark.slow
def test_whitening_finds_what_nearly_proportional_columns_hide():
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=900)
    bump = 0.4 * np.exp(-(((np.linspace(0, 1, 20) - 0.5) / 0.05) ** 2))
    X = 5 * rng.standard_normal((900, 1)) + y[:, np.newaxis] * bump
    X += 0.1 * rng.standard_normal(X.shape)

    def accuracy(*steps):
        steps = *steps, AutoEncoder(random_state=0), LogisticRegression(max_iter=1000)
        return make_pipeline(*steps).fit(X[:600], y[:600]).score(X[600:], y[600:])

    with pytest.warns(UserWarning, match="One principal component"):
        hidden = accuracy()
    assert hidden < 0.75
    assert accuracy(StandardScaler(), PCA(whiten=True)) > 0.9
