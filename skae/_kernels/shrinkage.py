"""Soft thresholds and gaps of blocks of codes, for iterations made of matrix products."""

import numpy as np

from ._jit import kernel
from .coordinate_descent import list_nonzeros, shrink
from .gap import duality_gap


@kernel
def shrink_rows(points, alphas, step, positive, out):
    """out_i <- soft threshold of points_i at alphas_i * step."""
    for i in range(points.shape[0]):
        limit = alphas[i] * step
        for j in range(points.shape[1]):
            out[i, j] = shrink(points[i, j], limit, positive)


@kernel
def step_rows(correlations, step, points, products):
    """products_i <- points_i + step (c_i - products_i), a gradient step if products are G points."""
    for i in range(points.shape[0]):
        for j in range(points.shape[1]):
            products[i, j] = points[i, j] + step * (correlations[i, j] - products[i, j])


@kernel
def lead_rows(codes, before, weights, points):
    """points_i <- codes_i plus momentum (Beck & Teboulle 2009), which is restarted after a step uphill."""
    zero, one = codes.dtype.type(0), codes.dtype.type(1)
    two, four = one + one, codes.dtype.type(4)
    for i in range(codes.shape[0]):
        uphill = zero
        for j in range(codes.shape[1]):
            uphill += (points[i, j] - codes[i, j]) * (codes[i, j] - before[i, j])
        weight = one if uphill > zero else weights[i]
        weights[i] = (one + np.sqrt(one + four * weight * weight)) / two
        factor = (weight - one) / weights[i]
        for j in range(codes.shape[1]):
            points[i, j] = codes[i, j] + factor * (codes[i, j] - before[i, j])


@kernel
def gap_rows(alphas, positive, squared_norms, correlations, residual_corr, codes, gaps):
    """gaps_i <- duality gap of codes_i, with ``residual_corr`` c - Gh."""
    values = np.empty(codes.shape[1], codes.dtype)
    support = np.empty(codes.shape[1], np.int64)
    for i in range(codes.shape[0]):
        count = list_nonzeros(codes[i], support, values)
        gaps[i] = duality_gap(
            squared_norms[i],
            alphas[i],
            positive,
            correlations[i],
            residual_corr[i],
            support,
            values,
            count,
        )
