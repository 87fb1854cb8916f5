"""Nothing that is fitted or drawn is infinite or NaN: trainings, scales and chains that leave the range of numbers."""

from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skae import (
    PSD,
    RBM,
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    RecurrentAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAERegressor,
)
from skae.generative import (
    EnergyAE,
    JointEnergy,
    ball_moments,
    parzen_log_likelihood,
    sample_chain,
    sample_langevin,
    sample_walkback,
)
from skae.images import ZCA, normalize_contrast
from skae.manifold import tangent_basis

X = load_iris().data[::3]
LINEAR = {"activation": "identity", "random_state": 0}
pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


def _finite(thing):
    """Return whether all arrays and numbers in the attributes of ``thing`` are finite."""
    if isinstance(thing, np.ndarray):
        return thing.dtype.kind != "f" or bool(np.isfinite(thing).all())
    if isinstance(thing, dict):
        return all(_finite(each) for name, each in thing.items() if name != "best")
    if isinstance(thing, (list, tuple)):
        return all(map(_finite, thing))
    return not hasattr(thing, "__dict__") or isinstance(thing, type) or _finite(vars(thing))


LAYERS = [
    ("low", AutoEncoder(3, **LINEAR, max_iter=1)),
    ("high", AutoEncoder(2, **LINEAR, max_iter=1)),
]
ONE_STEP = {"solver": "sgd", "learning_rate_init": 1e200, "batch_size": 50, "max_iter": 1}
EXPLODING = [
    *(
        Model(3, **LINEAR, **ONE_STEP)
        for Model in (AutoEncoder, DenoisingAE, ContractiveAE, EnergyAE)
    ),
    SparseAutoEncoder(3, activation="relu", **ONE_STEP, random_state=0),
    RecurrentAE(LAYERS, **ONE_STEP, random_state=0),
    StackedAERegressor(LAYERS, **ONE_STEP, random_state=0),
]


@pytest.mark.parametrize("model", EXPLODING, ids=lambda model: type(model).__name__)
def test_the_last_step_ends_in_a_finite_loss(model):
    with pytest.raises(ValueError, match="not finite in epoch 1"):
        model.fit(X, X[:, 0])
    assert _finite(model) and np.isfinite(model.score(X, X[:, 0]))


@pytest.mark.slow
def test_draws_of_parameters_have_a_finite_energy():
    model = JointEnergy(AutoEncoder(3, **LINEAR), step_size=1e10, n_draws=20, burn_in=1)
    with pytest.raises(ValueError, match="lower step_size"):
        model.fit(X)
    assert not hasattr(model, "draws_")
    for scale in (1e-300, 1e300):
        with pytest.raises(ValueError, match="prior_scale must be within"):
            model.set_params(step_size="auto", prior_scale=scale).fit(X)


def test_moments_of_the_solver_stay_finite():
    # The loss, 1e200, is a number; the squares of its gradient are not.
    model = AutoEncoder(3, **LINEAR, standardize=False, loss="gaussian", max_iter=1)
    with pytest.raises(ValueError, match="not finite in epoch 1"):
        model.fit(1e100 * X)
    assert _finite(model)


@pytest.mark.parametrize("power", [-700, 1000])
@pytest.mark.parametrize(
    "Model", [AutoEncoder, ContractiveAE, EnergyAE, partial(RBM, visible="gaussian")]
)
def test_units_do_not_matter_where_squares_are_no_numbers(Model, power):
    model = Model(5, max_iter=2, random_state=0).fit(X)
    other = Model(5, max_iter=2, random_state=0).fit(np.ldexp(X, power))
    np.testing.assert_array_equal(other.scale_, np.ldexp(model.scale_, power))
    np.testing.assert_array_equal(other.transform(np.ldexp(X, power)), model.transform(X))


@pytest.mark.parametrize("power", [-700, 1000])
def test_anomalies_do_not_depend_on_units(power):
    detector, other = (
        AnomalyDetector(AutoEncoder(3, max_iter=2, random_state=0)).fit(rows)
        for rows in (X, np.ldexp(X, power))
    )
    np.testing.assert_array_equal(
        other.score_samples(np.ldexp(X, power)), detector.score_samples(X)
    )


