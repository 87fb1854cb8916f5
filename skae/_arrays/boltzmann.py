"""Random states of units, drawn cell by cell: see :mod:`skae._kernels.boltzmann`."""

from .._kernels import boltzmann as compiled
from .choice import portable
from .losses import put_back, runs_of, softmax
from .namespace import namespace
from .random import draw, normal, uniform


@portable(compiled.draw_bernoulli)
def draw_bernoulli(means, rows, columns, out):
    """out <- 1 with probability ``means``, else 0."""
    out[...] = namespace(means).astype(uniform(rows, columns) < means, means.dtype)


@portable(compiled.bernoulli_units)
def bernoulli_units(a, bias, rows, columns, start, stop):
    """a <- 1 with probability sigmoid(a + bias), else 0; for units ``start`` to ``stop``."""
    xp, part = namespace(a), a[:, start:stop]
    u = xp.astype(uniform(rows, columns[start:stop]), a.dtype)
    a[:, start:stop] = xp.astype(u * (1 + xp.exp(-(part + bias[start:stop]))) < 1, a.dtype)


@portable(compiled.gaussian_units, places=(1,))
def gaussian_units(a, runs, rows, columns):
    """a <- a + e, e standard normal, in the columns of ``runs``."""
    for start, stop in runs:
        noise = normal(draw(rows, columns[start:stop]))
        a[:, start:stop] += namespace(a).astype(noise, a.dtype)


@portable(compiled.multinomial_units, places=(1,))
def multinomial_units(a, indices, rows, columns):
    """a <- 1 in one of the columns ``indices``, with probability softmax(a), and 0 in the others."""
    xp, first = namespace(a), indices[0]
    cumulative = xp.cumulative_sum(softmax(a, indices), axis=1)
    u = xp.astype(uniform(rows, columns[first : first + 1]), a.dtype)
    below = xp.astype(u >= cumulative[:, :-1], xp.int64)
    chosen = xp.sum(below, axis=1, keepdims=True)
    numbers = xp.arange(len(indices), dtype=xp.int64, device=a.device)
    put_back(xp.astype(numbers[None, :] == chosen, a.dtype), runs_of(indices), a)


@portable(compiled.weigh)
def weigh(coefficients, a, sums, start, stop):
    """a_i <- coefficients_i a_i; sums <- its sum over rows; for units ``start`` to ``stop``."""
    part = coefficients[:, None] * a[:, start:stop]
    a[:, start:stop] = part
    sums[start:stop] = namespace(a).sum(part, axis=0)
