"""Images in another order, transposed, with other channels or from other sources have the features that follow."""

from itertools import product

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone

from skae.images import ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from skae.sources import apply


def _options(rng, height, width):
    """Return random parameters of ``ConvolutionalFeatures`` and the shape of a filter."""
    size = tuple(map(int, rng.integers(2, 5, 2)))
    down, across = height - size[0] + 1, width - size[1] + 1
    windows = (int(rng.integers(1, down + 1)), int(rng.integers(1, across + 1)))
    grid = (int(rng.integers(1, min(down, 3) + 1)), int(rng.integers(1, min(across, 3) + 1)))
    stride = [None, tuple(map(int, rng.integers(1, 4, 2)))][rng.integers(2)]
    pools = [{"pool_grid": grid}, {"pool_size": windows, "pool_stride": stride}][rng.integers(2)]
    encoder = str(rng.choice(["triangle", "threshold", "linear"]))
    kinds = [None, "absolute", "split"] if encoder == "linear" else [None]
    return size, pools | {
        "encoder": encoder,
        "rectification": kinds[rng.integers(len(kinds))],
        "alpha": float(rng.choice([0, 0.1])),
        "contrast": [None, 0.3][rng.integers(2)],
        "whitening": [None, 0.1][rng.integers(2)],
        "local_contrast": [None, 1.5][rng.integers(2)],
        "pooling": str(rng.choice(["mean", "sum", "max", "l2"])),
        "n_jobs": int(rng.integers(1, 3)),
    }


def _swapped(options):
    names = {"pool_grid", "pool_size", "pool_stride"}
    return {k: v[::-1] if k in names and v else v for k, v in options.items()}


@pytest.mark.parametrize("seed", range(12))
def test_features_follow_their_images(seed):
    rng = np.random.default_rng(seed)
    n, height, width, channels = (
        int(rng.integers(*each)) for each in ((3, 9), (5, 12), (5, 12), (1, 4))
    )
    X = rng.random((n, height, width, channels)) + rng.choice([0, 3])
    size, options = _options(rng, height, width)
    filters = rng.standard_normal((3, *size, channels))
    model = ConvolutionalFeatures(dictionary=filters, patch_size=size, **options).fit(X)
    Z = model.transform(X)
    maps = Z.reshape(n, *model.map_shape_)

    def same(X, filters, **changed):
        again = clone(model).set_params(
            dictionary=filters, **_swapped(options) if changed else {}, **changed
        )
        found = again.fit(X).transform(X)
        return found.reshape(len(X), *again.map_shape_)

    near = {"rtol": 1e-6, "atol": 1e-7 * np.abs(Z).max()}
    order = rng.permutation(n)
    np.testing.assert_allclose(model.transform(X[order]), Z[order], **near)
    np.testing.assert_allclose(
        np.concatenate([model.transform(x[np.newaxis]) for x in X]), Z, **near
    )
    np.testing.assert_allclose(
        same(np.concatenate([X, X[order]]), filters)[n:], maps[order], **near
    )
    np.testing.assert_allclose(same(X[..., ::-1], filters[..., ::-1]), maps, **near)
    # Transposed images, by columns of rows in another order.
    columns = np.arange(X[0].size).reshape(X.shape[1:]).transpose(1, 0, 2).ravel()
    turned = {"patch_size": size[::-1], "image_shape": (width, height, channels)}
    found = same(X.reshape(n, -1)[:, columns], filters.transpose(0, 2, 1, 3), **turned)
    np.testing.assert_allclose(found.transpose(0, 2, 1, 3), maps, **near)
    if options["contrast"] is not None:
        np.testing.assert_allclose(same(9 * X + 7, filters), maps, **near)


def _sources(images, folder):
    """Return functions that give images, or their rows, in other forms and from other places, by name."""
    dask, pyarrow = pytest.importorskip("dask.array"), pytest.importorskip("pyarrow")
    h5py, zarr = pytest.importorskip("h5py"), pytest.importorskip("zarr")
    dataset, parquet = (
        pytest.importorskip("pyarrow.dataset"),
        pytest.importorskip("pyarrow.parquet"),
    )
    rows = images.reshape(len(images), -1)
    file = h5py.File(folder / "images.h5", "w")
    file["rows"], file["images"] = rows, images
    zarrs = {}
    for name, values in (("rows", rows), ("images", images)):
        chunks = (2, 3, *values.shape[2:])
        options = {"mode": "w", "shape": values.shape, "chunks": chunks, "dtype": values.dtype}
        zarrs[name] = zarr.open(folder / f"{name}.zarr", **options)
        zarrs[name][:] = values
        np.save(folder / f"{name}.npy", values)
    np.save(folder / "fortran.npy", np.asfortranarray(rows))
    table = pyarrow.table({str(k): column for k, column in enumerate(rows.T)})
    parquet.write_table(table, folder / "rows.parquet", row_group_size=3)
    return {
        "hdf5": lambda: file["rows"],
        "hdf5 images": lambda: file["images"],
        "zarr": lambda: zarrs["rows"],
        "zarr images": lambda: zarrs["images"],
        "map": lambda: np.load(folder / "rows.npy", mmap_mode="r"),
        "map of images": lambda: np.load(folder / "images.npy", mmap_mode="r"),
        "map in the order of Fortran": lambda: np.load(folder / "fortran.npy", mmap_mode="r"),
        "parquet": lambda: dataset.dataset(folder / "rows.parquet"),
        "batches": lambda: iter(np.array_split(rows, 3)),
        "dask": lambda: dask.from_array(rows, chunks=(3, -1)),
        "dask images": lambda: dask.from_array(images, chunks=(3, 4, -1, 1)),
        "list": lambda: list(images),
        "swapped bytes": lambda: images.astype(images.dtype.newbyteorder(">")),
        "rows with swapped bytes": lambda: rows.astype(rows.dtype.newbyteorder(">")),
        "batches with swapped bytes": lambda: iter([rows.astype(rows.dtype.newbyteorder(">"))]),
        "reversed twice": lambda: images[:, ::-1].copy()[:, ::-1],
    }


_PATCHES = {"dictionary": "patches", "patch_size": 3}
_FEATURES = ConvolutionalFeatures(4, contrast=None, whitening=None, encoder="linear", **_PATCHES)
_STACK = [
    ("a", ConvolutionalFeatures(3, pool_size=2, **_PATCHES)),
    ("b", ConvolutionalFeatures(2, dictionary="patches", patch_size=2, pool_grid=1)),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*feature names")
@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        *product([_FEATURES], [np.float32, np.int16, np.uint8]),
        (ConvolutionalStack(_STACK), np.float32),
        *product([ConvolutionalPSD(3, patch_size=3, alpha=0.01, max_iter=1)], [np.float64, bool]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseEstimator) else value.__name__,
)
def test_images_from_elsewhere_are_those_in_memory(model, dtype, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 7, 2))
    images = (
        images > 128
        if dtype is bool
        else (images / (1 if dtype in (np.int16, np.uint8) else 255)).astype(dtype)
    )
    model = clone(model).set_params(image_shape=(8, 7, 2), random_state=0)
    expected = model.fit(images).transform(images)
    for name, X in _sources(images, tmp_path).items():
        other = clone(model).fit(X())
        np.testing.assert_array_equal(other.transform(images), expected, err_msg=name)
        found = model.transform(X())
        assert found.dtype == expected.dtype, name
        np.testing.assert_array_equal(found, expected, err_msg=name)
        out = np.empty_like(expected)
        np.testing.assert_allclose(
            apply(model, X(), out), expected, rtol=1e-4, atol=1e-5, err_msg=name
        )
