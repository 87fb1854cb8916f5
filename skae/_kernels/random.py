"""Randomness as a hash of (row key, column key): no state, and any cell can be drawn again.

A row's key comes from a seed and the row's content, so noise depends neither on the thread that computes it nor on
other rows; equal rows have different keys. The content is rounded: another scale of X, or another dtype, changes
rounding errors of the scaled rows, which must not change the noise.
"""

import math

import numpy as np

from ._jit import kernel, strict_kernel

# In float32, a sum of 6144 and x has x rounded to a multiple of 2**-11 (|x| < 2048; of 2**-22 of |x| beyond), and a sum
# of 48 and x to one of 2**-18 (|x| < 16). On one or two columns, many rows would have a value in common on the first grid.
COARSE, FINE = np.float32(6144), np.float32(48)


def _times_root_2(*coefficients):
    return tuple(np.float32(math.sqrt(2) * each) for each in coefficients)


# Of polynomials in w = -log(4 p (1 - p)) for the tail probability p (Giles, Approximating the erfinv function, 2010): in
# these terms the tails are exact.
NEAR = _times_root_2(
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
FAR = _times_root_2(
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
LOG = tuple(map(np.float32, (0.29925903, 0.39974786, 0.66666816, 2)))
LOG_2, HALF_ROOT = np.float32(math.log(2)), np.float32(math.sqrt(0.5)).view(np.int32)


def grid(n_columns):
    """Return the number that rounds rows of ``n_columns`` when it is added to them in float32."""
    return COARSE if n_columns > 2 else FINE


@kernel
def mix(x):
    """Scramble 32 bits (the finalizer of MurmurHash3)."""
    x ^= x >> np.uint32(16)
    x = np.uint32(x * np.uint32(0x85EBCA6B))
    x ^= x >> np.uint32(13)
    x = np.uint32(x * np.uint32(0xC2B2AE35))
    return x ^ (x >> np.uint32(16))


@kernel
def draw(row_key, column_key):
    """Return 32 uniform bits for one cell."""
    return mix(np.uint32(row_key + column_key))


@kernel
def row_keys(X, columns, offset, seed, out):
    """out_i <- a hash of ``seed`` and of row i of ``X``, rounded by ``offset``, that of ``grid``."""
    low = np.uint32(seed & np.uint64(0xFFFFFFFF))
    high = np.uint32(seed >> np.uint64(32))
    salt = mix(np.uint32(mix(low) + high))
    for i in range(X.shape[0]):
        total = np.uint64(0)
        for j in range(X.shape[1]):
            bits = np.float32(np.float32(X[i, j]) + offset).view(np.uint32)
            total += np.uint64(bits) * np.uint64(columns[j])
        folded = np.uint32(total >> np.uint64(32)) ^ mix(np.uint32(total & np.uint64(0xFFFFFFFF)))
        out[i] = mix(np.uint32(mix(folded) + salt))


@kernel
def separate(keys, places, counts):
    """Replace repeated keys in place: the second of equal keys differs from the third, and so on.

    ``places``, filled with -1, is the buffer of a hash table; its size is a power of two above the number of keys.
    ``counts`` is a buffer of the length of ``keys``.
    """
    last = np.uint32(places.size - 1)
    for i in range(keys.size):
        slot = keys[i] & last
        while places[slot] >= 0 and keys[places[slot]] != keys[i]:
            slot = (slot + np.uint32(1)) & last
        first = places[slot]
        if first < 0:
            places[slot], counts[i] = i, 0
        else:
            counts[first] += 1
            keys[i] = mix(keys[i] ^ mix(np.uint32(counts[first])))


@kernel
def normals(row_key, column_keys, work, out):
    """out_j <- a standard normal number (float32) for each cell of a row, by way of the buffer ``work``.

    Two loops, since processors look only so many instructions ahead: each is short enough for several of its rounds
    to be computed at once.
    """
    for j in range(out.size):
        out[j], work[j] = _tail(draw(row_key, column_keys[j]))
    for j in range(out.size):
        out[j] = _quantile(out[j], work[j])


@strict_kernel
def _tail(bits):
    """Return 1 - 2 p, with the sign of the quantile, and -log(4 p (1 - p)), for the tail probability p of 32 bits."""
    one, two = np.float32(1), np.float32(2)
    bits = np.int32(bits)  # numbers of 64 bits would halve the speed
    low = np.int32(bits ^ np.int32(bits >> np.int32(31)))
    q = np.float32(low) * np.float32(2.0**-31) + np.float32(2.0**-32)  # 2 p
    sign = np.int32(~bits & np.int32(-(2**31)))
    x = np.int32(np.float32(one - q).view(np.int32) ^ sign).view(np.float32)
    return x, -_log(q * (two - q))


@strict_kernel
def _log(x):
    """Return log x of a positive float32, by its exponent and the series of 2 artanh of the mantissa.

    The mantissa is in [0.7, 1.4]; coefficients are those of least relative error, 1e-9.
    """
    one = np.float32(1)
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - HALF_ROOT) >> np.int32(23))
    mantissa = np.int32(bits - np.int32(exponent << np.int32(23))).view(np.float32)
    s = (mantissa - one) / (mantissa + one)
    q = s * s
    p = LOG[0]
    p = p * q + LOG[1]
    p = p * q + LOG[2]
    p = p * q + LOG[3]
    return np.float32(exponent) * LOG_2 + s * p


@strict_kernel
def _quantile(x, w):
    """Return the standard normal quantile of what ``_tail`` returned."""
    near, far = w - np.float32(2.5), np.sqrt(max(w, np.float32(0))) - np.float32(3)
    a, b = NEAR[0], FAR[0]
    for k in range(1, 9):
        a, b = a * near + NEAR[k], b * far + FAR[k]
    return x * (a if w < np.float32(5) else b)


@kernel
def signs(rows, columns, out, k):
    """out_ik <- +1 or -1, a fair coin for each cell."""
    one = out.dtype.type(1)
    for i in range(out.shape[0]):
        row = out[i, k]
        for j in range(row.size):
            row[j] = one if draw(rows[i], columns[j]) & np.uint32(1) else -one
