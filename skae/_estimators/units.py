"""From the parameters ``loss`` and ``standardize`` to the scaling of X and the output units of a network."""

from dataclasses import dataclass

import numpy as np
from scipy.special import entr, xlogy

from .._arrays.namespace import dense
from .._compat import _get_column_indices
from ..nn.losses import LOSSES, Gaussian, Multinomial, Reconstruction
from ..nn.scaling import Scaling, no_scaling
from .columns import Columns, one_hot_groups, power_of_two
from .fit_warnings import warn_of_range, warn_of_scales

_ROWS = 512  # rows from which a mean is estimated
_PIXELS = 32  # fewer columns on one scale are not an image
_MOST_COUNTED = 1e12  # rows beside which half a row is more than rounding


@dataclass
class Units:
    """How a network sees the columns of X and reconstructs them: their scaling, and the losses of the output units.

    Parameters
    ----------
    scaling : Scaling
    loss : Reconstruction
        Loss of the scaled columns that vary.
    named : Reconstruction or None
        Losses of the columns of X, if the user has named them; X must be in their range.
    column_losses : list of (str, ndarray)
        Name of each loss and the columns of X that it applies to.
    base_logits : ndarray of shape (n_inputs,)
        Logits of the best constant reconstruction, the columns' means.
    constant_losses : dict of float
        Mean loss of that reconstruction above its minimum, by name of the loss: the scale of the loss.
    least_loss : float, default=0.0
        That minimum; the cross-entropy of gray values in [0, 1] is never 0.
    groups : ndarray of int of shape (n_inputs,) or None
        For each input, the index of the first input of its one-hot group; None if there is no group.
    limits : (ndarray, ndarray) or None
        Smallest and largest value of each input in training; None if they are not known.
    """

    scaling: Scaling
    loss: Reconstruction
    named: Reconstruction | None
    column_losses: list
    base_logits: np.ndarray
    constant_losses: dict
    least_loss: float = 0.0
    groups: np.ndarray | None = None
    limits: tuple | None = None

    @property
    def means(self):
        """The means of the inputs: ndarray of shape (n_inputs,)."""
        return self.loss.activate(self.base_logits[np.newaxis].copy())[0]

    @property
    def constant_loss(self):
        """The mean loss of the best constant reconstruction: float."""
        return self.least_loss + sum(self.constant_losses.values())

    def check(self, X, names):
        """Raise ``ValueError`` if X is outside the range of a loss that the user has named; warn for other losses."""
        if self.named is not None:
            self.named.check(X, names)
            return
        binary = dict(self.column_losses).get("bernoulli")
        if binary is not None:
            warn_of_range(X, binary, self.scaling, names, self.loss.parameter)


def make_units(
    loss,
    X,
    frame,
    sample_weight=None,
    *,
    standardize="auto",
    machine=False,
    parameter="loss",
    n_units=None,
):
    """Return the ``Units`` that ``loss`` and ``standardize`` describe for the validated ``X``.

    Parameters
    ----------
    loss : str or list of (str, columns)
    X : ndarray or CSR matrix
    frame : array-like
        X as the user gave it, with columns that may have names.
    sample_weight : ndarray or None
    standardize : {'auto', 'columns', 'shared', False}
    machine : bool, default=False
        Whether the units are those of a Boltzmann machine, which treats columns in a common range as probabilities.
    parameter : str, default='loss'
        Name of ``loss`` in the estimator, for error messages.
    n_units : int, default=None
        Number of sigmoid units with tied weights. Gaussian columns are scaled to the variance that suits them, see
        :func:`suitable_variance`.

    Raises
    ------
    ValueError
        If a name is unknown, or the columns do not cover each column of X once.
    """
    stats = Columns(X, sample_weight)
    standardize = "auto" if standardize is True else standardize
    if not standardize:
        warn_of_scales(stats, getattr(frame, "columns", range(X.shape[1])))
    if loss == "auto":
        binary_as_real = standardize and n_units is not None and n_units > stats.varies.sum()
        pairs, scaling = _chosen_losses(
            X, stats, standardize, machine, sample_weight, binary_as_real
        )
    else:
        pairs = _given_losses(loss, X, frame, parameter)
        scaling = _scaling_of_given(pairs, stats, standardize)
    if standardize and n_units is not None:
        has_groups = "multinomial" in dict(pairs)
        factor = suitable_variance(n_units, scaling.n_inputs, beside_groups=has_groups) ** 0.5
        scaling = scaling.times(factor, [columns for name, columns in pairs if name == "gaussian"])
    input_loss = Reconstruction(_losses_of_inputs(pairs, scaling), parameter)
    named = None if loss == "auto" else Reconstruction(_parts(pairs), parameter)
    losses, least_loss = _constant_losses(X, pairs, stats, scaling, sample_weight)
    return Units(
        scaling=scaling,
        loss=input_loss,
        named=named,
        column_losses=pairs,
        base_logits=_base_logits(input_loss, stats, scaling),
        constant_losses=losses,
        least_loss=least_loss,
        groups=_groups(input_loss, stats, scaling),
        limits=_limits(stats, scaling),
    )


