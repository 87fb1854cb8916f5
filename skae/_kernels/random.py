"""Randomness as a hash of (row key, column key): no state, and any cell can be drawn again.

A row's key comes from a seed and the row's content, so noise depends neither on the thread that computes it nor on
other rows; equal rows have different keys. The content is rounded: another scale of X, or another dtype, changes
rounding errors of the scaled rows, which must not change the noise.
"""

import numpy as np

from ._jit import kernel

# In float32, a sum of 6144 and x has x rounded to a multiple of 2**-11 (|x| < 2048; of 2**-22 of |x| beyond), and a sum
# of 48 and x to one of 2**-18 (|x| < 16). On one or two columns, many rows would have a value in common on the first grid.
COARSE, FINE = np.float32(6144), np.float32(48)


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
def _log(x):
    """Return log x of a positive float32, by its exponent and the series of 2 artanh of the mantissa."""
    one = np.float32(1)
    bits = np.float32(x).view(np.int32)
    exponent = np.int32((bits >> np.int32(23)) - np.int32(127))
    mantissa = np.int32((bits & np.int32(0x007FFFFF)) | np.int32(0x3F800000)).view(np.float32)
    s = (mantissa - one) / (mantissa + one)
    q = s * s
    p = np.float32(1 / 11)
    p = p * q + np.float32(1 / 9)
    p = p * q + np.float32(1 / 7)
    p = p * q + np.float32(1 / 5)
    p = p * q + np.float32(1 / 3)
    return np.float32(exponent) * np.float32(np.log(2)) + np.float32(2) * s * (p * q + one)


@kernel
def normal(bits):
    """Return the standard normal quantile (float32) of 32 uniform bits.

    Giles, Approximating the erfinv function, 2010: single-precision polynomials, here in the tail
    probability p so that the tails stay exact.
    """
    one, two = np.float32(1), np.float32(2)
    low = min(bits, np.uint32(~bits))
    p = (np.float32(low) + np.float32(0.5)) * np.float32(2.0**-32)
    w = -_log(np.float32(4) * p * (one - p))
    near, far = w - np.float32(2.5), np.sqrt(max(w, np.float32(0))) - np.float32(3)
    a = np.float32(2.81022636e-08)
    a = a * near + np.float32(3.43273939e-07)
    a = a * near + np.float32(-3.5233877e-06)
    a = a * near + np.float32(-4.39150654e-06)
    a = a * near + np.float32(0.00021858087)
    a = a * near + np.float32(-0.00125372503)
    a = a * near + np.float32(-0.00417768164)
    a = a * near + np.float32(0.246640727)
    a = a * near + np.float32(1.50140941)
    b = np.float32(-0.000200214257)
    b = b * far + np.float32(0.000100950558)
    b = b * far + np.float32(0.00134934322)
    b = b * far + np.float32(-0.00367342844)
    b = b * far + np.float32(0.00573950773)
    b = b * far + np.float32(-0.0076224613)
    b = b * far + np.float32(0.00943887047)
    b = b * far + np.float32(1.00167406)
    b = b * far + np.float32(2.83297682)
    size = np.float32(np.sqrt(2)) * (one - two * p) * (a if w < np.float32(5) else b)
    return size if bits > np.uint32(0x7FFFFFFF) else -size


@kernel
def signs(rows, columns, out, k):
    """out_ik <- +1 or -1, a fair coin for each cell."""
    one = out.dtype.type(1)
    for i in range(out.shape[0]):
        row = out[i, k]
        for j in range(row.size):
            row[j] = one if draw(rows[i], columns[j]) & np.uint32(1) else -one
