import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier

from skae import ContractiveAE
from skae.manifold import LocalPCA, TangentNeighborsClassifier, tangent_basis
from skae.manifold._neighbors import tangent_distances

X, y = load_digits(return_X_y=True)
X = X / 16
rng = np.random.default_rng(0)


def _planes(n):
    return np.linalg.qr(rng.normal(size=(n, 9, 3)))[0].transpose(0, 2, 1)


def test_tangent_distance_is_the_least_distance_of_two_planes():
    differences, here, there = rng.normal(size=(5, 9)), _planes(5), _planes(5)
    for d, u, v, both, one in zip(
        differences,
        here,
        there,
        tangent_distances(differences, here, there),
        tangent_distances(differences, here),
    ):
        planes = np.concatenate([u, v])
        rest = d - planes.T @ np.linalg.lstsq(planes.T, d, rcond=None)[0]
        np.testing.assert_allclose(both, rest @ rest, rtol=0.05)
        np.testing.assert_allclose(one, d @ d - (u @ d) @ (u @ d), rtol=1e-9)


def test_planes_that_share_a_direction():
    plane = _planes(1)
    difference = rng.normal(size=(1, 9))
    one = tangent_distances(difference, plane)
    np.testing.assert_allclose(tangent_distances(difference, plane, plane), one, rtol=1e-3)


def _circle(radius, n, start):
    angles = start + np.linspace(0, 2 * np.pi, n, endpoint=False)
    return radius * np.column_stack([np.cos(angles), np.sin(angles)])


def _circles(n, start=0.0):
    """Return n points on each of two circles, one around the other, and which circle."""
    points = np.concatenate([_circle(1, n, start), _circle(1.15, n, start + np.pi / n)])
    return points, np.repeat([0, 1], n)


@pytest.mark.parametrize("planes", ["both", "query"])
def test_tangents_find_better_neighbors_than_points(planes):
    tangents = LocalPCA(8).fit(_circles(2000)[0])
    train, test = _circles(10), _circles(100, 0.05)
    model = TangentNeighborsClassifier(
        tangents, n_neighbors=1, n_tangents=1, n_candidates=4, planes=planes, prefit=True
    ).fit(*train)
    assert KNeighborsClassifier(1).fit(*train).score(*test) < 0.8
    assert model.score(*test) >= 0.9
    np.testing.assert_allclose(model.predict_proba(test[0]).sum(axis=1), 1)


def test_no_moves_is_plain_neighbors():
    model = TangentNeighborsClassifier(LocalPCA(2), n_tangents=1, n_neighbors=3, planes="query")
    model.fit(X[:200], y[:200])
    model._basis = lambda X, n_jobs: np.zeros((len(X), 1, X.shape[1]))
    plain = KNeighborsClassifier(3).fit(X[:200], y[:200])
    np.testing.assert_allclose(model.predict_proba(X[900:]), plain.predict_proba(X[900:]))


@pytest.mark.slow
@pytest.mark.parametrize("planes", ["both", "query"])
@pytest.mark.parametrize("names", [np.arange(10), np.array([*"abcdefghij"], dtype=object)])
def test_rows_without_a_label_do_not_vote(planes, names):
    """They count in the encoder only, as in a model whose encoder has seen them."""
    few = np.where(np.arange(200) % 3 == 0, names[y[:200]], -1)
    model = TangentNeighborsClassifier(LocalPCA(8), n_neighbors=2, planes=planes).fit(X[:200], few)
    encoder, rows = LocalPCA(8).fit(X[:200]), few != -1
    seen = TangentNeighborsClassifier(encoder, n_neighbors=2, planes=planes, prefit=True)
    seen.fit(X[:200][rows], names[y[:200]][rows])
    np.testing.assert_array_equal(model.classes_, names)
    np.testing.assert_array_equal(model.predict(X[900:]), seen.predict(X[900:]))
    two = TangentNeighborsClassifier(LocalPCA(8)).fit(X[:200], np.where(y[:200] > 4, 1, -1))
    assert list(two.classes_) == [-1, 1]


