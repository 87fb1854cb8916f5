"""Displays of codes, maps, saturation and chains, colors in all of them, and what is passed on to matplotlib."""

import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from matplotlib.colors import to_rgba
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer

from skae import PSD, AutoEncoder, SparseAutoEncoder
from skae.generative import sample_chain, sample_walkback
from skae.images import ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from skae.plotting import (
    ChainDisplay,
    CodeDisplay,
    FeatureMapDisplay,
    FilterDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
    SaturationDisplay,
    SparseFeatureDisplay,
    SpectrumDisplay,
    TangentDisplay,
)

matplotlib.use("Agg")
X, Y = load_digits(return_X_y=True)
X = X[:200] / 16
Y = Y[:200]
NOISE = {"corruption": "masking", "corruption_level": 0.3, "random_state": 0}
COLORS = np.random.default_rng(0).uniform(2, 3, (30, 12))  # images of 2 x 2 pixels in 3 colors


@pytest.fixture(autouse=True)
def _closed_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model():
    return AutoEncoder(9, max_iter=2, random_state=0).fit(X)


@pytest.fixture(scope="module")
def colored():
    return AutoEncoder(3, max_iter=2, random_state=0).fit(COLORS)


def _sheet(display):
    ax = display.ax_[1] if isinstance(display.ax_, tuple) else display.ax_
    return ax.images[0].get_array()


def test_codes_of_two_numbers():
    plane = AutoEncoder(2, max_iter=2, random_state=0).fit(X)
    display = CodeDisplay.from_estimator(plane, X, Y)
    (points,) = display.ax_.collections
    np.testing.assert_allclose(points.get_offsets(), plane.transform(X))
    np.testing.assert_array_equal(points.get_array(), Y)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == list("0123456789")
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("code 1", "code 2")


def test_codes_whose_squares_overflow():
    codes = np.random.default_rng(0).standard_normal((20, 4))
    usual, huge = (
        CodeDisplay.from_estimator(FunctionTransformer(), unit * codes).points
        for unit in (1, 2.0**600)
    )
    np.testing.assert_allclose(usual, PCA(2).fit_transform(codes))
    np.testing.assert_array_equal(huge, 2.0**600 * usual)


def test_wider_codes(model):
    codes = model.transform(X)
    display = CodeDisplay.from_estimator(model, X)
    expected = PCA(2).fit_transform(codes)
    np.testing.assert_allclose(display.ax_.collections[0].get_offsets(), expected)
    assert display.ax_.get_legend() is None
    assert display.ax_.get_xlabel() == "first principal component"
    two = CodeDisplay.from_estimator(model, X, np.array(list("ab"))[Y % 2], components=(3, 0))
    np.testing.assert_allclose(two.ax_.collections[0].get_offsets(), codes[:, [3, 0]])
    assert (two.ax_.get_xlabel(), two.ax_.get_ylabel()) == ("code 4", "code 1")
    assert [text.get_text() for text in two.ax_.get_legend().get_texts()] == ["a", "b"]
    numbers = CodeDisplay.from_estimator(
        model, X, X.sum(axis=1), cmap="magma", scatter_kw={"alpha": 0.25}
    )
    points = numbers.ax_.collections[0]
    assert points.get_cmap().name == "magma" and points.get_alpha() == 0.25
    assert len(numbers.figure_.axes) == 2  # the color bar


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"components": (0, 9)}, "components must be two integers from 0 to 8"),
        ({"components": 3}, "components"),
        ({"y": [1, 2]}, "y must have a value for each of 200 samples; got 2"),
    ],
)
def test_codes_that_cannot_be_drawn_are_told(model, options, message):
    with pytest.raises(ValueError, match=message):
        CodeDisplay.from_estimator(model, X, **options)


def test_one_number_is_no_plane():
    line = AutoEncoder(1, max_iter=1, random_state=0).fit(X)
    with pytest.raises(ValueError, match="no two principal components"):
        CodeDisplay.from_estimator(line, X)


