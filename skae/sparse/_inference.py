"""Sparse codes of many rows: blocks of rows in threads, each block one matrix product and one kernel."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import cached_property

import numpy as np
import scipy.sparse
from joblib import effective_n_jobs
from sklearn.utils import gen_batches

from .._compat import _get_threadpool_controller
from .._kernels.compression import compress, count_nonzeros
from .._kernels.coordinate_descent import descend_rows
from .._kernels.homotopy import follow_rows
from .._kernels.pursuit import pursue_rows
from .._kernels.shrinkage import gap_rows, shrink_rows

_BLOCK = 512  # rows whose correlations stay in the cache of a core


class Quadratic:
    """||x - h D||^2 / 2 + ridge ||h - p||^2 / 2 for each row x, with prior p: what all penalties go with.

    Parameters
    ----------
    dictionary : ndarray of shape (n_atoms, n_features)
    alpha : float
        Weight of the penalty. 0 is taken as a small share of each row's largest correlation.
    ridge : float
        Weight of the squared distance from the prior (without one: from 0, the elastic net).
    positive : bool
        Whether codes must not be negative.
    """

    def __init__(self, dictionary, alpha, *, ridge=0.0, positive=False):
        self.dictionary = dictionary
        self.alpha, self.ridge, self.positive = alpha, ridge, positive

    @cached_property
    def gram(self):
        """ndarray of shape (n_atoms, n_atoms): D D' plus the ridge."""
        gram = self.dictionary @ self.dictionary.T
        gram.flat[:: len(gram) + 1] += self.ridge
        return gram

    def statistics(self, X, prior=None):
        """Return correlations c, norms q and thresholds of the rows of ``X``."""
        correlations = X @ self.dictionary.T
        norms = np.einsum("ij,ij->i", X, X, dtype=np.float64)
        if prior is not None:
            correlations += self.ridge * prior
            norms += self.ridge * np.einsum("ij,ij->i", prior, prior, dtype=np.float64)
        alphas = np.full(len(X), self.alpha, X.dtype)
        if not self.alpha:
            alphas = 10 * np.finfo(X.dtype).eps * np.abs(correlations).max(axis=1)
        return correlations, norms, alphas


class Lasso(Quadratic):
    """min_h ||x - h D||^2 / 2 + alpha ||h||_1 + ridge ||h - p||^2 / 2 for each row x, with prior p."""

    algorithms = ("homotopy", "cd", "fista", "ista")

    def size(self, codes):
        """Return ||h||_1 of each row of codes."""
        return np.abs(codes).sum(axis=1)

    def start(self, n_rows):
        """Return what ``shrink`` remembers of rows from step to step: nothing."""
        return np.empty((n_rows, 0), self.dictionary.dtype)

    def shrink(self, points, alphas, step, precision, memory, out):
        """out <- the proximal step of the penalty at ``points``."""
        shrink_rows(points, alphas, step, self.positive, out)

    def gaps(self, alphas, norms, correlations, pulls, codes, shrunk):
        """Return upper bounds of the distance of rows from their optimum."""
        gaps = np.empty(len(codes))
        gap_rows(alphas, self.positive, norms, correlations, pulls, codes, gaps)
        return gaps


def homotopy(problem, rows, codes, gaps, *, tol, max_iter):
    """Follow each row's path from its first atom; exact, and fast for up to some dozens of atoms a code."""
    correlations, norms, alphas = rows
    codes[:] = 0
    work = np.empty((6, codes.shape[1]), codes.dtype)
    bits = work[5].view(f"i{codes.itemsize}")
    gram, positive = problem.gram, problem.positive
    follow_rows(gram, alphas, positive, tol, max_iter, norms, correlations, codes, gaps, work, bits)


def coordinate_descent(problem, rows, codes, gaps, *, tol, max_iter):
    """Improve given codes by coordinate descent on working sets."""
    correlations, norms, alphas = rows
    gram, positive = problem.gram, problem.positive
    descend_rows(gram, alphas, positive, tol, max_iter, norms, correlations, codes, gaps)


def ista(problem, rows, codes, gaps, *, tol, max_iter):
    """Proximal gradient steps on all rows at once (Daubechies et al. 2004)."""
    _proximal_steps(problem, rows, codes, gaps, tol, max_iter, momentum=False)


def fista(problem, rows, codes, gaps, *, tol, max_iter):
    """ISTA with momentum, restarted row by row where it points uphill (O'Donoghue & Candes 2015)."""
    _proximal_steps(problem, rows, codes, gaps, tol, max_iter, momentum=True)


def _proximal_steps(problem, rows, codes, gaps, tol, max_iter, momentum):
    correlations, norms, alphas = rows
    step = codes.dtype.type(1 / _largest_eigenvalue(problem.gram))
    precision = max(1e-3 * tol, np.finfo(codes.dtype).eps)
    active = np.arange(len(codes))
    h, c, memory = codes.copy(), correlations, problem.start(len(codes))
    ahead, weight = h.copy(), np.ones((len(h), 1), h.dtype)
    for iteration in range(max_iter + 1):
        if iteration % 10 == 0 or iteration == max_iter:
            pulls = c - h @ problem.gram
            here = problem.gaps(alphas[active], norms[active], c, pulls, h, memory / step)
            gaps[active], codes[active] = here, h
            rest = here > 0.5 * tol * norms[active]
            if not rest.any() or iteration == max_iter:
                break
            active, h, ahead = active[rest], h[rest], ahead[rest]
            c, weight, memory = c[rest], weight[rest], memory[rest]
        new = np.empty_like(h)
        points = ahead + step * (c - ahead @ problem.gram)
        problem.shrink(points, alphas[active], step, precision, memory, new)
        if momentum:
            uphill = np.sum((ahead - new) * (new - h), axis=1, keepdims=True) > 0
            weight[uphill] = 1
            larger = (1 + np.sqrt(1 + 4 * weight**2)) / 2
            ahead = new + ((weight - 1) / larger) * (new - h)
            weight = larger
        else:
            ahead = new
        h = new


