"""Pictures as sums of filters at all positions, and their sparse codes."""

import numpy as np

from .._kernels.pictures import add_patches, gather_patches
from .._kernels.shrinkage import gap_rows, lead_rows, shrink_rows, step_rows
from .._threads import product

_CHECK = 10  # iterations between two looks at the duality gap


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
        return product(self.patches(pictures), filters.T).reshape(len(pictures), -1)

    def sums(self, codes, filters):
        """Return the pictures that codes stand for."""
        pictures = np.zeros((len(codes), *self.picture_shape), codes.dtype)
        patches = product(codes.reshape(-1, len(filters)), filters)
        add_patches(patches, *self.patch_size, pictures)
        return pictures

    def curvature(self, filters):
        """Return an upper bound of the largest eigenvalue of the Gram matrix of all shifted filters.

        It is exact for pictures whose borders meet, by the Fourier transform of the filters.
        """
        stacks = filters.reshape(len(filters), *self.patch_size, -1).astype(np.float64)
        spectrum = np.fft.fft2(stacks, s=self.picture_shape[:2], axes=(1, 2))
        grams = np.einsum("kuvc,kuve->uvce", spectrum, spectrum.conj())
        return float(np.linalg.eigvalsh(grams)[..., -1].max())


def infer_maps(pictures, convolution, filters, alpha, *, ridge=0.0, prior=None, tol, max_iter):
    """Return the codes of pictures by FISTA, and how far each may be from its optimum.

    Codes minimize ``||x - sum_k d_k * h_k||^2 / 2 + alpha ||h||_1 + ridge ||h - prior||^2 / 2``.

    Parameters
    ----------
    pictures : ndarray of shape (n, height, width, channels)
    convolution : Convolution
    filters : ndarray of shape (n_filters, n_values)
    alpha, ridge : float
    prior : ndarray of shape (n, n_codes) or None
        Where to start too; zero by default.
    tol : float
        Stop where the duality gap is at most ``tol`` times the objective of the zero code.
    max_iter : int

    Returns
    -------
    codes : ndarray of shape (n, n_codes)
    gaps : ndarray of shape (n,)
    """
    dtype, n = pictures.dtype, len(pictures)
    ridge, step = dtype.type(ridge), dtype.type(1 / (convolution.curvature(filters) + ridge))
    correlations = convolution.correlations(pictures, filters)
    norms = np.einsum("nijc,nijc->n", pictures, pictures)
    codes = np.zeros_like(correlations)
    if prior is not None:
        correlations += ridge * prior
        norms += ridge * np.einsum("ij,ij->i", prior, prior)
        codes[:] = prior

    def multiplied(h):
        return convolution.correlations(convolution.sums(h, filters), filters) + ridge * h

    alphas, gaps = np.full(n, alpha, dtype), np.empty(n)
    before, ahead, weights = np.empty_like(codes), codes.copy(), np.ones(n, dtype)
    for iteration in range(max_iter + 1):
        if iteration % _CHECK == 0 or iteration == max_iter:
            pulls = correlations - multiplied(codes)
            gap_rows(alphas, False, norms, correlations, pulls, codes, gaps)
            if (gaps <= 0.5 * tol * norms).all() or iteration == max_iter:
                return codes, gaps
        points = multiplied(ahead)
        step_rows(correlations, step, ahead, points)
        codes, before = before, codes
        shrink_rows(points, alphas, step, False, codes)
        lead_rows(codes, before, weights, ahead)


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
