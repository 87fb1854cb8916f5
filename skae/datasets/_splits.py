"""Published splits into training, validation and test rows."""

from typing import Literal

import numpy as np
from sklearn.utils import indexable

from .._compat import _safe_indexing
from .._typing import ArrayLike, Bunch, MatrixLike

SIZES = {
    "rect": (1_000, 200),
    "convex": (6_000, 2_000),
    **dict.fromkeys(
        ("basic", "rot", "bg-rand", "bg-img", "bg-img-rot", "rect-img"), (10_000, 2_000)
    ),
}


def published_split(
    X: MatrixLike,
    y: ArrayLike,
    name: Literal["basic", "rot", "bg-rand", "bg-img", "bg-img-rot", "rect", "rect-img", "convex"],
) -> Bunch:
    """Split a data set of Larochelle et al. (2007) as they did.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Samples.
    y : array-like of shape (n_samples,)
        Labels.
    name : {'basic', 'rot', 'bg-rand', 'bg-img', 'bg-img-rot', 'rect', 'rect-img', 'convex'}
        Name of the data set: ``'rect'`` has 1,000 rows for training and 200 for validation, ``'convex'`` 6,000 and
        2,000, and the others 10,000 and 2,000.

    Returns
    -------
    parts : Bunch
        ``train``, ``validation`` and ``test``, each a pair of X and y, which are views if X and y are arrays. The test
        part has all remaining rows, 50,000 of the published sizes.

    Raises
    ------
    ValueError
        If ``name`` is unknown, there are too few rows, or X and y differ in their number of rows.

    Examples
    --------
    >>> from skae.datasets import make_rectangles, published_split
    >>> parts = published_split(*make_rectangles(2000, random_state=0), "rect")
    >>> [len(y) for _, y in parts.values()]
    [1000, 200, 800]
    """
    if not (isinstance(name, str) and name in SIZES):
        raise ValueError(f"name must be one of {sorted(SIZES)}; got {name!r}.")
    for data in (X, y):
        if not (hasattr(data, "shape") or hasattr(data, "__len__")) or np.ndim(data) == 0:
            raise ValueError(f"X and y must be arrays with a row for each sample; got {data!r}.")
    X, y = indexable(X, y)
    n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
    n_train, n_validation = SIZES[name]
    if n_samples <= n_train + n_validation:
        raise ValueError(
            f"name={name!r} has {n_train} rows for training and {n_validation} for validation; X has {n_samples} in all."
        )
    ends = (0, n_train, n_train + n_validation, n_samples)
    slices = map(slice, ends[:-1], ends[1:])
    return Bunch(
        **{
            part: (_safe_indexing(X, rows), _safe_indexing(y, rows))
            for part, rows in zip(("train", "validation", "test"), slices)
        }
    )