def test_one_value_of_another_size():
    other = X.copy()
    other[3, 2] = 1e300
    for model in (AutoEncoder(3, max_iter=2), EnergyAE(3, max_iter=2), RBM(3, max_iter=2), ZCA()):
        assert _finite(model.fit(other)) and np.isfinite(model.transform(other)).all()
    for Model in (AutoEncoder, EnergyAE):
        model = Model(3, standardize=False)
        with pytest.raises(ValueError, match="scale X, or set standardize"):
            model.fit(other)
        assert not hasattr(model, "_state")


@pytest.mark.parametrize("power", [-700, 700])
def test_images_of_any_scale(power):
    whitened = ZCA().fit_transform(X)
    np.testing.assert_array_equal(ZCA().fit_transform(np.ldexp(X, power)), whitened)
    floor = np.ldexp(0.01, power)
    scaled = normalize_contrast(np.ldexp(X, power), floor=floor)
    np.testing.assert_array_equal(scaled, normalize_contrast(X))


def test_whitening_beyond_the_range_of_numbers_is_refused():
    model = ZCA().fit(X)
    with pytest.raises(ValueError, match="too small for float64: scale it"):
        model.fit(1e-310 * X)
    np.testing.assert_allclose(model.mean_, X.mean(axis=0))


@pytest.mark.parametrize("scale", [1e-38, 1e-30, 1e-20, 1e18])
@pytest.mark.parametrize("Coder", [SparseCoder, PSD])
def test_atoms_of_tiny_and_of_large_samples_have_norm_1(Coder, scale):
    rows = (scale * X).astype(np.float32)
    model = Coder(5, alpha=0.1 * scale, max_iter=1, random_state=0)
    try:
        model.fit(rows)
    except ValueError as error:
        assert "Scale X" in str(error)
    np.testing.assert_allclose(np.linalg.norm(model.components_, axis=1), 1, rtol=1e-5)
    tiny = SparseCoder.from_estimator(type("Found", (), {"components_": 1e-200 * X})())
    np.testing.assert_allclose(np.linalg.norm(tiny.dictionary, axis=1), 1)


def test_chains_that_diverge_are_refused():
    energy = EnergyAE(3, max_iter=2, random_state=0).fit(X)
    joint = JointEnergy(AutoEncoder(3, **LINEAR, max_iter=2), n_draws=1, burn_in=1).fit(X)
    denoising = DenoisingAE(3, **LINEAR, corruption="gaussian", max_iter=2).fit(X)
    huge = {"corruption": "gaussian", "corruption_level": 1e200}
    for draw in (
        lambda: energy.sample(method="langevin", step_size=1e5, random_state=0),
        lambda: joint.sample(step_size=1e5, random_state=0),
        lambda: sample_langevin(denoising, X[:3], sigma=1e-5, step_size=9.0, random_state=0),
        lambda: sample_chain(denoising, X[:3], sigma=1.7e308, random_state=0),
        lambda: sample_walkback(denoising, X[:3], **huge, output_noise=1.7e308, random_state=0),
    ):
        with pytest.raises(ValueError, match="The chain diverged"):
            draw()
    with pytest.warns(UserWarning, match="No step of the chains was accepted"):
        assert np.isfinite(energy.sample(3, step_size=1e5, random_state=0)).all()
    with pytest.raises(ValueError, match="sigma must be within"):
        sample_langevin(denoising, X[:3], sigma=1e200)


@pytest.mark.filterwarnings("ignore:The chains have run away")
def test_chains_that_are_finite_and_absurd_are_warned_of():
    energy = EnergyAE(3, max_iter=2, random_state=0).fit(X)
    joint = JointEnergy(AutoEncoder(3, **LINEAR, max_iter=2), n_draws=1, burn_in=1).fit(X)
    binary = JointEnergy(AutoEncoder(3, loss="bernoulli", max_iter=2), n_draws=1, burn_in=1)
    binary.fit((X > X.mean()).astype(float))
    options = {"corruption": "gaussian", "max_iter": 2, "loss": "gaussian", "random_state": 0}
    denoising = DenoisingAE(3, **options).fit(X)
    for draw, warning in (
        (lambda: energy.sample(3, method="langevin", n_steps=3, step_size=1e5), "Lower step_size"),
        (lambda: joint.sample(3, n_steps=1, step_size=1e113), "Lower step_size"),
        (lambda: joint.sample(3, n_steps=3, step_size=1e3), "Lower step_size"),
        (lambda: binary.sample(3, n_steps=3, step_size=1e226), "Lower step_size"),
        (lambda: sample_langevin(denoising, X[:3], 3, step_size=1e3), "Lower step_size"),
        (lambda: sample_chain(denoising, X[:3], 3, sigma=1e113), "the noise is too large"),
    ):
        with pytest.warns(UserWarning, match=warning) as record:
            draw()
        assert {each.filename for each in record} == {__file__}