def test_saturation(model):
    codes = model.transform(X)
    display = SaturationDisplay.from_estimator(model, X, n_bins=20, line_kw={"color": "red"})
    (steps,) = display.ax_.patches
    shares, edges, _ = steps.get_data()
    np.testing.assert_allclose(edges, np.linspace(0, 1, 21))
    np.testing.assert_allclose(shares.sum(), 1)
    np.testing.assert_allclose(shares[0], np.mean(codes < 0.05))
    saturated = np.mean((codes < 0.05) | (codes > 0.95))
    (label,) = display.ax_.get_legend().get_texts()
    assert label.get_text() == f"AutoEncoder: {saturated:.0%} saturated"
    assert to_rgba(steps.get_edgecolor()) == to_rgba("red")
    linear = AutoEncoder(4, activation="identity", max_iter=1, random_state=0).fit(X)
    both = SaturationDisplay.from_estimator(linear, X, label="linear", ax=display.ax_)
    assert both.ax_ is display.ax_ and len(both.ax_.patches) == 2
    np.testing.assert_allclose(both.edges[[0, -1]], np.percentile(linear.transform(X), [0, 100]))


def test_filters_of_channels_that_are_no_colors():
    maps = np.random.default_rng(0).random((20, 5, 5, 4))
    features = ConvolutionalFeatures(3, dictionary="patches", patch_size=2, random_state=0)
    features.fit(maps)
    with pytest.raises(ValueError, match=r"have 4 channels.*image_shape, for instance \(2, 8\)"):
        FilterDisplay.from_estimator(features)
    display = FilterDisplay.from_estimator(features, n_filters=1, image_shape=(2, 8))
    strongest = max(features.filters_, key=np.linalg.norm)
    expected = strongest.reshape(2, 8) / np.abs(strongest).max()
    np.testing.assert_allclose(_sheet(display), expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_map_keeps_its_order():
    psd = PSD(6, topology=(2, 3), pool_size=1, alpha=0.1, max_iter=1, random_state=0).fit(X[:50])
    display = FilterDisplay.from_estimator(psd)
    sheet, atoms = _sheet(display), psd.components_
    assert sheet.shape == (2 * 9 - 1, 3 * 9 - 1)
    expected = atoms[5] / np.abs(atoms[5]).max()
    np.testing.assert_allclose(sheet[9:, 18:], expected.reshape(8, 8), rtol=1e-6)
    assert display.ax_.get_title() == "Map of filters"
    strongest = FilterDisplay.from_estimator(psd, n_filters=4)
    assert _sheet(strongest).shape == (17, 17) and strongest.ax_.get_title() == "Filters"
    for shape in ((2, 2), 6, (-2, -3), (-1, 2, -3), (2.0, 3.0), (12, 0.5)):
        with pytest.raises(ValueError, match="map_shape must be .* = 6"):
            FilterDisplay(filters=atoms, image_shape=(8, 8), map_shape=shape).plot()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_filters_of_tiles_stand_on_the_places_of_their_positions():
    options = {"patch_size": 4, "tiling": (2, 3), "max_iter": 1, "random_state": 0}
    psd = ConvolutionalPSD(2, **options).fit(X[:20].reshape(-1, 8, 8))
    sheet = _sheet(FilterDisplay.from_estimator(psd))
    assert sheet.shape == (2 * 5 - 1, 2 * (3 * 5 - 1) + 4)
    second_of_tile_1_2 = psd.components_[2 * 5 + 1]
    expected = second_of_tile_1_2 / np.abs(second_of_tile_1_2).max()
    np.testing.assert_allclose(sheet[5:, 28:], expected.reshape(4, 4), rtol=1e-6)
    psd.set_params(tiling=1)  # what was fitted is drawn
    np.testing.assert_array_equal(_sheet(FilterDisplay.from_estimator(psd)), sheet)


def test_maps_of_many_filters_stand_in_a_square():
    options = {"patch_size": 4, "tiling": (2, 3), "pool_grid": 1, "random_state": 0}
    model = ConvolutionalFeatures(5, dictionary="patches", **options)
    display = FilterDisplay.from_estimator(model.fit(X[:200].reshape(-1, 8, 8)))
    sheet, (height, width) = _sheet(display), (2 * 5 - 1, 3 * 5 - 1)
    assert sheet.shape == (2 * height + 4, 3 * width + 2 * 4)
    fifth_of_tile_0_2 = model.filters_[2 * 5 + 4, :, :, 0]
    expected = fifth_of_tile_0_2 / np.abs(fifth_of_tile_0_2).max()
    top, left = height + 4, width + 4 + 2 * 5
    np.testing.assert_allclose(sheet[top : top + 4, left : left + 4], expected, rtol=1e-6)
    assert sheet.mask[top:, 2 * (width + 4) :].all() and sheet.mask[height:top].all()


IMAGES = X.reshape(-1, 8, 8)
LOW = ConvolutionalFeatures(3, dictionary="patches", patch_size=3, pool_size=2, random_state=0)
HIGH = ConvolutionalFeatures(
    dictionary=PCA(4), encoder="code", patch_size=2, pool_size=1, random_state=0
)


def test_maps_of_all_stages_are_as_large_as_the_image():
    stack = ConvolutionalStack([("low", LOW), ("high", HIGH)], all_stages=True).fit(IMAGES)
    display = FeatureMapDisplay.from_estimator(stack, IMAGES[7], n_maps=2, cmap="magma")
    rows = stack.transform(IMAGES[7:8])[0]
    low, high = rows[:27].reshape(3, 3, 3), rows[27:].reshape(2, 2, 4)
    sheet = _sheet(display)
    assert sheet.shape == (2 * 9 - 1, 3 * 9 - 1) and sheet.mask[9:, :8].all()
    np.testing.assert_allclose(sheet[:8, :8], IMAGES[7] / IMAGES[7].max())
    places = np.arange(8)
    for top, codes, shown in ((0, low, display.maps[0]), (9, high, display.maps[1])):
        order = np.argsort(-(codes**2).sum(axis=(0, 1)))[:2]
        np.testing.assert_allclose(shown, np.moveaxis(codes[..., order], 2, 0))
        # The code at each pixel of a map, which is as far down and across as the pixel.
        at = np.ix_(places * len(codes) // 8, places * len(codes) // 8)
        least = min(0, codes[..., order].min())
        for k, column in enumerate(order):
            expected = (codes[..., column][at] - least) / (codes[..., order].max() - least)
            left = 9 * (k + 1)
            np.testing.assert_allclose(sheet[top : top + 8, left : left + 8], expected, atol=1e-6)
    assert display.maps[1].min() < 0 <= display.maps[0].min()
    ax = display.ax_
    assert [text.get_text() for text in ax.get_yticklabels()] == ["low", "high"]
    np.testing.assert_array_equal(ax.get_yticks(), [3.5, 12.5])
    assert "image (top left)" in ax.get_title() and ax.images[0].get_cmap().name == "magma"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_maps_of_one_stage_and_of_sparse_codes():
    psd = ConvolutionalPSD(5, patch_size=3, max_iter=1, random_state=0).fit(IMAGES[:20])
    for estimator in (psd, clone(LOW).fit(IMAGES)):
        display = FeatureMapDisplay.from_estimator(estimator, X[3], im_kw={"alpha": 0.5})
        codes = estimator.transform(IMAGES[3:4]).reshape(estimator.map_shape_)
        largest = np.linalg.norm(codes, axis=(0, 1)).argmax()
        np.testing.assert_allclose(display.maps[0][0], codes[..., largest])
        assert len(display.maps[0]) == codes.shape[2]  # there are no eight
        assert display.names == [type(estimator).__name__]
        assert display.ax_.images[0].get_alpha() == 0.5


def test_an_image_in_color_is_gray_above_its_maps():
    images = np.random.default_rng(0).random((9, 6, 5, 3))
    model = clone(LOW).fit(images)
    display = FeatureMapDisplay.from_estimator(model, images[2], n_maps=1)
    gray = images[2].mean(axis=2)
    expected = (gray - gray.min()) / (gray.max() - gray.min())
    np.testing.assert_allclose(_sheet(display)[:6, :5], expected)
    for image in (images, images[2, :, :, :1], images[2, :, :, 0], images[2, 1:]):
        with pytest.raises(
            ValueError, match=r"one image of height, width and channels \(6, 5, 3\)"
        ):
            FeatureMapDisplay.from_estimator(model, image)
    with pytest.raises(ValueError, match="n_maps == 0"):
        FeatureMapDisplay.from_estimator(model, images[2], n_maps=0)
    with pytest.raises(NotFittedError):
        FeatureMapDisplay.from_estimator(ConvolutionalStack([("low", LOW)]), images[2])
    with pytest.raises(TypeError, match="has no image_shape_: give image features"):
        FeatureMapDisplay.from_estimator(PCA(2).fit(X), X[0])


def test_chains_of_a_model(model):
    display = ChainDisplay.from_estimator(model, X[:3], n_steps=9, n_states=3, **NOISE)
    states = sample_walkback(model, X[:3], 9, **NOISE)
    assert _sheet(display).shape == (3 * 9 - 1, 4 * 9 - 1)
    np.testing.assert_array_equal(_sheet(display)[:8, :8], X[0].reshape(8, 8))
    np.testing.assert_array_equal(_sheet(display)[-8:, -8:], states[8, 2].reshape(8, 8))
    options = {"sampler": sample_chain, "n_steps": 4, "sigma": 0.5, "random_state": 0}
    along = ChainDisplay.from_estimator(model, X[:3], **options)
    expected = sample_chain(model, X[:3], 4, 0.5, random_state=0)
    np.testing.assert_array_equal(along.states[1:], expected)


COLORED = {
    "filters": lambda model, **kw: FilterDisplay.from_estimator(model, **kw),
    "reconstructions": lambda model, **kw: ReconstructionDisplay.from_estimator(
        model, COLORS[:4], **kw
    ),
    "tangents": lambda model, **kw: TangentDisplay.from_estimator(
        model, COLORS[:2], n_tangents=1, **kw
    ),
    "chains": lambda model, **kw: ChainDisplay.from_estimator(
        model, COLORS[:2], n_steps=2, **NOISE, **kw
    ),
    "features": lambda model, **kw: SparseFeatureDisplay.from_estimator(
        SparseAutoEncoder(4, k=2, max_iter=1, random_state=0).fit(COLORS), COLORS, n_samples=3, **kw
    ),
}  # fmt: skip


@pytest.mark.parametrize("draw", COLORED.values(), ids=COLORED)
def test_images_in_color(colored, draw):
    sheet = _sheet(draw(colored, image_shape=(2, 2, 3)))
    assert sheet.shape[2] == 3
    assert sheet.min() >= 0 and sheet.max() <= 1
    np.testing.assert_array_equal(sheet[2], 1)  # white between the images


def test_colors_of_samples_and_reconstructions(colored):
    display = ReconstructionDisplay.from_estimator(colored, COLORS[:4], image_shape=(2, 2, 3))
    low, high = COLORS[:4].min(), COLORS[:4].max()
    expected = (COLORS[0].reshape(2, 2, 3) - low) / (high - low)
    np.testing.assert_allclose(_sheet(display)[:2, :2], expected)


@pytest.mark.parametrize("draw", COLORED.values(), ids=COLORED)
def test_options_of_images_are_passed_on(colored, draw):
    display = draw(colored, image_shape=(2, 6), cmap="magma", im_kw={"alpha": 0.5, "vmax": 7})
    ax = display.ax_[1] if isinstance(display.ax_, tuple) else display.ax_
    (image,) = ax.images
    assert image.get_cmap().name == "magma" and image.get_alpha() == 0.5
    assert image.get_clim()[1] == 7


def test_options_of_lines_are_passed_on(model):
    features = SparseAutoEncoder(4, k=2, max_iter=1, random_state=0).fit(X)
    for ax in (
        LossCurveDisplay.from_estimator(model, line_kw={"linewidth": 5}).ax_,
        SpectrumDisplay.from_estimator(model, X[:4], line_kw={"linewidth": 5}).ax_,
        SparseFeatureDisplay.from_estimator(features, X, line_kw={"linewidth": 5}).ax_[0],
    ):
        assert [line.get_linewidth() for line in ax.lines] == [5]


# What draws a display, its title and the labels of its axes, and the values that are black and white.
SAYS = {
    "losses": (lambda m: LossCurveDisplay.from_estimator(m), ("", "epoch", "loss"), None),
    "filters": (lambda m: FilterDisplay.from_estimator(m), ("Filters", "", ""), (-1, 1)),
    "reconstructions": (
        lambda m: ReconstructionDisplay.from_estimator(m, 2 * X[:4]),
        ("Samples (top) and reconstructions (bottom)", "", ""),
        (0, 2),
    ),
    "spectrum": (
        lambda m: SpectrumDisplay.from_estimator(m, X[:4]),
        ("", "rank", "mean singular value of dh/dx"),
        None,
    ),
    "tangents": (
        lambda m: TangentDisplay.from_estimator(m, X[:2], n_tangents=2, steps=(-1, 1)),
        ("", "", ""),
        (0, 1),
    ),
    "codes": (
        lambda m: CodeDisplay.from_estimator(m, X, components=(0, 1)),
        ("Codes", "code 1", "code 2"),
        None,
    ),
    "saturation": (
        lambda m: SaturationDisplay.from_estimator(m, X),
        ("Saturation", "code", "share of codes"),
        None,
    ),
    "chains": (
        lambda m: ChainDisplay.from_states([3 * X[:2], X[:2]]),
        ("Chains, from left to right", "", ""),
        (0, 3),
    ),
    "features": (
        lambda m: SparseFeatureDisplay.from_estimator(
            SparseAutoEncoder(4, k=2, max_iter=1, random_state=0).fit(X), X
        ),
        ("Directions (left), and samples with the largest codes", "", ""),
        (0, 1),
    ),
}


@pytest.mark.parametrize("name", SAYS)
def test_each_display_says_what_it_shows(model, name):
    draw, words, limits = SAYS[name]
    display = draw(model)
    ax = display.ax_
    if name == "features":
        left, ax = ax
        assert left.get_title() == "How often they are active"
        assert left.get_xlabel() == "features, the most frequent first"
        assert (left.get_ylabel(), left.get_yscale()) == ("share of samples", "log")
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == words
    if limits is not None:
        assert ax.images[0].get_clim() == limits
    if name == "tangents":
        columns = ["x", "u1", "u2", "-1 u1", "+1 u1"]
        assert [text.get_text() for text in ax.get_xticklabels()] == columns
    if name == "spectrum":
        assert ax.get_yscale() == "log"
    if name in {"spectrum", "losses"}:
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["AutoEncoder"]


NAMES = [f"pixel {j}" for j in range(64)]
KINDS = {
    "pandas": lambda rows: pd.DataFrame(rows, columns=NAMES),
    "polars": lambda rows: pl.DataFrame(rows, schema=NAMES),
    "csr": scipy.sparse.csr_matrix,
}


@pytest.mark.filterwarnings("error:X does not have valid feature names")
@pytest.mark.parametrize("kind", KINDS)
def test_frames_and_sparse_matrices(kind):
    as_kind = KINDS[kind]
    options = {"max_iter": 1, "random_state": 0}
    model = AutoEncoder(9, **options).fit(as_kind(X))
    plain = AutoEncoder(9, **options).fit(X)
    codes = CodeDisplay.from_estimator(model, as_kind(X)).points
    np.testing.assert_allclose(codes, CodeDisplay.from_estimator(plain, X).points, atol=1e-9)
    shares = SaturationDisplay.from_estimator(model, as_kind(X)).shares
    np.testing.assert_allclose(shares, SaturationDisplay.from_estimator(plain, X).shares)
    walk = {"n_steps": 3, **NOISE}
    states = ChainDisplay.from_estimator(model, as_kind(X[:2]), **walk).states
    expected = ChainDisplay.from_estimator(plain, X[:2], **walk).states
    np.testing.assert_allclose(states, expected, atol=1e-9)
    sparse = SparseAutoEncoder(6, k=2, **options).fit(as_kind(X))
    rows = SparseFeatureDisplay.from_estimator(sparse, as_kind(X), n_features=2).rows
    expected = SparseFeatureDisplay.from_estimator(
        SparseAutoEncoder(6, k=2, **options).fit(X), X, n_features=2
    ).rows
    np.testing.assert_allclose(rows, expected, atol=1e-9)


MODEL = AutoEncoder(2, max_iter=1, random_state=0)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (np.array(["a", None] * 100, dtype=object), ["None", "a"]),
        (np.array(["b", np.nan] * 100, dtype=object), ["b", "nan"]),
        (np.array(["b", 1] * 100, dtype=object), ["1", "b"]),
        (pd.Series([pd.NA, "c"] * 100, dtype="string"), ["<NA>", "c"]),
    ],
)
def test_missing_and_mixed_labels_are_classes_of_their_own(labels, names):
    display = CodeDisplay.from_estimator(MODEL.fit(X), X, labels)
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == names
    colors = display.ax_.collections[0].to_rgba(display.ax_.collections[0].get_array())
    assert len(np.unique(colors[::2], axis=0)) == len(np.unique(colors[1::2], axis=0)) == 1
    assert (colors[0] != colors[1]).any()


