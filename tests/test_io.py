"""Models in files: the same outputs when they are read again, and only data in them."""

import gzip
import inspect
import json
import pickle
import pydoc
import sys
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import small_models
from processes import run_anew
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from small_models import LAYERS, SHORT

import skae
from skae import (
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    Imputer,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
)
from skae import io as skae_io
from skae.images import ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from skae.io._safetensors import read_arrays, write_arrays
from skae.manifold import LocalPCA, TangentNeighborsClassifier, tangent_basis
from skae.training import LBFGS, SGD, Adam

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
# Columns of three kinds: a category, real and binary ones.
X = np.hstack(
    [np.eye(3)[RNG.integers(0, 3, 60)], RNG.normal(5, 2, (60, 4)), RNG.random((60, 2)) > 0.5]
)
IMAGES = RNG.random((5, 12, 12))
Y = (X[:, 3] > 5).astype(int)
FILTERS = ConvolutionalFeatures(4, patch_size=5, random_state=0)
MODELS = [
    *small_models.TRAINED,
    *small_models.OTHERS,
    AutoEncoder(3, solver="lbfgs", **SHORT),
    AutoEncoder(3, hidden_layer_sizes=(4,), solver=Adam(beta_1=0.8), **SHORT),
    DenoisingAE(3, corruption="swap", solver=SGD(), **SHORT),
    ContractiveAE(3, solver=LBFGS(5), **SHORT),
    AnomalyDetector(FrozenEstimator(AutoEncoder(3, **SHORT).fit(X))),
    Imputer(FrozenEstimator(AutoEncoder(3, **SHORT).fit(X))),
    StackedAE(LAYERS, fine_tune="supervised", **SHORT),
    RBM(3, gradient="pcd", **SHORT),
    SparseCoder(dictionary=X[:4], groups=[[0, 1], [2, 3]]),
    SparseAutoEncoder(5, activation="jumprelu", sparse_output=False, **SHORT),
    TangentNeighborsClassifier(LocalPCA(3), n_neighbors=2, n_tangents=2),
    FILTERS,
    ConvolutionalFeatures(
        dictionary=SparseCoder(4, **SHORT), encoder="code", patch_size=5, random_state=0
    ),
    clone(FILTERS).set_params(encoder="threshold"),
    clone(FILTERS).set_params(encoder="linear", pooling="max"),
    clone(FILTERS).set_params(dictionary=SparseCoder(3, **SHORT), encoder="code", tiling=(2, 3)),
    ConvolutionalStack([("low", FILTERS)]),
    ConvolutionalPSD(4, patch_size=3, **SHORT),
]
GOLDEN = Path(__file__).parent / "golden"


def _data(model):
    return IMAGES if "Convolutional" in type(model).__name__ else X


def _outputs(model, data):
    if isinstance(model, LocalPCA):
        return tangent_basis(model, data, 2).singular_values
    names = ("predict_proba", "predict", "transform", "score_samples")
    method = next(name for name in names if hasattr(model, name))
    return np.asarray(getattr(model, method)(data))


def _name(model):
    return type(model).__name__ if isinstance(model, BaseEstimator) else None


def _fitted(model):
    return clone(model).fit(_data(model)) if _data(model) is IMAGES else clone(model).fit(X, Y)


@pytest.mark.parametrize("model", MODELS, ids=_name)
def test_models_are_the_same_when_they_are_read(model, tmp_path):
    pytest.importorskip("skops")
    fitted = _fitted(model)
    path = tmp_path / "model.skops"
    skae_io.save(fitted, path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = skae_io.load(path)
    assert type(again) is type(fitted) and again.get_params().keys() == fitted.get_params().keys()
    np.testing.assert_array_equal(_outputs(again, _data(model)), _outputs(fitted, _data(model)))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("Model", [AutoEncoder, DenoisingAE, ContractiveAE, RBM])
def test_training_goes_on_after_reading(Model, tmp_path):
    pytest.importorskip("skops")
    model = Model(3, **SHORT, learning_rate="constant").fit(X)
    skae_io.save(model, tmp_path / "model")
    again = skae_io.load(tmp_path / "model")
    np.testing.assert_array_equal(
        again.partial_fit(X).components_, model.partial_fit(X).components_
    )


@pytest.mark.parametrize("model", MODELS, ids=_name)
def test_pickles_and_joblib_files_are_the_same_when_they_are_read(model, tmp_path):
    fitted = _fitted(model)
    joblib.dump(fitted, tmp_path / "model.joblib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        readings = [pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib")]
    for again in readings:
        np.testing.assert_array_equal(_outputs(again, _data(model)), _outputs(fitted, _data(model)))
        assert vars(again).keys() == vars(fitted).keys()


