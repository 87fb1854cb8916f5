"""Displays draw what they are given."""

import warnings

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler

from skae import (
    DBN,
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
)
from skae.images import ConvolutionalFeatures
from skae.plotting import (
    ChainDisplay,
    CodeDisplay,
    FilterDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    SparseFeatureDisplay,
    SpectrumDisplay,
    TangentDisplay,
)

matplotlib.use("Agg")
X = load_digits().data[:300] / 16


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


def test_displays():
    model = AutoEncoder(9, max_iter=2, random_state=0).fit(X)
    filters = FilterDisplay.from_estimator(model)
    assert filters.ax_.images[0].get_array().shape == (26, 26)
    both = ReconstructionDisplay.from_estimator(model, X[:5], ax=filters.ax_)
    assert both.ax_ is filters.ax_
    np.testing.assert_array_equal(both.ax_.images[1].get_array()[:8, :8], X[0].reshape(8, 8))
    spectrum = SpectrumDisplay.from_estimator(model, X[:20])
    jacobian = model.jacobian(X[:20])
    expected = np.linalg.svd(jacobian, compute_uv=False).mean(axis=0)
    np.testing.assert_allclose(spectrum.ax_.lines[0].get_ydata(), expected)
    with pytest.raises(ValueError, match="image_shape"):
        FilterDisplay.from_estimator(AutoEncoder(3, max_iter=1).fit(X[:, :60]))
    few = SpectrumDisplay.from_estimator(model, X[:20], n_values=4)
    np.testing.assert_allclose(few.ax_.lines[0].get_ydata(), expected[:4], rtol=1e-4)


def test_tangents():
    model = AutoEncoder(9, max_iter=2, random_state=0).fit(X)
    display = TangentDisplay.from_estimator(model, X[:3], n_tangents=2, steps=(-1, 1))
    sheet = display.ax_.images[0].get_array()
    assert sheet.shape == (3 * 9 - 1, 5 * 9 - 1)
    np.testing.assert_allclose(sheet[:8, :8], X[0].reshape(8, 8))
    moved = np.clip(X[0] - display.basis[0, 0], 0, 1).reshape(8, 8)
    np.testing.assert_allclose(sheet[:8, 27:35], moved)


DRAWN = [
    lambda model, X, **options: FilterDisplay.from_estimator(model, **options),
    ReconstructionDisplay.from_estimator,
    lambda model, X, **options: TangentDisplay.from_estimator(model, X, n_tangents=2, **options),
]


@pytest.mark.parametrize("shape", [(4, 8), (16, 8), (64,), (8, 4, 2), (-8, -8), (8.0, 8.0), 64])
@pytest.mark.parametrize("draw", DRAWN)
def test_images_of_another_shape_are_refused(draw, shape):
    model = AutoEncoder(9, max_iter=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"height \* width = 64"):
        draw(model, X[:4], image_shape=shape)
    display = draw(model, X[:4], image_shape=(16, 4))
    display.image_shape = shape
    with pytest.raises(ValueError, match=r"height \* width = 64"):
        display.plot()


@pytest.mark.slow
@pytest.mark.parametrize(
    "draw", [*DRAWN[1:], SpectrumDisplay.from_estimator], ids=["both", "tangents", "spectrum"]
)
@pytest.mark.parametrize("kind", ["pandas", "polars", "csr"])
def test_frames_and_sparse_matrices_are_drawn(draw, kind):
    names = [f"pixel {j}" for j in range(64)]
    as_kind = {
        "pandas": lambda rows: pd.DataFrame(rows, columns=names),
        "polars": lambda rows: pl.DataFrame(rows, schema=names),
        "csr": scipy.sparse.csr_matrix,
    }[kind]
    model = AutoEncoder(9, max_iter=1, random_state=0).fit(as_kind(X))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn = draw(model, as_kind(X[:4]))
    expected = draw(AutoEncoder(9, max_iter=1, random_state=0).fit(X), X[:4])
    for name in ("originals", "reconstructions", "images", "basis", "spectrum"):
        if hasattr(expected, name):
            np.testing.assert_allclose(getattr(drawn, name), getattr(expected, name), atol=1e-12)
    for one, other in zip(drawn.ax_.images, expected.ax_.images, strict=True):
        np.testing.assert_allclose(one.get_array(), other.get_array(), atol=1e-9)


