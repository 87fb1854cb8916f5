"""Arrays of other libraries give the numbers of numpy: torch on the CPU, and array-api-strict."""

import pickle
from functools import partial

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.utils import get_tags

from skae import (
    DBM,
    DBN,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae._estimators import unsupervised
from skae.boltzmann import BoltzmannClassifier
from skae.generative import EnergyAE
from skae.images import ZCA
from skae.manifold import LocalPCA, iter_tangents, tangent_basis
from skae.sparse import _coder
from skae.sparse._dictionary import DictionarySolver
from skae.training import problem

pytest.importorskip("array_api_compat")
pytestmark = pytest.mark.filterwarnings("ignore")  # few epochs learn little

OPTIONS = {"max_iter": 2, "random_state": 0}
DEEP = {"hidden_layer_sizes": (12,), **OPTIONS}
# No feature stays dead by chance: Adam would enlarge the rounding errors of its first steps.
FEATURES = {"sparse_output": False, **OPTIONS}
DEAD = {"k": 2, "dead_after": 1, "aux": 0.5, "solver": "sgd", **FEATURES}
MODELS = {
    "sigmoid": AutoEncoder(8, **OPTIONS),
    "relu, deep, sgd, decay": AutoEncoder(
        8, activation="relu", solver="sgd", weight_decay=1e-2, **DEEP
    ),
    "tanh, untied": AutoEncoder(8, activation="tanh", tied_weights=False, **OPTIONS),
    "softplus, multinomial": AutoEncoder(8, activation="softplus", loss="multinomial", **OPTIONS),
    "lbfgs": AutoEncoder(8, solver="lbfgs", **OPTIONS),
    "early stopping": AutoEncoder(8, early_stopping=True, **OPTIONS),
    "masking": DenoisingAE(8, **OPTIONS),
    "salt and pepper": DenoisingAE(8, corruption="salt_and_pepper", emphasis=(1, 0.5), **OPTIONS),
    "swap": DenoisingAE(8, corruption="swap", **OPTIONS),
    "masking, lbfgs": DenoisingAE(8, solver="lbfgs", **OPTIONS),
    "contraction": ContractiveAE(8, **OPTIONS),
    "curvature": ContractiveAE(8, curvature=0.1, **OPTIONS),
    "exact, deep": ContractiveAE(8, n_directions="all", **DEEP),
    "stochastic, deep": ContractiveAE(8, n_directions=2, curvature=0.1, **DEEP),
    "reconstruction": ContractiveAE(8, contracted="reconstruction", **OPTIONS),
    "top-k, groups": SparseAutoEncoder(48, groups=(8, 20, 48), **FEATURES),
    "top-k, dead": SparseAutoEncoder(48, early_stopping=True, **DEAD),
    "batch top-k": SparseAutoEncoder(48, activation="batch_topk", **DEAD),
    "jumprelu": SparseAutoEncoder(48, activation="jumprelu", **FEATURES),
    "relu features": SparseAutoEncoder(48, activation="relu", **FEATURES),
}


def _rows(dtype):
    X = load_digits().data[:150].astype(dtype) / 16
    X[0] = X[1]  # equal rows have noise of their own
    return X


def _as(library, *arrays):
    """Return arrays of numpy as those of a library."""
    xp = pytest.importorskip(library)
    return [xp.asarray(array) for array in arrays]


def _numpy(x):
    return np.from_dlpack(x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_fit_and_methods_are_those_of_numpy(model, library, dtype):
    X, weights = _rows(dtype), np.linspace(0.5, 2, 150, dtype=dtype)
    theirs, their_weights = _as(library, X, weights)
    expected, found = clone(model).fit(X, sample_weight=weights), clone(model)
    # Noise and curvature are drawn in float32, whatever the dtype.
    exact = dtype == "float64" and not model.get_params().get("curvature")
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if exact else {"rtol": 1e-4, "atol": 1e-5}
    with config_context(array_api_dispatch=True):
        found.fit(theirs, sample_weight=their_weights)
        codes = found.transform(theirs)
        pairs = [
            (found.encoder_weights_[0], expected.encoder_weights_[0]),
            (found.center_, expected.center_),
            (codes, expected.transform(X)),
            (found.inverse_transform(codes), expected.reconstruct(X)),
            (found.reconstruct(theirs), expected.reconstruct(X)),
            (found.score_samples(theirs), expected.score_samples(X)),
        ]
        score = found.score(theirs, sample_weight=their_weights)
    for ours, numbers in pairs:
        assert type(ours) is type(theirs)
        np.testing.assert_allclose(_numpy(ours), numbers, **tolerance)
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-5)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, **tolerance)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_gaussian_noise_is_that_of_numpy(library):
    model, X = DenoisingAE(8, corruption="gaussian", **OPTIONS), _rows("float64")
    (theirs,) = _as(library, X)
    expected = clone(model).fit(X)
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(theirs)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-7)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_missing_values_and_constant_columns(library):
    X = _rows("float64")
    X[::3, 20] = np.nan
    (theirs,) = _as(library, X)
    model = AutoEncoder(8, loss="gaussian", **OPTIONS)
    expected, found = clone(model).fit(X), clone(model)
    with config_context(array_api_dispatch=True):
        found.fit(theirs)
        pairs = [
            (found.reconstruct(theirs), expected.reconstruct(X)),
            (found.score_samples(theirs), expected.score_samples(X)),
            (found.impute(theirs), expected.impute(X)),
        ]
    for ours, numbers in pairs:
        np.testing.assert_allclose(_numpy(ours), numbers, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("Model", [DenoisingAE, SparseAutoEncoder])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_partial_fit_and_warm_start_go_on(library, Model):
    X = _rows("float64")
    (theirs,) = _as(library, X)
    model = Model(8, learning_rate="constant", warm_start=True, **OPTIONS)
    expected = clone(model).partial_fit(X).partial_fit(X).fit(X)
    with config_context(array_api_dispatch=True):
        found = clone(model).partial_fit(theirs).partial_fit(theirs).fit(theirs)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-10)


