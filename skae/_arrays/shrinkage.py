"""Soft thresholds and gaps of blocks of codes: see :mod:`skae._kernels.shrinkage` and :mod:`skae._kernels.gap`."""

from .._kernels import shrinkage as compiled
from .choice import portable
from .namespace import namespace


@portable(compiled.shrink_rows)
def shrink_rows(points, alphas, step, positive, out):
    """out_i <- soft threshold of points_i at alphas_i * step."""
    xp, limits = namespace(points), (alphas * step)[:, None]
    sizes = (points if positive else xp.abs(points)) - limits
    sizes = xp.maximum(sizes, xp.zeros_like(sizes))
    out[...] = sizes if positive else xp.sign(points) * sizes


@portable(compiled.step_rows)
def step_rows(correlations, step, points, products):
    """products_i <- points_i + step (c_i - products_i), a gradient step if products are G points."""
    products[...] = points + step * (correlations - products)


@portable(compiled.lead_rows)
def lead_rows(codes, before, weights, points):
    """points_i <- codes_i plus momentum (Beck & Teboulle 2009), which is restarted after a step uphill."""
    xp, change = namespace(codes), codes - before
    uphill = xp.sum((points - codes) * change, axis=1) > 0
    weight = xp.where(uphill, xp.ones_like(weights), weights)
    weights[...] = (1 + xp.sqrt(1 + 4 * weight * weight)) / 2
    points[...] = codes + ((weight - 1) / weights)[:, None] * change


@portable(compiled.gap_rows)
def gap_rows(alphas, positive, squared_norms, correlations, residual_corr, codes, gaps):
    """gaps_i <- duality gap of codes_i, in float64, with ``residual_corr`` c - Gh."""
    xp = namespace(codes)
    alphas, c, r, h = (
        xp.astype(each, xp.float64) for each in (alphas, correlations, residual_corr, codes)
    )
    unexplained, moved = squared_norms - xp.sum(h * c, axis=1), xp.sum(h * r, axis=1)
    bounds = xp.max(r if positive else xp.abs(r), axis=1)
    sizes = xp.sum(xp.abs(h), axis=1)
    gaps[...] = gaps_of_bounds(unexplained, moved, alphas, positive, bounds, sizes)


def gaps_of_bounds(unexplained, moved, alphas, positive, bounds, sizes):
    """Return the duality gaps of codes h for any norm as penalty, in float64; the kernel for one row is ``duality_gap``.

    Parameters
    ----------
    unexplained, moved : array of shape (n_samples,)
        q - h'c and h'(c - Gh).
    alphas : array of shape (n_samples,)
    positive : bool
    bounds : array of shape (n_samples,)
        Dual norms of c - Gh, or upper bounds on them; of its positive part for ``positive``.
    sizes : array of shape (n_samples,)
        Norms of the codes.
    """
    xp = namespace(unexplained)
    zeros, ones = xp.zeros_like(unexplained), xp.ones_like(unexplained)
    residual, bounds = xp.maximum(unexplained - moved, zeros), xp.maximum(bounds, alphas)
    # The largest scale at which the residual is dual feasible; 1 where both are 0.
    largest = xp.where(bounds > 0, alphas / xp.where(bounds > 0, bounds, ones), ones)
    best = xp.where(residual > 0, unexplained / xp.where(residual > 0, residual, ones), zeros)
    scale = xp.maximum(xp.minimum(best, largest), zeros if positive else -largest)
    objective = 0.5 * residual + alphas * sizes
    return xp.maximum(objective - scale * unexplained + 0.5 * scale * scale * residual, zeros)
