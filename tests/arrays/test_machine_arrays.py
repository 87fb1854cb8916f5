"""Belief networks and deep Boltzmann machines take arrays of other libraries, and give the numbers of numpy."""

import numpy as np
import pytest
from common import assert_same_numbers, in_library, some_digits, tolerance_of
from sklearn import config_context
from sklearn.base import clone

from skae import DBM, DBN, RBM

pytest.importorskip("array_api_compat")
pytestmark = pytest.mark.filterwarnings("ignore")  # few epochs learn little
OPTIONS = {"max_iter": 2, "random_state": 0}
MACHINES = [("low", RBM(8, **OPTIONS)), ("high", RBM(5, gradient="pcd", **OPTIONS))]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_belief_networks_are_those_of_numpy(library, dtype):
    X, weights = some_digits(dtype), np.linspace(0.5, 2, 150, dtype=dtype)
    theirs, their_weights = in_library(library, X, weights)
    model = DBN(MACHINES, random_state=0)
    expected, found = clone(model).fit(X, sample_weight=weights), clone(model)
    steps = {"n_steps": 2, "random_state": 0}
    with config_context(array_api_dispatch=True):
        found.fit(theirs, sample_weight=their_weights)
        codes = found.transform(theirs)
        pairs = [
            (codes, expected.transform(X)),
            (found.inverse_transform(codes), expected.inverse_transform(expected.transform(X))),
            (found.score_samples(theirs), expected.score_samples(X)),
            (
                found.sample(start=theirs, means=True, **steps),
                expected.sample(start=X, means=True, **steps),
            ),
            (
                found.layers_[0][1].sample(start=theirs, **steps),
                expected.layers_[0][1].sample(start=X, **steps),
            ),
        ]
        score = found.score(theirs, sample_weight=their_weights)
        for method in ("transform", "inverse_transform", "score_samples"):
            given = codes if method == "inverse_transform" else theirs
            with pytest.raises(ValueError, match=rf"DBN.{method}\(\) must use the same"):
                getattr(expected, method)(given)
    assert_same_numbers(pairs, theirs, **tolerance_of(dtype))
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-5)


DEEP_MACHINES = {
    "two": DBM(MACHINES, n_chains=30, weight_decay=1e-3, **OPTIONS),
    "three": DBM(
        [*MACHINES, ("top", RBM(4, **OPTIONS))], pretraining=None, centered=True, **OPTIONS
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
@pytest.mark.parametrize("model", DEEP_MACHINES.values(), ids=DEEP_MACHINES)
def test_deep_machines_are_those_of_numpy(model, library, dtype):
    X, weights = some_digits(dtype), np.linspace(0.5, 2, 150, dtype=dtype)
    theirs, their_weights = in_library(library, X, weights)
    expected, found = clone(model).fit(X, sample_weight=weights), clone(model)
    with config_context(array_api_dispatch=True):
        found.fit(theirs, sample_weight=their_weights)
        pairs = [
            *zip(found.weights_, expected.weights_),
            *zip(found.biases_, expected.biases_),
            *(
                (getattr(found, method)(theirs), getattr(expected, method)(X))
                for method in ("transform", "reconstruct", "score_samples")
            ),
            (
                found.sample(start=theirs, n_steps=2, random_state=0),
                expected.sample(start=X, n_steps=2, random_state=0),
            ),
        ]
        score = found.score(theirs, sample_weight=their_weights)
        for method in ("transform", "reconstruct", "score_samples"):
            with pytest.raises(ValueError, match=rf"DBM.{method}\(\) must use the same"):
                getattr(found, method)(X)
    assert_same_numbers(pairs, theirs, **tolerance_of(dtype))
    assert score == pytest.approx(expected.score(X, sample_weight=weights), rel=1e-5)
