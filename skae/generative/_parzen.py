"""Likelihood of data under a density of gaussian kernels around the samples of a model."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils import gen_batches, resample

from .._arrays.powers import root_mean_square
from .._arrays.underflow import ignoring_underflow
from .._estimators.checks import check_jobs, check_same_names
from .._estimators.columns import Columns
from .._estimators.fitting import DTYPES, check_counts
from .._estimators.parameters import warn_of_argument
from .._estimators.reading import numpy_array
from .._kernels.parzen import add_exponentials
from .._threads import share_items, team
from .._typing import ArrayLike, FloatArray, RandomState
from .._warnings import warn

_COARSE_WIDTHS = np.logspace(-3, 0.5, 20)  # times the spread of the samples
_FINE_FACTORS = np.logspace(-0.2, 0.2, 21)  # times the best of these, just beyond its neighbors
_BASELINES = ("training data", "k-means")


class ParzenLikelihood(NamedTuple):
    """Log-likelihood of data under a Parzen density.

    Parameters
    ----------
    mean : float
        Mean log-density of the rows.
    standard_error : float
        Standard error of the mean.
    sigma : float
        Standard deviation of the kernels.
    log_likelihoods : ndarray of shape (n_samples,)
        Log-density of each row, in float64.
    """

    mean: float
    standard_error: float
    sigma: float
    log_likelihoods: FloatArray


@ignoring_underflow
def parzen_log_likelihood(
    samples: ArrayLike,
    X_test: ArrayLike,
    sigma: float | Sequence[float] | Literal["cv"] = "cv",
    *,
    X_validation: ArrayLike | None = None,
    n_jobs: int = -1,
    block_size: int = 1024,
) -> ParzenLikelihood:
    """Return the log-likelihood of data under gaussian kernels centered at samples of a model.

    The log-density at x, of D features, is ``log mean_j exp(-||x - s_j||^2 / (2 sigma^2)) - D log(sigma sqrt(2 pi))``.
    It depends on sigma and on the number of samples, and cluster centers often score better than real data: see
    :func:`parzen_comparison`.

    Parameters
    ----------
    samples : array-like of shape (n_centers, n_features)
        Samples of a model, the centers of the kernels. Products are computed in their dtype, relative to their mean;
        with float32, a log-density has an error of about ``1e-7 ||x - mean||^2 / sigma^2``.
    X_test : array-like of shape (n_samples, n_features)
        Data to score, at least two rows.
    sigma : float, sequence of float or 'cv', default='cv'
        Standard deviation of the kernels. From a sequence, the value with the best mean on ``X_validation`` is taken.
        ``'cv'`` tries 20 values from 0.001 to 3.2 times the root mean variance of the features of ``samples``, then 21
        around the best.
    X_validation : array-like of shape (n_validation, n_features), default=None
        Held-out data on which sigma is chosen. Leaving out one sample at a time would not work, since the samples of a
        chain resemble each other.
    n_jobs : int, default=-1
        Number of threads, as in joblib.
    block_size : int, default=1024
        Number of rows and of samples in a matrix product.

    Returns
    -------
    likelihood : ParzenLikelihood
        Named tuple of ``mean``, ``standard_error``, ``sigma`` and ``log_likelihoods`` of shape (n_samples,).

    Raises
    ------
    ValueError
        If data or a parameter is invalid, or ``X_validation`` is missing but needed to choose sigma.

    Warns
    -----
    UserWarning
        If the best sigma is at an end of the search of ``'cv'``.

    References
    ----------
    Breuleux, O., Bengio, Y. & Vincent, P. Quickly generating representative samples from an RBM-derived process.
    Neural Computation 23 (2011).

    Theis, L., van den Oord, A. & Bethge, M. A note on the evaluation of generative models. ICLR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.generative import parzen_log_likelihood
    >>> samples, X_test, X_validation = np.random.default_rng(0).standard_normal((3, 2000, 2))
    >>> likelihood = parzen_log_likelihood(samples, X_test, X_validation=X_validation)
    >>> bool(abs(likelihood.mean + np.log(2 * np.pi) + 1) < 0.1)
    True
    """
    check_same_names({"samples": samples, "X_test": X_test, "X_validation": X_validation})
    samples = numpy_array(samples, "samples", dtype=DTYPES, order="C")
    X_test = _checked(X_test, "X_test", samples)
    if X_validation is not None:
        X_validation = _checked(X_validation, "X_validation", samples)
    check_counts(block_size=block_size)
    check_jobs(n_jobs)
    if len(X_test) < 2:
        raise ValueError("X_test must have two rows or more, for a standard error; got one.")
    sigmas = _candidates(sigma, samples, X_validation)
    if X_validation is not None and len(sigmas) == 1:
        warn_of_argument("X_validation", "a sigma to choose: 'cv' or a sequence")
    with team(effective_n_jobs(n_jobs)):
        if len(sigmas) > 1:
            best = _best(sigmas, samples, X_validation, block_size)
            sigmas = sigmas[[best]]
            if isinstance(sigma, str):
                _warn_at_an_end(best, sigmas[0])
                sigmas = sigmas * _FINE_FACTORS
                sigmas = sigmas[[_best(sigmas, samples, X_validation, block_size)]]
        (values,) = _log_densities(samples, X_test, sigmas, block_size)
    standard_error = values.std(ddof=1) / np.sqrt(len(values))
    return ParzenLikelihood(float(values.mean()), float(standard_error), float(sigmas[0]), values)


@ignoring_underflow
def parzen_comparison(
    samples: ArrayLike | dict[str, ArrayLike],
    X_train: ArrayLike,
    X_test: ArrayLike,
    X_validation: ArrayLike,
    *,
    random_state: RandomState = None,
    n_jobs: int = -1,
) -> dict[str, ParzenLikelihood]:
    """Return Parzen log-likelihoods for samples of models and, for comparison, for training data and k-means.

    An ideal model would draw samples like the training data. Centers of k-means, which clearly are not data, often
    score even better (Theis et al. 2016): a score alone says little about a model. One sigma serves all columns, so
    standardize columns on several scales, and the samples with them, first.

    Parameters
    ----------
    samples : array-like of shape (n_centers, n_features) or dict of str to array-like
        Samples of one model, or of several by name.
    X_train : array-like of shape (n_train, n_features)
        Training data. As many random rows are taken as the largest of ``samples`` has, or all if there are fewer.
    X_test : array-like of shape (n_samples, n_features)
        Data to score.
    X_validation : array-like of shape (n_validation, n_features)
        Held-out data on which sigma is chosen, separately for each density.
    random_state : int, RandomState instance or None, default=None
        Random seed of the drawn rows and of k-means.
    n_jobs : int, default=-1
        Number of threads, as in joblib.

    Returns
    -------
    likelihoods : dict of str to ParzenLikelihood
        Results for ``'samples'``, or the names in ``samples``; ``'training data'``; and ``'k-means'``, with as many
        centers, but at most half as many as X_train has rows.

    Raises
    ------
    ValueError
        If data or a parameter is invalid.

    References
    ----------
    Theis, L., van den Oord, A. & Bethge, M. A note on the evaluation of generative models. ICLR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from skae.generative import parzen_comparison
    >>> X_train, X_test, X_validation, samples = np.random.default_rng(0).standard_normal((4, 400, 2))
    >>> likelihoods = parzen_comparison(samples, X_train, X_test, X_validation, random_state=0)
    >>> list(likelihoods)
    ['samples', 'training data', 'k-means']
    """
    models = samples if isinstance(samples, Mapping) else {"samples": samples}
    if not models or set(models) & set(_BASELINES):
        raise ValueError(
            f"samples must be an array, or a dict of arrays by names other than {_BASELINES}; got {list(models)}."
        )
    data = {"X_test": X_test, "X_train": X_train, "X_validation": X_validation}
    for name, each in {**data, **models}.items():
        if each is None:
            raise ValueError(f"{name} must be an array of shape (n_samples, n_features); got None.")
    check_same_names({**data, **models})
    models = {name: numpy_array(each, name, dtype=DTYPES) for name, each in models.items()}
    X_train = numpy_array(X_train, "X_train", dtype=DTYPES, ensure_min_samples=2)
    baselines = _baselines(X_train, max(map(len, models.values())), random_state)
    return {
        name: parzen_log_likelihood(centers, X_test, X_validation=X_validation, n_jobs=n_jobs)
        for name, centers in {**models, **baselines}.items()
    }


def _checked(X, name, samples):
    X = numpy_array(X, name, dtype=samples.dtype, order="C")
    if X.shape[1] != samples.shape[1]:
        raise ValueError(
            f"{name} must have the {samples.shape[1]} features of samples; got {X.shape[1]}."
        )
    return X


def _candidates(sigma, samples, X_validation):
    """Return the checked standard deviations to choose from."""
    search = isinstance(sigma, str) and sigma == "cv"
    sigmas = _spread(samples) * _COARSE_WIDTHS if search else np.atleast_1d(sigma)
    if sigmas.dtype.kind not in "iuf" or sigmas.ndim != 1 or not sigmas.size:
        raise ValueError(f"sigma must be a number, some numbers or 'cv'; got {sigma!r}.")
    if not ((sigmas > 0) & (sigmas < np.inf)).all():
        raise ValueError(
            f"sigma must be positive (for 'cv', samples must differ); got {sigma!r}, that is {sigmas}."
        )
    if len(sigmas) > 1 and X_validation is None:
        raise ValueError("X_validation must be given to choose sigma; or give sigma as one number.")
    return sigmas.astype(np.float64)


def _spread(samples):
    deviations = Columns(samples).deviation
    return root_mean_square(deviations) if deviations.any() else 0.0


def _best(sigmas, samples, X_validation, block_size):
    """Return the index of the standard deviation with the highest mean log-density of held-out data."""
    return np.argmax(_log_densities(samples, X_validation, sigmas, block_size).mean(axis=1))


def _warn_at_an_end(best, sigma):
    if best in (0, len(_COARSE_WIDTHS) - 1):
        warn(
            f"sigma={sigma:.3g} is at an end of the search: look for rows that X_validation shares with samples, "
            "or for samples far from it, or give sigma."
        )


def _log_densities(samples, X, sigmas, block_size):
    """Return the log-density of each row of X for each sigma, of shape (n_sigmas, n_samples)."""
    center = samples.mean(axis=0, dtype=np.float64).astype(samples.dtype)
    # Products of vectors far from the origin would lose their distances to rounding.
    samples = samples - center
    half_norms = _half_norms(samples).astype(samples.dtype)

    def log_sums(rows):
        return _log_sums(X[rows] - center, samples, half_norms, sigmas**-2.0, block_size)

    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        log_sums = share_items(log_sums, list(gen_batches(len(X), block_size)))
    log_constants = np.log(len(samples)) + X.shape[1] * np.log(sigmas * np.sqrt(2 * np.pi))
    densities = np.concatenate(log_sums, axis=1) - log_constants[:, np.newaxis]
    # Their squares, of which the standard error is made, must be numbers too.
    if not (np.abs(densities) < np.sqrt(np.finfo(np.float64).max) / len(X)).all():
        raise ValueError(
            f"Log-densities are not finite in {samples.dtype} with sigma between {sigmas.min():.3g} and "
            f"{sigmas.max():.3g}: scale samples and data, or take a sigma that is nearer to their distances."
        )
    return densities


def _log_sums(x, samples, half_norms, precisions, block_size):
    """Return log sum_j exp(-precision_k ||x_i - s_j||^2 / 2); ||x||^2 / 2 is subtracted at the end."""
    highest = np.full(len(x), -np.inf)
    totals = np.zeros((len(precisions), len(x)))
    for part in gen_batches(len(samples), block_size):
        exponents = x @ samples[part].T
        exponents -= half_norms[part]
        lower, highest = highest, np.maximum(highest, exponents.max(axis=1))
        totals *= np.exp(np.outer(precisions, lower - highest))
        add_exponentials(exponents, highest.astype(x.dtype), precisions.astype(x.dtype), totals)
    # Minus half the least squared distance, which rounding may make positive.
    return np.log(totals) + np.outer(precisions, np.minimum(highest - _half_norms(x), 0))


def _half_norms(rows):
    return np.einsum("ij,ij->i", rows, rows, dtype=np.float64) / 2


def _baselines(X_train, n_centers, random_state):
    """Return rows of the training data and k-means centers, as many as a model has samples."""
    rows = resample(
        X_train, replace=False, n_samples=min(n_centers, len(X_train)), random_state=random_state
    )
    clusters = MiniBatchKMeans(
        min(n_centers, len(X_train) // 2), init="random", n_init=1, random_state=random_state
    )
    return dict(zip(_BASELINES, (rows, clusters.fit(X_train).cluster_centers_)))
