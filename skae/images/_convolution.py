"""Images as sums of filters at all positions."""

import numpy as np

from .._kernels.patches import add_patches, gather_patches
from .._protocols import TrainingObjective
from .._threads import product
from ..nn.code_encoders import make_encoder
from ._tiles import checked_tiling, tile_numbers

_BAND_VALUES = 400_000  # of the patches and products in a band, which fit the cache of a core


class Convolution:
    """Linear map from codes to images: ``x = sum_k d_k * h_k``, where a code is the weight of a filter at a position.

    Codes are rows in the order of positions down, positions across and filters. Positions ``tiling`` apart share
    filters, which are rows, tile by tile.

    Parameters
    ----------
    image_shape : (int, int, int)
    patch_size : (int, int)
    tiling : (int, int), default=(1, 1)
    """

    def __init__(self, image_shape, patch_size, tiling=(1, 1)):
        # This is its name in models that are saved.
        self.picture_shape, self.patch_size = tuple(image_shape), tuple(patch_size)
        (height, width, channels), (down, across) = self.picture_shape, self.patch_size
        self.n_positions = (height - down + 1, width - across + 1)
        tiling = checked_tiling(tiling, self.n_positions)
        self.n_values, self.n_tiles = down * across * channels, tiling[0] * tiling[1]
        self.tiles = tile_numbers(self.n_positions, tiling)

    def groups(self, n, first=0):
        """Return the indices, among the ``n`` positions from ``first`` on, of those in each tile."""
        if self.n_tiles == 1:
            return [slice(None)]
        tiles = self.tiles[(first + np.arange(n)) % len(self.tiles)]
        return [np.flatnonzero(tiles == tile) for tile in range(self.n_tiles)]

    def by_tile(self, rows):
        """Return ``rows`` of filters or parameters, with the tiles as first axis."""
        return rows.reshape(self.n_tiles, -1, *rows.shape[1:])

    def patches(self, images):
        """Return the patches of all positions as rows."""
        n_rows = len(images) * self.n_positions[0] * self.n_positions[1]
        patches = np.empty((n_rows, self.n_values), images.dtype)
        gather_patches(images, *self.patch_size, 0, patches)
        return patches

    def correlations(self, images, filters):
        """Return the products of filters and patches, in the order of codes: the adjoint of :meth:`sums`."""
        n_rows, filters = len(images) * len(self.tiles), self.by_tile(filters)
        products = np.empty((n_rows, filters.shape[1]), images.dtype)
        size = min(max(_BAND_VALUES // (self.n_values + filters.shape[1]), 1), n_rows)
        buffer = np.empty((size, self.n_values), images.dtype)
        for first in range(0, n_rows, size):
            band = products[first : first + size]
            patches = buffer[: len(band)]
            gather_patches(images, *self.patch_size, first, patches)
            for rows, part in zip(self.groups(len(band), first), filters):
                band[rows] = patches[rows] @ part.T
        return products.reshape(len(images), -1)

    def sums(self, codes, filters):
        """Return the images that are reconstructed from codes."""
        images = np.zeros((len(codes), *self.picture_shape), codes.dtype)
        filters = self.by_tile(filters)
        codes = codes.reshape(-1, filters.shape[1])
        patches = np.empty((len(codes), self.n_values), codes.dtype)
        for rows, part in zip(self.groups(len(codes)), filters):
            patches[rows] = product(codes[rows], part)
        add_patches(patches, *self.patch_size, images)
        return images

    def filter_gradient(self, codes, errors, out):
        """Fill ``out`` with the gradient, by filters, of the sum of ``codes * correlations`` of ``errors``."""
        out = self.by_tile(out)
        codes, patches = codes.reshape(-1, out.shape[1]), self.patches(errors)
        for rows, part in zip(self.groups(len(codes)), out):
            product(np.ascontiguousarray(codes[rows].T), patches[rows], part)


class TiledEncoder:
    """Encoder of patches with separate parameters for each tile.

    Parameters
    ----------
    encoder : encoder
        See ``nn.code_encoders``.
    convolution : Convolution
    """

    def __init__(self, encoder, convolution):
        self._encoder, self._convolution = encoder, convolution
        self.size = encoder.size * convolution.n_tiles

    def coefficients(self, params):
        """Return the coefficients by kind, with the tiles as first axis if there are several."""
        tiles = [self._encoder.coefficients(each) for each in self._convolution.by_tile(params)]
        return list(tiles[0]) if len(tiles) == 1 else [np.stack(each) for each in zip(*tiles)]

    def initial(self, filters, alpha, ridge):
        """Return the initial parameters for filters."""
        tiles = self._convolution.by_tile(filters)
        return np.concatenate([self._encoder.initial(each, alpha, ridge) for each in tiles])

    def forward(self, params, patches):
        """Return codes of the patches of all positions, and what ``backward`` needs."""
        parts, memories = [], []
        groups = self._convolution.groups(len(patches))
        for rows, own in zip(groups, self._convolution.by_tile(params)):
            some, memory = self._encoder.forward(own, patches[rows])
            parts.append(some)
            memories.append(memory)
        codes = np.empty((len(patches), parts[0].shape[1]), patches.dtype)
        for rows, some in zip(groups, parts):
            codes[rows] = some
        return codes, memories

    def backward(self, params, patches, memories, delta, grad):
        """Fill ``grad`` with the gradient by the parameters."""
        groups, by_tile = self._convolution.groups(len(patches)), self._convolution.by_tile
        for rows, own, memory, out in zip(groups, by_tile(params), memories, by_tile(grad)):
            self._encoder.backward(own, patches[rows], memory, delta[rows], out)


def tiled_encoder(shape, convolution):
    """Return the encoder of patches for ``convolution`` whose name, number of filters and scale ``shape`` has."""
    encoder = make_encoder(
        shape["encoder"], shape["n_filters"], convolution.n_values, n_steps=1, scale=shape["scale"]
    )
    return TiledEncoder(encoder, convolution)


class ConvolutionalObjective(TrainingObjective):
    """Mean over images of the three terms of :class:`ConvolutionalPSD` at the optimal codes, and its gradient.

    Since the codes are optimal, the gradient is the partial one at fixed codes.

    Parameters
    ----------
    convolution : Convolution
    encoder : encoder
        Encoder of patches.
    infer : callable
        ``infer(images, filters, prediction)`` returns codes and their penalties.
    beta : float
    """

    def __init__(self, convolution, encoder, infer, beta):
        self.convolution, self.encoder, self.infer, self.beta = convolution, encoder, infer, beta
        # Rows of images of another shape may be the same.
        self.identity = {"shape of images": convolution.picture_shape}

    def split(self, flat):
        """Return views of the filters and of the parameters of the encoder."""
        size = flat.size - self.encoder.size
        return flat[:size].reshape(-1, self.convolution.n_values), flat[size:]

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` unless it is None."""
        filters, params = self.split(flat)
        shape = self.convolution.picture_shape
        X = np.empty((batch.n_rows, int(np.prod(shape))), flat.dtype)
        weights = np.empty(batch.n_rows, flat.dtype)
        batch.rows(X, weights)
        images = X.reshape(-1, *shape)
        patches = self.convolution.patches(images)
        prediction, memory = self.encoder.forward(params, patches)
        codes, values = self.infer(images, filters, prediction.reshape(len(X), -1))
        errors = self.convolution.sums(codes, filters) - images
        misses = prediction.reshape(len(X), -1) - codes
        values = values + 0.5 * np.einsum("nijc,nijc->n", errors, errors)
        values += 0.5 * self.beta * np.einsum("ij,ij->i", misses, misses)
        if grad is not None:
            d_filters, d_params = self.split(grad)
            weighted = codes * weights[:, np.newaxis]
            self.convolution.filter_gradient(weighted, errors, d_filters)
            delta = misses * (flat.dtype.type(self.beta) * weights[:, np.newaxis])
            delta = delta.reshape(prediction.shape)
            self.encoder.backward(params, patches, memory, delta, d_params)
        return float(values @ weights)
