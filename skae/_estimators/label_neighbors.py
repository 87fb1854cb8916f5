"""Labels of neighboring rows: how often they differ, and how far it is to another label."""

import numpy as np
from sklearn.metrics import euclidean_distances

from .._arrays.namespace import dense, evenly_spaced

_QUERIES, _NEIGHBORS, _CELLS = 500, 10_000, 20_000_000  # at most: 0.3 s


class LabeledNeighbors:
    """Some labeled rows, and their neighbors among many of them.

    Parameters
    ----------
    inputs : ndarray, CSR matrix or ScaledRows of shape (n_samples, n_inputs)
        The inputs of the network.
    data : SupervisedData
        At most 500 of its labeled rows are compared with at most 10,000.
    """

    def __init__(self, inputs, data):
        labeled, weights = data.labeled_rows, data.balanced_weights
        if weights is not None:
            labeled = labeled[weights[labeled] > 0]
        most = min(_NEIGHBORS, max(_QUERIES, _CELLS // inputs.shape[1]))
        others = labeled[evenly_spaced(len(labeled), most)]
        some = np.arange(len(others))[evenly_spaced(len(others), _QUERIES)]
        self._rows, self._some = others, some
        self._inputs, self._values = inputs[others], data.targets.values[others]
        self._weights = None if weights is None else weights[others[some]]
        self._distances = euclidean_distances(self._inputs[some], self._inputs)
        self._distances[np.arange(len(some)), some] = np.inf

    def error(self, kind):
        """Return how often the nearest row has another label, as a fraction of how often any other row has.

        It is near 0 if labels follow from X, and 1 if X says nothing about them, or if there is one label only.
        ``kind``, a ``Classes`` or ``Values``, counts errors.
        """
        values = self._values[self._some]

        def error(others):
            return np.average(kind.errors(self._values[others], values), weights=self._weights)

        of_any = error(np.random.default_rng(0).permutation(len(self._values))[: len(values)])
        of_nearest = error(self._distances.argmin(axis=1))
        return min(1.0, float(of_nearest / of_any)) if of_any > 0 else 1.0

    def to_other_label(self):
        """Return the indices of some labeled rows, and the differences to the nearest rows with another label."""
        values = self._values
        differs = euclidean_distances(values[self._some], values, squared=True) > 0.5
        nearest = np.where(differs, self._distances, np.inf).argmin(axis=1)
        some, nearest = self._some[differs.any(axis=1)], nearest[differs.any(axis=1)]
        return self._rows[some], dense(self._inputs[nearest]) - dense(self._inputs[some])
