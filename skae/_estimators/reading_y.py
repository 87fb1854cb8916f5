"""Reading of y: labels and values, with errors that tell what to give instead."""

from collections.abc import Sequence
from numbers import Number
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from .._arrays.namespace import dense, in_numpy
from .._compat import StrOptions
from .._typing import ArrayLike, ClassifierMixin, MatrixLike
from ..nn.losses import Bernoulli, Gaussian, Multinomial
from ..sources._parts import refuse_masked
from .fit_warnings import (
    warn_of_class_like_unlabeled,
    warn_of_constant_targets,
    warn_of_text_like_missing,
)
from .labels import Classes, Targets, Values
from .reading import array_of_one_shape, is_missing, refuse_marks, refuse_unlike_numbers

CLASS_WEIGHT_CONSTRAINTS = {"class_weight": [StrOptions({"balanced"}), dict, list, None]}
_UNLABELED = -1
_HOW_TO_MARK = "Rows without a label have the integer -1; with labels of text y is then a list or an array of objects."
_HOW_TO_MARK_MISSING = f"{_HOW_TO_MARK} If labels are missing as None or NaN, np.where(pandas.isna(y), -1, y) is such an array."
_NO_LABELS = "y has no labels: all are -1, which marks unlabeled rows. Label some of the rows, of two classes or more."
_NO_MARKS = "Rows without labels cannot be marked in an indicator matrix: leave them out, or fit a StackedAE on all rows and a classifier on the codes of the labeled ones. A label that a row does not have is 0, not -1."
_HOW_TO_SHAPE = "y must have one column of classes, or an indicator matrix of 0 and 1, which MultiLabelBinarizer of scikit-learn makes of lists of labels"
_HOW_TO_LEAVE_OUT = "Rows without a target cannot be marked: fit a StackedAE on all rows, and a regressor on the codes of those with a target."


def read_classes(y, dtype, rows):
    """Return the ``Classes`` in y, and the ``Targets`` of some rows."""
    y, known_labels = _labels_of_text(y)
    kind = type_of_target(known_labels, input_name="y")
    if kind == "multilabel-indicator":
        return _read_indicators(y, dtype, rows)
    if kind == "multiclass-multioutput":
        raise ValueError(f"{_HOW_TO_SHAPE}. {_NO_MARKS}")
    classes, codes = _read_codes(y, known_labels)
    if len(classes) < 2:
        raise ValueError(f"y must have two classes or more; got one class, {classes[0]}.")
    codes = codes[rows]
    labeled = codes >= 0
    values = np.zeros((len(codes), len(classes)), dtype)
    values[np.flatnonzero(labeled), codes[labeled]] = 1
    strata = np.where(labeled, codes, 0)
    return Classes(classes, False), Targets(values, Multinomial, labeled, strata=strata)


def read_labels(y):
    """Return the classes in y, and the index of the class of each row, which is -1 for rows without a label."""
    return _read_codes(*_labels_of_text(y))


