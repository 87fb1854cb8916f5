"""Minibatches of labeled and unlabeled rows, by counting them."""

import numpy as np
import pytest

from skae.training.batches import Mixture

X = np.arange(120.0).reshape(60, 2)
LABELLED = np.arange(60) % 3 == 0
ROWS = np.arange(50)


def _mixture(n_unlabeled, weights=None, **options):
    return Mixture(
        X, weights, 5, indices=ROWS, labeled=LABELLED, n_unlabeled=n_unlabeled, **options
    )


@pytest.mark.parametrize("shuffle", [False, True, 12])
@pytest.mark.parametrize("n_unlabeled", [0, 7, 33, 90])
def test_each_labeled_row_once_and_the_others_evenly(n_unlabeled, shuffle):
    batches = _mixture(n_unlabeled, shuffle=shuffle)
    parts = [batch.indices for batch in batches.epoch(np.random.default_rng(0))]
    assert batches.n_rows == 17 + n_unlabeled == sum(map(len, parts))
    n_labeled = [LABELLED[part].sum() for part in parts]
    assert n_labeled == [5, 5, 5, 2]
    for part, count in zip(parts, n_labeled):
        assert abs(len(part) - count - count * n_unlabeled / 17) <= 1
    counts = np.bincount(np.concatenate(parts), minlength=60)
    assert (counts[50:] == 0).all() and (counts[:50][LABELLED[:50]] == 1).all()
    others = counts[:50][~LABELLED[:50]]
    assert others.sum() == n_unlabeled and np.ptp(others) <= 1


def test_a_buffer_keeps_labeled_and_unlabeled_rows_near_their_place():
    for n_unlabeled in (33, 80):
        batches = _mixture(n_unlabeled, shuffle=4)
        order = np.concatenate([b.indices for b in batches.epoch(np.random.default_rng(0))])
        for labeled, n_passes in ((True, 1), (False, n_unlabeled // 33)):
            rows = order[LABELLED[order] == labeled][: 33 * n_passes].reshape(n_passes, -1)
            assert (np.abs(rows - np.sort(rows)) <= 3 * 3).all()
            assert (rows != np.sort(rows)).any()
        drawn = order[~LABELLED[order]][33 * (n_unlabeled // 33) :]
        assert (np.diff(drawn) < 0).any() == (len(drawn) > 0)
        assert (np.argsort(np.argsort(drawn)) - np.arange(len(drawn)) < 4).all()


def test_rows_are_drawn_anew_and_the_same_generator_draws_the_same():
    batches, rng = _mixture(10), np.random.default_rng(0)
    first, second = (np.concatenate([b.indices for b in batches.epoch(rng)]) for _ in range(2))
    again = np.concatenate([b.indices for b in batches.epoch(np.random.default_rng(0))])
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, again)


def test_weights_have_a_mean_of_one_over_what_is_expected():
    weights = np.random.default_rng(1).random(60)
    batches = _mixture(10, weights)
    ours, others = LABELLED[:50], ~LABELLED[:50]
    scaled = batches.sample_weight[:50]
    assert (scaled[ours].sum() + 10 * scaled[others].mean()) / 27 == pytest.approx(1)
    np.testing.assert_allclose(scaled / scaled[0], weights[:50] / weights[0])
