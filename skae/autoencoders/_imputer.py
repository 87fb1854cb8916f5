"""Imputation of missing values as a step of a pipeline."""

from dataclasses import field
from typing import Any, ClassVar

import numpy as np
from scipy.sparse import csr_matrix, issparse
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_is_fitted

from .._compat import HasMethods, _fit_context, _safe_indexing
from .._estimators.fitting import (
    BLOCK,
    counted_rows,
    gathered,
    rows_at_once,
    unchanged_on_error,
)
from .._estimators.one_pass import fit_transform
from .._estimators.parameters import estimator
from .._estimators.subestimators import fitted_base, is_prefit
from .._typing import (
    ArrayLike,
    BaseEstimator,
    FloatArray,
    MatrixLike,
    OneToOneFeatureMixin,
    RandomState,
    Self,
    TransformerMixin,
)
from ._composed import (
    base_or_default,
    reading_rows,
    take_tags_of_base,
    validated_for_base,
    with_names,
)
from ._denoising import DenoisingAE


@estimator
class Imputer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Transformer that fills in missing values (NaN) with the reconstructions of an auto-encoder.

    A denoising auto-encoder learns to reconstruct rows from copies in which cells are set to the mean of their column,
    which is what it sees in place of a missing value. ``transform`` returns X with the values that the auto-encoder's
    ``impute`` gives for missing cells, in real columns weighted averages of a linear estimate and of reconstructions.
    The others stay as they are, to the last bit. Unlike an auto-encoder, whose ``transform`` returns codes, this is a
    step before any estimator that takes no NaN.

    Parameters
    ----------
    base : estimator, default=None
        Auto-encoder with ``impute``: a :class:`DenoisingAE`, :class:`AutoEncoder` or :class:`ContractiveAE`, of which
        a copy is fitted. ``FrozenEstimator(base)`` is used as it is. None means ``DenoisingAE()``.
    random_state : int, RandomState instance or None, default=None
        Random seed of ``base`` if it has none of its own.

    Attributes
    ----------
    base_ : estimator
        The fitted auto-encoder.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Vincent, P. et al. Extracting and composing robust features with denoising autoencoders. ICML (2008). Gondara, L. &
    Wang, K. MIDA: Multiple imputation using denoising autoencoders. arXiv:1705.02737 (2018), where several tables are
    filled in instead of one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import Imputer
    >>> X, y = load_wine(return_X_y=True)
    >>> X[np.random.default_rng(0).random(X.shape) < 0.2] = np.nan
    >>> pipeline = make_pipeline(Imputer(random_state=0), StandardScaler(), LogisticRegression())
    >>> bool(cross_val_score(pipeline, X, y).mean() > 0.9)
    True
    """

    base: Any = field(default=None, kw_only=False)
    random_state: RandomState = None

    _parameter_constraints: ClassVar[dict] = {
        "base": [HasMethods(["fit", "impute"]), None],
        "random_state": ["random_state"],
    }

    fit_transform = fit_transform

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        take_tags_of_base(tags, self.base, DenoisingAE())
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the auto-encoder to X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, in which NaN is a missing value; there need not be any.
        y : None
            Ignored.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the objective of ``base``. A ``FrozenEstimator`` has no use for them.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X or a parameter is invalid, or a column has no value at all; the estimator is then as before. If the
            training of ``base`` is interrupted, or diverges in a first fit, the imputer has what ``base`` has learned.
        """
        with unchanged_on_error(self, learned="base_"):
            X = gathered(self, X)
            rows = validated_for_base(self, X, reset=True)
            if is_prefit(self):
                counted_rows(rows, sample_weight)  # checks the weights, which the base does not get
            X = with_names(X, rows)
            base = base_or_default(self, DenoisingAE())
            self._take(fitted_base(self, base, X, sample_weight, on_interrupt=self._take))
        return self

    def transform(self, X: MatrixLike) -> FloatArray | csr_matrix:
        """Return a copy of X whose missing values are filled in.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        X : {ndarray, CSR matrix} of shape (n_samples, n_features)
            Float32 if X is, else float64; sparse if X is, where stored values alone may be missing. Binary columns and
            one-hot groups are filled with probabilities.
        """
        check_is_fitted(self)
        X = gathered(self, X)
        rows = validated_for_base(self, X, reset=False)
        base, X = reading_rows(self.base_, X, rows)
        return _filled(rows, X, base.impute)

    def _take(self, base):
        self.base_ = base


def _filled(rows, X, impute):
    """Return a copy of ``rows`` whose missing cells are those of ``impute``, a function of rows of X."""
    if issparse(rows):
        filled = rows.copy()
        filled.sum_duplicates()
    else:
        filled = np.array(rows)
    size = rows_at_once(BLOCK, 4 * rows.shape[1], rows.dtype)
    for part in gen_batches(rows.shape[0], size):
        values, places = _stored(filled, part)
        missing = np.isnan(values)
        if missing.any():
            values[missing] = impute(_safe_indexing(X, part))[places][missing]
    return filled


def _stored(rows, part):
    """Return a view of the values of ``rows[part]``, those that are stored if it is sparse, and their places in it."""
    if not issparse(rows):
        return rows[part], ...
    within = rows[part].tocoo()
    return rows.data[slice(*rows.indptr[[part.start, part.stop]])], (within.row, within.col)
