"""Convolutional predictive sparse decomposition against matrices with a row for each shifted filter."""

import re
import tracemalloc
import warnings

import numpy as np
import pytest
from common import relative_gradient_error, sklearn_checks
from scipy.optimize import approx_fprime
from scipy.signal import correlate2d
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, load_sample_images
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso
from threadpoolctl import threadpool_info

from skae import SparseCoder, _workers
from skae.images import (
    ConvolutionalPSD,
    _convolution,
    _map_coder,
    normalize_contrast,
    sample_patches,
)
from skae.images._code_search import NeighborPools, infer_maps
from skae.images._convolution import Convolution, ConvolutionalObjective, TiledEncoder
from skae.nn.code_encoders import make_encoder
from skae.plotting import ReconstructionDisplay
from skae.training.batches import Batches

rng = np.random.default_rng(0)
IMAGES = rng.standard_normal((4, 6, 7, 2))
CONVOLUTION = Convolution((6, 7, 2), (3, 2))
FILTERS = rng.standard_normal((5, 12))
FILTERS /= np.linalg.norm(FILTERS, axis=1, keepdims=True)
TILED = Convolution((6, 7, 2), (3, 2), (2, 3))
TILES = rng.standard_normal((6 * 5, 12))
TILES /= np.linalg.norm(TILES, axis=1, keepdims=True)
POOL = NeighborPools(3, (4, 6), 0.4)


def shifted_filters(filters, down, across):
    """Return all filters, shared ``down`` and ``across`` apart, at all positions as rows: positions down, across and filters."""
    rows, tiles = [], filters.reshape(down, across, 5, 12)
    for i in range(4):
        for j in range(6):
            for each in tiles[i % down, j % across]:
                image = np.zeros((6, 7, 2))
                image[i : i + 3, j : j + 2] = each.reshape(3, 2, 2)
                rows.append(image.ravel())
    return np.array(rows)


ATOMS = shifted_filters(FILTERS, 1, 1)
TILED_ATOMS = shifted_filters(TILES, 2, 3)


@pytest.mark.parametrize(
    "convolution, filters, atoms", [(CONVOLUTION, FILTERS, ATOMS), (TILED, TILES, TILED_ATOMS)]
)
def test_sums_and_correlations_are_those_of_the_matrix(convolution, filters, atoms, monkeypatch):
    codes = rng.standard_normal((4, len(atoms)))
    sums = convolution.sums(codes, filters).reshape(4, -1)
    np.testing.assert_allclose(sums, codes @ atoms)
    for band in (400_000, 17 * 7):  # of all positions, and of 7
        monkeypatch.setattr(_convolution, "_BAND_VALUES", band)
        correlations = convolution.correlations(IMAGES, filters)
        np.testing.assert_allclose(correlations, IMAGES.reshape(4, -1) @ atoms.T)


def test_pooled_codes_minimize_the_roots_of_windows():
    weights = np.exp(-0.5 * np.array([1.0, 0.0, 1.0]) ** 2)
    weights /= weights.sum()

    def roots(h):
        """Return the root of each position's and filter's window, one by one."""
        maps, out = h.reshape(4, 6, 5), []
        for i, j in np.ndindex(4, 6):
            total = np.full(5, (1e-4 * 0.4) ** 2)
            for a, b in np.ndindex(3, 3):
                if 0 <= i + a - 1 < 4 and 0 <= j + b - 1 < 6:
                    total += weights[a] * weights[b] * maps[i + a - 1, j + b - 1] ** 2
            out.append(np.sqrt(total))
        return np.array(out).ravel()

    h = rng.standard_normal((1, len(TILED_ATOMS)))
    np.testing.assert_allclose(POOL.roots(h)[0], roots(h[0]))
    codes, gaps = infer_maps(IMAGES[:1], TILED, TILES, 0.4, pool=POOL, tol=1e-9, max_iter=20_000)
    assert np.isnan(gaps).all()

    def value(h):
        return 0.5 * ((IMAGES[0].ravel() - h @ TILED_ATOMS) ** 2).sum() + 0.4 * roots(h).sum()

    slopes = approx_fprime(codes[0], value, 1e-6)
    assert np.abs(slopes).max() < 1e-3 < np.abs(approx_fprime(0.99 * codes[0], value, 1e-6)).max()


