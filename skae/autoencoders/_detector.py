"""Anomaly detection with an auto-encoder, by reconstruction errors and codes."""

import math
from dataclasses import field
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import dense
from .._arrays.powers import power_of_two
from .._compat import HasMethods, Interval, StrOptions, _fit_context, _safe_indexing
from .._estimators.columns import Columns
from .._estimators.fit_warnings import warn_of_few_directions, warn_of_new_values
from .._estimators.fitting import (
    column_names,
    counted_rows,
    gathered,
    rows_at_once,
    unchanged_on_error,
)
from .._estimators.one_pass import fit_predict
from .._estimators.parameters import estimator
from .._estimators.subestimators import fitted_base, plain_codes
from .._typing import (
    ArrayLike,
    BaseEstimator,
    FloatArray,
    IntArray,
    MatrixLike,
    OutlierMixin,
    RandomState,
    Self,
)
from .._warnings import warn
from ._autoencoder import AutoEncoder
from ._base import BaseAutoEncoder
from ._composed import (
    base_or_default,
    reading_rows,
    take_tags_of_base,
    validated_for_base,
    with_names,
)

_BLOCK = 1024
_MOST_UNITS, _ROWS_PER_UNIT = 100, 5  # of the default auto-encoder
_RIDGE = 1e-3  # multiple of the mean variance of the codes that is added to each variance
_VARIANCE_FLOOR = 1e-6  # least variance of a column's residuals, as a fraction of its variance
_SUPPORT, _STEPS = 0.9, 3  # fraction of the rows that define what is normal, and steps to find them
_LEAST_FRACTION = 0.3  # least mean square of residuals in those rows, as a fraction of that in all
_MOST_LEVERAGE = 0.9  # of a training row
_CURE_OF_CONSTANT = (
    "Scores ignore that: look for such rows yourself, or fit on rows in which the column varies."
)
_FENCE = 2  # interquartile ranges above the third quartile; 1.5 marks twice as many normal rows


