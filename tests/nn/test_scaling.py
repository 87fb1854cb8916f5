"""Scaling beside scikit-learn's scalers, and spectra beside numpy's."""

import pickle

import joblib
import numpy as np
import pytest
import scipy.sparse
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skae.nn.activations import Diagonal
from skae.nn.layer import LinearLayer
from skae.nn.linear_maps import ProductMap, spectra
from skae.nn.scaling import Scaling, no_scaling

rng = np.random.default_rng(0)
X = rng.normal([5, -2000, 0, 1e-3], [1, 300, 10, 1e-4], (50, 4))
CONSTANT = np.array([True, False, True, True])


def _standard(varies=None):
    """Return the ``Scaling`` of X, and scikit-learn's."""
    peer = StandardScaler().fit(X)
    return Scaling(peer.mean_, peer.scale_, np.ones(4, bool) if varies is None else varies), peer


@pytest.mark.parametrize("peer", [StandardScaler(), MinMaxScaler()], ids=["standard", "range"])
def test_it_is_the_map_of_scikit_learn(peer):
    peer.fit(X)
    low, one = peer.inverse_transform(np.zeros((1, 4)))[0], peer.inverse_transform(np.ones((1, 4)))
    scaling = Scaling(low, one[0] - low, np.ones(4, bool))
    z = peer.transform(X)
    np.testing.assert_allclose(scaling.apply(X), z, atol=1e-9)
    np.testing.assert_allclose(scaling.invert(z), peer.inverse_transform(z), rtol=1e-12)
    assert not scaling.identity and scaling.n_inputs == scaling.n_features == 4


def test_differences_have_no_center():
    scaling, _ = _standard()
    x, y = X[:20], X[20:40]
    steps = scaling.apply(x) - scaling.apply(y)
    np.testing.assert_allclose(scaling.apply_difference(x - y), steps, atol=1e-9)
    np.testing.assert_allclose(scaling.invert_difference(steps), x - y, rtol=1e-9, atol=1e-12)


def test_constant_columns_are_left_out_and_put_back():
    scaling, peer = _standard(CONSTANT)
    x = X.copy()
    x[:, 1] = scaling.center[1]
    z = scaling.apply(x)
    np.testing.assert_allclose(z, peer.transform(x)[:, CONSTANT], atol=1e-12)
    assert z.flags.c_contiguous and scaling.n_inputs == 3
    back = scaling.invert(z)
    np.testing.assert_allclose(back, x, rtol=1e-12)
    np.testing.assert_array_equal(back[:, 1], x[:, 1])
    assert not scaling.invert_difference(z)[:, 1].any()
    weights = rng.standard_normal((2, 3))
    np.testing.assert_array_equal(scaling.widened(weights)[:, CONSTANT], weights)
    np.testing.assert_array_equal(scaling.widened(weights, fill=7)[:, 1], 7)


@pytest.mark.parametrize("varies", [np.ones(4, bool), CONSTANT])
def test_derivatives_are_by_x(varies):
    scaling, _ = _standard(varies)
    matrix = rng.standard_normal((3, scaling.n_inputs))
    steps = 1e-3 * np.diag(scaling.scale)
    numeric = (scaling.apply(X[0] + steps) - scaling.apply(X[0] - steps)) @ matrix.T
    numeric = numeric.T / (2e-3 * scaling.scale)
    np.testing.assert_allclose(scaling.derivatives(matrix), numeric, rtol=1e-7, atol=1e-12)
    diagonals = [rng.random((5, 3))]
    mapped = scaling.linear_map(ProductMap([LinearLayer(matrix, Diagonal(diagonals[0]))], 5))
    assert mapped.n_features == 4
    direction = rng.standard_normal((5, 4))
    expected = diagonals[0] * (direction @ numeric.T)
    np.testing.assert_allclose(mapped.jvp(direction), expected, rtol=1e-7)
    upward = rng.standard_normal((5, 3))
    np.testing.assert_allclose(mapped.vjp(upward), (upward * diagonals[0]) @ numeric, rtol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_scaled_where_they_are_taken(dtype):
    scaling, _ = _standard(CONSTANT)
    x = X.astype(dtype)
    expected = scaling.apply(x)
    assert expected.dtype == dtype
    for form in (x, scipy.sparse.csr_matrix(x)):
        rows = scaling.rows(form)
        assert rows.shape == (50, 3) and len(rows) == 50 and rows.dtype == dtype
        np.testing.assert_array_equal(rows[3:17], expected[3:17])
        np.testing.assert_array_equal(rows[[4, 2, 2]], expected[[4, 2, 2]])
    for part in (scaling.invert(expected), scaling.derivatives(expected)):
        assert part.dtype == dtype


def test_no_scaling_hands_back_what_it_gets():
    scaling = no_scaling(4)
    assert scaling.identity and scaling.rows(X) is X
    for method in ("apply", "invert", "apply_difference", "invert_difference", "derivatives"):
        assert getattr(scaling, method)(X) is X


# Spectra.


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (5, 5)])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-10)])
def test_spectra_are_those_of_numpy(shape, dtype, rtol):
    matrices = rng.standard_normal((6, *shape)).astype(dtype)
    exact = np.linalg.svd(matrices.astype(float), compute_uv=False)
    values = spectra(matrices, min(shape))
    assert values.dtype == dtype and values.shape == exact.shape
    np.testing.assert_allclose(values, exact, rtol=rtol)
    np.testing.assert_allclose(spectra(matrices, 2), exact[:, :2], rtol=rtol)


@pytest.mark.parametrize(("dtype", "atol"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_spectra_of_saturated_units_and_constant_columns(dtype, atol):
    matrices = rng.standard_normal((3, 6, 9))
    matrices[0, 1:4] *= 1e-40  # denormal numbers in float32
    matrices[1, :, 2:5] = 0
    matrices[2] = 0
    matrices = matrices.astype(dtype)
    exact = np.linalg.svd(matrices.astype(float), compute_uv=False)
    values = spectra(matrices, 6)
    np.testing.assert_allclose(values, exact, rtol=10 * atol, atol=atol * exact.max())
    assert not values[2].any() and (values[0, 3:] < 1e-30).all()


def test_spectra_of_fewer_rows_than_asked_for():
    matrices = rng.standard_normal((2, 2, 9))
    matrices[:, :, 1:] = 0
    values = spectra(matrices, 2)
    np.testing.assert_allclose(values[:, 0], np.linalg.norm(matrices[:, :, 0], axis=1))
    assert not values[:, 1].any()


def test_use_does_not_change_what_is_pickled():
    scaling = Scaling(np.zeros(3), np.array([1.0, 2.0, 3.0]), np.ones(3, bool))
    before = joblib.hash(scaling)
    scaling.apply(np.ones((2, 3), np.float32))
    assert joblib.hash(scaling) == before
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scaling)).scale, scaling.scale)
