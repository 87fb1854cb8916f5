"""The fitted object: a network with its parameters and units, which takes and returns columns of X."""

from functools import cached_property

import numpy as np

from .._arrays.namespace import cast, copy, dtype_name, empty, like, namespace, to_numpy, zeros
from .linear_maps import encoder_map, row_space, spectra
from .network import Network


class Model:
    """Codes, reconstructions and Jacobians of dense rows of X.

    Parameters
    ----------
    network : Network or RecurrentNetwork
    flat : ndarray
        Parameters of the network.
    units : Units
        Scaling of the columns of X (``scaling``) and units that reconstruct them (``loss``).
    scaling : Scaling or None
        Map from columns of X to inputs of the network, if it is not that of ``units``.
    loss : Reconstruction or None
        Output units, if they do not reconstruct X.
    n_layers : int or None
        Number of layers of the encoder; all of them by default.
    """

    def __init__(self, network, flat, units, *, scaling=None, loss=None, n_layers=None):
        self.network, self.flat, self.units = network, flat, units
        self.scaling = units.scaling if scaling is None else scaling
        self.loss = units.loss if loss is None else loss
        self.params, self.dtype = network.views(flat), flat.dtype
        self.n_layers = network.depth if n_layers is None else n_layers
        self._all_layers = self.n_layers == network.depth

    def moved(self, prototype):
        """Return the same model with its parameters in the library and on the device of ``prototype``."""
        flat = like(self.flat, prototype)
        options = {"scaling": self.scaling, "loss": self.loss, "n_layers": self.n_layers}
        return Model(self.network, flat, self.units, **options)

    @property
    def n_outputs(self):
        """Number of outputs of the encoder."""
        return self.network.sizes[self.n_layers]

    def encoder_parameters(self):
        """Return weights, bias and activation of each layer of the encoder, from the lowest up."""
        params = self.params
        return list(
            zip(params.encoder_weights, params.encoder_biases, self.network.activation_names)
        )

    def input_rows(self, X):
        """Return the network's inputs for the rows of X, which are made dense and scaled when they are taken."""
        return self.scaling.rows(X)

    def inputs(self, x):
        """Return the network's inputs for x: scaled columns, with 0 for missing values."""
        return _without_missing(self.scaling.apply(x))

    def encode(self, x):
        """Return the codes."""
        n_layers = None if self._all_layers else self.n_layers
        return self.network.encode(self.params, self.inputs(x), n_layers=n_layers)

    def decode(self, codes):
        """Return the means of the output units."""
        means = self.loss.activate(self.network.decode(self.params, codes))
        return self.scaling.invert(means)

    def reconstruct(self, x):
        """Return r(x)."""
        return self.scaling.invert(self.reconstruct_scaled(self.inputs(x)))

    def reconstruction_error(self, x):
        """Return r(x) - x."""
        z = self.scaling.apply(x)
        r = self.reconstruct_scaled(_without_missing(z))
        return self.scaling.invert_difference(r - z)

    def jacobian(self, x):
        """Return dh/dx, of shape (n_samples, n_components, n_features)."""
        return self.scaling.derivatives(self.network.jacobian(self.params, self.inputs(x)))

    def singular_values(self, x, width):
        """Return the singular values of dh/dx, largest first, as a numpy array of shape (n_samples, width)."""
        directions = self._row_space
        if directions is None:
            return spectra(to_numpy(self.jacobian(x)), width)
        products = self.network.jacobian(self.params, self.inputs(x), like(directions, x))
        return spectra(to_numpy(products), width)

    @cached_property
    def _row_space(self):
        """Directions of the inputs along which dh/dx has the same singular values; None if there are as many as inputs.

        On the scale of X they are orthonormal.
        """
        weights = self.params.encoder_weights[0]
        n_units, n_inputs = weights.shape
        if n_units >= n_inputs or not isinstance(self.network, Network):
            return None
        basis = row_space(to_numpy(self.scaling.derivatives(weights)))
        return self.scaling.apply_difference(basis).T

    def linear_map(self, x):
        """Return dh/dx as a linear map that is never formed."""
        if not isinstance(self.network, Network):
            raise TypeError(
                "model must be feed-forward, such as ContractiveAE or StackedAE: the code of a RecurrentAE has "
                "no chain of Jacobians."
            )
        if self.network.sizes[0] != self.scaling.n_inputs:
            raise TypeError(
                "model must take X alone as its input, and a BoltzmannClassifier over a DBM takes means of hidden units of "
                "the DBM too: give one of a DBN."
            )
        z = self.inputs(x)
        return self.scaling.linear_map(encoder_map(self.params, z, self.n_layers))

    def losses(self, x):
        """Return the reconstruction loss of each row, summed over scaled columns; standardized ones have variance 1 here."""
        z = self.scaling.apply(x)
        target = copy(_without_missing(z))
        logits = self.network.reconstruct(self.params, target)
        values = empty(x.shape[0], target)
        weights = zeros(x.shape[0], target)
        self.loss.loss_and_gradient(logits, target, weights, self._weights_of_cells(z), values)
        return values

    def _weights_of_cells(self, z):
        """Return the weights of scaled cells in :meth:`losses`, 0 of missing ones; an empty array if all are 1."""
        missing, variance = namespace(z).isnan(z), self.units.variance
        if variance == 1 and not namespace(z).any(missing):
            return empty((0, 0), z)
        cells = cast(~missing, z.dtype)
        if variance != 1:
            factors = np.where(self.units.gaussian_inputs, 1 / variance, 1)
            cells *= like(factors.astype(dtype_name(z)), z)
        return cells

    def reconstruct_scaled(self, z):
        """Return the reconstruction of scaled rows z, on the same scale."""
        return self.loss.activate(self.network.reconstruct(self.params, z))


def _without_missing(z):
    xp = namespace(z)
    return xp.where(xp.isnan(z), xp.zeros_like(z), z) if xp.isnan(xp.sum(z)) else z
