import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import SparseAutoEncoder
from skae._kernels.sparse_codes import normalize_rows, project_rows

X = load_digits().data[:300]
SHORT = {"max_iter": 3, "random_state": 0}
ACTIVATIONS = ["topk", "batch_topk", "jumprelu", "relu"]
MODELS = {each: SparseAutoEncoder(24, activation=each, k=3, **SHORT) for each in ACTIVATIONS}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def _scaled(model, X):
    return (X - model.center_) / model.scale_


def _codes(model, X):
    """Return the codes that the attributes of ``model`` describe."""
    a = _scaled(model, X) @ model.components_.T + model.encoder_bias_
    if model.activation == "topk":
        limits = np.maximum(np.sort(a, axis=1)[:, [-model.k - 1]], 0)
    else:
        limits = model.thresholds_
    return np.where(a > limits, a, 0)


@pytest.fixture(scope="module", params=ACTIVATIONS)
def fitted(request):
    return clone(MODELS[request.param]).fit(X)


def test_methods_are_what_the_attributes_say(fitted):
    expected, codes = _codes(fitted, X), fitted.transform(X)
    assert scipy.sparse.issparse(codes) and codes.format == "csr" and codes.has_sorted_indices
    np.testing.assert_allclose(codes.toarray(), expected, atol=1e-9)
    z = expected @ fitted.decoder_components_ + fitted.decoder_bias_
    varies = X.std(axis=0) > 0
    r = np.where(varies, z * fitted.scale_ + fitted.center_, X)
    np.testing.assert_allclose(fitted.reconstruct(X), r, atol=1e-9)
    for each in (codes, codes.toarray()):
        np.testing.assert_allclose(fitted.inverse_transform(each), r, atol=1e-9)
    scores = -0.5 * np.sum((z - _scaled(fitted, X))[:, varies] ** 2, axis=1)
    np.testing.assert_allclose(fitted.score_samples(X), scores)
    assert fitted.score(X) == pytest.approx(scores.mean())
    np.testing.assert_allclose(fitted.model_.encode(X), expected, atol=1e-9)
    dense = clone(fitted).set_params(sparse_output=False).fit(X).transform(X)
    np.testing.assert_allclose(dense, expected, atol=1e-9)


def test_directions_have_norm_1(fitted):
    np.testing.assert_allclose(np.linalg.norm(fitted.decoder_components_, axis=1), 1)


def test_report(fitted):
    report, codes = fitted.report(X), _codes(fitted, X)
    z = _scaled(fitted, X)[:, X.std(axis=0) > 0]
    error = -2 * fitted.score_samples(X).sum()
    assert report.unexplained == pytest.approx(error / np.sum((z - z.mean(axis=0)) ** 2))
    assert report.n_active == pytest.approx((codes > 0).sum(axis=1).mean())
    assert report.dead == pytest.approx(1 - (codes > 0).any(axis=0).mean())
    np.testing.assert_allclose(report.frequencies, (codes > 0).mean(axis=0))
    cosines = np.corrcoef(fitted.decoder_components_)
    D = fitted.decoder_components_
    cosines = D @ D.T - 2 * np.eye(len(D))
    assert report.largest_cosine == pytest.approx(cosines.max())
    with pytest.raises(ValueError, match="squares overflow in float64"):
        fitted.report(X * 1e300)


@pytest.mark.parametrize(("dtype", "center"), [(np.float64, 2.0**30), (np.float32, 2.0**12)])
def test_what_is_unexplained_of_columns_far_from_0(dtype, center):
    # Integers, so that only the report can round them; weights from elsewhere do not scale X.
    rows = np.random.default_rng(0).integers(-9, 10, (3000, 4)) + center
    atoms = np.eye(4)
    model = SparseAutoEncoder.from_weights(
        *(each.astype(dtype) for each in (atoms, np.full(4, -center), atoms, np.full(4, center)))
    )
    away = rows - rows.mean(axis=0)
    expected = np.sum(np.minimum(rows - center, 0) ** 2) / np.sum(away**2)
    assert model.report(rows.astype(dtype)).unexplained == pytest.approx(expected, rel=1e-5)
    assert np.isnan(model.report(np.full((9, 4), 0.1, dtype)).unexplained)


def test_top_samples(fitted):
    codes = _codes(fitted, X)
    feature = int(codes.sum(axis=0).argmax())
    found = fitted.top_samples(X, feature, 7)
    np.testing.assert_array_equal(found.indices, np.argsort(-codes[:, feature])[:7])
    np.testing.assert_allclose(found.codes, np.sort(codes[:, feature])[::-1][:7])
    rare = int(np.count_nonzero(codes, axis=0).argmin())
    found = fitted.top_samples(X, rare, 300)
    assert len(found.indices) == np.count_nonzero(codes[:, rare])


