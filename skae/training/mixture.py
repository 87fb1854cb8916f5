"""Minibatches of labelled rows with some unlabelled ones beside them."""

import numpy as np

from .batches import Batch, Batches


class Mixture(Batches):
    """Batches of ``batch_size`` labelled rows each, among which some unlabelled ones, drawn anew in each epoch, are dealt.

    The rows that an epoch takes of the unlabelled ones are all different, unless it takes more than there are: then
    each as often as any other, up to one.

    Parameters
    ----------
    X, sample_weight, batch_size, shuffle, indices, targets
        See :class:`Batches`; ``batch_size`` counts labelled rows.
    labelled : ndarray of bool of shape (n_samples,)
    n_unlabelled : int
        Unlabelled rows in an epoch.
    """

    def __init__(self, *args, labelled, n_unlabelled, **options):
        super().__init__(*args, **options)
        self._labelled = self.indices[labelled[self.indices]]
        self._others = self.indices[~labelled[self.indices]]
        self._n_others = n_unlabelled if len(self._others) else 0
        if self.sample_weight is not None:
            self.sample_weight = self.sample_weight / self._mean_weight()

    def __len__(self):
        return len(self._labelled) + self._n_others

    def epoch(self, rng):
        """Yield each labelled row once, and some of the others."""
        order = rng.permutation(self._labelled) if self.shuffle else self._labelled
        cuts = np.arange(self.batch_size, len(order), self.batch_size)
        # Cut at the same shares of both, so that each batch has as many others for a labelled row.
        others = np.split(self._drawn(rng), cuts * self._n_others // len(order))
        for rows in zip(np.split(order, cuts), others):
            yield Batch(self, np.concatenate(rows))

    def _drawn(self, rng):
        n_whole, n_more = divmod(self._n_others, max(len(self._others), 1))
        parts = [rng.permutation(self._others) for _ in range(n_whole)]
        return np.concatenate([*parts, rng.permutation(self._others)[:n_more]])

    def _mean_weight(self):
        """Return the mean weight of the rows of an epoch, over its draws."""
        total = self.sample_weight[self._labelled].sum(dtype=np.float64)
        if self._n_others:
            total += self._n_others * self.sample_weight[self._others].mean(dtype=np.float64)
        return self.sample_weight.dtype.type(total / len(self))
