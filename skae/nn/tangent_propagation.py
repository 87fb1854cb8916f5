"""Penalty on how much a network's outputs vary along given directions: see :mod:`skae.nn.penalties` for the protocol."""

import numpy as np

from .._threads import share
from .losses import Multinomial
from .tangents import Link, linearize, linearize_encoder, pull_back, push_forward


class TangentPropagation:
    """``strength`` times the mean over samples of sum_u ||do/dx u||^2, over directions u of each sample.

    Simard et al. 1992; Rifai et al. NIPS 2011, equation 7. o are the means of the output units. Directions go up
    through the network by forward mode, and gradients of the logits come down by reverse mode; the slopes are their
    inner products in the layer where the two meet, which is chosen such that few rows go through wide layers. The
    gradient goes back through both passes.

    Parameters
    ----------
    strength : float
    network : Network
        Without a decoder.
    loss : Reconstruction
        Of one part: the output units.
    directions : object
        ``directions.n_directions`` of each sample, which ``directions(rows, inputs, seed, out)`` fills into ``out``
        of shape (n_directions, n_samples, n_features) for the rows of the data that a batch has.
    """

    def __init__(self, strength, network, loss, directions):
        self.strength, self.network, self.loss = strength, network, loss
        self.directions = directions
        self.softmax = isinstance(loss.parts[0], Multinomial)
        # Adding the same to all logits leaves a softmax as it is: differences to the last logit are enough.
        self.n_gradients = network.sizes[-1] - self.softmax
        self.meeting = meeting_layer(network.sizes, directions.n_directions, self.n_gradients)

    def n_rows(self, n_samples):
        """Return how many rows of directions or gradients pass each layer; from the top come unit vectors."""
        n_up, n_down = (n_samples * n for n in (self.directions.n_directions, self.n_gradients))
        n_rows = [n_up] * self.meeting + [n_down] * (self.network.depth - 1 - self.meeting)
        return n_rows + [0] * (self.network.depth - len(n_rows))

    def __call__(self, params, trace, seed):
        space = trace.scratch(self, lambda: _Space(self, params, trace))
        self.directions(trace.batch.indices, trace.inputs, seed, space.directions)
        strength = space.weights.dtype.type(self.strength)
        np.multiply(trace.sample_weights, strength, out=space.weights)
        space.means[:] = trace.logits
        self.loss.activate(space.means)
        self._linearize(space, params, trace)
        tangents = push_forward(space.up, space.directions)
        if not space.down:
            value = self._squares(space, tangents)
        else:
            unit_vectors = slice(0, self.n_gradients)
            gradients = push_forward(space.down, unit_vectors)
            inner_products(tangents, gradients, space.slopes)
            value = self._squares(space, space.slopes)
            pull = space.down[-1].pull
            inner_products_back(tangents, gradients, space.slopes, pull, bool(space.up))
            pull_back(space.down, unit_vectors, pull)
        pull_back(space.up, space.directions, tangents)
        self._publish(space, trace)
        return value

    def _linearize(self, space, params, trace):
        linearize_encoder(space.up, self.network, params, trace.encoder_outputs)
        for layer, link in space.layers_down():
            link.start(self.weights_down(params, layer))
            if not link.linear:
                kind = self.network.activations[layer - 1].kind
                linearize(link, kind, trace.encoder_outputs[layer - 1])

    def weights_down(self, params, layer):
        """Return the weights by which gradients come down through ``layer``: of a softmax, differences of its rows."""
        weights = params.encoder_weights[layer]
        return weights[:-1] - weights[-1] if self._differs(layer) else weights

    def _differs(self, layer):
        return self.softmax and layer == self.network.depth - 1

    def _top_gradient(self, gradient):
        """Return the gradient of the top weights from that of what :meth:`weights_down` returns of them."""
        return np.vstack([gradient, -gradient.sum(axis=0)]) if self.softmax else gradient

    def _squares(self, space, tangents):
        """Return the penalty, from the logits' slopes; leave its gradient in ``tangents`` and ``space.push``."""
        space.push[:] = 0
        if self.softmax:
            return softmax_squares(space.means, tangents, space.weights, space.push)
        self.loss.derive(space.means, space.mean_slopes, space.mean_bends)
        return unit_squares(
            space.mean_slopes, space.mean_bends, tangents, space.weights, space.push
        )

    def _publish(self, space, trace):
        for layer, link in enumerate(space.up):
            if not link.linear:
                trace.encoder_pushes[layer].append(link.push)
        for layer, link in space.layers_down():
            if not link.stacked:
                trace.encoder_pulls[layer].append(self._top_gradient(link.gradient))
            if not link.linear:
                trace.encoder_pushes[layer - 1].append(link.push)
        trace.encoder_pushes[-1].append(space.push)


class _Space:
    """Buffers of the tangents of a batch: ``up`` below the meeting layer, ``down`` above it."""

    def __init__(self, penalty, params, trace):
        n, dtype = trace.n_samples, trace.inputs.dtype
        claims = [trace.claim(layer, n_rows) for layer, n_rows in enumerate(penalty.n_rows(n))]
        upper, lower = (
            [rows.reshape(-1, n, rows.shape[1]) for rows in stack] for stack in zip(*claims)
        )
        self.up = _links_up(penalty, params, n, upper, lower)
        self.down = _links_down(penalty, params, n, upper, lower)
        count = penalty.directions.n_directions
        directions = (count, *trace.inputs.shape)
        self.directions = lower[0] if self.up else np.empty(directions, dtype)
        self.slopes = np.empty((count, *trace.logits.shape), dtype)
        self.means, self.push, self.mean_slopes, self.mean_bends = (
            np.empty_like(trace.logits) for _ in range(4)
        )
        self.weights = np.empty_like(trace.sample_weights)

    def layers_down(self):
        """Return pairs of layer and link, from the top."""
        depth = len(self.up) + len(self.down)
        return [(depth - 1 - position, link) for position, link in enumerate(self.down)]


