"""Weights in safetensors files: what a program without skae computes from them is what the estimators return."""

import json
import sys

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import sparse_encode
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from small_models import LAYERS, MACHINES, SHORT

from skae import (
    DBM,
    DBN,
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    BoltzmannClassifier,
    ContractiveAE,
    DenoisingAE,
    Imputer,
    ManifoldTangentClassifier,
    RecurrentAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.autoencoders import TopK
from skae.generative import EnergyAE
from skae.images import ZCA, ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from skae.io import load_weights, save_weights
from skae.manifold import LocalPCA
from skae.nn.activations import Activation, Diagonal

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

IRIS, SPECIES = load_iris(return_X_y=True)
# One-hot, binary, constant and real columns, far from 0 and of different sizes.
TABLE = np.column_stack(
    [np.eye(3)[SPECIES], SPECIES > 0, np.full(150, 7.0), 100 + IRIS * [1, 5, 0.1, 1]]
)
IMAGES = load_digits().images[:20] / 16
K = 2

FUNCTIONS = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "softplus": lambda a: np.logaddexp(0, a),
    "identity": lambda a: a,
    "gaussian": lambda a: a,
    "bernoulli": expit,
    "multinomial": lambda a: softmax(a, axis=1),
}


def written(estimator, path):
    """Return the file's content, as the package safetensors reads it."""
    numpy, package = pytest.importorskip("safetensors.numpy"), pytest.importorskip("safetensors")
    save_weights(estimator, path / "weights.safetensors")
    arrays = numpy.load_file(path / "weights.safetensors")
    with package.safe_open(path / "weights.safetensors", framework="numpy") as file:
        config = json.loads(file.metadata()["config"])
    ours, our_config = load_weights(path / "weights.safetensors")
    assert our_config == config and ours.keys() == arrays.keys()
    assert all((ours[name] == arrays[name]).all() for name in ours)
    assert config["estimator"] == type(estimator).__name__
    return arrays, config


def chain(arrays, name, h, activations):
    """Return the outputs of layers."""
    for n, activation in enumerate(activations):
        a = h @ arrays[f"{name}.{n}.weight"].T + arrays[f"{name}.{n}.bias"]
        if activation == "topk" or activation.startswith("TopK"):
            kept = np.zeros(a.shape, bool)
            np.put_along_axis(kept, np.argsort(-a, axis=1)[:, :K], True, axis=1)
            h = np.where(kept & (a > 0), a, 0)
        elif activation in FUNCTIONS and f"{name}.{n}.threshold" not in arrays:
            h = FUNCTIONS[activation](a)
        else:
            h = np.where(a > arrays[f"{name}.{n}.threshold"], a, 0)
    return h


def means(logits, config):
    """Return the means of the output units."""
    out = logits.copy()
    for kind, columns in config["outputs"]:
        out[:, columns] = FUNCTIONS[kind](logits[:, columns])
    return out


def scaled(arrays, X):
    return (X - arrays["center"]) / arrays["scale"]


def shrink(a, threshold):
    return np.sign(a) * np.maximum(np.abs(a) - threshold, 0)


NETWORKS = [
    *(
        AutoEncoder(3, hidden_layer_sizes=(5,), activation=name, **SHORT)
        for name in ("sigmoid", "tanh", "relu", "softplus", "identity", TopK(K))
    ),
    ContractiveAE(3, **SHORT),
    DenoisingAE(3, standardize=False, **SHORT),
    *(
        SparseAutoEncoder(7, activation=name, k=K, sparse_output=False, **SHORT)
        for name in ("topk", "batch_topk")
    ),
    *(
        SparseAutoEncoder(7, activation=name, sparse_output=False, **SHORT)
        for name in ("jumprelu", "relu")
    ),
    EnergyAE(3, **SHORT),
    RBM(3, **SHORT),
    StackedAE(LAYERS, **SHORT),
    StackedAE(LAYERS, fine_tune="reconstruction", **SHORT),
    StackedAE([("low", PSD(4, encoder="tanh", **SHORT)), LAYERS[1]], **SHORT),
    DBN(MACHINES, random_state=0),
]


