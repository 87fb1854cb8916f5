"""Matrix products, optionally with less precision than the arrays: factors rounded to bfloat16, sums in float32."""

import threading
from contextlib import contextmanager, nullcontext
from functools import cache

import numpy as np

from .._kernels import bfloat16
from .._kernels.thin import add_sums, has_wide_registers, products, row_products
from .._kernels.tiles import compiles_for
from .namespace import dtype_name, namespace, torch_or_none

_FEW = 64  # rows of a product, or terms of its sums
# Elements of a matrix; products with smaller than huge ones are not worth a compilation.
_LARGE, _HUGE = 2**14, 2**18


class _Local(threading.local):
    reduced = False


_local = _Local()


@contextmanager
def precision(name, shared=False, prototype=None):
    """Set the precision of float32 products in this thread, 'float32' or 'bfloat16'; within 'bfloat16' that stays.

    ``shared`` says whether products are cut into parts among threads, each of which may then call torch. A
    ``prototype`` is an array of torch, or None for numpy.
    """
    before, _local.reduced = _local.reduced, _local.reduced or name == "bfloat16"
    by_torch = _local.reduced and (prototype is not None or reduced_on_cpu() == "torch")
    try:
        with _torch_in_bfloat16(shared) if by_torch else nullcontext():
            yield
    finally:
        _local.reduced = before


@contextmanager
def _torch_in_bfloat16(shared):
    """Let torch multiply float32 matrices on the CPU in bfloat16, in all threads."""
    import torch

    before, n_threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_float32_matmul_precision("medium")
    if shared:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        if shared:
            torch.set_num_threads(n_threads)


@cache
def reduced_on_cpu():
    """Return what multiplies float32 matrices in bfloat16 on this CPU: 'torch', 'numba' or None.

    By AMX, which only torch uses, they are faster.
    """
    by_numba = "numba" if bfloat16.has_products() else None
    if by_numba and not compiles_for("amx-bf16"):
        return by_numba
    return "torch" if torch_or_none() is not None and _torch_rounds() else by_numba


def _torch_rounds():
    import torch

    with _torch_in_bfloat16(False):
        a = torch.full((64, 64), 1 + 2**-10)
        return bool(torch.all(a @ a == 64))  # exactly, if 1 + 2**-10 is rounded to 1


def multiplier(out, n_terms=None):
    """Return a function ``multiply(a, b, out)`` that fills an array like ``out`` with a b, in any thread.

    For a huge array of ``n_terms`` terms it may be ``few_terms``, which needs contiguous rows of ``b`` and ``out``.
    """
    reduced = _local.reduced and dtype_name(out) == "float32"
    if not isinstance(out, np.ndarray):
        return _reduced if reduced else _multiply
    if reduced and reduced_on_cpu():
        return _reduced_numpy if reduced_on_cpu() == "torch" else bfloat16.products
    if out.itemsize != 4:
        return np.matmul
    if n_terms and n_terms <= _FEW and out.size >= _HUGE and has_wide_registers():
        return few_terms
    return _few_rows if out.shape[0] <= _FEW else np.matmul


def few_terms(a, b, out, factors=None, weights=None, scale=None):
    """out_i <- (a b)_i + factors_i weights_i; with ``scale``, that times ``scale`` is added to ``out``.

    ``factors`` may be None for 0, and ``weights`` None for ``out``.
    """
    add_sums(a, b, factors, weights, scale, out)


def _few_rows(a, b, out):
    """Fill a float32 array of few rows."""
    is_transposed = b.strides[0] < b.strides[1]
    if b.size >= _HUGE and _suits_tiles(a, b, out):
        if is_transposed:
            row_products(a, b.T, out)
        else:
            products(a, b, out)
    elif b.size >= _LARGE and is_transposed:
        # BLAS takes down to half the time if the large matrix is the first factor.
        out[...] = np.matmul(b.T, a.T).T
    else:
        np.matmul(a, b, out)


def _suits_tiles(a, b, out):
    """Return whether the rows that kernels of tiles read and write at once are contiguous; BLAS is as fast for one row."""
    adjacent = (a, b.T) if b.strides[0] < b.strides[1] else (b, out)
    return (
        out.shape[0] > 1
        and a.dtype == b.dtype == out.dtype
        and all(each.strides[1] == each.itemsize for each in adjacent)
        and has_wide_registers()
    )


def _multiply(a, b, out):
    """Fill ``out``, an array of another library than numpy."""
    if hasattr(out, "__cuda_array_interface__") or hasattr(out, "untyped_storage"):
        namespace(out).matmul(a, b, out=out)
    else:
        out[...] = namespace(out).matmul(a, b)


def _reduced(a, b, out):
    """Fill a tensor of torch."""
    import torch

    if out.is_cuda:
        out[...] = torch.mm(a.bfloat16(), b.bfloat16(), out_dtype=torch.float32)
    elif reduced_on_cpu() == "numba":
        bfloat16.products(*(each.numpy() for each in (a, b, out)))
    else:
        torch.matmul(a, b, out=out)


def _reduced_numpy(a, b, out):
    """Fill an array of numpy, by torch."""
    import torch

    torch.get_num_threads()  # a new thread adopts its thread limit only at this call
    factors = [each if each.flags.writeable else each.copy() for each in (a, b)]
    torch.matmul(*map(torch.from_numpy, factors), out=torch.from_numpy(out))
