"""Steps of every ``fit`` besides training: validation, sample weights, attributes after errors."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.exceptions import NotFittedError
from sklearn.utils import (
    check_consistent_length,
    check_random_state,
    check_scalar,
    gen_batches,
    get_tags,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from .._arrays.namespace import (
    dense,
    detached,
    dtype_name,
    empty,
    in_numpy,
    is_array,
    is_numpy,
    like,
    namespace,
    to_numpy,
)
from .._compat import _check_sample_weight
from .._threads import team
from .._typing import ArrayLike, MatrixLike
from ..sources._gather import gather_with_y, in_memory, only_y
from ..training.loop import DivergenceError
from .callbacks import end_callbacks, end_callbacks_again, is_reporting
from .devices import check_library, dispatched
from .reading import errors_of, raise_with_cure, refuse_unlike_numbers

DTYPES = [np.float64, np.float32]  # of X, which is converted to the first one if it has neither
BLOCK = 1024  # rows per matrix product of transform: enough for full speed, little memory


class unchanged_on_error:
    """Run the block of a fit in a :func:`team`, and restore the attributes of ``estimator`` if it raises.

    The team covers the whole fit and not training alone, because the last bit of BLAS results depends on its number of
    threads.

    What the fit has learned is kept if training was interrupted, could not write its checkpoint or diverged, and has
    set the attribute ``learned``. If it diverged in its first epoch (of joint training), an earlier fit is restored.

    This is a class because Ctrl-C may come as the block begins: a generator would then end only when its traceback is
    freed, perhaps after a later fit, whose attributes it would replace.
    """

    def __init__(self, estimator, n_threads=None, learned="_state"):
        self._estimator, self._learned, self._team = estimator, learned, team(n_threads)
        self._before = vars(estimator).copy()
        # Those of an outer fit, in which this is a part of the work, go on.
        self._has_callbacks = "_skl_callbacks" in self._before and not is_reporting(self._before)

    def __enter__(self):
        try:
            self._team.__enter__()
        except BaseException:  # Ctrl-C, after which __exit__ is not called
            self._team.__exit__()
            raise

    def __exit__(self, _, error, __):
        try:
            self._team.__exit__()
            if self._has_callbacks:
                end_callbacks(self._estimator)
        except BaseException as late:  # Ctrl-C, or an error of a callback
            error = late
            raise
        finally:
            if error is not None:
                if self._has_callbacks:
                    end_callbacks_again(self._estimator)
                self._restore(error)

    def _restore(self, error):
        new, old = (each.get(self._learned) for each in (vars(self._estimator), self._before))
        if not _is_worth_keeping(new, old, error):
            self._estimator.__dict__ = self._before


def _is_worth_keeping(new, old, error):
    """Return whether ``new``, learned by a fit before ``error``, replaces ``old``, learned before that fit."""
    diverged = isinstance(error, DivergenceError)
    cut_short = diverged or isinstance(error, (KeyboardInterrupt, OSError))
    if new is old or not cut_short:
        return False
    # Without a new epoch of joint training an earlier model is better than layers that diverged, and complete.
    curve, earlier = (each["loss_curve"] if isinstance(each, dict) else [] for each in (new, old))
    return (bool(curve) and curve != earlier) or old is None or not diverged


def gathered(estimator, X, **options):
    """Return X, or a memory map of its rows if they are not in memory, see :func:`skae.sources.gather`."""
    return X if type(X) is np.ndarray else gathered_in_parts(estimator, X, **options)[0]


def gathered_with_y(estimator, X, y, needed_by=None):
    """Return X as :func:`gathered` does, and y, which may come with the batches of X; raise ValueError if there is none."""
    X, found = (X, None) if type(X) is np.ndarray else gathered_in_parts(estimator, X)
    if found is not None or type(y) is not np.ndarray:
        y = only_y(y, found)
    if y is None:
        name = needed_by or type(estimator).__name__
        raise ValueError(f"{name} requires y to be passed, but the target y is None.")
    if type(y) is not np.ndarray:
        with errors_of("y"):
            check_consistent_length(y)  # with itself: it has a length
    return X, y


def gathered_in_parts(estimator, X, **options):
    """Return X as :func:`gathered` does, and the y of its batches, or None if they have none."""
    return gather_with_y(X, allow_nan=get_tags(estimator).input_tags.allow_nan, **options)


def validated_rows(estimator, X, **options):
    """Return X, which may be not in memory, by :func:`validated_frame`."""
    return validated_frame(estimator, gathered(estimator, X), **options)


def validated_frame(estimator, X, *, dtype, accept_sparse="csr", **options):
    """Return X, the result of :func:`gathered`, in C order, dense or CSR.

    Values may be missing (NaN) if the tags of the estimator say so.

    Raises
    ------
    ValueError, TypeError
        If X is invalid, or has masked values, text, dates or others that are no numbers; the message has the cure.
    """
    if not is_numpy(X):
        check_library(estimator, X)
        if dispatched(X):
            X, dtype = detached(X), dtypes_of_library(X, dtype)
        else:
            X = in_numpy(X)
    finite = "allow-nan" if get_tags(estimator).input_tags.allow_nan else True
    options |= {"accept_sparse": accept_sparse, "dtype": dtype, "ensure_all_finite": finite}
    if type(X) is not np.ndarray or X.dtype.kind not in "fiub":  # most X are arrays of numbers
        refuse_unlike_numbers(X, "X")
    try:
        rows = validate_data(estimator, X, order="C", **options)
    except (TypeError, ValueError) as error:
        raise_with_cure(error, X)
    if issparse(rows) and not rows.has_canonical_format:
        rows = rows.copy()  # scipy adds up duplicate entries in place
        rows.sum_duplicates()
    return rows


def dtypes_of_library(X, dtype):
    """Return dtypes of numpy as those of the library of ``X``."""
    xp = namespace(X)
    if isinstance(dtype, list):
        return [getattr(xp, np.dtype(each).name) for each in dtype]
    return getattr(xp, np.dtype(dtype).name)


def is_fitted(estimator):
    """Return whether ``estimator`` is fitted, by :func:`sklearn.utils.validation.check_is_fitted`."""
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def counted_rows(X, sample_weight, dtype=None):
    """Return rows with a positive weight, their weights (of ``dtype``) or None, and their indices: a slice or an array.

    Raises
    ------
    ValueError
        If a weight is negative, all are zero, or their sum overflows or is below the smallest normal number.
    """
    if sample_weight is None:
        return X, None, slice(None)
    sample_weight = _checked_weights(sample_weight, X, X.dtype if dtype is None else dtype)
    if sample_weight.all():
        return X, sample_weight, slice(None)
    counted = np.flatnonzero(sample_weight)
    return X[counted], sample_weight[counted], counted


@dataclass(frozen=True)
class FitData:
    """Validated rows of a fit, without those of weight 0, and what the user gave.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    sample_weight : ndarray of shape (n_samples,) or None
    frame, frame_weight : array-like
        All rows and weights as the user gave them, with columns that may have names.
    """

    X: Any
    sample_weight: np.ndarray | None
    frame: Any
    frame_weight: Any

    def for_part(self):
        """Return X and weights for a sub-estimator that sees the columns: as given if these have names, else validated."""
        if hasattr(self.frame, "columns"):
            return self.frame, self.frame_weight
        return self.X, self.sample_weight


def fit_data(estimator, X, sample_weight, *, dtype=DTYPES, reset=True):
    """Return the ``FitData`` of X and its weights, as the user gave them; rows are arrays of numpy.

    ``dtype`` and ``reset`` are those of :func:`validated_frame`.
    """
    frame = gathered(estimator, X)
    rows = in_numpy(validated_frame(estimator, frame, dtype=dtype, reset=reset))
    rows, weights, _ = counted_rows(rows, in_numpy(sample_weight))
    return FitData(rows, weights, frame, sample_weight)


def _checked_weights(sample_weight, rows, dtype):
    """Return the weights of ``rows`` as an array; raise if they do not define a mean."""
    sample_weight = in_memory(sample_weight)
    refuse_unlike_numbers(sample_weight, "sample_weight")
    if hasattr(sample_weight, "columns"):
        raise ValueError(
            f"sample_weight must have one axis; got a data frame of the shape {sample_weight.shape}. Give one column, such as frame['weight']."
        )
    try:
        sample_weight = _check_sample_weight(sample_weight, rows, dtype=dtype)
    except (TypeError, ValueError) as error:
        if "weight" in str(error):
            raise
        raise ValueError(f"sample_weight must have a number for each row: {error}") from error
    with np.errstate(over="ignore"):
        total = sample_weight.sum()
    if (sample_weight < 0).any() or not 0 < total < np.inf:
        raise ValueError("sample_weight must be non-negative, with a positive and finite sum.")
    if total < np.finfo(sample_weight.dtype).tiny:
        raise ValueError(
            f"sample_weight has the sum {total:.3g}, which is too small for {sample_weight.dtype}: multiply all weights by "
            "the same large number."
        )
    return sample_weight


def mean_score(scores, sample_weight):
    """Return the weighted mean of the scores of samples; samples of weight 0 do not count, whatever their score."""
    scores = to_numpy(scores) if is_array(scores) else scores
    sample_weight = to_numpy(sample_weight) if is_array(sample_weight) else sample_weight
    if sample_weight is not None:
        sample_weight = _checked_weights(sample_weight, scores, scores.dtype)
        counted = sample_weight != 0
        scores, sample_weight = scores[counted], sample_weight[counted]
    with np.errstate(over="ignore"):  # of rows far from all others
        return float(np.average(scores, weights=sample_weight))


def score(
    self: Any, X: MatrixLike, y: object = None, sample_weight: ArrayLike | None = None
) -> float:
    """Return the mean of ``score_samples(X)``.

    A class with ``score_samples`` takes this function as a method.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    y : None
        Ignored.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in the mean.

    Returns
    -------
    score : float
        The mean over the samples.
    """
    return mean_score(self.score_samples(X), sample_weight)


def by_block(X, function, width, block=BLOCK, prototype=None):
    """Return ``function`` of the dense rows of X, computed block by block.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n_samples, n_features)
    function : callable
        Function from a block of rows to its results.
    width : int, tuple of int or None
        Shape of a row's result; None for a scalar.
    block : int, default=1024
        Number of rows in a block, or fewer if memory does not suffice.
    prototype : array or None, default=None
        Array of another library, which ``function`` takes and returns; the whole result is in the library of X.
    """
    shape = () if width is None else tuple(np.atleast_1d(width).tolist())
    if is_array(X) and not is_numpy(X):
        out = empty((X.shape[0], *shape), X)
    else:
        out = np.empty((X.shape[0], *shape), X.dtype)
    # Rows, inputs of the network, and results.
    block = rows_at_once(block, 2 * X.shape[1] + int(np.prod(shape)), np.dtype(dtype_name(X)))
    for rows in gen_batches(X.shape[0], block):
        x = X[rows, ...] if is_array(X) else dense(X[rows])
        if prototype is None or not is_numpy(x):
            results = function(x)
            with np.errstate(over="ignore"):  # of sums in float64, of float32 rows
                out[rows, ...] = results
        else:
            out[rows] = to_numpy(function(like(x, prototype)))
    return out


def rows_at_once(most, n_numbers, dtype):
    """Return how many rows of ``n_numbers`` values fit into scikit-learn's ``working_memory``, from 1 to ``most``."""
    memory = get_config()["working_memory"] * 2**20
    return max(min(most, int(memory // (n_numbers * dtype.itemsize))), 1)


def check_counts(**counts):
    """Raise if one of the arguments is not a positive integer."""
    for name, value in counts.items():
        check_scalar(value, name, Integral, min_val=1)


def column_names(estimator, X):
    """Return the names of the columns of X in ``fit``, or their indices."""
    return getattr(estimator, "feature_names_in_", range(X.shape[1]))


def take_columns(estimator, fitted):
    """Copy the number and the names of the columns from ``fitted`` to ``estimator``."""
    estimator.n_features_in_ = fitted.n_features_in_
    vars(estimator).pop("feature_names_in_", None)
    if hasattr(fitted, "feature_names_in_"):
        estimator.feature_names_in_ = fitted.feature_names_in_


def generator(random_state):
    """Return the numpy generator of scikit-learn's ``random_state``."""
    return np.random.default_rng(check_random_state(random_state).randint(np.iinfo(np.int32).max))
