"""The ways of training: passes, restarts, stops, kills and failures."""

import pickle
import warnings

import joblib
import numpy as np
import pytest
from processes import kill_fit_when
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from skae import (
    PSD,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    SparseAutoEncoder,
    SparseCoder,
)
from skae._protocols import Observer
from skae.generative import EnergyAE

X = (load_digits().data / 16).astype(np.float32)
SMALL = {"n_components": 16, "batch_size": 100, "random_state": 0}
# What a training does in an epoch does not depend on how many there will be.
STEADY = {**SMALL, "learning_rate": "constant"}
MODELS = [AutoEncoder, DenoisingAE, ContractiveAE]


def _weights(model):
    return np.concatenate([model.components_.ravel(), model.encoder_bias_, model.decoder_bias_])


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("Model", MODELS)
def test_partial_fits_equal_one_fit(Model, solver):
    whole = Model(**STEADY, max_iter=4, solver=solver).fit(X)
    parts = Model(**STEADY, solver=solver)
    for _ in range(4):
        parts.partial_fit(X)
    np.testing.assert_array_equal(_weights(parts), _weights(whole))
    assert parts.loss_curve_ == whole.loss_curve_


def test_warm_start_goes_on():
    whole = DenoisingAE(**STEADY, max_iter=4).fit(X)
    again = DenoisingAE(**STEADY, max_iter=2, warm_start=True).fit(X).fit(X)
    np.testing.assert_array_equal(_weights(again), _weights(whole))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_reduces_the_loss_and_keeps_the_dtype(solver, dtype):
    model = AutoEncoder(**SMALL, max_iter=20, solver=solver, tol=1e-9).fit(X.astype(dtype))
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]
    assert model.components_.dtype == model.transform(X.astype(dtype)).dtype == dtype


def test_early_stopping_keeps_the_best_weights():
    model = AutoEncoder(**SMALL, max_iter=200, early_stopping=True, n_iter_no_change=3, tol=0.02)
    model.fit(X)
    assert model.converged_ and model.n_iter_ < 200
    assert len(model.validation_curve_) == model.n_iter_
    with pytest.raises(ValueError, match="validation_fraction"):
        AutoEncoder(early_stopping=True).fit(X[:5])


@pytest.mark.slow
@pytest.mark.parametrize("Model", MODELS)
def test_killed_training_resumes_to_the_same_bits(Model, tmp_path):
    path = tmp_path / "state.npz"
    steady = {**STEADY, "tol": 0, "n_iter_no_change": 100000}
    kill_fit_when(path, Model(**steady, max_iter=100000, checkpoint=path), X)
    with np.load(path) as file:
        n_done = len(__import__("json").loads(str(file["header"]))["state"]["loss_curve"])
    options = {**steady, "max_iter": n_done + 3}
    resumed = Model(**options, checkpoint=path, resume=True).fit(X)
    whole = Model(**options).fit(X)
    assert resumed.loss_curve_ == whole.loss_curve_
    np.testing.assert_array_equal(_weights(resumed), _weights(whole))


def test_a_foreign_or_torn_checkpoint_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    AutoEncoder(**SMALL, max_iter=1, checkpoint=path).fit(X)
    with pytest.raises(ValueError, match="X differs"):
        AutoEncoder(**SMALL, max_iter=1, checkpoint=path, resume=True).fit(X[1:])
    with pytest.raises(ValueError, match="batch_size differs"):
        AutoEncoder(16, random_state=0, checkpoint=path, resume=True).fit(X)
    content = path.read_bytes()
    for size in range(0, len(content), 1024):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match="cannot be read"):
            AutoEncoder(**SMALL, checkpoint=path, resume=True).fit(X)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1e10, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("Model", MODELS)
