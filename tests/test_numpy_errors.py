"""Public methods of all estimators under numpy's strictest settings: numbers of any size are no errors of numpy."""

import inspect
import types
from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if
from small_models import OTHERS, SHORT, TRAINED

from skae import (
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    SparseAutoEncoder,
    SparseCoder,
)
from skae._estimators.parameters import estimator
from skae.autoencoders import BaseAutoEncoder
from skae.generative import (
    ball_moments,
    local_moments,
    parzen_log_likelihood,
    sample_chain,
    sample_langevin,
    sample_local_moments,
    sample_walkback,
)
from skae.images import (
    ConvolutionalFeatures,
    ConvolutionalPSD,
    ConvolutionalStack,
    denoise,
    normalize_contrast,
    sample_patches,
)
from skae.manifold import (
    LocalPCA,
    TangentNeighborsClassifier,
    iter_tangents,
    tangent_basis,
    tangent_terms,
)

X = np.random.default_rng(0).standard_normal((20, 9))
y = np.arange(20) % 2
PATCHES = {"patch_size": 2, "random_state": 0}
MODELS = [
    *(Model(3, **SHORT) for Model in (AutoEncoder, DenoisingAE, ContractiveAE, RBM)),
    AutoEncoder(3, activation="softplus", hidden_layer_sizes=4, **SHORT),
    SparseAutoEncoder(8, k=2, **SHORT),
    *TRAINED,
    *OTHERS,
    TangentNeighborsClassifier(LocalPCA(4), n_tangents=2),
    ConvolutionalFeatures(3, **PATCHES),
    ConvolutionalFeatures(3, encoder="threshold", local_contrast=1.0, whitening=0.1, **PATCHES),
    ConvolutionalStack([("one", ConvolutionalFeatures(3, pool_grid=1, **PATCHES))]),
    ConvolutionalPSD(3, patch_size=2, **SHORT),
]
ROWS = {
    "subnormal": 5e-320 * X,
    "tiny": 1e-160 * X,
    "huge": 1e150 * X,
    "mixed": X * np.repeat([1e-300, 1, 1e10], 3),
    "subnormal in float32": (1e-42 * X).astype(np.float32),
    "huge in float32": (1e18 * X).astype(np.float32),
}
QUICK = {"tiny", "mixed"}
of_any_size = pytest.mark.parametrize(
    "rows",
    [
        pytest.param(rows, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name, rows in ROWS.items()
    ],
)
of_all_models = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
FEW = {"n_steps": 2, "n_runs": 2, "n_temperatures": 3, "n_draws": 2, "random_state": 0}
OF_AUTHORS = {"objective", "layer_shapes", "layer_training", "layer_weights"}


def _methods(model):
    """Yield the public methods of ``model`` with the names of their parameters."""
    fields = set(model.get_params(deep=False))
    for name in sorted(set(dir(model)) - fields):
        if not name.startswith(("_", "get_", "set_")) and name not in OF_AUTHORS:
            try:
                method = getattr(model, name)
            except AttributeError:  # a method that this model has not
                continue
            if isinstance(method, types.MethodType) and method.__self__ is model:
                yield method, inspect.signature(method).parameters


def _call_all(model, rows):
    """Call the public methods of a fitted ``model``; a ValueError may say that rows are out of range."""
    codes = model.transform(X) if hasattr(model, "transform") else None
    arguments = {"X": rows, "y": y, "feature": 0, **FEW}
    for method, parameters in _methods(model):
        given = {name: value for name, value in arguments.items() if name in parameters}
        if method.__name__ in {"fit", "fit_transform", "fit_predict", "partial_fit"}:
            continue
        if method.__name__ == "inverse_transform":
            given["X"] = 1e-300 * codes
        with np.errstate(all="raise"):
            try:
                method(**given)
            except ValueError as error:
                assert "X" in str(error) or "codes" in str(error), method.__name__


@cache
def _fitted(model, dtype):
    return clone(model).fit(X.astype(dtype), y)


@pytest.mark.filterwarnings("ignore::UserWarning")
@of_any_size
@of_all_models
def test_methods_of_rows_unlike_those_of_fit(model, rows):
    _call_all(_fitted(model, rows.dtype), rows)


@pytest.mark.filterwarnings("ignore::UserWarning")
@of_any_size
@of_all_models
def test_fits(model, rows):
    model = clone(model)
    try:
        with np.errstate(all="raise"):
            model.fit(rows, y)
            if hasattr(model, "partial_fit"):
                model.partial_fit(rows, y)
    except ValueError as error:
        assert "X" in str(error)
        return
    _call_all(model, rows)


DAE = DenoisingAE(3, corruption="gaussian", loss="gaussian", **SHORT)
CHAIN = {"n_steps": 2, "random_state": 0}
FUNCTIONS = [
    lambda model, rows: sample_chain(model, rows, **CHAIN),
    lambda model, rows: sample_langevin(model, rows, **CHAIN),
    lambda model, rows: sample_walkback(model, rows, **CHAIN),
    lambda model, rows: sample_local_moments(model, rows, **CHAIN),
    lambda model, rows: local_moments(model, rows),
    lambda model, rows: ball_moments(rows, rows[:3], np.abs(rows).max()),
    lambda model, rows: parzen_log_likelihood(rows, rows, sigma=np.abs(rows).max()),
    lambda model, rows: tangent_basis(model, rows, 2),
    lambda model, rows: list(iter_tangents(model, rows, 2)),
    lambda model, rows: tangent_terms(rows, list("abcdefghi")),
    lambda model, rows: normalize_contrast(rows),
    lambda model, rows: sample_patches([rows], 3, 5),
    lambda model, rows: denoise(rows[:, :3], PATCH_CODER, 3),
]
PATCH_CODER = SparseCoder(4, **SHORT)


@pytest.mark.filterwarnings("ignore::UserWarning")
@of_any_size
def test_functions(rows):
    PATCH_CODER.fit(X)
    models = [clone(DAE).fit(X.astype(rows.dtype))]
    if np.abs(rows).max() > 1e-300 or rows.dtype == np.float32:
        models.append(clone(DAE).fit(rows))
    for model in models:
        for function in FUNCTIONS:
            with np.errstate(all="raise"):
                try:
                    function(model, rows)
                except ValueError as error:
                    words = "x0", "X", "sigma", "step_size", "radius", "image"
                    assert any(word in str(error) for word in words)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_norm_of_a_large_jacobian():
    usual, tiny = (clone(DAE).fit(unit * X).report(unit * X) for unit in (1, 2.0**-600))
    assert tiny.jacobian_norm == 2.0**600 * usual.jacobian_norm


def _one(self):
    return True


@estimator
class _New(BaseAutoEncoder):
    """A class of a user, whose methods compute numbers that are too small."""

    objective = None

    def method(self):
        return np.float64(1e-200) * 1e-200

    @available_if(_one)
    def method_of_some(self):
        return self.method()

    @classmethod
    def of_the_class(cls):
        return np.float64(1e-200) * 1e-200

    @property
    def attribute_(self):
        return np.float64(1e-200) * 1e-200


def test_no_method_can_forget_it():
    with np.errstate(all="raise"):
        model = _New()
        assert model.method() == model.method_of_some() == _New.of_the_class() == 0
        assert model.attribute_ == 0
        assert np.geterr()["under"] == "raise"
