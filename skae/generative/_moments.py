"""Local mean and covariance of the data density, estimated by an auto-encoder or from the data."""

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from .._arrays.powers import power_of_two
from .._arrays.underflow import ignoring_underflow
from .._estimators.checks import check_same_names
from .._estimators.fitting import DTYPES
from .._estimators.reading import numpy_array
from .._typing import ArrayLike, FloatArray
from ..nn.network import outputs_and_jacobian
from ._checks import check_gaussian, check_positive, checked_rows, feed_forward, noise_level

_MAX_RADII = 1e150  # radii: squares of larger distances would overflow
_BLOCK = 16  # rows whose Jacobians are in memory at once, besides the result


class LocalMoments(NamedTuple):
    """Moments of a density near some points.

    Parameters
    ----------
    mean : ndarray of shape (n_samples, n_features)
        Means.
    covariance : ndarray of shape (n_samples, n_features, n_features)
        Covariances.
    """

    mean: FloatArray
    covariance: FloatArray


@ignoring_underflow
def local_moments(
    model: Any, X: ArrayLike, sigma: float | None = None, *, margin: float = 1e-3
) -> LocalMoments:
    """Return the local mean and covariance that an auto-encoder estimates (Bengio et al. 2012).

    The minimizer of ``E ||x - r(x)||^2 + alpha ||dr/dx||_F^2`` over a neighborhood with mean m0 and covariance C0 has
    ``r = m0`` and ``J = dr/dx = C0 (C0 + alpha I)^-1`` there, so that ``C0 = alpha J (I - J)^-1``. Training with normal
    noise of standard deviation sigma corresponds to alpha = sigma^2.

    For gaussian data, C0 is their covariance at every point. In general, C0 is the covariance of the gaussian that,
    with the noise added, has the curvature of the log density of noisy data at x. Within the reach of the noise, the
    covariance of the data is sigma^2 J.

    J is symmetrized, and its eigenvalues are clipped to [0, 1 - margin]; they are larger in valleys of the density.

    Parameters
    ----------
    model : fitted auto-encoder or StackedAE
        Model with ``loss='gaussian'``, trained with gaussian noise or contraction of the reconstruction.
    X : array-like of shape (n_samples, n_features)
        Points at which to estimate the moments.
    sigma : float, default=None
        Standard deviation of the noise, for scaled columns (see ``scale_``). By default, that of
        training: ``corruption_level`` of gaussian noise, or the root of twice the ``contraction`` of the
        reconstruction.
    margin : float, default=1e-3
        Minimum distance of the eigenvalues of J from 1, which bounds variances by about ``sigma**2 / margin``.

    Returns
    -------
    moments : LocalMoments
        Named tuple of ``mean``, r(x), of shape (n_samples, n_features) and ``covariance`` of shape (n_samples,
        n_features, n_features), which is large: give few samples.

    Raises
    ------
    ValueError
        If X or a parameter is invalid, the loss is not gaussian, sigma is None and training had none, or moments
        overflow.
    TypeError
        If the model has no layered encoder and decoder.

    References
    ----------
    Bengio, Y., Alain, G. & Rifai, S. Implicit density estimation by local moment matching to sample from
    auto-encoders. 2012 (arXiv 1207.0057).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAE
    >>> from skae.generative import local_moments
    >>> X = load_digits().data / 16
    >>> options = {"loss": "gaussian", "contracted": "reconstruction", "contraction": 0.02}
    >>> cae = ContractiveAE(50, max_iter=2, random_state=0, **options).fit(X)
    >>> mean, covariance = local_moments(cae, X[:10])
    >>> mean.shape, covariance.shape
    ((10, 64), (10, 64, 64))
    """
    fitted = feed_forward(model)
    scaling = fitted.scaling
    check_gaussian(fitted.loss)
    X = checked_rows(model, X, "X")
    sigma = noise_level(model, sigma)
    if not (isinstance(margin, Real) and 0 < margin < 1):
        raise ValueError(f"margin must be between 0 and 1; got {margin!r}.")
    n_features = scaling.n_features
    mean = np.empty((len(X), n_features), X.dtype)
    covariance = np.empty((len(X), n_features, n_features), X.dtype)
    varies = np.empty((len(X), n_features), bool)
    for rows in gen_batches(len(X), _BLOCK):
        scaled_mean, jacobian = reconstruction_and_jacobian(fitted.params, X[rows])
        mean[rows] = scaling.invert(scaled_mean)
        scaled = _covariance(jacobian, sigma**2, margin)
        varies[rows] = scaling.widened(_variances(scaled) > 0, fill=False)
        with np.errstate(over="ignore"):
            once = scaling.invert_difference(scaled)
            covariance[rows] = scaling.invert_difference(once.transpose(0, 2, 1))
    return _in_range(LocalMoments(mean, covariance), varies)


