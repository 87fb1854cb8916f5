"""Exponential, logarithm and half precision that LLVM can vectorize: plain arithmetic instead of a libm call."""

import numpy as np
from numba import types
from numba.extending import overload

from ._jit import kernel

_LOG2E = 1.4426950408889634
# ln 2 in two parts, so that n * _LN2_HIGH is exact for every exponent n.
_LN2_HIGH = 0.693359375
_LN2_LOW = -2.1219444005469057e-4


def exp(x):
    """Return e**x, to one or two units in the last place; the argument is clamped to the finite range."""
    return np.exp(x)


def log1p_unit(x):
    """Return log(1 + x) for 0 <= x <= 1, from the series of 2 artanh(x / (2 + x))."""
    return np.log1p(x)


def unpacked(x):
    """Return the float32 value of ``x``, the bits of a half-precision number as uint16; floats stay unchanged."""
    return np.float32(np.uint16(x).view(np.float16))


@kernel
def zero_if_tiny(x):
    """Return x, or 0 if its products with numbers of the size of a rounding error would be subnormal.

    With subnormal numbers, processors compute up to a hundred times more slowly.
    """
    limits = np.finfo(type(x))
    return type(x)(0) if abs(x) < limits.tiny / limits.eps else x  # NaN stays


@kernel
def _exp_float32(x):
    low, high = np.float32(-87.0), np.float32(88.0)
    x = min(max(x, low), high)
    n = np.floor(x * np.float32(_LOG2E) + np.float32(0.5))
    r = x - n * np.float32(_LN2_HIGH) - n * np.float32(_LN2_LOW)
    p = np.float32(1 / 5040)
    p = p * r + np.float32(1 / 720)
    p = p * r + np.float32(1 / 120)
    p = p * r + np.float32(1 / 24)
    p = p * r + np.float32(1 / 6)
    p = p * r + np.float32(1 / 2)
    p = p * r * r + r + np.float32(1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))
    return p * power.view(np.float32)


@kernel
def _exp_float64(x):
    x = min(max(x, -708.0), 709.0)
    n = np.floor(x * _LOG2E + 0.5)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = 1 / 6227020800
    p = p * r + 1 / 479001600
    p = p * r + 1 / 39916800
    p = p * r + 1 / 3628800
    p = p * r + 1 / 362880
    p = p * r + 1 / 40320
    p = p * r + 1 / 5040
    p = p * r + 1 / 720
    p = p * r + 1 / 120
    p = p * r + 1 / 24
    p = p * r + 1 / 6
    p = p * r + 1 / 2
    p = p * r * r + r + 1.0
    power = np.int64((np.int64(n) + np.int64(1023)) << np.int64(52))
    return p * power.view(np.float64)


@kernel
def _log1p_float32(x):
    s = x / (x + np.float32(2))
    q = s * s
    p = np.float32(1 / 15)
    p = p * q + np.float32(1 / 13)
    p = p * q + np.float32(1 / 11)
    p = p * q + np.float32(1 / 9)
    p = p * q + np.float32(1 / 7)
    p = p * q + np.float32(1 / 5)
    p = p * q + np.float32(1 / 3)
    return np.float32(2) * s * (p * q + np.float32(1))


@kernel
def _log1p_float64(x):
    s = x / (x + 2.0)
    q = s * s
    p = 1 / 31
    p = p * q + 1 / 29
    p = p * q + 1 / 27
    p = p * q + 1 / 25
    p = p * q + 1 / 23
    p = p * q + 1 / 21
    p = p * q + 1 / 19
    p = p * q + 1 / 17
    p = p * q + 1 / 15
    p = p * q + 1 / 13
    p = p * q + 1 / 11
    p = p * q + 1 / 9
    p = p * q + 1 / 7
    p = p * q + 1 / 5
    p = p * q + 1 / 3
    return 2.0 * s * (p * q + 1.0)


@kernel
def _unpacked_half(bits):
    sign = np.uint32((np.uint32(bits) & np.uint32(0x8000)) << np.uint32(16))
    rest = np.uint32((np.uint32(bits) & np.uint32(0x7FFF)) << np.uint32(13))
    normal = np.uint32(rest + np.uint32(112 << 23))
    # A subnormal half is a multiple of 2**-24. It is computed as the last bits of a normal number near 2**-14, since
    # operations on subnormal numbers are slow.
    tiny = np.uint32(rest + np.uint32(113 << 23)).view(np.float32) - np.float32(2.0**-14)
    magnitude = np.float32(tiny).view(np.uint32) if rest < np.uint32(1 << 23) else normal
    return np.uint32(magnitude | sign).view(np.float32)


@overload(exp)
def _exp(x):
    if x == types.float32:
        return lambda x: _exp_float32(x)
    return lambda x: _exp_float64(x)


@overload(log1p_unit)
def _log1p_unit(x):
    if x == types.float32:
        return lambda x: _log1p_float32(x)
    return lambda x: _log1p_float64(x)


@overload(unpacked)
def _unpacked(x):
    if x == types.uint16:
        return lambda x: _unpacked_half(x)
    return lambda x: x
