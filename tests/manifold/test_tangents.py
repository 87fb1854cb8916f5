import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

from skae import PSD, AutoEncoder, ContractiveAE, RecurrentAE, SparseCoder, StackedAE
from skae.manifold import LocalPCA, iter_tangents, tangent_basis

X = load_digits().data[:300] / 16
K = 6


OPTIONS = {"random_state": 0, "loss": "gaussian"}
BARELY = {"max_iter": 1, "learning_rate_init": 1e-9, **OPTIONS}
LAYER = ContractiveAE(40, max_iter=5, **OPTIONS)
MODELS = {
    "random": AutoEncoder(100, **BARELY),
    "random, two layers": AutoEncoder(30, hidden_layer_sizes=(80,), **BARELY),
    "relu": AutoEncoder(80, activation="relu", max_iter=5, **OPTIONS),
    "trained": ContractiveAE(80, max_iter=30, **OPTIONS),
    "narrow": ContractiveAE(8, max_iter=5, **OPTIONS),
    "stack": StackedAE([("low", LAYER), ("high", LAYER)], random_state=0),
}


def _exact(jacobians):
    return zip(*(np.linalg.svd(j, full_matrices=False)[1:] for j in jacobians.astype(float)))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MODELS)
def test_tangents_are_leading_singular_vectors(name, dtype):
    model = clone(MODELS[name]).fit(X.astype(dtype))
    basis, values = tangent_basis(model, X[:150], K)
    assert basis.dtype == values.dtype == dtype
    eps = np.finfo(dtype).eps
    exact_values, exact_vectors = _exact(model.jacobian(X[:150]))
    for u, s, exact, v in zip(basis.astype(float), values, exact_values, exact_vectors):
        np.testing.assert_allclose(s, exact[:K], rtol=1e-4, atol=10 * eps * exact[0])
        np.testing.assert_allclose(u @ u.T, np.eye(K), atol=20 * eps)
        outside = np.linalg.norm(v[:K] - v[:K] @ u.T @ u, 2)
        assert np.arcsin(min(outside, 1)) < max(
            1e-3, 10 * eps * exact[0] / (exact[K - 1] - exact[K])
        )


