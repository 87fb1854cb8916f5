"""Algorithms that find the codes of a block of rows: ``algorithm(problem, rows, codes, gaps, *, tol, max_iter)``.

``rows`` are the ``RowStatistics`` of the block. ``codes`` contain the initial codes and are overwritten by the
solution; ``gaps`` are filled with upper bounds on its distance from the optimum.
"""

import numpy as np

from .._arrays.namespace import copy, empty_like, namespace, precision_of, scalar, zeros_like
from .._arrays.shrinkage import lead_rows, step_rows
from .._kernels.coordinate_descent import descend_rows
from .._kernels.gap import RowStatistics
from .._kernels.homotopy import PathBuffers, follow_rows
from .._kernels.pursuit import pursue_rows

_MAX_WORKING_SETS = 3  # of a path in float32; with more, float64 is cheaper


def homotopy(problem, rows, codes, gaps, *, tol, max_iter):
    """Follow the path of each row from its first atom; repeat in float64 the rows that miss ``tol`` in float32."""
    if codes.dtype == np.float64:
        return _follow(problem, rows, codes, gaps, tol, max_iter, max_iter)
    _follow(problem, rows, codes, gaps, tol, max_iter, _MAX_WORKING_SETS)
    inexact = np.flatnonzero(gaps > 0.5 * tol * rows.squared_norms)
    if inexact.size:
        finer = problem.in_float64
        rows = RowStatistics(*(each[inexact].astype(np.float64) for each in rows))
        exact, bounds = np.empty((inexact.size, codes.shape[1])), np.empty(inexact.size)
        # Half the tolerance, since codes are rounded to float32 afterwards.
        _follow(finer, rows, exact, bounds, 0.5 * tol, max_iter, max_iter)
        codes[inexact] = exact
        rounded = codes[inexact].astype(np.float64)
        residual_corr = rows.correlations - rounded @ finer.gram
        gaps[inexact] = finer.gaps(rows, residual_corr, rounded, None)


def _follow(problem, rows, codes, gaps, tol, max_iter, max_sets):
    """Follow the path of each row, then correct rounding errors on at most ``max_sets`` working sets."""
    codes[:] = 0
    vectors = np.empty((6, codes.shape[1]), codes.dtype)
    buffers = PathBuffers(*vectors, vectors[-1].view(f"i{codes.itemsize}"))
    gram, positive = problem.gram, problem.positive
    follow_rows(gram, rows, positive, tol, max_iter, max_sets, codes, gaps, buffers)


def coordinate_descent(problem, rows, codes, gaps, *, tol, max_iter):
    """Improve the initial codes by coordinate descent on working sets."""
    descend_rows(problem.gram, rows, problem.positive, tol, max_iter, codes, gaps)


def ista(problem, rows, codes, gaps, *, tol, max_iter):
    """Proximal gradient steps on all rows at once (Daubechies et al. 2004)."""
    _proximal_steps(problem, rows, codes, gaps, tol, max_iter, momentum=False)


def fista(problem, rows, codes, gaps, *, tol, max_iter):
    """ISTA with momentum, which is reset in rows in which it points uphill (O'Donoghue & Candes 2015)."""
    _proximal_steps(problem, rows, codes, gaps, tol, max_iter, momentum=True)


def _proximal_steps(problem, rows, codes, gaps, tol, max_iter, momentum):
    xp, step = namespace(codes), scalar(1 / problem.curvature, codes)
    precision = max(1e-3 * tol, precision_of(codes))
    active, memory = rows.squared_norms >= 0, problem.start(codes.shape[0])  # all rows are active
    h, before, ahead = copy(codes), empty_like(codes), copy(codes)
    weights = zeros_like(rows.alphas) + 1
    for iteration in range(max_iter + 1):
        if iteration % 10 == 0 or iteration == max_iter:
            residual_corr = rows.correlations - h @ problem.gram
            bounds = problem.gaps(rows, residual_corr, h, memory / step)
            gaps[active], codes[active] = bounds, h
            rest = bounds > 0.5 * tol * rows.squared_norms
            if not xp.any(rest) or iteration == max_iter:
                break
            if not xp.all(rest):
                active[copy(active)] = rest
                rows = RowStatistics(*(each[rest] for each in rows))
                parts = h, before, ahead, weights, memory
                h, before, ahead, weights, memory = (each[rest] for each in parts)
        points = ahead @ problem.gram
        step_rows(rows.correlations, step, ahead, points)
        h, before = before, h
        problem.shrink(points, rows.alphas, step, precision, memory, h)
        if momentum:
            lead_rows(h, before, weights, ahead)
        else:
            ahead[...] = h


def pursuit(problem, rows, codes, gaps, *, tol, max_iter):
    """Orthogonal matching pursuit. The optimum is only known to be at least 0, so ``gaps`` are the objectives."""
    codes[:] = 0
    pursue_rows(problem.gram, problem.n_nonzero, rows.correlations, codes)
    # The residual is orthogonal to the reconstruction.
    explained = np.einsum("ij,ij->i", codes, rows.correlations, dtype=np.float64)
    gaps[:] = np.maximum(0.5 * (rows.squared_norms - explained), 0)


def majorization(problem, rows, codes, gaps, *, tol, max_iter):
    """Majorize-minimize steps (de Leeuw 1977) of each row, until one changes its codes by at most ``tol`` times their norm.

    Each step moves to the minimum of a quadratic upper bound that equals the objective at the current codes, so the
    objective never rises. No bound on the distance from the optimum is known: ``gaps`` are NaN, or infinite for the
    rows that take more than ``max_iter`` steps.
    """
    bound = codes.dtype.type(problem.curvature)
    gaps[:] = np.inf
    active, h, correlations = np.arange(len(codes)), codes.copy(), rows.correlations
    for _ in range(max_iter):
        pre_activations = bound * h + correlations - h @ problem.gram
        new = pre_activations / (bound + problem.alpha * problem.parabolas(h))
        going_on = np.linalg.norm(new - h, axis=1) > tol * np.linalg.norm(new, axis=1)
        codes[active], gaps[active[~going_on]] = new, np.nan
        if not going_on.any():
            break
        active, h, correlations = active[going_on], new[going_on], correlations[going_on]


ALGORITHMS = {
    "homotopy": homotopy,
    "cd": coordinate_descent,
    "fista": fista,
    "ista": ista,
    "omp": pursuit,
    "majorization": majorization,
}
