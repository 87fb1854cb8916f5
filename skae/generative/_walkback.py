"""Chain of a denoising auto-encoder: corrupt, reconstruct, draw."""

from collections import Counter
from numbers import Real
from typing import Any

import numpy as np

from .._arrays.underflow import ignoring_underflow
from .._estimators.fitting import generator
from .._estimators.parameters import warn_of_argument
from .._estimators.training import parameters_of_fit
from .._typing import ArrayLike, Corruption, FloatArray, RandomState
from ..nn.corruption import CORRUPTIONS, Swap
from ..nn.losses import Gaussian
from ..nn.user_parts import checked_corruption
from ._checks import check_decoder, check_schedule, checked_rows, kept_states


@ignoring_underflow
def sample_walkback(
    model: Any,
    x0: ArrayLike,
    n_steps: int = 100,
    *,
    corruption: Corruption | None = None,
    corruption_level: float | None = None,
    output_noise: float | ArrayLike | None = None,
    burn_in: int = 0,
    thin: int = 1,
    random_state: RandomState = None,
) -> FloatArray:
    """Return states of chains that corrupt x and redraw it from the output units (Bengio et al. 2013).

    A step draws a corruption x~ of x, then ``x' ~ p(x | x~)``. The stationary distribution is that of the data if p is
    the distribution of clean data given corrupted data. Bernoulli cells and one of each multinomial group are drawn.
    Gaussian columns are normal around their mean with standard deviation ``output_noise``, which the model does not
    learn.

    Parameters
    ----------
    model : fitted auto-encoder, StackedAE or RecurrentAE
        Model with a decoder.
    x0 : array-like of shape (n_chains, n_features)
        Initial states of the chains.
    n_steps : int, default=100
        Number of steps of each chain.
    corruption : {'masking', 'salt_and_pepper', 'gaussian', 'swap'} or callable, default=None
        Kind of corruption, by default that of training. Swap takes values of the other chains. A callable is
        ``f(X, seed, out)``.
    corruption_level : float, default=None
        Fraction of the cells that are corrupted; for gaussian, the standard deviation of the noise for scaled
        columns. By default that of training, if ``corruption`` is too.
    output_noise : float or array-like of shape (n_features,), default=None
        Standard deviation of the draws of gaussian columns, on the scale of X. A good value is the root of their mean
        squared error in reconstructing corrupted data. None takes their means, which makes the chains too narrow.
    burn_in : int, default=0
        Number of first steps whose states are dropped.
    thin : int, default=1
        Interval between the states that are kept after ``burn_in``.
    random_state : int, RandomState instance or None, default=None
        Random seed of corruptions and draws.

    Returns
    -------
    samples : ndarray of shape (n_kept, n_chains, n_features)
        States of the chains, with ``n_kept = (n_steps - burn_in) // thin``.

    Raises
    ------
    ValueError
        If x0 or a parameter is invalid, the model has no corruption and none is given, or all rows of x0 are the same
        and ``'swap'`` would change nothing.
    TypeError
        If the model has no decoder.

    References
    ----------
    Bengio, Y., Yao, L., Alain, G. & Vincent, P. Generalized denoising auto-encoders as generative models. NIPS 2013,
    section 2 (the chain; walkback itself is a training that starts from it).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAE
    >>> from skae.generative import sample_walkback
    >>> X = (load_digits().data > 7).astype(float)
    >>> dae = DenoisingAE(50, loss="bernoulli", max_iter=5, random_state=0).fit(X)
    >>> samples = sample_walkback(dae, X[:10], n_steps=20, thin=5, random_state=0)
    >>> samples.shape, sorted(set(samples.ravel().tolist()))
    ((4, 10, 64), [0.0, 1.0])
    """
    check_decoder(model)
    fitted, x = model.model_, checked_rows(model, x0)
    corrupt = _chosen_corruption(model, corruption, corruption_level)
    noise = fitted.scaling.apply_difference(
        _checked_noise(output_noise, x.dtype, fitted.scaling.n_features)
    )
    check_schedule(n_steps, burn_in, thin)
    if isinstance(corrupt, Swap) and (x == x[0]).all():
        raise ValueError(
            "corruption='swap' takes values of other chains: give rows that differ in x0, or another corruption."
        )
    chain = _denoising_chain(fitted, x, corrupt, noise, generator(random_state))
    return kept_states(chain, fitted.scaling, x, n_steps, burn_in, thin)


def _chosen_corruption(model, corruption, level):
    """Return the given corruption, by default that of the training of ``model``."""
    units = model.model_.units
    params = parameters_of_fit(model) if corruption is None else {}
    corruption = params.get("corruption", corruption)
    if callable(corruption):
        if level is not None:
            warn_of_argument(f"corruption_level={level}", "a corruption with a name")
        return units.make_corruption(corruption, level)
    if not (isinstance(corruption, str) and corruption in CORRUPTIONS):
        raise ValueError(
            f"corruption must be one of {sorted(CORRUPTIONS)} or a callable, for a model that was trained "
            f"without one; got {corruption!r}. The chains of skae.generative.sample_chain need none."
        )
    level = params.get("corruption_level") if level is None else level
    if not (isinstance(level, Real) and 0 <= level < np.inf):
        raise ValueError(
            f"corruption_level must be a number >= 0 with corruption={corruption!r}; got {level!r}."
        )
    return units.make_corruption(corruption, level)


def _checked_noise(output_noise, dtype, n_features):
    """Return the standard deviation of each column of X; None stands for zero."""
    try:
        noise = np.asarray(0 if output_noise is None else output_noise, dtype=dtype)
    except (TypeError, ValueError):  # it is no number
        noise = np.array(np.nan)
    if noise.shape not in ((), (n_features,)) or not ((noise >= 0) & (noise < np.inf)).all():
        raise ValueError(
            f"output_noise must be a number >= 0, or one for each of {n_features} features; got {output_noise!r}."
        )
    return np.broadcast_to(noise, n_features)


def _denoising_chain(fitted, x, corruption, noise, rng):
    """Yield x' ~ p(x | x~), x~ ~ corruption(x)."""
    gaussian, corrupt = fitted.loss.columns_of(Gaussian), checked_corruption(corruption)
    while True:
        x = fitted.network.reconstruct(fitted.params, _corrupted(x, corrupt, rng))
        corrupt = corruption  # a user's function is checked at its first call
        means = x[:, gaussian]
        fitted.loss.sample(x, rng)
        x[:, gaussian] = means + noise[gaussian] * rng.standard_normal(means.shape, means.dtype)
        yield x


def _corrupted(x, corruption, rng):
    """Return a corruption of each row; equal rows get different seeds, or their chains would stay together."""
    out, (first, *others) = np.empty_like(x), _without_copies(x)
    for rows, beside in [(first, []), *((rows, first) for rows in others)]:
        clean = x[rows + beside]  # noise that swaps cells needs rows that differ
        corrupted = np.empty_like(clean)
        corruption(clean, rng.integers(2**63, dtype=np.uint64), corrupted)
        out[rows] = corrupted[: len(rows)]
    return out


def _without_copies(x):
    """Return lists of row indices, such that the rows of each list are all different."""
    seen, parts = Counter(), []
    for i, row in enumerate(x):
        content = row.tobytes()
        if seen[content] == len(parts):
            parts.append([])
        parts[seen[content]].append(i)
        seen[content] += 1
    return parts
