"""Lazy results of a fitted model on arrays and data frames of Dask."""

from collections.abc import Callable
from functools import partial
from typing import Any

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
    """Return the result of a method of a fitted model, as an array of Dask with one part for each part of X."""
    return by_partition(partial(_call, model, method), X)


def _call(model, method, rows):
    """Return the result of a method of ``model``."""
    return getattr(model, method)(rows)


def by_partition(function: Callable[[Any], Any], X: Any) -> Any:
    """Return the results of a function of rows as a lazy Dask array, with one part for each partition of X.

    For what is no method of a model, such as tangents or Parzen densities. It needs no cluster.

    Parameters
    ----------
    function : callable
        ``function(rows)`` returns an array, or a sparse matrix, with an entry for each of the rows, which are an array
        or a data frame. It is called with two rows first, zeros if X is an array, to learn the shape of an entry.
    X : dask.array.Array or dask.dataframe.DataFrame
        Samples.

    Returns
    -------
    results : dask.array.Array
        With an entry for each row of X.

    Raises
    ------
    TypeError
        If X is neither an array nor a data frame of Dask, or the function returns no entry for each row.
    ValueError
        If X is an array that has no columns, or that the function refuses.

    Examples
    --------
    >>> import numpy as np
    >>> from dask import array
    >>> from skae import ContractiveAE
    >>> from skae.distributed import by_partition
    >>> from skae.manifold import tangent_basis
    >>> X = np.random.default_rng(0).random((60, 5))
    >>> model = ContractiveAE(3, max_iter=2, random_state=0).fit(X)
    >>> rows = array.from_array(X, chunks=(20, 5))
    >>> tangents = by_partition(lambda rows: tangent_basis(model, rows, 2).basis, rows)
    >>> tangents.shape, tangents.numblocks
    ((60, 2, 5), (3, 1, 1))
    """
    if not is_dask(X):
        raise TypeError(
            f"X must be an array or a data frame of Dask; got {type(X).__name__}: call the function itself."
        )
    from dask import array, delayed

    if not isinstance(X, array.Array):
        if type(X).__name__ != "DataFrame":
            raise TypeError(
                f"X is of the type {type(X).__name__} of Dask: give an array with a row for each sample, or a data frame."
            )
        some = X.head(2, npartitions=-1, compute=False).compute()
        nothing = _result(function, some)[:0]
        shape, of_part = (np.nan, *nothing.shape[1:]), delayed(_apply)
        function = delayed(function)
        parts = [
            array.from_delayed(of_part(part, function, nothing), shape, meta=nothing)
            for part in X.to_delayed()
        ]
        return array.concatenate(parts)
    if X.ndim < 2:
        raise ValueError(
            f"X must have a row for each sample, with its columns; got shape {X.shape}."
        )
    others = range(1, X.ndim)  # of one axis, or two or three of images
    rows = X.rechunk(dict.fromkeys(others, -1))
    nothing = _result(function, np.zeros((2, *X.shape[1:]), X.dtype))[:0]
    return rows.map_blocks(
        _apply,
        function,
        nothing,
        dtype=nothing.dtype,
        meta=nothing,
        drop_axis=[*others],
        new_axis=[*range(1, nothing.ndim)],
        chunks=(rows.chunks[0], *nothing.shape[1:]),
    )


def _apply(rows, function, nothing):
    """Return the results of ``rows``, or ``nothing`` if there are no rows, for example after a filter."""
    return _result(function, rows) if rows.shape[0] else nothing


def _result(function, rows):
    """Return the results of ``rows``, as an array or a sparse matrix whatever ``set_output`` asks for."""
    with config_context(transform_output="default"):
        result = function(rows)
    if getattr(result, "shape", ())[:1] != rows.shape[:1]:
        raise TypeError(
            "function must return an array with an entry for each row of X; of "
            f"{rows.shape[0]} rows it returned {type(result).__name__}."
        )
    return result if scipy.sparse.issparse(result) else np.asarray(result)
