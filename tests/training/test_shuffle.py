"""The order of rows in an epoch: any, that of the data, or shuffled within buffers."""

import numpy as np
import pytest

from skae import ContractiveAE
from skae.distributed._shard import Plan
from skae.training.batches import Batches, shuffled

X = np.random.default_rng(0).random((300, 8), dtype=np.float32)


@pytest.mark.parametrize("n_rows", [1, 40, 64, 1000])
def test_a_buffer_takes_each_row_once_and_near_its_place(n_rows):
    rows = np.sort(np.random.default_rng(1).permutation(2000)[:n_rows])
    rng, edges = np.random.default_rng(0), []
    for _ in range(20):
        order = shuffled(rows, 16, rng)
        np.testing.assert_array_equal(np.sort(order), rows)
        places = np.searchsorted(rows, order)
        assert (np.abs(places - np.arange(n_rows)) < 16).all()
        # A buffer ends where no earlier row is left.
        whole = np.maximum.accumulate(places) == np.arange(n_rows)
        edges.append(np.flatnonzero(whole))
    if n_rows > 16:
        assert min(len(each) for each in edges) <= n_rows / 8
        assert len(np.unique(np.concatenate(edges))) > n_rows / 2  # not at the same rows each time


def test_orders_within_a_buffer_are_equally_frequent():
    rng = np.random.default_rng(0)
    orders = [tuple(shuffled(np.arange(3), 10**6, rng)) for _ in range(3000)]
    found, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(found) == 6
    assert (np.abs(counts - 500) < 5 * np.sqrt(500)).all()


def test_a_model_reads_its_rows_in_buffers(monkeypatch):
    seen, epoch = [], Batches.epoch

    def watched(batches, rng):
        for batch in epoch(batches, rng):
            seen.append(batch.indices)
            yield batch

    monkeypatch.setattr(Batches, "epoch", watched)
    options = {"max_iter": 2, "batch_size": 50, "random_state": 0}
    model = ContractiveAE(3, shuffle=20, **options).fit(X)
    steps = np.concatenate([each for each in seen if len(each) == 50])[:600].reshape(2, 300)
    for order in steps:
        np.testing.assert_array_equal(np.sort(order), np.arange(300))
        assert 0 < np.abs(order - np.arange(300)).max() < 20
    assert (steps[0] != steps[1]).any()
    again = ContractiveAE(3, shuffle=20, **options).fit(X)
    np.testing.assert_array_equal(again.components_, model.components_)
    for wrong in (1, 0, -5, 2.5):
        with pytest.raises(ValueError, match=r"'shuffle' parameter .* must be"):
            ContractiveAE(3, shuffle=wrong).fit(X)


def test_parts_of_a_cluster_shuffle_within_buffers():
    plan = Plan(np.arange(100, 200), None, 10)
    order = np.concatenate([rows for rows, _ in plan.epoch(0, 3, 8)])
    np.testing.assert_array_equal(np.sort(order), np.arange(100, 200))
    assert 0 < np.abs(order - np.arange(100, 200)).max() < 8