@pytest.mark.parametrize("n_classes", [2, 10, 11, 20, 21, 40])
def test_each_class_has_a_color_of_its_own(n_classes):
    labels = np.array([f"class {k % n_classes}" for k in range(200)])
    display = CodeDisplay.from_estimator(MODEL.fit(X), X, labels)
    drawn = display.ax_.collections[0]
    assert len(np.unique(drawn.to_rgba(drawn.get_array()), axis=0)) == n_classes


def test_pixels_of_any_type_and_unit_have_the_same_tangents():
    model = AutoEncoder(3, max_iter=1, random_state=0).fit(X)
    bits = X[:2] > 0.5

    def sheet(images, steps, basis):
        display = TangentDisplay(images=images, basis=basis, steps=steps, image_shape=(8, 8))
        return np.asarray(display.plot().ax_.images[0].get_array())

    basis = np.linalg.qr(model.components_.T)[0].T[np.newaxis, :2].repeat(2, axis=0)
    expected = sheet(bits.astype(float), (-1, 1), basis)
    np.testing.assert_array_equal(sheet(bits, (-1, 1), basis), expected)
    small = 2.0**-60
    np.testing.assert_allclose(sheet(small * bits, (-small, small), basis), expected)
    signed = np.where(bits, 100, -100).astype(np.int8)
    wide = sheet(signed.astype(float), (-1, 1), basis)
    np.testing.assert_allclose(sheet(signed, (-1, 1), basis), wide)
    assert TangentDisplay.from_estimator(model, bits, n_tangents=1).ax_.images