def test_filters_in_color():
    filters = np.random.default_rng(0).uniform(-1, 1, (4, 2, 3, 3))
    sheet = FilterDisplay(filters=filters, image_shape=(2, 3, 3)).plot().ax_.images[0].get_array()
    assert sheet.shape == (2 * 3 - 1, 2 * 4 - 1, 3)
    np.testing.assert_allclose(sheet[:2, :3], (filters[0] / np.abs(filters[0]).max() + 1) / 2)
    np.testing.assert_array_equal(sheet[2], 1)
    gray = FilterDisplay(filters=filters[..., :1], image_shape=(2, 3, 1)).plot()
    assert gray.ax_.images[0].get_array().shape == (5, 7)
    with pytest.raises(ValueError, match="for colors"):
        FilterDisplay(filters=filters[..., :2], image_shape=(2, 3, 2)).plot()


def test_sparse_features():
    model = SparseAutoEncoder(20, k=3, max_iter=2, random_state=0).fit(X)
    codes = model.transform(X).toarray()
    display = SparseFeatureDisplay.from_estimator(model, X, n_features=3, n_samples=4)
    strongest = np.argsort(-codes.sum(axis=0))[:3]
    np.testing.assert_array_equal(display.features, strongest)
    for feature, rows in zip(strongest, display.rows):
        np.testing.assert_array_equal(rows[1:], X[np.argsort(-codes[:, feature])[:4]])
        direction = model.decoder_components_[feature] * model.scale_
        np.testing.assert_allclose(rows[0], direction)
    left, right = display.ax_
    frequencies = np.sort((codes > 0).mean(axis=0))[::-1]
    np.testing.assert_allclose(left.lines[0].get_ydata(), frequencies)
    assert right.images[0].get_array().shape == (3 * 9 - 1, 5 * 9 - 1)


def _drawn_features(unit):
    model = SparseAutoEncoder(20, k=3, max_iter=2, random_state=0).fit(unit * X)
    display = SparseFeatureDisplay.from_estimator(model, unit * X, n_features=3, n_samples=4)
    return display.ax_[1].images[0].get_array()


def _drawn_filters(unit):
    display = FilterDisplay(filters=unit * X[:9], image_shape=(8, 8)).plot()
    return display.ax_.images[0].get_array()


@pytest.mark.parametrize("draw", [_drawn_features, _drawn_filters])
def test_pictures_are_the_same_in_any_units(draw):
    np.testing.assert_allclose(draw(2.0**-60), draw(1.0), atol=1e-6)


@pytest.mark.slow
def test_sparse_features_as_words():
    model = SparseAutoEncoder(20, k=3, max_iter=2, random_state=0).fit(X)
    words = [f"pixel {j}" for j in range(64)]
    display = SparseFeatureDisplay.from_estimator(
        model, X, features=[5, 2], n_samples=3, words=words
    )
    weights = model.decoder_components_[2] * model.scale_
    expected = np.argsort(-weights)[:3]
    assert [word for word, _ in display.words[1]] == [words[j] for j in expected]
    shares = [share for _, share in display.words[1]]
    np.testing.assert_allclose(shares, weights[expected] / weights.max())
    assert [text.get_text().split(" ")[0] for text in display.ax_[1].texts] == ["5", "2"]
    display.figure_.canvas.draw()
    left, right = (ax.get_position() for ax in display.ax_)
    assert left.width > 0.15 and right.width > 0.4  # words do not push the axes away
    turned = SparseFeatureDisplay.from_estimator(
        model, X, features=[2], words=words, to_words=lambda rows: rows[:, ::-1], ax=display.ax_
    )
    assert turned.words[0][0][0] == words[63 - expected[0]]
    with pytest.raises(ValueError, match="words must name 64 columns; got 3"):
        SparseFeatureDisplay.from_estimator(model, X, words=words[:3])


FILTERS = [
    RBM(4, max_iter=1, random_state=0),
    PSD(4, alpha=0.1, max_iter=1, random_state=0),
    SparseCoder(4, alpha=0.1, max_iter=1, random_state=0),
    KMeans(4, n_init=1, random_state=0),
    StackedAE([("low", AutoEncoder(4, max_iter=1)), ("high", AutoEncoder(3, max_iter=1))]),
]


