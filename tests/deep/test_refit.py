"""Training again on all rows for the chosen number of epochs, and layers that stay as they are."""

import numpy as np
import pytest
from common import relative_gradient_error
from sklearn.datasets import load_digits

from skae import (
    AutoEncoder,
    ContractiveAE,
    ManifoldTangentClassifier,
    StackedAEClassifier,
    StackedAERegressor,
)
from skae.boltzmann import RBM, BoltzmannClassifier
from skae.nn.losses import Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.penalties import weight_decays
from skae.training.batches import Batches

X, y = load_digits(return_X_y=True)
X, y = X[:300] / 16, y[:300]
pytestmark = pytest.mark.filterwarnings("ignore:Outputs hardly depend on X")
FAST = {"batch_size": 50, "max_iter": 3, "random_state": 0, "learning_rate": "constant"}
LAYERS = [("low", AutoEncoder(20, **FAST)), ("high", AutoEncoder(12, **FAST))]
RATE = {"learning_rate_init": 0.02}
MODELS = {
    "classifier": lambda **options: StackedAEClassifier(LAYERS, **FAST, **RATE).set_params(
        **options
    ),
    "regressor": lambda **options: StackedAERegressor(LAYERS, **FAST, **RATE).set_params(**options),
    "tangents": lambda **options: ManifoldTangentClassifier(
        ContractiveAE(20, **FAST), n_tangents=3, tangent_penalty=0.1, **FAST, **RATE
    ).set_params(**options),
    "boltzmann": lambda **options: BoltzmannClassifier(RBM(20, **FAST), **FAST, **RATE).set_params(
        **options
    ),
}
SEARCH = {"early_stopping": True, "max_iter": 40, "n_iter_no_change": 8, "tol": 0}


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
def test_refit_is_a_fit_of_so_many_epochs_on_all_rows(kind):
    chosen = MODELS[kind](**SEARCH).fit(X, y)
    n_epochs = int(np.argmin(chosen.validation_curve_)) + 1
    again = MODELS[kind](**SEARCH, refit=True).fit(X, y)
    plain = MODELS[kind](max_iter=n_epochs, tol=0, n_iter_no_change=10**6).fit(X, y)
    np.testing.assert_array_equal(again._params, plain._params)
    assert again.validation_curve_ == chosen.validation_curve_
    assert again.loss_curve_ == plain.loss_curve_
    assert again.n_iter_ == n_epochs and again.converged_ == chosen.converged_


@pytest.mark.slow
def test_refit_begins_with_the_first_tangents():
    options = {**SEARCH, "update_tangents": 2}
    again = MODELS["tangents"](**options, refit=True).fit(X, y)
    plain = MODELS["tangents"](update_tangents=2, tol=0, n_iter_no_change=10**6)
    plain.set_params(max_iter=again.n_iter_).fit(X, y)
    assert again.n_iter_ > 2
    np.testing.assert_array_equal(again._params, plain._params)


@pytest.mark.slow
@pytest.mark.parametrize("learning_rate", ["constant", "cosine"])
@pytest.mark.parametrize("where", ["search", "refit"])
def test_a_refit_that_is_interrupted_resumes(where, learning_rate, tmp_path):
    options = {**SEARCH, "refit": True, "learning_rate": learning_rate, "tol": 0}
    whole = MODELS["classifier"](**options).fit(X, y)
    n_first = len(whole.validation_curve_)
    assert whole.n_iter_ > 2
    at = 14 if where == "search" else n_first * 6 + 9  # minibatches
    path = tmp_path / "state"

    calls = []  # not of the object: what it has is part of what a checkpoint belongs to

    class Breaking:
        def __call__(self, rows, seed, out):
            calls.append(seed)
            out[...] = rows
            if len(calls) == at:
                raise KeyboardInterrupt

    model = MODELS["classifier"](**options, corruption=Breaking(), checkpoint=path, resume=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    model.fit(X, y)
    np.testing.assert_array_equal(model._params, whole._params)
    assert model.loss_curve_ == whole.loss_curve_
    assert model.validation_curve_ == whole.validation_curve_


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"refit": True}, "refit=True needs early_stopping=True"),
        ({"refit": True, "early_stopping": True, "solver": "lbfgs"}, "needs a solver of minibatch"),
        ({"frozen": 9}, "frozen=9 is more than the"),
        ({"frozen": -1}, "frozen"),
        ({"frozen": "most"}, "frozen"),
    ],
)
@pytest.mark.parametrize("kind", MODELS)
def test_bad_options(kind, options, words):
    with pytest.raises(ValueError, match=words):
        MODELS[kind](**options).fit(X, y)


def _weights(model):
    params = model._network.views(model._params)
    return list(zip(params.encoder_weights, params.encoder_biases))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("kind", "solver"),
    [*((kind, "adam") for kind in MODELS), *((list(MODELS)[0], each) for each in ("sgd", "lbfgs"))],
)
def test_frozen_layers_stay(kind, solver):
    start = MODELS[kind](max_iter=1, learning_rate_init=1e-300, solver="sgd").fit(X, y)
    depth = len(_weights(start)) - 1
    for frozen, n_frozen in [*((count, count) for count in range(depth + 1)), ("all", depth)]:
        model = MODELS[kind](frozen=frozen, solver=solver, weight_decay=0.01).fit(X, y)
        for layer, (own, first) in enumerate(zip(_weights(model), _weights(start))):
            same = [np.array_equal(*pair) for pair in zip(own, first)]
            assert same == [layer < n_frozen] * 2


@pytest.mark.parametrize("n_frozen", [0, 1, 2, 3])
def test_gradient_above_frozen_layers(n_frozen):
    rng = np.random.default_rng(0)
    network = Network((5, 6, 4, 3), ("tanh", "sigmoid", "identity"), decoder=None, dropout=0.3)
    loss = Reconstruction([Multinomial(np.arange(3))])
    penalties = weight_decays(0.2)
    batches = Batches(rng.random((8, 5)), None, 8, targets=np.eye(3)[rng.integers(0, 3, 8)])
    point = network.initial(rng, np.float64) + 0.3 * rng.standard_normal(network.size)
    batch = next(batches.epoch(None))
    assert (
        relative_gradient_error(Objective(network, loss, penalties=penalties), point, batch) < 1e-6
    )
    grads = [np.full_like(point, np.nan) for _ in range(2)]
    for grad, count in zip(grads, (0, n_frozen)):
        Objective(network, loss, penalties=penalties, n_frozen=count)(
            point, batch, grad, np.random.default_rng(0)
        )
    whole, part = (network.views(grad) for grad in grads)
    for name in ("encoder_weights", "encoder_biases"):
        for layer, pair in enumerate(zip(getattr(whole, name), getattr(part, name))):
            if layer < n_frozen:
                assert not pair[1].any()
            else:
                np.testing.assert_array_equal(*pair)