def _links_up(penalty, params, n_samples, upper, lower):
    """Return the links of the directions, from the lowest layer to the meeting layer."""
    links, depth, count = [], penalty.network.depth, penalty.directions.n_directions
    for layer, weights in enumerate(params.encoder_weights[: penalty.meeting]):
        pull = upper[layer]
        # What comes out last makes place for its gradient.
        out = lower[layer + 1] if layer + 1 < penalty.meeting else pull
        stacks = {"out": out, "pull": pull, "stacked": True}
        links.append(Link(weights, True, n_samples, count, linear=layer == depth - 1, **stacks))
    return links


def _links_down(penalty, params, n_samples, upper, lower):
    """Return the links of the gradients, from the top layer to the meeting layer."""
    links, depth, count = [], penalty.network.depth, penalty.n_gradients
    for layer in reversed(range(penalty.meeting, depth)):
        # Into the top layer come unit vectors, which are no rows; what comes out last is not scaled, for tangents are.
        top, last = layer == depth - 1, layer == penalty.meeting
        out = None if last else upper[layer - 1]
        pull = np.empty_like(out) if top else lower[layer]
        stacks = {"out": out, "pull": pull, "stacked": not top}
        weights = penalty.weights_down(params, layer)
        links.append(Link(weights, False, n_samples, count, linear=last, **stacks))
    return links


def meeting_layer(sizes, n_directions, n_gradients):
    """Return the layer up to which ``n_directions`` go, and down to which ``n_gradients`` come, at the least cost.

    Both passes and their way back take three products with the weights of a layer, but the first layer passes no
    gradient on to the directions, and the gradients leave the top layer as rows of its weights.
    """
    products = [low * high for low, high in zip(sizes, sizes[1:])]
    depth = len(products)

    def cost(layer):
        up = 3 * sum(products[:layer]) - sum(products[: min(layer, 1)])
        down = 3 * sum(products[layer:-1])
        inner = 0 if layer == depth else 3 * n_directions * n_gradients * sizes[layer]
        return n_directions * up + n_gradients * down + inner

    # Not just below the top: the products would be those of going all the way.
    return min([depth, *range(depth - 1)], key=cost)


def inner_products(tangents, gradients, out):
    """out_kij <- t_ki' g_ji, and 0 for a j without gradients."""
    out[:, :, len(gradients) :] = 0

    def some(samples):
        up, down = tangents[:, samples].transpose(1, 0, 2), gradients[:, samples]
        out[:, samples, : len(gradients)] = (up @ down.transpose(1, 2, 0)).transpose(1, 0, 2)

    share(some, tangents.shape[1], len(tangents) * gradients.shape[0] * gradients.shape[2])


def inner_products_back(tangents, gradients, pull, gradients_pull, in_place):
    """Turn ``pull``, the gradient at the inner products, into that at ``gradients``.

    With ``in_place`` the one at ``tangents`` takes their place.
    """
    n_gradients = len(gradients)

    def some(samples):
        up, down = (stack[:, samples].transpose(1, 0, 2) for stack in (tangents, gradients))
        down_pull = gradients_pull[:, samples].transpose(1, 0, 2)
        inner = pull[:, samples, :n_gradients].transpose(1, 0, 2)
        np.matmul(inner.transpose(0, 2, 1), up, out=down_pull)
        if in_place:
            np.matmul(inner, down, out=up)

    share(some, tangents.shape[1], 2 * len(tangents) * gradients.shape[0] * gradients.shape[2])


def softmax_squares(means, tangents, weights, push):
    """Return sum_ki v_i ||z_ki||^2, where z = o (t - o't) are tangents t of logits at their softmax o.

    Leave its gradient at t in ``tangents`` and add the one at the logits to ``push``.

    Parameters
    ----------
    means : ndarray of shape (n_samples, n_outputs)
    tangents : ndarray of shape (n_directions, n_samples, n_outputs)
    weights : ndarray of shape (n_samples,)
    push : ndarray of shape (n_samples, n_outputs)
    """
    centred = tangents - _along(means, tangents)
    moved = means * centred
    value = float(np.einsum("kij,kij,i->", moved, moved, weights))
    pull = 2 * weights[:, np.newaxis] * moved
    inner = _along(means, pull)
    at_means = (pull * centred - inner * tangents).sum(axis=0)
    push += means * (at_means - _along(means, at_means))
    np.multiply(means, pull - inner, out=tangents)
    return value


def unit_squares(slopes, bends, tangents, weights, push):
    """Return sum_ki v_i ||z_ki||^2, where z = s'(a) t, of elementwise units; the rest as in :func:`softmax_squares`."""
    moved = slopes * tangents
    value = float(np.einsum("kij,kij,i->", moved, moved, weights))
    pull = 2 * weights[:, np.newaxis] * moved
    push += (bends * tangents * pull).sum(axis=0)
    np.multiply(slopes, pull, out=tangents)
    return value


def _along(means, vectors):
    """Return o'v, of shape (..., n_samples, 1)."""
    return (means * vectors).sum(axis=-1, keepdims=True)