def test_moments_and_normalizers_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="Moments of X are beyond the range of float64"):
        ball_moments(1e300 * X, 1e300 * X[:2], radius=5e300)
    machine = RBM(25, visible="gaussian", max_iter=1, random_state=0).fit(X)
    machine._state["params"] *= 1e200
    with pytest.raises(ValueError, match="log Z is beyond the range of numbers"):
        machine.log_partition(n_runs=5, n_temperatures=20, random_state=0)


@pytest.mark.parametrize("sigma", [1e-300, 1e-160, 1e-100, 1e300])
def test_kernels_that_are_no_numbers_are_refused(sigma):
    with pytest.raises(ValueError, match="Log-densities are not finite.*sigma"):
        parzen_log_likelihood(X[:20], X[20:], sigma)


def test_a_kernel_is_nowhere_higher_than_at_its_center():
    """Rounding made squared distances negative, and so densities at a training row as large as one likes."""
    sigma = 1e-12
    values = parzen_log_likelihood(X, X, sigma).log_likelihoods
    assert values.max() <= -4 * np.log(sigma * np.sqrt(2 * np.pi))


def test_squares_beyond_the_range_of_numbers_are_refused_without_training():
    coder = SparseCoder(dictionary=np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="squares overflow in float32: scale X"):
        coder.fit(np.full((5, 3), 1e22, np.float32))
    assert not hasattr(coder, "n_features_in_")


class _Leaping:
    """A solver whose third step leaves the range of numbers."""

    def start(self, params):
        return {"n_steps": np.zeros(1, int)}

    def step(self, params, grad, state, learning_rate):
        state["n_steps"] += 1
        params += 1e300 if state["n_steps"][0] == 3 else 1e-3


@pytest.mark.parametrize("how", [{}, {"max_iter": 3}, {"checkpoint": True}], ids=str)
def test_the_last_finite_epoch_is_kept(how, tmp_path):
    options = {**LINEAR, "solver": _Leaping(), "batch_size": 50, "max_iter": 9}
    expected = AutoEncoder(3, **{**options, "max_iter": 2}).fit(X)
    if "checkpoint" in how:
        how = {"checkpoint": tmp_path / "state"}
    model = AutoEncoder(3, **{**options, **how})
    with pytest.raises(ValueError, match="not finite in epoch 3.*last finite epoch are kept"):
        model.fit(X)
    np.testing.assert_array_equal(model._state["params"], expected._state["params"])
    assert model.loss_curve_ == expected.loss_curve_ and np.isfinite(model.score(X))
    if "checkpoint" in how:
        resumed = AutoEncoder(3, **options, **how, resume=True)
        with pytest.raises(ValueError, match="not finite in epoch 3"):
            resumed.fit(X)
        np.testing.assert_array_equal(resumed._state["params"], expected._state["params"])


def test_slopes_by_tiny_columns_are_finite_or_refused():
    unit, options = np.float32(2.0**-120), {"max_iter": 1, "random_state": 0}
    usual = X.astype(np.float32)
    expected = tangent_basis(ContractiveAE(3, **options).fit(usual), usual, 2).singular_values
    model = ContractiveAE(3, **options).fit(unit * usual)
    found = tangent_basis(model, unit * usual, 2).singular_values
    np.testing.assert_allclose(unit * found, expected, rtol=1e-4)
    model._state["params"] *= 1e5
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match="derivatives .* scale X, or give it in float64"),
    ):
        tangent_basis(model, np.zeros_like(usual), 2)
    subnormal = (1e-40 * X).astype(np.float32)
    with pytest.warns(UserWarning, match="codes of ContractiveAE are constant"):
        constant = ContractiveAE(3, **options).fit(subnormal)
    assert np.isfinite(tangent_basis(constant, subnormal, 2).singular_values).all()
    wide = ContractiveAE(3, max_iter=1, random_state=0).fit(1e-40 * X)
    assert np.isfinite(tangent_basis(wide, 1e-40 * X, 2).singular_values).all()
