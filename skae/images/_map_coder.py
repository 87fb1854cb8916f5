"""What a fitted model of convolutional sparse coding does: codes of images, and images of codes."""

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import gen_batches
from sklearn.utils.extmath import row_norms
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import dense
from .._estimators.checks import checked_codes
from .._estimators.code_warnings import warn_of_gaps
from .._estimators.parameters import alpha_, check_set, resolved_alpha
from .._threads import team
from .._typing import ArrayLike, FloatArray, TransformerMixin
from ._code_search import NeighborPools, infer_maps
from ._convolution import tiled_encoder
from ._validation import as_floats, validated_images

_AFTER_FIT = "alpha beta pool_size transform_algorithm gap_tol max_inference_iter n_jobs".split()
_BLOCK_VALUES = 2**22  # maximum number of codes, and of values of patches, in a block


# A TransformerMixin, as set_output changes only the methods that such a class defines itself.
class MapCoder(TransformerMixin):
    """Methods of a fitted :class:`ConvolutionalPSD`, which need its ``_state``, ``_shape`` and ``_convolution``."""

    _spread = 1.0  # of the pixels, in models of versions that had none
    alpha_, _alpha = alpha_, resolved_alpha

    def transform(self, X: ArrayLike) -> FloatArray:
        """Return the codes of images.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Images.

        Returns
        -------
        H : ndarray of shape (n_samples, n_features_out)
            Codes in the order of ``map_shape_``.
        """
        return self._by_block_with_gaps(X, self._codes)

    def infer(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return the codes of images by the filters alone, and an upper bound on the distance of each from its optimum.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Images.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_features_out)
            Codes of the images.
        gaps : ndarray of shape (n_samples,)
            Upper bound on ``||x - sum_k d_k * h_k||^2 / 2 + alpha ||h||_1`` at each code minus its minimum. Unknown
            with ``pool_size``: NaN, or infinite after ``max_inference_iter`` passes.
        """
        return self._by_block(X, lambda images: self._solve(images, self.components_))

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Return the images that are reconstructed from codes, as rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features_out)
            Codes.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Images on the scale of the training data, up to 255 if these were of 8 bits.
        """
        check_is_fitted(self)
        codes = checked_codes(self, X, self._n_features_out, self.components_.dtype)
        blocks = [
            self._convolution.sums(dense(codes[rows]), self.components_)
            for rows in gen_batches(codes.shape[0], self._n_at_once)
        ]
        return self._rows_of_pixels(np.concatenate(blocks))

    def reconstruct(self, X: ArrayLike) -> FloatArray:
        """Return the images that are reconstructed from the codes of ``transform``, as rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width[, channels]) or (n_samples, n_features)
            Images.

        Returns
        -------
        R : ndarray of shape (n_samples, n_features)
            Reconstructions, on the scale of the training data.
        """

        def reconstructed(images):
            codes, gaps, squares = self._codes(images)
            return self._convolution.sums(codes, self.components_), gaps, squares

        return self._rows_of_pixels(self._by_block_with_gaps(X, reconstructed))

    @property
    def components_(self) -> FloatArray:
        """The filters: ndarray of shape (n_filters, n_patch_features)."""
        params = self._history("components_")["params"]
        return params[: -self._make_encoder().size].reshape(-1, self._convolution.n_values)

    @property
    def filters_(self) -> FloatArray:
        """The filters as images: ndarray of shape (n_filters, height, width, channels)."""
        return self.components_.reshape(-1, *self._convolution.patch_size, self.image_shape_[2])

    @property
    def encoder_parameters_(self) -> list[FloatArray]:
        """Gains, filters and biases of ``'tanh'``, or filters and logarithms of thresholds: list of ndarray."""
        params, encoder = self._history("encoder_parameters_")["params"], self._make_encoder()
        return encoder.coefficients(params[-encoder.size :])

    @property
    def map_shape_(self) -> tuple[int, int, int]:
        """Rows, columns and filters of the codes of an image: (int, int, int)."""
        check_is_fitted(self)
        return *self._convolution.n_positions, self._shape["n_filters"]

    def _rows_of_pixels(self, images):
        """Return images as rows on the scale of the training data."""
        rows = images.reshape(len(images), -1)
        return rows * rows.dtype.type(255) if self._pixels["eight_bit"] else rows

    def _make_encoder(self):
        return tiled_encoder(self._shape, self._convolution)

    def _by_block_with_gaps(self, X, function):
        """Return the first result of ``function`` for blocks of images; warn of codes far from the optimum."""
        results, gaps, squares = self._by_block(X, function)
        warn_of_gaps(gaps, squares, self.gap_tol, self.max_inference_iter)
        return results

    def _by_block(self, X, function):
        """Return the results of ``function`` for blocks of images, whose codes take little memory, as a tuple."""
        check_is_fitted(self)
        check_set(self, *_AFTER_FIT)
        images, _ = validated_images(self, X, self.image_shape_, self._pixels)
        blocks = gen_batches(len(images), self._n_at_once)
        with team(effective_n_jobs(self.n_jobs)):
            parts = [function(as_floats(images[rows], self.components_.dtype)) for rows in blocks]
        return tuple(map(np.concatenate, zip(*parts)))

    def _codes(self, images):
        """Return codes, a bound on the distance of each from its optimum, and twice the objective of the zero code."""
        squares = row_norms(images.reshape(len(images), -1), squared=True)
        if self.transform_algorithm == "lasso":
            return *self._solve(images, self.components_), squares
        encoder, params = self._make_encoder(), self._state["params"]
        prior, _ = encoder.forward(params[-encoder.size :], self._convolution.patches(images))
        prior = prior.reshape(len(images), -1)
        if self.transform_algorithm == "encoder":  # these need not be optimal
            return prior, np.zeros_like(squares), squares
        squares += self.beta * row_norms(prior, squared=True)
        return *self._solve(images, self.components_, ridge=self.beta, prior=prior), squares

    def _infer(self, images, filters, prediction):
        """Return codes near the prediction of the encoder, and their penalties."""
        codes, _ = self._solve(images, filters, ridge=self.beta, prior=prediction)
        pool = self._pool()
        sizes = np.abs(codes) if pool is None else pool.roots(codes)
        return codes, self._alpha * sizes.sum(axis=1)

    def _pool(self):
        size, positions = self.pool_size, self._convolution.n_positions
        return None if size is None else NeighborPools(size, positions, self._alpha)

    def _solve(self, images, filters, **prior):
        limits = {"tol": self.gap_tol, "max_iter": self.max_inference_iter, "pool": self._pool()}
        return infer_maps(images, self._convolution, filters, self._alpha, **limits, **prior)

    @property
    def _n_at_once(self):
        """Number of images whose codes and patches take little memory."""
        width = max(self._shape["n_filters"], self._convolution.n_values)
        return max(_BLOCK_VALUES // (int(np.prod(self._convolution.n_positions)) * width), 1)

    @property
    def _n_features_out(self):
        return int(np.prod(self.map_shape_))
