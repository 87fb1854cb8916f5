"""Pictures as sums of filters at all positions, and their sparse codes."""

import numpy as np

from .._kernels.convolution import descend_places, subtract_filters, working_places
from .._kernels.pictures import add_patches, gather_patches
from .._kernels.shrinkage import gap_rows
from .._threads import product, share_items

_BAND = 400_000  # numbers of a band of positions, its patches and products, that stay in the cache of a core
_PASSES = 30  # most over a working set,
_SHARE = 0.02  # and of the first one's gain that another one must have
_ROUNDING = {np.dtype(np.float32): 1e-14, np.dtype(np.float64): 1e-31}  # of the objective's fall


class Convolution:
    """The linear map from codes to pictures: ``x = sum_k d_k * h_k``, each code the weight of a filter at a position.

    Codes are rows: positions down, across and filters.

    Parameters
    ----------
    picture_shape : (int, int, int)
    patch_size : (int, int)
    """

    def __init__(self, picture_shape, patch_size):
        self.picture_shape, self.patch_size = tuple(picture_shape), tuple(patch_size)
        (height, width, channels), (down, across) = self.picture_shape, self.patch_size
        self.n_positions = (height - down + 1, width - across + 1)
        self.n_values = down * across * channels

    def patches(self, pictures):
        """Return the patches of all positions as rows."""
        n_rows = len(pictures) * self.n_positions[0] * self.n_positions[1]
        patches = np.empty((n_rows, self.n_values), pictures.dtype)
        gather_patches(pictures, *self.patch_size, 0, patches)
        return patches

    def correlations(self, pictures, filters):
        """Return the products of filters and patches, in the order of codes: the adjoint of :meth:`sums`."""
        n_rows = len(pictures) * self.n_positions[0] * self.n_positions[1]
        products = np.empty((n_rows, len(filters)), pictures.dtype)
        size = min(max(_BAND // (self.n_values + len(filters)), 1), n_rows)
        patches = np.empty((size, self.n_values), pictures.dtype)
        for first in range(0, n_rows, size):
            band = products[first : first + size]
            gather_patches(pictures, *self.patch_size, first, patches[: len(band)])
            np.matmul(patches[: len(band)], filters.T, out=band)
        return products.reshape(len(pictures), -1)

    def sums(self, codes, filters):
        """Return the pictures that codes stand for."""
        pictures = np.zeros((len(codes), *self.picture_shape), codes.dtype)
        patches = product(codes.reshape(-1, len(filters)), filters)
        add_patches(patches, *self.patch_size, pictures)
        return pictures


def infer_maps(pictures, convolution, filters, alpha, *, ridge=0.0, prior=None, tol, max_iter):
    """Return the codes of pictures by coordinate descent, and how far each may be from its optimum.

    Codes minimize ``||x - sum_k d_k * h_k||^2 / 2 + alpha ||h||_1 + ridge ||h - prior||^2 / 2``.

    Parameters
    ----------
    pictures : ndarray of shape (n, height, width, channels)
    convolution : Convolution
    filters : ndarray of shape (n_filters, n_values)
    alpha, ridge : float
    prior : ndarray of shape (n, n_codes) or None
        Where to start too, unless zero codes are better; zero by default.
    tol : float
        Stop where the duality gap is at most ``tol`` times the objective of the zero code.
    max_iter : int
        Most passes over the codes of a picture that may be nonzero.

    Returns
    -------
    codes : ndarray of shape (n, n_codes)
    gaps : ndarray of shape (n,)
    """
    n_codes = len(filters) * int(np.prod(convolution.n_positions))
    codes = np.zeros((len(pictures), n_codes), filters.dtype) if prior is None else prior.copy()
    search = CodeSearch(convolution, np.ascontiguousarray(filters), alpha, ridge, tol, max_iter)

    def search_picture(i):
        return search(pictures[i], None if prior is None else prior[i], codes[i])

    return codes, np.array(share_items(search_picture, range(len(pictures))))


class CodeSearch:
    """Coordinate descent on working sets: see :func:`infer_maps`.

    A working set has the nonzero codes of a picture and, at each position, the filter that would lower the objective
    most: others that explain the same would have to be taken back. Between working sets all codes are looked at, and the
    duality gap.
    """

    def __init__(self, convolution, filters, alpha, ridge, tol, max_iter):
        self._convolution, self._filters = convolution, filters
        self._alpha, self._ridge = filters.dtype.type(alpha), filters.dtype.type(ridge)
        self._tol, self._max_iter = tol, max_iter
        self._curvatures = np.einsum("ij,ij->i", filters, filters) + self._ridge
        height, n_channels = convolution.patch_size[0], convolution.picture_shape[2]
        self._steps = height, convolution.n_positions[1], n_channels

    def __call__(self, picture, prior, codes):
        """Improve ``codes`` of ``picture`` and return the duality gap."""
        correlations, norm = self._correlations(picture), np.vdot(picture, picture)
        if prior is not None:
            correlations += self._ridge * prior
            norm += self._ridge * np.vdot(prior, prior)
        alphas, gap, n_left = np.full(1, self._alpha), np.empty(1), self._max_iter
        if prior is not None and self._value(picture, prior) > 0.5 * norm:
            codes[:] = 0
        members, buffer = np.flatnonzero(codes), np.empty(len(codes), np.int64)
        while True:
            lines = self._residual(picture, codes, members)
            pulls = self._correlations(lines.reshape(picture.shape))
            if prior is not None:
                pulls += self._ridge * (prior - codes)
            rows = (each[np.newaxis] for each in (correlations, pulls, codes))
            gap_rows(alphas, False, np.full(1, norm), *rows, gap)
            if gap[0] <= 0.5 * self._tol * norm or n_left <= 0:
                return gap[0]
            size = working_places(pulls, codes, self._alpha, len(self._filters), buffer)
            members = buffer[:size]
            n_passes, fall = self._descend(members, prior, codes, lines, min(_PASSES, n_left))
            # Where rounding leaves nothing to gain, the gap is looked at once more.
            n_left = n_left - n_passes if fall > _ROUNDING[codes.dtype] * norm else 0

    def _value(self, picture, prior):
        """Return the objective of the codes ``prior``."""
        lines = self._residual(picture, prior, np.flatnonzero(prior))
        return 0.5 * np.vdot(lines, lines) + self._alpha * np.abs(prior).sum()

    def _residual(self, picture, codes, members):
        """Return the lines of ``picture`` minus those of ``codes``, which are zero beside ``members``."""
        lines = picture.reshape(len(picture), -1).copy()
        subtract_filters(codes, members, self._filters, *self._steps, lines)
        return lines

    def _correlations(self, picture):
        return self._convolution.correlations(picture[np.newaxis], self._filters)[0]

    def _descend(self, members, prior, codes, lines, max_iter):
        """Return the number of passes over a working set, and by how much the objective fell."""
        problem = self._filters, self._curvatures, *self._steps, self._alpha, self._ridge, prior
        return descend_places(*problem, members, _SHARE, max_iter, codes, lines)


class ConvolutionalObjective:
    """The mean over pictures of the three terms of :class:`ConvolutionalPSD` at the best codes, and its gradient.

    The codes are optimal, so that the gradient of the optimum is the partial one with codes held fixed.

    Parameters
    ----------
    convolution : Convolution
    encoder : encoder
        Of patches, see ``nn.code_encoders``.
    infer : callable
        ``infer(pictures, filters, prediction) -> codes``.
    n_filters : int
    alpha, beta : float
    """

    def __init__(self, convolution, encoder, infer, n_filters, alpha, beta):
        self.convolution, self.encoder, self.infer = convolution, encoder, infer
        self.n_filters, self.alpha, self.beta = n_filters, alpha, beta

    def split(self, flat):
        """Return views of the filters and of the encoder's parameters."""
        size = self.n_filters * self.convolution.n_values
        return flat[:size].reshape(self.n_filters, -1), flat[size:]

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` unless it is None."""
        filters, params = self.split(flat)
        shape = self.convolution.picture_shape
        X, shares = (
            np.empty((len(batch), int(np.prod(shape))), flat.dtype),
            np.empty(len(batch), flat.dtype),
        )
        batch.rows(out=X)
        batch.weights(out=shares)
        pictures = X.reshape(-1, *shape)
        patches = self.convolution.patches(pictures)
        prediction, memory = self.encoder.forward(params, patches)
        codes = self.infer(pictures, filters, prediction.reshape(len(X), -1))
        errors = self.convolution.sums(codes, filters) - pictures
        misses = prediction.reshape(len(X), -1) - codes
        values = 0.5 * np.einsum("nijc,nijc->n", errors, errors) + self.alpha * np.abs(codes).sum(
            axis=1
        )
        values += 0.5 * self.beta * np.einsum("ij,ij->i", misses, misses)
        if grad is not None:
            d_filters, d_params = self.split(grad)
            weighted = (codes * shares[:, np.newaxis]).reshape(-1, self.n_filters)
            product(weighted.T, self.convolution.patches(errors), d_filters)
            pull = misses * (flat.dtype.type(self.beta) * shares[:, np.newaxis])
            self.encoder.backward(
                params, patches, memory, pull.reshape(-1, self.n_filters), d_params
            )
        return float(values @ shares)