def test_labels_that_are_missing_are_refused():
    for y_bad in (
        np.where(y[:200] == 3, np.nan, y[:200]),
        np.where(y[:200] == 3, None, y[:200].astype(str).astype(object)),
        pd.Series(y[:200].astype(str), dtype="string").where(y[:200] != 3),
        pd.Series(y[:200], dtype="Int64").where(y[:200] != 3),
    ):
        with pytest.raises(ValueError, match="y contains NaN.*have the integer -1"):
            TangentNeighborsClassifier(LocalPCA(8)).fit(X[:200], y_bad)
    with pytest.raises(ValueError, match="y has no labels"):
        TangentNeighborsClassifier(LocalPCA(8)).fit(X[:200], np.full(200, -1))
    with pytest.raises(ValueError, match="requires y"):
        TangentNeighborsClassifier(LocalPCA(8)).fit(X[:200], None)


def test_bad_parameters():
    with pytest.raises(ValueError, match="n_neighbors=500 needs as many samples"):
        TangentNeighborsClassifier(n_neighbors=500).fit(X[:20], y[:20])
    with pytest.raises(ValueError, match="prefit=True needs a fitted encoder"):
        TangentNeighborsClassifier(prefit=True).fit(X[:20], y[:20])
    with pytest.raises(ValueError, match="n_neighbors=30 needs as many samples"):
        LocalPCA(30).fit(X[:20])


@pytest.mark.parametrize("planes", ["both", "query"])
@pytest.mark.parametrize(
    "encoder, n_tangents, error",
    [(ContractiveAE(5), 3, NotFittedError), (PCA(5).fit(X), 3, TypeError), (None, 11, ValueError)],
    ids=["not fitted", "no Jacobian", "too many"],
)
def test_what_has_no_such_tangents_is_refused_by_fit(planes, encoder, n_tangents, error):
    prefit = ContractiveAE(10, max_iter=1).fit(X[:100]) if encoder is None else encoder
    model = TangentNeighborsClassifier(prefit, n_tangents=n_tangents, planes=planes, prefit=True)
    with pytest.raises(error):
        model.fit(X[:100], y[:100])
    assert not hasattr(model, "classes_")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("prefit", [True, False])
def test_columns_with_names(prefit):
    frame = load_digits(as_frame=True).data[:200] / 16
    encoder = ContractiveAE(10, max_iter=2, random_state=0)
    if prefit:
        encoder.fit(frame)
    model = TangentNeighborsClassifier(encoder, n_tangents=2, prefit=prefit).fit(frame, y[:200])
    plain = TangentNeighborsClassifier(
        ContractiveAE(10, max_iter=2, random_state=0), n_tangents=2
    ).fit(X[:200], y[:200])
    np.testing.assert_array_equal(model.predict(frame), plain.predict(X[:200]))


def test_a_failed_fit_leaves_local_pca():
    model = LocalPCA(10).fit(X[:50])
    before = tangent_basis(model, X[:3], 2).basis
    with pytest.raises(ValueError, match="n_neighbors=10 needs as many samples"):
        model.fit(X[:5, :7])
    np.testing.assert_array_equal(tangent_basis(model, X[:3], 2).basis, before)


@pytest.mark.slow
def test_threads_change_nothing():
    shares = [
        TangentNeighborsClassifier(LocalPCA(8), n_tangents=2, n_jobs=n_jobs)
        .fit(X[:300], y[:300])
        .predict_proba(X[300:700])
        for n_jobs in (1, 2)
    ]
    np.testing.assert_array_equal(*shares)


def test_frames_whose_index_has_numbers():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X[:60], index=np.linspace(5, 6, 60))
    model = TangentNeighborsClassifier(ContractiveAE(5, max_iter=2, random_state=0))
    expected = model.fit(X[:60], y[:60]).predict_proba(X[:60])
    np.testing.assert_array_equal(model.fit(frame, y[:60]).predict_proba(frame), expected)
