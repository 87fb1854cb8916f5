"""Random valid parameters on tiny data: finite results, or an error that names a parameter. ``--fuzz N`` tries more."""

import inspect
import json
import multiprocessing
import os
import re
import signal
import threading
import time
import warnings
from numbers import Integral, Real

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.sparse
from processes import process
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import skae
from skae import (
    DBM,
    PSD,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    datasets,
    generative,
    images,
    manifold,
    plotting,
    sources,
)
from skae._compat import HasMethods, Interval, StrOptions
from skae.generative import EnergyAE
from skae.io import load, save
from skae.training import LBFGS, SGD, Adam

matplotlib.use("Agg")
ESTIMATORS = {
    each.__name__: each
    for module in (skae, generative, manifold, images)
    for each in vars(module).values()
    if inspect.isclass(each) and hasattr(each, "fit") and not inspect.isabstract(each)
}
N_ROWS, N_COLUMNS = 16, 9
DATA_NAMES = {
    "X",
    "y",
    "sample_weight",
    "column",
    "columns",
    "sample",
    "samples",
    "labels",
    "classes",
    "layer",
}


UNSUPERVISED = ["AutoEncoder", "DenoisingAE", "ContractiveAE", "RBM", "PSD"]
LAYERS = {"DBN": ["RBM"], "DBM": ["RBM"], "ConvolutionalStack": ["ConvolutionalFeatures"]}
BASES = {"BoltzmannClassifier": ["RBM", "DBN", "DBM"], "JointEnergy": ["EnergyAE", "AutoEncoder"]}
BASES |= {"ManifoldTangentClassifier": [*UNSUPERVISED, "StackedAE"], "Imputer": UNSUPERVISED[:3]}


def _part(rng, names):
    return _drawn(rng, ESTIMATORS[rng.choice(names)], few=True)


def _layers(rng, names):
    return [(f"layer{number}", _part(rng, names)) for number in range(rng.integers(1, 4))]


def _loss(rng):
    cut = int(rng.integers(1, N_COLUMNS))
    kinds = rng.choice(["gaussian", "bernoulli", "multinomial"], 2)
    return [(kinds[0], list(range(cut))), (kinds[1], list(range(cut, N_COLUMNS)))]


# What the constraints of a parameter do not say.
SPECIAL = {
    "max_iter": lambda rng, Model: int(rng.integers(1, 4)),
    "random_state": lambda rng, Model: int(rng.integers(100)),
    "verbose": lambda rng, Model: 0,
    "checkpoint": lambda rng, Model: None,
    "resume": lambda rng, Model: False,
    "warm_start": lambda rng, Model: bool(rng.integers(2)),
    "n_jobs": lambda rng, Model: [None, 1, 2][rng.integers(3)],
    "solver": lambda rng, Model: ["adam", "sgd", "lbfgs", Adam(0.5), SGD(0.0), LBFGS(2)][rng.integers(6)],
    "hidden_layer_sizes": lambda rng, Model: tuple(map(int, rng.integers(1, 5, rng.integers(3)))),
    "loss": lambda rng, Model: _loss(rng),
    "visible": lambda rng, Model: _loss(rng),
    "layers": lambda rng, Model: _layers(rng, LAYERS.get(Model.__name__, UNSUPERVISED)),
    "base": lambda rng, Model: _part(rng, BASES.get(Model.__name__, UNSUPERVISED)),
    "encoder": lambda rng, Model: _part(rng, ["AutoEncoder", "ContractiveAE", "StackedAE"]),
    "image_shape": lambda rng, Model: (3, 3),
    "patch_size": lambda rng, Model: int(rng.integers(1, 3)),
    "tiling": lambda rng, Model: 1 + int(rng.integers(2)),
    "pool_grid": lambda rng, Model: (1, 1 + int(rng.integers(2))),
    "pool_size": lambda rng, Model: int(rng.integers(1, 3)),
    "n_filters": lambda rng, Model: int(rng.integers(1, 6)),
    "contrast": lambda rng, Model: None if rng.random() < 0.7 else 1.0,
    "n_neighbors": lambda rng, Model: int(rng.integers(1, 8)),
    "n_patches": lambda rng, Model: int(rng.integers(1, 50)),
    "groups": lambda rng, Model: [[0, 1], [2, 3]] if Model is SparseCoder else [1, 3],
    "dictionary": lambda rng, Model: rng.standard_normal((4, N_COLUMNS)),
    "class_weight": lambda rng, Model: "balanced",
    "contraction": lambda rng, Model: ["auto", "0.5 auto", 0.3, 30.0][rng.integers(4)],
    "corruption": lambda rng, Model: [
        "masking", "swap", "salt_and_pepper", "gaussian", lambda X, seed, out: np.copyto(out, X)
    ][rng.integers(5)],
}  # fmt: skip
NEEDED = {
    "max_iter",
    "layers",
    "random_state",
    "image_shape",
    "patch_size",
    "pool_grid",
    "n_filters",
}
NEEDED |= {"contrast", "n_neighbors", "n_patches", "base", "encoder"}
NUMBERS = [0.0, 1e-30, 1e-6, 0.01, 0.1, 0.3, 0.5, 0.9, 1.0, 2.0, 5.0, 100.0, 1e6]


