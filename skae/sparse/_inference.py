"""Sparse codes of many rows: threads take blocks of rows, each by one matrix product and one kernel."""

import numpy as np
import scipy.sparse
from joblib import effective_n_jobs
from scipy.linalg import eigvalsh
from sklearn.utils import gen_batches
from sklearn.utils.extmath import row_norms

from .._arrays.namespace import (
    dense,
    dtype_name,
    empty,
    like,
    namespace,
    row_products,
    scalar,
    some_rows,
    to_numpy,
    zeros,
)
from .._arrays.shrinkage import shrink_rows
from .._estimators.devices import backend_of
from .._estimators.fitting import rows_at_once
from .._kernels.compression import compress, count_nonzeros
from .._threads import alone, share_items, team
from ._algorithms import ALGORITHMS

_N_SAMPLED_ROWS = 32  # rows on which ``'auto'`` estimates the sparsity of codes
_PATH_COST = 2.3  # measured cost of a multiplication on a path, relative to a matrix product
_BLOCK = 512  # rows whose correlations stay in the cache of a core


def chosen_algorithm(problem, algorithm, warm=False):
    """Return the name of the algorithm, with ``'auto'`` resolved; raise ValueError if it cannot solve the problem."""
    if algorithm == "auto":
        return "cd" if warm and "cd" in problem.algorithms else problem.algorithms[0]
    if algorithm not in problem.algorithms:
        # A problem with one algorithm has it as 'auto' only.
        others = problem.algorithms if len(problem.algorithms) > 1 else ()
        names = " or ".join(map(repr, ("auto", *others)))
        raise ValueError(f"algorithm={algorithm!r} does not go with {problem.kind}; use {names}.")
    return algorithm


