"""Tangents of training samples, stored for each batch, and the automatic weight of a penalty along them."""

import numpy as np
from sklearn.utils import gen_batches

from .._arrays.namespace import (
    Constant,
    copy,
    dense,
    dtype_name,
    is_numpy,
    like,
    namespace,
    to_numpy,
)
from .._estimators.label_neighbors import LabeledNeighbors
from .._estimators.parameters import resolved
from .._estimators.validation import Need
from .._kernels.tangents import gather, gather_sum
from .._protocols import Observer
from .._threads import ELEMENT, share, share_items
from ..nn.linear_maps import encoder_map
from ._bidiagonalization import leading_vectors
from ._tangents import BLOCK, rows_at_once_like

# Rows of the data, and rows with tangents, from which the automatic weight is computed: enough for two digits.
_N_ROWS = 500
# With fewer labels a penalty at unlabeled rows would flatten the outputs there, and is made smaller.
_MANY_LABELS = 1000
# Shares of the way to the nearest row of another label along tangents: up to which the automatic weight stays, and from
# which it is 0. Then outputs must change along tangents.
_WITHIN, _ACROSS = 0.5, 0.6
_CELLS = 10_000_000  # of tangents at once


class TangentStore:
    """Tangents of an encoder, as directions of a :class:`~skae.nn.tangent_propagation.TangentPropagation`.

    Parameters
    ----------
    network : Network
        Network whose layers below the output layer are the encoder.
    X : C-ordered ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
    rows : ndarray of int
        Rows of X that have tangents.
    n_tangents : int
    dtype : str or None
        Dtype of the ``len(rows) * n_tangents * n_features`` stored values; None recomputes them for each minibatch.
    random : bool
        Whether a minibatch gets one combination of each sample's tangents with random signs e, instead of all of them.
        Since E e e' = I, the mean of its squared slope is the sum of theirs.
    tol : float
    seed : int
    prototype : array or None, default=None
        Array in whose library and on whose device tangents are computed; numpy by default.
    """

    def __init__(self, network, X, rows, n_tangents, *, dtype, random, tol, seed, prototype=None):
        self.network, self.X, self.rows, self.prototype = network, X, rows, prototype
        self.n_tangents, self.random, self.tol, self.seed = n_tangents, random, tol, seed
        self.n_directions = 1 if random else n_tangents
        self._places = np.zeros(X.shape[0], np.intp)
        self._places[rows] = np.arange(len(rows))
        # Copies on the device of the batches.
        self._places_there, self._basis_there = Constant(self._places), None
        self._basis, self.rounding = None, 0.0
        if dtype is not None:
            self.rounding = float(np.finfo(dtype).eps)
            self._basis = np.empty((len(rows), n_tangents, X.shape[1]), dtype)

    def __getstate__(self):
        """Return what is needed to look up tangents; a copy in another process does not update them."""
        return {**vars(self), "X": None, "prototype": None}

    def update(self, flat):
        """Update the tangents to those of the encoder with the parameters ``flat``."""
        self._flat = to_numpy(flat).copy()
        if self._basis is None:
            return

        def fill(part):
            inputs = dense(self.X[self.rows[part]])
            if self.prototype is not None:
                inputs = like(inputs, self.prototype)
            self._basis[part] = to_numpy(self._tangents(inputs))

        block = BLOCK
        if self.prototype is not None:
            block = rows_at_once_like(self.prototype, self.n_tangents, self.X.shape[1])
        share_items(fill, list(gen_batches(len(self.rows), block)))
        if self._basis_there is not None:
            basis = self._basis.astype(dtype_name(self._basis_there), copy=False)
            self._basis_there[...] = like(basis, self._basis_there)

    def __call__(self, rows, inputs, samples, seed, out):
        """Fill ``out``, of shape (n_samples, n_directions, n_features), for ``samples`` of a batch.

        Parameters
        ----------
        rows : ndarray of int
            Rows of X in the batch.
        inputs : ndarray of shape (n_rows, n_features)
            Their clean values, from which tangents are computed if none are stored.
        samples : ndarray of int
            Positions in the batch.
        seed : int
            Seed of the coins.
        out : ndarray
        """
        if not is_numpy(out):
            self._fill_on_device(rows, inputs, seed, out)
            return
        signs = None
        if self.random:
            # Coins of the whole minibatch, so that those of a sample do not depend on the other ``samples``.
            coins = self.draw(len(rows), seed).reshape(len(rows), -1)
            signs = (2 * coins[samples] - 1).astype(out.dtype)
        if self._basis is None:
            self._compute(inputs[samples], signs, out)
        else:
            self._look_up(self._places[rows[samples]], signs, out)

    def tangents_by_block(self, rows):
        """Yield slices of ``rows``, which have tangents, and these, of shape (n_rows, n_tangents, n_features)."""
        n_rows = max(1, _CELLS // (self.n_tangents * self.X.shape[1]))
        for part in gen_batches(len(rows), n_rows):
            inputs = dense(self.X[rows[part]])
            if self._basis is None:
                yield part, self._tangents(inputs)
            else:
                yield part, self._basis[self._places[rows[part]]].astype(inputs.dtype)

    @property
    def can_be_captured(self):
        """Whether directions are stored, so that a device can look them up: bool."""
        return self._basis is not None

    def n_coins(self, n_samples):
        """Return the number of coins for a minibatch."""
        return n_samples * self.n_tangents if self.random else 0

    def draw(self, n_samples, seed):
        """Return the coins of a minibatch: random values 0 or 1."""
        return np.random.default_rng(seed).integers(0, 2, self.n_coins(n_samples))

    def _fill_on_device(self, rows, inputs, seed, out):
        """Fill ``out``, an array of another library, for all samples of a batch.

        In a captured step ``seed`` is an array of the coins, which :meth:`draw` returned in advance.
        """
        xp = namespace(out)
        basis = (
            self._tangents(inputs) if self._basis is None else self._look_up_on_device(rows, out)
        )
        if self.random:
            coins = like(self.draw(rows.shape[0], seed), out) if isinstance(seed, int) else seed
            coins = xp.reshape(coins, (rows.shape[0], self.n_tangents))
            signs = xp.astype(2 * coins - 1, out.dtype)
            basis = xp.sum(signs[:, :, None] * basis, axis=1, keepdims=True)
        out[...] = basis

    def _look_up_on_device(self, rows, out):
        xp = namespace(out)
        if self._basis_there is None:
            known = self._basis.dtype if hasattr(xp, "float16") else np.float32
            self._basis_there = like(self._basis.astype(known, copy=False), out)
        places = xp.take(self._places_there.like(out), rows, axis=0)
        return xp.astype(xp.take(self._basis_there, places, axis=0), out.dtype)

    def _compute(self, inputs, signs, out):
        def fill(part):
            basis = self._tangents(inputs[part])
            if signs is None:
                out[part] = basis
            else:
                out[part, 0] = np.einsum("ik,ikj->ij", signs[part], basis)

        share_items(fill, list(gen_batches(len(inputs), BLOCK // 2)))

    def _look_up(self, places, signs, out):
        basis = self._basis
        if basis.dtype == np.float16:
            basis = basis.view(np.uint16)

        def fill(part):
            if signs is None:
                gather(basis, places, out, part.start, part.stop)
            else:
                gather_sum(basis, places, signs, out[:, 0], part.start, part.stop)

        share(fill, len(places), ELEMENT * self.n_tangents * out.shape[2])

    def _tangents(self, inputs):
        params, rng = self.network.views(like(self._flat, inputs)), np.random.default_rng(self.seed)
        jacobians, start = encoder_map(params, inputs, self.network.depth - 1), None
        if not is_numpy(inputs):  # the start vectors of numpy's blocks
            block = rng.standard_normal((BLOCK, inputs.shape[1])).astype(dtype_name(inputs))
            start = like(np.resize(block, inputs.shape), inputs)
        return leading_vectors(jacobians, self.n_tangents, self.tol, rng, start)[0]


class TangentUpdates(Observer):
    """Observer that updates the tangents every few epochs; a checkpoint can restore them.

    ``listeners`` are called when the tangents have changed.
    """

    def __init__(self, store, every):
        self._store, self._every, self._as_of = store, every, 0
        self.listeners = []

    def epoch_begin(self, state):
        """Update the tangents if that is due."""
        due = state.n_epochs // self._every * self._every
        if due == state.n_epochs:
            state.extra["encoder"] = copy(state.params)
            if due and state.best_params is None:
                # The loss with the old tangents says nothing about that with new ones.
                state.best, state.n_stale = np.inf, 0
        if due != self._as_of:
            self._store.update(state.extra["encoder"])
            self._as_of = due
            for changed in self.listeners:
                changed()

    def kept(self, params):
        """Return an array like the parameters of the encoder whose tangents are in use."""
        return {"encoder": params}


def is_penalized(classifier):
    """Return whether ``classifier`` penalizes slopes along tangents."""
    return resolved(classifier.tangent_penalty, "tangent_penalty", 1.0) > 0


OF_TANGENTS = (
    Need(
        "n_tangents tangent_sampling update_tangents tangent_storage",
        "tangent_penalty",
        "tangent_penalty > 0",
        is_penalized,
    ),
    Need(
        "update_tangents",
        "frozen",
        "frozen below 'all', or the tangents stay as they are",
        lambda self: self.frozen != "all",
    ),
)


def automatic_penalty(X, rows, data, store, seed):
    """Return the mean variance of the data along the tangents, or less if few of the ``rows`` have labels.

    If x moves along a tangent by the standard deviation of the data, outputs change by about the slope times that
    deviation. The penalty is the mean square of this change. It is 0 if tangents are the way to other labels.

    Parameters
    ----------
    X : C-ordered ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
        The inputs of the network for the rows in ``data``.
    rows : ndarray of int
        Rows that have tangents, among them all labeled ones.
    data : SupervisedData
    store : TangentStore
    seed : int
        Seed for the choice of some rows, if there are many.
    """
    rng, weights = np.random.default_rng(seed), data.balanced_weights
    some = _some(np.arange(X.shape[0]), weights, rng)
    some_weights, x = None if weights is None else weights[some], dense(X[some])
    deviations = x - np.average(x, axis=0, weights=some_weights)
    tangent_rows = _some(rows, weights, rng)
    variances = np.empty(len(tangent_rows))
    for part, basis in store.tangents_by_block(tangent_rows):
        squares = np.square(deviations @ basis.reshape(-1, X.shape[1]).T)
        along = np.average(squares, axis=0, weights=some_weights)
        variances[part] = along.reshape(-1, store.n_tangents).mean(axis=1)
    row_weights = None if weights is None else weights[tangent_rows]
    variance = np.average(variances, weights=row_weights)
    n_labeled = int(data.targets.labeled.sum())
    fraction = min(1, n_labeled / _MANY_LABELS) if n_labeled < len(rows) else 1
    share = share_to_other_label(X, data, store)
    within = np.clip((_ACROSS - share) / (_ACROSS - _WITHIN), 0, 1)
    return float(variance * fraction**1.5 * within)


def share_to_other_label(X, data, store):
    """Return the share of the squared distance to the nearest row of another label that lies in the tangent plane."""
    rows, differences = LabeledNeighbors(X, data).to_other_label()
    if len(rows) == 0:
        return 0.0
    along = 0.0
    for part, basis in store.tangents_by_block(rows):
        along += np.sum((basis @ differences[part][:, :, None]) ** 2)
    total = np.sum(differences**2)
    return along / total if total > 0 else 0.0


def _some(rows, weights, rng):
    """Return some of the ``rows`` with a positive weight, in their order."""
    rows = rows if weights is None else rows[weights[rows] > 0]
    return np.sort(rng.permutation(rows)[:_N_ROWS])