def _value(rng, constraints):
    """Return a random value that one of ``constraints`` allows, or None."""
    values = []
    for each in constraints:
        if isinstance(each, StrOptions):
            values += sorted(each.options)
        elif isinstance(each, Interval) and each.type is Integral:
            values += [n for n in (0, 1, 2, 3, 5, 7, 30) if n in each]
        elif isinstance(each, Interval) and each.type is Real:
            values += [value for value in NUMBERS if value in each]
        elif isinstance(each, str) and each == "boolean":
            values += [True, False]
        elif each is None:
            values.append(None)
        elif not isinstance(each, (HasMethods, type, str)) and not callable(each):
            raise AssertionError(f"unknown constraint {each!r}")
    return values[rng.integers(len(values))] if values else None


def _drawn(rng, Model, few=False):
    """Return an estimator with some random parameters."""
    signature, params = inspect.signature(Model).parameters, {}
    constraints = Model._parameter_constraints
    for name in signature:
        default = signature[name].default
        needed = name in NEEDED or default is inspect.Parameter.empty
        if not needed and rng.random() > (0.15 if few else 0.3):
            continue
        special, allowed = SPECIAL.get(name), constraints.get(name, [])
        plain = _value(rng, allowed)
        takes_parts = any(isinstance(each, (HasMethods, type)) for each in allowed)
        if (name == "encoder" and not takes_parts) or (
            name == "dictionary" and "array-like" not in allowed
        ):
            special = None
        if special is not None and (
            needed or plain is None or not takes_parts or rng.random() < 0.5
        ):
            params[name] = special(rng, Model)
        elif plain is not None:
            params[name] = plain
    for name in {"n_draws", "burn_in", "thin"} & set(signature):
        params[name] = int(rng.integers(1, 3))
    if Model is generative.JointEnergy:
        params["n_chains"] = int(rng.integers(1, 3))
    return Model(**params)


def _fit_parts(model, X, y):
    """Fit what is ``prefit``, as most would."""
    for name in ("base", "encoder"):
        part = getattr(model, name, None)
        if part is not None and X.shape[0] > 2:
            part.fit(X, y)