@pytest.mark.parametrize("model", NETWORKS, ids=lambda model: type(model).__name__)
def test_networks(model, tmp_path):
    arrays, config = written(model.fit(TABLE), tmp_path)
    codes = chain(arrays, "encoder", scaled(arrays, TABLE), config["encoder"])
    np.testing.assert_allclose(codes, model.transform(TABLE), rtol=1e-6, atol=1e-9)
    assert config.get("k", K) == K
    logits = chain(arrays, "decoder", codes, config["decoder"])
    reconstruction = means(logits, config) * arrays["scale"] + arrays["center"]
    expected = model.inverse_transform(codes)
    np.testing.assert_allclose(reconstruction, expected, rtol=1e-6, atol=1e-9)
    if isinstance(model, AutoEncoder) and not isinstance(model, (EnergyAE, RBM)):
        assert arrays["encoder.0.weight"].shape == (5, TABLE.shape[1])
        assert config["parameters"]["hidden_layer_sizes"] == [5]


@pytest.mark.parametrize(
    "model",
    [
        StackedAEClassifier(LAYERS, **SHORT),
        StackedAE(LAYERS, fine_tune="supervised", **SHORT),
        ManifoldTangentClassifier(
            ContractiveAE(3, **SHORT), n_tangents=2, output="sigmoid", **SHORT
        ),
        BoltzmannClassifier(DBN(MACHINES), **SHORT),
    ],
    ids=lambda model: type(model).__name__,
)
def test_classifiers(model, tmp_path):
    labels = np.array(["a", "b", "c"])[SPECIES]
    arrays, config = written(model.fit(TABLE, labels), tmp_path)
    codes = chain(arrays, "encoder", scaled(arrays, TABLE), config["encoder"])
    np.testing.assert_allclose(codes, model.transform(TABLE), rtol=1e-6)
    p = means(codes @ arrays["output.weight"].T + arrays["output.bias"], config)
    assert config["multilabel"] is False
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, model.predict_proba(TABLE), rtol=1e-6, atol=1e-9)
    assert config["classes"] == ["a", "b", "c"]


@pytest.mark.usefixtures("few_epochs")
def test_labels(tmp_path):
    """Several of a row may be true, so that probabilities have no sum."""
    labels = np.column_stack([SPECIES > 0, SPECIES < 2, SPECIES == 1]).astype(int)
    frame = pytest.importorskip("pandas").DataFrame(IRIS, columns=list("abcd"))
    for model in (
        StackedAEClassifier([3], **SHORT),
        StackedAE([3], fine_tune="supervised", **SHORT),
    ):
        arrays, config = written(model.fit(frame, labels), tmp_path)
        codes = chain(arrays, "encoder", scaled(arrays, IRIS), config["encoder"])
        p = means(codes @ arrays["output.weight"].T + arrays["output.bias"], config)
        np.testing.assert_allclose(p, model.predict_proba(frame), rtol=1e-6, atol=1e-9)
        assert config["multilabel"] is True


class Doubled(Activation):
    """An activation without a ``__repr__``."""

    def forward(self, a, bias, rows=slice(None), units=slice(None)):
        a[rows] = 2 * (a[rows] + bias)

    def derivatives(self, outputs, order=1, memory=None):
        return Diagonal(np.full_like(outputs, 2), np.zeros_like(outputs))


@pytest.mark.parametrize(
    "model",
    [
        AutoEncoder(3, activation=Doubled(), **SHORT),
        RecurrentAE([("low", AutoEncoder(3, activation=Doubled(), **SHORT)), LAYERS[1]], **SHORT),
    ],
    ids=lambda model: type(model).__name__,
)
def test_own_activations_have_the_name_of_the_class(model, tmp_path):
    assert written(model.fit(IRIS), tmp_path)[1]["encoder"][0] == "Doubled"


