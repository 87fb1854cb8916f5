"""What a network keeps of one batch."""

import numpy as np

from .layer import LayerRecord


class Trace:
    """What one batch leaves in the network, in buffers that the next batch of that size uses again.

    For each layer the encoder's input stands on top of the decoder's gradient, and the encoder's
    gradient on top of the decoder's input: with tied weights the gradient of a layer is then one
    matrix product of the two stacks. Without a decoder the logits are the outputs of the last layer.
    On top of both are rows that penalties claim, whose product belongs to the encoder's weights too.

    Parameters
    ----------
    n_samples : int
    sizes : sequence of int
    dtype : dtype
    decoder : bool
        Whether the network has a decoder.
    dropout : bool
        Whether outputs of hidden layers are masked on their way up.
    n_claimed : int, default=0
        Rows of each layer that penalties can claim.

    Attributes
    ----------
    encoder, decoder : list of LayerRecord
        In the order of the forward pass: up to the code, and down from it.
    inputs, codes, logits : ndarray
    sample_weights, losses : ndarray of shape (n_samples,)
    """

    def __init__(self, n_samples, sizes, dtype, *, decoder=True, dropout=False, n_claimed=0):
        n, widths = n_samples, list(zip(sizes[:-1], sizes[1:]))
        n_own = 2 * n if decoder else n
        n_rows = n_own + n_claimed
        self._lower = [np.empty((n_rows, low), dtype) for low, _ in widths]
        self._upper = [np.empty((n_rows, high), dtype) for _, high in widths]
        self.n_samples, self._n_claimed = n, n_claimed
        self.sample_weights, self.losses = np.empty(n, dtype), np.empty(n, dtype)
        rows = slice(-n_own, -n if decoder else None)
        inputs, deltas = ([stack[rows] for stack in each] for each in (self._lower, self._upper))
        codes = self._upper[-1][-n:] if decoder else np.empty_like(deltas[-1])
        outputs, masks = [*inputs[1:], codes], [None] * len(widths)
        if dropout:
            # What a hidden layer puts out is masked on its way into the next one.
            outputs = [*map(np.empty_like, inputs[1:]), codes]
            masks = [*map(np.empty_like, inputs[1:]), None]
        self.encoder = list(map(LayerRecord, inputs, outputs, deltas, masks))
        self.decoder = self._decoder_records() if decoder else []
        self.inputs, self.codes = inputs[0], codes
        self.logits = self.decoder[-1].outputs if decoder else codes
        self._scratch, self.batch, self.clean = {}, None, None
        self.start()

    def _decoder_records(self):
        """Return the records from the code down; the logits and the gradient there are one array."""
        rows = slice(-self.n_samples, None)
        inputs, deltas = ([stack[rows] for stack in each] for each in (self._upper, self._lower))
        outputs = [deltas[0], *inputs[:-1]]
        return list(map(LayerRecord, inputs, outputs, deltas))[::-1]

    def start(self):
        """Forget what the penalties of the last batch left for the backward pass."""
        self._n_free = self._n_claimed
        for record in self.encoder:
            record.start()
        for record in self.decoder:
            record.start()

    def claim(self, n_rows):
        """Return so many rows of each layer's upper and of its lower stack: a penalty's for this batch."""
        stop = self._n_free
        self._n_free -= n_rows
        return tuple(
            [stack[self._n_free : stop] for stack in stacks]
            for stacks in (self._upper, self._lower)
        )

    def stacks(self, layer):
        """Return the rows of the batch whose product is the gradient of a layer's weights: upper and lower ones."""
        return self._upper[layer][self._n_free :], self._lower[layer][self._n_free :]

    def scratch(self, owner, create):
        """Return what ``create()`` made for ``owner`` at its first call with this trace."""
        if owner not in self._scratch:
            self._scratch[owner] = create()
        return self._scratch[owner]
