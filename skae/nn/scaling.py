"""The scale of X: columns become inputs z = (x - center) / scale of a network, and a ``Model`` gives and takes columns.

Constant columns are no inputs.
"""

from functools import cached_property

import numpy as np

from .._arrays.namespace import (
    cast,
    copy,
    dense,
    dtype_name,
    empty,
    in_rows,
    is_numpy,
    like,
    like_in_dtype,
    namespace,
    to_numpy,
    zeros,
)
from .._arrays.powers import power_of_two, root_mean_square
from .layer import LinearLayer
from .linear_maps import ProductMap, encoder_map, row_space, spectra
from .network import Network


class Scaling:
    """The affine map z = (x - center) / scale of the columns that vary.

    Parameters
    ----------
    center, scale : ndarray of shape (n_features,)
    varies : ndarray of bool of shape (n_features,)
        Mask of the network's input columns. The others are constant: ``center`` is their value.
    """

    def __init__(self, center, scale, varies):
        self.center, self.scale, self.varies = center, scale, varies
        self.columns = None if varies.all() else np.flatnonzero(varies)
        self._center, self._scale = center[varies], scale[varies]  # of the inputs
        self.moves = bool((self._center != 0).any() or (self._scale != 1).any())
        self.identity = self.columns is None and not self.moves  # whether z = x
        self.n_features, self.n_inputs = len(varies), int(varies.sum())

    def __setstate__(self, state):
        # Files of earlier versions lack some of what follows from these three.
        self.__init__(state["center"], state["scale"], state["varies"])

    def rows(self, X):
        """Return the inputs for X, an ndarray or CSR matrix, which are scaled when rows are taken."""
        return X if self.identity else ScaledRows(X, self)

    def apply(self, x):
        """Return z for the dense rows ``x``."""
        if self.identity:
            return x
        if self.columns is not None:
            x = namespace(x).take(x, like(self.columns, x), axis=-1)
        if self.moves:
            x = x - like_in_dtype(self._center, x)
            x /= like_in_dtype(self._scale, x)
        return in_rows(x)

    def invert(self, z):
        """Return x for rows of z; constant columns have their value."""
        if self.identity:
            return z
        if self.moves:
            z = z * like_in_dtype(self._scale, z)
            z += like_in_dtype(self._center, z)
        return self._widened(z, self.center)

    def apply_difference(self, x):
        """Return the difference of two rows of z, from that of their rows of x."""
        if self.identity:
            return x
        return x[..., self.varies] / like_in_dtype(self._scale, x)

    def invert_difference(self, z):
        """Return the difference of two rows of X, from that of their rows of z; constant columns have 0."""
        if self.identity:
            return z
        return self._widened(z * like_in_dtype(self._scale, z), 0)

    def derivatives(self, by_z):
        """Return derivatives by x from those by z, along the last axis."""
        if self.identity:
            return by_z
        return self._widened(by_z / like_in_dtype(self._scale, by_z), 0)

    def linear_map(self, by_z):
        """Return the ``ProductMap`` that takes differences of x, from one that takes differences of z."""
        if self.identity:
            return by_z
        lowest, *others = by_z.layers
        lowest = LinearLayer(self.derivatives(lowest.weights), lowest.derivatives)
        return ProductMap([lowest, *others], by_z.n_samples)

    def widened(self, by_input, fill=0):
        """Return a value for each column of X, from one for each input: ``fill`` in constant columns."""
        return by_input if self.columns is None else self._widened(by_input, fill)

    def _widened(self, z, fill):
        if self.columns is None:
            return z
        if not is_numpy(z):
            return self._widened_on_device(z, fill)
        x = np.empty((*z.shape[:-1], self.n_features), z.dtype)
        x[...] = fill
        x[..., self.columns] = z
        return x

    def _widened_on_device(self, z, fill):
        """Return the same for an array of another library."""
        xp, places = namespace(z), np.cumsum(self.varies) - 1
        x = xp.take(z, like(np.maximum(places, 0), z), axis=-1)
        varies = like(self.varies, z)
        fill = like(np.broadcast_to(np.asarray(fill, dtype_name(z)), self.n_features), z)
        return xp.where(varies, x, fill)


def no_scaling(n_features):
    """Return the ``Scaling`` that leaves X as it is."""
    return Scaling(np.zeros(n_features), np.ones(n_features), np.ones(n_features, bool))


def standard_scale(mean, deviation, *, shared=False):
    """Return center and scale by which columns get mean 0 and deviation 1: each, or with one ``shared`` scale, on average."""
    if shared and deviation.any():
        deviation = np.full_like(deviation, root_mean_square(deviation))
    deviation = np.where(deviation > 0, deviation, 1)
    # Rounded to 2^-32 of the deviation: rows in another order, or repeated, are scaled to the same bits.
    unit = np.maximum(power_of_two(deviation) / 2**31, np.finfo(float).tiny)
    scale = np.round(deviation / unit) * unit
    unit = np.maximum(unit, np.spacing(np.abs(mean)))  # the quotient may overflow
    return np.round(mean / unit) * unit, scale


class ScaledRows:
    """The inputs of a network for the rows of X, computed when they are taken.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    scaling : Scaling
    """

    def __init__(self, X, scaling):
        self.X, self.scaling = X, scaling
        self.shape, self.dtype = (X.shape[0], scaling.n_inputs), X.dtype

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        """Return dense rows."""
        return self.scaling.apply(dense(self.X[rows]))


def unscaled(rows):
    """Return X from the result of :meth:`Scaling.rows`."""
    return rows.X if isinstance(rows, ScaledRows) else rows


class Model:
    """A network with its parameters and units: codes, reconstructions and Jacobians of dense rows of X.

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
