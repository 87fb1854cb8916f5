"""Randomness as a hash of (row key, column key): see :mod:`skae._kernels.random`.

Keys are 32-bit integers, stored here in int64.
"""

import math

import numpy as np

from .._kernels import random as compiled
from .choice import portable
from .namespace import dtype_name, like, namespace, to_numpy

_MASK = 0xFFFFFFFF
_NEAR = (
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
)
_FAR = (
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
)


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
    rounded = xp.astype(X, xp.float32) + float(compiled.grid(X.shape[1]))
    if hasattr(X, "view"):
        bits = rounded.view(xp.int32)
    else:  # the array API has no function for it
        bits = like(to_numpy(rounded).view(np.int32), X)
    return xp.astype(bits, xp.int64) & _MASK


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
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return value


def normal(bits):
    """Return the standard normal quantile (float32) of 32 uniform bits."""
    xp = namespace(bits)
    upper = bits > 0x7FFFFFFF
    low = xp.where(upper, _MASK - bits, bits)
    p = (xp.astype(low, xp.float32) + 0.5) * 2.0**-32
    w = -xp.log(4 * p * (1 - p))
    near = _polynomial(_NEAR, w - 2.5)
    far = _polynomial(_FAR, xp.sqrt(xp.maximum(w, xp.zeros_like(w))) - 3)
    magnitude = math.sqrt(2) * (1 - 2 * p) * xp.where(w < 5, near, far)
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
