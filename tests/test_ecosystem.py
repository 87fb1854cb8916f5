"""Faults that packages of this kind are known for, each by its name; where another test has one, a comment says which."""

import os
import pickle
import signal
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import scipy.sparse
import small_models
from joblib import Parallel, cpu_count, delayed, parallel_config, wrap_non_picklable_objects
from numba.core.registry import CPUDispatcher
from processes import RUN_SMALL, copy_kernels, run_anew
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from small_models import LAYERS, SHORT
from threadpoolctl import threadpool_info, threadpool_limits

import skae
from skae import (
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae._kernels._jit import _OPTIONS, kernel
from skae.datasets import fetch_mnist
from skae.generative import EnergyAE, parzen_log_likelihood
from skae.images import ConvolutionalFeatures
from skae.manifold import LocalPCA, TangentNeighborsClassifier, tangent_basis
from skae.plotting import CodeDisplay, SaturationDisplay, SparseFeatureDisplay

matplotlib.use("Agg")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.random((60, 6))
Y = (X[:, 0] > 0.5).astype(int)
TRAINED = [
    AutoEncoder(3, **SHORT),
    DenoisingAE(3, **SHORT),
    ContractiveAE(3, **SHORT),
    AutoEncoder(3, solver="lbfgs", **SHORT),
    SparseAutoEncoder(5, k=2, sparse_output=False, **SHORT),
    RBM(3, **SHORT),
    *small_models.TRAINED,
]
ESTIMATORS = [
    *TRAINED,
    StackedAE(LAYERS, random_state=0),
    TangentNeighborsClassifier(LocalPCA(2), n_neighbors=2, n_tangents=1),
    *small_models.OTHERS,
]
RATED = [each for each in TRAINED if "learning_rate_init" in each.get_params()]


def _name(estimator):
    return f"{type(estimator).__name__}-{getattr(estimator, 'solver', None)}"


def _each(estimators):
    return pytest.mark.parametrize("estimator", estimators, ids=_name)


def _content(estimator):
    """Return names and arrays of what a fitted estimator is; trees that scikit-learn builds at need are left out."""
    return sorted(vars(estimator)), [each.tobytes() for each in _arrays(vars(estimator))]


def _outputs(estimator, X):
    if isinstance(estimator, LocalPCA):
        return np.abs(tangent_basis(estimator, X, 2).basis)
    method = next(
        each for each in ("transform", "score_samples", "predict") if hasattr(estimator, each)
    )
    found = getattr(estimator, method)(X)
    return found.toarray() if scipy.sparse.issparse(found) else np.asarray(found)


def _arrays(value):
    """Yield the arrays of fitted attributes, those of parts too."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _arrays(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _arrays(each)
    elif hasattr(value, "get_params") and not isinstance(value, type):
        yield from _arrays(vars(value))


def _is_finite(estimator):
    # The variance of residuals of a constant column is infinite, so that the column does not count; R-hat is, where
    # draws are too few to tell.
    unbounded = "_variance", "residual_variance_", "r_hat_"
    learned = {k: v for k, v in vars(estimator).items() if k not in unbounded}
    return all(np.isfinite(each).all() for each in _arrays(learned))


@_each(ESTIMATORS)
def test_infinite_values_are_refused_and_leave_the_model(estimator):
    model = clone(estimator).fit(X, Y)
    before = _content(model)
    bad = X.copy()
    bad[3, 2] = np.inf
    methods = [
        each
        for each in ("fit", "partial_fit", "transform", "predict", "score")
        if hasattr(model, each)
    ]
    for method in methods:
        arguments = (bad,) if method in ("transform", "predict") else (bad, Y)
        with pytest.raises(ValueError, match="infinity"):
            getattr(model, method)(*arguments)
    assert _content(model) == before


@_each(ESTIMATORS)
@pytest.mark.parametrize("shape", [(0, 6), (5, 0)])
def test_no_rows_and_no_columns(estimator, shape):
    with pytest.raises(ValueError, match=r"Found array with 0 (sample|feature)"):
        clone(estimator).fit(np.empty(shape), np.zeros(shape[0]))


@_each(ESTIMATORS)
@pytest.mark.parametrize("shape", [(1, 6), (20, 1)])
def test_one_sample_and_one_feature(estimator, shape):
    model = clone(estimator)
    try:
        model.fit(X[: shape[0], : shape[1]], Y[: shape[0]])
    except ValueError as error:
        assert any(word in str(error) for word in ("sample", "class", "n_tangents", "feature"))
    else:
        assert _is_finite(model)


@_each([each for each in TRAINED if "early_stopping" in each.get_params()])
@pytest.mark.parametrize("n", [2, 5, 9])
def test_nothing_held_out(estimator, n):
    model = clone(estimator).set_params(early_stopping=True, validation_fraction=0.1)
    with pytest.raises(
        ValueError, match="validation_fraction|two samples or more of each|two classes"
    ):
        model.fit(X[:n], Y[:n])


@pytest.mark.slow
@_each(ESTIMATORS)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["zeros", "constant", "duplicates", "one constant column"])
def test_constant_columns_and_equal_rows(estimator, kind):
    data = {
        "zeros": np.zeros((60, 6)),
        "constant": np.full((60, 6), 0.3),
        "duplicates": np.repeat(X[:2], 30, axis=0),
        "one constant column": np.hstack([X[:, :5], np.full((60, 1), 0.3)]),
    }[kind]
    model = clone(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            model.fit(data, Y)
        except ValueError as error:
            assert "X" in str(error), error
            return
    assert _is_finite(model)
    if isinstance(model, (SparseCoder, PSD)):
        norms = np.linalg.norm(model.components_, axis=1)
        assert (np.isclose(norms, 1, atol=1e-5) | (norms == 0)).all()


@pytest.mark.slow
@_each(ESTIMATORS)
@pytest.mark.parametrize("scale", [1e-30, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
def test_very_large_and_small_units(estimator, scale, dtype):
    model = clone(estimator)
    try:
        model.fit((X * scale).astype(dtype), Y)
    except ValueError as error:
        assert "cale" in str(error), error
    assert _is_finite(model)


def test_cross_entropy_has_values_between_0_and_1():
    for value in (1.5, -0.5):
        wrong = X.copy()
        wrong[0, 0] = value
        for model in (AutoEncoder(loss="bernoulli"), RBM(visible="bernoulli")):
            with pytest.raises(ValueError, match=r"\[0, 1\]"):
                model.fit(wrong)


@_each(RATED)
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
def test_steps_that_diverge(estimator):
    model = clone(estimator).set_params(learning_rate_init=1e30)
    try:
        model.fit(1e3 * X, Y)
    except ValueError as error:
        assert "learning_rate_init" in str(error), error
    assert _is_finite(model)


@_each([AutoEncoder(3), SparseCoder(3), PSD(3), EnergyAE(3)])
def test_one_warning_where_max_iter_is_reached(estimator):
    options = {"max_iter": 3, "tol": 0.0, "random_state": 0}
    if "learning_rate" in estimator.get_params():
        options["learning_rate"] = "constant"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = clone(estimator).set_params(**options).fit(X)
    assert [each.category for each in caught if "stopped at max_iter" in str(each.message)] == [
        ConvergenceWarning
    ]
    assert not model.converged_


@pytest.mark.slow
@_each(ESTIMATORS)
def test_kinds_of_values(estimator):
    binary = (X > 0.5).astype(np.float64)
    expected = _outputs(clone(estimator).fit(binary, Y), binary)
    for kind in (np.float16, np.int8, bool, object):
        found = _outputs(clone(estimator).fit(binary.astype(kind), Y), binary.astype(kind))
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match="Complex data not supported"):
        clone(estimator).fit(X + 1j, Y)
    with pytest.raises(ValueError, match="could not convert|columns of text"):
        clone(estimator).fit(np.full(X.shape, "a", dtype=object), Y)


def _unlike_numbers():
    """Yield values that numpy would read as other numbers, and a word of what refuses them."""
    yield np.ma.masked_array(X, X > 0.9), "masked values"
    dates = np.full(X.shape, np.datetime64("2026-01-02"))
    dates[0, 0] = np.datetime64("NaT")
    yield dates, "dates or durations"
    yield dates - dates, "dates or durations"
    yield [list(row) for row in dates], "dates or durations"
    yield [*np.ma.masked_array(X, X > 0.9)], "masked values"
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    names = "abcdef"
    frame = pandas.DataFrame(X, columns=list(names))
    for column in (dates[:, 0], pandas.Series(dates[:, 0]).dt.tz_localize("UTC")):
        yield frame.assign(b=column), r"dates or durations in the columns \['b'\]"
    days = polars.Series("b", dates[1:, 0]).cast(polars.Date)
    yield polars.DataFrame(X[1:], schema=list(names)).with_columns(days), r"columns \['b'\]"
    missing = X.astype(object)
    missing[2, 1] = pandas.NA
    yield missing, "pandas.NA among objects"


@_each([*ESTIMATORS, ConvolutionalFeatures(2, patch_size=1, pool_grid=1, contrast=None)])
def test_what_is_read_as_other_numbers_is_refused(estimator):
    """Masked values would count, and a missing date would be -9.2e18."""
    model = clone(estimator).fit(X, Y)
    method = next(
        (each for each in ("transform", "score_samples", "predict") if hasattr(model, each)), None
    )
    for values, words in _unlike_numbers():
        with pytest.raises((TypeError, ValueError), match=words):
            clone(estimator).fit(values, Y[: len(values)])
        if method is not None:
            with pytest.raises((TypeError, ValueError), match=words):
                getattr(model, method)(values)


def test_masked_targets_weights_and_arguments_are_refused():
    masked = np.ma.masked_array(Y, Y == 1)
    stacks = [Model(LAYERS, **SHORT) for Model in (StackedAEClassifier, StackedAERegressor)]
    for model in (*stacks, TangentNeighborsClassifier()):
        with pytest.raises(ValueError, match="y has masked values"):
            model.fit(X, masked)
    for kind in (StackedAERegressor, StackedAEClassifier):
        with pytest.raises((TypeError, ValueError), match="y has dates|y contains NaN or NaT"):
            kind(LAYERS, **SHORT).fit(X, [np.datetime64("2026-01-02"), np.datetime64("NaT")] * 30)
    with pytest.raises(ValueError, match="y contains NaN or NaT.*-1"):
        StackedAEClassifier(LAYERS, **SHORT).fit(X, np.where(Y == 1, np.nan, Y))
    with pytest.raises(TypeError, match="y has dates"):
        StackedAERegressor(LAYERS, **SHORT).fit(X, np.full(60, np.datetime64("2026-01-02")))
    dates = np.array(["2026-01-02", "2026-01-03", "NaT"] * 20, "M8[D]")
    with pytest.raises(ValueError, match="y contains NaN or NaT"):
        StackedAEClassifier(LAYERS, **SHORT).fit(X, dates)
    with pytest.raises(ValueError, match="sample_weight has masked values"):
        AutoEncoder(3, **SHORT).fit(X, sample_weight=masked)
    with pytest.raises(ValueError, match="samples has masked values"):
        parzen_log_likelihood(np.ma.masked_array(X, X > 0.9), X, sigma=1.0)
    codes = np.ma.masked_array(X[:, :3], X[:, :3] > 0.9)
    for model in (AutoEncoder(3, **SHORT), SparseCoder(3, **SHORT)):
        with pytest.raises(ValueError, match="X has masked values"):
            model.fit(X).inverse_transform(codes)
    rows = np.ma.masked_array(X, X > 0.9)
    for batch in (rows, (X, masked)):
        with pytest.raises(ValueError, match="Part 1 of X.*has masked values"):
            AutoEncoder(3, **SHORT).fit(iter([(X, Y) if type(batch) is tuple else X, batch]))


def _layouts(tmp_path):
    """Yield the values of X in other places of memory, where they may not be written."""
    read_only = X.copy()
    read_only.flags.writeable = False
    yield read_only
    yield np.asfortranarray(X)
    wide = np.zeros((120, 12))
    wide[::2, ::2] = X
    yield wide[::2, ::2]
    X.tofile(tmp_path / "X")
    yield np.memmap(tmp_path / "X", mode="r", dtype=X.dtype, shape=X.shape)
    yield pytest.importorskip("pandas").DataFrame(X)
    yield pytest.importorskip("polars").DataFrame(X)


def _n_compiled():
    modules = [each for name, each in sys.modules.items() if name.startswith("skae.")]
    kernels = {
        each
        for module in modules
        for each in vars(module).values()
        if isinstance(each, CPUDispatcher)
    }
    return sum(len(each.signatures) for each in kernels)


@pytest.mark.slow
@_each(ESTIMATORS)
def test_layouts_of_memory(estimator, tmp_path):
    content = X.tobytes()
    expected = _outputs(clone(estimator).fit(X, Y), X)
    n_compiled = _n_compiled()
    for data in _layouts(tmp_path):
        model = clone(estimator).fit(data, Y)
        np.testing.assert_allclose(_outputs(model, data), expected, rtol=1e-12, atol=1e-12)
    assert _n_compiled() == n_compiled  # one version of each kernel, whatever the layout
    assert X.tobytes() == content


@_each(ESTIMATORS)
def test_sparse_rows(estimator):
    data = np.where(X > 0.5, X, 0)
    expected = _outputs(clone(estimator).fit(data, Y), data)
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.dok_array):
        rows = kind(data)
        try:
            found = _outputs(clone(estimator).fit(rows, Y), rows)
        except TypeError as error:
            assert "Sparse data was passed" in str(error)
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "Model", [AutoEncoder, DenoisingAE, ContractiveAE, SparseCoder, PSD, RBM, EnergyAE]
)
def test_more_components_than_features_and_samples(Model):
    model = Model(80, **SHORT).fit(X)
    assert model.components_.shape == (80, 6) and _is_finite(model)


def test_more_tangents_than_there_are():
    model = ContractiveAE(3, **SHORT).fit(X)
    with pytest.raises(ValueError, match=r"n_tangents.*3"):
        tangent_basis(model, X, n_tangents=4)
    with pytest.raises(ValueError, match=r"n_tangents.*3"):
        ManifoldTangentClassifier(ContractiveAE(3, **SHORT), n_tangents=4).fit(X, Y)


@_each(ESTIMATORS)
def test_other_columns_than_in_fit(estimator):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    model = clone(estimator).fit(frame, Y)
    with pytest.raises(ValueError, match="X has 3 features, but"):
        _outputs(clone(estimator).fit(X, Y), X[:, :3])
    with pytest.raises(ValueError, match="feature names should match"):
        _outputs(model, frame[list("fedcba")])


# Ctrl-C during a fit: test_install.py::test_ctrl_c_publishes_weights,
# test_fuzz.py::test_stopped_at_random_times, training/test_interrupts.py.

# A fit that is killed: training/test_fit.py::test_killed_training_resumes_to_the_same_bits, deep/test_resume.py,
# test_fuzz.py::test_stopped_at_random_times; torn and foreign files: training/test_checkpoint.py.


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_fits_inside_joblib(backend):
    # Sent as it is written, so that other processes import no tests.
    @wrap_non_picklable_objects
    def fitted_weights():
        """Return weights, and the most threads of a library of this process."""
        n_threads = max(each["num_threads"] for each in threadpool_info())
        return AutoEncoder(3, **SHORT).fit(X).components_, n_threads

    expected, _ = fitted_weights()
    with parallel_config(backend, n_jobs=2):
        for found, n_threads in Parallel()(delayed(fitted_weights)() for _ in range(4)):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
            assert backend != "loky" or n_threads <= max(cpu_count() // 2, 1)


FORK = """
    import os
    import numpy as np
    from skae import ContractiveAE
    from threadpoolctl import threadpool_limits
    threadpool_limits(2)
    X = np.random.default_rng(0).random((3000, 50))
    model = ContractiveAE(40, max_iter=1, random_state=0).fit(X)
    child = os.fork()
    if not child:
        again = ContractiveAE(40, max_iter=1, random_state=0).fit(X)
        os._exit(not np.allclose(again.components_, model.components_))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fits_after_a_fork():
    result = run_anew(FORK)
    assert result.stdout.strip() == "0", result.stderr


@_each(ESTIMATORS)
def test_methods_in_many_threads_write_nothing(estimator):
    model = clone(estimator).fit(X, Y)
    before, expected = _content(model), _outputs(model, X)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: _outputs(model, X), range(12)):
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert _content(model) == before


