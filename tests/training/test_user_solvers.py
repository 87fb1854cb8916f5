"""Mistakes in solvers that users write: each is named, and the model stays."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from skae import (
    PSD,
    RBM,
    AutoEncoder,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
    StackedAEClassifier,
)

X = np.random.default_rng(0).random((40, 6))
Y = (X[:, 0] > 0.5).astype(int)
SHORT = {"max_iter": 3, "random_state": 0}
LAYERS = [("low", AutoEncoder(4, **SHORT)), ("high", AutoEncoder(3, **SHORT))]
MODELS = [
    AutoEncoder(3, **SHORT),
    RBM(3, **SHORT),
    PSD(3, **SHORT),
    SparseAutoEncoder(8, k=2, **SHORT),
    StackedAEClassifier(LAYERS, **SHORT),
]
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class _Momentum:
    """A right one; ``state`` is what its start returns, or a function of the parameters."""

    def __init__(self, state=lambda params: {"velocity": np.zeros_like(params)}):
        self.state = state

    def start(self, params):
        return self.state(params)

    def step(self, params, grad, state, learning_rate):
        state["velocity"] *= 0.9
        state["velocity"] -= learning_rate * grad
        params += state["velocity"]


class _NewVelocity(_Momentum):
    """The same numbers, with a new array in the place of the old one."""

    def step(self, params, grad, state, learning_rate):
        state["velocity"] = 0.9 * state["velocity"] - learning_rate * grad
        params += state["velocity"]


class _NoVelocity(_Momentum):
    """The state of the first step is not that of the start."""

    def step(self, params, grad, state, learning_rate):
        state.setdefault("velocity", np.zeros_like(params))
        params -= learning_rate * grad


class _Rebinds(_Momentum):
    def step(self, params, grad, state, learning_rate):
        params = params - learning_rate * grad


class _Returns(_Momentum):
    def step(self, params, grad, state, learning_rate):
        return params - learning_rate * grad


@pytest.mark.parametrize("model", MODELS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    "state",
    [
        lambda params: None,
        lambda params: [np.zeros_like(params)],
        lambda params: {"n_steps": 0},
        lambda params: {"n_steps": np.int64(0)},
        lambda params: {0: np.zeros_like(params)},
        lambda params: {"velocity": "zero"},
    ],
)
def test_start_returns_a_dict_of_arrays(model, state):
    fitted = clone(model).fit(X, Y)
    before = fitted._state["params"].tobytes()
    for options in ({}, {"warm_start": True}):
        if options.keys() <= fitted.get_params().keys():
            fitted.set_params(solver=_Momentum(state), **options)
            with pytest.raises(TypeError, match="start of the solver must return a dict of arrays"):
                fitted.fit(X, Y)
            assert fitted._state["params"].tobytes() == before


@pytest.mark.parametrize("model", MODELS, ids=lambda each: type(each).__name__)
def test_steps_keep_the_names_of_the_state(model):
    fitted = clone(model).fit(X, Y)
    before = fitted._state["params"].tobytes()
    fitted.set_params(solver=_NoVelocity(lambda params: {}))
    with pytest.raises(ValueError, match=r"step of the solver must change.* \[\], and are \['vel"):
        fitted.fit(X, Y)
    assert fitted._state["params"].tobytes() == before


@pytest.mark.parametrize("Solver", [_Rebinds, _Returns])
@pytest.mark.parametrize("model", MODELS[:4], ids=lambda each: type(each).__name__)
def test_steps_that_change_nothing_are_told(model, Solver):
    with pytest.warns(UserWarning, match=f"solver={Solver.__name__} changed no parameter.*in pla"):
        clone(model).set_params(solver=Solver()).fit(X)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*changed no parameter")
        clone(model).set_params(solver=_Momentum()).fit(X)
        clone(model).set_params(learning_rate_init=1e-300).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_steps_of_estimators_without_a_solver_are_not_a_users():
    """Codes of zeros leave the atoms of ``SparseCoder`` as they are, which has its own warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*changed no parameter")
        SparseCoder(3, alpha=1e6, max_iter=1, random_state=0).fit(X)


@pytest.mark.parametrize("schedule", ["greedy", "simultaneous"])
def test_an_array_may_take_the_place_of_another(schedule):
    codes = []
    for solver in (_Momentum(), _NewVelocity()):
        stack = StackedAE(LAYERS, schedule=schedule, random_state=0)
        codes.append(stack.set_params(low__solver=solver, high__solver=solver).fit_transform(X))
    np.testing.assert_allclose(*codes, rtol=1e-12)
