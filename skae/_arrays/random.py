"""Randomness as a hash of (row key, column key): see :mod:`skae._kernels.random`.

Keys are 32-bit integers, stored here in int64.
"""

import numpy as np

from .._kernels import random as compiled
from .choice import portable
from .namespace import dtype_name, like, namespace, to_numpy

_MASK = 0xFFFFFFFF


class Drawn:
    """Random numbers drawn in advance, in an int64 vector on a device, in the order of their use."""

    def __init__(self, values):
        self._values, self._place = values, 0

    def take(self, n):
        """Return the next ``n`` numbers."""
        self._place += n
        return self._values[self._place - n : self._place]


def mix(x):
    """Return scrambled 32 bits."""
    x = x ^ (x >> 16)
    x = (x * 0x85EBCA6B) & _MASK
    x = x ^ (x >> 13)
    x = (x * 0xC2B2AE35) & _MASK
    return x ^ (x >> 16)


def column_keys(n_columns):
    """Return a scrambled integer for each column, as an array of numpy."""
    return mix((np.arange(1, n_columns + 1, dtype=np.int64) * 0x9E3779B9) & _MASK)


def draw(rows, columns):
    """Return 32 uniform bits for each cell."""
    return mix((rows[:, None] + columns[None, :]) & _MASK)


def words(X):
    """Return the bits of the rounded cells of ``X``, in int64."""
    xp = namespace(X)
    return _bits(xp.astype(X, xp.float32) + float(compiled.grid(X.shape[1]))) & _MASK


def _bits(x):
    """Return the bits of float32 numbers, in int64."""
    xp = namespace(x)
    return xp.astype(_viewed(x, "int32"), xp.int64)


def _viewed(x, dtype):
    """Return an array of this dtype whose numbers have the bits of those of ``x``."""
    if hasattr(x, "view"):
        return x.view(getattr(namespace(x), dtype))
    # The array API has no function for it.
    return like(to_numpy(x).view(dtype), x)


def row_keys(bits, columns, seed):
    """Return a hash of ``seed``, an integer or an int64 array, and of each row of ``bits``."""
    xp = namespace(bits)
    salt = mix((mix(seed & _MASK) + (seed >> 32)) & _MASK)
    total = xp.sum(bits * columns, axis=1, dtype=xp.int64)
    folded = ((total >> 32) & _MASK) ^ mix(total & _MASK)
    return separate(mix((mix(folded) + salt) & _MASK))


def separate(keys):
    """Return the keys with repeated ones replaced: the second of equal keys differs from the third, and so on."""
    xp, n = namespace(keys), keys.shape[0]
    order = xp.argsort(keys, stable=True)
    in_order = xp.take(keys, order, axis=0)
    numbers = xp.arange(n, dtype=xp.int64, device=keys.device)
    counts = numbers - xp.astype(xp.searchsorted(in_order, in_order), xp.int64)
    counts = xp.take(counts, xp.argsort(order, stable=True), axis=0)
    return xp.where(counts > 0, mix(keys ^ mix(counts)), keys)


def _polynomial(coefficients, x):
    value = float(coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + float(coefficient)
    return value


def _log(x):
    """Return log x of positive float32 numbers: the kernel's operations, one after the other, give its bits."""
    xp, bits = namespace(x), _bits(x)
    exponent = (bits - int(compiled.HALF_ROOT)) >> 23
    mantissa = _viewed(xp.astype(bits - (exponent << 23), xp.int32), "float32")
    s = (mantissa - 1) / (mantissa + 1)
    log = s * _polynomial(compiled.LOG, s * s)
    return xp.astype(exponent, xp.float32) * float(compiled.LOG_2) + log


def normal(bits):
    """Return the standard normal quantile (float32) of 32 uniform bits: the same numbers as those of the kernel."""
    xp = namespace(bits)
    upper = bits > 0x7FFFFFFF
    low = xp.where(upper, _MASK - bits, bits)
    q = xp.astype(low, xp.float32) * 2.0**-31 + 2.0**-32
    w = -_log(q * (2 - q))
    near = _polynomial(compiled.NEAR, w - 2.5)
    # That of float32 is not the nearest number in torch.
    root = xp.sqrt(xp.astype(xp.maximum(w, xp.zeros_like(w)), xp.float64))
    far = _polynomial(compiled.FAR, xp.astype(root, xp.float32) - 3)
    magnitude = (1 - q) * xp.where(w < 5, near, far)
    return xp.where(upper, magnitude, -magnitude)


def uniform(rows, columns):
    """Return a uniform number of [0, 1) for each cell, in float32."""
    bits = draw(rows, columns)
    return namespace(bits).astype(bits >> 8, namespace(bits).float32) * 2.0**-24


@portable(compiled.signs, at=2)
def signs(rows, columns, out, k):
    """out_ik <- +1 or -1, a fair coin for each cell."""
    xp = namespace(out)
    out[:, k, :] = 2 * xp.astype(draw(rows, columns) & 1, getattr(xp, dtype_name(out))) - 1
