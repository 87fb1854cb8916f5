"""Results do not depend on how X lies in memory, nor on the rows that stand beside a row."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array, issparse
from sklearn.base import clone
from sklearn.utils import get_tags
from small_models import OTHERS, TRAINED
from threadpoolctl import threadpool_limits

from skae import RBM, AutoEncoder, SparseAutoEncoder, StackedAE
from skae.manifold import LocalPCA, TangentNeighborsClassifier, tangent_basis

rng = np.random.default_rng(0)
X, Y = rng.random((40, 6)) * [1, 10, 100, 1, 1, 1], np.arange(40) % 2
SHORT = {"max_iter": 2, "random_state": 0}
MODELS = [
    AutoEncoder(4, **SHORT),
    AutoEncoder(4, solver="lbfgs", **SHORT),
    RBM(4, **SHORT),
    SparseAutoEncoder(8, k=2, **SHORT),
    TangentNeighborsClassifier(LocalPCA(3), n_neighbors=1, n_tangents=1),
    *TRAINED,
    *OTHERS,
]
METHODS = "transform reconstruct predict predict_proba score_samples impute energy".split()
of_all = pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)


def _unaligned(x):
    return np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(x.dtype).reshape(x.shape)


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "columns first": np.asfortranarray,
    "read only": _read_only,
    "strided": lambda x: np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)[::2, ::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "other byte order": lambda x: x.astype(">f8"),
    "unaligned": _unaligned,
    "lists": lambda x: x.tolist(),
    "objects": lambda x: x.astype(object),
    "frame": pd.DataFrame,
    "nullable": lambda x: pd.DataFrame(x).convert_dtypes(),
}


def _results(model, x):
    """Return the results of all methods, and tangents where the model has them."""
    found = [getattr(model, name)(x) for name in METHODS if hasattr(model, name)]
    if isinstance(model, (AutoEncoder, StackedAE, LocalPCA)):
        found.extend(tangent_basis(model, x, 2))
    return [each.toarray() if issparse(each) else np.asarray(each) for each in found]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@of_all
def test_neither_fits_nor_results_depend_on_the_layout(model):
    with threadpool_limits(1):
        fitted = clone(model).fit(X, Y)
        expected = _results(fitted, X)
        for name, layout in LAYOUTS.items():
            again = _results(clone(model).fit(layout(X), Y), X)
            for ours, others, apart in zip(expected, _results(fitted, layout(X)), again):
                np.testing.assert_array_equal(others, ours, err_msg=name)
                np.testing.assert_array_equal(apart, ours, err_msg=name)


@pytest.mark.filterwarnings("ignore")
@of_all
def test_results_of_a_row_are_its_own(model):
    fitted = clone(model).fit(X, Y)
    every = _results(fitted, X)
    order = rng.permutation(40)
    for ours, shuffled in zip(every, _results(fitted, X[order])):
        np.testing.assert_allclose(shuffled, ours[order], rtol=1e-7, atol=1e-7 * np.abs(ours).max())
    for row in (0, 17):
        for ours, alone in zip(every, _results(fitted, X[row : row + 1])):
            np.testing.assert_allclose(
                alone[0], ours[row], rtol=1e-7, atol=1e-7 * np.abs(ours).max()
            )


@of_all
def test_a_sparse_matrix_with_duplicate_entries_stays_as_it_is(model):
    if not get_tags(model).input_tags.sparse:
        pytest.skip("takes no sparse matrix")
    dense = X * (rng.random(X.shape) < 0.5)
    whole = csr_array(dense)
    entries = np.repeat(whole.data / 2, 2), np.repeat(whole.indices, 2), 2 * whole.indptr
    twice = csr_array(entries, shape=X.shape)
    before = [each.copy() for each in (twice.data, twice.indices, twice.indptr)]
    fitted = clone(model).fit(twice, Y)
    results = _results(fitted, twice)
    for ours, others in zip(before, (twice.data, twice.indices, twice.indptr)):
        np.testing.assert_array_equal(ours, others)
    for ours, others in zip(results, _results(clone(model).fit(whole, Y), whole)):
        np.testing.assert_array_equal(ours, others)
