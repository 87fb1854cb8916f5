"""Tangents of training samples, stored for each batch."""

import numpy as np
from sklearn.utils import gen_batches

from .._kernels.tangents import gather, gather_sum
from .._threads import ELEMENT, share, share_items
from ..nn.linear_maps import encoder_map
from ..nn.scaling import dense
from ._bidiagonalization import leading_vectors
from ._tangents import BLOCK


class TangentStore:
    """The directions of a :class:`~skae.nn.tangent_propagation.TangentPropagation`: tangents of an encoder.

    Parameters
    ----------
    network : Network
        Whose layers below the output are the encoder.
    X : C-ordered ndarray, CSR matrix or ScaledRows of shape (n_samples, n_features)
    rows : ndarray of int
        Rows of X that have tangents.
    n_tangents : int
    dtype : str or None
        In which they are kept, ``len(rows) * n_tangents * n_features`` numbers; None computes them for each batch.
    random : bool
        Whether a batch gets one random combination of each sample's tangents, with signs of a fair coin, instead
        of all of them: since E e e' = I, the mean of its squared slope is the sum of theirs.
    tol : float
    seed : int
    """

    def __init__(self, network, X, rows, n_tangents, *, dtype, random, tol, seed):
        self.network, self.X, self.rows = network, X, rows
        self.n_tangents, self.random, self.tol, self.seed = n_tangents, random, tol, seed
        self.n_directions = 1 if random else n_tangents
        self._places = np.zeros(X.shape[0], np.intp)
        self._places[rows] = np.arange(len(rows))
        self._basis, self.rounding = None, 0.0
        if dtype is not None:
            self.rounding = float(np.finfo(dtype).eps)
            self._basis = np.empty((len(rows), n_tangents, X.shape[1]), dtype)

    def update(self, flat):
        """Take the tangents of the encoder with the parameters ``flat``."""
        self._flat = flat.copy()
        if self._basis is None:
            return

        def fill(part):
            rows = self.X[self.rows[part]]
            self._basis[part] = self._tangents(dense(rows))

        share_items(fill, list(gen_batches(len(self.rows), BLOCK)))

    def __call__(self, rows, inputs, samples, seed, out):
        """Fill ``out``, of shape (n_samples, n_directions, n_features), for ``samples`` of a batch."""
        signs = None
        if self.random:
            # Of the whole batch, so that a sample's do not depend on which others are asked for.
            coins = np.random.default_rng(seed).integers(0, 2, (len(rows), self.n_tangents))
            signs = (2 * coins[samples] - 1).astype(out.dtype)
        if self._basis is None:
            self._compute(inputs[samples], signs, out)
        else:
            self._look_up(self._places[rows[samples]], signs, out)

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
        n_layers = self.network.depth - 1
        jacobians = encoder_map(self.network.views(self._flat), inputs, n_layers)
        rng = np.random.default_rng(self.seed)
        return leading_vectors(jacobians, self.n_tangents, self.tol, rng)[0]


class TangentUpdates:
    """Observer of training: new tangents every so many epochs, which a checkpoint can bring back."""

    def __init__(self, store, every):
        self._store, self._every, self._as_of = store, every, 0

    def epoch_begin(self, state):
        """Compute those that are due."""
        due = state.n_epochs // self._every * self._every
        if due == state.n_epochs:
            state.extra["encoder"] = state.params.copy()
            if due and state.best_params is None:
                # What the loss with the old tangents came to says nothing about that with new ones.
                state.best, state.n_stale = np.inf, 0
        if due != self._as_of:
            self._store.update(state.extra["encoder"])
            self._as_of = due

    def epoch_end(self, state):
        """Nothing to do."""
        return False

    def kept(self, params):
        """Return an array like the parameters of the encoder that the present tangents are of."""
        return {"encoder": params}