def _data(rng):
    """Return rows, labels and weights of a random kind."""
    n_rows = int(rng.choice([1, 2, 5, *[N_ROWS] * 5]))
    X = rng.standard_normal((n_rows, N_COLUMNS))
    kind = rng.integers(7)
    if kind == 1:
        X = rng.random(X.shape)
    elif kind == 2:
        X = (X > 0.3).astype(float)
    elif kind == 3:
        X = np.eye(3)[rng.integers(3, size=(n_rows, 3))].reshape(n_rows, -1)
    elif kind == 4:
        X[:, : rng.integers(N_COLUMNS + 1)] = rng.choice([0.0, 1.0, 1e8])
    elif kind == 5:
        X *= 10.0 ** rng.integers(-30, 30)
    elif kind == 6:
        X[:, ::2] = X[:, ::2] > 0
    X = X.astype(rng.choice([np.float32, np.float64]))
    y = rng.integers(rng.choice([1, 2, 2, 3, 3]), size=n_rows)
    if rng.random() < 0.3:
        X = scipy.sparse.csr_matrix(X)
    weights = rng.random(n_rows) if rng.random() < 0.2 else None
    return X, y, weights


def _names_a_parameter(error, model):
    text = str(error)
    known = {name.rpartition("__")[2] for name in model.get_params()} | DATA_NAMES
    return any(re.search(rf"\b{name}\b", text) for name in known)


def _assert_finite(value, what):
    if isinstance(value, (list, tuple)):
        for each in value:
            _assert_finite(each, what)
    elif scipy.sparse.issparse(value):
        _assert_finite(value.data, what)
    elif isinstance(value, (float, np.ndarray, np.floating)):
        array = np.asarray(value)
        assert array.dtype.kind != "f" or np.isfinite(array).all(), f"{what} is not finite"


def _check_fitted(model, X, useless):
    for name in dir(model):
        if name.endswith("_") and not name.startswith("_"):
            try:
                value = getattr(model, name)
            except AttributeError:
                continue
            # They are infinite of constant columns, and of too few draws.
            if name not in {"residual_variance_", "r_hat_"}:
                _assert_finite(value, name)
    for method in (
        "transform",
        "score_samples",
        "reconstruct",
        "predict",
        "predict_proba",
        "partial_fit",
    ):
        if not hasattr(model, method) or (method == "partial_fit" and hasattr(model, "classes_")):
            continue
        result = getattr(model, method)(X)
        if method != "partial_fit":
            assert result.shape[0] == X.shape[0]
            # Outputs may be beyond the range of float32 in the units of X, of which ``fit`` has warned then.
            if not useless:
                _assert_finite(result, method)


def _try(seed, Model):
    """Fit and use one random estimator; return whether it was fitted."""
    rng = np.random.default_rng(seed)
    model, (X, y, weights) = _drawn(rng, Model), _data(rng)
    options = (
        {}
        if weights is None or "sample_weight" not in inspect.signature(model.fit).parameters
        else {"sample_weight": weights}
    )
    try:
        if getattr(model, "prefit", False):
            _fit_parts(model, X, y)
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            model.fit(X, y, **options)
        told = any("worse than constant outputs" in str(each.message) for each in found)
        _check_fitted(model, X, useless=told)
    except (ValueError, TypeError) as error:
        assert _names_a_parameter(error, model), f"seed {seed}: {model!r} says {error}"
        return False
    except Exception as error:
        raise AssertionError(f"seed {seed}: {model!r} on {X.shape} {X.dtype}") from error
    return True


