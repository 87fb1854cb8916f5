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
    n_claimed : sequence of int, default=()
        Rows of each layer that penalties claim; empty for none.
    """

    def __init__(self, n_samples, sizes, dtype, *, decoder=True, dropout=False, n_claimed=()):
        n, widths = n_samples, list(zip(sizes[:-1], sizes[1:]))
        n_own = 2 * n if decoder else n
        n_rows = [n_own + count for count in n_claimed or [0] * len(widths)]
        self.lower = [np.empty((count, low), dtype) for count, (low, _) in zip(n_rows, widths)]
        self.upper = [np.empty((count, high), dtype) for count, (_, high) in zip(n_rows, widths)]
        self.n_samples = n
        self.sample_weights = np.empty(n, dtype)
        self.losses = np.empty(n, dtype)
        encoder_rows, decoder_rows = slice(-n_own, -n if decoder else None), slice(-n, None)
        self.encoder_inputs = [stack[encoder_rows] for stack in self.lower]
        self.encoder_deltas = [stack[encoder_rows] for stack in self.upper]
        self.decoder_deltas = [stack[decoder_rows] for stack in self.lower] if decoder else []
        self.decoder_inputs = [stack[decoder_rows] for stack in self.upper] if decoder else []
        self.codes = self.decoder_inputs[-1] if decoder else np.empty_like(self.encoder_deltas[-1])
        self.logits = self.decoder_deltas[0] if decoder else self.codes
        hidden = self.encoder_inputs[1:]
        self.masks = [np.empty_like(outputs) for outputs in hidden] if dropout else []
        if dropout:
            hidden = [np.empty_like(outputs) for outputs in hidden]
        self.encoder_outputs = [*hidden, self.codes]
        self._no_push = np.empty((0, 0), dtype)
        self._n_free = [count - n_own for count in n_rows]
        self._scratch, self.batch = {}, None
        self.start()

    @property
    def inputs(self):
        return self.encoder_inputs[0]

    def start(self):
        """Forget what the penalties of the last batch left for the backward pass."""
        layers = range(len(self.lower))
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

    def claim(self, layer, n_rows):
        """Return the rows of ``upper`` and ``lower`` that are a penalty's from now on."""
        free = self._n_free[layer]
        self._n_free[layer] = free - n_rows
        return tuple(stack[layer][free - n_rows : free] for stack in (self.upper, self.lower))

    def scratch(self, owner, create):
        """Return what ``create()`` made for ``owner`` at its first call with this trace."""
        if owner not in self._scratch:
            self._scratch[owner] = create()
        return self._scratch[owner]


def add_all(parts, total):
    """Add each of ``parts`` to ``total``."""
    for part in parts:
        total += part