def test_all_directions_are_a_full_basis():
    model = AutoEncoder(70, max_iter=2, loss="gaussian", standardize=False).fit(X)
    basis, values = tangent_basis(model, X[:5], 64)
    exact = np.linalg.svd(model.jacobian(X[:5]), compute_uv=False)
    np.testing.assert_allclose(values, exact, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(
        basis @ basis.transpose(0, 2, 1), np.tile(np.eye(64), (5, 1, 1)), atol=1e-9
    )


def test_less_rank_than_tangents():
    model = AutoEncoder(30, activation="relu", max_iter=2, loss="gaussian", random_state=0).fit(X)
    model.encoder_bias_[5:] = -100
    basis, values = tangent_basis(model, X[:20], 10)
    exact = np.linalg.svd(model.jacobian(X[:20]), compute_uv=False)
    np.testing.assert_allclose(values, exact[:, :10], atol=1e-7)
    np.testing.assert_allclose(
        basis @ basis.transpose(0, 2, 1), np.tile(np.eye(10), (20, 1, 1)), atol=1e-9
    )


def test_saturated_hidden_units_are_left_out():
    options = {"loss": "gaussian", "standardize": False, "max_iter": 2, "random_state": 0}
    model = AutoEncoder(30, hidden_layer_sizes=(50,), **options).fit(X)
    model._network.views(model._params).encoder_biases[0][::2] = 300
    assert model.model_.linear_map(X[:9]).layers[0].weights.shape == (25, 64)
    _, values = tangent_basis(model, X[:9], K)
    exact = np.linalg.svd(model.jacobian(X[:9]), compute_uv=False)
    np.testing.assert_allclose(values, exact[:, :K], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hidden", [(), (12,)], ids=["shallow", "deep"])
def test_many_more_columns_than_units(hidden, dtype):
    """Of different units, of which one is constant and one is large; once from given tangents."""
    rows = (X * np.linspace(1, 50, 64)).astype(dtype)
    model = AutoEncoder(10, hidden_layer_sizes=hidden, max_iter=3, random_state=0).fit(rows)
    _, exact, right = np.linalg.svd(model.jacobian(rows[:20]).astype(np.float64))
    found = tangent_basis(model, rows[:20], 3)
    for basis, values in (found, tangent_basis(model, rows[:20], 3, start=found.basis)):
        assert basis.dtype == values.dtype == dtype
        np.testing.assert_allclose(values, exact[:, :3], rtol=1e-5)
        cosines = np.linalg.svd(basis @ right[:, :3].transpose(0, 2, 1), compute_uv=False)
        np.testing.assert_allclose(cosines, 1, atol=1e-5)
        gram = basis @ basis.transpose(0, 2, 1)
        np.testing.assert_allclose(
            gram, np.tile(np.eye(3), (20, 1, 1)), atol=30 * np.finfo(dtype).eps
        )


@pytest.mark.slow
def test_blocks_threads_and_sparse_rows_change_nothing():
    model = ContractiveAE(80, max_iter=5, loss="gaussian", random_state=0).fit(X)
    basis, values = tangent_basis(model, X, K, n_jobs=1)
    threaded, _ = tangent_basis(model, scipy.sparse.csr_matrix(X), K, n_jobs=2)
    np.testing.assert_allclose(np.abs((basis * threaded).sum(axis=2)), 1, atol=1e-6)
    pieces = list(iter_tangents(model, X, K, block_size=128, n_jobs=1))
    assert [rows.stop for rows, _ in pieces] == [128, 256, 300]
    np.testing.assert_array_equal(np.concatenate([t.basis for _, t in pieces]), basis)
    np.testing.assert_array_equal(np.concatenate([t.singular_values for _, t in pieces]), values)


@pytest.mark.parametrize("model", [MODELS["narrow"], LocalPCA(20)], ids=["narrow", "LocalPCA"])
def test_signs_do_not_depend_on_the_rows_beside(model):
    model = clone(model).fit(X)
    basis, values = tangent_basis(model, X, 3)
    alone = [tangent_basis(model, X[[i]], 3) for i in range(0, 300, 60)]
    gaps = 1 - values[::60, 1:] / values[::60, :-1]
    assert gaps.min() > 1e-3  # each direction is defined
    np.testing.assert_allclose(np.concatenate([t.basis for t in alone]), basis[::60], atol=1e-3)
    largest = np.take_along_axis(basis, np.abs(basis).argmax(axis=2)[..., np.newaxis], axis=2)
    assert (largest > 0).all()


def test_start_from_tangents():
    model = ContractiveAE(80, max_iter=5, loss="gaussian", random_state=0).fit(X)
    basis, values = tangent_basis(model, X, K)
    again, values_again = tangent_basis(model, X, K, start=basis)
    np.testing.assert_allclose(values_again, values, rtol=1e-7)
    np.testing.assert_allclose(np.abs((basis * again).sum(axis=2)), 1, atol=1e-3)


def test_psd():
    for encoder in ("tanh", "soft_threshold"):
        model = PSD(30, encoder=encoder, max_iter=2, transform_algorithm="encoder", random_state=0)
        model.fit(X)
        _, values = tangent_basis(model, X[:4], K)
        step = 1e-6
        for x, s in zip(X, values):
            jacobian = model.transform(x + step * np.eye(64)) - model.transform(
                x - step * np.eye(64)
            )
            exact = np.linalg.svd(jacobian.T / (2 * step), compute_uv=False)
            np.testing.assert_allclose(s, exact[:K], atol=1e-6)


def test_local_pca_is_the_svd_of_neighbors():
    points = X[:100]
    basis, values = tangent_basis(LocalPCA(12).fit(points), points[:10] + 1e-3, 5)
    for x, u, s in zip(points[:10] + 1e-3, basis, values):
        order = np.argsort(((points - x) ** 2).sum(axis=1))[:12]
        deviations = points[order] - points[order].mean(axis=0)
        _, exact, v = np.linalg.svd(deviations, full_matrices=False)
        np.testing.assert_allclose(s, exact[:5] / np.sqrt(11), rtol=1e-6)
        np.testing.assert_allclose(np.abs((u * v[:5]).sum(axis=1)), 1, atol=1e-4)


def test_a_circle_has_the_tangents_of_a_circle():
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.column_stack([np.cos(angles), np.sin(angles)])
    true = np.column_stack([-np.sin(angles), np.cos(angles)])
    basis, _ = tangent_basis(LocalPCA(8).fit(circle), circle, 1)
    assert np.abs((basis[:, 0] * true).sum(axis=1)).min() > 0.999


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_tangents": 0}, "n_tangents must be between 1 and 8"),
        ({"n_tangents": 9}, "n_tangents must be between 1 and 8"),
        ({"tol": 0}, "tol must be positive"),
        ({"start": np.ones((2, 2))}, "start must have shape"),
        ({"start": np.full((len(X), 3, X.shape[1]), np.nan)}, "start contains NaN"),
    ],
)
def test_bad_parameters(options, message):
    model = AutoEncoder(8, max_iter=1).fit(X)
    with pytest.raises(ValueError, match=message):
        tangent_basis(model, X, **{"n_tangents": 3, **options})