@pytest.fixture
def n_tries(request):
    """Return ``--fuzz``; nothing warns."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield request.config.getoption("--fuzz")


@pytest.fixture
def first_seed(request):
    """Return ``--fuzz-seed``, far enough from those beside it."""
    return 100_000 * request.config.getoption("--fuzz-seed")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_estimators(name, n_tries, first_seed, monkeypatch):
    monkeypatch.setattr("skae.generative._adaptation._MAX_LEAPFROG", 8)  # in place of 32
    seeds = range(first_seed, first_seed + n_tries)
    fitted = [_try(seed, ESTIMATORS[name]) for seed in seeds]
    assert any(fitted) or n_tries < 40


DATA = np.random.default_rng(0).random((30, N_COLUMNS))
MODELS = [
    AutoEncoder(3),
    DenoisingAE(3, loss="bernoulli"),
    ContractiveAE(3, loss="gaussian"),
    EnergyAE(3, noise=0.3),
    StackedAE([("low", AutoEncoder(4, max_iter=2)), ("high", RBM(2, max_iter=2))]),
    RBM(3),
    PSD(3, alpha=0.1),
    SparseCoder(4, alpha=0.1),
    SparseAutoEncoder(4, k=2),
    AutoEncoder(3, solver="lbfgs"),
]
SEVERAL = [0, 1, 2, 3, 7, 40, -1, 2.5, None]
SIZES = [None, 0.0, 1e-300, 1e-3, 0.1, 1.0, 30.0, 1e300, np.inf, np.nan, "auto", "cv"]
ROWS = [
    DATA,
    DATA[:1],
    DATA[:7].astype(np.float32),
    1e200 * DATA,
    DATA[:0],
    DATA[:, :3],
    DATA > 0.5,
]
ARGUMENTS = {
    **dict.fromkeys(["X", "x0", "samples", "X_train", "X_test", "X_validation", "centers", "images"], ROWS),
    "image": [*ROWS, DATA[0], DATA[0].reshape(3, 3)],
    **dict.fromkeys(["n_steps", "burn_in", "thin", "n_tangents", "block_size", "n_terms", "n_patches", "patch_size", "n_maps"], SEVERAL),
    **dict.fromkeys(["sigma", "tol", "step_size", "radius", "margin", "floor", "corruption_level", "output_noise"], SIZES),
    "random_state": [0, 1, None],
    "n_jobs": [1, 2, None],
    **dict.fromkeys(["n_filters", "n_values", "n_bins", "n_features", "n_states"], SEVERAL),
    **dict.fromkeys(["model", "estimator", "coder"], MODELS),
    **dict.fromkeys(["ax", "out", "folder", "to_words"], [None]),
    **dict.fromkeys(["im_kw", "line_kw", "scatter_kw"], [None, {}, {"alpha": 0.5}]),
    "sampler": [generative.sample_walkback, generative.sample_chain],
    "image_shape": [(3, 3), None, (9, 1), (2, 2), (3,), "a"],
    "components": [None, (0, 1), (0, 9), (0,), "ab"],
    "features": [None, [0, 1], [-1], [], [0.5]],
    "steps": [(-1, 1), (2,), (), (np.nan,), 1.0],
    "words": [None, [f"w{i}" for i in range(N_COLUMNS)], ["a"]],
    "label": [None, "a"],
    "cmap": ["gray", None],
    "method": ["transform", "reconstruct", "predict", "fit", 3],
    "allow_nan": [False, True],
    "covariance": ["jacobian", "isotropic", "full"],
    "corruption": [None, "masking", "swap", "gaussian", "salt_and_pepper", "all"],
    "start": [None, np.zeros((3, N_COLUMNS))],
    "basis": [DATA, DATA.reshape(10, 3, 9), DATA[0]],
    "feature_names": [[f"c{i}" for i in range(N_COLUMNS)], [f"c{i}" for i in range(3)]],
    "center": [True, False],
    "y": [np.arange(30) % 3, np.arange(4)],
    "variation": ["basic", "rot", "bg-rand", "bg-img", "none"],
    "n_samples": [0, 1, 5, 12, -2],
    "name": ["basic", "rectangles", "convex", "none"],
}  # fmt: skip
FUNCTIONS = {
    name: function
    for module in (generative, images, manifold, datasets)
    for name in module.__all__
    if inspect.isfunction(function := getattr(module, name)) and name != "fetch_mnist"
}
FUNCTIONS |= {"apply": sources.apply, "gather": sources.gather}
FUNCTIONS |= {name: getattr(plotting, name).from_estimator for name in plotting.__all__}


@pytest.fixture(scope="module")
def fitted_models():
    """Fit the models that functions take."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in MODELS:
            model.set_params(max_iter=3, random_state=0).fit(DATA)


