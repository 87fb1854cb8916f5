"""Lazy results of a fitted model on arrays and data frames of Dask."""

import numpy as np

from .._arrays.namespace import dense


def is_dask(X):
    """Return whether X is a collection of Dask."""
    if type(X).__module__.partition(".")[0] not in ("dask", "dask_expr"):
        return False
    from dask import is_dask_collection

    return is_dask_collection(X)


def computed(values):
    """Return y or weights, as an array in memory if they are a collection of Dask."""
    return np.asarray(values.compute()) if is_dask(values) else values


def lazy(model, method, X):
    """Return the result of a method of a fitted model, as an array of Dask with one part for each part of X."""
    from dask import array, delayed

    if not isinstance(X, array.Array):
        meta = _result_of_a_row(model, method, X.head(1, npartitions=-1, compute=False).compute())
        shape, of_part = (np.nan, *meta.shape[1:]), delayed(_apply)
        model = delayed(model)
        parts = [
            array.from_delayed(of_part(part, model, method, meta[:0]), shape, meta.dtype)
            for part in X.to_delayed()
        ]
        return array.concatenate(parts)
    if X.ndim != 2:
        raise ValueError(
            f"X must have a row for each sample, with its columns; got shape {X.shape}."
        )
    rows = X.rechunk({1: -1})
    meta = _result_of_a_row(model, method, np.zeros((1, X.shape[1]), X.dtype))
    like = {"dtype": meta.dtype, "meta": meta[:0]}
    like |= {"drop_axis": 1} if meta.ndim == 1 else {"chunks": (rows.chunks[0], meta.shape[1:])}
    return rows.map_blocks(_apply, model, method, meta[:0], **like)


def _apply(rows, model, method, nothing):
    """Return the results of ``rows``, or ``nothing`` if there are no rows, for example after a filter."""
    return getattr(model, method)(rows) if len(rows) else nothing


def _result_of_a_row(model, method, row):
    """Return the result of one row, which shows the width and dtype of results."""
    return np.asarray(dense(getattr(model, method)(row)))
