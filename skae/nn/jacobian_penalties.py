"""Penalties on Jacobians of any depth, by forward mode."""

from .._arrays.namespace import empty, empty_like, multiply_into, namespace, reshape, scalar
from .._arrays.random import signs
from .._arrays.tangents import squares
from .corruption import GaussianNoise
from .forward_mode import NetworkTangents
from .noise import keys, shifted_seed
from .penalties import Penalty

_ROWS = 4096  # directions times samples at once: full speed in bounded memory


class Directions:
    """The directions v of ||J||_F^2 = sum_v ||J v||^2, in blocks.

    Parameters
    ----------
    count : int or None
        Number of random vectors of signs for each sample; since E v v' = I, the mean of ||J v||^2 over them is
        unbiased (Hutchinson 1990). None takes all unit vectors, which is exact.
    """

    def __init__(self, count):
        self.count = count

    def at_once(self, n_samples, n_features):
        """Return the largest number of directions in a block."""
        return max(1, min(self.count or n_features, _ROWS // n_samples))

    def scale(self):
        """Return the weight of each direction in the sum."""
        return 1 / (self.count or 1)

    def blocks(self, X, seed, out):
        """Yield slices of the unit vectors, or parts of ``out`` filled with signs."""
        count = self.count or X.shape[1]
        step = self.at_once(*X.shape)
        for start in range(0, count, step):
            stop = min(start + step, count)
            if self.count is None:
                yield slice(start, stop)
                continue
            block = reshape(
                reshape(out, (-1,))[: (stop - start) * X.shape[0] * X.shape[1]],
                (X.shape[0], -1, X.shape[1]),
            )
            for k in range(start, stop):
                signs(*keys(X, shifted_seed(seed, k)), block, k - start)
            yield block

    def memory(self, X):
        """Return a buffer for a block."""
        count = 0 if self.count is None else self.at_once(*X.shape)
        return empty((X.shape[0], count, X.shape[1]), X)


class JacobianContraction(Penalty):
    """``strength`` times the mean of ||dh/dx||_F^2, or of ||dr/dx||_F^2 when ``loss`` is given.

    Parameters
    ----------
    strength : float
    network : Network
    n_directions : int or None
        See :class:`Directions`.
    loss : Reconstruction or None
        The output units of r.
    """

    can_be_captured = True

    def __init__(self, strength, network, *, n_directions=None, loss=None):
        self.strength, self.network, self.loss = strength, network, loss
        self.directions = Directions(n_directions)

    def __call__(self, params, trace, seed):
        layers = params.encoder_layers
        if self.loss is not None:
            layers = [*layers, *params.decoder_layers]
        workspace = trace.scratch(self, _Workspace, self, layers, trace)
        tangents = workspace.tangents
        tangents.start(layers, [each.outputs for each in self._records(trace)])
        if self.loss is not None:
            workspace.means[...] = trace.logits
            means, outer = self.loss.activate(workspace.means), tangents.layers[-1].derivatives
            self.loss.mean_derivatives(means, outer.first, outer.second)
        scale = scalar(self.strength * self.directions.scale(), workspace.weights)
        multiply_into(trace.sample_weights, scale, workspace.weights)
        value = 0.0
        for directions in self.directions.blocks(trace.inputs, seed, workspace.signs):
            outputs = tangents.jvp(directions)
            value += squares(outputs, workspace.weights, outputs)
            if trace.with_gradient:
                tangents.jvp_backward(directions, outputs)
        parts = zip(self._records(trace), tangents.layers, tangents.gradients)
        for record, layer, gradient in parts:
            record.delta_terms.append(layer.delta)
            record.weight_terms.append(gradient)
        return value

    def _records(self, trace):
        return trace.encoder if self.loss is None else [*trace.encoder, *trace.decoder]


class _Workspace:
    """Buffers of the penalty for batches of one size."""

    def __init__(self, penalty, layers, trace):
        n_down = len(layers) - penalty.network.depth
        count = penalty.directions.at_once(*trace.inputs.shape)
        self.tangents = NetworkTangents(layers, trace.n_samples, count, n_down)
        self.weights = empty_like(trace.sample_weights)
        self.signs = penalty.directions.memory(trace.inputs)
        self.means = empty_like(trace.logits)


class JacobianCurvature(Penalty):
    """``strength`` times the mean of ||J(x) - J(x + e)||_F^2, e normal, for an encoder of any depth.

    Each step draws e ``n_samples`` times; for each draw, both Jacobians are applied to the same ``n_directions`` (see
    :class:`Directions`).
    """

    can_be_captured = True

    def __init__(self, strength, sigma, n_samples, *, n_directions=None):
        self.strength, self.n_samples = strength, n_samples
        self.shift = GaussianNoise(sigma)
        self.directions = Directions(n_directions)

    def __call__(self, params, trace, seed):
        layers = params.encoder_layers
        workspace = trace.scratch(self, _ShiftWorkspace, layers, trace, self.directions)
        scale = self.strength * self.directions.scale() / self.n_samples
        scale = scalar(scale, workspace.weights)
        multiply_into(trace.sample_weights, scale, workspace.weights)
        workspace.here.start(layers, [record.outputs for record in trace.encoder])
        for total in workspace.bias_totals:
            total[...] = 0
        value = 0.0
        for k in range(self.n_samples):
            self.shift(trace.inputs, shifted_seed(seed, k), workspace.inputs)
            value += self._change(layers, workspace, trace.inputs, seed)
        here = workspace.here
        parts = zip(trace.encoder, here.layers, here.gradients, workspace.bias_totals)
        for record, layer, gradient, total in parts:
            record.delta_terms.append(layer.delta)
            record.weight_terms.append(gradient)
            record.bias_terms.append(total)
        return value

    def _change(self, layers, workspace, inputs, seed):
        """Return the penalty on the change to ``workspace.inputs``; add up its gradient."""
        below, value = workspace.inputs, 0.0
        for layer, outputs in zip(layers, workspace.outputs):
            below = layer.forward(below, outputs)
        workspace.there.start(layers, workspace.outputs)
        for directions in self.directions.blocks(inputs, seed, workspace.signs):
            here, there = workspace.here.jvp(directions), workspace.there.jvp(directions)
            here -= there
            value += squares(here, workspace.weights, here)
            multiply_into(here, -1, there)
            workspace.here.jvp_backward(directions, here)
            workspace.there.jvp_backward(directions, there)
        workspace.there.backward(workspace.inputs, workspace.outputs)
        for number, layer in enumerate(workspace.there.layers):
            workspace.here.gradients[number] += workspace.there.gradients[number]
            workspace.bias_totals[number] += namespace(layer.delta).sum(layer.delta, axis=0)
        return value


class _ShiftWorkspace:
    """Buffers for an encoder's tangents at the samples and at shifted samples."""

    def __init__(self, layers, trace, directions):
        count = directions.at_once(*trace.inputs.shape)
        self.here, self.there = (NetworkTangents(layers, trace.n_samples, count) for _ in range(2))
        self.inputs = empty_like(trace.inputs)
        self.outputs = [empty_like(record.outputs) for record in trace.encoder]
        self.bias_totals = [empty_like(layer.bias) for layer in layers]
        self.weights = empty_like(trace.sample_weights)
        self.signs = directions.memory(trace.inputs)