def test_colors_of_signed_bytes_are_those_of_numbers():
    pixels = np.array([[-100, 100, 0] * 4], dtype=np.int8)

    def sheet(states):
        display = ChainDisplay.from_states(states, image_shape=(2, 2, 3))
        return np.asarray(display.ax_.images[0].get_array())

    np.testing.assert_allclose(sheet(pixels[np.newaxis]), sheet(pixels[np.newaxis].astype(float)))


def test_filters_of_signed_bytes_are_those_of_numbers():
    filters = np.array([[-128, 0, 64, 32]], np.int8)
    display = FilterDisplay(filters=filters, image_shape=(2, 2)).plot()
    shown = np.asarray(display.ax_.images[0].get_array())
    np.testing.assert_allclose(shown, [[-1, 0], [0.5, 0.25]])


def test_the_extra_is_named_where_matplotlib_is_missing(monkeypatch):
    model = MODEL.fit(X)
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    for Display in (LossCurveDisplay, FilterDisplay):
        with pytest.raises(ImportError, match=r"pip install 'skae\[plot\]'"):
            Display.from_estimator(model)


@pytest.mark.parametrize("y", [np.zeros(3), np.zeros((20, 2))])
def test_codes_with_a_wrong_y_leave_no_figure(y):
    with pytest.raises(ValueError, match="y (must|should)"):
        CodeDisplay(points=np.zeros((20, 2)), y=y).plot()
    assert not plt.get_fignums()


@pytest.mark.parametrize("name", ["linewidth", "linewidths", "lw"])
@pytest.mark.parametrize("n_classes", [1, 3, 40])
def test_options_of_scatter_have_all_names(name, n_classes):
    points = np.random.default_rng(0).random((40, 2))
    y = np.arange(40) % n_classes
    options = {name: 2, "cmap": "jet"}
    drawn = CodeDisplay(points=points, y=y).plot(scatter_kw=options).ax_.collections[0]
    assert drawn.get_linewidth() == [2] and drawn.get_cmap().name == "jet"
    assert CodeDisplay(points=points).plot().ax_.collections[0].get_linewidth() == [0]


@pytest.mark.parametrize("missing", [np.nan, np.inf])
def test_points_without_a_number_are_gray(missing):
    y = np.arange(30.0)
    y[3] = missing
    drawn = CodeDisplay(points=np.random.default_rng(0).random((30, 2)), y=y).plot()
    (points,) = drawn.ax_.collections
    points.update_scalarmappable()
    np.testing.assert_allclose(points.get_facecolor()[3, :3], to_rgba("lightgray")[:3])
    assert len(points.get_offsets()) == 30 and points.get_clim() == (0, 29)
