"""What may change between fits: what can counts, what cannot is refused by name; fitted models stay as they were fitted."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris

from skae import (
    DBM,
    PSD,
    RBM,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    SparseAutoEncoder,
    SparseCoder,
    StackedAE,
)
from skae.generative import EnergyAE, JointEnergy, sample_langevin, sample_walkback
from skae.images import ConvolutionalFeatures, ConvolutionalPSD, ConvolutionalStack
from skae.manifold import LocalPCA, TangentNeighborsClassifier, tangent_basis

X, y = load_iris(return_X_y=True)
X = (X - X.min(axis=0)) / np.ptp(X, axis=0)
SHORT = {"max_iter": 2, "random_state": 0}
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FIXED = [
    (AutoEncoder, "n_components", 4),
    (AutoEncoder, "hidden_layer_sizes", (6,)),
    (AutoEncoder, "activation", "tanh"),
    (AutoEncoder, "tied_weights", False),
    (AutoEncoder, "loss", "bernoulli"),
    (DenoisingAE, "loss", [("gaussian", [0, 1]), ("bernoulli", [2, 3])]),
    (ContractiveAE, "standardize", False),
    (RBM, "visible", "gaussian"),
    (RBM, "n_components", 4),
    (EnergyAE, "noise", 0.7),
    (SparseCoder, "n_components", 4),
    (PSD, "encoder", "tanh"),
    (SparseAutoEncoder, "activation", "relu"),
    (SparseAutoEncoder, "k", 2),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("Model", "name", "value"), FIXED)
def test_what_shapes_a_model_stays_while_training_goes_on(Model, name, value, method):
    model = Model(3, **SHORT, warm_start=True).fit(X)
    before = model._state["params"].copy()
    with pytest.raises(ValueError, match=f"{name} must stay as it was when training goes on"):
        getattr(model.set_params(**{name: value}), method)(X)
    np.testing.assert_array_equal(model._state["params"], before)
    assert model.set_params(warm_start=False).fit(X).n_iter_ == 2


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_images_keep_their_shape_while_training_goes_on(method):
    rows = np.random.default_rng(0).random((20, 36))
    model = ConvolutionalPSD(3, patch_size=3, warm_start=True, **SHORT).fit(rows)
    with pytest.raises(ValueError, match="image_shape must stay as it was when training goes on"):
        getattr(model.set_params(image_shape=(4, 9)), method)(rows)
    assert getattr(model.set_params(image_shape=(6, 6)), method)(rows).n_iter_ > 2


CHANGING = [
    (AutoEncoder, "weight_decay", 0.5),
    (AutoEncoder, "solver", "sgd"),
    (AutoEncoder, "batch_size", 7),
    (AutoEncoder, "shuffle", False),
    (AutoEncoder, "shuffle", 5),
    (AutoEncoder, "random_state", 1),
    (DenoisingAE, "corruption", "gaussian"),
    (ContractiveAE, "contraction", 5.0),
    (ContractiveAE, "contracted", "reconstruction"),
    (RBM, "gradient", "pcd"),
    (RBM, "sparsity", 0.3),
    (SparseCoder, "alpha", 0.2),
    (SparseCoder, "groups", [[0], [1, 2]]),
    (SparseCoder, "random_state", 1),
    (PSD, "beta", 3.0),
    (SparseAutoEncoder, "groups", [1, 3]),
]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("Model", "name", "value"), CHANGING)
def test_other_parameters_count_while_training_goes_on(Model, name, value, method):
    options = {**SHORT, "warm_start": True, "batch_size": 50}
    options |= {"alpha": 0.01} if Model in (SparseCoder, PSD) else {}
    same, other = (Model(3, **options).fit(X) for _ in range(2))
    getattr(same, method)(X)
    getattr(other.set_params(**{name: value}), method)(X)
    assert not np.array_equal(same._state["params"], other._state["params"])


@pytest.mark.parametrize("Model", [AutoEncoder, SparseCoder])
def test_one_pass_holds_no_rows_out(Model):
    with pytest.raises(ValueError, match="set early_stopping=False"):
        Model(3, early_stopping=True).partial_fit(X)


def test_parameters_of_codes_count_at_once():
    options = {"alpha": 0.05, "gap_tol": 1e-9, "max_inference_iter": 9999}
    coder = SparseCoder(6, **options, **SHORT).fit(X)
    for params in (
        {"algorithm": "cd"},
        {"algorithm": "auto", "groups": [[0, 1, 2], [3, 4, 5]]},
        {"groups": None, "algorithm": "omp", "n_nonzero_coefs": 2},
        {"algorithm": "auto", "alpha": 0.3},
    ):
        fresh = SparseCoder(dictionary=coder.components_, **{**options, **params}).fit(X)
        expected = fresh.transform(X)
        np.testing.assert_allclose(coder.set_params(**params).transform(X), expected, atol=1e-4)
        np.testing.assert_allclose(coder.infer(X)[0], expected, atol=1e-4)


def test_another_number_of_components_waits_for_the_next_fit():
    psd = PSD(6, alpha=0.1, topology=(2, 3), transform_algorithm="lasso", **SHORT).fit(X)
    codes = psd.transform(X)
    np.testing.assert_array_equal(psd.set_params(n_components=5).transform(X), codes)
    with pytest.raises(ValueError, match="rows \\* columns = n_components=5"):
        psd.fit(X)


def test_neighbors_of_local_tangents_count_at_once():
    few = LocalPCA(5).fit(X).set_params(n_neighbors=9)
    expected = tangent_basis(LocalPCA(9).fit(X), X[:4], 2).singular_values
    np.testing.assert_allclose(tangent_basis(few, X[:4], 2).singular_values, expected)
    with pytest.raises(ValueError, match="n_neighbors=200 needs as many samples"):
        tangent_basis(few.set_params(n_neighbors=200), X[:4], 2)


def test_tangents_of_neighbors_are_those_of_the_fit():
    model = TangentNeighborsClassifier(AutoEncoder(3, **SHORT), n_tangents=1).fit(X, y)
    before = model.predict_proba(X)
    np.testing.assert_array_equal(model.set_params(n_tangents=2).predict_proba(X), before)
    with pytest.raises(ValueError, match="n_neighbors=200 needs as many samples"):
        model.set_params(n_neighbors=200).predict(X)


def test_a_stack_stays_what_it_was_fitted_as():
    layers = [("low", AutoEncoder(3, **SHORT))]
    stack = StackedAE(layers, **SHORT).fit(X)
    score = stack.score(X)
    stack.set_params(fine_tune="supervised")
    assert stack.score(X) == score and stack.reconstruct(X).shape == X.shape
    assert not hasattr(stack, "predict")
    assert stack.fit(X, y).score(X, y) == stack.predictor_.score(X, y)
    accuracy = stack.score(X, y)
    stack.set_params(fine_tune=None)
    assert stack.score(X, y) == accuracy and not hasattr(stack, "reconstruct")
    assert stack.fit(X).score(X) == score and not hasattr(stack, "predictor_")


def test_what_a_model_was_trained_with_is_what_chains_take():
    model = DenoisingAE(3, **SHORT, corruption="gaussian", corruption_level=0.2).fit(X)
    draws = (
        sample_langevin(model, X[:3], random_state=0),
        sample_walkback(model, X[:3], random_state=0),
    )
    model.set_params(corruption="masking", corruption_level=0.9)
    np.testing.assert_array_equal(sample_langevin(model, X[:3], random_state=0), draws[0])
    np.testing.assert_array_equal(sample_walkback(model, X[:3], random_state=0), draws[1])
    model = ContractiveAE(3, **SHORT, contraction=0.5).fit(X).set_params(contraction=7.0)
    assert model.contraction_ == 0.5 and model.fit(X).contraction_ == 7.0


def test_draws_of_a_joint_energy_have_the_temperature_of_the_fit():
    model = JointEnergy(AutoEncoder(3, **SHORT), n_draws=1, burn_in=1, random_state=0).fit(X)
    before = model.sample(3, n_steps=5, random_state=0)
    after = model.set_params(temperature=9.0).sample(3, n_steps=5, random_state=0)
    np.testing.assert_array_equal(before, after)


IMAGES = np.random.default_rng(0).random((12, 6, 6))
AFTER_FIT = [
    (SparseCoder(3, max_iter=1), "alpha", -1.0, "transform"),
    (SparseCoder(3, max_iter=1), "alpha", -1.0, "score_samples"),
    (SparseCoder(3, max_iter=1), "ridge", -5.0, "reconstruct"),
    (SparseCoder(3, max_iter=1), "gap_tol", None, "transform"),
    (SparseCoder(3, max_iter=1), "max_inference_iter", 2.5, "infer"),
    (SparseCoder(3, max_iter=1), "algorithm", [1], "transform"),
    (SparseCoder(3, max_iter=1), "positive", "yes", "transform"),
    (SparseCoder(3, max_iter=1), "split_sign", "yes", "transform"),
    (SparseCoder(3, algorithm="omp", max_iter=1), "n_nonzero_coefs", -1, "transform"),
    (PSD(3, max_iter=1), "transform_algorithm", "banana", "transform"),
    (PSD(3, max_iter=1), "gap_tol", "a", "transform"),
    (
        DBM([(name, RBM(3, max_iter=1)) for name in "ab"], max_iter=1),
        "n_mean_field_steps",
        0,
        "transform",
    ),
    (TangentNeighborsClassifier(ContractiveAE(3, max_iter=1)), "n_neighbors", 2.5, "predict"),
    (TangentNeighborsClassifier(ContractiveAE(3, max_iter=1)), "n_candidates", None, "predict"),
    (ConvolutionalFeatures(3, patch_size=3), "n_jobs", "a", "transform"),
    (ConvolutionalPSD(2, patch_size=3, max_iter=1), "alpha", -1.0, "transform"),
    (ConvolutionalPSD(2, patch_size=3, max_iter=1), "max_inference_iter", None, "infer"),
    (
        ConvolutionalStack([("low", ConvolutionalFeatures(3, patch_size=3))]),
        *("n_jobs", 1.5, "transform"),
    ),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("model", "name", "value", "method"), AFTER_FIT)
def test_parameters_that_count_after_fit_are_checked_there(model, name, value, method):
    data = IMAGES if "Convolutional" in type(model).__name__ else IMAGES.reshape(12, -1)
    model = clone(model).fit(data, np.arange(12) % 2)
    getattr(model, method)(data)
    model.set_params(**{name: value})
    with pytest.raises(ValueError, match=f"The '{name}' parameter of {type(model).__name__} must"):
        getattr(model, method)(data)


def test_neighbors_of_local_components_are_checked_when_they_are_used():
    model = LocalPCA(5).fit(IMAGES.reshape(-1, 6)).set_params(n_neighbors=0)
    with pytest.raises(ValueError, match="The 'n_neighbors' parameter of LocalPCA must"):
        tangent_basis(model, IMAGES[0], 1)
