"""Products with sparse codes: reconstructions and gradients, which use the active atoms only.

Codes are CSR arrays: row i has ``values[starts[i]:starts[i + 1]]`` in ascending ``columns``. Nested groups of atoms end
at ``ends``; the g-th reconstruction is the sum of the atoms of the first g groups.
"""

import numpy as np

from ._jit import kernel
from .gap import copy


@kernel
def decode_rows(starts, columns, values, atoms, bias, out, first, last):
    """out_i <- sum_j h_ij D_j + bias, for the rows from ``first`` to ``last``."""
    for i in range(first, last):
        row = out[i]
        copy(bias, row)
        for p in range(starts[i], starts[i + 1]):
            value, atom = values[p], atoms[columns[p]]
            for c in range(row.size):
                row[c] += value * atom[c]


@kernel
def fill_errors(
    starts, columns, values, atoms, bias, ends, targets, weights, errors, losses, first, last
):
    """Reconstruct the rows of ``targets`` from ``first`` to ``last`` by each of the nested groups.

    errors_gi <- weight_i / G sum over g' >= g of r_g'i - x_i, the gradient at the part of group g; losses_i <- the mean
    over groups of ||r_gi - x_i||^2 / 2.
    """
    n_groups, half = len(ends), weights.dtype.type(0.5)
    fraction = weights.dtype.type(1) / weights.dtype.type(n_groups)
    residual = np.empty(targets.shape[1], targets.dtype)
    for i in range(first, last):
        target, p, loss = targets[i], starts[i], half - half
        for c in range(residual.size):
            residual[c] = bias[c] - target[c]
        for g in range(n_groups):
            while p < starts[i + 1] and columns[p] < ends[g]:
                value, atom = values[p], atoms[columns[p]]
                for c in range(residual.size):
                    residual[c] += value * atom[c]
                p += 1
            error, squares, scale = errors[g, i], half - half, fraction * weights[i]
            for c in range(residual.size):
                squares += residual[c] * residual[c]
                error[c] = scale * residual[c]
            loss += half * fraction * squares
        losses[i] = loss
        for g in range(n_groups - 2, -1, -1):
            error, above = errors[g, i], errors[g + 1, i]
            for c in range(residual.size):
                error[c] += above[c]


@kernel
def code_gradients(starts, columns, atoms, ends, errors, out, first, last):
    """out_p <- errors_gi D_j, the gradient at the p-th code, of atom j in group g, for some rows."""
    for i in range(first, last):
        g = 0
        for p in range(starts[i], starts[i + 1]):
            while columns[p] >= ends[g]:
                g += 1
            atom, error, total = atoms[columns[p]], errors[g, i], out.dtype.type(0)
            for c in range(error.size):
                total += error[c] * atom[c]
            out[p] = total


@kernel
def by_column(starts, columns, column_starts, rows, places):
    """Sort entries by column: those of column j begin at ``column_starts_j`` in ``rows`` and ``places``."""
    column_starts[:] = 0
    for p in range(len(columns)):
        column_starts[columns[p] + 1] += 1
    for j in range(1, len(column_starts)):
        column_starts[j] += column_starts[j - 1]
    for i in range(len(starts) - 1):
        for p in range(starts[i], starts[i + 1]):
            place = column_starts[columns[p]]
            rows[place], places[place] = i, p
            column_starts[columns[p]] = place + 1
    for j in range(len(column_starts) - 1, 0, -1):
        column_starts[j] = column_starts[j - 1]
    column_starts[0] = 0


@kernel
def add_weighted_rows(column_starts, rows, places, coefficients, vectors, first, last, out):
    """out_j <- out_j + sum_i coefficient_ij v_i over the entries of column j, for columns ``first`` to ``last``."""
    for j in range(first, last):
        row = out[j]
        for q in range(column_starts[j], column_starts[j + 1]):
            coefficient, vector = coefficients[places[q]], vectors[rows[q]]
            for c in range(row.size):
                row[c] += coefficient * vector[c]


@kernel
def column_sums(columns, coefficients, out):
    """out_j <- out_j + sum_i coefficient_ij over the entries of column j."""
    for p in range(len(columns)):
        out[columns[p]] += coefficients[p]


@kernel
def threshold_gradients(columns, values, gradients, weights, thresholds, alpha, bandwidth, out):
    """out_j <- out_j + the straight-through gradient at log theta_j, with a rectangle K of width w as the kernel.

    The gradient at theta is -theta K / w for the code a H(a - theta), and -K / w for its count H(a - theta)
    (Rajamanoharan et al. 2024); w is ``bandwidth`` times theta.
    """
    half = thresholds.dtype.type(0.5)
    for p in range(len(columns)):
        j = columns[p]
        theta = thresholds[j]
        if abs(values[p] - theta) < half * bandwidth * theta:
            out[j] -= (theta * gradients[p] + alpha * weights[p]) / bandwidth


@kernel
def project_rows(gradients, atoms):
    """gradients_j <- gradients_j - (gradients_j D_j) D_j / ||D_j||^2, which removes the part along the atom."""
    zero = atoms.dtype.type(0)
    for j in range(atoms.shape[0]):
        gradient, atom, product, squares = gradients[j], atoms[j], zero, zero
        for c in range(atom.size):
            product += gradient[c] * atom[c]
            squares += atom[c] * atom[c]
        factor = product / squares if squares > zero else zero
        for c in range(atom.size):
            gradient[c] -= factor * atom[c]


@kernel
def normalize_rows(atoms):
    """D_j <- D_j / ||D_j||."""
    one = atoms.dtype.type(1)
    for j in range(atoms.shape[0]):
        atom, squares = atoms[j], one - one
        for c in range(atom.size):
            squares += atom[c] * atom[c]
        if squares > one - one:
            scale = one / np.sqrt(squares)
            for c in range(atom.size):
                atom[c] *= scale
