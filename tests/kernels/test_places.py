"""Kernels of patches give the same bits wherever in memory their arrays lie."""

from itertools import permutations

import numpy as np

from skae._kernels.patches import SUM, Windows, pool_triangle


def test_pooled_distances_do_not_depend_on_places_in_memory():
    rng = np.random.default_rng(0)
    n_maps, halves = 8, np.array([[0, 4], [4, 8]])
    windows = Windows(8, 8, halves, halves, SUM)
    arrays = [
        rng.random((64, n_maps + 25)),
        rng.random(n_maps),
        np.zeros(n_maps),
        np.zeros((1, 2, 2, n_maps)),
    ]
    found = set()
    for order in permutations(range(4)):
        memory = np.empty(sum(each.size for each in arrays))  # side by side
        ends = np.cumsum([arrays[k].size for k in order])
        placed = dict(zip(order, np.split(memory, ends[:-1]), strict=True))
        products, squared_norms, distances, pooled = (
            placed[k].reshape(each.shape) for k, each in enumerate(arrays)
        )
        for k, each in enumerate(arrays):
            placed[k][:] = each.ravel()
        pool_triangle(products, squared_norms, distances, 0, windows, pooled)
        found.add(pooled.tobytes())
    assert len(found) == 1
