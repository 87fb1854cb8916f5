"""From the parameters ``loss`` and ``standardize`` to the scaling of X and the output units of a network."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import entr, xlogy

from .._arrays.namespace import some_weighted_rows
from ..nn.corruption import make_corruption
from ..nn.losses import LOSSES, Gaussian, Multinomial, Reconstruction
from ..nn.scaling import Scaling, no_scaling, standard_scale
from .columns import Columns, one_hot_groups
from .fit_warnings import (
    warn_of_categories,
    warn_of_far_values,
    warn_of_range,
    warn_of_rounded,
    warn_of_scales,
)
from .named_losses import named_losses, scales_for_named

_ROWS = 1024  # rows from which a mean is estimated
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
    deviations : ndarray of shape (n_inputs,)
        Standard deviations of the inputs.
    constant_losses : dict of float
        Mean loss of that reconstruction above its minimum, by name of the loss: the scale of the loss.
    least_loss : float, default=0.0
        That minimum; the cross-entropy of gray values in [0, 1] is never 0.
    groups : ndarray of int of shape (n_inputs,) or None
        For each input, the index of the first input of its one-hot group; None if there is no group.
    limits : (ndarray, ndarray) or None
        Smallest and largest value of each input in training; None if they are not known.
    has_common_range : bool, default=False
        Whether the columns that vary have a common range, as pixels have.
    variance : float, default=1.0
        Variance to which gaussian columns are scaled, if they are standardized.
    one_dwarfs_others : bool, default=False
        Whether one column's deviation dwarfs most others, since ``standardize`` is False; there was a warning of it.
    has_missing : bool, default=True
        Whether values of the rows by which they were chosen may be missing.
    """

    scaling: Scaling
    loss: Reconstruction
    named: Reconstruction | None
    column_losses: list
    base_logits: np.ndarray
    deviations: np.ndarray
    constant_losses: dict
    least_loss: float = 0.0
    groups: np.ndarray | None = None
    limits: tuple | None = None
    has_common_range: bool = False
    variance: float = 1.0
    one_dwarfs_others: bool = False
    has_missing: bool = True

    @property
    def means(self):
        """The means of the inputs: ndarray of shape (n_inputs,)."""
        return self.loss.activate(self.base_logits[np.newaxis].copy())[0]

    @cached_property
    def gaussian_inputs(self):
        """Mask of the inputs with a gaussian loss: ndarray of bool of shape (n_inputs,)."""
        gaussian = np.zeros(self.scaling.n_inputs, bool)
        for part in self.loss.parts:
            gaussian[part.columns] = isinstance(part, Gaussian)
        return gaussian

    @property
    def multinomial_groups(self):
        """The inputs of each multinomial group, which sum to one: list of ndarray of int."""
        return [part.columns for part in self.loss.parts if isinstance(part, Multinomial)]

    @property
    def constant_loss(self):
        """The mean loss of the best constant reconstruction: float."""
        return self.least_loss + sum(self.constant_losses.values())

    def make_corruption(self, corruption, level):
        """Return the corruption of the inputs that these parameters of an estimator describe."""
        return make_corruption(corruption, level, self.groups, self.limits)

    def check(self, X, names, *, warns=True):
        """Raise ``ValueError`` if X is outside the range of a loss that the user has named.

        For other losses warn, and return whether there was a warning, unless ``warns`` is False: there is none for the
        rows by which they were chosen.
        """
        if self.named is not None:
            self.named.check(X, names)
            return False
        if not warns:
            return False
        binary = dict(self.column_losses).get("bernoulli")
        groups = [columns for name, columns in self.column_losses if name == "multinomial"]
        told = warn_of_categories(X, groups, names, self.loss.parameter)
        if binary is None:
            return told
        return warn_of_range(X, binary, self.scaling, names, self.loss.parameter) or told


class SigmoidCode(NamedTuple):
    """Sigmoid units with tied weights, which a suitable variance of the inputs keeps from being linear or saturated.

    Parameters
    ----------
    n_units : int
    enlarge : bool, default=True
        Whether that variance may be above 1.
    """

    n_units: int
    enlarge: bool = True

    def variance_of_inputs(self, n_inputs, n_rows, beside_groups=False):
        """Return the variance of gaussian inputs that suits these units.

        With many units for few columns, each unit would use only a small, linear part of the sigmoid, so that codes
        would be a linear map of X. With few units for many columns, noise would saturate the units. One-hot groups are
        not scaled: codes would hardly depend on them if other columns, ``beside_groups``, had a larger variance.

        Codes that are curved between neighboring rows, about ``n_rows ** (-1 / n_inputs)`` deviations apart, would fit
        noise: of few columns, the variance may be above 8 up to where this distance is 1.
        """
        if not self.enlarge:
            return float(np.clip(self.n_units / n_inputs, 0.1, 1))
        largest = 4 if beside_groups else max(8, n_rows ** (2 / n_inputs))
        return float(np.clip(self.n_units / n_inputs, 0.1, largest))


