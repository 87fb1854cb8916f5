"""Corruptions of a block of rows, drawn cell by cell: see :mod:`skae._kernels.corruption`."""

from .._kernels import corruption as compiled
from .choice import portable
from .namespace import namespace
from .random import draw, mix, normal


@portable(compiled.mask)
def mask(clean, rows, columns, threshold, out):
    """out <- clean, with 0 in the cells drawn below ``threshold``."""
    xp, bits = namespace(clean), draw(rows, columns)
    # No product, which would be -0 in negative cells, as the kernel's is not.
    out[...] = xp.where(bits >= int(threshold), clean, xp.zeros_like(clean))


@portable(compiled.salt_and_pepper)
def salt_and_pepper(clean, rows, columns, threshold, low, high, out):
    """out <- clean, with the column's ``low`` or ``high`` (a fair coin) in the cells drawn below ``threshold``."""
    xp, bits = namespace(clean), draw(rows, columns)
    extreme = xp.where((mix(bits) & 1) == 1, low[None, :], high[None, :])
    out[...] = xp.where(bits >= int(threshold), clean, extreme)


@portable(compiled.swap)
def swap(clean, first, rows, columns, threshold, out):
    """out <- rows of clean from ``first`` on; cells drawn below ``threshold`` take the column's value of another row."""
    xp, n_rows, n_out = namespace(clean), clean.shape[0], out.shape[0]
    bits = draw(rows, columns)
    numbers = xp.arange(first, first + n_out, dtype=xp.int64, device=bits.device)
    other = numbers[:, None] + 1 + ((mix(bits) * (n_rows - 1)) >> 32)
    other = xp.where(other >= n_rows, other - n_rows, other)
    others = xp.take_along_axis(clean, other, axis=0)
    out[...] = xp.where(bits >= int(threshold), clean[first : first + n_out, :], others)


@portable(compiled.add_normal)
def add_normal(clean, rows, columns, level, out):
    """out <- clean + level * e, e standard normal."""
    noise = namespace(clean).astype(normal(draw(rows, columns)), clean.dtype)
    out[...] = clean + float(level) * noise


@portable(compiled.emphasize)
def emphasize(rows, columns, threshold, corrupted, clean, out):
    """out <- ``corrupted`` in the cells drawn below ``threshold``, ``clean`` elsewhere."""
    bits = draw(rows, columns)
    kept = namespace(bits).astype(bits >= int(threshold), out.dtype)
    out[...] = float(clean) * kept + float(corrupted) * (1 - kept)