@pytest.mark.parametrize("model", FILTERS, ids=lambda model: type(model).__name__)
def test_filters_of_all_kinds_are_drawn(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = clone(model).fit(X[:50])
    atoms = getattr(model, "cluster_centers_", None)
    atoms = atoms if atoms is not None else getattr(model, "components_", None)
    atoms = model.encoder_weights_[0] if isinstance(model, (RBM, StackedAE)) else atoms
    display = FilterDisplay.from_estimator(model, n_filters=1)
    largest = atoms[np.argmax(np.linalg.norm(atoms, axis=1))]
    expected = (largest / np.abs(largest).max()).reshape(8, 8)
    np.testing.assert_allclose(display.ax_.images[0].get_array(), expected, rtol=1e-6)


def test_filters_of_images_have_their_shape():
    model = ConvolutionalFeatures(4, patch_size=(2, 3), random_state=0).fit(X[:20])
    display = FilterDisplay.from_estimator(model)
    assert display.ax_.images[0].get_array().shape == (2 * 3 - 1, 2 * 4 - 1)


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda model: FilterDisplay.from_estimator(model, n_filters=0), ValueError, "n_filters"),
        (lambda model: FilterDisplay.from_estimator(model, n_filters=2.5), TypeError, "n_filters"),
        (lambda model: FilterDisplay.from_estimator(AutoEncoder(3)), NotFittedError, "not fitted"),
        (lambda model: LossCurveDisplay.from_estimator(AutoEncoder(3)), NotFittedError, "not fitted"),
        (lambda model: FilterDisplay.from_estimator(AutoEncoder), TypeError, "is a class"),
        (lambda model: FilterDisplay.from_estimator(StandardScaler().fit(X)), ValueError, "components_"),
        (lambda model: ReconstructionDisplay.from_estimator(PCA(2).fit(X), X), TypeError, "reconstruct"),
        (
            lambda model: ReconstructionDisplay.from_estimator(model, X.reshape(-1, 8, 8)),
            ValueError,
            "a row for each sample",
        ),
        (lambda model: SpectrumDisplay.from_estimator(PCA(2).fit(X), X), TypeError, "singular_values"),
        (lambda model: SpectrumDisplay.from_estimator(model, X[:9], n_values=9), ValueError, "^n_values"),
        *[
            (
                lambda model, name=name: CodeDisplay.from_estimator(
                    model, X[:9], np.arange(9), scatter_kw={name: "red"}
                ),
                ValueError,
                "scatter_kw has .* colors show y",
            )
            for name in ("c", "color", "facecolors")
        ],
        (
            lambda model: ReconstructionDisplay(
                originals=X[:3], reconstructions=X[:2], image_shape=(8, 8)
            ).plot(),
            ValueError,
            "reconstructions must have the shape",
        ),
        *[
            (
                lambda model, steps=steps: TangentDisplay.from_estimator(
                    model, X[:2], n_tangents=2, steps=steps
                ),
                ValueError,
                "steps",
            )
            for steps in (1, "a", [np.nan], [[1, 2]])
        ],
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_told(draw, error, message):
    model = AutoEncoder(4, max_iter=1, random_state=0).fit(X)
    with pytest.raises(error, match=message):
        draw(model)