def make_units(
    loss,
    data,
    *,
    standardize="auto",
    machine=False,
    code=None,
    warns=True,
):
    """Return the ``Units`` that ``loss`` and ``standardize`` describe for the X of ``data``.

    Parameters
    ----------
    loss : str or list of (str, columns)
    data : FitData
    standardize : {'auto', 'columns', 'shared', False}
    machine : bool, default=False
        Whether the units are those of a Boltzmann machine, which treats columns in a common range as probabilities; its
        parameter ``visible`` is then the ``loss``.
    code : SigmoidCode or None, default=None
        The units above, if gaussian columns are scaled to a variance that suits these.
    warns : bool, default=True
        Whether to warn of columns whose values are strange.

    Raises
    ------
    ValueError
        If a name is unknown, or the columns do not cover each column of X once.
    """
    X, sample_weight, parameter = data.X, data.sample_weight, "visible" if machine else "loss"
    names = getattr(data.frame, "columns", range(X.shape[1]))
    stats = Columns(X, sample_weight, names)
    standardize = "auto" if standardize is True else standardize
    one_dwarfs_others = not standardize and warn_of_scales(stats, names, warns=warns)
    if warns and standardize:
        warn_of_far_values(X, stats, names)
        warn_of_rounded(X, stats, names)
    named, variance, n_varying = None, 1.0, int(stats.varies.sum())
    if loss == "auto":  # losses and scales of the columns, from which the rest follows
        pairs, center, scale = _automatic_losses(X, stats, standardize, machine, code)
    else:
        pairs = named_losses(loss, X, data.frame, parameter)
        center, scale = scales_for_named(pairs, stats, standardize) if standardize else (None, None)
        named = Reconstruction([LOSSES[name](columns) for name, columns in pairs], parameter)
    if standardize and code is not None:
        variance = code.variance_of_inputs(n_varying, stats.count, "multinomial" in dict(pairs))
        for name, columns in pairs:
            if name == "gaussian":
                scale[columns[stats.varies[columns]]] /= variance**0.5
    scaling = Scaling(center, scale, stats.varies) if standardize else no_scaling(X.shape[1])
    input_loss, groups = _loss_of_inputs(pairs, stats, scaling, parameter)
    means, low, high = scaling.apply(np.stack([stats.mean, stats.low, stats.high]))
    constant_losses, least_loss = _constant_losses(X, pairs, stats, scaling, sample_weight)
    return Units(
        scaling=scaling,
        loss=input_loss,
        named=named,
        column_losses=pairs,
        base_logits=_base_logits(input_loss, means, stats.count),
        deviations=(stats.deviation / scaling.scale)[scaling.varies],
        constant_losses=constant_losses,
        least_loss=least_loss,
        groups=groups,
        limits=(low, high),
        has_common_range=stats.common_range(stats.varies) is not None,
        variance=variance,
        one_dwarfs_others=one_dwarfs_others,
        has_missing=stats.has_missing,
    )


def plain_units(n_features):
    """Return the ``Units`` of real columns that are not scaled."""
    columns = np.arange(n_features)
    loss = Reconstruction([LOSSES["gaussian"](columns)])
    pairs, losses = [("gaussian", columns)], {"gaussian": n_features / 2}
    zeros, ones = np.zeros(n_features), np.ones(n_features)
    return Units(no_scaling(n_features), loss, None, pairs, zeros, ones, losses)


