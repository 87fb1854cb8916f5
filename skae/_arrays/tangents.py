"""Products of the tangents and cotangents of a batch: see :mod:`skae._kernels.tangents`.

Here all samples of the batch have the same number of rows, so that the argument ``rows`` is not needed.
"""

from .._kernels import tangents as compiled
from .choice import portable
from .namespace import is_numpy, namespace


def _of_samples(vectors, n_rows):
    """Return rows as an array of shape (n_samples, n_rows, width), with 1 sample if all share the same rows."""
    return namespace(vectors).reshape(vectors, (-1, n_rows, vectors.shape[1]))


@portable(compiled.scale_rows)
def scale_rows(derivatives, tangents, out, rows):
    """out_r <- s'(a_i) t_r for the rows t_r of sample i."""
    n_rows = out.shape[0] // derivatives.shape[0]
    _of_samples(out, n_rows)[...] = derivatives[:, None, :] * _of_samples(tangents, n_rows)


@portable(compiled.scale_rows_backward)
def scale_rows_backward(derivatives, second_derivatives, tangents, cotangents, delta, rows):
    """From cotangents u of s'(a) t: u_r <- s'(a_i) u_r, the one at t; delta_i += s''(a_i) t_r u_r, the one at a."""
    n_rows = cotangents.shape[0] // derivatives.shape[0]
    u, t = _of_samples(cotangents, n_rows), _of_samples(tangents, n_rows)
    delta += second_derivatives * namespace(delta).sum(t * u, axis=1)
    u *= derivatives[:, None, :]


@portable(compiled.squares)
def squares(tangents, sample_weights, gradient):
    """Return sum_ik v_i ||t_ik||^2; ``gradient`` <- its gradient, perhaps in the array of ``tangents``."""
    weighted = sample_weights[:, None, None] * tangents
    value = namespace(tangents).sum(weighted * tangents)
    gradient[...] = 2 * weighted
    return value


def largest_of_rows(x):
    """Return a mask of the largest number of each row."""
    xp, place = namespace(x), {} if is_numpy(x) else {"device": x.device}
    return xp.arange(x.shape[1], **place)[None, :] == xp.argmax(x, axis=1)[:, None]


def exceeds(significance, tolerance):
    """Return a mask of numbers >= 0: False for small ones, which add up to at most a fraction ``tolerance`` of all."""
    xp, (n_rows, n_columns) = namespace(significance), significance.shape
    least = xp.sum(significance) * (tolerance / (n_rows * n_columns))
    return ~(significance <= least)  # NaN is kept, so that divergence is detected


def restrict(slopes, significant, reference):
    """Replace slopes t_ikj by t_ikj - t_ikr for the logits j of the mask ``significant``, and by 0 for others.

    Logits r are those of the mask ``reference``, one of each sample; t_ikr is 0 if it is None.
    """
    xp = namespace(slopes)
    if reference is not None:
        own = xp.where(reference[:, None, :], slopes, xp.zeros_like(slopes))
        slopes -= xp.sum(own, axis=2, keepdims=True)
    slopes[...] = xp.where(significant[:, None, :], slopes, xp.zeros_like(slopes))


def restrict_backward(gradients, significant, reference):
    """Replace gradients at what ``restrict`` made by those at the slopes that it was given."""
    xp = namespace(gradients)
    gradients[...] = xp.where(significant[:, None, :], gradients, xp.zeros_like(gradients))
    if reference is not None:
        total = xp.sum(gradients, axis=2, keepdims=True)
        gradients -= xp.where(reference[:, None, :], total, xp.zeros_like(total))