def plain_units(n_features):
    """Return the ``Units`` of real columns that are not scaled."""
    columns = np.arange(n_features)
    loss = Reconstruction([LOSSES["gaussian"](columns)])
    pairs, losses = [("gaussian", columns)], {"gaussian": n_features / 2}
    return Units(no_scaling(n_features), loss, None, pairs, np.zeros(n_features), losses)


def suitable_variance(n_units, n_inputs, *, beside_groups=False):
    """Return the variance of the inputs that suits sigmoid units with tied weights.

    With many units for few columns, each unit would use only a small, linear part of the sigmoid, so that codes would
    be a linear map of X. With few units for many columns, noise would saturate the units. One-hot groups are not
    scaled: codes would hardly depend on them if other columns had a larger variance.
    """
    return float(np.clip(n_units / n_inputs, 0.1, 4 if beside_groups else 8))


def _chosen_losses(X, stats, standardize, machine, sample_weight, binary_as_real):
    """Return (loss, columns) pairs that suit X, and the scaling.

    With ``binary_as_real``, 0/1 columns outside of one-hot groups are gaussian and standardized.
    """
    # 1. One-hot groups are multinomial, other 0/1 columns bernoulli.
    groups = one_hot_groups(X, stats.zero_one, sample_weight)
    grouped = np.zeros(X.shape[1], bool)
    for start, stop in groups:
        grouped[start:stop] = True
    binary, real = _binary_and_real(stats, ~grouped, machine)
    # 2. Columns on one scale, such as pixels, become fractions of [low, high] if nearly binary, else share a deviation.
    block, limits = _shared_block(stats, real, binary, standardize)
    real, binary = real & ~block, binary & ~block
    if binary_as_real:
        real, binary = real | binary, np.zeros_like(binary)
    center, scale = np.zeros(X.shape[1]), np.ones(X.shape[1])
    pixels = block.sum() >= _PIXELS and stats.nearly_binary(block, *limits)
    if block.any() and (machine or pixels):
        binary = binary | block
        if standardize:
            center[block], scale[block] = limits[0], limits[1] - limits[0]
    else:
        _standardize(stats, block, center, scale, standardize and "shared")
    # 3. All others are gaussian, each with its own deviation.
    _standardize(stats, real, center, scale, standardize and "columns")
    pairs = [("multinomial", np.arange(start, stop)) for start, stop in groups]
    pairs += [
        (name, np.flatnonzero(chosen))
        for name, chosen in (("bernoulli", binary), ("gaussian", ~binary & ~grouped))
        if chosen.any()
    ]
    return pairs, _without_constants(stats, center, scale, standardize)


def _binary_and_real(stats, ungrouped, machine):
    """Return masks of the 0/1 columns and of the real ones, among those that vary and are in no one-hot group."""
    binary = stats.zero_one & stats.varies & ungrouped
    real = stats.varies & ~binary & ungrouped
    if machine and (stats.low[real] >= 0).all() and (stats.high[real] <= 1).all():
        # Values in [0, 1] are probabilities of ones.
        return binary | real, np.zeros_like(real)
    return binary, real