@estimator
class AnomalyDetector(OutlierMixin, BaseEstimator):
    """Detector of rows that an auto-encoder reconstructs worse than others, or whose code is far from the others'.

    With the residual e = x - r(x) and the code h(x), the score of a row is ``-D / 2``,

        D = sum_j e_j^2 / v_j + (h - m)' (C + l I)^-1 (h - m),

    where v_j is the mean of e_j^2, m and C are mean and covariance of the codes, and l is 0.001 times the mean variance
    of a code. The first term is large if columns do not fit together. The second is large if they do, but the row as a
    whole is far out. For a linear auto-encoder, D is the Mahalanobis distance of principal component analysis (the
    index of Yue & Qin 2001); with nonlinear codes it follows the shape of the data.

    v, m and C are those of the nine tenths of the training rows with the least D, so that anomalies among the training
    rows do not make v and C large. These rows are found in three steps, starting from all rows (as in Rousseeuw & Van
    Driessen 1999). v_j is at least 0.3 of its value in all rows.

    Cells that do not fit the others of their row may be missed where columns are correlated, since D has no covariance
    of residuals: put ``StandardScaler()`` and ``PCA(whiten=True)`` before the detector.

    Parameters
    ----------
    base : estimator, default=None
        Auto-encoder with ``transform`` and ``reconstruct``. None means an ``AutoEncoder`` of 100 units, or of a fifth
        of the number of rows where that is less: with more it reproduces anomalies as well as the other rows.
    contamination : 'auto' or float, default='auto'
        Fraction of the training rows that are anomalies, in (0, 0.5], which sets the threshold. With ``'auto'``, rows
        are anomalies if their ``D ** (1 / 3)`` exceeds the third quartile by more than 2 interquartile ranges. The
        quartiles are those of training rows as if each had been left out of the fit: with c the second term of D and n
        the number of rows, the leverage of a row is H = (1 + c) / n, at most 0.9; its first term is divided by
        (1 - H)^2, and its second by 1 - H. Of new rows that are normal, the default ``base`` marks 3% (the median of 35
        data sets; 0 to 6% in nine tenths of them, 11% at most), and a linear auto-encoder 0 to 1%. Anomalies among the
        training rows raise the threshold: where there are many, give their fraction.
    prefit : bool, default=False
        Whether ``base`` is already fitted and is used as it is. In cross-validation use ``FrozenEstimator(base)``
        instead, which stays fitted when it is cloned.
    random_state : int, RandomState instance or None, default=None
        Random seed of ``base`` if it has none of its own.

    Attributes
    ----------
    base_ : estimator
        The fitted auto-encoder.
    offset_ : float
        The threshold: ``decision_function(X) = score_samples(X) - offset_``. It is lowered by more than rounding
        errors, so that rows whose scores equal it are no anomalies.
    residual_variance_ : ndarray of shape (n_features,)
        v, on the squared scale of X; infinity for constant columns, which are ignored. The largest
        ``(X - base_.reconstruct(X)) ** 2 / residual_variance_`` of a row tell which columns made it anomalous.
    code_mean_ : ndarray of shape (n_components,)
        m, the mean of the codes.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Yue, H. & Qin, S. Reconstruction-based fault identification using a combined index. Industrial & Engineering
    Chemistry Research 40 (2001). Rousseeuw, P. & Van Driessen, K. A fast algorithm for the minimum covariance
    determinant estimator. Technometrics 41 (1999). Cook, R. D. & Weisberg, S. Residuals and influence in regression
    (1982). Denouden, T. et al. Improving reconstruction autoencoder out-of-distribution detection with Mahalanobis
    distance. arXiv:1812.02765 (2018).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AnomalyDetector
    >>> X = load_iris().data
    >>> detector = AnomalyDetector(random_state=0).fit(X)
    >>> detector.predict([[5.0, 3.4, 1.5, 0.2], [5.0, 3.4, 6.5, 0.2]])
    array([ 1, -1])
    """

    base: Any = field(default=None, kw_only=False)
    contamination: float | Literal["auto"] = "auto"
    prefit: bool = False
    random_state: RandomState = None

    if TYPE_CHECKING:
        code_mean_: FloatArray = field(init=False)
        offset_: float = field(init=False)
        residual_variance_: FloatArray = field(init=False)

    _parameter_constraints: ClassVar[dict] = {
        "base": [HasMethods(["fit", "transform", "reconstruct"]), None],
        "contamination": [StrOptions({"auto"}), Interval(Real, 0, 0.5, closed="right")],
        "prefit": ["boolean"],
        "random_state": ["random_state"],
    }

    fit_predict = fit_predict

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        take_tags_of_base(tags, self.base, AutoEncoder())
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the auto-encoder to X, and learn which residuals and codes are normal.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in which NaN is a missing value.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the objective of ``base`` and in v, m, C and the threshold.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is invalid; the estimator is then as before. If the training of ``base`` is interrupted,
            or diverges in a first fit, the detector is fitted with what ``base`` has learned.
        """
        with unchanged_on_error(self, learned="offset_"):
            X = gathered(self, X)
            rows = validated_for_base(self, X, reset=True)
            X = with_names(X, rows)  # the base knows columns by their names
            rows, weights, counted = counted_rows(rows, sample_weight)
            if not isinstance(counted, slice):
                X = _safe_indexing(X, counted)
            columns = Columns(rows, weights, getattr(X, "columns", None))
            learn = partial(self._learn_residuals, X, rows, weights, columns)
            n_units = min(_MOST_UNITS, math.ceil(columns.count / _ROWS_PER_UNIT))
            base = base_or_default(self, AutoEncoder(n_units))
            learn(fitted_base(self, base, X, weights, on_interrupt=learn))
            if isinstance(self.base_, BaseAutoEncoder):
                model = self.base_.model_
                inputs = model.scaling.rows(rows)
                warn_of_few_directions(inputs, model.units, type(self).__name__)
        return self

    def _learn_residuals(self, X, rows, weights, columns, base):
        """Learn which residuals and codes of the rows of X are normal, with the fitted ``base``."""
        self.base_ = base
        weights = np.ones(rows.shape[0]) if weights is None else weights.astype(np.float64)
        # Squares of very large or small residuals would overflow or underflow.
        self._unit = power_of_two(np.where(columns.deviation > 0, columns.deviation, 1))
        base, X = reading_rows(base, X, rows)
        residuals, codes = _residuals(base, X, rows), _codes(base, X)
        self._learn_normal(columns, residuals, codes, weights)
        threshold = self._threshold(*self._terms(residuals, codes), weights)
        # The scores of equal rows differ in their last digits, by the rows that are scored with them.
        self.offset_ = threshold - float(np.sqrt(np.finfo(rows.dtype).eps)) * abs(threshold)

    def score_samples(self, X: MatrixLike) -> FloatArray:
        """Return -D / 2 of each row, see above; low values are anomalies.

        A missing value counts as much as a column does on average. Columns that were constant in ``fit`` are ignored; a
        warning tells of other values in them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            High for samples that are like the training data.
        """
        check_is_fitted(self)
        X = gathered(self, X)
        rows = validated_for_base(self, X, reset=False)
        if isinstance(self.base_, BaseAutoEncoder):
            scaling = self.base_.model_.scaling
            warn_of_new_values(rows, scaling, column_names(self, rows), _CURE_OF_CONSTANT)
        scores = np.empty(rows.shape[0])
        # Rows, reconstructions, residuals and their squares.
        size = rows_at_once(_BLOCK, 4 * rows.shape[1], scores.dtype)
        base, X = reading_rows(self.base_, X, rows)
        for part in gen_batches(len(scores), size):
            x = _safe_indexing(X, part)
            terms = self._terms(_residuals(base, x, rows[part]), _codes(base, x))
            scores[part] = -sum(terms) / 2
        return scores

    def decision_function(self, X: MatrixLike) -> FloatArray:
        """Return ``score_samples(X) - offset_``: negative for anomalies.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative for anomalies.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: MatrixLike) -> IntArray:
        """Return -1 for anomalies and 1 for others.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        kinds : ndarray of int of shape (n_samples,)
            1 for samples that are like the training data, -1 for anomalies.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def _squares(self, residuals):
        """Yield blocks of rows with their squared residuals in multiples of ``_unit``: all at once would need much memory."""
        size = rows_at_once(_BLOCK, 4 * residuals.shape[1], np.dtype(np.float64))
        for rows in gen_batches(len(residuals), size):
            with np.errstate(over="ignore"):  # of rows far from all others, which are anomalies
                squares = np.divide(residuals[rows], self._unit, dtype=np.float64)
                np.square(squares, out=squares)
            yield rows, squares

    def _mean_squares(self, residuals, weights):
        """Return the weighted mean square of each column's residuals; 0 for a column without values."""
        total, count = np.zeros((2, residuals.shape[1]))
        for rows, squares in self._squares(residuals):
            missing = np.isnan(squares)
            total += weights[rows] @ np.where(missing, 0, squares)
            count += weights[rows] @ ~missing
        return np.divide(total, count, out=total, where=count > 0)

    def _learn_normal(self, columns, residuals, codes, weights):
        """Learn the variances of the residuals and the moments of the codes from the most normal rows."""
        mean_squares = self._mean_squares(residuals, weights)
        least = np.maximum(
            _LEAST_FRACTION * mean_squares, _VARIANCE_FLOOR * (columns.deviation / self._unit) ** 2
        )
        counted = columns.varies & (mean_squares > 0)
        kept = weights
        for step in range(_STEPS + 1):
            if step:
                distances = sum(self._terms(residuals, codes))
                kept = weights * (distances <= quantile(distances, _SUPPORT, weights))
            variance = np.maximum(self._mean_squares(residuals, kept), least)
            self._variance = np.where(counted, variance, np.inf)
            self.code_mean_, covariance = _moments(codes, kept)
            ridge = _RIDGE * np.trace(covariance) / len(covariance)
            covariance += (ridge or 1.0) * np.eye(len(covariance))
            self._factor = cholesky(covariance, lower=True)
        self.residual_variance_ = self._in_units_of_X(self._variance, counted)

    def _in_units_of_X(self, variance, counted):
        """Return the variances on the squared scale of X; warn where those of ``counted`` columns are out of range."""
        with np.errstate(over="ignore"):
            variance = variance * self._unit**2
        if not ((variance > 0) & np.isfinite(variance))[counted].all():
            warn(
                "residual_variance_ is 0 or infinite, since the squares of such residuals are beyond the range of float64: "
                "scale X to use it. Scores and labels do not depend on the scale."
            )
        return variance

    def _terms(self, residuals, codes):
        """Return the two terms of D."""
        of_residuals, of_codes = np.empty((2, len(residuals)))
        for rows, squares in self._squares(residuals):
            whitened = solve_triangular(self._factor, (codes[rows] - self.code_mean_).T, lower=True)
            of_codes[rows] = np.einsum("ij,ij->j", whitened, whitened)
            with np.errstate(over="ignore", invalid="ignore"):
                squares /= self._variance
            # A column's terms are about 1 in normal rows.
            squares = np.where(np.isnan(squares), np.isfinite(self._variance), squares)
            of_residuals[rows] = squares.sum(axis=1)
        return of_residuals, of_codes

    def _threshold(self, of_residuals, of_codes, weights):
        """Return the score below which rows are anomalies, by the terms of D of the training rows."""
        if self.contamination != "auto":
            return quantile(-(of_residuals + of_codes) / 2, self.contamination, weights)
        return -_fence(left_out(of_residuals, of_codes, weights), weights) / 2