def fastest_algorithm(problem, X, tol, max_iter):
    """Return the algorithm that ``'auto'`` chooses for rows like those of ``X``.

    With m atoms and k nonzeros, a path costs about ``k^2 m`` and a step of FISTA ``m^2``. FISTA needs about
    ``10 sqrt(L / l)`` steps, where L is the largest eigenvalue of the Gram matrix, and l the smallest one of its block
    at the nonzeros. FISTA is chosen if it costs less and reaches ``tol`` on some rows within ``max_iter``.
    """
    if problem.algorithms[0] != "homotopy":
        return problem.algorithms[0]
    rows = some_rows(X, _N_SAMPLED_ROWS)
    codes, _ = infer_codes(rows, problem, algorithm="homotopy")
    counts = np.count_nonzero(codes, axis=1)
    path, step = _PATH_COST * np.mean(counts**2), codes.shape[1]
    if path <= 10 * step:
        return "homotopy"
    support = np.flatnonzero(codes[np.argsort(counts)[len(counts) // 2]])
    least = eigvalsh(problem.gram[np.ix_(support, support)], subset_by_index=(0, 0))[0]
    conditioning = problem.curvature / max(least, np.finfo(codes.dtype).tiny)
    if path <= 10 * np.sqrt(conditioning) * step:
        return "homotopy"
    _, gaps = infer_codes(rows, problem, algorithm="fista", tol=tol, max_iter=max_iter)
    squared_norms = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return "fista" if (gaps <= 0.5 * tol * squared_norms).all() else "homotopy"


def infer_codes(
    X, problem, *, algorithm="auto", tol=1e-4, max_iter=1000, init=None, prior=None, n_jobs=None,
    sparse_output=False, certify=False,
):  # fmt: skip
    """Return the codes of the rows of ``X``, and upper bounds on their objectives minus the minima.

    Parameters
    ----------
    X : {C-ordered ndarray, csr_matrix} of shape (n_samples, n_features)
        Rows, or an array in the library and on the device of the dictionary of ``problem``; codes are then dense.
    problem : Lasso, GroupLasso or Pursuit
    algorithm : 'auto' or one of ``problem.algorithms``
        ``'auto'`` is ``'cd'`` if ``init`` is given and the problem supports it, else the first of
        ``problem.algorithms``.
    tol : float
        Stop when the duality gap is at most ``tol`` times the objective of the zero code.
    max_iter : int
        Maximum number of iterations: steps of the path, working sets or proximal steps.
    init : {ndarray, csr_matrix} of shape (n_samples, n_atoms) or None
        Initial codes, 0 by default. Homotopy and OMP always start from 0.
    prior : ndarray of shape (n_samples, n_atoms) or None
        Value of p in the ridge term ``ridge ||h - p||^2 / 2``, 0 by default.
    n_jobs : int or None
        Number of threads, as in joblib.
    sparse_output : bool
        Whether to return a CSR matrix.
    certify : bool
        Whether ``gaps`` are used: those without a penalty then take the eigenvalues of the Gram matrix, as a duality
        gap would be lost to rounding.

    Returns
    -------
    codes : {ndarray, csr_matrix} of shape (n_samples, n_atoms)
    gaps : ndarray of shape (n_samples,)
    """
    solve = ALGORITHMS[chosen_algorithm(problem, algorithm, init is not None)]
    gaps = empty(X.shape[0], X, namespace(X).float64) if backend_of(X) else np.empty(X.shape[0])

    def fill(rows, codes):
        codes[...] = 0 if init is None else dense(_rows(init, rows))
        statistics = problem.statistics(
            dense(_rows(X, rows)), None if prior is None else prior[rows]
        )
        solve(problem, statistics, codes, gaps[rows], tol=tol, max_iter=max_iter)
        if certify and problem.has_gaps and not problem.alpha:
            exact = like(problem.gaps_without_penalty(statistics, codes), codes)
            gaps[rows] = namespace(codes).minimum(gaps[rows], exact)

    with team(effective_n_jobs(n_jobs)):
        _ = problem.gram  # computed once, before the threads read it
        return _by_blocks(fill, X, problem.dictionary.shape[0], n_jobs, sparse_output), gaps


def squared_norms(X):
    """Return the squared norms of the rows of ``X``, an array of any library, as a numpy array."""
    return to_numpy(row_products(X, X)) if backend_of(X) else row_norms(X, squared=True)


def threshold_codes(X, dictionary, alpha, *, positive=False, n_jobs=None, sparse_output=False):
    """Return codes without inference: the soft threshold of the correlations of each row at ``alpha``."""

    def fill(rows, codes):
        points = dense(_rows(X, rows)) @ dictionary.T
        alphas = zeros(points.shape[0], points) + alpha
        shrink_rows(points, alphas, scalar(1, points), positive, codes)

    with team(effective_n_jobs(n_jobs)):
        return _by_blocks(fill, X, dictionary.shape[0], n_jobs, sparse_output)


def _rows(X, rows):
    return X[rows, ...] if backend_of(X) else X[rows]


def _by_blocks(fill, X, n_atoms, n_jobs, sparse_output):
    """Return the codes that ``fill(rows, codes)`` finds for all rows, several blocks at a time."""
    if backend_of(X):
        return _by_large_blocks(fill, X, n_atoms)
    n_rows, n_threads = X.shape[0], effective_n_jobs(n_jobs)
    out = None if sparse_output else np.empty((n_rows, n_atoms), X.dtype)

    def work(rows):
        size = rows.stop - rows.start, n_atoms
        codes = np.empty(size, X.dtype) if sparse_output else out[rows]
        fill(rows, codes)
        return _compressed(codes) if sparse_output else None

    # Several blocks for each of some threads, since some take longer.
    n_blocks = 4 * n_threads if n_threads > 1 else 1
    memory = rows_at_once(_BLOCK * n_threads, X.shape[1] + 3 * n_atoms, X.dtype)
    size = max(min(_BLOCK, -(-n_rows // n_blocks), memory // n_threads), 1)
    parts = share_items(work, list(gen_batches(n_rows, size)))
    if not sparse_output:
        return out
    counts, indices, values = (np.concatenate(arrays) for arrays in zip(*parts))
    starts = np.concatenate([[0], np.cumsum(counts)])
    return scipy.sparse.csr_matrix((values, indices, starts), shape=(n_rows, n_atoms))


def _by_large_blocks(fill, X, n_atoms):
    """Return the codes of an array of another library, block by block."""
    codes = empty((X.shape[0], n_atoms), X)
    # Each row needs codes, the previous and the extrapolated ones, correlations and their current values.
    n_rows = rows_at_once(X.shape[0], X.shape[1] + 8 * n_atoms, np.dtype(dtype_name(X)))
    with alone():
        for rows in gen_batches(X.shape[0], n_rows):
            fill(rows, codes[rows, ...])
    return codes


def _compressed(codes):
    counts = np.empty(len(codes), np.int64)
    total = count_nonzeros(codes, counts)
    indices, values = np.empty(total, np.int32), np.empty(total, codes.dtype)
    compress(codes, indices, values)
    return counts, indices, values
