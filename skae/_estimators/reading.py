"""Input that scikit-learn would read as numbers other than those it stands for, or refuse without a cure."""

import re
from contextlib import contextmanager, suppress

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from .._arrays.namespace import detached, in_numpy
from .._warnings import warn
from ..sources._parts import refuse_masked, rows_and_names

_CURE_OF_DATES = "Turn dates into numbers, for instance (dates - dates.min()).dt.days, or leave such columns out."

_CURE_OF_PARTS = "Give each part of their values a column, or leave such columns out."


def validated(estimator, X, name, **options):
    """Return :func:`sklearn.utils.validation.validate_data` of X, the argument ``name`` of a function of numpy.

    Its errors begin with that name.
    """
    X = in_numpy(X)
    refuse_unlike_numbers(X, name)
    try:
        return validate_data(estimator, X, **options)
    except (TypeError, ValueError) as error:
        raise _kind_of(error)(_of_argument(str(error), name)) from error


def raise_with_cure(error, X):
    """Raise ``error``, which scikit-learn has raised about X, with what to do instead if that is known."""
    message = _with_cure(str(error), X)
    if message is None:
        raise error
    raise _kind_of(error)(message) from error


def validated_start(estimator, start, name, n_samples, dtype):
    """Return the initial states ``start`` of chains, an argument ``name``, as an array of numpy.

    Warn if these are not as many chains as in ``n_samples``, which is 1 by default.
    """
    start = validated(estimator, start, name, dtype=dtype, order="C", reset=False)
    if n_samples not in (1, len(start)):
        warn(
            f"n_samples={n_samples} has no effect: there is one chain for each of the {len(start)} rows of {name}."
        )
    return start


def named_array(value, name, **options):
    """Return :func:`sklearn.utils.check_array` of ``value``, whose errors begin with the ``name`` of the argument."""
    refuse_unlike_numbers(value, name)
    with errors_of(name):
        return check_array(detached(value), input_name=name, **options)


def numpy_array(value, name, **options):
    """Return :func:`named_array` of ``value``, which may be an array of another library, for a function of numpy."""
    return named_array(in_numpy(value), name, **options)


def array_of_one_shape(value, message):
    """Return ``value`` as an array; errors about rows of different lengths begin with ``message``."""
    with errors_of(message):
        return np.asarray(value)


@contextmanager
def errors_of(name):
    """Prefix ``TypeError`` and ``ValueError`` with the ``name`` of an argument."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise _kind_of(error)(f"{name}: {error}") from error


def _kind_of(error):
    return TypeError if isinstance(error, TypeError) else ValueError


def _of_argument(problem, name):
    """Return the message of an error of scikit-learn's about the argument ``name`` of a fitted model."""
    if "Input X contains NaN" in problem:
        # The rest is about fit, in which the model may take missing values.
        return f"{name} contains NaN. Fill in missing values first, by Imputer of skae or SimpleImputer of scikit-learn."
    return f"{name}: {problem}"


def _with_cure(problem, X):
    """Return the message of an error of scikit-learn's with the cure, or None if it needs none."""
    if getattr(X, "ndim", 2) > 2 or "Found array with dim" in problem:
        return f"{problem} Make a row of each sample, np.reshape(X, (len(X), -1)); for images see also skae.images.{_of_batches(X)}"
    # pandas says "Cannot cast object dtype", and "str dtype" from version 3 on.
    if "convert string to float" in problem or re.search("Cannot cast .* dtype to float", problem):
        return _about_text(problem, X)
    if "contains infinity" in problem:
        return _about_infinity(problem, X)
    if "numpy.record" in problem or getattr(getattr(X, "dtype", None), "names", None):
        return (
            "X is a structured array, whose rows are records: give numpy.lib.recfunctions.structured_to_unstructured(X), or "
            "pandas.DataFrame(X), which keeps the names of its fields."
        )
    if about_columns := _about_columns(problem, X):
        return about_columns
    if "number, not 'dict'" in problem and _is_one_list(X):
        return "X is a list of records: give pandas.DataFrame(X), whose columns have the names in them."
    if "could not be promoted" in problem or "real number, not" in problem:
        cure = _CURE_OF_PARTS if re.search("'(dict|list|tuple|set)'", problem) else _CURE_OF_DATES
        return f"X has columns that hold no numbers{_not_numbers(X)} ({problem.split('. ')[0]}). {cure}"
    if "setting an array element with a sequence" in problem:
        if hasattr(X, "columns"):
            return f"X has columns with several numbers in one place{_not_numbers(X)}. {_CURE_OF_PARTS}"
        return (
            "X must have a number in each place of rows of the same length; got rows of different lengths, or a sequence in "
            f"one place: pad or cut them, or give each number a column, for instance by np.stack(rows).{_of_batches(X)}"
        )
    if "Input X contains NaN" in problem or "cannot convert NA to integer" in problem:
        return (
            "Input X contains NaN. Fill in missing values first, in a Pipeline, by Imputer of skae or SimpleImputer of "
            "scikit-learn. AutoEncoder, DenoisingAE and ContractiveAE take NaN in X themselves."
        )
    return None