def test_pickles_and_checkpoints_are_numpy(tmp_path):
    X = _rows("float64")
    (theirs,) = _as("torch", X)
    model = AutoEncoder(8, checkpoint=tmp_path / "file", learning_rate="constant", **OPTIONS)
    with config_context(array_api_dispatch=True):
        fitted = clone(model).fit(theirs)
    assert b"torch" not in pickle.dumps(fitted)
    with config_context(array_api_dispatch=True):
        assert type(pickle.loads(pickle.dumps(fitted)).transform(X)) is np.ndarray
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(fitted)).components_, fitted.components_
    )
    # A training begun on one library goes on with another one.
    longer = clone(model).set_params(max_iter=4, resume=True).fit(X)
    whole = clone(model).set_params(max_iter=4, checkpoint=None).fit(X)
    np.testing.assert_allclose(longer.components_, whole.components_, atol=1e-10)


def test_divergence_keeps_the_last_finite_epoch():
    X = _rows("float32")
    (theirs,) = _as("torch", X)
    model = AutoEncoder(8, activation="relu", solver="sgd", loss="gaussian", **OPTIONS)
    with config_context(array_api_dispatch=True):
        fitted = clone(model).set_params(max_iter=1, learning_rate_init=1e-3).fit(theirs)
        before = fitted.components_.clone()
        fitted.set_params(warm_start=True, learning_rate_init=1e9)
        with pytest.raises(ValueError, match="not finite"):
            fitted.fit(theirs)
        assert bool((fitted.components_ == before).all())


