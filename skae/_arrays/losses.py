"""Reconstruction losses from logits: see :mod:`skae._kernels.losses`."""

from .._kernels import losses as compiled
from .activations import logistic, softplus_of
from .choice import portable
from .namespace import namespace, zero_if_tiny


def _cells(cell_weights, start, stop):
    """Return the loss weights of some columns, or 1 if there are no weights."""
    return cell_weights[:, start:stop] if cell_weights.shape[0] else 1


@portable(compiled.gaussian, places=(2,))
def gaussian(logits, target, columns, sample_weights, cell_weights, values):
    """Add sum_j (a_j - x_j)^2 / 2 to ``values``."""
    for start, stop in columns:
        error = logits[:, start:stop] - target[:, start:stop]
        cells = _cells(cell_weights, start, stop)
        values += namespace(logits).sum(0.5 * error * error * cells, axis=1)
        logits[:, start:stop] = sample_weights[:, None] * error * cells


@portable(compiled.bernoulli, places=(2,))
def bernoulli(logits, target, columns, sample_weights, cell_weights, values):
    """Add sum_j softplus(a_j) - x_j a_j, the cross-entropy of sigmoid(a_j), to ``values``."""
    for start, stop in columns:
        a, x = logits[:, start:stop], target[:, start:stop]
        cells = _cells(cell_weights, start, stop)
        values += namespace(logits).sum((softplus_of(a) - x * a) * cells, axis=1)
        logits[:, start:stop] = zero_if_tiny(sample_weights[:, None] * (logistic(a) - x) * cells)


@portable(compiled.multinomial, places=(2, 3))
def multinomial(logits, target, indices, offsets, sample_weights, cell_weights, values):
    """Add -sum_j x_j log softmax(a)_j, for each group of columns, to ``values``."""
    xp = namespace(logits)
    for first, last in zip(offsets, offsets[1:]):
        runs = runs_of(indices[first:last])
        a, x = (xp.concat([each[:, i:j] for i, j in runs], axis=1) for each in (logits, target))
        if cell_weights.shape[0]:
            x = x * xp.concat([cell_weights[:, i:j] for i, j in runs], axis=1)
        a = a - xp.max(a, axis=1, keepdims=True)
        exponentials = xp.exp(a)
        normalizer = xp.sum(exponentials, axis=1, keepdims=True)
        mass = xp.sum(x, axis=1, keepdims=True)
        values += mass[:, 0] * xp.log(normalizer[:, 0]) - xp.sum(x * a, axis=1)
        gradient = sample_weights[:, None] * (mass * exponentials / normalizer - x)
        put_back(zero_if_tiny(gradient), runs, logits)


def softmax(logits, indices):
    """Return the means of the columns ``indices``, a sequence, from their logits; tiny ones are 0."""
    xp, runs = namespace(logits), runs_of(indices)
    a = xp.concat([logits[:, i:j] for i, j in runs], axis=1)
    exponentials = xp.exp(a - xp.max(a, axis=1, keepdims=True))
    return zero_if_tiny(exponentials / xp.sum(exponentials, axis=1, keepdims=True))


def put_back(values, runs, out):
    """Fill the columns of ``runs`` with ``values``."""
    place = 0
    for start, stop in runs:
        out[:, start:stop] = values[:, place : place + stop - start]
        place += stop - start


def runs_of(columns):
    """Return the runs [start, stop) that together are ``columns``, in their order."""
    # Plain Python, which torch.compile traces; columns are a tuple there.
    runs = [[columns[0], columns[0] + 1]]
    for column in columns[1:]:
        if column == runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([column, column + 1])
    return runs
