"""Minibatches of rows, the steps of an epoch over them, and the mean of an objective.

There is one minibatch iterator: shuffled rows of an array, a CSR matrix or ``ScaledRows``, with their weights.
``Mixture`` adds unlabeled rows to batches of labeled ones.
"""

import numpy as np
import scipy.sparse

from .._arrays.namespace import (
    dense,
    empty,
    empty_like,
    is_numpy,
    like,
    namespace,
    scalar,
    take,
    to_numpy,
)
from .._arrays.random import Drawn
from .._threads import ELEMENT, share
from .device_steps import DeviceSteps
from .solvers import SGD

# Values that are not finite end in a DivergenceError, and numpy need not warn of them.
OVERFLOW_IGNORED = {"over": "ignore", "invalid": "ignore"}


def in_host_memory(X):
    """Return whether the rows ``X`` are in host memory: an array of numpy, a sparse matrix or ``ScaledRows``."""
    return is_numpy(X) or scipy.sparse.issparse(X) or not hasattr(X, "device")


class Batch:
    """The rows ``indices`` of a data set, copied only when and where the objective asks for them."""

    def __init__(self, data, indices):
        self._data, self.indices, self.n_rows = data, indices, indices.shape[0]
        self.may_miss = data.may_miss  # whether values of the rows may be missing (NaN)
        self.is_clean = False  # whether corruptions leave the rows as they are

    def seeds(self, rng):
        """Return three seeds of noise, drawn by the generator ``rng`` or in advance."""
        if isinstance(rng, Drawn):
            drawn = rng.take(3)
            return [drawn[place] for place in range(3)]
        seeds = rng.integers(2**63, size=3, dtype=np.uint64)
        return seeds if self._data.prototype is None else seeds.tolist()

    def pick(self, constant):
        """Return the entries of these rows in a ``Constant`` with one entry for each row of the data."""
        array = constant.like(self.indices)
        return namespace(array).take(array, self.indices, axis=0)

    def rows(self, out, weights):
        """Fill the C-ordered ``out`` with the rows, and ``weights`` with their weights in the mean of the batch.

        They are sample weights divided by the batch size.
        """
        X, sample_weight = self._data.X, self._data.sample_weight
        if sample_weight is None:
            weights[...] = 1 / self.n_rows
        else:
            weights[...] = namespace(sample_weight).take(sample_weight, self.indices, axis=0)
            weights /= self.n_rows
        if not is_numpy(out):
            self._rows_on_device(X, out)
            return
        if scipy.sparse.issparse(X):
            X[self.indices].toarray(out=out)
            return

        def work(rows):
            if isinstance(X, np.ndarray):
                take(X, self.indices[rows], out[rows])
            else:
                out[rows] = X[self.indices[rows]]

        share(work, self.n_rows, ELEMENT * X.shape[1])

    def _rows_on_device(self, X, out):
        """Fill an array of another library, from data of that library or in host memory."""
        if in_host_memory(X):
            out[...] = like(dense(X[to_numpy(self.indices)]), out)
        else:
            take(X, self.indices, out)

    def targets(self, out):
        """Fill ``out`` with the rows' targets."""
        take(self._data.targets, self.indices, out)

    def corrupt(self, corruption, rows, seed, out):
        """Fill ``out`` with a corruption of ``rows``, the rows of this batch, or with ``rows`` if it ``is_clean``."""
        if self.is_clean:
            out[...] = rows
            return
        self.draw(lambda clean, noisy: corruption(clean, seed, noisy), rows, out)

    def draw(self, function, rows, out):
        """Fill ``out`` by ``function(rows, out)``, which draws noise for each row."""
        copies = self._data.copies(self.indices, rows) if self._data.equal_noise else None
        if copies is None:
            function(rows, out)
            return
        first, places = (like(each, out) for each in copies)
        distinct = namespace(rows).take(rows, first, axis=0)
        noisy = empty((distinct.shape[0], out.shape[1]), out)
        function(distinct, noisy)
        take(noisy, places, out)


