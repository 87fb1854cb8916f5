"""The objective of sparse auto-encoders on one batch; decoder and gradients use the active features only."""

import numpy as np

from .._arrays.namespace import array_kind, copy, dot, empty, like, namespace, sum_rows, zeros
from .._arrays.sparse_codes import column_sums
from .._protocols import Observer, TrainingObjective
from .._threads import product
from .dense_codes import suited
from .sparse_codes import top_k_of

_LEAST_UNEXPLAINED = 0.01  # lower bound on u, in the weight of the loss of dead features
_LEAST_SCALE = 0.01  # lower bound on s
_TINY = float(np.finfo(np.float32).tiny)


class SparseObjective(TrainingObjective, Observer):
    """Mean over samples and nested groups of ``||x - r_g(x)||^2 / 2``, plus the penalty on the codes.

    The gradient, but not the value, includes a loss of the dead features, which were active in none of the last
    ``dead_after`` minibatches: ``aux`` times ``||e - s h' D||^2 / (2 u)``. Here e is the error that the others leave, u
    its fraction of the squared deviation of x from its mean, and h' the largest pre-activations of dead features, half
    as many as inputs (Gao et al. 2024, appendix A.2). s is the scale that fits e best: without it, dead features become
    as small as e and then stay dead. e, u and s are treated as constants.

    Parameters
    ----------
    network : SparseNetwork
    ends : sequence of int
        Ends of the nested groups of features; the last one is the number of features.
    alpha : float
        Weight of the penalty, for the units that have one.
    aux : float
        Weight of the loss of dead features.
    dead_after : int
    """

    def __init__(self, network, ends, *, alpha, aux, dead_after):
        self.network, self.ends = network, np.asarray(ends, np.int64)
        self.alpha, self.aux, self.dead_after = alpha, aux, dead_after
        self.idle = np.zeros(network.sizes[1], np.int64)
        self._workspaces = {}

    @property
    def observers(self):
        """list: observers to call between epochs."""
        return [self]

    def epoch_begin(self, state):
        """Restore from ``state`` the number of minibatches for which each feature was idle."""
        self.idle = like(self.idle, state.params)
        self.idle[...] = state.extra.get("idle", self.idle)

    def epoch_end(self, state):
        """Store these numbers in ``state``."""
        state.extra["idle"] = copy(self.idle)
        return False

    def extra_arrays(self, params):
        """Return these numbers by their name in ``state.extra``."""
        return {"idle": self.idle}

    def merge(self, parts):
        """Merge what ``extra_arrays`` returned after steps on ``parts`` of the rows: a feature is active if it is in any."""
        np.minimum.reduce([part["idle"] for part in parts], out=self.idle)

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` with the gradient unless it is None."""
        params, workspace = self.network.views(flat), self._workspace(batch.n_rows, flat)
        batch.rows(workspace.inputs, workspace.weights)
        bias, training = params.encoder_biases[0], self.network.training
        product(workspace.inputs, params.encoder_weights[0].T, workspace.pre_activations)
        codes, entry_pre_activations = training.training_codes(
            workspace.pre_activations, bias, params.thresholds, workspace.weights
        )
        codes = suited(codes, self.network.sizes[1])
        value, gradient = self._loss(codes, params, workspace)
        value += training.penalty(codes, workspace.weights, self.alpha, gradient)
        if grad is None:
            return value
        grad[...] = 0
        *d_layer, d_decoder_bias, d_thresholds = self.network.parts(grad)
        training.update_thresholds(
            codes,
            entry_pre_activations,
            gradient,
            workspace.weights,
            self.alpha,
            params.thresholds,
            d_thresholds,
        )
        sum_rows(workspace.errors[0, ...], d_decoder_bias)
        gradient *= codes.active
        self._add(codes, gradient, workspace.errors, self.ends, workspace.inputs, *d_layer)
        dead = self._dead_codes(workspace.pre_activations, bias)
        if dead is not None:
            d_dead, errors = self._dead_gradients(dead, params.decoder_weights[0], workspace)
            self._add(dead, d_dead, errors, self.ends[-1:], workspace.inputs, *d_layer)
        self._count_idle(codes)
        return value

    def _loss(self, codes, params, workspace):
        """Return the loss of the reconstructions and its gradient at the codes; fill the errors in ``workspace``."""
        atoms, bias = params.decoder_weights[0], params.decoder_biases[0]
        inputs, weights = workspace.inputs, workspace.weights
        codes.fill_errors(
            atoms, bias, self.ends, inputs, weights, workspace.errors, workspace.losses
        )
        return dot(workspace.losses, weights), codes.gradients(atoms, self.ends, workspace.errors)

    def _dead_codes(self, a, bias):
        """Return the codes of dead features alone, from pre-activations; None if no feature is dead."""
        dead = self.idle >= self.dead_after
        if not (self.aux and namespace(dead).any(dead)):
            return None
        return top_k_of(a, bias, dead, max(self.network.sizes[0] // 2, 1))

    def _dead_gradients(self, dead, atoms, workspace):
        """Return the gradients of the loss of dead features, at their codes and at the sum of their atoms."""
        xp, inputs, weights = namespace(atoms), workspace.inputs, workspace.weights[:, None]
        residuals = -len(self.ends) * workspace.errors[-1, ...]  # x - r(x) times the weights
        explained = dead.decode(atoms, zeros(atoms.shape[1], atoms))
        mean = xp.matmul(workspace.weights, inputs) / xp.sum(workspace.weights)
        variation = xp.sum(workspace.weights * xp.sum((inputs - mean) ** 2, axis=1))
        unexplained = xp.sum(residuals**2 / weights)
        unexplained = xp.maximum(unexplained, _LEAST_UNEXPLAINED * variation) + _TINY
        scale = xp.sum(residuals * explained) / (xp.sum(weights * explained**2) + _TINY)
        scale = xp.maximum(scale, xp.full_like(scale, _LEAST_SCALE))
        error = scale * weights * explained - residuals
        error *= self.aux * scale * variation / unexplained
        error = error[None, ...]
        return dead.gradients(atoms, self.ends[-1:], error) * dead.active, error

    def _add(self, codes, gradient, errors, ends, inputs, d_atoms, d_weights, d_bias):
        """Add the gradients at the atoms and at the encoder's weights and biases.

        Parameters
        ----------
        codes : SparseCodes
        gradient : ndarray
            Gradient at the values of the codes.
        errors : ndarray of shape (n_groups, n_samples, n_inputs)
            Gradient at the sum of the atoms of each group.
        ends : sequence of int
            Ends of the groups.
        inputs : ndarray of shape (n_samples, n_inputs)
        d_atoms, d_weights, d_bias : ndarray
            Gradients to which those of the codes are added.
        """
        columns = codes.by_column(self.network.sizes[1])
        columns.add(gradient, inputs, d_weights)
        column_sums(codes.columns, gradient, d_bias)
        for place, (first, last) in enumerate(zip([0, *ends], ends)):
            columns.add(codes.values, errors[place, ...], d_atoms, slice(first, last))

    def _count_idle(self, codes):
        """Count for each feature the minibatches since it was active."""
        self.idle += 1
        codes.reset(self.idle)

    def _workspace(self, n_samples, flat):
        key = n_samples, array_kind(flat)
        if key not in self._workspaces:
            self._workspaces[key] = _Workspace(n_samples, *self.network.sizes, len(self.ends), flat)
        return self._workspaces[key]


class _Workspace:
    """Buffers of a batch."""

    def __init__(self, n_samples, n_inputs, n_features, n_groups, like):
        self.inputs = empty((n_samples, n_inputs), like)
        self.pre_activations = empty((n_samples, n_features), like)
        self.errors = empty((n_groups, n_samples, n_inputs), like)
        self.weights, self.losses = empty(n_samples, like), empty(n_samples, like)
