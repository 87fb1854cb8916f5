"""The lasso path of one sample, from its first atom down to alpha (LARS; Efron et al. 2004, section 3).

Active atoms have |r_j| = lambda, where r = c - Gh. With a Cholesky factor of their Gram matrix, the direction in which
these |r_j| decrease equally takes two triangular solves. The next atom joins when its |r_j| reaches lambda, and an
active one leaves when its code becomes 0.
"""

from typing import NamedTuple

import numpy as np

from ._jit import kernel
from .cholesky import append, backward, forward, remove
from .coordinate_descent import descend, descent_buffers
from .gap import add_rows, copy


class PathBuffers(NamedTuple):
    """Memory of ``follow_path`` for one sample, in vectors of one number for each atom.

    Parameters
    ----------
    rates : ndarray
        Rates at which r falls.
    signs : ndarray
        Signs of r at active atoms.
    solved : ndarray
        Solution of the lower one of both triangular systems.
    direction : ndarray
        Direction of the codes of active atoms.
    barriers : ndarray
        Huge where an atom must not join, else 0.
    steps : ndarray
        Steps after which atoms join.
    step_bits : ndarray of int
        The memory of ``steps`` as integers.
    """

    rates: np.ndarray
    signs: np.ndarray
    solved: np.ndarray
    direction: np.ndarray
    barriers: np.ndarray
    steps: np.ndarray
    step_bits: np.ndarray


@kernel
def _next_join(residual_corr, rates, barriers, level, positive, steps, bits):
    """Return the step at which the first inactive atom reaches the level, and that atom.

    ``bits`` is the buffer of ``steps`` viewed as integers: non-negative floats have the order of their bits, and the
    loop for a minimum of integers vectorizes.
    """
    one, zero = residual_corr.dtype.type(1), residual_corr.dtype.type(0)
    tiny = residual_corr.dtype.type(1e-6)
    huge = residual_corr.dtype.type(1e30 if residual_corr.itemsize == 4 else 1e300)
    for j in range(residual_corr.size):
        up, down = one - rates[j], one + rates[j]
        rise = (level - residual_corr[j]) / up
        rise = rise if up > tiny else huge
        fall = (level + residual_corr[j]) / down
        fall = fall if down > tiny and not positive else huge
        step = rise if rise < fall else fall
        steps[j] = (step if step > zero else zero) + barriers[j]
    first = bits[0]
    for j in range(bits.size):
        first = min(first, bits[j])
    for j in range(bits.size):
        if bits[j] == first:
            return steps[j], j
    return steps[0], 0


@kernel
def _first_exit(codes, direction, count, step):
    """Return the step, at most ``step``, at which the first code becomes 0, and its position or -1."""
    leaving = -1
    for k in range(count):
        if codes[k] * direction[k] < 0:
            t = -codes[k] / direction[k]
            if t < step:
                step, leaving = t, k
    return step, leaving


@kernel
def _turn(factor, gram, support, signs, first, count, solved, direction, rates):
    """Find the ``direction`` of the codes in which all active |r_j| fall equally, and the ``rates`` of all r_j."""
    forward(factor, signs, first, count, solved)
    for k in range(count):
        direction[k] = solved[k]
    backward(factor, count, direction)
    rates[:] = rates.dtype.type(0)
    add_rows(gram, support, direction, count, rates)


@kernel
def _strongest(residual_corr, positive):
    """Return the largest |r_j|, or r_j for positive codes, and its atom or -1."""
    level, atom = residual_corr.dtype.type(0), -1
    for j in range(residual_corr.size):
        size = residual_corr[j] if positive else abs(residual_corr[j])
        if size > level:
            level, atom = size, j
    return level, atom


@kernel
def follow_path(gram, alpha, positive, max_steps, residual_corr, support, codes, factor, buffers):
    """Return the number of active atoms at ``alpha``; ``support`` are these atoms, and ``codes`` their codes.

    ``residual_corr`` is c on entry and c - Gh on return, up to rounding. ``factor`` is memory for the Cholesky factor.
    Atoms that are linear combinations of active ones do not join.
    """
    zero = residual_corr.dtype.type(0)
    one = residual_corr.dtype.type(1)
    huge = residual_corr.dtype.type(1e30 if residual_corr.itemsize == 4 else 1e300)
    smallest = residual_corr.dtype.type(1e-5 if residual_corr.itemsize == 4 else 1e-11)
    rates, signs, solved, direction, barriers, steps, bits = buffers
    barriers[:] = zero
    level, joining = _strongest(residual_corr, positive)
    count, fresh, left = np.int64(0), np.int64(0), -1  # plain zeros would compile functions twice
    for _ in range(max_steps):
        if level <= alpha:
            break
        if joining >= 0:
            barriers[joining] = huge
            if count < len(factor) and append(factor, gram, support, count, joining, smallest):
                support[count], codes[count] = joining, zero
                signs[count] = one if residual_corr[joining] > zero else -one
                count += 1
        _turn(factor, gram, support, signs, fresh, count, solved, direction, rates)
        fresh = count
        step, joining = _next_join(residual_corr, rates, barriers, level, positive, steps, bits)
        if step >= level - alpha:
            step, joining = level - alpha, -1
        step, leaving = _first_exit(codes, direction, count, step)
        for k in range(count):
            codes[k] += step * direction[k]
        for j in range(residual_corr.size):
            residual_corr[j] -= step * rates[j]
        level -= step
        if left >= 0:
            barriers[left] = zero
            left = -1
        if leaving >= 0:
            left, joining = support[leaving], -1
            remove(factor, count, leaving)
            count -= 1
            for k in range(leaving, count):
                support[k], codes[k], signs[k] = support[k + 1], codes[k + 1], signs[k + 1]
            fresh = leaving
    return count


@kernel
def follow_rows(gram, rows, positive, tol, max_iter, max_sets, codes, gaps, path_buffers):
    """Follow the path of each row, and write its codes into ``codes``, which are 0 on entry.

    ``rows`` are ``RowStatistics``. ``descend`` then corrects rounding errors, on at most ``max_sets`` working sets.
    """
    buffers = descent_buffers(gram)
    residual_corr, support, values, local = buffers
    for i in range(codes.shape[0]):
        alpha, correlation = rows.alphas[i], rows.correlations[i]
        copy(correlation, residual_corr)
        count = follow_path(
            gram, alpha, positive, max_iter, residual_corr, support, values, local, path_buffers
        )
        for k in range(count):
            # Several codes may become 0 at once, and all but the first one a little less by rounding.
            lost = positive and values[k] < 0
            codes[i, support[k]] = codes.dtype.type(0) if lost else values[k]
        squared_norm = rows.squared_norms[i]
        gaps[i] = descend(
            gram, alpha, positive, tol, max_sets, squared_norm, correlation, codes[i], buffers
        )
