"""The objective of sparse auto-encoders on one batch; decoder and gradients need the active features only."""

import numpy as np

from .._kernels.sparse_codes import column_sums
from .._threads import product
from .sparse_codes import ByColumn, top_k


class SparseObjective:
    """Mean over samples and nested groups of ``||x - r_g(x)||^2 / 2``, the price of the codes, and a loss of dead features.

    The dead features, which were active at none of the last ``dead_after`` samples, are to reconstruct what the others
    leave over: ``aux`` times ``||x - r(x) - h' D||^2 / 2``, where r(x) is held still and h' are the largest
    pre-activations of dead features, half as many as inputs (Gao et al. 2024, appendix A.2).

    Parameters
    ----------
    network : SparseNetwork
    ends : sequence of int
        Where nested groups of features end; the last one is their number.
    aux : float
    dead_after : int
    """

    monitors_loss = True  # see Problem

    def __init__(self, network, ends, *, aux, dead_after):
        self.network, self.ends = network, np.asarray(ends, np.int64)
        self.aux, self.dead_after = aux, dead_after
        self.idle = np.zeros(network.sizes[1], np.int64)
        self._workspaces = {}

    @property
    def observers(self):
        """list: what has to happen between epochs."""
        return [self]

    def epoch_begin(self, state):
        """Take from ``state`` for how many samples each feature was idle."""
        self.idle[...] = state.extra.get("idle", self.idle)

    def epoch_end(self, state):
        """Leave it in ``state``."""
        state.extra["idle"] = self.idle.copy()
        return False

    def kept(self, params):
        """Return it by its name in ``state``."""
        return {"idle": self.idle}

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` with the gradient unless it is None."""
        params, space = self.network.views(flat), self._workspace(len(batch), flat.dtype)
        batch.rows(out=space.inputs)
        batch.weights(out=space.weights)
        a, bias = space.pre_activations, params.encoder_biases[0]
        product(space.inputs, params.encoder_weights[0].T, a)
        codes, raw = self.network.units.training_codes(a, bias, params.thresholds)
        atoms = params.decoder_weights[0], params.decoder_biases[0]
        gradient = codes.explain(
            *atoms, self.ends, space.inputs, space.weights, space.errors, space.losses
        )
        value = float(np.dot(space.losses, space.weights))
        value += self.network.units.penalty(codes, space.weights, gradient)
        dead = self._dead_codes(a)
        if dead is not None:
            dead_gradient, error = self._explain_rest(dead, atoms[0], space)
            value += self.aux * float(np.sum(error**2 / space.weights[:, np.newaxis])) / 2
        if grad is None:
            return value
        grad[:] = 0
        *grads, by_bias, by_thresholds = self.network.parts(grad)
        self.network.units.learn(
            codes, raw, gradient, space.weights, params.thresholds, by_thresholds
        )
        np.sum(space.errors[0], axis=0, out=by_bias)
        gradient *= codes.values > 0
        self._add(codes, gradient, space.errors, self.ends, space, *grads)
        if dead is not None:
            error *= error.dtype.type(self.aux)
            dead_gradient *= dead_gradient.dtype.type(self.aux)
            self._add(dead, dead_gradient, error[np.newaxis], self.ends[-1:], space, *grads)
        self._count(codes, len(batch))
        return value

    def _dead_codes(self, a):
        """Return the codes of dead features alone, from pre-activations; None where no feature is dead."""
        dead = np.flatnonzero(self.idle >= self.dead_after).astype(np.int32)
        if not (dead.size and self.aux):
            return None
        k = min(len(dead), max(self.network.sizes[0] // 2, 1))
        codes = top_k(a[:, dead], np.zeros(len(dead), a.dtype), k)
        codes.columns = dead[codes.columns]
        return codes

    def _explain_rest(self, dead, atoms, space):
        """Return the gradient at the codes of dead features, and at their reconstruction, of the loss without ``aux``."""
        share = space.weights[:, np.newaxis]
        rest = -len(self.ends) * space.errors[-1]  # its share of x - r(x)
        error = share * dead.decode(atoms, np.zeros(atoms.shape[1], atoms.dtype)) - rest
        return dead.gradients(atoms, self.ends[-1:], error[np.newaxis]), error

    def _add(self, codes, gradient, errors, ends, space, by_atoms, by_weights, by_bias):
        """Add the gradients at the atoms and at the encoder's weights and biases."""
        columns = ByColumn(codes, self.network.sizes[1])
        columns.add(gradient, space.inputs, by_weights)
        column_sums(codes.columns, gradient, by_bias)
        for error, first, last in zip(errors, [0, *ends], ends):
            columns.add(codes.values, error, by_atoms, slice(first, last))

    def _count(self, codes, n_samples):
        """Note which features were active."""
        self.idle += n_samples
        self.idle[codes.columns[codes.values > 0]] = 0

    def _workspace(self, n_samples, dtype):
        key = n_samples, np.dtype(dtype)
        if key not in self._workspaces:
            self._workspaces[key] = _Workspace(
                n_samples, *self.network.sizes, len(self.ends), dtype
            )
        return self._workspaces[key]


class _Workspace:
    """Buffers of a batch."""

    def __init__(self, n_samples, n_inputs, n_features, n_groups, dtype):
        self.inputs = np.empty((n_samples, n_inputs), dtype)
        self.pre_activations = np.empty((n_samples, n_features), dtype)
        self.errors = np.empty((n_groups, n_samples, n_inputs), dtype)
        self.weights, self.losses = np.empty((2, n_samples), dtype)