def _about_columns(problem, X):
    """Return the message of an error about the columns of a data frame, with the cure, or None if it needs none."""
    if "NAType" in problem:
        return (
            f"X has pandas.NA among objects{_not_numbers(X)}, which numpy cannot read: give X.convert_dtypes() of a data frame, or "
            "put numpy.nan in its place."
        )
    if "Expected unique column names" in problem:
        names = list(map(str, X.columns))
        twice = sorted({name for name in names if names.count(name) > 1})
        return f"X has columns of the same name, {twice}: rename them, as names say which column is which."
    if "at least one array or dtype is required" in problem:
        return "X is a data frame without columns: give those to learn from."
    if "fill value must be 0" in problem:
        return (
            "X has sparse columns that stand for another number than 0: give X.sparse.to_dense()."
        )
    if "Sparse data was passed" in problem and hasattr(X, "columns"):
        return "X has sparse columns, but dense data is required: give X.sparse.to_dense()."
    return None


def _about_text(problem, X):
    """Return the message of scikit-learn's error about text in X, with the cure."""
    if _is_one_list(X):
        return (
            f"X is a list of texts ({problem}). Turn each into a row of numbers first, in a Pipeline, for instance with "
            "TfidfVectorizer."
        )
    # By name or index, since make_column_selector is for data frames of pandas alone.
    columns = _unreadable(X if hasattr(X, "columns") else np.asarray(in_numpy(X), dtype=object))
    return (
        f"X has columns of text in {columns} ({problem}). Encode them first, for instance with "
        f"make_column_transformer((OneHotEncoder(handle_unknown='ignore'), {columns}), remainder='passthrough')."
    )


def _about_infinity(problem, X):
    """Return the message of scikit-learn's error about infinity in X, with a column that has it and with the cure."""
    X = in_numpy(X)
    values = check_array(X, accept_sparse="csc", dtype=np.float64, ensure_all_finite=False)
    limit = np.finfo("float32" if "float32" in problem else "float64").max
    if issparse(values):
        columns = np.repeat(np.arange(values.shape[1]), np.diff(values.indptr))
        columns = columns[np.abs(values.data) > limit]
    else:
        columns = np.flatnonzero((np.abs(values) > limit).any(axis=0))
    name = list(getattr(X, "columns", range(values.shape[1])))[columns[0]]
    return (
        f"{problem} Column {name!r} has it: put a number in its place, or NaN, and an Imputer of skae before the estimator; "
        "scale large numbers down."
    )


def _of_batches(X):
    """Return the cure for a list of tables, as a sentence; nothing for other X."""
    if isinstance(X, (list, tuple)) and X and getattr(X[0], "ndim", 0) == 2:
        return " Batches of rows come from an iterator, iter(X)."
    return ""


def _is_one_list(X):
    """Return whether X has one value per row: it is a list of values, or has at most one axis."""
    if isinstance(X, (list, tuple)):
        return not any(isinstance(row, (list, tuple, np.ndarray)) for row in X)
    return getattr(X, "ndim", 2) <= 1


def _not_numbers(X):
    """Return the names of the columns of a data frame that cannot be read as numbers, as a part of a sentence."""
    return f" in {_unreadable(X)}" if hasattr(X, "columns") else ""