def test_any_scale_ends_finite(Model, dtype, scale):
    model = Model(**SMALL, max_iter=2, loss="gaussian")
    try:
        model.fit(X.astype(dtype) * dtype(scale))
    except ValueError as error:
        assert "learning_rate_init" in str(error)
    assert np.isfinite(_weights(model)).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_names_the_epoch_and_the_cure():
    model = AutoEncoder(**SMALL, activation="identity", solver="sgd", learning_rate_init=1e6)
    with pytest.raises(ValueError, match="epoch 1.*Scale X.*learning_rate_init"):
        model.fit(X)
    assert np.isfinite(_weights(model)).all()
    assert model.transform(X).shape == (len(X), 16)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_in_the_first_epoch_leaves_an_earlier_fit():
    model = AutoEncoder(**SMALL, max_iter=2).fit(X)
    before = _weights(model)
    with pytest.raises(ValueError, match="epoch 1"):
        model.set_params(loss="gaussian", standardize=False, activation="identity").fit(1e30 * X)
    np.testing.assert_array_equal(_weights(model), before)
    assert model.n_iter_ == 2


@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::UserWarning")
@pytest.mark.parametrize("Model", [*MODELS, SparseAutoEncoder, SparseCoder, PSD, RBM, EnergyAE])
@pytest.mark.parametrize("method", ["partial_fit", "fit"])
def test_divergence_in_the_first_epoch_that_goes_on_leaves_all_as_it_was(Model, method):
    rows = X[:200].astype(np.float64)
    model = Model(8, max_iter=2, random_state=0, warm_start=method == "fit").fit(rows)
    before = joblib.hash(vars(model))
    with pytest.raises(ValueError, match="epoch 3"):
        getattr(model, method)(1e300 * rows)
    assert joblib.hash(vars(model)) == before


def test_interrupt_publishes_consistent_weights():
    class Interrupting:
        def __init__(self):
            self.calls = 0

        def __call__(self, X, seed, out):
            self.calls += 1
            out[:] = X
            if self.calls == 50:
                raise KeyboardInterrupt

    model = DenoisingAE(**SMALL, corruption=Interrupting())
    with pytest.raises(KeyboardInterrupt):
        model.fit(X)
    assert model.n_iter_ == 2
    assert np.isfinite(model.transform(X)).all()
    model.set_params(warm_start=True, max_iter=1).fit(X)
    assert model.n_iter_ == 3


@pytest.mark.parametrize("Model", [AutoEncoder, SparseCoder, PSD])
def test_warm_start_goes_on_after_convergence(Model):
    model = Model(8, tol=0.5, n_iter_no_change=2, max_iter=20, warm_start=True, random_state=0)
    if Model is not SparseCoder:
        model.set_params(learning_rate="constant")
    n_epochs = model.fit(X).n_iter_
    assert model.converged_ and n_epochs < 20
    assert model.fit(2 * X).n_iter_ > n_epochs


BAD_PARAMETERS = [
    {"n_components": 0},
    {"contraction": -1.0},
    {"activation": "cubic"},
    {"loss": "huber"},
    {"loss": [("gaussian", [0])]},
    {"loss": []},
    {"learning_rate_init": 0.0},
    {"hidden_layer_sizes": (0,)},
    {"tied_weights": False},
]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS, ids=str)
def test_bad_parameters_leave_the_model(parameters):
    model = ContractiveAE(**SMALL, max_iter=1).fit(X)
    before = pickle.dumps(vars(model))
    old = {name: getattr(model, name) for name in parameters}
    with pytest.raises(ValueError, match=next(iter(parameters))):
        model.set_params(**parameters).fit(X)
    assert pickle.dumps(vars(model.set_params(**old))) == before


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score"])
@pytest.mark.parametrize(
    "bad",
    [
        np.full((20, 64), np.nan),
        np.full((20, 64), np.inf),
        np.empty((0, 64)),
        np.ones((20, 64)) * 1j,
        np.full((20, 64), "a"),
        np.full((20, 64), 2.0),
        np.ones((20, 3)),
    ],
    ids=["nan", "inf", "empty", "complex", "strings", "range", "width"],
)
def test_bad_data_leave_the_model(bad, method):
    model = ContractiveAE(**SMALL, loss="bernoulli", max_iter=1).fit(X)
    if method == "transform" and bad.dtype == float and (bad == 2).all():
        pytest.skip("codes exist for values that the loss does not take")
    if method != "fit" and bad.dtype == float and np.isnan(bad).all():
        pytest.skip("missing values are taken where columns are known")
    if method == "fit" and bad.shape[1] == 3:
        pytest.skip("another width is another model")
    before = pickle.dumps(vars(model))
    with pytest.raises(ValueError):
        getattr(model, method)(bad)
    assert pickle.dumps(vars(model)) == before


