"""The lasso over groups of atoms, which may overlap."""

import numpy as np

from .._arrays.namespace import row_products
from .._arrays.shrinkage import gaps_of_bounds
from .._kernels.groups import group_bounds, group_norms, shrink_groups
from ._problems import Quadratic


def group_members(groups, n_atoms):
    """Return ``(starts, members)`` of lists of atoms; raise ValueError unless each atom is in a group."""
    groups = [_indices(group) for group in groups]
    members = np.concatenate([*groups, np.empty(0, np.intp)])
    missing = np.setdiff1d(np.arange(n_atoms), members)
    if missing.size:
        raise ValueError(
            f"groups must hold each of the {n_atoms} atoms; {missing[:5].tolist()} are in none. Add [j] to make "
            "atom j a group of its own."
        )
    if members.size != n_atoms and (members.min() < 0 or members.max() >= n_atoms):
        raise ValueError(f"groups must hold indices of atoms, from 0 to {n_atoms - 1}.")
    starts = np.cumsum([0, *(len(group) for group in groups if len(group))])
    return starts, members


def _indices(group):
    """Return the indices of a group, in order; numpy would take fractions and masks for indices, too."""
    indices = np.asarray(group)
    if indices.size and indices.dtype.kind not in "iu":
        raise ValueError(f"groups must hold lists of indices of atoms; got {group!r}.")
    return np.unique(indices).astype(np.intp)


class GroupLasso(Quadratic):
    """min_h ||x - h D||^2 / 2 + alpha sum_g ||h_g|| + ridge ||h - p||^2 / 2 for each row x, with prior p.

    Parameters
    ----------
    dictionary : ndarray of shape (n_atoms, n_features)
    alpha : float
    groups : (starts, members)
        See ``group_members``.
    ridge : float
    positive : bool
    """

    kind = "groups"
    algorithms = ("fista", "ista")
    has_gaps = True

    def __init__(self, dictionary, alpha, groups, *, ridge=0.0, positive=False):
        super().__init__(dictionary, alpha, ridge=ridge, positive=positive)
        self._groups = groups
        self._counts = np.bincount(groups[1]).astype(dictionary.dtype)

    def size(self, codes):
        """Return sum_g ||h_g|| of each row of codes."""
        sizes = np.empty(len(codes))
        group_norms(codes, *self._groups, sizes)
        return sizes

    def start(self, n_rows):
        """Return the initial memory of ``shrink``: the dual variables of rows, 0."""
        return np.zeros((n_rows, self._groups[1].size), self.dictionary.dtype)

    def shrink(self, points, alphas, step, precision, memory, out):
        """out <- the proximal step of the penalty at ``points``."""
        precision = points.dtype.type(precision)
        shrink_groups(points, alphas, step, self.positive, precision, *self._groups, memory, out)

    def gaps(self, rows, residual_corr, codes, duals):
        """Return upper bounds on the distance of ``rows``, their ``RowStatistics``, from the optimum.

        ``duals`` are the dual variables of the last step, divided by its step size; they split the correlations among
        groups.
        """
        correlations, squared_norms, alphas = rows
        bounds, precision = np.empty(len(codes)), residual_corr.dtype.type(1e-6)
        (starts, members), counts, positive = self._groups, self._counts, self.positive
        group_bounds(
            residual_corr, alphas, positive, precision, starts, members, counts, duals, bounds
        )
        moved = row_products(codes, residual_corr, np.float64)
        unexplained = squared_norms - row_products(codes, correlations, np.float64)
        return gaps_of_bounds(unexplained, moved, alphas, positive, bounds, self.size(codes))