@ignoring_underflow
def ball_moments(X: ArrayLike, centers: ArrayLike, radius: float) -> LocalMoments:
    """Return the mean and the covariance of the data within a ball around each center.

    With ``radius = sigma * sqrt(n_features + 2)`` a ball is as wide as normal noise. Its mean is then close to r(x) of
    :func:`local_moments`, and its covariance is close to sigma^2 dr/dx.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Samples.
    centers : array-like of shape (n_centers, n_features)
        Centers of the balls.
    radius : float
        Radius of a ball.

    Returns
    -------
    moments : LocalMoments
        Named tuple of ``mean`` of shape (n_centers, n_features) and ``covariance`` of shape (n_centers, n_features,
        n_features), which is divided by the number of rows minus one.

    Raises
    ------
    ValueError
        If data are invalid, a ball has fewer than two rows of X, or moments overflow.

    References
    ----------
    Bengio, Y., Alain, G. & Rifai, S. Implicit density estimation by local moment matching to sample from
    auto-encoders. 2012 (arXiv 1207.0057).

    Examples
    --------
    >>> import numpy as np
    >>> from skae.generative import ball_moments
    >>> X = np.random.default_rng(0).standard_normal((1000, 2))
    >>> mean, covariance = ball_moments(X, [[0, 0], [1, 0]], radius=0.5)
    >>> mean.shape, covariance.shape
    ((2, 2), (2, 2, 2))
    """
    check_same_names({"X": X, "centers": centers})
    X = numpy_array(X, "X", dtype=DTYPES)
    centers = numpy_array(centers, "centers", dtype=X.dtype)
    if centers.shape[1] != X.shape[1]:
        raise ValueError(
            f"centers must have the {X.shape[1]} features of X; got shape {centers.shape}."
        )
    check_positive("radius", radius)
    balls = _balls(X, centers, radius)
    fewest = min(map(len, balls))
    if fewest < 2:
        raise ValueError(
            f"radius={radius} leaves {fewest} rows of X in a ball, where a covariance needs two: give a larger one."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.array([X[rows].mean(axis=0, dtype=np.float64) for rows in balls], X.dtype)
        covariance = [np.atleast_2d(np.cov(X[rows], rowvar=False)) for rows in balls]
        covariance = np.array(covariance, X.dtype)
    varies = np.array([(X[rows] != X[rows[0]]).any(axis=0) for rows in balls])
    return _in_range(LocalMoments(mean, covariance), varies)


def _variances(covariance):
    return np.diagonal(covariance, axis1=1, axis2=2)


def _in_range(moments, varies):
    """Return ``moments``; raise if one has overflowed, or a variance of columns that vary is 0."""
    finite = np.isfinite(moments.mean).all() and np.isfinite(moments.covariance).all()
    if not finite or (varies & (_variances(moments.covariance) == 0)).any():
        raise ValueError(f"Moments of X are beyond the range of {moments.mean.dtype}: scale X.")
    return moments


def _balls(X, centers, radius):
    """Return the indices of the rows of X within ``radius`` of each center."""
    # In multiples of the radius, whose square could be out of range.
    unit = power_of_two(float(radius))
    with np.errstate(over="ignore"):
        X, centers = (np.divide(each, unit, dtype=np.float64) for each in (X, centers))
    largest = max(np.abs(X).max(), np.abs(centers).max())
    if not largest < _MAX_RADII:
        raise ValueError(
            f"radius={radius:.3g} is too small beside values of X and centers, which are up to {largest:.0e} times as large: "
            "give a larger one."
        )
    search = NearestNeighbors(radius=radius / unit).fit(X)
    return search.radius_neighbors(centers, return_distance=False)


def reconstruction_and_jacobian(params, x):
    """Return r(x) and dr/dx of gaussian output units."""
    return outputs_and_jacobian([*params.encoder_layers, *params.decoder_layers], x)


def symmetric_eigen(jacobian, largest):
    """Return eigenvalues, clipped to [0, ``largest``], and eigenvectors of the symmetric part of each Jacobian."""
    values, vectors = np.linalg.eigh((jacobian + jacobian.transpose(0, 2, 1)) / 2)
    return np.clip(values, 0, largest), vectors


def _covariance(jacobian, alpha, margin):
    """Return alpha J (I - J)^-1, with the eigenvalues of J clipped to [0, 1 - margin]."""
    values, vectors = symmetric_eigen(jacobian, 1 - margin)
    variances = alpha * values / (1 - values)
    return (vectors * variances[:, np.newaxis, :]) @ vectors.transpose(0, 2, 1)
