"""Results of a fitted model on rows that are not in memory."""

from typing import Any

import numpy as np
import scipy.sparse
from sklearn import config_context

from .._compat import _safe_indexing
from .._typing import ArrayLike, MatrixLike, PathLike
from ._gather import Checks, with_names
from ._parts import parts_of, slices_of
from ._targets import target_of


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
    run, parts = _method_of(model, method), parts_of(X)
    target = target_of(out, X, method, copies=parts is not None)
    pieces = _pieces(X, cut=out is not None) if parts is None else _checked_parts(parts)
    for number, (read, rows) in enumerate(pieces):
        with config_context(transform_output="default"):  # sparse results are no data frames
            result = _checked_result(run(rows), rows, method)
        target.write(number, read, result)
    return target.finish()


def _pieces(X, cut):
    """Yield rows that are in memory, or in a memory-mapped file, as they are read and as the model gets them.

    Unless ``cut``, there is one piece with all rows.
    """
    shape = getattr(X, "shape", (0,))
    if not cut or not shape[0]:
        yield X, X
        return
    X = X.tocsr() if scipy.sparse.issparse(X) else X
    for rows in slices_of(shape):
        piece = _safe_indexing(X, rows)
        yield piece, piece


def _checked_parts(parts):
    """Yield the rows of each ``Part`` as they are read and as the model gets them."""
    checked = Checks(allow_nan=True, kept=[np.uint8])
    for part in parts:
        yield part.rows, with_names(checked(part), part.names)
    checked.finish()


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


def _checked_result(result, rows, method):
    """Return the ``result`` of a method; raise TypeError unless it has a row for each of ``rows``."""
    n_rows = rows.shape[0] if hasattr(rows, "shape") else len(rows)
    if not hasattr(result, "shape") or tuple(result.shape[:1]) != (n_rows,):
        raise TypeError(
            f"method={method!r} returns no array with a row for each one of X, but {type(result).__name__}: give the "
            "name of one that does, such as 'transform' or 'predict'."
        )
    return result
