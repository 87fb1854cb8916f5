"""What is particular to the contractive auto-encoder."""

from functools import cache

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import RBM, AutoEncoder, ContractiveAE, RecurrentAE
from skae.autoencoders import TopK

X = load_digits().data / 16
SMALL = {"n_components": 12, "batch_size": 100, "max_iter": 30, "random_state": 0}
SMALL |= {"learning_rate": "constant"}
FAST = {**SMALL, "learning_rate_init": 1e-2}


@cache
def _of_digits(hidden, **options):
    return ContractiveAE(**FAST, hidden_layer_sizes=hidden, loss="bernoulli", **options).fit(X)


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(), (20,)], ids=["depth1", "depth2"])
@pytest.mark.parametrize("options", [{}, {"n_directions": 1}, {"n_directions": "all"}], ids=str)
def test_contraction_shrinks_the_jacobian(hidden, options):
    strong = _of_digits(hidden, contraction=1, **options)
    plain = _of_digits(hidden, contraction=0)
    norm = strong.report(X[:100]).jacobian_norm
    assert norm < 0.5 * plain.report(X[:100]).jacobian_norm


def test_a_number_of_directions_is_for_a_single_hidden_layer_by_its_width_too():
    found, expected = (
        ContractiveAE(3, hidden_layer_sizes=hidden, n_directions=2, max_iter=1, random_state=0)
        .fit(X[:100])
        .transform(X[:100])
        for hidden in (5, [5])
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("hidden", [(), (20,)], ids=["depth1", "depth2"])
def test_curvature_evens_the_jacobian(hidden):
    changes = []
    for curvature in (0, 100):
        model = ContractiveAE(
            **FAST, hidden_layer_sizes=hidden, contraction=0, curvature=curvature
        ).fit(X)
        noise = 0.1 * np.random.default_rng(0).standard_normal((100, 64))
        change = model.jacobian(X[:100]) - model.jacobian(X[:100] + noise)
        changes.append(np.mean(np.sum(change**2, axis=(1, 2))))
    assert changes[1] < 0.5 * changes[0]


@pytest.mark.slow
def test_no_contraction_is_the_plain_autoencoder():
    options = {**SMALL, "standardize": False}
    plain = AutoEncoder(**options).fit(X)
    none = ContractiveAE(**options, contraction=0).fit(X)
    np.testing.assert_array_equal(plain.components_, none.components_)


@pytest.mark.slow
def test_untied_weights_need_a_penalty_that_sees_the_decoder():
    model = ContractiveAE(**SMALL, tied_weights=False)
    with pytest.raises(ValueError, match="tied_weights=False"):
        model.fit(X)
    model.set_params(contracted="reconstruction").fit(X)
    with pytest.raises(ValueError, match="tied_weights=False"):
        model.set_params(curvature=1.0).fit(X)


def test_contraction_of_the_reconstruction_needs_separate_units():
    model = ContractiveAE(**SMALL, contracted="reconstruction", loss="multinomial")
    with pytest.raises(ValueError, match="contracted='reconstruction'"):
        model.fit(X)


@pytest.mark.slow
def test_jacobian_and_singular_values():
    model = ContractiveAE(**SMALL, hidden_layer_sizes=(20,)).fit(X)
    step = 1e-6 * np.eye(64)
    numeric = (model.transform(X[0] + step) - model.transform(X[0] - step)).T / 2e-6
    np.testing.assert_allclose(model.jacobian(X[:1])[0], numeric, atol=1e-8)
    np.testing.assert_allclose(
        model.singular_values(X[:1])[0], np.linalg.svd(numeric, compute_uv=False), atol=1e-8
    )


MODELS = {
    "narrow": ContractiveAE(12),
    "wide": ContractiveAE(80),
    "deep": AutoEncoder(30, hidden_layer_sizes=(10,)),
    "whole rows": AutoEncoder(12, activation=TopK(3)),
    "recurrent": RecurrentAE([12, 5]),
    "machine": RBM(12),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.usefixtures("few_epochs")
def test_singular_values_are_those_of_the_jacobian(name, dtype):
    """Of columns in different units, some of them constant, with fewer units than columns and with more."""
    rows = (X * np.linspace(1, 100, 64)).astype(dtype)
    model = clone(MODELS[name]).set_params(random_state=0)
    parameters = {key: 2 for key in model.get_params() if key.endswith("max_iter")}
    model.set_params(**parameters).fit(rows)
    jacobians = model.jacobian(rows[:3]).astype(np.float64)
    expected = np.linalg.svd(jacobians, compute_uv=False)
    found = model.singular_values(rows[:3])
    assert found.dtype == dtype and found.shape == expected.shape
    rounding = 30 * np.finfo(dtype).eps * expected.max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=rounding)


def test_report():
    model = ContractiveAE(**SMALL).fit(X)
    report, codes = model.report(X[:50]), model.transform(X[:50])
    norms = np.linalg.norm(model.jacobian(X[:50]), axis=(1, 2))
    assert report.jacobian_norm == pytest.approx(norms.mean())
    assert report.saturation == np.mean(np.minimum(codes, 1 - codes) < 0.05)


@pytest.mark.slow
@pytest.mark.parametrize("Model", [AutoEncoder, ContractiveAE])
def test_an_int_is_the_width_of_one_hidden_layer(Model):
    one, several = (
        Model(hidden_layer_sizes=sizes, **{**FAST, "n_components": 3}).fit(X) for sizes in (7, (7,))
    )
    assert [weights.shape for weights in one.encoder_weights_] == [(7, X.shape[1]), (3, 7)]
    np.testing.assert_array_equal(one.transform(X), several.transform(X))
    for wrong in (0, -1, 2.5, [0]):
        with pytest.raises(ValueError, match="hidden_layer_sizes"):
            Model(3, hidden_layer_sizes=wrong).fit(X)
