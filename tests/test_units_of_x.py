"""Results in any units of X: numbers whose squares overflow or underflow have the neighbors and moments of others."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.neighbors import KNeighborsClassifier

from skae import (
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    ManifoldTangentClassifier,
    SparseAutoEncoder,
    SparseCoder,
    StackedAEClassifier,
)
from skae.generative import EnergyAE, JointEnergy, ball_moments, local_moments
from skae.images import ZCA, ConvolutionalFeatures, ConvolutionalPSD
from skae.manifold import LocalPCA, TangentNeighborsClassifier, tangent_basis

X, y = load_iris(return_X_y=True)
X, y = X[::3] - 3, y[::3]
FAST = {"max_iter": 2, "random_state": 0}
# Powers of two change no digit.
UNITS = [
    *((np.float64, 2.0**power) for power in (-900, -600, 600, 900)),
    *((np.float32, 2.0**power) for power in (-90, 90)),
]
in_all_units = pytest.mark.parametrize(("dtype", "unit"), UNITS)


@in_all_units
@pytest.mark.parametrize("planes", ["query", "both"])
def test_neighbors_by_tangent_distance(dtype, unit, planes):
    data, units = X.astype(dtype), dtype(unit)
    model = TangentNeighborsClassifier(ContractiveAE(3, **FAST), n_candidates=20, planes=planes)
    expected = model.fit(data, y).predict_proba(data)
    assert expected.min() < 1
    found = model.fit(units * data, y).predict_proba(units * data)
    np.testing.assert_array_equal(found, expected)


@in_all_units
def test_principal_components_of_neighbors(dtype, unit):
    # No two rows are equally far apart.
    data, units = np.random.default_rng(0).normal(size=(40, 4)).astype(dtype), dtype(unit)
    model = LocalPCA(8).fit(units * data)
    (basis, values) = tangent_basis(model, units * data[:5], 2)
    for row, tangents, found in zip(data, basis, values):
        # By brute force, in units of 1.
        near = data[np.argsort(((data - row).astype(float) ** 2).sum(axis=1), kind="stable")[:8]]
        _, deviations, axes = np.linalg.svd((near - near.mean(axis=0)) / np.sqrt(7))
        np.testing.assert_allclose(tangents.T @ tangents, axes[:2].T @ axes[:2], atol=1e-3)
        np.testing.assert_allclose(found / units, deviations[:2], rtol=1e-3)


@pytest.mark.parametrize(("dtype", "unit"), [*UNITS[:4], (np.float32, 2.0**30)])
def test_balls_have_the_rows_within_their_radius(dtype, unit):
    data, units = X.astype(dtype), dtype(unit)
    expected = ball_moments(data, data[:3], 0.8)
    try:
        found = ball_moments(units * data, units * data[:3], 0.8 * float(units))
    except ValueError as error:  # squares of X are no numbers
        assert str(error) == f"Moments of X are beyond the range of {data.dtype}: scale X."
        assert abs(np.log2(unit)) > 500
        return
    np.testing.assert_allclose(found.mean / units, expected.mean, rtol=1e-6)
    np.testing.assert_allclose(found.covariance / units / units, expected.covariance, rtol=1e-5)


def test_a_ball_of_a_tiny_radius_has_no_rows_far_away():
    points = np.array([[0.0], [1e-200], [3e-200], [1.0]])
    with pytest.raises(ValueError, match="radius=1e-201 leaves 1 rows of X in a ball"):
        ball_moments(points[:3], points[:1], 1e-201)
    mean, _ = ball_moments(1e50 * points[:3], points[:1], 2e-150)
    np.testing.assert_allclose(mean, [[0.5e-150]])
    with pytest.raises(ValueError, match="radius=1e-200 is too small beside values of X"):
        ball_moments(points, points[:1], 1e-200)


@pytest.mark.parametrize("unit", [2.0**-600, 2.0**600])
def test_moments_that_are_no_numbers_are_refused(unit):
    model = AutoEncoder(3, loss="gaussian", **FAST).fit(unit * X)
    with pytest.raises(ValueError, match="Moments of X are beyond the range of float64"):
        local_moments(model, unit * X[:3], 0.5)


@pytest.mark.slow
@in_all_units
def test_deviations_of_reconstructions(dtype, unit):
    data, units = np.column_stack([X, np.full(len(X), 2.0)]).astype(dtype), dtype(unit)
    base = AutoEncoder(2, loss="gaussian", **FAST)
    model = JointEnergy(base, n_draws=8, burn_in=2, step_size=1e-3, random_state=0)
    with pytest.warns(UserWarning):
        expected = model.fit(data).predict_distribution(data), model.diagnose(data)
        found = (
            model.fit(units * data).predict_distribution(units * data),
            model.diagnose(units * data),
        )
    (mean, deviation), diagnostics = found
    assert (expected[0].standard_deviation[:, :4] > 0).all()
    np.testing.assert_array_equal(mean / units, expected[0].mean)
    np.testing.assert_array_equal(deviation / units, expected[0].standard_deviation)
    np.testing.assert_array_equal(diagnostics, expected[1])


def test_deviations_are_those_of_the_draws():
    model = JointEnergy(AutoEncoder(2, **FAST), n_draws=8, burn_in=2, random_state=0)
    with pytest.warns(UserWarning):
        model.fit(X)
    fitted = model.base_.model_
    each = []
    for flat in model.draws_:
        params = fitted.network.views(flat)
        each.append(
            fitted.scaling.invert(
                fitted.loss.activate(fitted.network.reconstruct(params, fitted.scaling.apply(X)))
            )
        )
    mean, deviation = model.predict_distribution(X)
    np.testing.assert_allclose(mean, np.mean(each, axis=0))
    np.testing.assert_allclose(deviation, np.std(each, axis=0), rtol=1e-6)


def test_rows_far_beyond_those_of_fit_are_refused():
    model = TangentNeighborsClassifier(LocalPCA(8), n_tangents=2).fit(X, y)
    for rows in (1e200 * X, np.full_like(X, 1e308)):
        with pytest.raises(ValueError, match="scale X as it was in fit"):
            model.predict(rows)
    far = 1e100 * X
    plain = KNeighborsClassifier(5).fit(X, y)
    assert model.predict(far).shape == plain.predict(far).shape


@pytest.mark.parametrize(
    ("dtype", "unit"), [(np.float64, 1e-310), (np.float32, 1e-42), (np.float64, 1.0)]
)
def test_columns_below_the_normal_numbers_are_constant(dtype, unit):
    data = (unit * X).astype(dtype) if unit < 1 else np.ones_like(X)
    for model in (AutoEncoder(4, **FAST), RBM(2, **FAST)):
        with pytest.warns(UserWarning, match="constant"), np.errstate(under="raise"):
            model.fit(data)
        assert (model.scale_ == 1).all() and np.isfinite(model.score_samples(data)).all()
    with pytest.warns(UserWarning, match="constant"):
        assert np.isfinite(
            AnomalyDetector(AutoEncoder(2, **FAST)).fit(data).score_samples(data)
        ).all()


@pytest.mark.parametrize("unit", [1e-300, 1e-150])
def test_underflow_is_no_error_in_fit(unit):
    with np.errstate(under="raise"):
        for model in (AutoEncoder(2, **FAST), ContractiveAE(2, **FAST), RBM(2, **FAST)):
            assert np.isfinite(model.fit(unit * X).loss_)


TINY, HUGE = 5e-320 * X, 1e150 * X
MIXED = X * [1e-300, 1, 1e10, 1e-20]


@pytest.mark.parametrize(
    ("model", "rows"),
    [
        (AutoEncoder(2, **FAST), TINY),
        (SparseAutoEncoder(8, k=2, **FAST), TINY),
        (SparseAutoEncoder(8, k=2, **FAST), (1e-38 * X).astype(np.float32)),
        (SparseCoder(2, **FAST), TINY),
        (SparseCoder(2, max_iter=3, random_state=0), HUGE),
        (PSD(2, max_iter=3, random_state=0), HUGE),
        (ZCA(), MIXED),
    ],
    ids=lambda each: type(each).__name__,
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_numbers_of_any_size_are_no_errors_of_numpy(model, rows):
    model = clone(model)
    with np.errstate(all="raise"):
        codes = model.fit(rows).transform(rows)
        assert np.isfinite(model.inverse_transform(codes)).all()
        for name in {"reconstruct", "score_samples", "report"} & set(dir(model)):
            getattr(model, name)(rows)


def test_whitening_of_tiny_numbers_is_refused_without_a_warning():
    with np.errstate(all="raise"), pytest.raises(ValueError, match="too small for float64"):
        ZCA().fit(TINY)


LONG_STEPS = {"learning_rate_init": 10.0, "max_iter": 5, "random_state": 0}


@pytest.mark.parametrize(
    "model",
    [
        AutoEncoder(4, activation="softplus", **FAST),
        RBM(2, **FAST),
        EnergyAE(2, **FAST),
        SparseCoder(2, **FAST),
        TangentNeighborsClassifier(LocalPCA(5)),
        StackedAEClassifier([("low", AutoEncoder(4, activation="relu"))], **LONG_STEPS),
        ManifoldTangentClassifier(
            AutoEncoder(4, activation="relu"), output="sigmoid", n_tangents=1, **LONG_STEPS
        ),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_underflow_is_no_error_in_methods(model, dtype):
    model = clone(model).fit(X.astype(dtype), np.arange(len(X)) % 2)
    small, large = 1e-30 * np.finfo(dtype).eps * X, 30 * model.n_features_in_ * X
    names = "transform reconstruct score_samples predict_proba predict_log_proba report energy"
    for name in set(names.split()) & set(dir(model)):
        for rows in (small, large, -large):
            with np.errstate(under="raise"):
                getattr(model, name)(rows.astype(dtype))


SECONDS = 1_700_000_000 + np.random.default_rng(0).integers(-500, 500, (60, 4))
MODELS_OF_ROWS = [
    AutoEncoder(2, max_iter=2, random_state=0),
    RBM(2, max_iter=2, random_state=0),
    SparseCoder(2, alpha=0.1, max_iter=2, random_state=0),
    ZCA(),
]


def _beside_floats(values):
    """Return a frame of whole numbers and a column of float32, which must not decide the dtype of all."""
    frame = pd.DataFrame(values, columns=list("abcd"))
    return frame.assign(e=np.linspace(0, 1, len(values), dtype=np.float32))


FORMS_OF_SECONDS = [
    lambda values: values.astype(np.uint32),
    lambda values: (values[start : start + 20] for start in range(0, 60, 20)),
    csr_matrix,
    _beside_floats,
    lambda values: _beside_floats(values).convert_dtypes(),
    lambda values: pytest.importorskip("polars").from_pandas(_beside_floats(values)),
    lambda values: pytest.importorskip("pyarrow").Table.from_pandas(_beside_floats(values)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", MODELS_OF_ROWS, ids=lambda model: type(model).__name__)
@pytest.mark.parametrize("form", FORMS_OF_SECONDS)
def test_whole_numbers_beyond_float32_keep_their_digits(model, form):
    if form is csr_matrix and isinstance(model, ZCA):
        return
    X = form(SECONDS)
    expected = SECONDS.astype(float)
    if getattr(X, "shape", (0, 4))[1] == 5 or hasattr(X, "schema"):
        expected = _beside_floats(SECONDS).to_numpy(np.float64)
    plain = clone(model).fit(expected).transform(expected)
    found = np.asarray(clone(model).fit_transform(X))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, plain, rtol=1e-9, atol=1e-9 * np.abs(plain).max())


def test_whole_numbers_that_float32_has_rounded_are_told():
    X = SECONDS.astype(np.float32)
    message = "Column {} has values from 1699999488 to 1700000512 in float32.*counts as constant"
    for rows in (X, np.column_stack([X, np.linspace(0, 1, 60, dtype=np.float32)])):
        with pytest.warns(UserWarning, match=message.format(0)):
            AutoEncoder(2, max_iter=1).fit(rows)
    with pytest.warns(UserWarning, match=message.format("'a'")):
        RBM(2, max_iter=1).fit(pd.DataFrame(X, columns=list("abcd")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in (X - X.min(), SECONDS, np.ones_like(X) * 2**30, X / 2**20):
            rows = np.column_stack([rows, np.linspace(0, 1, 60)]).astype(rows.dtype)
            AutoEncoder(2, max_iter=5, random_state=0).fit(rows)


@pytest.mark.parametrize(
    "model",
    [
        ConvolutionalFeatures(3, patch_size=3, n_patches=50, random_state=0),
        ConvolutionalPSD(3, patch_size=3, max_iter=2, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.filterwarnings("ignore:.*codes:UserWarning")
@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.int64])
def test_pixels_beyond_float32_keep_their_digits(model, dtype):
    rng = np.random.default_rng(0)
    images = (1_700_000_000 + rng.integers(-50, 50, (12, 8, 8))).astype(dtype)
    expected = clone(model).fit_transform(images.astype(np.float64))
    found = clone(model).fit_transform(images)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)
    small = clone(model).fit(rng.integers(0, 999, (12, 8, 8)).astype(dtype))
    assert small.transform(images[:2] // 10**7).dtype == np.float32
    with pytest.warns(
        UserWarning, match="whole numbers up to 1.7e.09, which lose digits in float32"
    ):
        small.transform(images)


@pytest.mark.parametrize(
    "model",
    [
        AutoEncoder(2, **FAST),
        RBM(2, **FAST),
        SparseAutoEncoder(4, **FAST),
        AnomalyDetector(AutoEncoder(2, **FAST)),
        EnergyAE(2, **FAST),
        EnergyAE(2, activation="relu", **FAST),
        EnergyAE(2, activation="identity", **FAST),
    ],
)
@pytest.mark.filterwarnings("ignore:.*worse than constant:UserWarning")
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e30), (np.float64, 1e200)])
def test_scores_of_rows_far_from_all_others(model, dtype, size):
    data = np.column_stack([X, np.ones(len(X))]).astype(dtype)
    model = clone(model).fit(data)
    far = dtype(size) * np.sign(data[:9] - 1.0 / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Column 4 was always 1", UserWarning)
        found = model.score_samples(far)
    assert found.max() < model.score_samples(data).min()


@pytest.mark.filterwarnings("ignore::UserWarning")  # the codes say little
@pytest.mark.parametrize("model", [AutoEncoder(2), RBM(2), SparseAutoEncoder(4, k=2)], ids=str)
@pytest.mark.parametrize("value", [1e300, -1e300])
def test_constant_columns_near_the_largest_numbers(model, value):
    fitted = clone(model).set_params(max_iter=1, random_state=0).fit(np.full((9, 3), value))
    np.testing.assert_array_equal(fitted.center_, value)
