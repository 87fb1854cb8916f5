"""Tangents in arrays of other libraries."""

import numpy as np
import pytest
from common import in_library, some_digits
from sklearn import config_context
from sklearn.base import clone

from skae import AutoEncoder
from skae.manifold import iter_tangents, tangent_basis

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
