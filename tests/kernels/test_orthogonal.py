"""Gram-Schmidt against projections by numpy."""

import numpy as np
import pytest

from skae._kernels.orthogonal import orthonormalize


def _bases(rng, n_samples, count, width, dtype):
    columns = np.linalg.qr(rng.standard_normal((n_samples, width, count)))[0]
    return np.ascontiguousarray(columns.transpose(0, 2, 1), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_what_is_left_is_orthogonal_and_of_length_one(count, dtype):
    rng, eps = np.random.default_rng(0), np.finfo(dtype).eps
    basis = _bases(rng, 5, 9, 30, dtype)
    vectors = rng.standard_normal((5, 30)).astype(dtype)
    # Nearly all of these is in the space: one pass alone leaves rounding behind.
    vectors[1:3] = basis[1:3, 0] + 1e-3 * vectors[1:3]
    before, lengths = vectors.copy(), np.empty(5, dtype)
    orthonormalize(basis, count, vectors, lengths)
    for known, start, vector, length in zip(basis[:, :count], before, vectors, lengths):
        known = known.astype(np.float64)
        rest = start - known.T @ (known @ start)
        np.testing.assert_allclose(length, np.linalg.norm(rest), rtol=2e3 * eps)
        np.testing.assert_allclose(vector, rest / np.linalg.norm(rest), atol=1e4 * eps)
        np.testing.assert_allclose(known @ vector, 0, atol=10 * eps)


def test_nothing_left():
    basis = _bases(np.random.default_rng(0), 2, 3, 10, np.float64)
    vectors, lengths = np.stack([basis[0, 1] + basis[0, 2], np.zeros(10)]), np.empty(2)
    orthonormalize(basis, 3, vectors, lengths)
    np.testing.assert_array_equal(vectors, 0)
    np.testing.assert_array_equal(lengths, 0)