def _residuals(base, X, rows):
    """Return r(x) - x in the dtype of the rows; NaN where a value is missing."""
    residuals = base.reconstruct(X).astype(rows.dtype, copy=False)
    for block in gen_batches(len(residuals), _BLOCK):
        residuals[block] -= dense(rows[block])
    return residuals


def _codes(base, X):
    return np.asarray(dense(plain_codes(base, X)))


def _moments(codes, weights):
    """Return the weighted mean of the codes and their covariance, in float64, from blocks of rows."""
    blocks, covariance = list(gen_batches(len(codes), _BLOCK)), 0.0
    mean = sum(weights[rows] @ codes[rows].astype(np.float64) for rows in blocks) / weights.sum()
    for rows in blocks:
        deviations = codes[rows] - mean
        covariance += (weights[rows] * deviations.T) @ deviations
    return mean, covariance / weights.sum()


def left_out(of_residuals, of_codes, weights):
    """Return D of each training row as if it had been left out of the fit, by the two terms of D and its leverage.

    This is exact for m and C of all rows without l, and for a decoder that is the linear regression of X on the codes.
    """
    leverage = np.minimum((1 + of_codes) / max(weights.sum(), len(weights)), _MOST_LEVERAGE)
    return of_residuals / (1 - leverage) ** 2 + of_codes / (1 - leverage)


def _fence(distances, weights):
    """Return the upper bound on normal ``distances``: a fence of their cube roots, cubed."""
    roots = np.cbrt(distances)
    low, high = quantile(roots, 0.25, weights), quantile(roots, 0.75, weights)
    return float((high + _FENCE * (high - low)) ** 3)


def quantile(values, share, weights):
    """Return the quantile that :func:`numpy.quantile` would return of repeated values; a weight of 2 is two of them.

    Weights whose sum is less than the number of values are scaled up to that sum.
    """
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    ends = np.cumsum(weights)
    ends *= max(1, len(values) / ends[-1])
    position = share * (ends[-1] - 1)
    before = math.floor(position)
    # The values at ``before`` and after it, counted from 0, with all repeats; sums of weights have rounding errors.
    rounding = 1e-9 * ends[-1]
    places = np.searchsorted(ends, [before + rounding, before + 1 + rounding])
    low, high = values[np.minimum(places, len(values) - 1)]
    return float(low + (position - before) * (high - low))