def _largest_eigenvalue(gram):
    return max(float(np.linalg.norm(gram, 2)), np.finfo(gram.dtype).tiny)


ALGORITHMS = {"homotopy": homotopy, "cd": coordinate_descent, "fista": fista, "ista": ista}


def lasso_codes(
    X, problem, *, algorithm="auto", tol=1e-4, max_iter=1000, init=None, prior=None, n_jobs=None,
    sparse_output=False,
):  # fmt: skip
    """Return the codes of the rows of ``X`` and a bound of how far each is from its optimum.

    Parameters
    ----------
    X : C-ordered ndarray of shape (n_samples, n_features)
    problem : Lasso or GroupLasso
    algorithm : {'auto', 'homotopy', 'cd', 'fista', 'ista'}
        ``'auto'`` is ``'cd'`` where ``init`` is given, else the first of ``problem.algorithms``.
    tol : float
        Stop where the duality gap is at most ``tol`` times the objective of the zero code.
    max_iter : int
        Most iterations: steps of the path, working sets or proximal steps.
    init, prior : ndarray of shape (n_samples, n_atoms) or None
        Codes to start from; where the ridge pulls to.
    n_jobs : int or None
        Threads, as in joblib.
    sparse_output : bool
        Whether to return a CSR matrix.

    Returns
    -------
    codes : ndarray or csr_matrix of shape (n_samples, n_atoms)
    gaps : ndarray of shape (n_samples,)
    """
    if algorithm == "auto":
        warm = init is not None and "cd" in problem.algorithms
        algorithm = "cd" if warm else problem.algorithms[0]
    if algorithm not in problem.algorithms:
        raise ValueError(
            f"algorithm={algorithm!r} knows no groups; use 'auto' or one of {problem.algorithms}."
        )
    solve = ALGORITHMS[algorithm]
    gaps = np.empty(len(X))

    def fill(rows, codes):
        x = X[rows]
        if init is not None:
            codes[:] = init[rows]
        elif algorithm != "homotopy":
            codes[:] = 0
        statistics = problem.statistics(x, None if prior is None else prior[rows])
        solve(problem, statistics, codes, gaps[rows], tol=tol, max_iter=max_iter)

    with _threads(n_jobs) as (pool, n_threads):
        _ = problem.gram  # once, before the threads ask for it
        return _by_blocks(pool, n_threads, fill, X, len(problem.dictionary), sparse_output), gaps


def pursuit_codes(X, dictionary, n_nonzero, *, n_jobs=None, sparse_output=False):
    """Return codes of at most ``n_nonzero`` atoms by orthogonal matching pursuit.

    Atoms are compared by correlation, so that they should have unit norm.
    """
    with _threads(n_jobs) as (pool, n_threads):
        gram = dictionary @ dictionary.T

        def fill(rows, codes):
            codes[:] = 0
            pursue_rows(gram, min(n_nonzero, len(gram)), X[rows] @ dictionary.T, codes)

        return _by_blocks(pool, n_threads, fill, X, len(gram), sparse_output)


def blas_for(n_jobs):
    """Return a context in which BLAS has one thread, if threads of ours are to run beside it.

    Threads of BLAS wait for their next product in a loop that takes the core from threads of ours.
    """
    if effective_n_jobs(n_jobs) == 1:
        return nullcontext()
    return _get_threadpool_controller().limit(limits=1, user_api="blas")


@contextmanager
def _threads(n_jobs):
    """A pool of threads and their number, with BLAS in one thread of each if there are several."""
    n_threads = effective_n_jobs(n_jobs)
    with ThreadPoolExecutor(n_threads) as pool, blas_for(n_jobs):
        yield pool, n_threads


def _by_blocks(pool, n_threads, fill, X, n_atoms, sparse_output):
    """Return what ``fill(rows, codes)`` makes of all rows, several blocks at a time."""
    dense = None if sparse_output else np.empty((len(X), n_atoms), X.dtype)

    def one(rows):
        if dense is not None:
            return fill(rows, dense[rows])
        codes = np.empty((rows.stop - rows.start, n_atoms), X.dtype)
        fill(rows, codes)
        return _compressed(codes)

    size = min(_BLOCK, -(-len(X) // n_threads))
    parts = list(pool.map(one, gen_batches(len(X), size)))
    if dense is not None:
        return dense
    counts, indices, values = (np.concatenate(arrays) for arrays in zip(*parts))
    starts = np.concatenate([[0], np.cumsum(counts)])
    return scipy.sparse.csr_matrix((values, indices, starts), shape=(len(X), n_atoms))


def _compressed(codes):
    counts = np.empty(len(codes), np.int64)
    total = count_nonzeros(codes, counts)
    indices, values = np.empty(total, np.int32), np.empty(total, codes.dtype)
    compress(codes, indices, values)
    return counts, indices, values
