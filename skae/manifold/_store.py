"""Tangents of training samples, stored for each batch."""

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
from .._kernels.tangents import gather, gather_sum
from .._protocols import Observer
from .._threads import ELEMENT, share, share_items
from ..nn.linear_maps import encoder_map
from ._bidiagonalization import leading_vectors
from ._tangents import BLOCK, rows_at_once_like

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
            Seed of the random signs.
        out : ndarray
        """
        if not is_numpy(out):
            self._fill_on_device(rows, inputs, seed, out)
            return
        signs = None
        if self.random:
            # Bits for the whole minibatch, so that those of a sample do not depend on the other ``samples``.
            bits = self.draw(len(rows), seed).reshape(len(rows), -1)
            signs = (2 * bits[samples] - 1).astype(out.dtype)
        if self._basis is None:
            self._compute(inputs[samples], samples, signs, out)
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

    def n_bits(self, n_samples):
        """Return how many random bits a minibatch needs."""
        return n_samples * self.n_tangents if self.random else 0

    def draw(self, n_samples, seed):
        """Return the random bits of a minibatch, 0 or 1."""
        return np.random.default_rng(seed).integers(0, 2, self.n_bits(n_samples))

    def _fill_on_device(self, rows, inputs, seed, out):
        """Fill ``out``, an array of another library, for all samples of a batch.

        In a captured step ``seed`` is an array of these bits, which :meth:`draw` returned in advance.
        """
        xp = namespace(out)
        basis = (
            self._tangents(inputs) if self._basis is None else self._look_up_on_device(rows, out)
        )
        if self.random:
            bits = like(self.draw(rows.shape[0], seed), out) if isinstance(seed, int) else seed
            bits = xp.reshape(bits, (rows.shape[0], self.n_tangents))
            signs = xp.astype(2 * bits - 1, out.dtype)
            basis = xp.sum(signs[:, :, None] * basis, axis=1, keepdims=True)
        out[...] = basis

    def _look_up_on_device(self, rows, out):
        xp = namespace(out)
        if self._basis_there is None:
            known = self._basis.dtype if hasattr(xp, "float16") else np.float32
            self._basis_there = like(self._basis.astype(known, copy=False), out)
        places = xp.take(self._places_there.like(out), rows, axis=0)
        return xp.astype(xp.take(self._basis_there, places, axis=0), out.dtype)

    def _compute(self, inputs, samples, signs, out):
        def fill(part):
            basis = self._tangents(inputs[part], samples[part])
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

    def _tangents(self, inputs, places=None):
        """Return the tangents at ``inputs``, whose ``places`` in a batch, by default in order, decide where they start."""
        params, rng = self.network.views(like(self._flat, inputs)), np.random.default_rng(self.seed)
        jacobians = encoder_map(params, inputs, self.network.depth - 1)
        places = np.arange(inputs.shape[0]) if places is None else places
        block = rng.standard_normal((BLOCK, inputs.shape[1])).astype(dtype_name(inputs))
        start = like(block[places % BLOCK], inputs)
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
        due = len(state.loss_curve) // self._every * self._every
        if due == len(state.loss_curve):
            state.extra["encoder"] = copy(state.params)
            if due and state.best_params is None:
                # The loss with the old tangents says nothing about that with new ones.
                state.best, state.n_stale = np.inf, 0
        if due != self._as_of:
            self._store.update(state.extra["encoder"])
            self._as_of = due
            for changed in self.listeners:
                changed()

    def extra_arrays(self, params):
        """Return an array like the parameters of the encoder whose tangents are in use."""
        return {"encoder": params}
