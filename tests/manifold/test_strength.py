"""The automatic weight of the tangent penalty against its formula, and its invariance."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skae import AutoEncoder, ContractiveAE, ManifoldTangentClassifier
from skae.manifold import tangent_basis

X, y = load_digits(return_X_y=True)
X, y = X[:300] / 16, y[:300]
FAST = {"batch_size": 50, "max_iter": 2, "random_state": 0}
BASE = ContractiveAE(30, loss="gaussian", standardize=False, **FAST)
MODEL = ManifoldTangentClassifier(
    BASE,
    n_tangents=4,
    tangent_storage="float32",
    tangent_sampling="exact",
    penalize_unlabeled=False,
    corruption=None,
    **FAST,
)


def _mean_variance(base, data, rows, weights=None):
    """Return the mean of u' Cov(X) u over the tangents at some rows."""
    basis = tangent_basis(base, data[rows], 4).basis
    covariance = np.cov(data.T, bias=True, aweights=weights)
    along = np.einsum("nki,ij,nkj->n", basis, covariance, basis) / 4
    return np.average(along, weights=None if weights is None else weights[rows])


@pytest.mark.parametrize("kind", ["plain", "sparse", "weighted", "few labels"])
def test_automatic_penalty_is_the_variance_along_the_tangents(kind):
    weights = np.random.default_rng(0).integers(1, 4, 300) if kind == "weighted" else None
    labels = np.where(np.arange(300) < 100, y, -1) if kind == "few labels" else y
    data = csr_matrix(X) if kind == "sparse" else X
    model = clone(MODEL).fit(data, labels, sample_weight=weights)
    expected = _mean_variance(model.base_, X, np.flatnonzero(labels >= 0), weights)
    assert model.tangent_penalty_ == pytest.approx(expected, rel=5e-3)


def _share_to_other_label(base, data, labels):
    """Return how much of the squared distances to the nearest rows of other labels is in the tangent planes."""
    basis, within, total = tangent_basis(base, data, 1).basis, 0, 0
    for row, label, plane in zip(data, labels, basis):
        others = data[labels != label]
        way = others[np.argmin(np.linalg.norm(others - row, axis=1))] - row
        within, total = within + np.sum((plane @ way) ** 2), total + way @ way
    return within / total


@pytest.mark.parametrize("sampling", ["exact", "random"])
@pytest.mark.parametrize(("normal", "factor"), [((1, 0), 1), ((1, 2), None), ((1, 5), 0)])
def test_no_penalty_along_the_way_to_other_labels(normal, factor, sampling):
    data = np.random.default_rng(0).standard_normal((200, 2)) * [2, 1]
    labels = (data @ normal > 0).astype(int)
    model = clone(MODEL).set_params(n_tangents=1, tangent_sampling=sampling).fit(data, labels)
    share = _share_to_other_label(model.base_, data, labels)
    expected = np.clip((0.6 - share) / 0.1, 0, 1)
    assert expected == factor or (factor is None and 0 < expected < 1)
    basis = tangent_basis(model.base_, data, 1).basis
    variance = np.einsum("nki,ij,nkj->n", basis, np.cov(data.T, bias=True), basis).mean()
    assert model.tangent_penalty_ == pytest.approx(expected * variance, rel=5e-3)


@pytest.mark.parametrize(("unlabeled", "normal"), [(0, [1, -0.3]), (2, [1, -1])])
def test_a_row_of_weight_2_is_two_rows(unlabeled, normal):
    """The way to other labels is partly along the tangents, which are the first principal component."""
    rng = np.random.default_rng(0)
    data, weights = rng.standard_normal((60, 2)) @ [[1, 1], [0, 1]], rng.integers(1, 4, 60)
    labels = np.where(np.arange(60) % 5 < unlabeled, -1, data @ normal > 0)
    base = AutoEncoder(1, activation="identity", solver="lbfgs", max_iter=50, random_state=0)
    model = ManifoldTangentClassifier(base, n_tangents=1, solver="lbfgs", max_iter=1)
    weighted = clone(model).fit(data, labels, sample_weight=weights)
    twice = np.repeat(np.arange(60), weights)
    expected = model.fit(data[twice], labels[twice]).tangent_penalty_
    assert weighted.tangent_penalty_ == pytest.approx(expected, rel=1e-3)
    assert 0 < expected < 1


