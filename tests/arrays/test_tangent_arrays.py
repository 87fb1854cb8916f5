"""Tangents in arrays of other libraries."""

import numpy as np
import pytest
from common import assert_same_numbers, in_library, some_digits, tolerance_of
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import AutoEncoder, ContractiveAE, ManifoldTangentClassifier
from skae.manifold import iter_tangents, tangent_basis
from skae.manifold._store import TangentStore
from skae.nn.losses import Bernoulli, Multinomial, Reconstruction
from skae.nn.network import Network
from skae.nn.objective import Objective
from skae.nn.tangent_propagation import TangentPropagation
from skae.training.batches import Batches

pytest.importorskip("array_api_compat")
pytestmark = pytest.mark.filterwarnings("ignore")  # few epochs learn little
DEEP = {"hidden_layer_sizes": (12,), "max_iter": 2, "random_state": 0}


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_tangents_are_singular_vectors(library, activation):
    X = some_digits("float64")
    (theirs,) = in_library(library, X)
    model = AutoEncoder(20, activation=activation, **DEEP)
    with config_context(array_api_dispatch=True):
        fitted = clone(model).fit(theirs)
        found = tangent_basis(fitted, theirs, 4, tol=1e-7)
        again = tangent_basis(fitted, theirs, 4, tol=1e-7, start=found.basis)
        blocks = [
            each.basis for _, each in iter_tangents(fitted, theirs, 4, tol=1e-7, block_size=128)
        ]
        with pytest.raises(ValueError, match="must use the same namespace"):
            tangent_basis(fitted, X)
        with pytest.raises(TypeError, match="start must be an array of the library"):
            tangent_basis(fitted, theirs, 4, start=np.zeros((150, 4, 64)))
        jacobians = np.from_dlpack(fitted.jacobian(theirs))
    _, lengths, exact = np.linalg.svd(jacobians, full_matrices=False)
    np.testing.assert_allclose(
        np.from_dlpack(found.singular_values), lengths[:, :4], atol=1e-7 * lengths.max()
    )
    apart = lengths[:, 3] > 1.01 * np.maximum(lengths[:, 4], 1e-3)
    assert apart.sum() > 100
    for basis in (found.basis, again.basis, np.concatenate(list(map(np.from_dlpack, blocks)))):
        basis = np.from_dlpack(basis)
        inner = basis @ exact[:, :4].transpose(0, 2, 1)
        cosines = np.linalg.svd(inner[apart], compute_uv=False)
        np.testing.assert_allclose(cosines, 1, atol=1e-10)
        np.testing.assert_allclose(
            basis @ basis.transpose(0, 2, 1), np.eye(4) + np.zeros((150, 1, 1)), atol=1e-10
        )
    # The weights are numpy's without the dispatch; steps begin at the same vectors.
    known = tangent_basis(fitted, X, 4, tol=1e-7).basis
    for basis in (np.from_dlpack(found.basis), np.concatenate(list(map(np.from_dlpack, blocks)))):
        np.testing.assert_allclose(basis[apart], known[apart], atol=1e-7)


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("options", [{"update_tangents": 3}, {"tangent_storage": None}], ids=str)
def test_training_along_tangents_is_that_of_numpy(options, library):
    """Tangents are known to 1e-2 only, and those of numpy have to be the same ones."""
    X, y = load_digits().data[:300] / 16, load_digits().target[:300]
    theirs, their_y = in_library(library, X, y)
    options = {"n_tangents": 5, "batch_size": 150, "max_iter": 10, "random_state": 0, **options}
    model = ManifoldTangentClassifier(ContractiveAE(20, max_iter=5, random_state=0), **options)
    expected, found = clone(model).fit(X, y), clone(model)
    with config_context(array_api_dispatch=True):
        found.fit(theirs, their_y)
        pairs = [
            (getattr(found, method)(theirs), getattr(expected, method)(X))
            for method in ("transform", "predict_proba")
        ]
    assert_same_numbers(pairs, theirs, **tolerance_of("float64"))


@pytest.mark.parametrize("n_tangents", [1, 6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("units", [Multinomial, Bernoulli])
def test_certain_outputs_are_left_out_everywhere(units, library, dtype, n_tangents):
    rng, sizes = np.random.default_rng(0), (6, 7, 9, 4)
    X, y = rng.random((40, 6)).astype(dtype), np.eye(4, dtype=dtype)[rng.integers(0, 4, 40)]
    network = Network(sizes, ("tanh", "tanh", "identity"), decoder=None)
    loss = Reconstruction([units(np.arange(4))])
    point = network.initial(rng, dtype)
    network.views(point).encoder_weights[-1][...] *= 12
    basis = rng.standard_normal((40, n_tangents, 6))
    means = loss.activate(network.encode(network.views(point), X))
    gradients = []
    for params, prototype in ((point, None), in_library(library, point, point[:0])):
        options = {"dtype": "float16", "random": False, "tol": 0.1, "seed": 0}
        store = TangentStore(network, X, np.arange(40), n_tangents, prototype=prototype, **options)
        store._basis[:], store.rounding = basis, 0.1
        penalty = TangentPropagation(0.7, network, loss, store)
        batches = Batches(X, None, 40, targets=y, prototype=prototype)
        gradients.append(0 * params)
        objective = Objective(network, loss, penalties=[penalty])
        objective(params, next(batches.epoch(None)), gradients[-1], np.random.default_rng(0))
    assert 0.1 < penalty.significant(means, np.ones(40, dtype)).mean() < 0.7
    assert_same_numbers([gradients[::-1]], params, **tolerance_of(dtype))
