"""From images to rows and back: patches, whitening, contrast, denoising."""

from numbers import Real
from typing import ClassVar

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.feature_extraction.image import extract_patches_2d, reconstruct_from_patches_2d
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ._compat import Interval, _fit_context
from ._estimators.fitting import unchanged_on_error

__all__ = ["ZCA", "denoise", "normalize_contrast", "sample_patches"]


class ZCA(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Whitening that stays as near to the input as it can: ``(x - mean) U (S + epsilon I)^(-1/2) U'``.

    Parameters
    ----------
    epsilon : float, default=0.01
        Share of the mean variance of the features that is added to each variance, so that directions of noise
        are not blown up.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Means of the features.
    whitening_, coloring_ : ndarray of shape (n_features, n_features)
        Symmetric matrices of ``transform`` and of ``inverse_transform``.

    References
    ----------
    Bell, A. & Sejnowski, T. The "independent components" of natural scenes are edge filters. Vision Research 37
    (1997).

    Examples
    --------
    >>> import numpy as np
    >>> from skae.image import ZCA
    >>> X = np.random.default_rng(0).standard_normal((500, 2)) @ [[2.0, 1.0], [0.0, 0.5]]
    >>> np.cov(ZCA(epsilon=1e-9).fit_transform(X).T, bias=True).round(3) + 0.0
    array([[1., 0.],
           [0., 1.]])
    """

    _parameter_constraints: ClassVar[dict] = {
        "epsilon": [Interval(Real, 0, None, closed="neither")]
    }

    def __init__(self, epsilon=0.01):
        self.epsilon = epsilon

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn means and covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self : ZCA

        Raises
        ------
        ValueError
            If X is invalid, or beyond the range of its dtype.
        """
        with unchanged_on_error(self):
            X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
            self.mean_, self.whitening_, self.coloring_ = self._learned(X)
        return self

    def _learned(self, X):
        """Return mean, whitening and coloring."""
        mean = X.mean(axis=0)
        centered = X - mean
        # In multiples of the largest value, whose square need not be a number of the dtype.
        unit = np.abs(centered).max() or X.dtype.type(1)
        centered /= unit
        variances, directions = np.linalg.eigh(centered.T @ centered / len(X))
        floor = self.epsilon * variances.mean() or 1.0
        scales = unit * np.sqrt(np.maximum(variances, 0) + floor)
        whitening = (directions / scales) @ directions.T
        coloring = (directions * scales) @ directions.T
        if not all(np.isfinite(each).all() for each in (mean, whitening, coloring)):
            raise ValueError(f"X is too large or too small for {X.dtype}: scale it.")
        return mean, whitening, coloring

    def transform(self, X):
        """Return whitened rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=self.mean_.dtype, reset=False)
        return (X - self.mean_) @ self.whitening_

    def inverse_transform(self, X):
        """Return rows as they were before whitening.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        return check_array(X, dtype=self.mean_.dtype) @ self.coloring_ + self.mean_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def normalize_contrast(image, sigma=4.0, floor=0.01):
    """Return ``image`` minus its local mean, over its local standard deviation.

    Parameters
    ----------
    image : array-like of shape (height, width)
    sigma : float, default=4.0
        Standard deviation of the Gaussian neighborhood, in pixels.
    floor : float, default=0.01
        Smallest divisor, in units of ``image``: flat regions stay flat.

    Returns
    -------
    normalized : ndarray of shape (height, width)

    Raises
    ------
    ValueError
        If ``image`` is not finite and of two dimensions, or if ``sigma`` or ``floor`` is not positive.

    References
    ----------
    Jarrett, K. et al. What is the best multi-stage architecture for object recognition? ICCV 2009, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.image import normalize_contrast
    >>> texture = np.random.default_rng(0).standard_normal((64, 64))
    >>> dim, bright = normalize_contrast(np.hstack([texture, 20 * texture]))[:, [16, 112]].std(axis=0)
    >>> bool(0.8 < dim / bright < 1.25)
    True
    """
    image = check_array(image, dtype=[np.float64, np.float32])
    if not (sigma > 0 and floor > 0):
        raise ValueError(f"sigma and floor must be positive; got {sigma!r} and {floor!r}.")
    centered = image - gaussian_filter(image, sigma)
    unit = np.abs(centered).max() or image.dtype.type(1)
    deviation = unit * np.sqrt(gaussian_filter((centered / unit) ** 2, sigma))
    return centered / np.maximum(deviation, floor)


def sample_patches(images, patch_size, n_patches, *, center=True, random_state=None):
    """Return random patches of gray images as rows, in equal numbers from each image.

    Parameters
    ----------
    images : sequence of array-like of shape (height, width)
    patch_size : (int, int)
        Height and width of a patch.
    n_patches : int
        Number of patches.
    center : bool, default=True
        Whether to take each patch's mean away.
    random_state : int, RandomState instance or None, default=None
        Seed of the places and of the order.

    Returns
    -------
    X : ndarray of shape (n_patches, height * width)
        In random order.

    Raises
    ------
    ValueError
        If an image is not finite, is smaller than a patch or has fewer places than its share of patches.

    Examples
    --------
    >>> from sklearn.datasets import load_sample_images
    >>> from skae.image import sample_patches
    >>> images = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    >>> sample_patches(images, (8, 8), 1000, random_state=0).shape
    (1000, 64)
    """
    rng = check_random_state(random_state)
    if len(images) == 0 or n_patches < 1:
        raise ValueError("sample_patches needs images and n_patches of at least 1.")
    share = -(-n_patches // len(images))
    parts = [
        extract_patches_2d(image, patch_size, max_patches=share, random_state=rng)
        for image in images
    ]
    if min(map(len, parts)) < share:
        raise ValueError(
            f"n_patches={n_patches} is more than there are places for {patch_size} patches in images."
        )
    X = np.concatenate(parts).reshape(sum(map(len, parts)), -1)
    X = X[rng.permutation(len(X))[:n_patches]]
    return X - X.mean(axis=1, keepdims=True) if center else X


def denoise(image, coder, patch_size):
    """Return ``image`` with each patch replaced by its sparse reconstruction, averaged where patches overlap.

    Parameters
    ----------
    image : array-like of shape (height, width)
    coder : fitted estimator
        With ``reconstruct``, of patches without their means; for instance a ``SparseCoder``.
    patch_size : (int, int)
        Height and width of the patches that ``coder`` knows.

    Returns
    -------
    clean : ndarray of shape (height, width)

    Raises
    ------
    ValueError
        If ``image`` is not finite and of two dimensions, or if ``coder`` knows patches of another size.

    References
    ----------
    Elad, M. & Aharon, M. Image denoising via sparse and redundant representations over learned dictionaries.
    IEEE Transactions on Image Processing 15 (2006).

    Examples
    --------
    >>> import numpy as np
    >>> from skae import SparseCoder
    >>> from skae.image import denoise, sample_patches
    >>> clean = np.outer(np.sin(np.arange(60) / 3), np.cos(np.arange(60) / 4))
    >>> noisy = clean + 0.3 * np.random.default_rng(0).standard_normal(clean.shape)
    >>> patches = sample_patches([noisy], (6, 6), 2000, random_state=0)
    >>> coder = SparseCoder(30, alpha=0.6, max_iter=5, random_state=0).fit(patches)
    >>> bool(np.std(denoise(noisy, coder, (6, 6)) - clean) < 0.5 * np.std(noisy - clean))
    True
    """
    image = check_array(image, dtype=[np.float64, np.float32])
    X = extract_patches_2d(image, patch_size)
    X = X.reshape(len(X), -1)
    means = X.mean(axis=1, keepdims=True)
    clean = coder.reconstruct(X - means) + means
    return reconstruct_from_patches_2d(clean.reshape(-1, *patch_size), image.shape)
