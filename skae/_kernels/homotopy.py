"""The lasso path of one sample, from its first atom down to alpha (LARS; Efron et al. 2004, section 3).

Active atoms share |r_j| = lambda, where r = c - Gh. With a Cholesky factor of their Gram matrix the
direction in which all of them decrease alike is one triangular solve; the atoms outside say when the
next one joins, the codes when one leaves.
"""

import numpy as np

from ._jit import kernel
from .cholesky import append, backward, forward, remove
from .coordinate_descent import descend
from .gap import add_rows


@kernel
def _next_join(pull, slopes, barriers, level, positive, steps, bits):
    """Return the step at which the first outside atom reaches the level, and that atom.

    ``bits`` is the memory of ``steps`` as integers: non-negative floats have the order of their bits, and
    a minimum of integers is a loop that vectorizes.
    """
    one, zero = pull.dtype.type(1), pull.dtype.type(0)
    tiny, huge = pull.dtype.type(1e-6), pull.dtype.type(1e30)
    for j in range(pull.size):
        up, down = one - slopes[j], one + slopes[j]
        rise = (level - pull[j]) / up
        rise = rise if up > tiny else huge
        fall = (level + pull[j]) / down
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
    """Return the step, ``step`` at most, at which the first code becomes 0, and its place or -1."""
    leaving = -1
    for k in range(count):
        if codes[k] * direction[k] < 0:
            t = -codes[k] / direction[k]
            if t < step:
                step, leaving = t, k
    return step, leaving


@kernel
def _turn(factor, gram, support, signs, first, count, solved, direction, slopes):
    """Solve for the ``direction`` in which active |r_j| fall alike, and for how all of r falls in it."""
    forward(factor, signs, first, count, solved)
    for k in range(count):
        direction[k] = solved[k]
    backward(factor, count, direction)
    slopes[:] = slopes.dtype.type(0)
    add_rows(gram, support, direction, count, slopes)


@kernel
def _strongest(pull, positive):
    """Return the largest |r_j|, or r_j for positive codes, and its atom or -1."""
    level, atom = pull.dtype.type(0), -1
    for j in range(pull.size):
        size = pull[j] if positive else abs(pull[j])
        if size > level:
            level, atom = size, j
    return level, atom


@kernel
def follow_path(gram, alpha, positive, max_steps, pull, support, codes, factor, work, bits):
    """Return the number of active atoms at ``alpha``; ``support`` and ``codes`` hold them.

    ``pull`` comes as c and leaves as c - Gh, up to rounding. ``work`` is of shape (6, n_atoms): slopes of
    r, signs, the half-solved system, the direction, barriers (huge where an atom must not join) and
    steps, whose memory ``bits`` shows as integers. Atoms that depend on active ones are left out.
    """
    zero, one, huge = pull.dtype.type(0), pull.dtype.type(1), pull.dtype.type(1e30)
    smallest = pull.dtype.type(1e-5 if pull.itemsize == 4 else 1e-11)
    slopes, signs, solved = work[0], work[1], work[2]
    direction, barriers, steps = work[3], work[4], work[5]
    barriers[:] = zero
    level, joining = _strongest(pull, positive)
    count, fresh, left = 0, 0, -1
    for _ in range(max_steps):
        if level <= alpha:
            break
        if joining >= 0:
            barriers[joining] = huge
            if count < len(factor) and append(factor, gram, support, count, joining, smallest):
                support[count], codes[count] = joining, zero
                signs[count] = one if pull[joining] > zero else -one
                count += 1
        _turn(factor, gram, support, signs, fresh, count, solved, direction, slopes)
        fresh = count
        step, joining = _next_join(pull, slopes, barriers, level, positive, steps, bits)
        if step >= level - alpha:
            step, joining = level - alpha, -1
        step, leaving = _first_exit(codes, direction, count, step)
        for k in range(count):
            codes[k] += step * direction[k]
        for j in range(pull.size):
            pull[j] -= step * slopes[j]
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
def follow_rows(
    gram, alphas, positive, tol, max_iter, max_sets, norms, correlations, codes, gaps, work, bits
):
    """The path of each row, into zeroed ``codes``; ``descend`` mends what rounding left, on ``max_sets`` at most."""
    n_atoms = gram.shape[0]
    pull = np.empty(n_atoms, gram.dtype)
    values = np.empty(n_atoms, gram.dtype)
    support = np.empty(n_atoms, np.int64)
    local = np.empty((n_atoms + 1, n_atoms), gram.dtype)
    for i in range(codes.shape[0]):
        pull[:] = correlations[i]
        count = follow_path(
            gram, alphas[i], positive, max_iter, pull, support, values, local, work, bits
        )
        for k in range(count):
            codes[i, support[k]] = values[k]
        gaps[i] = descend(
            gram,
            alphas[i],
            positive,
            tol,
            max_sets,
            norms[i],
            correlations[i],
            codes[i],
            pull,
            support,
            values,
            local,
        )
