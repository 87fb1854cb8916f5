"""One layer of sparse features: codes h = s(W x + b), reconstructions h D + c with atoms D of norm 1."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .._arrays.namespace import n_values, split_flat
from .._threads import product
from .layer import DenseLayer
from .network import Network, Params
from .screening import Screening, screening
from .sparse_units import SPARSE_TRAININGS


@dataclass
class SparseParams(Params):
    """The views of a ``SparseNetwork``; ``thresholds`` are for units that have any."""

    thresholds: np.ndarray = None


class SparseNetwork(Network):
    """An encoder of sparse features and a linear decoder.

    The flat vector begins with the atoms.

    Parameters
    ----------
    sizes : (int, int)
        Numbers of inputs and features.
    activation : str
        Key of ``SPARSE_TRAININGS``.
    k : int
        Number of active features of a sample, for the units that need it.
    """

    def __init__(self, sizes, activation, k):
        self.activation = activation
        self.training = SPARSE_TRAININGS[activation](sizes[1], k)
        # The activation for initial weights; the fitted one may have thresholds.
        super().__init__(sizes, "relu", decoder="untied")
        (low, high), n_thresholds = sizes, self.training.n_thresholds
        self._shapes = [(high, low), (high, low), (high,), (low,), (n_thresholds,)]
        self.size = n_values(self._shapes)

    def parts(self, flat):
        """Return the atoms, the encoder's weights and bias, the decoder's bias and the thresholds in ``flat``."""
        return split_flat(flat, self._shapes)

    def views(self, flat):
        """Return the ``SparseParams`` that view ``flat``."""
        atoms, weights, bias, decoder_bias, thresholds = self.parts(flat)
        upward = [DenseLayer(weights, bias, self.training.activation(thresholds))]
        downward = [DenseLayer(atoms.T, decoder_bias, self._decoder_activations[0])]
        return SparseParams(
            [weights], [bias], [atoms], [decoder_bias], upward, downward, thresholds=thresholds
        )

    def initial(self, rng, dtype):
        """Return initial parameters: atoms of random directions, and the encoder as their transpose."""
        flat = np.zeros(self.size, dtype)
        atoms, weights, *_ = self.parts(flat)
        atoms[...] = rng.standard_normal(atoms.shape)
        atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
        weights[...] = atoms
        return flat

    def sparse_codes(self, params, inputs, out=None):
        """Return the ``SparseCodes`` of ``inputs``.

        Their pre-activations without the bias are left in ``out``, if given.
        """
        layer = params.encoder_layers[0]
        return layer.activation.select(product(inputs, layer.weights.T, out), layer.bias)

    def encoder(self, params, n_samples):
        """Return an ``Encoder`` of this many samples."""
        return Encoder(self, params, screening(params.encoder_layers[0], n_samples))


@dataclass
class Encoder:
    """Codes of many samples, some at a time.

    Parameters
    ----------
    network : SparseNetwork
    params : SparseParams
    screening : Screening or None
    """

    network: SparseNetwork
    params: SparseParams
    screening: Screening | None

    def codes(self, inputs, space):
        """Return the codes of ``inputs``; ``space`` is overwritten."""
        if self.screening is not None:
            codes = self.screening.codes(inputs)
            if codes is not None:
                return codes
            self.screening = None  # the next samples are taken to be alike
        return self.network.sparse_codes(self.params, inputs, space)


@lru_cache(maxsize=32)
def sparse_network_of(**shape):
    """Return the ``SparseNetwork`` with these arguments, created once, since it has no state."""
    return SparseNetwork(**shape)
