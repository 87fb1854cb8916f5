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
    zeros, ones = xp.zeros_like(squared_norms), xp.ones_like(squared_norms)
    inner = squared_norms - xp.sum(h * c, axis=1)
    residual = xp.maximum(inner - xp.sum(h * r, axis=1), zeros)
    bound = xp.maximum(xp.max(r if positive else xp.abs(r), axis=1), alphas)
    # The largest scale at which the residual is dual feasible; 1 where both are 0.
    largest = xp.where(bound > 0, alphas / xp.where(bound > 0, bound, ones), ones)
    best = xp.where(residual > 0, inner / xp.where(residual > 0, residual, ones), zeros)
    least = zeros if positive else -largest
    scale = xp.maximum(xp.minimum(best, largest), least)
    objective = 0.5 * residual + alphas * xp.sum(xp.abs(h), axis=1)
    gaps[...] = xp.maximum(objective - scale * inner + 0.5 * scale * scale * residual, zeros)