def test_what_is_not_there_is_refused():
    X = _rows("float32")
    (theirs,) = _as("torch", X)
    with pytest.raises(ValueError, match="device='cuda:99'"):
        AutoEncoder(8, device="cuda:99").fit(X)
    with pytest.raises(ValueError, match="device='mps'"):
        AutoEncoder(8, device="mps").fit(X)
    with pytest.raises(ValueError, match="float32"):
        AutoEncoder(8, precision="bfloat16").fit(X.astype(float))
    fitted = AutoEncoder(8, **OPTIONS).fit(X)
    with config_context(array_api_dispatch=True):
        with pytest.raises(ValueError, match="Set device=None"):
            AutoEncoder(8, device="cpu").fit(theirs)
        with pytest.raises(ValueError, match=r"AutoEncoder.transform\(\) must use the same"):
            fitted.transform(theirs)
        for Model in (SparseCoder, RecurrentAE, LocalPCA, ZCA, EnergyAE):
            with pytest.raises(TypeError, match="arrays of numpy only"):
                Model().fit(theirs)
        with pytest.raises(TypeError, match="BoltzmannClassifier takes arrays of numpy only"):
            BoltzmannClassifier(DBN(MACHINES)).fit(theirs, np.arange(150) % 2)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_sparse_features_of_other_libraries(library):
    """Codes are dense; reports are of numpy; a model wants the library of its fit."""
    X = _rows("float64")
    (theirs,) = _as(library, X)
    model = SparseAutoEncoder(48, activation="batch_topk", **OPTIONS)
    expected = clone(model).fit(X)
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(theirs)
        codes, thresholds = found.transform(theirs), found.thresholds_
        report, top = found.report(theirs), found.top_samples(theirs, 3)
        for method in ("transform", "reconstruct", "score_samples", "report"):
            with pytest.raises(ValueError, match=rf"SparseAutoEncoder.{method}\(\) must use"):
                getattr(found, method)(X)
            with pytest.raises(ValueError, match=rf"SparseAutoEncoder.{method}\(\) must use"):
                getattr(expected, method)(theirs)
    assert type(codes) is type(thresholds) is type(theirs)
    np.testing.assert_allclose(_numpy(codes), expected.transform(X).toarray(), rtol=1e-10)
    np.testing.assert_allclose(_numpy(thresholds), expected.thresholds_, rtol=1e-10)
    assert report.unexplained == pytest.approx(expected.report(X).unexplained, rel=1e-10)
    np.testing.assert_array_equal(top.indices, expected.top_samples(X, 3).indices)
    # Without the dispatch weights and codes are arrays of numpy.
    np.testing.assert_allclose(
        found.transform(X).toarray(), expected.transform(X).toarray(), rtol=1e-10
    )


CODES = {"algorithm": "fista", "alpha": 0.3, "gap_tol": 1e-3, "batch_size": 50, **OPTIONS}
CODERS = {
    "lasso": SparseCoder(8, **CODES),
    "positive": SparseCoder(8, positive=True, ridge=0.1, split_sign=True, **CODES),
    "ista": SparseCoder(8, early_stopping=True, **CODES | {"algorithm": "ista"}),
    "threshold": SparseCoder(8, transform_encoder="soft_threshold", sparse_output=True, **CODES),
    "least squares": SparseCoder(4, **CODES | {"alpha": 0.0, "max_inference_iter": 20}),
    "given atoms": SparseCoder(dictionary=np.eye(3, 64) + 0.01, **CODES),
}


# Without a price the gaps in float32 are rounding errors.
CASES = [(name, each) for name in CODERS for each in ("float32", "float64")]
CASES.remove(("least squares", "float32"))


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_sparse_codes_are_those_of_numpy(name, dtype, library):
    model = CODERS[name]
    X, weights = _rows(dtype)[:60], np.linspace(0.5, 2, 60, dtype=dtype)
    theirs, their_weights = _as(library, X, weights)
    tolerance = {"rtol": 1e-10, "atol": 1e-10}
    if dtype == "float32":  # in which rounding may reset a momentum, or end some iterations earlier
        model = clone(model).set_params(gap_tol=1e-6, max_inference_iter=200)
        tolerance = {"rtol": 1e-4, "atol": 1e-4}
    expected, found = clone(model).fit(X, sample_weight=weights), clone(model)
    with config_context(array_api_dispatch=True):
        found.fit(theirs, sample_weight=their_weights)
        codes = found.transform(theirs)
        bare, gaps = found.infer(theirs)
        near, _ = found.infer(theirs, init=bare)
        pairs = [
            (found.components_, expected.components_),
            (codes, _dense(expected.transform(X))),
            (found.inverse_transform(codes), expected.reconstruct(X)),
            (found.reconstruct(theirs), expected.reconstruct(X)),
            (found.score_samples(theirs), expected.score_samples(X)),
            (gaps, expected.infer(X)[1]),
            (near, _dense(expected.infer(X, init=expected.infer(X)[0])[0])),
        ]
        score = found.score(theirs, sample_weight=their_weights)
    for ours, numbers in pairs:
        assert type(ours) is type(theirs)
        np.testing.assert_allclose(_numpy(ours), numbers, **tolerance)
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-4)
    if model.dictionary is None:
        curves = found.loss_curve_, expected.loss_curve_
        np.testing.assert_allclose(*curves, rtol=1e-5 if dtype == "float32" else 1e-10)