def _planted(n=4000, n_inputs=16, n_features=40, mean=2.0):
    rng = np.random.default_rng(0)
    D = rng.standard_normal((n_features, n_inputs))
    D /= np.linalg.norm(D, axis=1, keepdims=True)
    H = (rng.random((n, n_features)) < mean / n_features) * (1 + rng.random((n, n_features)))
    return (H @ D + 0.01 * rng.standard_normal((n, n_inputs))).astype(np.float32), D


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["topk", "batch_topk"])
def test_a_known_dictionary_is_found(activation):
    rows, D = _planted()
    model = SparseAutoEncoder(40, activation=activation, k=2, random_state=0, max_iter=40)
    model.set_params(learning_rate_init=1e-2)
    found = model.fit(rows).decoder_components_ * model.scale_
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    assert (D @ found.T).max(axis=1).mean() > 0.95
    assert model.report(rows).dead < 0.03


@pytest.mark.slow
def test_dead_features_come_back_by_their_loss():
    rows, _ = _planted()
    dead = []
    for aux in (0, 1 / 32):
        model = SparseAutoEncoder(200, k=2, aux=aux, dead_after=10, max_iter=20, random_state=0)
        dead.append(model.fit(rows).report(rows).dead)
    assert dead[1] < 0.7 * dead[0]


@pytest.mark.slow
def test_batches_keep_k_on_average():
    model = SparseAutoEncoder(64, activation="batch_topk", k=5, random_state=0).fit(X)
    counts = np.diff(model.transform(X).indptr)
    assert abs(counts.mean() - 5) < 0.5 and counts.std() > 0.5


def test_rows_of_little_weight_take_no_codes_of_the_others():
    rows, weights = np.vstack([X, 10 * X[:20]]), np.r_[np.ones(len(X)), np.full(20, 1e-9)]
    options = {"standardize": "shared", "batch_size": 400, "max_iter": 60, "random_state": 0}
    model = SparseAutoEncoder(24, activation="batch_topk", k=3, **options)
    alone = clone(model).fit(X).report(X).unexplained
    assert abs(model.fit(rows, sample_weight=weights).report(X).unexplained - alone) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["jumprelu", "relu"])
def test_a_higher_price_leaves_fewer_active(activation):
    model = SparseAutoEncoder(64, activation=activation, batch_size=10, max_iter=30)
    model.set_params(random_state=0)
    cheap, dear = (clone(model).set_params(alpha=alpha).fit(X).report(X) for alpha in (0.1, 3))
    assert dear.n_active < 0.6 * cheap.n_active and dear.unexplained > cheap.unexplained


def test_the_first_group_stands_alone():
    errors = []
    for groups in (None, (8, 64)):
        model = SparseAutoEncoder(64, k=8, groups=groups, random_state=0, max_iter=30).fit(X)
        codes = model.transform(X).toarray()
        codes[:, 8:] = 0
        z = codes @ model.decoder_components_ + model.decoder_bias_
        errors.append(np.sum((z - _scaled(model, X)) ** 2))
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_epochs_one_by_one_are_a_fit(activation):
    model = clone(MODELS[activation]).set_params(learning_rate="constant", dead_after=2)
    whole = clone(model).fit(X)
    for _ in range(3):
        model.partial_fit(X)
    for name, value in whole._state.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(model._state[name], value)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_resumed_training_has_the_same_bits(activation, tmp_path):
    model = clone(MODELS[activation]).set_params(
        learning_rate="constant", tol=0, dead_after=2, checkpoint=tmp_path / "state", resume=True
    )
    whole = clone(model).set_params(checkpoint=None, resume=False, max_iter=5).fit(X)
    model.fit(X)
    resumed = clone(model).set_params(max_iter=5).fit(X)
    assert resumed.n_iter_ == 5
    np.testing.assert_array_equal(resumed._state["params"], whole._state["params"])
    np.testing.assert_array_equal(resumed._state["extra_idle"], whole._state["extra_idle"])


def test_sparse_rows_and_float32(fitted):
    rows = scipy.sparse.csr_matrix(X)
    np.testing.assert_allclose(fitted.transform(rows).toarray(), fitted.transform(X).toarray())
    model = clone(fitted).fit(X.astype(np.float32))
    for each in (
        model.transform(X),
        model.reconstruct(X),
        model.components_,
        model.score_samples(X),
    ):
        assert each.dtype == np.float32
    same = clone(fitted).fit(rows)
    np.testing.assert_allclose(same.decoder_components_, fitted.decoder_components_, atol=1e-8)


def test_early_stopping_keeps_the_best():
    model = SparseAutoEncoder(64, early_stopping=True, max_iter=5, random_state=0).fit(X)
    assert len(model.validation_curve_) == 5 and np.isfinite(model.validation_curve_).all()