def test_equal_codes_are_drawn_without_a_warning():
    model = AutoEncoder(4, max_iter=1, random_state=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points = CodeDisplay.from_estimator(model, X[[0, 0]]).points
    np.testing.assert_array_equal(points[0], points[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_features": 0}, "n_features"),
        ({"n_samples": 0}, "n_samples"),
        ({"features": [20]}, "features must be .* from 0 to 19"),
        ({"features": [-1]}, "features"),
        ({"features": [0.5]}, "features"),
        ({"features": 3}, "features"),
        ({"words": ["a"] * 65}, "words"),
    ],
)
def test_features_that_cannot_be_drawn_are_told(options, message):
    model = SparseAutoEncoder(20, k=3, max_iter=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match=message):
        SparseFeatureDisplay.from_estimator(model, X[:9], **options)
    figure, axes = plt.subplots(1, 2)
    for ax in (axes[0], [axes[0], axes[0]], [axes[0], None], [figure, figure]):
        with pytest.raises(ValueError, match="pair of axes"):
            SparseFeatureDisplay.from_estimator(model, X[:9], ax=ax)
    with pytest.raises(TypeError, match="top_samples"):
        SparseFeatureDisplay.from_estimator(AutoEncoder(3, max_iter=1).fit(X), X[:9])


def test_tangents_of_colors():
    rows = np.random.default_rng(0).random((20, 12))
    model = AutoEncoder(3, max_iter=1, random_state=0).fit(rows)
    display = TangentDisplay.from_estimator(model, rows[:2], n_tangents=1, image_shape=(2, 2, 3))
    sheet = display.ax_.images[0].get_array()
    assert sheet.shape == (2 * 3 - 1, 6 * 3 - 1, 3)
    low, high = rows[:2].min(), rows[:2].max()
    np.testing.assert_allclose(sheet[:2, :2], (rows[0].reshape(2, 2, 3) - low) / (high - low))


@pytest.mark.slow
def test_loss_curves_of_layers_and_of_held_out_samples():
    options = {"max_iter": 3, "random_state": 0}
    layers = [("low", AutoEncoder(9, **options)), ("high", AutoEncoder(4, **options))]
    stack = StackedAE(layers, fine_tune="reconstruction", early_stopping=True, **options).fit(X)
    display = LossCurveDisplay.from_estimator(stack, label="deep", line_kw={"linestyle": "--"})
    lines = {line.get_label(): line for line in display.ax_.lines}
    expected = {
        "deep, layer low": stack.named_layers_.low.loss_curve_,
        "deep, layer high": stack.named_layers_.high.loss_curve_,
        "deep": stack.loss_curve_,
        "deep, held out": stack.validation_curve_,
    }
    assert lines.keys() == expected.keys()
    for name, curve in expected.items():
        np.testing.assert_array_equal(lines[name].get_ydata(), curve)
        np.testing.assert_array_equal(lines[name].get_xdata(), np.arange(1, len(curve) + 1))
        assert lines[name].get_linestyle() == "--"
    assert display.ax_.get_xlabel() == "epoch"
    plain = StackedAE(layers, random_state=0).fit(X)
    again = LossCurveDisplay.from_estimator(plain, ax=display.ax_)
    assert again.ax_ is display.ax_ and len(again.curves) == 2
    with pytest.raises(TypeError, match="has no loss_curve_: give one that trains itself"):
        LossCurveDisplay.from_estimator(PCA().fit(X))
    detector = AnomalyDetector(AutoEncoder(2, max_iter=3)).fit(X)
    with pytest.raises(TypeError, match="such as the base_ of an AnomalyDetector"):
        LossCurveDisplay.from_estimator(detector)
    machine = DBN([("low", RBM(2, max_iter=3))]).fit(X)
    with pytest.raises(TypeError, match="or the stack_ of a DBN"):
        LossCurveDisplay.from_estimator(machine)
    drawn = [LossCurveDisplay.from_estimator(each) for each in (detector.base_, machine.stack_)]
    assert [len(curve) for each in drawn for curve in each.curves.values()] == [3, 3]


def test_chains_stand_in_rows():
    states = np.random.default_rng(0).random((21, 5, 64))
    start = np.zeros((5, 64))
    display = ChainDisplay.from_states(states, start=start, n_chains=3, n_states=5)
    sheet = display.ax_.images[0].get_array()
    assert sheet.shape == (3 * 9 - 1, 6 * 9 - 1)
    np.testing.assert_array_equal(sheet[:8, :8], start[0].reshape(8, 8))
    np.testing.assert_array_equal(sheet[9:17, 9:17], states[0, 1].reshape(8, 8))
    np.testing.assert_array_equal(sheet[-8:, -8:], states[20, 2].reshape(8, 8))
    wide = ChainDisplay.from_states(states, image_shape=(4, 16))
    assert wide.ax_.images[0].get_array().shape == (5 * 5 - 1, 10 * 17 - 1)
    for options, message in [
        ({"start": start[:4]}, "start must have the shape of a state"),
        ({"n_chains": 0}, "n_chains == 0, must be >= 1"),
        ({"image_shape": (8, 9)}, "image_shape must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            ChainDisplay.from_states(states, **options)
    with pytest.raises(ValueError, match="states must be"):
        ChainDisplay.from_states(states[0])


@pytest.mark.parametrize(("n_units", "n_tangents"), [(4, 4), (20, 6)])
def test_an_encoder_of_few_units_has_all_its_tangents_drawn(n_units, n_tangents):
    images = np.random.default_rng(0).random((40, 36))
    model = AutoEncoder(n_units, max_iter=1, random_state=0).fit(images)
    display = TangentDisplay.from_estimator(model, images[:3])
    assert display.basis.shape == (3, n_tangents, 36)