def _automatic_losses(X, stats, standardize, machine, code):
    """Return (loss, columns) pairs that suit X, and center and scale of the columns, None without ``standardize``.

    Below a ``code`` of many units, 0/1 columns outside of one-hot groups are gaussian, so as to be standardized.
    """
    # 1. The kinds of columns: in a one-hot group, binary, real, or on one scale, as pixels are.
    groups = one_hot_groups(X, stats.zero_one)
    ungrouped = np.ones(X.shape[1], bool)
    for start, stop in groups:
        ungrouped[start:stop] = False
    binary, real = _binary_and_real(stats, ungrouped, machine)
    pixels, limits = _on_one_scale(stats, real, binary, standardize, machine)
    binary, real = binary & ~pixels, real & ~pixels
    many_units = code is not None and code.enlarge and code.n_units > stats.varies.sum()
    if standardize and many_units:
        binary, real = np.zeros_like(binary), real | binary
    # 2. Their losses. Pixels that are nearly binary count as probabilities of ones.
    nearly_binary = pixels.sum() >= _PIXELS and stats.nearly_binary(pixels, *limits)
    as_probabilities = pixels.any() and (machine or nearly_binary)
    bernoulli = binary | pixels if as_probabilities else binary
    pairs = [("multinomial", np.arange(start, stop)) for start, stop in groups]
    for name, chosen in (("bernoulli", bernoulli), ("gaussian", ungrouped & ~bernoulli)):
        if chosen.any():
            pairs.append((name, np.flatnonzero(chosen)))
    # 3. Their scales.
    if not standardize:
        return pairs, None, None
    center, scale = np.where(stats.varies, 0, stats.low), np.ones(len(real))
    if as_probabilities:
        center[pixels], scale[pixels] = limits[0], limits[1] - limits[0]
    elif pixels.any():
        center[pixels], scale[pixels] = standard_scale(
            stats.mean[pixels], stats.deviation[pixels], shared=True
        )
    center[real], scale[real] = standard_scale(stats.mean[real], stats.deviation[real])
    return pairs, center, scale


def _binary_and_real(stats, ungrouped, machine):
    """Return masks of the 0/1 columns and of the real ones, among those that vary and are in no one-hot group."""
    binary = stats.zero_one & stats.varies & ungrouped
    real = stats.varies & ~binary & ungrouped
    if machine and (stats.low[real] >= 0).all() and (stats.high[real] <= 1).all():
        # Values in [0, 1] are probabilities of ones.
        return binary | real, np.zeros_like(real)
    return binary, real


def _on_one_scale(stats, real, binary, standardize, machine):
    """Return a mask of the columns on one scale, as pixels and counts are, and their (low, high); None if there are none."""
    nothing = np.zeros(len(real), bool), None
    if standardize == "columns" or not real.any():
        return nothing
    find = stats.shared_range if standardize and not machine else stats.common_range
    limits = find(real)
    if limits is None and standardize == "shared":
        limits = stats.low[real].min(), stats.high[real].max()
    if limits is None or (not standardize and limits != (0, 1)):
        return nothing
    # Some pixels are only 0 or 1 where others go to 16: a few 0/1 columns among the real ones are on the same scale.
    if limits[0] == 0 and binary.sum() <= real.sum() / 4:
        return real | (binary & stats.varies), limits
    return real, limits


def _loss_of_inputs(pairs, stats, scaling, parameter):
    """Return the loss of the inputs of the network, the columns that vary, and their one-hot groups if there are some.

    These are, for each input, the first input of its group.
    """
    places, parts = np.cumsum(scaling.varies) - 1, []  # of each column among the inputs
    groups = np.arange(scaling.n_inputs)
    for name, columns in pairs:
        columns = columns[scaling.varies[columns]]
        inputs = places[columns]
        if inputs.size:
            parts.append(LOSSES[name](inputs))
        if inputs.size and name == "multinomial" and stats.zero_one[columns].all():
            groups[inputs] = inputs[0]
    has_groups = (groups != np.arange(len(groups))).any()
    return Reconstruction(parts, parameter), groups if has_groups else None


def _base_logits(loss, means, count):
    """Return the logits of the inputs' means over ``count`` rows; half an extra row of each kind keeps them finite."""
    means, count = means.copy(), min(count, _MOST_COUNTED)
    for part in loss.parts:
        if not part.means_are_logits:
            means[part.columns] = (means[part.columns] * count + 0.5) / (count + 1)
            part.invert(means[np.newaxis])
    return means


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
    x, weights = some_weighted_rows(X, sample_weight, _ROWS)
    fractions = np.clip((x[:, chosen] - center) / scale, 0, 1)
    entropies = entr(fractions) + entr(1 - fractions)
    present = ~np.isnan(entropies)
    entropies[~present] = 0
    weights = np.ones(len(x)) if weights is None else weights.astype(float)
    total, count = weights @ entropies, weights @ present
    return float(np.divide(total, count, out=np.zeros_like(total), where=count > 0).sum())