def test_early_stopping_needs_weights_on_both_sides():
    weights = np.zeros(len(X))
    weights[:1] = 1
    with pytest.raises(ValueError, match="leaves 0 of 1 samples"):
        AutoEncoder(**SMALL, early_stopping=True).fit(X, sample_weight=weights)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_does_not_go_beyond_its_iterations(tmp_path):
    options = {
        "solver": "lbfgs",
        "learning_rate": "constant",
        "checkpoint": tmp_path / "state",
        "resume": True,
    }
    first = AutoEncoder(4, random_state=0, max_iter=3, **options).fit(X)
    again = AutoEncoder(4, random_state=0, max_iter=3, **options).fit(X)
    assert first.n_iter_ == again.n_iter_ == 3
    np.testing.assert_array_equal(_weights(first), _weights(again))
    assert AutoEncoder(4, random_state=0, max_iter=6, **options).fit(X).n_iter_ == 6


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_goes_on_from_a_finished_checkpoint(tmp_path):
    options = {**STEADY, "max_iter": 2, "warm_start": True, "resume": True}
    again = AutoEncoder(**options, checkpoint=tmp_path / "state").fit(X).fit(X)
    whole = AutoEncoder(**STEADY, max_iter=4).fit(X)
    np.testing.assert_array_equal(_weights(again), _weights(whole))


def _held_out_loss(model, n_held_out):
    """Return the loss of the rows that a fit to ``X`` with ``random_state=0`` holds out."""
    seed = check_random_state(0).randint(np.iinfo(np.int32).max)
    held_out = train_test_split(np.arange(len(X)), test_size=n_held_out, random_state=seed)[1]
    return -model.score(X[np.sort(held_out)])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_stops_on_held_out_samples():
    options = {"solver": "lbfgs", "early_stopping": True, "validation_fraction": 0.95, "tol": 1e-9}
    model = AutoEncoder(16, random_state=0, n_iter_no_change=3, max_iter=200, **options).fit(X)
    curve = model.validation_curve_
    assert model.converged_ and len(curve) == model.n_iter_ < 200
    assert np.argmin(curve) == len(curve) - 4
    # The network sees columns with the variance 16 / n, and scores are those of variance 1.
    variance = 16 / np.count_nonzero(np.ptp(X, axis=0))
    held_out_loss = variance * _held_out_loss(model, int(0.95 * len(X)))
    assert held_out_loss == pytest.approx(min(curve), rel=1e-5)


def test_lbfgs_that_a_callback_stops_has_not_reached_max_iter():
    class Stop(Observer):
        def epoch_end(self, state):
            return True

    model = AutoEncoder(4, solver="lbfgs", random_state=0)
    training = model.layer_training()
    problem, state = training.begin(X, None)
    problem.observers = [Stop()]
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        training.train(problem, state)
    assert model.n_iter_ == 1 and not model.converged_


def test_an_observer_that_keeps_arrays_needs_a_merge():
    class Counts(Observer):
        def extra_arrays(self, params):
            return {"count": np.zeros(1)}

    Observer().merge([{}, {}])
    with pytest.raises(NotImplementedError, match="Counts keeps arrays and needs a merge"):
        Counts().merge([Counts().extra_arrays(None)] * 2)