@pytest.mark.slow
def test_a_pickle_is_read_in_another_process(tmp_path):
    model = AutoEncoder(3, **SHORT).fit(X)
    joblib.dump((model, X), tmp_path / "both")
    code = f"""
        import joblib
        model, X = joblib.load({str(tmp_path / "both")!r})
        print(model.score(X))
    """
    result = run_anew(code)
    assert float(result.stdout) == pytest.approx(model.score(X)), result.stderr


@pytest.mark.parametrize("model", MODELS, ids=_name)
def test_another_version_is_named(model, tmp_path, monkeypatch):
    from skae._estimators import versions

    monkeypatch.setattr(versions, "__version__", "0.0.7")
    contents = [pickle.dumps(clone(model))]
    monkeypatch.undo()
    with pytest.warns(
        UserWarning, match=f"{type(model).__name__} was saved by skae 0.0.7 and is read"
    ):
        pickle.loads(contents[0])


@pytest.mark.slow
def test_another_version_of_a_file_is_named(tmp_path, monkeypatch):
    pytest.importorskip("skops")
    from skae._estimators import versions

    monkeypatch.setattr(versions, "__version__", "0.0.7")
    skae_io.save(make_pipeline(MinMaxScaler(), AutoEncoder(3, **SHORT)).fit(X), tmp_path / "model")
    monkeypatch.undo()
    with pytest.warns(UserWarning, match="saved by skae 0.0.7"):
        skae_io.load(tmp_path / "model")


def test_each_trusted_type_is_there_and_each_estimator_is_trusted():
    in_earlier_files = {
        "skae.autoencoders._normal.JointNormal": "skae.autoencoders._imputation.JointNormal"
    }
    for name in skae_io.TRUSTED:
        found = pydoc.locate(name)
        assert inspect.isclass(found)
        assert f"{found.__module__}.{found.__qualname__}" == in_earlier_files.get(name, name)
    for model in MODELS:
        assert f"{type(model).__module__}.{type(model).__qualname__}" in skae_io.TRUSTED


class _Steps(SGD):
    pass


def _noise(X, seed, out):
    out[...] = X


@pytest.mark.parametrize(
    "model",
    [
        DenoisingAE(3, corruption=_noise),
        AutoEncoder(3, solver=_Steps()),
        make_pipeline(FunctionTransformer(_noise), AutoEncoder(3)),
        StackedAE([("low", DenoisingAE(3, corruption=_noise))]),
    ],
    ids=["function", "class", "pipeline", "layer"],
)
def test_what_is_not_trusted_is_neither_saved_nor_loaded(model, tmp_path):
    skops_io = pytest.importorskip("skops.io")
    path = tmp_path / "model"
    with pytest.raises(TypeError, match="The model holds .*(_noise|_Steps)"):
        skae_io.save(model, path)
    assert not path.exists()
    skops_io.dump(model, path)
    with pytest.raises(ValueError, match="holds .*(_noise|_Steps).*Nothing was loaded"):
        skae_io.load(path)