def _unreadable(X):
    """Return the names of the columns of a data frame, or indices of those of an array, that cannot be read as numbers."""
    is_frame, found = hasattr(X, "columns"), []
    for column in X.columns if is_frame else range(X.shape[1]):
        try:
            check_array(
                X[[column]] if is_frame else X[:, [column]],
                dtype=np.float64,
                ensure_all_finite=False,
            )
        except (TypeError, ValueError):
            found.append(column)
    return found


def dtype_of_frame(X):
    """Return the dtype of a data frame as ``sources`` reads its batches: also that of nullable columns."""
    return rows_and_names(X[:0])[0].dtype  # of its columns alone


def refuse_unlike_numbers(value, name):
    """Raise if ``value`` has masked values, dates, durations or complex numbers.

    Numpy reads masked values as if they were not masked, and a missing date as the number -9.2e18.
    """
    if type(value) is np.ndarray and value.dtype.kind in "fiub":
        return
    if isinstance(value, (list, tuple)):
        refuse_masked_rows(value, name)
        with suppress(ValueError):  # of rows of different lengths, which scikit-learn refuses
            value = np.asarray(value)
    refuse_masked(value, name)
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        kinds = list(zip(value.columns, value.dtypes))
        # Most columns share one dtype object; the hash of a categorical dtype would take long.
        distinct = {id(dtype): dtype for _, dtype in kinds}.values()
        any_times = any(map(_is_time, distinct))
        found = [column for column, dtype in kinds if _is_time(dtype)] if any_times else []
        where = f" in the columns {found}"
        imaginary = [column for column, dtype in kinds if getattr(dtype, "kind", None) == "c"]
        if imaginary:
            raise ValueError(
                f"{name} has complex numbers in the columns {imaginary}: give real and imaginary part a column each."
            )
    else:
        dtype = getattr(value, "dtype", None)
        if str(dtype).rpartition(".")[2].startswith("complex"):  # also of other libraries
            raise ValueError(
                f"{name}: Complex data not supported. Give real numbers, such as the real and the imaginary parts in a column "
                "each, or the absolute values."
            )
        found, where = _is_time(dtype), ""
    if found:
        raise TypeError(
            f"{name} has dates or durations{where}, which hold no numbers to learn from. {_CURE_OF_DATES}"
        )


def refuse_masked_rows(value, name):
    """Raise ``ValueError`` if ``value`` is a list or tuple with masked values in one of its rows."""
    if isinstance(value, (list, tuple)):
        for row in value:
            refuse_masked(row, name)


def _is_time(dtype):
    """Return whether a dtype of numpy, pandas or polars is one of dates or durations."""
    if hasattr(dtype, "is_temporal"):
        return dtype.is_temporal()
    # The kind of a period is that of objects.
    return getattr(dtype, "kind", None) in ("m", "M") or str(dtype).startswith("period")


def refuse_marks(y, cure):
    """Raise if y, an array or a sparse matrix, is an indicator matrix with cells of -1, NA or None beside 0 and 1."""
    if y.ndim != 2 or y.shape[1] == 1:
        return
    values = y.data if issparse(y) else y
    if values.dtype == object:
        marked = any(map(is_missing, values.ravel()))
    else:
        marked = (values == -1).any() and np.isin(values, (-1, 0, 1)).all()
    if marked:
        raise ValueError(f"y is an indicator matrix with -1 or missing values. {cure}")


def is_continuous(y):
    """Return whether y has numbers that are no integers; missing ones are left to ``read_values`` to refuse."""
    with errors_of("y"):
        values = np.asarray(y)
    if values.ndim == 0:  # a sparse indicator matrix
        return False
    if values.dtype == object:
        known = [each for each in values.ravel() if not is_missing(each)]
        if any(isinstance(each, str) for each in known):
            return False
        with suppress(TypeError, ValueError):  # of objects that are no numbers
            values = np.asarray(known, np.float64)
    return values.dtype.kind == "f" and bool(np.any(values[np.isfinite(values)] % 1))


def is_missing(value):
    """Return whether ``value`` is None, NaN or NA of pandas: the last two do not equal themselves."""
    equal = value == value  # noqa: PLR0124
    return value is None or not isinstance(equal, (bool, np.bool_)) or not equal
