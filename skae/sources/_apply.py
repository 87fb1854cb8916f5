"""Results of a fitted model on rows that are not in memory."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from sklearn import config_context

from .._compat import _safe_indexing
from .._typing import ArrayLike, MatrixLike, PathLike
from ._gather import Checks, _named
from ._overlap import Later
from ._parts import Part, Sliceable, parts_of, slices_of


def apply(
    model: Any, X: MatrixLike, out: ArrayLike | PathLike | None = None, *, method: str = "transform"
) -> Any:
    """Return the result of a method of a fitted model on X, or write it to ``out``, part by part.

    Neither X nor the result needs to fit into memory. The model may be any estimator of scikit-learn, such as a
    pipeline.

    Parameters
    ----------
    model : estimator
        Fitted estimator.
    X : array-like, or rows that are elsewhere
        See :func:`gather`. Arrays, matrices and data frames are cut into parts of 16 MB if ``out`` is given.
    out : array-like or path-like, default=None
        Destination of the result: an array that takes slices, such as a memory map, or a dataset of h5py or zarr; or a
        folder, which gets a file for each part, ``part-00000.npy``, or ``part-00000.npz`` for sparse results. If None,
        the result is returned.
    method : str, default='transform'
        Name of the method, such as ``'predict'``, ``'predict_proba'`` or ``'score_samples'``, which returns an array or
        a sparse matrix with a row for each one of X.

    Returns
    -------
    out : array-like
        ``out``, or the concatenated results of all parts.

    Raises
    ------
    ValueError
        If ``out`` has a different number of rows than X, rows of another shape than the result, or a dtype that would
        change it; if it is read-only; if it is in the memory, or in the file of a memory map, of rows of X that are
        still to be read; or if it is a folder that has parts already.
    TypeError
        If ``model`` has no such method, the method fits it or returns no row for each one of X, or ``out`` does not
        take slices.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import AutoEncoder
    >>> from skae.sources import apply
    >>> X = np.random.default_rng(0).random((60, 5))
    >>> model = AutoEncoder(2, max_iter=2, random_state=0).fit(X)
    >>> codes = np.empty((60, 2))
    >>> apply(model, iter(np.split(X, 6)), codes) is codes
    True
    >>> bool(np.allclose(codes, model.transform(X)))
    True
    """
    run, is_folder = _method_of(model, method), isinstance(out, (str, bytes, os.PathLike))
    if not (out is None or is_folder or (isinstance(out, Sliceable) and len(out.shape))):
        raise TypeError(f"out must be an array that takes slices, or a folder; got {out!r}.")
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise ValueError(
            "out is read-only: give an array that can be written, such as a memory map of mode 'r+'."
        )
    parts = parts_of(X)
    folder = Path(os.fsdecode(out)) if is_folder else None
    if is_folder and any(folder.glob("part-*.np?")):
        raise ValueError(f"out={str(folder)!r} has parts already: choose a new or an empty folder.")
    checked, results, start = Checks(allow_nan=True, kept=[np.uint8]), [], 0
    later = Later(X, None if is_folder else out)
    for number, part in enumerate(_pieces(X, out is not None) if parts is None else parts):
        later.refuse_part(number, part.rows, start)
        rows = part.rows if parts is None else _named(checked(part), part.names)
        with config_context(transform_output="default"):  # sparse results are no data frames
            result = _checked(run(rows), rows, method)
        stop = start + result.shape[0]
        if out is None:
            # A copy: it may be the rows themselves, in an array that the next batch fills anew.
            results.append(result if parts is None else _copied(result))
        elif is_folder:
            _save(result, folder, number)
        elif stop > out.shape[0]:
            raise ValueError(
                f"out has {out.shape[0]} rows, and X has more: its part {number}, counted from 0, ends at {stop}."
            )
        else:
            later.refuse(start, stop)
            out[start:stop] = _held(result, out, method)
        start = stop
    if parts is not None:
        checked.finish()
    if out is None:
        return _joined(results)
    if not is_folder and start < out.shape[0]:
        raise ValueError(f"out has {out.shape[0]} rows, and X only {start}, which are written.")
    return out


def _method_of(model, method):
    """Return a method of ``model``; raise TypeError if it has none of that name."""
    run = getattr(model, method, None) if isinstance(method, str) else None
    if isinstance(model, type) or not callable(run):
        raise TypeError(
            f"model must be a fitted estimator that has the method {method!r}; got {model!r}."
        )
    if method.startswith(("fit", "partial_fit")):
        raise TypeError(
            f"method={method!r} would fit the model to each part alone: fit it before, and give the name of another method."
        )
    return run


def _checked(result, rows, method):
    """Return the ``result`` of a method; raise TypeError unless it has a row for each of ``rows``."""
    n_rows = rows.shape[0] if hasattr(rows, "shape") else len(rows)
    if not hasattr(result, "shape") or tuple(result.shape[:1]) != (n_rows,):
        raise TypeError(
            f"method={method!r} returns no array with a row for each one of X, but {type(result).__name__}: give the "
            "name of one that does, such as 'transform' or 'predict'."
        )
    return result


def _held(result, out, method):
    """Return ``result`` as an array; raise if rows of ``out`` have another shape, or a dtype that would change it."""
    values = result.toarray() if scipy.sparse.issparse(result) else np.asarray(result)
    if tuple(out.shape[1:]) != values.shape[1:]:
        raise ValueError(
            f"out has rows of shape {tuple(out.shape[1:])}, and the results of {method!r} of {values.shape[1:]}."
        )
    if _is_changed_by(values, out.dtype):
        raise ValueError(
            f"out has the dtype {out.dtype}, which would change results of {method!r}: give one of {values.dtype}."
        )
    return values


def _copied(result):
    return result.copy() if scipy.sparse.issparse(result) else np.array(result)


def _is_changed_by(values, dtype):
    """Return whether a dtype other than one of floats changes ``values``, or a smaller one of floats makes them infinite."""
    try:
        dtype = np.dtype(dtype)
    except TypeError:  # of another library than numpy
        return False
    if dtype in (values.dtype, object):
        return False
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            kept = values.astype(dtype)
    except (TypeError, ValueError):  # text as numbers
        return True
    if dtype.kind == "f" and values.dtype.kind in "fiub":
        return bool((np.isfinite(values) & ~np.isfinite(kept)).any())
    return not np.array_equal(kept, values)


def _pieces(X, cut):
    """Yield the parts of rows that are in memory, or in a memory-mapped file.

    Unless ``cut``, there is one part with all rows.
    """
    shape = getattr(X, "shape", (0,))
    if not cut or not shape[0]:
        yield Part(X)
        return
    X = X.tocsr() if scipy.sparse.issparse(X) else X
    for rows in slices_of(shape):
        yield Part(_safe_indexing(X, rows))


def _save(result, folder, number):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"part-{number:05d}"
    if scipy.sparse.issparse(result):
        scipy.sparse.save_npz(f"{path}.npz", result, compressed=False)
    else:
        np.save(f"{path}.npy", result)


def _joined(results):
    if scipy.sparse.issparse(results[0]):
        return scipy.sparse.vstack(results, format="csr")
    return np.concatenate(results)