def test_what_cannot_be_written_is_told(tmp_path):
    pytest.importorskip("skops.io")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    model = AutoEncoder(3, loss=[("gaussian", frame.columns)], **SHORT).fit(frame)
    with pytest.raises(TypeError, match="skae.io cannot write .*or use pickle"):
        skae_io.save(model, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_named(tmp_path):
    pytest.importorskip("skops.io")
    folder = tmp_path / "nowhere"
    with pytest.raises(FileNotFoundError) as error:
        skae_io.save(AutoEncoder(3, **SHORT).fit(X), folder / "model.skops")
    assert error.value.filename == str(folder)


class _Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code ran')",)


def test_only_estimators_are_saved_and_loaded(tmp_path):
    skops_io = pytest.importorskip("skops.io")
    path = tmp_path / "model"
    for wrong in (AutoEncoder, None, {"a": 1}):
        with pytest.raises(TypeError, match="model must be an estimator"):
            skae_io.save(wrong, path)
    skops_io.dump({"weights": X}, path)
    with pytest.raises(ValueError, match="holds no estimator, but dict"):
        skae_io.load(path)
    path.write_bytes(pickle.dumps(_Evil()))
    with pytest.raises(ValueError, match="cannot be read as a model"):
        skae_io.load(path)
    with pytest.raises(FileNotFoundError):
        skae_io.load(tmp_path / "none")


def test_files_that_would_expand_are_refused(tmp_path):
    skops_io = pytest.importorskip("skops.io")
    path = tmp_path / "model"
    model = AutoEncoder(3, **SHORT).fit(X)
    skops_io.dump(model, path, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        skae_io.load(path)


# Damaged files: test_fuzz.py::test_damaged_models.


def test_saving_takes_the_place_of_a_file_in_one_move(tmp_path, monkeypatch):
    pytest.importorskip("skops")
    path = tmp_path / "model"
    skae_io.save(AutoEncoder(3, **SHORT).fit(X), path)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        skae_io.save(AutoEncoder(4, **SHORT).fit(X), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_saving_follows_a_link_and_keeps_the_mode(tmp_path):
    pytest.importorskip("skops")
    path, link = tmp_path / "model", tmp_path / "link"
    link.symlink_to(path)
    for _ in range(2):
        skae_io.save(AutoEncoder(3, **SHORT).fit(X), link)
        assert link.is_symlink() and path.is_file()
        path.chmod(0o640)
    skae_io.save(AutoEncoder(3, **SHORT).fit(X), path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_without_skops_the_cure_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "skops", None)
    monkeypatch.setitem(sys.modules, "skops.io", None)
    for act in (
        lambda: skae_io.save(AutoEncoder(), tmp_path / "a"),
        lambda: skae_io.load(tmp_path),
    ):
        with pytest.raises(ImportError, match=r"pip install 'skae\[io\]'"):
            act()


@pytest.mark.filterwarnings("ignore:This .* was saved by skae")
@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.skops.gz")), ids=lambda path: path.name)
def test_files_of_this_and_earlier_versions_are_read(path, tmp_path):
    """Written by ``golden/write.py``: models, rows, and what the models made of them."""
    pytest.importorskip("skops")
    (tmp_path / "model").write_bytes(gzip.decompress(path.read_bytes()))
    model = skae_io.load(tmp_path / "model")
    with np.load(path.with_name(path.name.replace(".skops.gz", ".npz"))) as file:
        found = _outputs(model, file["rows"])
        np.testing.assert_allclose(found, file["outputs"], rtol=1e-5, atol=1e-6)


def test_there_are_files_of_this_version():
    assert len(list(GOLDEN.glob(f"{skae.__version__}-*.skops.gz"))) >= 8


FEATURES = [
    {"activation": activation, "standardize": standardize}
    for activation in ("topk", "batch_topk", "jumprelu", "relu")
    for standardize in ("columns", "shared", False)
]


@pytest.mark.parametrize("options", FEATURES, ids=str)
def test_features_go_to_other_tools_and_back(options, tmp_path):
    rows = np.hstack([3 * X + 2, np.full((len(X), 1), 7.0)])
    model = SparseAutoEncoder(12, k=3, max_iter=20, random_state=0, **options).fit(rows)
    skae_io.save_features(model, tmp_path / "sae")
    arrays = read_arrays(tmp_path / "sae" / "sae_weights.safetensors")
    config = json.loads((tmp_path / "sae" / "cfg.json").read_text())
    assert arrays["W_enc"].shape == (rows.shape[1], 12) == (config["d_in"], config["d_sae"])
    a = rows @ arrays["W_enc"] + arrays["b_enc"]
    limits = arrays.get("threshold", 0)
    if config["architecture"] == "topk":
        limits = np.maximum(np.sort(a, axis=1)[:, [-config["k"] - 1]], 0)
    codes = np.where(a > limits, a, 0)
    np.testing.assert_allclose(codes, model.transform(rows).toarray(), atol=1e-9)
    reconstruction = codes @ arrays["W_dec"] + arrays["b_dec"]
    np.testing.assert_allclose(reconstruction, model.reconstruct(rows), atol=1e-9)
    again = skae_io.load_features(tmp_path / "sae")
    np.testing.assert_allclose(again.transform(rows).toarray(), codes, atol=1e-9)
    np.testing.assert_allclose(again.reconstruct(rows), reconstruction, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [0, 1e3, 1e6])
def test_features_that_float32_rounds_are_told(far, dtype, tmp_path):
    rows = (3 * X + far).astype(dtype)
    model = SparseAutoEncoder(12, activation="relu", max_iter=2, random_state=0).fit(rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        skae_io.save_features(model, tmp_path)
    arrays = read_arrays(tmp_path / "sae_weights.safetensors")
    codes = np.maximum(rows @ arrays["W_enc"] + arrays["b_enc"], 0)
    error = np.abs(codes - model.transform(rows).toarray()).max()
    assert (len(caught) == 1) == (error > 0.01)
    assert all("far from 0" in str(each.message) for each in caught)
    assert bool(caught) == (far == 1e6 and dtype is np.float32)


def test_features_of_other_tools(tmp_path):
    """As SAELens writes them: a bias that is subtracted first, and codes times the norms of directions."""
    rng = np.random.default_rng(0)
    shapes = {"W_enc": (6, 8), "b_enc": (8,), "W_dec": (8, 6), "b_dec": (6,)}
    arrays = {k: rng.standard_normal(shape).astype(np.float32) for k, shape in shapes.items()}
    write_arrays(tmp_path / "sae_weights.safetensors", arrays)
    config = {"architecture": "topk", "k": 2, "rescale_acts_by_decoder_norm": True}
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    model = skae_io.load_features(tmp_path)
    rows = X.astype(np.float32)[:, :6]
    norms = np.linalg.norm(arrays["W_dec"], axis=1)
    a = ((rows - arrays["b_dec"]) @ arrays["W_enc"] + arrays["b_enc"]) * norms
    codes = np.where(a >= np.maximum(np.sort(a, axis=1)[:, [-2]], 0), a, 0)
    np.testing.assert_allclose(model.transform(rows).toarray(), codes, atol=1e-4)
    expected = codes @ (arrays["W_dec"] / norms[:, np.newaxis]) + arrays["b_dec"]
    np.testing.assert_allclose(model.reconstruct(rows), expected, atol=1e-4)
    for change, message in (
        ({"architecture": "gated"}, "is none of 'standard', 'topk' and 'jumprelu'"),
        ({"normalize_activations": "layer_norm"}, "normalize_activations='layer_norm'"),
        ({"architecture": "jumprelu"}, "thresholds must be given"),
        ({"k": None}, "k must be given"),
        ({"k": "2"}, "k must be a positive integer; got '2'"),
        ({"k": 2.5}, "k must be a positive integer; got 2.5"),
        ({"k": True}, "k must be a positive integer; got True"),
        ({"k": None, "activation_fn_kwargs": [2]}, "k must be given"),
    ):
        (tmp_path / "cfg.json").write_text(json.dumps(config | change))
        with pytest.raises(ValueError, match=message):
            skae_io.load_features(tmp_path)
    older = {"architecture": "standard", "activation_fn": "topk", "activation_fn_kwargs": {"k": 2}}
    (tmp_path / "cfg.json").write_text(json.dumps(config | older | {"k": None}))
    assert (skae_io.load_features(tmp_path).transform(rows) != model.transform(rows)).nnz == 0
    with pytest.raises(TypeError, match="model must be a SparseAutoEncoder"):
        skae_io.save_features(AutoEncoder(3), tmp_path)


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("rescales", [False, True])
@pytest.mark.parametrize(
    "change",
    [{"W_enc": (8, 6)}, {"W_enc": (8,)}, {"W_dec": (8,)}, {"b_enc": (6,)}, {"b_dec": (8,)}],
)
def test_features_of_other_shapes_are_told(change, rescales, applied, tmp_path):
    shapes = {"W_enc": (6, 8), "b_enc": (8,), "W_dec": (8, 6), "b_dec": (6,)} | change
    arrays = {name: np.ones(shape) for name, shape in shapes.items()}
    write_arrays(tmp_path / "sae_weights.safetensors", arrays)
    config = {"rescale_acts_by_decoder_norm": rescales, "apply_b_dec_to_input": applied}
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"must have the shapes .*; got .*\. Transpose"):
        skae_io.load_features(tmp_path)


@pytest.mark.parametrize("rescales", [False, True])
def test_features_in_half_precision_are_not_rounded_further(rescales, tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"W_enc": (30, 8), "b_enc": (8,), "W_dec": (8, 30), "b_dec": (30,)}
    arrays = {k: rng.standard_normal(shape).astype(np.float16) for k, shape in shapes.items()}
    arrays["b_dec"] *= 100
    arrays["W_dec"][3] = 0  # a direction that is not used
    write_arrays(tmp_path / "sae_weights.safetensors", arrays)
    config = {"architecture": "topk", "k": 8, "rescale_acts_by_decoder_norm": rescales}
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    model = skae_io.load_features(tmp_path)
    wide = {name: array.astype(float) for name, array in arrays.items()}
    rows = rng.standard_normal((20, 30)) + wide["b_dec"]
    codes = np.maximum((rows - wide["b_dec"]) @ wide["W_enc"] + wide["b_enc"], 0)
    expected = codes @ wide["W_dec"] + wide["b_dec"]
    codes = codes * np.linalg.norm(wide["W_dec"], axis=1) if rescales else codes
    np.testing.assert_allclose(model.transform(rows).toarray(), codes, atol=1e-9)
    np.testing.assert_allclose(model.reconstruct(rows), expected, atol=1e-9)


def test_safetensors_are_those_of_the_package(tmp_path):
    package = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.float32([1, 2]), "c": np.float16([[3]])}
    write_arrays(tmp_path / "ours", arrays)
    package.save_file(arrays, tmp_path / "theirs", metadata={"by": "them"})
    for found in (package.load_file(tmp_path / "ours"), read_arrays(tmp_path / "theirs")):
        assert found.keys() == arrays.keys()
        for name, array in found.items():
            assert array.dtype == arrays[name].dtype
            np.testing.assert_array_equal(array, arrays[name])


def test_damaged_safetensors_are_refused(tmp_path):
    path, rng = tmp_path / "weights", np.random.default_rng(0)
    write_arrays(path, {"a": np.arange(6.0).reshape(2, 3), "b": np.float32([1, 2])})
    content = path.read_bytes()
    for size in (0, 7, 8, 20, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="safetensors"):
            read_arrays(path)
    for _ in range(200):
        damaged = bytearray(content)
        damaged[rng.integers(len(content) - 56)] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            read_arrays(path)
        except ValueError as error:
            assert "safetensors" in str(error)


def test_cures_for_safetensors_are_named(tmp_path):
    path = tmp_path / "weights"

    def write(header, values=b""):
        text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + values)

    array = {"shape": [2], "data_offsets": [0, 4]}
    for dtype in ("BF16", "I16"):
        write({"a": {"dtype": dtype, **array}}, bytes(4))
        with pytest.raises(ValueError, match=f"'a' has the dtype {dtype}, .*: convert it"):
            read_arrays(path)
    write({"a": {"dtype": "F16", **array}}, bytes(3))
    with pytest.raises(ValueError, match="'a' ends at byte 4, .* 3: the file was cut"):
        read_arrays(path)
    write("[" * 10**5)
    with pytest.raises(ValueError, match="cannot be read as a safetensors file: RecursionError"):
        read_arrays(path)


def test_the_file_is_not_copied_for_each_array(tmp_path):
    path, arrays = tmp_path / "weights", {str(n): np.zeros(10**5) for n in range(8)}
    write_arrays(path, arrays)
    tracemalloc.start()
    try:
        found = read_arrays(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.keys() == arrays.keys()
    assert peak < 2.2 * path.stat().st_size  # the file, and the arrays


@pytest.mark.parametrize(
    ("model", "rows", "name"),
    [
        (
            AutoEncoder(3, max_iter=1, random_state=0),
            np.random.default_rng(0).random((20, 4)),
            "_trained_with",
        ),
        (
            ConvolutionalFeatures(2, patch_size=2, n_patches=50, random_state=0),
            np.random.default_rng(0).random((20, 5, 5)),
            "_pixels",
        ),
    ],
)
def test_attributes_that_became_private_are_read(model, rows, name):
    fitted = clone(model).fit(rows)
    state = fitted.__getstate__()
    state[name.strip("_") + "_"] = state.pop(name)  # as files of early versions have it
    read = clone(model)
    read.__setstate__(state)
    assert name in vars(read) and name.strip("_") + "_" not in vars(read)
    np.testing.assert_array_equal(read.transform(rows), fitted.transform(rows))
