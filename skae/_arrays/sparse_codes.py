"""Codes with few nonzeros as dense matrices: see :mod:`skae._kernels.top_k` and :mod:`skae._kernels.sparse_codes`."""

from .._kernels import sparse_codes as compiled
from .choice import portable
from .namespace import namespace

WEIGHT_ROUNDING = 1e-6  # relative error of weights in float32


def top_k(a, k):
    """Return ``a`` with all but the k largest positive entries of each row set to 0.

    Ties go to the first.
    """
    xp = namespace(a)
    if hasattr(xp, "topk"):
        bound = xp.topk(a, k, 1)[0][:, -1:]
    else:
        bound = xp.sort(a, axis=1)[:, -k, None]
    larger, ties = a > bound, a == bound
    n_ties = k - xp.sum(xp.astype(larger, xp.int64), axis=1, keepdims=True)
    ties = ties & (xp.cumulative_sum(xp.astype(ties, xp.int64), axis=1) <= n_ties)
    return xp.where((larger | ties) & (a > 0), a, xp.zeros_like(a))


def weighted_top_k(values, weights, total):
    """Return ``values``, a vector, with all set to 0 but the largest positive ones, up to the sum ``total`` of weights.

    Ties go to the first.
    """
    xp = namespace(values)
    order = xp.argsort(-values, stable=True)
    place = xp.argsort(order, stable=True)
    within = xp.cumulative_sum(xp.take(weights, order)) <= total * (1 + WEIGHT_ROUNDING)
    return xp.where(xp.take(within, place) & (values > 0), values, xp.zeros_like(values))


def above(a, limits):
    """Return ``a`` with entries set to 0 unless they are above the ``limits``, one for each column."""
    return namespace(a).where(a > limits, a, namespace(a).zeros_like(a))


def least_positive(codes):
    """Return the smallest positive entry, or infinity if there is none."""
    xp = namespace(codes)
    return xp.min(xp.where(codes > 0, codes, xp.full_like(codes, float("inf"))))


def move_below_smallest(threshold, smallest, fraction):
    """threshold <- threshold + fraction (b - threshold), or b while it is 0; b is just below a finite ``smallest``."""
    xp = namespace(threshold)
    below = xp.nextafter(smallest, xp.zeros_like(smallest))
    moved = xp.where(threshold > 0, threshold + fraction * (below - threshold), below)
    threshold[...] = xp.where(xp.isfinite(smallest), moved, threshold)


@portable(compiled.column_sums, at=1)
def column_sums(columns, coefficients, out):
    """out_j <- out_j + sum_i coefficient_ij."""
    out += namespace(out).sum(coefficients, axis=0)


@portable(compiled.threshold_gradients, at=1)
def threshold_gradients(columns, values, gradients, weights, thresholds, alpha, bandwidth, out):
    """out_j <- out_j + the straight-through gradient at log theta_j, from pre-activations ``values``."""
    xp = namespace(out)
    near = xp.abs(values - thresholds) < 0.5 * bandwidth * thresholds
    terms = (thresholds * gradients + alpha * weights) / bandwidth
    out -= xp.sum(xp.where(near, terms, xp.zeros_like(terms)), axis=0)


@portable(compiled.project_rows)
def project_rows(gradients, atoms):
    """gradients_j <- gradients_j - (gradients_j D_j) D_j / ||D_j||^2, which removes the part along the atom."""
    xp = namespace(atoms)
    products = xp.sum(gradients * atoms, axis=1, keepdims=True)
    squares = xp.sum(atoms * atoms, axis=1, keepdims=True)
    gradients -= products / xp.where(squares > 0, squares, xp.ones_like(squares)) * atoms


@portable(compiled.normalize_rows)
def normalize_rows(atoms):
    """D_j <- D_j / ||D_j||."""
    xp = namespace(atoms)
    squares = xp.sum(atoms * atoms, axis=1, keepdims=True)
    atoms /= xp.sqrt(xp.where(squares > 0, squares, xp.ones_like(squares)))
