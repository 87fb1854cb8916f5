"""What a network keeps of one batch."""

import numpy as np


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
    """

    def __init__(self, n_samples, sizes, dtype, *, decoder=True, dropout=False, n_claimed=0):
        n, widths = n_samples, list(zip(sizes[:-1], sizes[1:]))
        n_own = 2 * n if decoder else n
        n_rows = n_own + n_claimed
        self._lower = [np.empty((n_rows, low), dtype) for low, _ in widths]
        self._upper = [np.empty((n_rows, high), dtype) for _, high in widths]
        self.n_samples = n
        self.sample_weights = np.empty(n, dtype)
        self.losses = np.empty(n, dtype)
        encoder_rows, decoder_rows = slice(-n_own, -n if decoder else None), slice(-n, None)
        self.encoder_inputs = [stack[encoder_rows] for stack in self._lower]
        self.encoder_deltas = [stack[encoder_rows] for stack in self._upper]
        self.decoder_deltas = [stack[decoder_rows] for stack in self._lower] if decoder else []
        self.decoder_inputs = [stack[decoder_rows] for stack in self._upper] if decoder else []
        self.codes = self.decoder_inputs[-1] if decoder else np.empty_like(self.encoder_deltas[-1])
        self.logits = self.decoder_deltas[0] if decoder else self.codes
        hidden = self.encoder_inputs[1:]
        self.masks = [np.empty_like(outputs) for outputs in hidden] if dropout else []
        if dropout:
            hidden = [np.empty_like(outputs) for outputs in hidden]
        self.encoder_outputs = [*hidden, self.codes]
        self._no_push = np.empty((0, 0), dtype)
        self._n_claimed = n_claimed
        self._scratch, self.batch, self.clean = {}, None, None
        self.start()

    @property
    def inputs(self):
        return self.encoder_inputs[0]

    def start(self):
        """Forget what the penalties of the last batch left for the backward pass."""
        self._n_free, layers = self._n_claimed, range(len(self._lower))
        self.encoder_pushes, self.decoder_pushes = [[] for _ in layers], [[] for _ in layers]
        self.encoder_pulls, self.decoder_pulls = [[] for _ in layers], [[] for _ in layers]
        self.encoder_bias_pulls = [[] for _ in layers]
        self.encoder_row_scales = [[] for _ in layers]
        self.decoder_row_scales = [[] for _ in layers]

    def total_push(self, pushes):
        """Return the sum of ``pushes``, in the first one's buffer."""
        if not pushes:
            return self._no_push
        add_all(pushes[1:], pushes[0])
        return pushes[0]

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


def add_all(parts, total):
    """Add each of ``parts`` to ``total``."""
    for part in parts:
        total += part