def test_the_default_number_of_tangents_is_at_most_that_of_code_units():
    for n_units, n_tangents in ((4, 4), (20, 15)):
        model = AutoEncoder(n_units, max_iter=1, random_state=0).fit(X)
        basis, values = tangent_basis(model, X[:6])
        exact = model.singular_values(X[:6])
        np.testing.assert_allclose(values, exact[:, :n_tangents], rtol=1e-4)
        ((_, blocks),) = iter_tangents(model, X[:6])
        assert basis.shape == blocks.basis.shape == (6, n_tangents, X.shape[1])


def test_models_without_a_jacobian():
    with pytest.raises(TypeError, match="model must be a fitted encoder"):
        tangent_basis(SparseCoder(5, max_iter=1).fit(X), X, 3)
    layers = [("low", AutoEncoder(8, max_iter=1)), ("high", AutoEncoder(6, max_iter=1))]
    with pytest.raises(TypeError, match="RecurrentAE"):
        tangent_basis(RecurrentAE(layers, max_iter=1).fit(X), X, 3)
    with pytest.raises(TypeError, match="lista"):
        tangent_basis(PSD(8, encoder="lista", max_iter=1).fit(X), X, 3)
    with pytest.raises(NotFittedError):
        tangent_basis(AutoEncoder(8), X, 3)


@pytest.mark.parametrize("power", [-100, 100])
@pytest.mark.parametrize("Model", [LocalPCA, ContractiveAE])
def test_tangents_do_not_depend_on_units_where_squares_are_no_numbers(Model, power):
    options = {"max_iter": 2, "random_state": 0} if Model is ContractiveAE else {}
    data = np.random.default_rng(0).random((60, 6), dtype=np.float32)
    expected = tangent_basis(Model(4, **options).fit(data), data[:9], 2)
    scaled = np.ldexp(data, power)
    basis, values = tangent_basis(Model(4, **options).fit(scaled), scaled[:9], 2)
    np.testing.assert_allclose(basis, expected.basis, rtol=1e-4, atol=1e-4)
    # Deviations have the unit of X, the slopes of codes its inverse.
    sign = 1 if Model is LocalPCA else -1
    np.testing.assert_allclose(np.ldexp(values, -sign * power), expected.singular_values, rtol=1e-4)