@_each(ESTIMATORS)
def test_the_same_seed_gives_the_same_bits(estimator):
    models = [clone(estimator).set_params(**_seed(estimator)).fit(X, Y) for _ in range(2)]
    np.testing.assert_array_equal(_outputs(models[0], X), _outputs(models[1], X))


def _seed(estimator):
    return {"random_state": 3} if "random_state" in estimator.get_params() else {}


def test_threads_of_blas_and_jobs_change_rounding_only():
    data = np.random.default_rng(1).random((300, 20))
    results = []
    for n_threads in (1, 2):
        with threadpool_limits(n_threads):
            model = SparseCoder(30, alpha=0.1, n_jobs=n_threads, **SHORT).fit(data)
            results.append((model.components_, AutoEncoder(9, **SHORT).fit(data).components_))
    for one, two in zip(*results):
        np.testing.assert_allclose(one, two, rtol=1e-8, atol=1e-10)


# Machine code that cannot be kept, or is damaged: test_install.py::test_no_folder_can_be_written,
# test_a_damaged_cache_is_replaced, test_a_changed_helper_is_compiled_anew.


@pytest.mark.slow
def test_many_processes_compile_at_once(tmp_path):
    copy_kernels(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: run_anew(RUN_SMALL, tmp_path, tmp_path / "cache"), range(4)))
    assert [each.stdout.strip() for each in runs] == ["1.5"] * 4, runs