@pytest.mark.parametrize("n_components", [None, 3, 64])
def test_default_width_and_k(n_components):
    model = SparseAutoEncoder(n_components, **SHORT).fit(X)
    width = 4 * 64 if n_components is None else n_components
    assert model.n_components_ == width
    assert np.diff(model.transform(X).indptr).max() == max(min(32, width // 8), 1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"k": 25}, "k=25 must be at most the number of features, n_components=24"),
        ({"groups": (4, 12)}, "groups must be integers that increase to n_components=24"),
        ({"groups": (12, 4, 24)}, "groups must be"),
        ({"groups": (0, 24)}, "groups must be"),
        ({"groups": (2.5, 24)}, "groups must be"),
        ({"groups": ()}, "groups must be"),
        ({"solver": "lbfgs"}, "solver"),
    ],
)
def test_wrong_parameters_are_named(params, message):
    model = SparseAutoEncoder(24, k=3, **SHORT).fit(X)
    before = model._state["params"].copy()
    with pytest.raises(ValueError, match=message):
        model.set_params(**params).fit(X)
    np.testing.assert_array_equal(model._state["params"], before)


def test_wrong_arguments_are_named(fitted):
    with pytest.raises(ValueError, match="feature == 24, must be <= 23"):
        fitted.top_samples(X, 24)
    with pytest.raises(ValueError, match="n_samples == 0, must be >= 1"):
        fitted.top_samples(X, 0, 0)
    with pytest.raises(ValueError, match=r"X must have shape \(n_samples, 24\)"):
        fitted.inverse_transform(X[:, :23])
    with pytest.raises(ValueError, match="NaN"):
        fitted.inverse_transform(np.full((1, 24), np.nan))


@pytest.mark.filterwarnings("ignore:.* of the features")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("k", [1, 6])
def test_odd_columns_and_rows(activation, k):
    """Constant and huge columns, rows of zeros, and k that is all features."""
    rows = np.random.default_rng(0).random((50, 5))
    rows[:, 1], rows[:10] = 7.0, 0.0
    rows[:, 2] *= 1e12
    model = SparseAutoEncoder(6, activation=activation, k=k, max_iter=20, random_state=0).fit(rows)
    assert np.isfinite(model.reconstruct(rows)).all() and np.isfinite(model.score(rows))
    if k == 1:
        return
    constant = np.full(model.decoder_components_.shape[1], 0.5 * 4)
    assert -model.score(rows) < constant[0]


def test_most_features_dead_is_told():
    with pytest.warns(
        UserWarning, match="of the features of SparseAutoEncoder were active at none"
    ):
        SparseAutoEncoder(400, k=1, aux=0, dead_after=3, **SHORT).fit(X)


@pytest.mark.parametrize("max_iter", [1, 30])
def test_rows_that_are_all_the_same_are_told(max_iter):
    with pytest.warns(UserWarning, match="rows of SparseAutoEncoder are all the same") as caught:
        SparseAutoEncoder(8, max_iter=max_iter, random_state=0).fit(np.full((20, 3), 2.0))
    assert len(caught) == 1


def test_given_weights():
    rng = np.random.default_rng(0)
    W, D, b, c = (rng.standard_normal(shape) for shape in [(9, 64), (9, 64), 9, 64])
    theta = rng.random(9)
    model = SparseAutoEncoder.from_weights(W, b, D, c, activation="jumprelu", thresholds=theta)
    a = X @ W.T + b
    codes = np.where(a > theta, a, 0)
    np.testing.assert_allclose(model.transform(X).toarray(), codes)
    np.testing.assert_allclose(model.reconstruct(X), codes @ D + c)
    np.testing.assert_allclose(model.thresholds_, theta)
    model.partial_fit(X)
    np.testing.assert_allclose(np.linalg.norm(model.decoder_components_, axis=1), 1)
    for options, message in (
        ({"thresholds": theta}, "thresholds must be given for activation='jumprelu', and for no"),
        ({"activation": "topk"}, "k must be given for activation='topk'"),
        ({"activation": "tanh"}, "activation must be"),
        ({"activation": "jumprelu", "thresholds": theta[1:]}, r"thresholds must have shape \(9,\)"),
        ({"activation": "jumprelu", "thresholds": -theta}, "thresholds must not be negative"),
    ):
        with pytest.raises(ValueError, match=message):
            SparseAutoEncoder.from_weights(W, b, D, c, **options)
    with pytest.raises(ValueError, match=r"decoder_components must have shape \(9, 64\)"):
        SparseAutoEncoder.from_weights(W, b, D[1:], c)


def test_a_step_has_no_part_along_the_directions():
    rng = np.random.default_rng(0)
    atoms, gradients = rng.standard_normal((2, 5, 7))
    expected = (
        gradients
        - atoms * (np.sum(atoms * gradients, axis=1) / np.sum(atoms**2, axis=1))[:, np.newaxis]
    )
    project_rows(gradients, atoms)
    np.testing.assert_allclose(gradients, expected)
    normalize_rows(atoms)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1)


@pytest.mark.parametrize(("n_columns", "step"), [(4, 5e-3), (400, 2e-3)])
def test_default_steps_suit_the_number_of_columns(n_columns, step):
    rows = np.random.default_rng(0).standard_normal((40, n_columns))
    fitted = [
        SparseAutoEncoder(8, k=2, **SHORT, **options).fit(rows).decoder_components_
        for options in ({}, {"learning_rate_init": step})
    ]
    np.testing.assert_array_equal(*fitted)
