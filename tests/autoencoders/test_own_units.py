"""Units given as ``activation``: ``TopK``, and one that the package does not know."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import skae.io
from skae import AutoEncoder, ContractiveAE, DenoisingAE, ManifoldTangentClassifier, StackedAE
from skae.autoencoders import Activation, TopK
from skae.nn.activations import Diagonal

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).random((60, 7))
OPTIONS = {"max_iter": 3, "random_state": 0, "standardize": False, "loss": "gaussian"}


def pre_activations(model):
    return X @ model.components_.T + model.encoder_bias_


def k_largest(a, k):
    """Return the k largest entries of each row, if they are positive; 0 elsewhere."""
    kept = np.zeros_like(a)
    for row, out in zip(a, kept):
        largest = np.argsort(row)[-k:]
        out[largest] = np.maximum(row[largest], 0)
    return kept


@pytest.mark.parametrize("cls", [AutoEncoder, DenoisingAE, ContractiveAE])
def test_codes_are_the_k_largest_pre_activations(cls):
    model = cls(9, activation=TopK(4), **OPTIONS).fit(X)
    codes = k_largest(pre_activations(model), 4)
    assert (codes != 0).any(axis=0).sum() > 4  # not the same units for all samples
    assert_allclose(model.transform(X), codes, atol=1e-12)


class Cubic(Activation):
    """a + a^3 / 3, of derivative 1 + a^2: of one pre-activation, and without a name in the package."""

    whole_row = False

    def __init__(self, scale=1.0):
        self.scale = scale

    def forward(self, a, bias, rows=slice(None), units=slice(None)):
        part = a[rows, units] + bias[units]
        a[rows, units] = self.scale * (part + part**3 / 3)

    def derivatives(self, outputs, order=1, memory=None):
        a = self.pre_activations(outputs)
        return Diagonal(self.scale * (1 + a**2), 2 * a / (self.scale * (1 + a**2) ** 2))

    def pre_activations(self, outputs):
        """Return the root of a^3 / 3 + a = h, by Cardano."""
        half = 1.5 * outputs / self.scale
        root = np.sqrt(half**2 + 1)
        return np.cbrt(half + root) + np.cbrt(half - root)


def test_a_unit_of_ones_own():
    model = AutoEncoder(5, activation=Cubic(), **OPTIONS).fit(X)
    a = pre_activations(model)
    assert_allclose(model.transform(X), a + a**3 / 3)
    jacobian = (1 + a**2)[:, :, None] * model.components_
    assert_allclose(model.jacobian(X), jacobian)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.slow
def test_layers_of_stacks_and_classifiers():
    layers = [("low", AutoEncoder(9, activation=TopK(4), **OPTIONS))]
    layers.append(("high", AutoEncoder(4, activation=Cubic(), **OPTIONS)))
    stack = StackedAE(layers, random_state=0).fit(X)
    lowest = stack.layers_[0][1]
    low = k_largest(pre_activations(lowest), 4)
    assert_allclose(lowest.transform(X), low, atol=1e-12)
    assert stack.transform(X).shape == (60, 4)
    base = ContractiveAE(9, activation=TopK(4), **OPTIONS)
    y = (X[:, 0] > 0.5).astype(int)
    assert ManifoldTangentClassifier(base, max_iter=500, random_state=0).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("unit", [TopK(4), Cubic()], ids=["TopK", "Cubic"])
def test_clones_and_pickles(unit):
    model = AutoEncoder(9, activation=unit, **OPTIONS)
    fitted, again = model.fit(X), clone(model).fit(X)
    assert_array_equal(fitted.transform(X), again.transform(X))
    assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), fitted.transform(X))


def test_training_goes_on_with_an_equal_unit_only(tmp_path):
    file = tmp_path / "state"
    options = {**OPTIONS, "learning_rate": "constant", "checkpoint": file, "resume": True}
    first = AutoEncoder(9, activation=Cubic(1.0), **options).fit(X)
    longer = {**options, "max_iter": 5}
    resumed = AutoEncoder(9, activation=Cubic(1.0), **longer).fit(X)
    assert_array_equal(resumed.loss_curve_[:3], first.loss_curve_)
    with pytest.raises(ValueError, match="activation"):
        AutoEncoder(9, activation=Cubic(2.0), **longer).fit(X)
    warm = AutoEncoder(9, activation=TopK(4), warm_start=True, **OPTIONS).fit(X)
    with pytest.raises(ValueError, match="activation must stay as it was"):
        warm.set_params(activation=TopK(5)).fit(X)


def test_files_hold_the_units_of_the_package(tmp_path):
    pytest.importorskip("skops")
    model = AutoEncoder(9, activation=TopK(4), **OPTIONS).fit(X)
    skae.io.save(model, tmp_path / "model")
    assert_array_equal(skae.io.load(tmp_path / "model").transform(X), model.transform(X))
    with pytest.raises(TypeError, match="Cubic"):
        skae.io.save(model.set_params(activation=Cubic()).fit(X), tmp_path / "model")


@pytest.mark.parametrize("activation", ["topk", TopK, None])
def test_what_is_no_unit_is_refused(activation):
    with pytest.raises(ValueError, match="'activation' parameter of AutoEncoder"):
        AutoEncoder(activation=activation).fit(X)


@pytest.mark.parametrize(("k", "error"), [(0, ValueError), (2.5, TypeError), ("all", TypeError)])
def test_a_k_that_is_no_count_is_refused(k, error):
    with pytest.raises(error, match="k "):
        TopK(k)
