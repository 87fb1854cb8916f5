"""Soft thresholds and gaps of whole blocks of codes, for the iterations that are matrix products."""

import numpy as np

from ._jit import kernel
from .coordinate_descent import gather, shrink
from .gap import duality_gap


@kernel
def shrink_rows(points, alphas, step, positive, out):
    """out_i <- soft threshold of points_i at alphas_i * step."""
    for i in range(points.shape[0]):
        limit = alphas[i] * step
        for j in range(points.shape[1]):
            out[i, j] = shrink(points[i, j], limit, positive)


@kernel
def gap_rows(alphas, positive, norms, correlations, pulls, codes, gaps):
    """gaps_i <- duality gap of codes_i, with ``pulls`` c - Gh."""
    values = np.empty(codes.shape[1], codes.dtype)
    support = np.empty(codes.shape[1], np.int64)
    for i in range(codes.shape[0]):
        count = gather(codes[i], support, values)
        gaps[i] = duality_gap(
            norms[i], alphas[i], positive, correlations[i], pulls[i], support, values, count
        )
