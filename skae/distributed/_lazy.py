"""Lazy results of a fitted model on arrays and data frames of Dask."""

import numpy as np
import scipy.sparse
from sklearn import config_context


def is_dask(X):
    """Return whether X is a collection of Dask."""
    if type(X).__module__.partition(".")[0] not in ("dask", "dask_expr"):
        return False
    from dask import is_dask_collection

    return is_dask_collection(X)


def computed(values):
    """Return y or weights, as an array in memory if they are a collection of Dask."""
    return np.asanyarray(values.compute()) if is_dask(values) else values  # with its mask


def lazy(model, method, X):
    """Return the result of a method of a fitted model, as an array of Dask with one part for each part of X.

    Raises
    ------
    TypeError
        If X is neither an array nor a data frame.
    ValueError
        If X is an array that has no columns, or that the method refuses.
    """
    from dask import array, delayed

    if not isinstance(X, array.Array):
        if type(X).__name__ != "DataFrame":
            raise TypeError(
                f"X is of the type {type(X).__name__} of Dask: give an array with a row for each sample, or a data frame."
            )
        row = X.head(1, npartitions=-1, compute=False).compute()
        nothing = _result(model, method, row)[:0]
        shape, of_part = (np.nan, *nothing.shape[1:]), delayed(_apply)
        model = delayed(model)
        parts = [
            array.from_delayed(of_part(part, model, method, nothing), shape, meta=nothing)
            for part in X.to_delayed()
        ]
        return array.concatenate(parts)
    if X.ndim < 2:
        raise ValueError(
            f"X must have a row for each sample, with its columns; got shape {X.shape}."
        )
    others = range(1, X.ndim)  # of one axis, or two or three of images
    rows = X.rechunk(dict.fromkeys(others, -1))
    nothing = _result(model, method, np.zeros((1, *X.shape[1:]), X.dtype))[:0]
    like = {"dtype": nothing.dtype, "meta": nothing, "drop_axis": [*others][nothing.ndim - 1 :]}
    if nothing.ndim == 2:
        like |= {"chunks": (rows.chunks[0], nothing.shape[1:])}
    return rows.map_blocks(_apply, model, method, nothing, **like)


def _apply(rows, model, method, nothing):
    """Return the results of ``rows``, or ``nothing`` if there are no rows, for example after a filter."""
    return _result(model, method, rows) if rows.shape[0] else nothing


def _result(model, method, rows):
    """Return the result of a method, as an array or a sparse matrix whatever ``set_output`` asks for."""
    with config_context(transform_output="default"):
        result = getattr(model, method)(rows)
    return result if scipy.sparse.issparse(result) else np.asarray(result)
