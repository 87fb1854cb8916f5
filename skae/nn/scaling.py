"""From the columns of X to the inputs of a network and back: z = (x - center) / scale, without constant columns."""

import numpy as np

from .._arrays.namespace import (
    dense,
    dtype_name,
    in_rows,
    is_numpy,
    like,
    like_in_dtype,
    namespace,
)
from .._arrays.powers import power_of_two, root_mean_square
from .layer import LinearLayer
from .linear_maps import ProductMap


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