def _shared_block(stats, real, binary, standardize):
    """Return a mask of the columns that are on one scale, and their (low, high)."""
    none = np.zeros(len(real), bool), None
    if standardize == "columns" or not real.any():
        return none
    limits = stats.common_range(np.flatnonzero(real))
    if limits is None and standardize == "shared":
        limits = stats.low[real].min(), stats.high[real].max()
    if limits is None or (not standardize and limits != (0, 1)):
        return none
    low, high = limits
    # Some pixels are only 0 or 1 where others go to 16: a few 0/1 columns among the real ones are on the same scale.
    few = low == 0 and binary.sum() <= real.sum() / 4
    return real | (binary & stats.varies) if few else real, limits


def _standardize(stats, chosen, center, scale, how):
    """Fill in means and standard deviations of the ``chosen`` columns: one deviation each, or a ``'shared'`` one.

    ``how`` is ``'columns'``, ``'shared'`` or False, which leaves the columns as they are.
    """
    if not how or not chosen.any():
        return
    deviation = stats.deviation[chosen]
    if how == "shared" and deviation.any():
        largest = power_of_two(deviation.max())
        deviation = np.full_like(deviation, largest * np.sqrt(np.mean((deviation / largest) ** 2)))
    deviation = np.where(deviation > 0, deviation, 1)
    # Rounded to 2^-32 of the deviation: rows in another order, or repeated instead of weighted, are scaled to the same
    # bits.
    unit = np.maximum(power_of_two(deviation) / 2**31, np.finfo(float).tiny)
    center[chosen] = np.round(stats.mean[chosen] / unit) * unit
    scale[chosen] = np.round(deviation / unit) * unit


def _scaling_of_given(pairs, stats, standardize):
    """Return the scaling for named losses: gaussian columns are standardized, others already have their range."""
    n_features = len(stats.mean)
    center, scale, gaussian = np.zeros(n_features), np.ones(n_features), np.zeros(n_features, bool)
    for name, chosen in pairs:
        gaussian[chosen] |= name == "gaussian"
    gaussian &= stats.varies
    how = standardize
    if standardize == "auto":
        on_one_scale = stats.common_range(np.flatnonzero(gaussian)) is not None
        how = "shared" if on_one_scale else "columns"
    _standardize(stats, gaussian, center, scale, how)
    return _without_constants(stats, center, scale, standardize)


def _without_constants(stats, center, scale, standardize):
    if not standardize:
        return no_scaling(len(center))
    constant = ~stats.varies
    center[constant], scale[constant] = stats.low[constant], 1
    return Scaling(center, scale, stats.varies)


def _losses_of_inputs(pairs, scaling):
    """Return the losses of the inputs of the network, which are the columns that vary."""
    place, parts = np.cumsum(scaling.varies) - 1, []
    for name, columns in pairs:
        columns = columns[scaling.varies[columns]]
        if columns.size:
            parts.append(LOSSES[name](place[columns]))
    return parts


def _base_logits(loss, stats, scaling):
    """Return the logits of the columns' means; half an extra sample of each kind keeps them finite."""
    means = scaling.apply(stats.mean).astype(float)
    count = min(stats.count, _MOST_COUNTED)
    for part in loss.parts:
        if not isinstance(part, Gaussian):
            means[part.columns] = (means[part.columns] * count + 0.5) / (count + 1)
    return loss.invert(means[np.newaxis])[0]


def _constant_losses(X, pairs, stats, scaling, sample_weight):
    """Return the mean loss of the best constant reconstruction, by name of the loss: half a variance, or an entropy.

    The entropy of the values themselves, as of gray pixels, is subtracted. It is the second result: the least loss of
    any reconstruction.
    """
    losses, least = dict.fromkeys(LOSSES, 0.0), 0.0
    for name, chosen in pairs:
        chosen = chosen[scaling.varies[chosen]]
        center, scale = scaling.center[chosen], scaling.scale[chosen]
        means = (stats.mean[chosen] - center) / scale
        if name == "gaussian":
            losses[name] += float(np.sum((stats.deviation[chosen] / scale) ** 2) / 2)
        elif name == "bernoulli":
            losses[name] += float((entr(means) + entr(1 - means)).sum())
            if not stats.zero_one[chosen].all():
                least += _mean_entropy(X, chosen, center, scale, sample_weight)
        else:
            # For counts with the sum S, -sum_j m_j log(m_j / S).
            losses[name] += float(entr(means).sum() + xlogy(means.sum(), means.sum()))
    if not np.isfinite(losses["gaussian"]):
        raise ValueError("X has values whose squares overflow: scale X, or set standardize='auto'.")
    losses["bernoulli"] -= least
    return losses, least