CALLS = """
    import numpy as np
    from skae._kernels import orthogonal
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((20, 64, 9)))[0].transpose(0, 2, 1).astype(np.float32)
    vectors = rng.standard_normal((20, 64)).astype(np.float32)
    orthogonal.orthonormalize(np.ascontiguousarray(basis), 9, vectors, np.empty(20, np.float32))
    print(vectors.tobytes().hex())
"""


@pytest.mark.slow
def test_the_process_that_compiles_has_the_bits_of_those_that_load(tmp_path):
    copy_kernels(tmp_path)
    first, second = (run_anew(CALLS, tmp_path, tmp_path / "cache").stdout for _ in range(2))
    assert first == second != ""


@pytest.mark.slow
def test_machine_code_is_not_kept_where_that_is_switched_off(tmp_path):
    copy_kernels(tmp_path)
    result = run_anew(RUN_SMALL, tmp_path, tmp_path / "cache", {"SKAE_NUMBA_CACHE": "0"})
    assert result.stdout.strip() == "1.5", result.stderr
    assert not list(tmp_path.rglob("*.nb?"))


@pytest.fixture
def interruptible():
    """Have the handler of Python; a process in the background may ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_until_a_kernel_is_compiled(monkeypatch):
    """Numba fails for the rest of a process after one of its compilations has been interrupted."""

    def doubled(x):
        return 2 * x

    monkeypatch.setattr("skae._kernels._jit._CACHE", False)
    compiled = kernel(doubled)
    compiler = compiled._compiler

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        return type(compiler).compile(compiler, *args)

    monkeypatch.setattr(compiler, "compile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compiled(1.5)
    assert len(compiled.signatures) == 1
    assert compiled(1.5) == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_kernels_have_no_threads_of_numba():
    assert not _OPTIONS.get("parallel", False)
    for path in (Path(skae.__file__).parent / "_kernels").glob("*.py"):
        for word in ("prange", "parallel=True", "guvectorize"):
            assert word not in path.read_text(), path


def test_kernels_know_what_is_not_finite():
    @kernel
    def is_finite(x):
        return np.isfinite(x)

    assert [is_finite(each) for each in (1.0, np.nan, np.inf)] == [True, False, False]


@_each(TRAINED)
def test_pickles_are_about_as_large_as_what_was_learned(estimator):
    wide = np.random.default_rng(0).random((2000, 30))
    labels = (wide[:, 0] > 0.5).astype(int)
    model = clone(estimator).fit(wide, labels)
    content = pickle.dumps(model)
    assert len(content) < wide.nbytes / 4
    again = pickle.loads(content)
    np.testing.assert_array_equal(_outputs(again, wide[:9]), _outputs(model, wide[:9]))
    left = vars(clone(model))
    assert not [name for name in left if name.endswith("_") or name == "_state"]


# Memory: autoencoders/test_data.py::test_fit_adds_little_memory, test_sparse_data_are_never_dense_as_a_whole,
# test_memory.py::test_blocks_heed_the_working_memory.

# Crafted and damaged checkpoints: training/test_checkpoint.py. Models of others: test_io.py.


@pytest.mark.parametrize("damage", ["pickle", "cut", "text"])
def test_digits_from_a_damaged_file(tmp_path, damage):
    path = tmp_path / "mnist.npz"
    arrays = {name: np.zeros((10, 784)) for name in ("x_train", "x_test")}
    arrays |= {name: np.zeros(10) for name in ("y_train", "y_test")}
    if damage == "pickle":
        arrays["y_test"] = np.full(10, None, dtype=object)
    np.savez(path, **arrays)
    if damage != "pickle":
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"<html>not found")
    with pytest.raises(ValueError, match=r"mnist\.npz"):
        fetch_mnist(tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_a_search_goes_on_where_a_point_diverges():
    rates = [1e-3, 1e200]
    for model in (AutoEncoder(3, standardize=False, activation="identity", solver="sgd", **SHORT),):
        search = GridSearchCV(model, {"learning_rate_init": rates}, cv=2, error_score=np.nan)
        search.fit(X)
        assert search.best_params_ == {"learning_rate_init": 1e-3}
        assert np.isnan(search.cv_results_["mean_test_score"][1])


def test_one_warning_for_each_fit_of_a_pipeline():
    model = AutoEncoder(3, max_iter=30, tol=0.0, learning_rate="constant", random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make_pipeline(MinMaxScaler(), model).fit(X)
    assert len([each for each in caught if each.category is ConvergenceWarning]) == 1


def _points(display):
    return display.ax_.collections[0].get_offsets()


SPARSE = SparseAutoEncoder(12, k=2, **SHORT)
SPARSE_CODER = SparseCoder(4, sparse_output=True, **SHORT)


# Of composed estimators and of displays, whose own results are no data frames.
@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(
    "result",
    [
        lambda: AnomalyDetector(SPARSE, random_state=0).fit(X).score_samples(X),
        lambda: (
            ConvolutionalFeatures(
                4,
                dictionary=SPARSE_CODER,
                encoder="code",
                patch_size=2,
                pool_grid=1,
                image_shape=(2, 3),
                random_state=0,
            )
            .set_output(transform="default")
            .fit_transform(X)
        ),
        lambda: _points(CodeDisplay.from_estimator(AutoEncoder(3, **SHORT).fit(X), X)),
        lambda: _points(CodeDisplay.from_estimator(clone(SPARSE).fit(X), X)),
        lambda: SaturationDisplay.from_estimator(clone(SPARSE).fit(X), X).shares,
        lambda: (
            SparseFeatureDisplay.from_estimator(
                clone(SPARSE).fit(X), X, image_shape=(2, 3)
            ).features
        ),
        lambda: (
            SparseFeatureDisplay.from_estimator(
                clone(SPARSE).set_params(sparse_output=False).fit(X), X, image_shape=(2, 3)
            ).features
        ),
    ],
)
def test_data_frames_as_output_are_for_users_alone(library, result):
    expected = result()
    with config_context(transform_output=library):
        np.testing.assert_array_equal(result(), expected)