@pytest.mark.parametrize("unit", ["D", "ns"])
@pytest.mark.usefixtures("few_epochs")
def test_dates_as_classes_are_texts(unit, tmp_path):
    days = np.array(["2020-01-01", "2021-01-01", "2022-01-01"], f"M8[{unit}]")
    _, config = written(StackedAEClassifier([3], **SHORT).fit(IRIS, days[SPECIES]), tmp_path)
    assert (np.array(config["classes"], days.dtype) == days).all()
    assert all(isinstance(each, str) for each in config["classes"])


def test_regressors(tmp_path):
    model = StackedAERegressor(LAYERS, **SHORT).fit(TABLE, IRIS[:, 0])
    arrays, config = written(model, tmp_path)
    codes = chain(arrays, "encoder", scaled(arrays, TABLE), config["encoder"])
    values = means(codes @ arrays["output.weight"].T + arrays["output.bias"], config)
    values = values * arrays["target_scale"] + arrays["target_center"]
    np.testing.assert_allclose(values[:, 0], model.predict(TABLE), rtol=1e-6)


@pytest.mark.parametrize("layers", [LAYERS, [*LAYERS, ("top", AutoEncoder(2, **SHORT))]])
def test_recurrent_networks(layers, tmp_path):
    model = RecurrentAE(layers, n_steps=3, **SHORT).fit(TABLE)
    arrays, config = written(model, tmp_path)
    depth = len(config["encoder"])
    W, b = ([arrays[f"encoder.{n}.{part}"] for n in range(depth)] for part in ("weight", "bias"))
    s = [FUNCTIONS[name] for name in config["encoder"]]
    z = scaled(arrays, TABLE)
    h, before = [], None
    for step in range(config["n_steps"] + 1):
        h, before = [], h
        for n in range(depth):
            a = (h[n - 1] if n else z) @ W[n].T
            if step and n + 1 < depth:
                a = (a + before[n + 1] @ W[n + 1]) / 2
            h.append(s[n](a + b[n]))
    np.testing.assert_allclose(h[-1], model.transform(TABLE), rtol=1e-6)
    r = means(h[0] @ W[0] + arrays["decoder.bias"], config) * arrays["scale"] + arrays["center"]
    np.testing.assert_allclose(r, model.reconstruct(TABLE), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("layers", [MACHINES, [*MACHINES, ("top", RBM(2, **SHORT))]])
def test_deep_boltzmann_machines(layers, tmp_path):
    model = DBM(layers, n_mean_field_steps=3, **SHORT).fit(TABLE)
    arrays, config = written(model, tmp_path)
    depth = len(config["encoder"])
    W, b = ([arrays[f"encoder.{n}.{part}"] for n in range(depth)] for part in ("weight", "bias"))
    z = scaled(arrays, TABLE)
    h = [np.zeros((len(z), len(bias))) for bias in b]

    def update(numbers):
        for n in numbers:
            a = (h[n - 1] if n else z) @ W[n].T + b[n]
            h[n] = expit(a + h[n + 1] @ W[n + 1] if n + 1 < depth else a)

    update(range(0, depth, 2))
    for _ in range(config["n_steps"]):
        update(range(1, depth, 2))
        update(range(0, depth, 2))
    np.testing.assert_allclose(h[-1], model.transform(TABLE), rtol=1e-6)
    r = means(h[0] @ W[0] + arrays["decoder.bias"], config) * arrays["scale"] + arrays["center"]
    np.testing.assert_allclose(r, model.reconstruct(TABLE), rtol=1e-6, atol=1e-9)


def test_dictionaries(tmp_path):
    X = IRIS - IRIS.mean(axis=0)
    model = SparseCoder(6, gap_tol=1e-10, max_inference_iter=100_000, **SHORT).fit(X)
    arrays, config = written(model, tmp_path)
    options = {"algorithm": "lasso_cd", "alpha": config["alpha"], "max_iter": 100_000}
    codes = sparse_encode(X, arrays["dictionary"], **options)
    error = 0.5 * np.sum((X - codes @ arrays["dictionary"]) ** 2, axis=1)
    ours = model.transform(X)
    our_error = 0.5 * np.sum((X - ours @ arrays["dictionary"]) ** 2, axis=1)
    np.testing.assert_allclose(
        error + config["alpha"] * np.abs(codes).sum(axis=1),
        our_error + config["alpha"] * np.abs(ours).sum(axis=1),
        rtol=1e-5,
    )
    np.testing.assert_allclose(codes, ours, atol=1e-3)


def predicted(arrays, config, x):
    """Return the codes that an encoder of ``PSD`` predicts."""
    a = x @ arrays["encoder.weight"].T
    if config["encoder"] == "tanh":
        return arrays["encoder.gain"] * np.tanh(a + arrays["encoder.bias"])
    h = shrink(a, arrays["encoder.threshold"])
    for _ in range(config["parameters"]["n_steps"] - 1 if config["encoder"] == "lista" else 0):
        h = shrink(a + h @ arrays["encoder.feedback"].T, arrays["encoder.threshold"])
    return h


@pytest.mark.parametrize("encoder", ["tanh", "soft_threshold", "lista"])
def test_predicted_codes(encoder, tmp_path):
    model = PSD(6, encoder=encoder, **SHORT).fit(IRIS)
    model.set_params(encoder="tanh" if encoder == "lista" else "lista")  # for the next fit
    arrays, config = written(model, tmp_path)
    np.testing.assert_allclose(predicted(arrays, config, IRIS), model.transform(IRIS), atol=1e-9)
    np.testing.assert_array_equal(arrays["dictionary"], model.components_)


def patches(images, size):
    """Return all patches, of shape (n_images, n_down, n_across, n_values)."""
    images = images.reshape(*images.shape[:3], -1)
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    return np.moveaxis(windows, 3, -1).reshape(*windows.shape[:3], -1)


@pytest.mark.parametrize("tiling", [1, 2])
@pytest.mark.parametrize("encoder", ["tanh", "soft_threshold"])
def test_predicted_maps(encoder, tiling, tmp_path):
    model = ConvolutionalPSD(3, patch_size=4, encoder=encoder, tiling=tiling, **SHORT).fit(IMAGES)
    model.set_params(encoder="tanh" if encoder == "soft_threshold" else "soft_threshold")
    arrays, config = written(model, tmp_path)
    x = patches(IMAGES, config["parameters"]["patch_size"])
    maps = np.empty((*x.shape[:3], 3))
    for tile in range(tiling**2):
        own = {k: v[tile] if tiling > 1 else v for k, v in arrays.items()}
        place = np.s_[:, tile // tiling :: tiling, tile % tiling :: tiling]
        maps[place] = predicted(own, config, x[place])
    np.testing.assert_allclose(maps.reshape(len(maps), -1), model.transform(IMAGES), atol=1e-6)


def features(arrays, config, images):
    """Return the means, over windows of ``pool_size`` or four windows, of the triangle codes of patches."""
    x = patches(images, config["parameters"]["patch_size"])
    if config["floor"] is not None:
        x = x - x.mean(axis=-1, keepdims=True)
        x = x / np.sqrt(x.var(axis=-1, keepdims=True) + config["floor"])
    if "whitening" in arrays:
        x = (x - arrays["mean"]) @ arrays["whitening"]
    d = np.linalg.norm(x[..., np.newaxis, :] - arrays["filters"], axis=-1)
    codes = np.maximum(d.mean(axis=-1, keepdims=True) - d, 0)
    size, (n, down, across, k) = config["parameters"]["pool_size"], codes.shape
    if size is not None:
        return codes.reshape(n, down // size, size, across // size, size, k).mean(axis=(2, 4))
    halves = [np.array_split(part, 2, axis=2) for part in np.array_split(codes, 2, axis=1)]
    return np.stack([np.stack([c.mean(axis=(1, 2)) for c in row], 1) for row in halves], 1)


@pytest.mark.parametrize("options", [{}, {"whitening": None}, {"contrast": None}])
def test_filters(options, tmp_path):
    model = ConvolutionalFeatures(4, patch_size=3, random_state=0, **options).fit(IMAGES)
    arrays, config = written(model, tmp_path)
    found = features(arrays, config, IMAGES)
    np.testing.assert_allclose(found.reshape(len(IMAGES), -1), model.transform(IMAGES), atol=1e-5)


def test_stages_and_whitening(tmp_path):
    stack = ConvolutionalStack(
        [
            ("low", ConvolutionalFeatures(4, patch_size=3, pool_size=2)),
            ("high", ConvolutionalFeatures(5, patch_size=2)),
        ],
        random_state=0,
    ).fit(IMAGES)
    arrays, config = written(stack, tmp_path)
    maps = IMAGES
    for name, own_config in config["layers"].items():
        own = {key.split(".")[1]: each for key, each in arrays.items() if key.startswith(name)}
        maps = features(own, own_config, maps)
    np.testing.assert_allclose(maps.reshape(len(IMAGES), -1), stack.transform(IMAGES), atol=1e-5)
    zca = ZCA().fit(IRIS)
    arrays, _ = written(zca, tmp_path)
    white = (IRIS - arrays["mean"]) @ arrays["whitening"]
    np.testing.assert_allclose(white, zca.transform(IRIS))
    np.testing.assert_allclose(white @ arrays["coloring"] + arrays["mean"], IRIS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_exact(dtype, tmp_path):
    model = AutoEncoder(3, **SHORT).fit(IRIS.astype(dtype))
    arrays, _ = written(model, tmp_path)
    assert arrays["encoder.0.weight"].dtype == dtype
    np.testing.assert_array_equal(arrays["encoder.0.weight"], model.components_)
    np.testing.assert_array_equal(arrays["decoder.0.weight"], model.decoder_components_.T)


def test_estimators_without_weights(tmp_path):
    path = tmp_path / "weights"
    model = AutoEncoder(3, **SHORT).fit(IRIS)
    frozen = FrozenEstimator(model)
    for other in (
        AnomalyDetector(frozen).fit(IRIS),
        Imputer(frozen).fit(IRIS),
        LocalPCA(4).fit(IRIS),
        make_pipeline(AutoEncoder(3, **SHORT)).fit(IRIS),
    ):
        with pytest.raises(TypeError, match="must have weights of its own, .*give base_"):
            save_weights(other, path)
    over_dbm = BoltzmannClassifier(DBM(MACHINES, **SHORT), **SHORT).fit(TABLE, SPECIES)
    with pytest.raises(TypeError, match="sees more than X: a BoltzmannClassifier over a DBM"):
        save_weights(over_dbm, path)
    for deeper in ((4,), ()):
        dictionary = AutoEncoder(3, hidden_layer_sizes=deeper, **SHORT)
        coded = ConvolutionalFeatures(dictionary=dictionary, encoder="code", patch_size=3)
        with pytest.raises(TypeError, match="codes of dictionary, which .*: give dictionary_"):
            save_weights(coded.fit(IMAGES), path)
    with pytest.raises(NotFittedError):
        save_weights(AutoEncoder(3), path)
    assert not path.exists()


def test_files_of_others(tmp_path, monkeypatch):
    package = pytest.importorskip("safetensors.numpy")
    package.save_file({"a": IRIS}, tmp_path / "a")
    arrays, config = load_weights(tmp_path / "a")
    assert config == {} and (arrays["a"] == IRIS).all()
    for wrong in ("{", "[1]", "[" * 10**5):
        package.save_file({"a": IRIS}, tmp_path / "a", metadata={"config": wrong})
        with pytest.raises(ValueError, match="config in the metadata of .* cannot be read"):
            load_weights(tmp_path / "a")
    monkeypatch.setitem(sys.modules, "safetensors", None)  # neither function needs the package
    model = AutoEncoder(np.int64(3), **SHORT).fit(IRIS)
    save_weights(model, tmp_path / "b")
    assert load_weights(tmp_path / "b")[1]["parameters"]["n_components"] == 3
