"""Labels of neighboring rows: how often they differ, how far it is to another label, and what a kernel tells of them."""

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.utils import gen_batches

from .._arrays.namespace import dense, spread_indices

_QUERIES, _NEIGHBORS, _CELLS = 500, 10_000, 20_000_000  # at most: 0.3 s
_SMOOTH, _ROUGH = 0.1, 0.3  # errors up to which y is smooth, and from which it is rough
_KERNEL_ROWS, _DECAYS = 1000, (0.1, 1.0)  # 0.1 s for each decay
_BLOCK = 256  # other rows at a time: 1 MB


class LabeledNeighbors:
    """Some labeled rows, and their neighbors among many of them.

    Parameters
    ----------
    inputs : ndarray, CSR matrix or ScaledRows of shape (n_samples, n_inputs)
        The inputs of the network.
    data : SupervisedData
        At most 500 of its labeled rows are compared with at most 10,000.
    merged : bool, default=False
        Whether rows that are equal, labels included, are one row with the sum of their weights.
    """

    def __init__(self, inputs, data, *, merged=False):
        labeled, weights = data.counted_labeled_rows, data.balanced_weights
        most = min(_NEIGHBORS, max(_QUERIES, _CELLS // inputs.shape[1]))
        others = labeled[spread_indices(len(labeled), most)]
        weights = np.ones(len(others)) if weights is None else weights[others]
        if merged:
            others, weights = _merged(inputs, data.targets.values, others, weights)
        some = np.arange(len(others))[spread_indices(len(others), _QUERIES)]
        self._inputs, self._rows, self._some = inputs, others, some
        self._queries = inputs[others[some]]
        self._values = data.targets.values[others]
        self._weights = weights[some]

    def error(self, kind):
        """Return how often the nearest row has another label, as a fraction of how often any other row has.

        It is near 0 if labels follow from X, and 1 if X says nothing about them, or if there is one label only.
        ``kind``, a ``Classes`` or ``Values``, counts errors.
        """
        of_nearest, of_any = self._errors(kind)
        return min(1.0, of_nearest / of_any) if of_any > 0 else 1.0

    def noise(self, kind):
        """Return how noisy labels are, from 0 to 1, by the ``noise`` of a ``Classes`` or ``Values``."""
        return kind.noise(*self._errors(kind))

    def _errors(self, kind):
        """Return how often the nearest row, and any other, has another label."""
        values = self._values[self._some]

        def error(others):
            return float(
                np.average(kind.errors(self._values[others], values), weights=self._weights)
            )

        nearest, _ = self._nearest(np.arange(len(self._rows))[:, None])
        others = np.random.default_rng(0).permutation(len(self._values))[: len(values)]
        return error(nearest), error(others)

    def to_other_label(self):
        """Return the indices of some labeled rows, the differences to the nearest rows with another label, and weights."""
        nearest, found = self._nearest(self._values)
        differences = self._inputs[self._rows[nearest[found]]] - self._queries[found]
        return self._rows[self._some[found]], dense(differences), self._weights[found]

    def _nearest(self, keys):
        """Return the place of the nearest row with another key for each of some, and whether there is one."""
        nearest, least = np.zeros(len(self._some), dtype=int), np.full(len(self._some), np.inf)
        for others in gen_batches(len(self._rows), _BLOCK):
            distances = euclidean_distances(
                self._queries, self._inputs[self._rows[others]], squared=True
            )
            same = euclidean_distances(keys[self._some], keys[others], squared=True) < 0.5
            distances[same] = np.inf
            nearest_here, least_here = distances.argmin(axis=1), distances.min(axis=1)
            closer = least_here < least
            nearest[closer] = nearest_here[closer] + others.start
            least[closer] = least_here[closer]
        return nearest, np.isfinite(least)


def roughness_of(inputs, data, kind):
    """Return 0 if targets are nearly those of the nearest rows, 1 if they are not, and a number between if they are in part."""
    noise = LabeledNeighbors(inputs, data, merged=True).error(kind)
    return float(np.interp(noise, (_SMOOTH, _ROUGH), (0, 1)))


def kernel_errors(inputs, data, kind):
    """Return how often kernel ridge regression on all other rows is wrong about a label, and the label of any row is.

    Unlike the nearest row, it sees boundaries where many columns say nothing, or that are smooth in all of them. The
    kernel is the Gaussian of ``SVC``.
    """
    rows, weights = data.counted_labeled_rows, data.balanced_weights
    rows = rows[spread_indices(len(rows), _KERNEL_ROWS)]
    weights = np.ones(len(rows)) if weights is None else weights[rows] / weights[rows].mean()
    values = data.targets.values[rows].astype(float)
    distances = euclidean_distances(inputs[rows], squared=True).astype(float)
    scale = distances.mean() / 2  # the sum of the variances
    kernel = np.exp(-distances / (scale if scale > 0 else 1))
    means = np.average(values, axis=0, weights=weights)

    def error(outputs):
        return float(np.average(kind.errors(outputs - 0.5, values), weights=weights))

    def left_out(decay):
        inverse = np.linalg.inv(kernel + np.diag(decay / weights))
        return values - inverse @ (values - means) / inverse.diagonal()[:, np.newaxis]

    by_chance = error(values[np.random.default_rng(0).permutation(len(values))])
    return min(error(left_out(decay)) for decay in _DECAYS), by_chance


def _merged(inputs, values, rows, weights):
    """Return the first of the ``rows`` with equal inputs and values, and the sum of the ``weights`` of these."""
    keys = []
    for part in gen_batches(len(rows), _BLOCK):
        cells = np.column_stack([dense(inputs[rows[part]]), values[rows[part]]])
        keys += [hash(row.tobytes()) for row in cells]
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    order = first.argsort()
    return rows[first[order]], np.bincount(group, weights)[order]
