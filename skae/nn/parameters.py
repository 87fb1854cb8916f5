"""One flat vector of parameters, and its parts by shape and by name."""

from dataclasses import dataclass

import numpy as np


class Parts:
    """Arrays of the given shapes, one behind the other in a flat vector of length ``size``."""

    def __init__(self, shapes):
        self._shapes = list(shapes)
        self._bounds = np.cumsum([0] + [int(np.prod(shape)) for shape in self._shapes])
        self.size = int(self._bounds[-1])

    def __call__(self, flat):
        """Return views of ``flat``."""
        return [
            flat[start:stop].reshape(shape)
            for start, stop, shape in zip(self._bounds, self._bounds[1:], self._shapes)
        ]


@dataclass
class Params:
    """Named views of the flat vector; weights are (n_upper, n_lower), shared by the decoder when tied.

    The layers go from the input up to the code, of feed-forward networks, and from there down to the logits.
    """

    encoder_weights: list
    encoder_biases: list
    decoder_weights: list
    decoder_biases: list
    encoder_layers: list = ()
    decoder_layers: list = ()
