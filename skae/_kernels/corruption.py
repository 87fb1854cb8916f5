"""Corruptions whose randomness is a hash of (seed, cell): no state, and any cell can be drawn again."""

import numpy as np

from ._jit import kernel


@kernel
def _mix(x):
    """Scramble 32 bits (the finalizer of MurmurHash3)."""
    x ^= x >> np.uint32(16)
    x = np.uint32(x * np.uint32(0x85EBCA6B))
    x ^= x >> np.uint32(13)
    x = np.uint32(x * np.uint32(0xC2B2AE35))
    return x ^ (x >> np.uint32(16))


@kernel
def _draw(seed, cell):
    """Return 32 uniform bits that belong to ``cell``."""
    low = np.uint32(seed & np.uint64(0xFFFFFFFF))
    high = np.uint32(seed >> np.uint64(32))
    return _mix(_mix(np.uint32(cell * np.uint32(0x9E3779B9)) + low) ^ high)


@kernel
def mask(clean, seed, threshold, out):
    """out <- clean, with 0 in the cells drawn below ``threshold``."""
    zero = clean.dtype.type(0)
    for i in range(clean.shape[0]):
        for j in range(clean.shape[1]):
            bits = _draw(seed, np.uint32(i * clean.shape[1] + j))
            out[i, j] = clean[i, j] if bits >= threshold else zero


@kernel
def salt_and_pepper(clean, seed, threshold, low, high, out):
    """out <- clean, with ``low`` or ``high`` (a fair coin) in the cells drawn below ``threshold``."""
    for i in range(clean.shape[0]):
        for j in range(clean.shape[1]):
            bits = _draw(seed, np.uint32(i * clean.shape[1] + j))
            extreme = low if _mix(bits) & np.uint32(1) else high
            out[i, j] = clean[i, j] if bits >= threshold else extreme


@kernel
def swap(clean, seed, threshold, out):
    """out <- clean, with the same column of another row in the cells drawn below ``threshold``."""
    n_rows = clean.shape[0]
    for i in range(n_rows):
        for j in range(clean.shape[1]):
            bits = _draw(seed, np.uint32(i * clean.shape[1] + j))
            out[i, j] = clean[i, j]
            if bits < threshold and n_rows > 1:
                step = np.uint64(_mix(bits)) * np.uint64(n_rows - 1) >> np.uint64(32)
                out[i, j] = clean[(i + 1 + np.int64(step)) % n_rows, j]


@kernel
def emphasize(seed, threshold, corrupted, clean, out):
    """out <- ``corrupted`` in the cells that ``seed`` draws below ``threshold``, ``clean`` elsewhere."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            bits = _draw(seed, np.uint32(i * out.shape[1] + j))
            out[i, j] = clean if bits >= threshold else corrupted