def test_codes_are_those_of_a_lasso():
    codes, gaps = infer_maps(IMAGES, CONVOLUTION, FILTERS, 0.5, tol=1e-10, max_iter=5000)
    rows = IMAGES.reshape(4, -1)
    lasso = Lasso(0.5 / rows.shape[1], fit_intercept=False, tol=1e-12, max_iter=100_000)
    exact = lasso.fit(ATOMS.T, rows.T).coef_

    def values(h):
        return 0.5 * ((rows - h @ ATOMS) ** 2).sum(axis=1) + 0.5 * np.abs(h).sum(axis=1)

    np.testing.assert_allclose(values(codes), values(exact), rtol=1e-7)
    np.testing.assert_allclose(codes, exact, atol=1e-3)
    early, bounds = infer_maps(IMAGES, CONVOLUTION, FILTERS, 0.5, tol=0, max_iter=2)
    assert (values(early) - values(exact) <= bounds).all() and (bounds > 0).all()


@pytest.mark.slow
def test_codes_of_filters_of_any_norm_are_those_of_a_lasso():
    scales = np.array([0.0, 3.0, 0.2, 1.0, 1.0])
    options = {"tol": 1e-7, "max_iter": 5000}
    for dtype, precision in ((np.float64, 1e-7), (np.float32, 1e-6)):
        filters = (FILTERS * scales[:, np.newaxis]).astype(dtype)
        codes, _ = infer_maps(IMAGES.astype(dtype), CONVOLUTION, filters, 0.5, **options)
        assert codes.dtype == dtype
        atoms = ATOMS * np.tile(scales, len(ATOMS) // 5)[:, np.newaxis]
        rows = IMAGES.reshape(4, -1)
        lasso = Lasso(0.5 / rows.shape[1], fit_intercept=False, tol=1e-12, max_iter=100_000)
        exact = lasso.fit(atoms.T, rows.T).coef_
        values = [
            0.5 * ((rows - h @ atoms) ** 2).sum() + 0.5 * np.abs(h).sum() for h in (codes, exact)
        ]
        np.testing.assert_allclose(*values, rtol=precision)
        assert not codes.reshape(-1, 5)[:, 0].any()


def test_codes_of_no_penalty_explain_the_image():
    codes, _ = infer_maps(IMAGES, CONVOLUTION, FILTERS, 0.0, tol=1e-9, max_iter=20_000)
    rows = IMAGES.reshape(4, -1)
    errors = ((rows - codes @ ATOMS) ** 2).sum(axis=1)
    left = [np.linalg.lstsq(ATOMS.T, row)[1].sum() for row in rows]
    np.testing.assert_allclose(errors, left, atol=1e-6)


@pytest.mark.parametrize(
    ("convolution", "filters", "atoms", "beta"),
    [(CONVOLUTION, FILTERS, ATOMS, 0.7), (TILED, TILES, TILED_ATOMS, 0.3)],
)
def test_codes_near_a_prior_are_those_of_a_lasso_with_more_rows(convolution, filters, atoms, beta):
    prior = rng.standard_normal((4, len(atoms)))
    options = {"ridge": beta, "prior": prior, "tol": 1e-12, "max_iter": 5000}
    codes, _ = infer_maps(IMAGES, convolution, filters, 0.4, **options)
    design = np.vstack([atoms.T, np.sqrt(beta) * np.eye(len(atoms))])
    target = np.hstack([IMAGES.reshape(4, -1), np.sqrt(beta) * prior]).T
    lasso = Lasso(0.4 / len(design), fit_intercept=False, tol=1e-12, max_iter=100_000)
    np.testing.assert_allclose(codes, lasso.fit(design, target).coef_, atol=1e-5)


def gradient_error(name, convolution, filters, images, pool=None):
    """Return how far the gradient of the objective is from finite differences."""
    n_filters = len(filters) // convolution.n_tiles
    encoder = TiledEncoder(make_encoder(name, n_filters, filters.shape[1], 1), convolution)

    def infer(images, filters, prediction):
        options = {"ridge": 0.6, "prior": prediction, "tol": 1e-14, "max_iter": 20_000}
        codes, _ = infer_maps(images, convolution, filters, 0.3, pool=pool, **options)
        sizes = np.abs(codes) if pool is None else pool.roots(codes)
        return codes, 0.3 * sizes.sum(axis=1)

    objective = ConvolutionalObjective(convolution, encoder, infer, 0.6)
    params = np.concatenate([filters.ravel(), encoder.initial(filters, 0.3, 0.6)])
    params[filters.size :] += 0.05 * rng.standard_normal(encoder.size)
    X = images.reshape(len(images), -1)
    batch = next(Batches(X, np.array([1.0, 2.0, 0.5, 1.0]), len(X)).epoch(None))
    return relative_gradient_error(objective, params, batch)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tanh", "soft_threshold"])
def test_gradient(name):
    assert gradient_error(name, CONVOLUTION, FILTERS, IMAGES) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("pool", [None, NeighborPools(3, (4, 3), 0.3)])
def test_gradient_of_tiles(pool):
    convolution, filters = Convolution((5, 5, 1), (2, 3), (2, 2)), FILTERS[:4, :6].copy()
    assert gradient_error("tanh", convolution, filters, IMAGES[:, :5, :5, :1], pool) < 1e-5


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_convolution_learns_filters_that_made_images():
    true = np.array([[[1, 1, 1], [-2, -2, -2], [1, 1, 1]], [[1, 0, -1], [1, 0, -1], [1, 0, -1]]])
    true = true / np.linalg.norm(true, axis=(1, 2), keepdims=True)
    codes = rng.standard_normal((200, 8 * 8 * 2)) * (rng.random((200, 8 * 8 * 2)) < 0.03)
    images = Convolution((10, 10, 1), (3, 3)).sums(codes, true.reshape(2, 9))
    options = {"alpha": 0.05, "beta": 0.1, "learning_rate_init": 0.02, "max_iter": 15}
    options["learning_rate"] = "constant"
    psd = ConvolutionalPSD(2, patch_size=3, **options, random_state=1).fit(images)
    likeness = np.abs(psd.components_ @ true.reshape(2, 9).T)
    assert likeness.max(axis=0).min() > 0.95
    assert psd.loss_curve_[-1] < 0.7 * psd.loss_curve_[0]
    codes, gaps = psd.infer(images)
    assert (gaps <= psd.gap_tol * 0.5 * (images**2).sum(axis=(1, 2, 3))).all()
    errors = psd.inverse_transform(codes) - images.reshape(200, -1)
    assert np.mean(errors**2) < 0.1 * np.mean(images**2)
    psd.set_params(transform_algorithm="lasso", n_jobs=2)
    np.testing.assert_array_equal(psd.transform(images), codes)


def repetition(filters):
    """Return the mean over filters of the largest correlation with another one, over shifts by up to half of them."""
    filters = filters.reshape(-1, 7, 7)
    largest = []
    for k, one in enumerate(filters):
        others = [correlate2d(one, other) for j, other in enumerate(filters) if j != k]
        largest.append(max(np.abs(each[3:-3, 3:-3]).max() for each in others))
    return np.mean(largest)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_convolutional_filters_repeat_each_other_less_than_those_of_patches():
    photographs = [
        normalize_contrast(image.mean(axis=2) / 255).astype(np.float32)
        for image in load_sample_images().images
    ]
    crops = sample_patches(photographs, (20, 20), 80, random_state=0).reshape(-1, 20, 20)
    patches = sample_patches(crops, (7, 7), 4000, random_state=0)
    options = {"alpha": 0.5, "max_iter": 4, "random_state": 0}
    atoms = SparseCoder(16, **options).fit(patches).components_
    options |= {"patch_size": 7, "beta": 0.5, "learning_rate_init": 0.01}
    filters = ConvolutionalPSD(16, **options).fit(crops).filters_
    assert repetition(filters) < 0.85 * repetition(atoms)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_each_tile_learns_the_filter_of_its_positions():
    true = np.array([[1, 1, 1, -2, -2, -2, 1, 1, 1], [1, 0, -1, 1, 0, -1, 1, 0, -1]])
    true = true / np.linalg.norm(true, axis=1, keepdims=True)
    codes = rng.standard_normal((200, 8 * 8)) * (rng.random((200, 8 * 8)) < 0.06)
    images = Convolution((10, 10, 1), (3, 3), (1, 2)).sums(codes, true)
    options = {"alpha": 0.05, "beta": 0.1, "learning_rate_init": 0.02, "max_iter": 15}
    psd = ConvolutionalPSD(1, patch_size=3, tiling=(1, 2), **options, random_state=1)
    psd.fit(images)
    assert np.abs((psd.components_ * true).sum(axis=1)).min() > 0.95
    assert psd.map_shape_ == (8, 8, 1) and psd.filters_.shape == (2, 3, 3, 1)
    codes, _ = psd.infer(images)
    errors = psd.inverse_transform(codes) - images.reshape(200, -1)
    assert np.mean(errors**2) < 0.1 * np.mean(images**2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_tile_has_an_encoder_of_its_own():
    psd = ConvolutionalPSD(2, patch_size=(2, 3), tiling=(3, 2), encoder="tanh", max_iter=1)
    H = psd.fit(IMAGES).transform(IMAGES).reshape(4, *psd.map_shape_)
    gains, filters, biases = psd.encoder_parameters_
    assert filters.shape == (6, 2, 12) and psd.components_.shape == (12, 12)
    patch, tile = IMAGES[2, 4:6, 3:6].ravel(), 2 * (4 % 3) + 3 % 2
    expected = gains[tile] * np.tanh(filters[tile] @ patch + biases[tile])
    np.testing.assert_allclose(H[2, 4, 3], expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("algorithm", ["inference", "lasso"])
@pytest.mark.parametrize("pool_size", [None, 3])
def test_codes_beyond_their_tolerance_warn_once(algorithm, pool_size, monkeypatch):
    monkeypatch.setattr("skae.images._map_coder._BLOCK_VALUES", 100)  # an image at once
    model = ConvolutionalPSD(4, patch_size=3, alpha=0.01, max_iter=1, transform_algorithm=algorithm)
    model.set_params(pool_size=pool_size, random_state=0).fit(IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(max_inference_iter=5000).transform(IMAGES)
    model.set_params(max_inference_iter=1, gap_tol=1e-6)
    with pytest.warns(ConvergenceWarning, match="4 of 4 codes .*gap_tol=1e-06") as caught:
        model.transform(IMAGES)
    assert len(caught) == 1


def test_images_are_encoded_and_decoded_in_blocks():
    """The patches of all images at once would take 137 MB, and their codes take 0.3 MB."""
    images = np.random.default_rng(0).random((200, 40, 40)).astype(np.float32)
    psd = ConvolutionalPSD(1, patch_size=23, max_iter=1, max_inference_iter=1, random_state=0)
    codes = psd.fit(images[:4]).transform(images[:4])
    expected = psd.inverse_transform(codes)
    tracemalloc.start()
    np.testing.assert_allclose(psd.transform(images)[:4], codes, rtol=1e-4, atol=1e-5)
    many = csr_matrix(np.tile(codes, (50, 1)))
    np.testing.assert_allclose(psd.inverse_transform(many)[-4:], expected, rtol=1e-4, atol=1e-5)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 80 * 2**20


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_transform_is_the_encoder_of_each_patch():
    psd = ConvolutionalPSD(3, patch_size=(2, 3), encoder="tanh", max_iter=2, random_state=0)
    H = psd.fit(IMAGES).transform(IMAGES).reshape(4, *psd.map_shape_)
    gains, filters, biases = psd.encoder_parameters_
    patch = IMAGES[2, 1:3, 4:7].ravel()
    np.testing.assert_allclose(H[2, 1, 4], gains * np.tanh(filters @ patch + biases))
    np.testing.assert_allclose(np.linalg.norm(psd.components_, axis=1), 1)
    assert psd.filters_.shape == (3, 2, 3, 2)
    near = psd.set_params(transform_algorithm="inference", beta=1e4).transform(IMAGES)
    np.testing.assert_allclose(near, H.reshape(4, -1), atol=1e-2)


@pytest.mark.parametrize(
    "options, X, words",
    [
        ({"patch_size": 7}, IMAGES, "patch_size=7 is larger than the images"),
        ({"image_shape": (5, 5)}, IMAGES, "not (5, 5, 1)"),
        ({}, IMAGES * np.nan, "NaN"),
        ({"solver": "lbfgs"}, IMAGES, "'solver' parameter"),
        ({"tiling": (2, 0)}, IMAGES, "tiling must be a positive integer or a pair"),
        ({"tiling": (2, 6)}, IMAGES, "tiling=(2, 6) is more than the 4 x 5 positions"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_bad_input(options, X, words):
    psd = ConvolutionalPSD(2, patch_size=3, max_iter=1, random_state=0).fit(IMAGES)
    before = psd.transform(IMAGES)
    with pytest.raises(ValueError, match=re.escape(words)):
        psd.set_params(**options).fit(X)
    np.testing.assert_array_equal(psd.transform(IMAGES), before)
    with pytest.raises(ValueError, match="as transform returns it"):
        psd.inverse_transform(before[:, 1:])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["transform", "infer"])
def test_threads_end_with_an_interrupt_though_its_traceback_is_kept(method, monkeypatch):
    """As notebooks keep it: later calls would run in threads that are not theirs, and BLAS in one."""
    model = ConvolutionalPSD(2, patch_size=3, max_iter=1, transform_algorithm="lasso", n_jobs=2)
    model.fit(IMAGES)

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    before = threadpool_info()
    monkeypatch.setattr(_map_coder, "infer_maps", interrupt)
    with pytest.raises(KeyboardInterrupt) as kept:
        getattr(model, method)(IMAGES)
    assert kept.tb is not None and _workers.local.team is None and threadpool_info() == before


def test_training_that_is_cut_short_is_told():
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        ConvolutionalPSD(2, **STEADY, max_iter=1).fit(IMAGES)


@pytest.mark.slow
def test_default_training_ends_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConvolutionalPSD(4, patch_size=4, random_state=0).fit(load_digits().images[:100])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@sklearn_checks(
    [ConvolutionalPSD(2, patch_size=1, max_iter=2)],
    expected_failures=lambda estimator: {
        "check_sample_weight_equivalence_on_dense_data": "minibatches of repeated and of weighted rows are not the same",
        "check_sample_weight_equivalence_on_sparse_data": "minibatches of repeated and of weighted rows are not the same",
    },
)
def test_sklearn(estimator, check):
    check(estimator)


STEADY = {
    "patch_size": 3,
    "batch_size": 2,
    "tol": 0,
    "random_state": 0,
    "learning_rate": "constant",
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rows_of_weight_0_do_not_count():
    weights = np.array([1.0, 0, 2, 0.5])
    wild = np.where(weights[:, None, None, None] > 0, IMAGES, 1e3)
    model = ConvolutionalPSD(3, max_iter=2, **STEADY).fit(wild, sample_weight=weights)
    kept = weights > 0
    other = clone(model).fit(IMAGES[kept], sample_weight=weights[kept])
    np.testing.assert_array_equal(model._state["params"], other._state["params"])
    equal = clone(model).fit(IMAGES[kept], sample_weight=[2, 2, 2])
    plain = clone(model).fit(IMAGES[kept])
    np.testing.assert_allclose(equal.components_, plain.components_)
    assert not np.allclose(other.components_, plain.components_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("largest", [200.0, 1e30])
def test_images_of_weight_0_have_no_say_in_the_scale(method, largest):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 6), dtype=np.uint8)
    shares, weights = pixels / np.float32(255), [1, 1, 1, 0]
    wild = np.where(np.reshape(weights, (4, 1, 1)), shares, np.float32(largest))
    model, other = (ConvolutionalPSD(3, patch_size=3, max_iter=1, random_state=0) for _ in "ab")
    getattr(model, method)(wild, sample_weight=weights)
    getattr(other, method)(shares[:3])
    np.testing.assert_array_equal(model.components_, other.components_)
    np.testing.assert_array_equal(model.transform(pixels), other.transform(pixels))


DARK = np.zeros((4, 6, 6))
BRIGHT = np.random.default_rng(0).integers(2, 256, (4, 6, 6), dtype=np.uint8)


@pytest.mark.parametrize("method", ["partial_fit", "fit"])
@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([DARK, BRIGHT.astype(float), BRIGHT], "8 bits.*but fit had others, up to 249"),
        ([DARK.astype(int), BRIGHT.astype(int), BRIGHT], "8 bits.*but fit had others, up to 249"),
        ([DARK, BRIGHT, BRIGHT.astype(float)], "up to 249, but fit had pixels of 8 bits"),
        ([BRIGHT / 255, BRIGHT, BRIGHT.astype(int)], "up to 249, but fit had pixels of 8 bits"),
        ([BRIGHT, BRIGHT / 255, BRIGHT.astype(float)], "up to 249, but fit had pixels of 8 bits"),
    ],
)
def test_all_parts_of_a_training_have_one_scale(method, parts, words):
    model = ConvolutionalPSD(3, patch_size=3, max_iter=1, warm_start=True, random_state=0)
    train = getattr(model, method)
    for part in parts[:-1]:
        train(part)
    before, seen = model.components_.copy(), dict(model._pixels)
    with pytest.raises(ValueError, match=words):
        train(parts[-1])
    np.testing.assert_array_equal(model.components_, before)
    assert model._pixels == seen


def test_parts_of_one_scale_may_have_any_type():
    """Dark images do not say which scale the next ones have."""
    orders = [
        [DARK.astype(np.uint8), BRIGHT, (BRIGHT / 255).astype(np.float32)],
        [DARK.astype(np.float32), (BRIGHT / 255).astype(np.float32), BRIGHT],
    ]
    models = [ConvolutionalPSD(3, patch_size=3, max_iter=1, random_state=0) for _ in orders]
    for model, parts in zip(models, orders):
        for part in parts:
            model.partial_fit(part)
    np.testing.assert_allclose(models[0].components_, models[1].components_, rtol=1e-5)
    np.testing.assert_allclose(models[0].transform(BRIGHT), models[1].transform(BRIGHT), rtol=1e-4)


def test_reconstructions_are_sums_of_filters_and_are_drawn():
    images = IMAGES[..., 0]
    options = {"transform_algorithm": "lasso", "max_iter": 1, "random_state": 0}
    model = ConvolutionalPSD(2, patch_size=3, alpha=0.1, **options).fit(images)
    expected = np.zeros_like(images)
    for codes, image in zip(model.transform(images).reshape(4, *model.map_shape_), expected):
        for i, j, k in np.ndindex(codes.shape):
            image[i : i + 3, j : j + 3] += codes[i, j, k] * model.filters_[k, :, :, 0]
    rows, expected = images.reshape(4, -1), expected.reshape(4, -1)
    np.testing.assert_allclose(model.reconstruct(images), expected)
    display = ReconstructionDisplay.from_estimator(model, rows, image_shape=(6, 7))
    np.testing.assert_allclose(display.reconstructions, expected)


def test_reconstructing_does_not_hold_the_codes_of_all_images(monkeypatch):
    images = rng.standard_normal((200, 12, 12))
    model = ConvolutionalPSD(8, patch_size=3, max_iter=1, random_state=0).fit(images[:9])
    codes = model.transform(images)
    expected = model.inverse_transform(codes)
    monkeypatch.setattr("skae.images._map_coder._BLOCK_VALUES", 8000)  # ten images at once
    tracemalloc.start()
    try:
        found = model.reconstruct(images)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_allclose(found, expected)
    assert peak < codes.nbytes


@pytest.mark.slow
def test_images_of_8_bits_are_reconstructed_in_their_units():
    pixels = (255 / 16 * load_digits().images[:60]).astype(np.uint8)
    options = {"transform_algorithm": "lasso", "alpha": 0.01, "gap_tol": 0.1, "random_state": 0}
    model = ConvolutionalPSD(8, patch_size=4, max_iter=3, **options).fit(pixels)
    found = model.inverse_transform(model.transform(pixels)).reshape(pixels.shape)
    assert np.abs(found - pixels).mean() < 0.3 * pixels.mean()
    np.testing.assert_allclose(model.reconstruct(pixels), found.reshape(60, -1), rtol=1e-5)
    shares = pixels / np.float32(255)
    model.fit(shares)
    found = model.inverse_transform(model.transform(shares)).reshape(pixels.shape)
    assert np.abs(found - shares).mean() < 0.3 * shares.mean()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_checkpoint_is_of_images_of_one_shape(tmp_path):
    gray = IMAGES[..., 0]
    model = ConvolutionalPSD(2, max_iter=1, checkpoint=tmp_path / "state", **STEADY).fit(gray)
    model.set_params(max_iter=2, resume=True)
    with pytest.raises(ValueError, match="shape of images"):
        model.fit(gray.reshape(4, 7, 6))
    resumed = model.fit(gray)
    whole = ConvolutionalPSD(2, max_iter=2, **STEADY).fit(gray)
    np.testing.assert_array_equal(resumed.components_, whole.components_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
def test_first_filters_are_of_no_image_that_is_held_out(early_stopping):
    """Of 12 images of one patch each, half of which are held out; a tiny step size leaves the filters as they are."""
    images = np.random.default_rng(0).standard_normal((12, 5, 5))
    options = {"validation_fraction": 0.5, "learning_rate_init": 1e-12, "max_iter": 1}
    psd = ConvolutionalPSD(12, patch_size=5, early_stopping=early_stopping, **options)
    filters = psd.set_params(random_state=0).fit(images).components_
    patches = (images - images.mean(axis=(1, 2), keepdims=True)).reshape(12, 25)
    cosines = filters @ (patches / np.linalg.norm(patches, axis=1, keepdims=True)).T
    assert cosines.max(axis=1).min() > 0.95
    assert len(set(cosines.argmax(axis=1))) == (6 if early_stopping else 12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_training_goes_on():
    whole = ConvolutionalPSD(3, max_iter=2, **STEADY).fit(IMAGES)
    warm = ConvolutionalPSD(3, max_iter=1, warm_start=True, **STEADY).fit(IMAGES).fit(IMAGES)
    passes = ConvolutionalPSD(3, **STEADY).partial_fit(IMAGES).partial_fit(IMAGES)
    for other in (warm, passes):
        assert other.n_iter_ == 2
        np.testing.assert_array_equal(other._state["params"], whole._state["params"])
    changed = clone(passes).partial_fit(IMAGES).set_params(alpha=0.5).partial_fit(IMAGES)
    assert not np.array_equal(changed.components_, whole.components_)
    before = warm._state["params"].copy()
    for name, value in {
        "n_filters": 4,
        "patch_size": 2,
        "tiling": (2, 2),
        "encoder": "tanh",
    }.items():
        old = warm.get_params()[name]
        for method in (warm.fit, warm.partial_fit):
            with pytest.raises(ValueError, match=f"{name} must stay as it was"):
                warm.set_params(**{name: value})
                method(IMAGES)
        warm.set_params(**{name: old})
        np.testing.assert_array_equal(warm._state["params"], before)
    with pytest.raises(ValueError, match="images of height"):
        warm.partial_fit(IMAGES[:, 1:])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options", [{"pool_size": 3}, {"encoder": "tanh"}, {"encoder": "soft_threshold"}]
)
def test_the_units_of_images_do_not_matter(options, dtype):
    options = {**options, "patch_size": 2, "max_iter": 2, "random_state": 0}
    options |= {"transform_algorithm": "inference", "max_inference_iter": 2000}
    model = ConvolutionalPSD(3, alpha=0.2, **options).fit(IMAGES.astype(dtype))
    codes = model.transform(IMAGES.astype(dtype))
    for unit in (2.0**-13, 1e-12, 1e6):
        images = (unit * IMAGES).astype(dtype)
        other = ConvolutionalPSD(3, alpha=0.2 * unit, **options).fit(images)
        np.testing.assert_allclose(other.components_, model.components_, atol=2e-5)
        np.testing.assert_allclose(other.transform(images) / unit, codes, atol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_codes_do_not_depend_on_the_scale_of_pixels_by_default():
    images = load_digits().images[:60]
    options = {"patch_size": 3, "max_iter": 2, "random_state": 0}
    shares, pixels = images / 16, (255 / 16 * images).astype(np.uint8)
    plain = ConvolutionalPSD(3, **options).fit(shares)
    spread = np.sqrt(shares.reshape(60, -1).var(axis=0).mean())
    assert plain.alpha_ == pytest.approx(spread)
    codes = plain.transform(shares)
    for unit in (2.0**-10, 255.0):
        model = ConvolutionalPSD(3, **options).fit(unit * shares)
        assert model.alpha_ == pytest.approx(unit * plain.alpha_)
        expected = unit * codes
        np.testing.assert_allclose(model.transform(unit * shares), expected, atol=1e-4 * unit)
    of_bytes = ConvolutionalPSD(3, **options).fit(pixels)
    whole = ConvolutionalPSD(3, **options).fit(pixels.astype(int))
    assert whole.alpha_ == pytest.approx(255 * of_bytes.alpha_)
    found, expected = whole.transform(pixels.astype(int)), 255 * of_bytes.transform(pixels)
    np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_alpha_is_a_number_or_a_multiple_of_that_of_the_first_images():
    model = ConvolutionalPSD(3, alpha="0.5*auto", **STEADY)
    with pytest.raises(AttributeError, match="alpha_"):
        model.alpha_  # noqa: B018
    weights = np.array([1.0, 0, 2, 1])
    half = model.partial_fit(IMAGES, sample_weight=weights).alpha_
    repeated = IMAGES[[0, 2, 2, 3]].reshape(4, -1)
    assert half == pytest.approx(0.5 * np.sqrt(repeated.var(axis=0).mean()))
    codes = model.transform(IMAGES)
    assert model.partial_fit(9 * IMAGES).alpha_ == half
    assert model.set_params(alpha=0.25).alpha_ == 0.25
    number = ConvolutionalPSD(3, alpha=half, **STEADY).partial_fit(IMAGES, sample_weight=weights)
    np.testing.assert_array_equal(number.transform(IMAGES), codes)
    for wrong in ("half", "-1*auto"):
        with pytest.raises(ValueError, match="alpha must be a number >= 0, 'auto', or a multiple"):
            model.set_params(alpha=wrong).fit(IMAGES)