def _dense(codes):
    return codes.toarray() if issparse(codes) else codes


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_atoms_that_no_code_uses_are_replaced(library, monkeypatch):
    X = _rows("float64")[:40]
    (theirs,) = _as(library, X)
    model = SparseCoder(20, **CODES | {"alpha": 3.0, "batch_size": 10, "max_iter": 3})
    lasting = clone(model).fit(X)
    monkeypatch.setattr(_coder, "DictionarySolver", partial(DictionarySolver, patience=2))
    expected = clone(model).fit(X)
    assert np.abs(lasting.components_ - expected.components_).max() > 0.1
    with config_context(array_api_dispatch=True):
        found = clone(model).fit(theirs)
        steps = clone(model).partial_fit(theirs).partial_fit(theirs).partial_fit(theirs)
    for each in (found, steps):
        np.testing.assert_allclose(each.components_, expected.components_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("options", [{"algorithm": "auto"}, {"groups": [[0, 1], [2, 3]]}], ids=str)
def test_codes_of_other_algorithms_need_numpy(options):
    X = _rows("float64")
    (theirs,) = _as("torch", X)
    model = SparseCoder(4, **CODES)
    fitted = clone(model).fit(X).set_params(**options)
    model.set_params(**options)
    with config_context(array_api_dispatch=True):
        assert not get_tags(model).array_api_support
        for method in (model.fit, model.partial_fit, fitted.transform, fitted.infer):
            with pytest.raises(TypeError, match="numpy only: set algorithm='fista'"):
                method(theirs)
        fitted.set_params(algorithm="fista", groups=None)
        assert get_tags(fitted).array_api_support
        for method in ("transform", "infer", "reconstruct", "score_samples", "inverse_transform"):
            given = theirs if method != "inverse_transform" else theirs[:, :4]
            with pytest.raises(ValueError, match=rf"SparseCoder.{method}\(\) must use the same"):
                getattr(fitted, method)(given)
        fitted.fit(theirs)
        with pytest.raises(TypeError, match="init must be an array of the library"):
            fitted.infer(theirs, init=X[:, :4])


MACHINES = [("low", RBM(8, **OPTIONS)), ("high", RBM(5, gradient="pcd", **OPTIONS))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_belief_networks_are_those_of_numpy(library, dtype):
    X, weights = _rows(dtype), np.linspace(0.5, 2, 150, dtype=dtype)
    theirs, their_weights = _as(library, X, weights)
    model = DBN(MACHINES, random_state=0)
    expected, found = clone(model).fit(X, sample_weight=weights), clone(model)
    tolerance = 1e-10 if dtype == "float64" else 1e-5
    steps = {"n_steps": 2, "random_state": 0}
    with config_context(array_api_dispatch=True):
        found.fit(theirs, sample_weight=their_weights)
        codes = found.transform(theirs)
        pairs = [
            (codes, expected.transform(X)),
            (found.inverse_transform(codes), expected.inverse_transform(expected.transform(X))),
            (found.score_samples(theirs), expected.score_samples(X)),
            (
                found.sample(start=theirs, means=True, **steps),
                expected.sample(start=X, means=True, **steps),
            ),
            (
                found.layers_[0][1].sample(start=theirs, **steps),
                expected.layers_[0][1].sample(start=X, **steps),
            ),
        ]
        score = found.score(theirs, sample_weight=their_weights)
        for method in ("transform", "inverse_transform", "score_samples"):
            given = codes if method == "inverse_transform" else theirs
            with pytest.raises(ValueError, match=rf"DBN.{method}\(\) must use the same"):
                getattr(expected, method)(given)
    for ours, numbers in pairs:
        assert type(ours) is type(theirs)
        np.testing.assert_allclose(_numpy(ours), numbers, rtol=tolerance, atol=tolerance)
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-5)


DEEP_MACHINES = {
    "two": DBM(MACHINES, n_chains=30, weight_decay=1e-3, **OPTIONS),
    "three": DBM([*MACHINES, ("top", RBM(4, **OPTIONS))], pretraining=None, **OPTIONS),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("model", DEEP_MACHINES.values(), ids=DEEP_MACHINES)
def test_deep_machines_are_those_of_numpy(model, library, dtype):
    X, weights = _rows(dtype), np.linspace(0.5, 2, 150, dtype=dtype)
    theirs, their_weights = _as(library, X, weights)
    expected, found = clone(model).fit(X, sample_weight=weights), clone(model)
    tolerance = 1e-10 if dtype == "float64" else 1e-5
    with config_context(array_api_dispatch=True):
        found.fit(theirs, sample_weight=their_weights)
        pairs = [
            *zip(found.weights_, expected.weights_),
            *zip(found.biases_, expected.biases_),
            *(
                (getattr(found, method)(theirs), getattr(expected, method)(X))
                for method in ("transform", "reconstruct", "score_samples")
            ),
            (
                found.sample(start=theirs, n_steps=2, random_state=0),
                expected.sample(start=X, n_steps=2, random_state=0),
            ),
        ]
        score = found.score(theirs, sample_weight=their_weights)
        for method in ("transform", "reconstruct", "score_samples"):
            with pytest.raises(ValueError, match=rf"DBM.{method}\(\) must use the same"):
                getattr(found, method)(X)
    for ours, numbers in pairs:
        assert type(ours) is type(theirs)
        np.testing.assert_allclose(_numpy(ours), numbers, rtol=tolerance, atol=tolerance)
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-5)


LAYERS = [("low", ContractiveAE(8, **OPTIONS)), ("high", AutoEncoder(5, **OPTIONS))]
STACKS = {
    "greedy": StackedAE(LAYERS, fine_tune="reconstruction", **OPTIONS),
    "simultaneous": StackedAE(LAYERS, schedule="simultaneous", corrupted="input", **OPTIONS),
    "noise below": StackedAE(
        [LAYERS[0], ("high", DenoisingAE(5, **OPTIONS))], corrupted="input", **OPTIONS
    ),
    "supervised": StackedAE(LAYERS, fine_tune="supervised", **OPTIONS),
    "classifier": StackedAEClassifier(
        LAYERS, dropout=0.2, corruption="masking", early_stopping=True, **OPTIONS
    ),
    "supervised layers": StackedAEClassifier(LAYERS, pretraining="supervised", **OPTIONS),
    "partial": StackedAEClassifier(
        LAYERS, pretraining="partial", reconstruction_weight=0.5, **OPTIONS
    ),
    "regressor": StackedAERegressor(LAYERS, **OPTIONS),
    "tangents": ManifoldTangentClassifier(ContractiveAE(8, **OPTIONS), n_tangents=3, **OPTIONS),
    "tangents, exact": ManifoldTangentClassifier(
        StackedAE(LAYERS, **OPTIONS),
        n_tangents=3,
        tangent_sampling="exact",
        update_tangents=1,
        **OPTIONS,
    ),
    "tangents, not stored": ManifoldTangentClassifier(
        ContractiveAE(8, **OPTIONS), n_tangents=3, tangent_storage=None, **OPTIONS
    ),
    "tangents, labels": ManifoldTangentClassifier(
        ContractiveAE(8, **OPTIONS), n_tangents=3, output="sigmoid", **OPTIONS
    ),
    "cd": RBM(8, weight_decay=1e-3, **OPTIONS),
    "pcd": RBM(8, gradient="pcd", n_chains=30, n_gibbs_steps=2, **OPTIONS),
    "multinomial": RBM(
        8,
        visible=[("multinomial", slice(32)), ("bernoulli", slice(32, 64))],
        standardize=False,
        **OPTIONS,
    ),
}


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_tangents_are_singular_vectors(library, activation):
    X = _rows("float64")
    (theirs,) = _as(library, X)
    model = AutoEncoder(20, activation=activation, **DEEP)
    with config_context(array_api_dispatch=True):
        fitted = clone(model).fit(theirs)
        found = tangent_basis(fitted, theirs, 4, tol=1e-7)
        again = tangent_basis(fitted, theirs, 4, tol=1e-7, start=found.basis)
        blocks = [
            each.basis for _, each in iter_tangents(fitted, theirs, 4, tol=1e-7, block_size=128)
        ]
        with pytest.raises(ValueError, match="must use the same namespace"):
            tangent_basis(fitted, X)
        with pytest.raises(TypeError, match="start must be an array of the library"):
            tangent_basis(fitted, theirs, 4, start=np.zeros((150, 4, 64)))
        jacobians = _numpy(fitted.jacobian(theirs))
    _, lengths, exact = np.linalg.svd(jacobians, full_matrices=False)
    np.testing.assert_allclose(
        _numpy(found.singular_values), lengths[:, :4], atol=1e-7 * lengths.max()
    )
    apart = lengths[:, 3] > 1.01 * np.maximum(lengths[:, 4], 1e-3)
    assert apart.sum() > 100
    for basis in (found.basis, again.basis, np.concatenate(list(map(_numpy, blocks)))):
        basis = _numpy(basis)
        inner = basis @ exact[:, :4].transpose(0, 2, 1)
        cosines = np.linalg.svd(inner[apart], compute_uv=False)
        np.testing.assert_allclose(cosines, 1, atol=1e-10)
        np.testing.assert_allclose(
            basis @ basis.transpose(0, 2, 1), np.eye(4) + np.zeros((150, 1, 1)), atol=1e-10
        )
    # The weights are numpy's without the dispatch; steps begin at the same vectors.
    known = tangent_basis(fitted, X, 4, tol=1e-7).basis
    for basis in (_numpy(found.basis), np.concatenate(list(map(_numpy, blocks)))):
        np.testing.assert_allclose(basis[apart], known[apart], atol=1e-7)


@pytest.mark.parametrize(
    "model",
    [AutoEncoder(8), STACKS["greedy"], STACKS["classifier"], STACKS["tangents"], DBN(MACHINES)],
    ids=lambda model: type(model).__name__,
)
def test_arrays_on_a_device_need_the_dispatch(model):
    (theirs,) = _as("array_api_strict", _rows("float64"))
    with pytest.raises(TypeError, match="array_api_dispatch=True"):
        model.fit(theirs, load_digits().target[:150])


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("name", STACKS)
def test_stacks_classifiers_and_machines_are_those_of_numpy(name, library):
    model, X = STACKS[name], _rows("float64")
    if name == "multinomial":
        X[:, :32] = np.eye(32)[np.arange(150) % 32]
    y = load_digits().target[:150]
    y = y * 1.5 if name == "regressor" else y
    y[50:90] = -1 if name in ("partial", "tangents") else y[50:90]
    theirs, their_y = _as(library, X, y)
    expected, found = clone(model).fit(X, y), clone(model)
    # Of tangents numpy leaves out outputs whose part is below rounding, in float16.
    tolerance = 1e-6 if name.startswith("tangents") else 1e-9
    with config_context(array_api_dispatch=True):
        found.fit(theirs, their_y)
        pairs = [(found.transform(theirs), expected.transform(X))]
        for method in ("predict", "predict_proba", "reconstruct", "score_samples"):
            if hasattr(expected, method):
                numbers = getattr(expected, method)(X)
                pairs.append((getattr(found, method)(theirs), numbers))
        score = found.score(theirs, their_y)
    for ours, numbers in pairs:
        assert type(ours) is type(theirs)
        np.testing.assert_allclose(_numpy(ours), numbers, rtol=tolerance, atol=tolerance)
    assert score == pytest.approx(expected.score(X, y), rel=1e-6)  # float32 in scikit-learn


def test_bfloat16_rounds_products_and_learns_as_much():
    torch = pytest.importorskip("torch")
    X = _rows("float32")
    model = ContractiveAE(16, loss="bernoulli", max_iter=10, random_state=0)
    half, full = clone(model).set_params(precision="bfloat16").fit(X), clone(model).fit(X)
    assert half.loss_ == pytest.approx(full.loss_, rel=5e-3)
    assert half.components_.dtype == np.float32
    # Processors without such products compute in float32.
    a, b = torch.rand(64, 64), torch.rand(64, 64)
    torch.set_float32_matmul_precision("medium")
    exact = a.double() @ b.double()
    rounds = float((a @ b - exact).abs().max()) > 1e-3
    torch.set_float32_matmul_precision("highest")
    if rounds:
        difference = np.abs(half.transform(X) - full.transform(X)).max()
        assert 1e-4 < difference < 0.1
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("sparse", [False, True])
def test_data_larger_than_the_device_go_there_by_batches(sparse, monkeypatch):
    X = _rows("float64")
    (theirs,) = _as("torch", X)
    model = DenoisingAE(8, **OPTIONS)
    expected = clone(model).fit(X)
    monkeypatch.setattr(problem, "free_memory", lambda x: 1000)
    if sparse:  # rows that only a parameter brings to a device
        monkeypatch.setattr(unsupervised, "reference", lambda estimator, X: theirs[:0])
        found = clone(model).fit(csr_matrix(X))
    else:
        with config_context(array_api_dispatch=True):
            found = clone(model).fit(theirs)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-10)
