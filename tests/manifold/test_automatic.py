"""The tangent classifier and what its automatic parameters come to."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification

from skae import AutoEncoder, ContractiveAE, ManifoldTangentClassifier
from skae.manifold import tangent_basis
from skae.manifold._store import TangentStore

DIGITS, LABELS = load_digits(return_X_y=True)
IRIS, SPECIES = load_iris(return_X_y=True)
FAST = {"max_iter": 3, "random_state": 0}
# Sigmoids have tangents across the classes of iris.
BASE = ContractiveAE(40, activation="tanh", **FAST)


@pytest.fixture
def counts(monkeypatch):
    """Note how many tangents each store has."""
    seen, update = [], TangentStore.update

    def watched(self, params):
        seen.append((self.n_tangents, self.n_directions))
        return update(self, params)

    monkeypatch.setattr(TangentStore, "update", watched)
    return seen


@pytest.mark.parametrize(
    ("base", "data", "expected"),
    [
        (BASE, IRIS, 2),
        (AutoEncoder(3, **FAST), IRIS, 1),
        (AutoEncoder(1, **FAST), IRIS, 1),
        (BASE, DIGITS[:150], 15),
        (AutoEncoder(12, **FAST), DIGITS[:150], 6),
        (BASE, np.hstack([IRIS, np.ones((150, 40))]), 2),
    ],
    ids=["iris", "narrow", "single", "digits", "few units", "constants"],
)
@pytest.mark.filterwarnings("ignore:Outputs hardly depend on X")
def test_automatic_number_of_tangents(base, data, expected, counts):
    model = ManifoldTangentClassifier(base, **FAST)
    auto = clone(model).fit(data, SPECIES)
    # All go into one random combination.
    assert counts == [(expected, 1)]
    named = clone(model).set_params(n_tangents=expected).fit(data, SPECIES)
    np.testing.assert_array_equal(auto._params, named._params)
    assert tangent_basis(auto.base_, data[:2], expected).basis.shape[1] == expected


def test_automatic_penalty_is_once_the_variance():
    model = ManifoldTangentClassifier(BASE, tangent_sampling="exact", **FAST)
    model.set_params(tangent_storage="float32").fit(IRIS, SPECIES)
    scaled = (IRIS - model.center_) / model.scale_
    maps = model.base_.jacobian(IRIS) * model.scale_
    basis = np.linalg.svd(maps, full_matrices=False)[2][:, :2]
    covariance = np.cov(scaled.T, bias=True)
    along = np.einsum("nki,ij,nkj->nk", basis, covariance, basis)
    assert model.tangent_penalty_ == pytest.approx(along.mean(), rel=0.01)


LABELLED = {
    "softmax": ({}, True),
    "sigmoid": ({"output": "sigmoid"}, False),
    "lbfgs": ({"solver": "lbfgs"}, True),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", LABELLED)
def test_what_is_automatic_may_be_named(kind):
    options, penalized = LABELLED[kind]
    labels = np.where(np.arange(150) % 3 == 0, SPECIES, -1)
    model = ManifoldTangentClassifier(BASE, **FAST, **options)
    auto = clone(model).fit(IRIS, labels)
    ratio = 1.0 if kind == "softmax" else None
    named = clone(model).set_params(penalize_unlabeled=penalized, unlabeled_per_labeled=ratio)
    np.testing.assert_array_equal(auto._params, named.fit(IRIS, labels)._params)
    other = clone(model).set_params(penalize_unlabeled=not penalized)
    if kind == "sigmoid":
        with pytest.raises(ValueError, match="penalize_unlabeled=True needs output='softmax'"):
            other.fit(IRIS, labels)
    else:
        assert not np.allclose(auto._params, other.fit(IRIS, labels)._params, atol=1e-9)


@pytest.mark.slow
def test_an_indicator_matrix_needs_no_other_options():
    data, labels = make_multilabel_classification(300, n_features=10, n_classes=3, random_state=0)
    model = ManifoldTangentClassifier(ContractiveAE(50, random_state=0), random_state=0)
    model.fit(data[:200], labels[:200])
    assert model.predict_proba(data).shape == (300, 3)
    chance = np.maximum(labels.mean(axis=0), 1 - labels.mean(axis=0)).mean()
    assert (model.predict(data[200:]) == labels[200:]).mean() > chance + 0.05


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_a_default_fit_with_few_labels():
    labels = np.where(np.arange(600) % 5 == 0, LABELS[:600], -1)
    base = ContractiveAE(100, random_state=0)
    model = ManifoldTangentClassifier(base, random_state=0).fit(DIGITS[:600], labels)
    hidden = labels == -1
    assert model.score(DIGITS[:600][hidden], LABELS[:600][hidden]) > 0.88
    np.testing.assert_array_equal(model.classes_, np.arange(10))


def test_lbfgs_needs_no_other_options():
    labels = np.where(np.arange(150) % 5 == 0, SPECIES, -1)
    options = {"solver": "lbfgs", "max_iter": 3000, "random_state": 0}
    model = ManifoldTangentClassifier(ContractiveAE(30, random_state=0), **options)
    model.fit(IRIS, labels)
    assert model.converged_
    assert model.score(IRIS[labels == -1], SPECIES[labels == -1]) > 0.8
