"""Stages of convolutional features one above the other."""

import re

import numpy as np
import pytest
from common import sklearn_checks
from sklearn import config_context
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae import _threads
from skae.images import ConvolutionalFeatures, ConvolutionalStack, _features, _stack

IMAGES = np.random.default_rng(0).random((30, 12, 11, 3))
LOW = ConvolutionalFeatures(6, patch_size=3, pool_size=3, pool_stride=2, random_state=1)
HIGH = ConvolutionalFeatures(5, patch_size=2, encoder="threshold", random_state=2)


@pytest.mark.slow
def test_each_stage_is_learned_on_the_maps_below():
    stack = ConvolutionalStack([("low", LOW), ("high", HIGH)]).fit(IMAGES)
    low = clone(LOW).fit(IMAGES)
    maps = low.transform(IMAGES).reshape(30, 5, 4, 6)
    assert low.map_shape_ == (5, 4, 6)
    high = clone(HIGH).fit(maps)
    np.testing.assert_allclose(stack.transform(IMAGES), high.transform(maps))
    assert stack.named_layers_.high.image_shape_ == (5, 4, 6)
    every = stack.set_params(all_stages=True).transform(IMAGES)
    np.testing.assert_allclose(every, np.hstack([low.transform(IMAGES), high.transform(maps)]))
    assert every.shape[1] == len(stack.get_feature_names_out())


@pytest.mark.slow
def test_blocks_threads_and_rows_change_nothing(monkeypatch):
    stack = ConvolutionalStack([("low", LOW), ("high", HIGH)], n_jobs=2).fit(IMAGES)
    Z = stack.transform(IMAGES)
    monkeypatch.setattr(_stack, "_BLOCK", 7)
    stack = ConvolutionalStack([("low", LOW), ("high", HIGH)], image_shape=(12, 11, 3))
    rows = IMAGES.reshape(30, -1)
    np.testing.assert_allclose(stack.fit(rows).transform(IMAGES), Z)


def test_stages_use_their_own_threads_unless_the_stack_has_some(monkeypatch):
    monkeypatch.setattr(_threads, "allowed_cores", lambda: 4)
    counts, share_items = [], _features.share_items

    def counted(function, items):
        counts.append(len(_threads.local.team) + 1)
        return share_items(function, items)

    monkeypatch.setattr(_features, "share_items", counted)
    stages = [("low", clone(LOW)), ("high", clone(HIGH))]
    stages = [(name, stage.set_params(dictionary="patches")) for name, stage in stages]
    stack = ConvolutionalStack(stages).set_params(low__n_jobs=2, high__n_jobs=3).fit(IMAGES)
    counts.clear()
    stack.transform(IMAGES)
    assert counts == [2, 3]
    counts.clear()
    stack.set_params(n_jobs=4).fit(IMAGES).transform(IMAGES)
    assert counts == [4, 4, 4]


@pytest.mark.slow
def test_upper_stages_learn_from_as_many_maps_as_fit_in_memory(monkeypatch):
    seen = []

    class Spy(PCA):
        def fit(self, X, y=None):
            seen.append(len(X))
            return super().fit(X)

    high = ConvolutionalFeatures(dictionary=Spy(3), encoder="linear", patch_size=2)
    monkeypatch.setattr(_stack, "_MAX_VALUES", 5 * 4 * 6 * 10)
    ConvolutionalStack([("low", LOW), ("high", high)], random_state=0).fit(IMAGES)
    assert seen == [10 * 4 * 3]


@pytest.mark.slow
def test_data_frames_as_output():
    stack = ConvolutionalStack([("low", LOW), ("high", HIGH)], all_stages=True)
    Z = stack.fit_transform(IMAGES)
    with config_context(transform_output="pandas"):
        frame = stack.fit_transform(IMAGES)
    np.testing.assert_allclose(frame.to_numpy(), Z)
    assert list(frame.columns) == list(stack.get_feature_names_out())


@pytest.mark.slow
def test_nested_parameters_and_seeds():
    low = clone(LOW)
    stages = [("low", low), ("high", clone(HIGH).set_params(random_state=None))]
    stack = ConvolutionalStack(stages, random_state=0)
    stack.set_params(high__encoder="triangle", low__n_filters=4)
    Z = stack.fit_transform(IMAGES)
    assert stack.named_layers_.high.image_shape_ == (5, 4, 4) and low.n_filters == 4
    # The threads of KMeans add up in any order.
    np.testing.assert_allclose(clone(stack).fit_transform(IMAGES), Z, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    "layers, error, words",
    [
        ([], ValueError, "at least one stage"),
        ([LOW], ValueError, "list of (name, stage)"),
        ([("low", PCA(2))], TypeError, "no ConvolutionalFeatures"),
        ([("low", LOW), ("low", HIGH)], ValueError, "not unique"),
        (
            [("low", LOW), ("high", ConvolutionalFeatures(patch_size=5))],
            ValueError,
            "Stage 'high', on maps of (5, 4, 6): patch_size=5 is larger than the maps of 'low', of height 5 and width 4: "
            "give 'low' small windows, as pool_size=2, or make patch_size smaller.",
        ),
    ],
)
def test_bad_layers(layers, error, words):
    stack = ConvolutionalStack([("low", LOW)]).fit(IMAGES)
    before = stack.transform(IMAGES)
    with pytest.raises(error, match=re.escape(words)):
        stack.set_params(layers=layers).fit(IMAGES)
    np.testing.assert_array_equal(stack.transform(IMAGES), before)


POINT = ConvolutionalFeatures(2, patch_size=1, contrast=None, pool_size=1)


@pytest.mark.slow
@sklearn_checks(
    [
        ConvolutionalStack([("low", POINT)]),
        ConvolutionalStack([("low", POINT), ("high", clone(POINT))], all_stages=True),
    ]
)
def test_sklearn(estimator, check):
    check(estimator)