class Batches:
    """Rows ``indices`` of ``X`` in batches of ``batch_size``.

    Parameters
    ----------
    X : C-ordered ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
    sample_weight : ndarray of shape (n_samples,) or None
        Sample weights, which are scaled to a mean of one over ``indices``.
    batch_size : int
    shuffle : bool or int
        Whether each epoch takes the rows in a new order, see :func:`shuffled`.
    indices : ndarray of int or None
        Rows to use; all of them by default.
    targets : C-ordered ndarray of shape (n_samples, n_outputs) or None
        Targets of the rows, if any.
    equal_noise : bool, default=False
        Whether equal rows of a batch get equal noise, so that a row of weight 2 has the effect of two rows.
    may_miss, prototype
        See :class:`~skae.training.loop.Problem`.
    """

    def __init__(
        self,
        X,
        sample_weight,
        batch_size,
        *,
        shuffle=False,
        indices=None,
        targets=None,
        equal_noise=False,
        may_miss=True,
        prototype=None,
    ):
        self.X, self.batch_size, self.shuffle = X, batch_size, shuffle
        self.targets, self.equal_noise, self._copies = targets, equal_noise, {}
        self.indices = np.arange(X.shape[0]) if indices is None else indices
        self.n_rows = len(self.indices)  # of an epoch
        self.sample_weight = None
        if sample_weight is not None:
            self.sample_weight = sample_weight / sample_weight[self.indices].mean()
        self.prototype, self.may_miss = prototype, may_miss
        if prototype is not None:
            self._move()

    def _move(self):
        """Bring targets and weights to the device.

        Missing values are looked for here, so that no step has to wait for the device.
        """
        self.targets, self.sample_weight = (
            like(each, self.prototype) for each in (self.targets, self.sample_weight)
        )
        if self.may_miss and not in_host_memory(self.X):
            xp = namespace(self.X)
            self.may_miss = bool(xp.isnan(xp.sum(self.X)))

    def copies(self, indices, rows):
        """Return the first of each kind of equal ``rows``, those of ``indices``, and each row's position among these.

        The result is None if all rows differ. It is computed once, since such batches are the same in all epochs.
        """
        start = int(indices[0])
        if start not in self._copies:
            rows = to_numpy(rows)
            _, first, places = np.unique(rows, axis=0, return_index=True, return_inverse=True)
            all_differ = len(first) == len(rows)
            self._copies[start] = None if all_differ else (first, places.ravel())
        return self._copies[start]

    @property
    def can_be_captured(self):
        """bool: whether full batches can be taken from the data without the CPU."""
        return not in_host_memory(self.X) and not self.equal_noise

    def epoch(self, rng):
        """Yield each row once."""
        order = shuffled(self.indices, self.shuffle, rng)
        order = order if self.prototype is None else like(order, self.prototype)
        n_rows = order.shape[0]
        for start in range(0, n_rows, self.batch_size):
            yield self.batch(order[start : min(start + self.batch_size, n_rows)])

    def batch(self, indices):
        """Return a batch of ``indices``."""
        return Batch(self, indices)

    def make_steps(self, objective, state, solver):
        """Return the steps of a training, see :class:`~skae._protocols.TrainingBatches`."""
        kind = Steps if is_numpy(state.params) else DeviceSteps
        return kind(objective, state, solver, self)