def score(self: Any, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Return the accuracy of ``predict(X)`` on the rows with a label: those with -1 in y do not count.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        True labels. In an indicator matrix all labels of a row must be right.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples in the mean.

    Returns
    -------
    score : float
        The mean over the samples.

    Raises
    ------
    ValueError
        If no row has a label, or labels are missing otherwise.
    """
    check_is_fitted(self)
    y = _of_numpy(in_numpy(y))
    if np.shape(y)[1:] == (1,):
        y = column_or_1d(y, warn=True)
    y = _labels_of_text(y)[0]
    labels = np.asarray(y)
    known = _known(labels, self.classes_)
    if known.all():
        return ClassifierMixin.score(self, X, y, sample_weight)
    if not known.any():
        raise ValueError(_NO_LABELS)
    predictions = np.asarray(in_numpy(self.predict(X)))
    check_consistent_length(predictions, labels, sample_weight)
    weights = None if sample_weight is None else np.asarray(in_numpy(sample_weight))[known]
    return float(accuracy_score(labels[known], predictions[known], sample_weight=weights))


def _known(labels, classes):
    """Return the mask of the rows with a label, of one row if all count: -1 is a class, or labels are indicators."""
    if labels.ndim == 1 and _UNLABELED not in classes.tolist():
        if labels.dtype == object:
            return _are_text(labels)
        if labels.dtype.kind in "if":
            return labels != _UNLABELED
    return np.ones(1, bool)


def _read_codes(y, known_labels):
    """Return what ``read_labels`` does, from the results of :func:`_labels_of_text`.

    -1 is a class if a numeric y has only one other value.
    """
    y = column_or_1d(y, warn=True)
    check_classification_targets(known_labels)
    labeled = np.ones(len(y), bool)
    if y.dtype == object:
        labeled = _are_text(y)
    elif y.dtype.kind in "if" and len(np.unique(y[y != _UNLABELED])) > 1:
        labeled = y != _UNLABELED
    codes = np.full(len(y), _UNLABELED)
    classes, codes[labeled] = np.unique(y[labeled], return_inverse=True)
    if len(classes) == 1 and classes[0] == _UNLABELED:
        raise ValueError(_NO_LABELS)
    if classes.dtype.kind in "OUT":
        warn_of_text_like_missing(classes, _HOW_TO_MARK)
    elif not labeled.all():
        warn_of_class_like_unlabeled(classes, labeled)
    return classes, codes


def _labels_of_text(y):
    """Return y, as an array if it has labels of text, and the part of it that scikit-learn's checks of labels support.

    These are the labels of text, without the -1 of unlabeled rows beside them; else y as a whole. Raise if a label is
    missing (NaN or None).
    """
    if type(y) is not np.ndarray:
        refuse_masked(y, "y")
        y = y if isinstance(y, np.ndarray) else _of_numpy(y)
    if isinstance(y, (list, tuple)) and any(isinstance(label, str) for label in y):
        y = np.array(y, dtype=object)
    found = y if isinstance(y, np.ndarray) else array_of_one_shape(y, _HOW_TO_SHAPE)
    if found.dtype.kind == "T":  # numpy's strings of any length, which scikit-learn does not read
        y = found = found.astype(object)
    if found.dtype.kind in "fmM" and np.any(found != found):
        cure = _HOW_TO_MARK_MISSING if found.ndim == 1 else _NO_MARKS
        raise ValueError(f"Input y contains NaN or NaT. {cure}")
    if found.dtype.kind == "c":
        refuse_unlike_numbers(found, "y")
    if found.ndim != 1:
        refuse_marks(y if issparse(y) else found, _NO_MARKS)
    if found.ndim != 1 or found.dtype.kind not in "OUT":
        return y, y
    if found.dtype == object and any(is_missing(label) for label in found):
        raise ValueError(f"Input y contains NaN or None. {_HOW_TO_MARK_MISSING}")
    texts = {label for label in found if isinstance(label, str)}
    if not texts:
        _refuse_objects(found)
        return y, y
    others = {label for label in found if not isinstance(label, str)} - {_UNLABELED}
    if others:
        raise ValueError(f"y has labels of text and {others}: make all text. {_HOW_TO_MARK}")
    if str(_UNLABELED) in texts and texts != {"-1", "1"}:
        raise ValueError(f"y has the label '-1' as text. {_HOW_TO_MARK}")
    return found, found[_are_text(found)]


def _of_numpy(y):
    """Return a nullable column of integers or Booleans as an array of their dtype: scikit-learn makes floats of them.

    Large integers that become the same float would be one class.
    """
    is_column = hasattr(y, "iloc") and y.shape[1:] == (1,)
    dtype = y.dtypes.iloc[0] if is_column else getattr(y, "dtype", None)
    dtype = getattr(dtype, "numpy_dtype", np.dtype(object))
    return y if dtype.kind not in "biu" or np.any(y.isna()) else y.to_numpy(dtype)


def _are_text(labels):
    """Return the mask of the labels of text; beside them there may be -1."""
    return np.array([isinstance(label, str) for label in labels], bool)


def _refuse_objects(y):
    """Raise if an array of objects has numbers, dates or intervals, which scikit-learn takes for no kind of labels."""
    if y.dtype != object or any(isinstance(label, (bytes, Sequence, np.ndarray)) for label in y):
        return  # not objects, or what scikit-learn has an error for
    numbers = all(isinstance(label, (Number, np.bool_)) for label in y)
    kind, dtype = ("numbers", int) if numbers else (f"{type(y[0]).__name__} objects", str)
    raise ValueError(
        f"Unknown label type: y has {kind} in an array of objects. Convert it, for instance with "
        f"np.asarray(y).astype({dtype.__name__}). {_HOW_TO_MARK}"
    )


def read_values(y, dtype, rows, weights):
    """Return the ``Values`` and the ``Targets`` of some rows of y; mean and deviation are weighted."""
    values = _numbers(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = column_or_1d(values, warn=True)
    one_column = values.ndim == 1
    values = values.reshape(len(values), -1)[rows]
    with np.errstate(over="ignore", invalid="ignore"):
        center = np.average(values, axis=0, weights=weights)
        deviations = values - center
        scale = np.sqrt(np.average(deviations**2, axis=0, weights=weights))
        # Deviations of equal values are 0, or rounding errors of their mean.
        varies = np.abs(deviations).max(axis=0) > 1e-12 * np.abs(center)
    _check_range(values, scale[varies])
    if len(values) > 1:
        warn_of_constant_targets(values[0], ~varies)
    scale[~varies] = 1
    values = np.ascontiguousarray(deviations / scale, dtype)
    return Values(one_column, center, scale), Targets(values, Gaussian, np.ones(len(values), bool))


def _numbers(y):
    """Return y as an array of numbers; raise if it has text or dates."""
    refuse_unlike_numbers(y, "y")
    try:
        return check_array(y, dtype=np.float64, ensure_2d=False, input_name="y")
    except (TypeError, ValueError) as error:
        if "contains NaN" in str(error):
            raise ValueError(f"Input y contains NaN. {_HOW_TO_LEAVE_OUT}") from error
        if "to float" not in str(error) and "float()" not in str(error):
            raise
        raise ValueError(
            f"y must have numbers, which a regressor predicts ({error}): take a classifier for classes."
        ) from error


def _check_range(values, deviations):
    """Raise if squares of ``values`` would overflow or be 0."""
    limits = np.finfo(np.float64)
    low, high = float(limits.tiny) ** 0.5, float(limits.max) ** 0.5
    if np.abs(values).max() > high or (deviations < low).any():
        raise ValueError(
            f"y has values above {high:.0e} in size, or that differ by less than {low:.0e}: multiply y by a power of ten."
        )


def _read_indicators(y, dtype, rows):
    values = dense(check_array(y, accept_sparse="csr", dtype=dtype))
    if not np.isin(values, (0, 1)).all():
        raise ValueError(
            "y with several columns must be an indicator matrix of 0 and 1; got the values "
            f"{np.unique(values).tolist()}. {_NO_MARKS}"
        )
    values = values[rows]
    warn_of_constant_targets(values[0], (values == values[0]).all(axis=0))
    targets = Targets(values, Bernoulli, np.ones(len(values), bool))
    return Classes(np.arange(values.shape[1]), True), targets