def _mean_entropy(X, chosen, center, scale, sample_weight):
    """Return the sum over columns of the mean entropy of their values, scaled to [0, 1], in some weighted rows."""
    rows = np.arange(X.shape[0]) if sample_weight is None else np.flatnonzero(sample_weight)
    rows = rows[:: max(1, len(rows) // _ROWS)]
    x = dense(X[rows])
    fractions = np.clip((x[:, chosen] - center) / scale, 0, 1)
    entropies = entr(fractions) + entr(1 - fractions)
    present = ~np.isnan(entropies)
    entropies[~present] = 0
    weights = np.ones(len(rows)) if sample_weight is None else sample_weight[rows].astype(float)
    total, count = weights @ entropies, weights @ present
    return float(np.divide(total, count, out=np.zeros_like(total), where=count > 0).sum())


def _groups(loss, stats, scaling):
    """Return for each input the first input of its one-hot group, or None."""
    groups, zero_one = np.arange(scaling.n_inputs), stats.zero_one[scaling.varies]
    for part in loss.parts:
        if isinstance(part, Multinomial) and zero_one[part.columns].all():
            groups[part.columns] = part.columns[0]
    return None if (groups == np.arange(len(groups))).all() else groups


def _limits(stats, scaling):
    """Return the smallest and the largest value of each input; 0 for columns that are missing in all rows."""
    limits = np.stack([stats.low, stats.high])
    limits[~np.isfinite(limits)] = 0
    return tuple(scaling.apply(limits))


def _parts(pairs):
    return [LOSSES[name](columns) for name, columns in pairs]


def _given_losses(loss, X, frame, parameter):
    """Return (loss, columns) pairs from the parameter that the user has set."""
    n_features = X.shape[1]
    if isinstance(loss, str):
        return [(loss, np.arange(n_features))]
    pairs = list(_checked_losses(loss, frame if hasattr(frame, "columns") else X, parameter))
    taken = np.sort(np.concatenate([columns for _, columns in pairs]))
    if not np.array_equal(taken, np.arange(n_features)):
        wrong = sorted(set(range(n_features)).symmetric_difference(taken.tolist()))
        raise ValueError(
            f"{parameter} must name each of the {n_features} columns of X exactly once; "
            f"{'missing: ' + str(wrong) if wrong else 'some are named twice'}."
        )
    return pairs


def _names_a_loss(entry):
    """Return whether ``entry`` is a pair of the name of a loss and columns."""
    pair = isinstance(entry, (tuple, list)) and len(entry) == 2
    return pair and isinstance(entry[0], str) and entry[0] in LOSSES


def _checked_losses(loss, frame, parameter):
    if not loss:
        raise ValueError(f"{parameter} must not be an empty list.")
    for entry in loss:
        if not _names_a_loss(entry):
            raise ValueError(
                f"{parameter} must be a list of (name, columns) with a name of {sorted(LOSSES)}; got {entry!r}."
            )
        name, columns = entry
        groups = columns.values() if isinstance(columns, dict) else [columns]
        if not groups:
            raise ValueError(f"{parameter} must name columns of each loss; got {entry!r}.")
        for group in groups:
            group = group(frame) if callable(group) else group
            try:
                indices = np.asarray(_get_column_indices(frame, group), dtype=np.int64)
            except (TypeError, ValueError) as error:  # TypeError where it is None
                raise ValueError(f"{parameter} names columns {group!r}: {error}.") from error
            if indices.ndim != 1:  # of True
                raise ValueError(f"{parameter} must name columns by a list; got {group!r}.")
            yield name, indices