def _flat(result):
    """Return the arrays of a result, which may be a tuple or dict of such, a generator or a display."""
    if hasattr(result, "figure_"):
        # Samples that a sparse feature has not are NaN in its rows.
        drawn = {name: each for name, each in vars(result).items() if name != "rows"}
        result = [each for each in drawn.values() if isinstance(each, np.ndarray)]
    if isinstance(result, dict):
        result = result.values()
    if (
        isinstance(result, (tuple, list))
        or inspect.isgenerator(result)
        or hasattr(result, "values")
    ):
        return [array for each in result for array in _flat(each)]
    return [result]


def _arguments(rng, function):
    """Return random arguments; most are likely ones."""
    arguments = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if parameter.default is inspect.Parameter.empty or rng.random() < 0.4:
            choices = ARGUMENTS[name]
            likely = choices[: 1 + (len(choices) + 1) // 2] if rng.random() < 0.8 else choices
            arguments[name] = likely[rng.integers(len(likely))]
    for name, size in {"n_steps": 5, "n_samples": 12}.items():  # defaults are large
        if name in inspect.signature(function).parameters:
            arguments.setdefault(name, size)
    return arguments


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions(name, n_tries, first_seed, fitted_models):
    function = FUNCTIONS[name]
    # Those of a display's sampler, and of the functions that it calls with its estimator, too.
    names = {*inspect.signature(function).parameters, *DATA_NAMES, "model", "sigma", "corruption"}
    for seed in range(first_seed, first_seed + n_tries):
        arguments = _arguments(np.random.default_rng(seed), function)
        try:
            for array in _flat(function(**arguments)):
                _assert_finite(array, "a result")  # of which the error below tells the arguments
        except (ValueError, TypeError) as error:
            named = any(re.search(rf"\b{each}\b", str(error)) for each in names)
            assert named, f"seed {seed}: {name}(**{arguments}) says {error}"
        except Exception as error:
            raise AssertionError(f"seed {seed}: {name}(**{arguments})") from error
        plt.close("all")


@pytest.mark.slow
def test_damaged_checkpoints(tmp_path, n_tries, first_seed):
    """Cut, with random bytes, or with flipped bits: one kind of error, or nothing of it matters."""
    path, rng = tmp_path / "state", np.random.default_rng(first_seed)
    X = DATA.astype(np.float32)
    for model in (
        AutoEncoder(3),
        RBM(3, gradient="pcd"),
        SparseCoder(3, alpha=0.1, early_stopping=True),
        SparseAutoEncoder(5, k=2),
    ):
        model.set_params(max_iter=3, random_state=0, checkpoint=path, resume=True)
        path.unlink(missing_ok=True)
        whole, content = model.fit(X)._state["params"].copy(), path.read_bytes()
        for _ in range(2 * n_tries):
            path.write_bytes(_damaged(content, rng))
            try:
                resumed = clone(model).fit(X)._state["params"]
            except ValueError as error:
                assert "cannot be read" in str(error) and "Delete it" in str(error)
            else:
                np.testing.assert_array_equal(resumed, whole)


@pytest.mark.slow
def test_damaged_models(tmp_path, n_tries, first_seed):
    """As above, of files of ``skae.io``."""
    pytest.importorskip("skops")
    path, rng = tmp_path / "model", np.random.default_rng(first_seed)
    for model in (
        AutoEncoder(3, max_iter=1),
        SparseCoder(3, max_iter=1),
        StackedAEClassifier([("low", RBM(3, max_iter=1))], max_iter=1),
    ):
        save(model.fit(DATA, np.arange(len(DATA)) % 2), path)
        expected, content = model.transform(DATA), path.read_bytes()
        for _ in range(2 * n_tries):
            path.write_bytes(_damaged(content, rng))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    again = load(path)
            except ValueError as error:
                assert str(path) in str(error)
            else:
                np.testing.assert_array_equal(again.transform(DATA), expected)


def _damaged(content, rng):
    damaged, kind = bytearray(content), rng.integers(4)
    if kind == 0:
        return damaged[: rng.integers(len(content))]
    if kind == 1:
        return rng.bytes(rng.integers(2000))
    places = rng.integers(len(content), size=rng.integers(1, 20))
    for place in places:
        damaged[place] ^= 1 << rng.integers(8) if kind == 2 else rng.integers(256)
    return damaged


FAMILIES = {
    "AutoEncoder": AutoEncoder(8),
    "ContractiveAE": ContractiveAE(8),
    "RBM": RBM(8, gradient="pcd"),
    "SparseCoder": SparseCoder(8, alpha=0.2),
    "PSD": PSD(8, alpha=0.2),
    "SparseAutoEncoder": SparseAutoEncoder(20, activation="batch_topk", k=2, dead_after=2),
    "StackedAE": StackedAE(
        [("low", DenoisingAE(8, max_iter=3)), ("high", AutoEncoder(4, max_iter=3))],
        fine_tune="reconstruction",
    ),
    "DBM": DBM([("low", RBM(6, max_iter=3)), ("high", RBM(4, max_iter=3))]),
    "ManifoldTangentClassifier": ManifoldTangentClassifier(
        AutoEncoder(8, max_iter=3), n_tangents=2
    ),
}


def endless(name, path, n_epochs):
    """Return an estimator of a family that trains for ``n_epochs``, and data."""
    model = clone(FAMILIES[name]).set_params(
        random_state=0, checkpoint=path, resume=path is not None, max_iter=n_epochs
    )
    steady = {"learning_rate": "constant", "tol": 0, "n_iter_no_change": 10**9, "batch_size": 50}
    model.set_params(
        **{key: value for key, value in steady.items() if key in model.get_params(deep=False)}
    )
    X = np.random.default_rng(0).random((200, 12))
    return model, X, (X[:, 0] > 0.5).astype(int)


def train_until_stopped(name, path, pipe):
    """Train an estimator of a family in this process, and tell ``pipe`` when that begins and what an interrupt leaves."""
    # Jobs in the background of a shell ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore")
    # An interrupt while numba loads leaves numba unusable.
    model, X, y = endless(name, None, 1)
    model.fit(X, y)
    model, X, y = endless(name, path, 10**6)
    pipe.send("ready")
    try:
        model.fit(X, y)
    except KeyboardInterrupt:
        try:
            model.transform(X)
        except NotFittedError:
            pass
        assert threading.active_count() == 1
        pipe.send("usable")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", ["SIGKILL", "SIGINT"])
def test_stopped_at_random_times(name, kind, tmp_path, first_seed, request):
    """A training that is killed or interrupted again and again ends with the weights of one that was not."""
    path, rng = str(tmp_path / "state"), np.random.default_rng(first_seed)
    for _ in range(request.config.getoption("--stops")):
        pipe, its_end = multiprocessing.Pipe(duplex=False)
        training = process(train_until_stopped, name, path, its_end)
        its_end.close()
        assert pipe.poll(60) and pipe.recv() == "ready"
        time.sleep(rng.uniform(0, 0.25))
        os.kill(training.pid, getattr(signal, kind))
        assert kind == "SIGKILL" or (pipe.poll(60) and pipe.recv() == "usable")
        training.join(60)
        assert training.exitcode == (-signal.SIGKILL if kind == "SIGKILL" else 0)
    if not os.path.exists(path):
        return
    with np.load(path) as file:
        n_epochs = len(json.loads(str(file["header"]))["state"]["loss_curve"]) + 1
    model, X, y = endless(name, path, n_epochs)
    resumed = model.fit(X, y)
    whole = clone(model).set_params(checkpoint=None, resume=False).fit(X, y)
    np.testing.assert_array_equal(resumed._state["params"], whole._state["params"])
