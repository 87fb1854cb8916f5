"""Minibatches of labeled rows with some unlabeled ones beside them."""

import numpy as np

from .batches import Batch, Batches


class Mixture(Batches):
    """Batches of ``batch_size`` labeled rows each, among which some unlabeled ones, drawn anew in each epoch, are dealt.

    The rows that an epoch takes of the unlabeled ones are all different, unless it takes more than there are: then
    each as often as any other, up to one.

    Parameters
    ----------
    X, sample_weight, batch_size, shuffle, indices, targets
        See :class:`Batches`; ``batch_size`` counts labeled rows.
    labeled : ndarray of bool of shape (n_samples,)
    n_unlabeled : int
        Unlabeled rows in an epoch.
    """

    def __init__(self, *args, labeled, n_unlabeled, **options):
        super().__init__(*args, **options)
        self._labeled = self.indices[labeled[self.indices]]
        self._others = self.indices[~labeled[self.indices]]
        self._n_others = n_unlabeled if len(self._others) else 0
        if self.sample_weight is not None:
            self.sample_weight = self.sample_weight / self._mean_weight()

    def __len__(self):
        return len(self._labeled) + self._n_others

    def epoch(self, rng):
        """Yield each labeled row once, and some of the others."""
        order = rng.permutation(self._labeled) if self.shuffle else self._labeled
        cuts = np.arange(self.batch_size, len(order), self.batch_size)
        # Cut at the same shares of both, so that each batch has as many others for a labeled row.
        others = np.split(self._drawn(rng), cuts * self._n_others // len(order))
        for rows in zip(np.split(order, cuts), others):
            yield Batch(self, np.concatenate(rows))

    def _drawn(self, rng):
        n_whole, n_more = divmod(self._n_others, max(len(self._others), 1))
        parts = [rng.permutation(self._others) for _ in range(n_whole)]
        return np.concatenate([*parts, rng.permutation(self._others)[:n_more]])

    def _mean_weight(self):
        """Return the mean weight of the rows of an epoch, over its draws."""
        total = self.sample_weight[self._labeled].sum(dtype=np.float64)
        if self._n_others:
            total += self._n_others * self.sample_weight[self._others].mean(dtype=np.float64)
        return self.sample_weight.dtype.type(total / len(self))