class Mixture(Batches):
    """Batches of ``batch_size`` labeled rows each and some unlabeled ones, which are drawn anew in each epoch.

    The unlabeled rows of an epoch are all different, unless it takes more than there are: then the numbers of times
    that rows are taken differ by at most one.

    Parameters
    ----------
    X, sample_weight, batch_size, shuffle, indices, targets
        See :class:`Batches`; ``batch_size`` counts labeled rows.
    labeled : ndarray of bool of shape (n_samples,)
    n_unlabeled : int
        Number of unlabeled rows in an epoch.
    """

    def __init__(self, *args, labeled, n_unlabeled, **options):
        super().__init__(*args, **options)
        self._labeled = self.indices[labeled[self.indices]]
        self._unlabeled = self.indices[~labeled[self.indices]]
        self._n_unlabeled = n_unlabeled if len(self._unlabeled) else 0
        self.n_rows = len(self._labeled) + self._n_unlabeled
        if self.sample_weight is not None:
            mean = self._mean_weight(to_numpy(self.sample_weight))
            self.sample_weight = self.sample_weight / scalar(mean, self.sample_weight)

    def epoch(self, rng):
        """Yield each labeled row once, and some of the others."""
        order = shuffled(self._labeled, self.shuffle, rng)
        cuts = np.arange(self.batch_size, len(order), self.batch_size)
        # The ratio of unlabeled to labeled rows is the same in each batch.
        others = np.split(self._drawn_unlabeled(rng), cuts * self._n_unlabeled // len(order))
        for rows in zip(np.split(order, cuts), others):
            rows = np.concatenate(rows)
            yield self.batch(rows if self.prototype is None else like(rows, self.prototype))

    def _drawn_unlabeled(self, rng):
        n_whole, n_more = divmod(self._n_unlabeled, max(len(self._unlabeled), 1))
        shuffle = self.shuffle or True
        parts = [shuffled(self._unlabeled, shuffle, rng) for _ in range(n_whole)]
        rest = rng.permutation(self._unlabeled)[:n_more]
        if shuffle is not True:
            rest = shuffled(np.sort(rest), shuffle, rng)
        return np.concatenate([*parts, rest])

    def _mean_weight(self, weights):
        """Return the mean of the ``weights`` of the rows of an epoch, over its draws."""
        total = weights[self._labeled].sum(dtype=np.float64)
        if self._n_unlabeled:
            total += self._n_unlabeled * weights[self._unlabeled].mean(dtype=np.float64)
        return total / self.n_rows


class Steps:
    """The minibatch steps of a training on arrays of numpy."""

    def __init__(self, objective, state, solver, batches):
        self.objective, self.state, self.batches = objective, state, batches
        self.solver = objective.adapted(solver)
        is_plain = type(self.solver) is SGD and not self.solver.momentum
        self.grad = (
            objective.new_gradient(state.params, batches.batch_size)
            if is_plain
            else empty_like(state.params)
        )

    def epoch(self, rate, keep):
        """Make the steps of an epoch; return the sum of the losses of all rows and the last batch.

        The sum is not finite if training has diverged. ``rate`` is a function from the number of rows so far to the
        step size. ``keep`` is called before the first step if the loss is finite there.
        """
        total, n_seen, state = 0.0, 0, self.state
        for batch in self.batches.epoch(state.rng):
            with np.errstate(**OVERFLOW_IGNORED):
                value = self.objective(state.params, batch, self.grad, state.rng)
            if not np.isfinite(value):
                return value, batch
            if not n_seen:
                keep()
            with np.errstate(**OVERFLOW_IGNORED):
                self.solver.step(state.params, self.grad, state.solver, rate(n_seen))
            total += value * batch.n_rows
            n_seen += batch.n_rows
        return total, batch


def shuffled(rows, shuffle, rng):
    """Return ``rows`` in the order of an epoch.

    Parameters
    ----------
    rows : ndarray of int
    shuffle : bool or int
        Whether the order is random. An integer shuffles within buffers of that many consecutive rows, so that a file
        is read from beginning to end. The buffers begin at different rows in each epoch.
    rng : numpy.random.Generator
    """
    if isinstance(shuffle, (bool, np.bool_)):
        return rng.permutation(rows) if shuffle else rows
    order = rows.copy()
    for start in range(-int(rng.integers(shuffle)), len(rows), shuffle):
        rng.shuffle(order[max(start, 0) : start + shuffle])
    return order


def mean_objective(objective, params, batches, seed, grad=None):
    """Return the objective over all of ``batches`` with the noise of ``seed``; fill ``grad`` unless None."""
    piece = None if grad is None else empty_like(params)
    if grad is not None:
        grad[...] = 0
    total = 0.0
    for batch in batches.epoch(np.random.default_rng(seed)):
        part = batch.n_rows / batches.n_rows
        # Each batch starts with the same generator, so that noise depends on the row alone.
        total += part * objective(params, batch, piece, np.random.default_rng(seed))
        if grad is not None:
            piece *= scalar(part, piece)
            grad += piece
    return float(total)