@pytest.mark.slow
def test_multiples_of_the_automatic_penalty():
    automatic = clone(MODEL).fit(X, y).tangent_penalty_
    absolute = clone(MODEL).set_params(tangent_penalty=2 * automatic).fit(X, y)
    for text in ("2*auto", " 2.0 * auto", "2e0*auto"):
        double = clone(MODEL).set_params(tangent_penalty=text).fit(X, y)
        assert double.tangent_penalty_ == pytest.approx(2 * automatic, rel=1e-12)
        np.testing.assert_array_equal(absolute._params, double._params)


def test_a_random_combination_has_about_the_same():
    exact, random = (
        clone(MODEL).set_params(tangent_sampling=sampling).fit(X, y).tangent_penalty_
        for sampling in ("exact", "random")
    )
    assert random == pytest.approx(exact, rel=0.1)


def test_it_does_not_depend_on_the_units_of_the_data():
    base = clone(BASE).fit(X)
    wide = clone(base).fit(X)
    # The same codes of data that are 50 times as wide: weights are smaller by as much.
    wide._network.views(wide._params).encoder_weights[0][...] /= 50
    tuned = {"prefit": True, "learning_rate_init": 1e-300}
    narrow = clone(MODEL).set_params(base=base, **tuned).fit(X, y)
    other = clone(MODEL).set_params(base=wide, **tuned).fit(50 * X, y)
    assert other.tangent_penalty_ == pytest.approx(2500 * narrow.tangent_penalty_, rel=1e-3)


def test_none_is_none():
    for nothing in (0, 0.0, "0*auto"):
        assert clone(MODEL).set_params(tangent_penalty=nothing).fit(X, y).tangent_penalty_ == 0


@pytest.mark.slow
@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
def test_a_penalty_that_leaves_nothing_to_learn_is_told(output):
    options = {"max_iter": 40, "learning_rate_init": 0.02, "batch_size": 20, "output": output}
    with pytest.warns(ConvergenceWarning, match="Outputs hardly depend on X.*tangent_penalty"):
        clone(MODEL).set_params(tangent_penalty=1e9, **options).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(MODEL).set_params(**options).fit(X, y)


def test_outputs_of_several_labels_are_compared_by_label():
    indicators = (y[:, np.newaxis] == np.unique(y)).astype(int)
    with pytest.warns(ConvergenceWarning, match="of the labels .* are predicted wrong"):
        clone(MODEL).set_params(tangent_penalty=1e9).fit(X, indicators)


@pytest.mark.parametrize("class_weight", ["balanced", {0: 0.0, 1: 1.0, 2: 1.0}])
def test_outputs_are_compared_with_constant_ones_by_the_weights_of_rows(class_weight):
    # Of weighted rows a constant is right in a half. Rows of the rare class are found beside wrong ones of the other.
    rng = np.random.default_rng(0)
    rare = np.repeat([False, True], [150, 15])
    data = rng.standard_normal((165, 4)) + rare[:, np.newaxis]
    labels = np.where(rare, 1, 0)
    if class_weight != "balanced":  # class 0 does not count, and is not told from the others
        data, labels = np.vstack([data, 3 * data[rare]]), np.append(labels, np.full(15, 2))
    model = clone(MODEL).set_params(class_weight=class_weight, tangent_penalty=1e-3, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(data, labels)


@pytest.mark.slow
def test_a_penalty_that_is_much_too_large_leaves_something_to_learn():
    options = {"max_iter": 60, "learning_rate_init": 0.01}
    model = clone(MODEL).set_params(tangent_penalty="1e6*auto", **options).fit(X, y)
    assert model.score(X, y) > 0.85  # 0.77 where it counts in full, whatever its size


@pytest.mark.parametrize(
    "bad",
    ["auto*2", "much", "2*", "*auto", "-1*auto", "nan*auto", "inf*auto", -1.0, np.nan, np.inf],
)
def test_bad_penalties(bad):
    with pytest.raises(ValueError, match="tangent_penalty"):
        clone(MODEL).set_params(tangent_penalty=bad).fit(X, y)
