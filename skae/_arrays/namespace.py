"""Array functions for the modules above, for numpy and for any library with the Python array API."""

import math
import sys
from functools import cache

import numpy as np
from scipy.linalg import eigvalsh
from scipy.sparse import issparse

_LIBRARIES = "torch", "cupy"  # without __array_namespace__ in some versions
# Of some rows of X that are made dense: upper bound on their cells, and lower bound on the rows.
_MOST_CELLS, _FEWEST_ROWS = 2**22, 50


def is_numpy(x):
    """Return whether ``x`` is an array of numpy."""
    return isinstance(x, np.ndarray)


def is_array(x):
    """Return whether ``x`` is an array of some library; single numbers of numpy are none."""
    if isinstance(x, np.ndarray):
        return True
    if isinstance(x, np.generic):
        return False
    named = any(type(x).__module__.partition(".")[0] == each for each in _LIBRARIES)
    return named or hasattr(x, "__array_namespace__")


def torch_or_none():
    """Return PyTorch, or None if it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    return torch


def namespace(x):
    """Return the module with the array functions for ``x``."""
    return np if isinstance(x, np.ndarray) else _compat().array_namespace(x)


@cache
def _compat():
    try:
        import array_api_compat
    except ImportError as error:
        raise ImportError(
            "Arrays of another library than numpy need array-api-compat: pip install 'skae[torch]' or 'skae[cupy]'."
        ) from error
    return array_api_compat


def device(x):
    """Return the device of ``x``, an array of another library than numpy."""
    return x.device


def is_torch(x):
    """Return whether ``x`` is a tensor of torch."""
    return "torch" in sys.modules and isinstance(x, sys.modules["torch"].Tensor)


def on_cpu(prototype):
    """Return whether work on arrays like ``prototype``, or of numpy if that is None, is done by the CPU."""
    return prototype is None or str(device(prototype)) == "cpu"


def array_kind(x):
    """Return a dict key that identifies the library, device and dtype of ``x``."""
    if isinstance(x, np.ndarray):
        return x.dtype
    return namespace(x).__name__, str(device(x)), str(x.dtype)


def empty(shape, like, dtype=None):
    """Return an uninitialized array in the library and on the device of ``like``, of its dtype by default."""
    if isinstance(like, np.ndarray):
        return np.empty(shape, like.dtype if dtype is None else dtype)
    dtype = like.dtype if dtype is None else dtype
    return namespace(like).empty(shape, dtype=dtype, device=device(like))


def zeros(shape, like, dtype=None):
    """Return zeros in the library and on the device of ``like``, of its dtype by default."""
    dtype = like.dtype if dtype is None else dtype
    if isinstance(like, np.ndarray):
        return np.zeros(shape, dtype)
    return namespace(like).zeros(shape, dtype=dtype, device=device(like))


def empty_like(x):
    """Return an uninitialized array of the shape and dtype of ``x``."""
    return np.empty_like(x) if isinstance(x, np.ndarray) else namespace(x).empty_like(x)


def zeros_like(x):
    """Return zeros of the shape and dtype of ``x``."""
    return np.zeros_like(x) if isinstance(x, np.ndarray) else namespace(x).zeros_like(x)


def copy(x):
    """Return a copy."""
    return x.copy() if isinstance(x, np.ndarray) else namespace(x).asarray(x, copy=True)


def dense(rows):
    """Return rows of any library, or of a sparse matrix, as an array."""
    return rows.toarray() if issparse(rows) else rows


def spread_indices(n, most):
    """Return the slice of all ``n`` indices, or ``most`` of them in order: one drawn from each of ``most`` equal parts.

    Indices at equal distances could be rows of one kind only, where kinds take turns.
    """
    if n <= most:
        return slice(None)
    bounds = np.arange(most + 1) * n // most
    return np.random.default_rng(0).integers(bounds[:-1], bounds[1:])


def some_rows(X, most):
    """Return at most ``most`` rows from all parts of X, dense: the order of rows may be that of classes, or of time.

    Of thousands of columns there are fewer rows.
    """
    return some_weighted_rows(X, None, most)[0]


def some_weighted_rows(X, weights, most):
    """Return the rows of :func:`some_rows`, and their weights; None if ``weights`` is None."""
    most = min(most, max(_FEWEST_ROWS, _MOST_CELLS // max(math.prod(X.shape[1:]), 1)))
    places = spread_indices(X.shape[0], most)
    return _dense_rows(X, places), None if weights is None else weights[places]


def _dense_rows(X, places):
    if is_array(X) and not is_numpy(X):
        return X if isinstance(places, slice) else namespace(X).take(X, like(places, X), axis=0)
    return np.ascontiguousarray(dense(X[places]))  # as kernels are compiled for


def size(x):
    """Return the number of elements."""
    return x.size if isinstance(x, np.ndarray) else math.prod(x.shape)


def dtype_name(x):
    """Return the name of the dtype of ``x``, such as 'float32'."""
    return str(x.dtype).rpartition(".")[2]


def cast(x, dtype):
    """Return ``x`` in another dtype."""
    # The numpy function exists only since 2.1.
    return x.astype(dtype) if isinstance(x, np.ndarray) else namespace(x).astype(x, dtype)


def precision_of(x):
    """Return the difference between 1 and the next larger number in the dtype of ``x``, as a float."""
    return float(namespace(x).finfo(x.dtype).eps)


def zero_if_tiny(x):
    """Return x, with 0 for numbers whose products with rounding errors would be subnormal.

    With those, processors compute up to a hundred times more slowly.
    """
    xp = namespace(x)
    limits = xp.finfo(x.dtype)
    return xp.where(xp.abs(x) < limits.smallest_normal / limits.eps, xp.zeros_like(x), x)


def scalar(value, like):
    """Return a scalar that preserves the dtype of arrays like ``like``."""
    if isinstance(like, np.ndarray):
        return like.dtype.type(value)
    return float(value) if np.isscalar(value) else value


def take(x, indices, out):
    """Fill ``out`` with rows of ``x``."""
    if isinstance(x, np.ndarray):
        # mode="clip", since numpy uses a second buffer with the default.
        np.take(x, indices, axis=0, out=out, mode="clip")
    elif hasattr(namespace(x), "index_select"):
        namespace(x).index_select(x, 0, indices, out=out)
    else:
        out[...] = namespace(x).take(x, indices, axis=0)


def multiply_into(a, b, out):
    """Fill ``out`` with the elementwise product."""
    if isinstance(a, np.ndarray):
        np.multiply(a, b, out=out)
    else:
        out[...] = a * b


def take_one(x, place):
    """Return the element or row of ``x`` at ``place``, an array of one integer."""
    return namespace(x).take(x, place, axis=0)[0, ...]


def joined(arrays):
    """Return vectors of equal length, of a library other than numpy, as the rows of a matrix."""
    return namespace(arrays[0]).stack(arrays)


def dot(a, b):
    """Return the inner product of two vectors: a float for numpy, else an array, without waiting for the device."""
    if isinstance(a, np.ndarray):
        return float(np.dot(a, b))
    return namespace(a).sum(a * b)


def total(x):
    """Return the sum of all elements: a float for numpy, else an array, without waiting for the device."""
    value = namespace(x).sum(x)
    return float(value) if isinstance(x, np.ndarray) else value


def row_products(a, b, dtype=None):
    """Return the inner products of the rows of two matrices, computed in the numpy ``dtype`` if it is given."""
    if isinstance(a, np.ndarray):
        return np.einsum("ij,ij->i", a, b, dtype=dtype)
    xp = namespace(a)
    if dtype is not None:
        a, b = (xp.astype(each, getattr(xp, np.dtype(dtype).name)) for each in (a, b))
    return xp.sum(a * b, axis=1)


def row_norms(x):
    """Return the norms of the rows of a matrix."""
    if isinstance(x, np.ndarray):
        return np.linalg.norm(x, axis=1)
    return namespace(x).sqrt(row_products(x, x))


def chosen(mask):
    """Return an index of the elements or rows in a ``mask`` (positions in numpy), and their number."""
    if isinstance(mask, np.ndarray):
        places = np.flatnonzero(mask)
        return places, len(places)
    xp = namespace(mask)
    return mask, int(xp.sum(xp.astype(mask, xp.int64)))


def largest_eigenvalue(matrix):
    """Return the largest eigenvalue of a symmetric matrix, as a float."""
    if isinstance(matrix, np.ndarray):
        last = len(matrix) - 1
        return float(eigvalsh(matrix, subset_by_index=(last, last))[0])
    return float(namespace(matrix).linalg.eigvalsh(matrix)[-1])


def sum_rows(x, out):
    """Fill ``out`` with the sums of the columns of ``x``."""
    if isinstance(x, np.ndarray):
        np.sum(x, axis=0, out=out)
    else:
        out[...] = namespace(x).sum(x, axis=0)


def all_finite(x):
    """Return whether there is neither NaN nor infinity."""
    xp = namespace(x)
    return bool(xp.all(xp.isfinite(x)))


def reshape(x, shape):
    """Return the elements of ``x`` in another shape."""
    return namespace(x).reshape(x, shape)


def n_values(shapes):
    """Return how many values arrays of these ``shapes`` have together."""
    return sum(map(math.prod, shapes))


def split_flat(flat, shapes):
    """Return views of the vector ``flat``: arrays of these ``shapes``, one after the other."""
    xp, views, start = namespace(flat), [], 0
    for shape in shapes:
        stop = start + math.prod(shape)
        views.append(xp.reshape(flat[start:stop], shape))
        start = stop
    return views


def in_rows(x):
    """Return ``x`` in row-major order, if the library has memory orders."""
    if isinstance(x, np.ndarray):
        return np.ascontiguousarray(x)
    return x.contiguous() if hasattr(x, "contiguous") else namespace(x).asarray(x, copy=True)


def free_memory(x):
    """Return the number of free bytes on the device of ``x``; infinity if unknown."""
    if getattr(x, "is_cuda", False):
        return torch_or_none().cuda.mem_get_info(x.device)[0]
    return math.inf


def to_numpy(x):
    """Return ``x`` as an array of numpy, on the CPU."""
    if isinstance(x, np.ndarray):
        return x
    if is_torch(x):  # without array-api-compat, too
        x = x.detach().cpu()
        # numpy has no bfloat16, whose numbers float32 has.
        return (x.float() if dtype_name(x) == "bfloat16" else x).numpy()
    compat = _compat()
    if compat.is_cupy_array(x):
        return x.get()
    if compat.is_array_api_strict_namespace(namespace(x)):
        x = compat.to_device(x, namespace(x).Device("CPU_DEVICE"))
    return np.array(np.from_dlpack(x))


def detached(x):
    """Return ``x``; a tensor of torch without its gradient, since results are written in place."""
    return x.detach() if is_torch(x) else x


def in_numpy(x):
    """Return an array of any library as a numpy array; return everything else as it is."""
    return to_numpy(x) if is_array(x) else x


def host_copy(x):
    """Return a copy of ``x`` as an array of numpy."""
    return to_numpy(x).copy()


def like(x, other):
    """Return ``x``, an array of numpy or None, in the library and on the device of ``other``, with the same dtype."""
    if x is None or isinstance(other, np.ndarray) or not isinstance(x, np.ndarray):
        return x
    x = np.ascontiguousarray(x)
    # Not every library accepts read-only arrays.
    x = x if x.flags.writeable else x.copy()
    return namespace(other).asarray(x, device=device(other), copy=True)


def like_in_dtype(x, other):
    """Return the array ``x`` of numpy in the library, on the device and in the dtype of ``other``."""
    if isinstance(other, np.ndarray):
        return x.astype(other.dtype, copy=False)
    return like(x.astype(dtype_name(other), copy=False), other)


class Constant:
    """A constant array of numpy, with copies in other libraries and on devices, each made once."""

    def __init__(self, array):
        self.array, self._copies = array, {}

    def like(self, other):
        """Return the array in the library and on the device of ``other``."""
        if isinstance(other, np.ndarray):
            return self.array
        key = array_kind(other)[:2]
        if key not in self._copies:
            self._copies[key] = like(self.array, other)
        return self._copies[key]

    def __getstate__(self):
        return {"array": self.array, "_copies": {}}
