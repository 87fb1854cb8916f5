"""Drawn noise has the distribution it should have, cell by cell and between cells."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

from skae import DenoisingAE, _threads
from skae._kernels.random import grid, normals, row_keys
from skae._threads import team
from skae.nn.corruption import GaussianNoise, Masking, SaltAndPepper, Swap, dropout_mask
from skae.nn.noise import keys

rng = np.random.default_rng(0)
X = rng.random((2000, 300))


def _unmixed(bits):
    """Return the 32-bit integers of which the finalizer of MurmurHash3 makes ``bits``."""
    x = bits ^ bits >> 16
    x = x * np.uint32(pow(0xC2B2AE35, -1, 2**32))
    x = x ^ x >> 13 ^ x >> 26
    x = x * np.uint32(pow(0x85EBCA6B, -1, 2**32))
    return x ^ x >> 16


def some_normals():
    """Return 32-bit integers, and the normal numbers of cells that draw them."""
    bits = np.concatenate(
        [np.arange(2000), 2.0 ** np.arange(11, 32), rng.integers(0, 2**32, 20000)]
    )
    bits = np.concatenate([bits, 2**32 - 1 - bits]).astype(np.uint32)
    out, work = np.empty((2, bits.size), np.float32)
    normals(np.uint32(0), _unmixed(bits), work, out)
    return bits, out


def test_normals_are_those_of_the_quantile_function():
    bits, out = some_normals()
    low = np.minimum(bits, ~bits)
    expected = -stats.norm.ppf((low + 0.5) / 2**32) * np.where(bits > 2**31 - 1, 1, -1)
    error = np.abs(out - expected)
    assert error[low >= 2000].max() < 1e-5
    assert error.max() < 3e-3


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaussian_noise(dtype):
    out = np.empty(X.shape, dtype)
    GaussianNoise(0.5)(X.astype(dtype), 7, out)
    noise = (out - X) / 0.5
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    correlations = np.corrcoef(noise[:, :40], rowvar=False) - np.eye(40)
    assert np.abs(correlations).max() < 5 / np.sqrt(len(X))
    correlations = np.corrcoef(noise[:40]) - np.eye(40)
    assert np.abs(correlations).max() < 5 / np.sqrt(X.shape[1])


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shares_of_corrupted_cells(dtype, level):
    clean = X.astype(dtype) + dtype(2)
    out = np.empty_like(clean)
    deviation = 4 * np.sqrt(level * (1 - level) / X.size)
    Masking(level)(clean, 7, out)
    assert np.isin(out, [0, *clean.ravel()]).all()
    assert abs(np.mean(out == 0) - level) <= deviation
    by_column = np.mean(out == 0, axis=0)
    assert np.abs(by_column - level).max() <= 5 * np.sqrt(level * (1 - level) / len(X))
    SaltAndPepper(level, 0, 1)(clean, 7, out)
    for extreme in (0, 1):
        share = np.mean(out == extreme)
        assert abs(share - level / 2) <= 4 * np.sqrt(max(level, 1e-9) / X.size)
    Swap(level)(clean, 7, out)
    changed = out != clean
    assert abs(changed.mean() - level) <= deviation
    for j in range(0, X.shape[1], 50):
        assert np.isin(out[:, j], clean[:, j]).all()


def test_swap_takes_every_other_row_alike():
    ramp = np.tile(np.arange(50.0)[:, np.newaxis], (1, 4000))
    out = np.empty_like(ramp)
    Swap(1.0)(ramp, 3, out)
    assert (out != ramp).all()
    counts = np.array([np.bincount(row.astype(int), minlength=50) for row in out])
    others = counts[~np.eye(50, dtype=bool)]
    assert stats.chisquare(others).pvalue > 1e-3


def test_swap_of_a_single_row_leaves_it():
    out = np.empty((1, 300))
    Swap(1.0)(X[:1], 3, out)
    np.testing.assert_array_equal(out, X[:1])


@pytest.mark.parametrize("corruption", [Masking(0.3), SaltAndPepper(0.3), Swap(0.3)])
def test_emphasis_marks_the_corrupted_cells(corruption):
    out, cells = np.empty_like(X), np.empty_like(X)
    corruption(X + 2, 5, out)
    corruption.emphasize(X + 2, 5, 3.0, 0.5, cells)
    np.testing.assert_array_equal(cells, np.where(out != X + 2, 3.0, 0.5))


def test_noise_belongs_to_the_row_and_the_seed():
    out, shuffled, other = np.empty_like(X), np.empty_like(X), np.empty_like(X)
    order = rng.permutation(len(X))
    Masking(0.5)(X, 1, out)
    Masking(0.5)(X[order], 1, shuffled)
    Masking(0.5)(X, 2, other)
    np.testing.assert_array_equal(shuffled, out[order])
    both = np.mean((out == 0) & (other == 0))
    assert both == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / X.size))
    assert len(np.unique(keys(X, 1)[0])) == len(X)


def _mixed(x):
    """Return the finalizer of MurmurHash3 of the lowest 32 bits of the integer ``x``."""
    x %= 2**32
    x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
    x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
    return x ^ x >> 16


@pytest.mark.parametrize("n_columns", [1, 7])
def test_row_keys_are_hashes_of_rounded_rows(n_columns):
    rng = np.random.default_rng(0)
    columns, seed = rng.integers(1, 2**32, n_columns, dtype=np.uint32), np.uint64(2**40 + 3)
    offset = np.float32(48 if n_columns == 1 else 6144)
    assert grid(n_columns) == offset
    data, found = rng.normal(size=(200, n_columns)), np.empty(200, np.uint32)
    row_keys(data, columns, offset, seed, found)
    bits = (data.astype(np.float32) + offset).view(np.uint32)
    totals = [sum(int(b) * int(c) for b, c in zip(row, columns)) % 2**64 for row in bits]
    salt = _mixed(3) + 2**8
    expected = [_mixed(_mixed(t >> 32 ^ _mixed(t)) + _mixed(salt)) for t in totals]
    np.testing.assert_array_equal(found, expected)
    moved, again = ((1000 * data + 5) - 5) / 1000, np.empty_like(found)
    assert (moved != data).any()
    for same in (moved, data.astype(np.float32)):
        row_keys(same, columns, offset, seed, again)
        np.testing.assert_array_equal(again, found)


BITS = np.tile(np.stack(np.meshgrid(*[[0, 1]] * 3), axis=-1).reshape(-1, 3), (32, 1))


@pytest.mark.parametrize("corruption", [Masking(0.5), SaltAndPepper(0.5), GaussianNoise(0.5)])
def test_equal_rows_have_noise_of_their_own(corruption):
    X = BITS.astype(np.float32)
    out = np.empty_like(X)
    corruption(X, 7, out)
    seen = len(np.unique(np.hstack([X, out]), axis=0))
    assert seen >= {Masking: 27, SaltAndPepper: 50, GaussianNoise: 256}[type(corruption)]
    # Each of the ways in which a row of ones is masked is as likely.
    masked = np.zeros(8)
    for seed in range(40):
        Masking(0.5)(X, seed, out)
        masked += np.bincount((out[X.all(axis=1)] @ [1, 2, 4]).astype(int), minlength=8)
    assert stats.chisquare(masked).pvalue > 1e-3


def test_equal_rows_drop_other_units():
    X, out = np.ones((40, 3), np.float32), np.empty((40, 6), np.float32)
    dropout_mask(X, 1, 0.5, out)
    assert len(np.unique(out, axis=0)) > 20


def test_noise_depends_neither_on_threads_nor_on_the_rows_beside(monkeypatch):
    monkeypatch.setattr(_threads, "_SMALLEST_WORK", 1)
    X = BITS.astype(np.float32)
    alone, together, part = np.empty_like(X), np.empty_like(X), np.empty_like(X[:50])
    GaussianNoise(1.0)(X, 7, alone)
    with team(3):
        GaussianNoise(1.0)(X, 7, together)
    np.testing.assert_array_equal(together, alone)
    GaussianNoise(1.0)(X[:50], 7, part)
    np.testing.assert_array_equal(part, alone[:50])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_equal_rows_of_full_batches_have_equal_noise():
    """A row of weight 2 is then the same as two rows."""
    X, twice = np.random.default_rng(0).random((20, 4)), np.arange(20) < 8
    options = {"solver": "lbfgs", "max_iter": 4, "random_state": 0, "standardize": False}
    for emphasis in (None, (1.0, 0.2)):
        model = DenoisingAE(3, loss="gaussian", emphasis=emphasis, **options)
        weighted = clone(model).fit(X, sample_weight=1.0 + twice).components_
        repeated = clone(model).fit(np.vstack([X, X[twice]])).components_
        np.testing.assert_allclose(repeated, weighted, atol=1e-6)
