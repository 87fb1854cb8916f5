"""A reconstruction loss that is added to the supervised one, and the use of unlabeled rows in it."""

from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.special import entr

from .._compat import Interval, StrOptions
from ..nn.losses import Bernoulli, Gaussian, Reconstruction
from ..nn.network import Network
from ..training.solvers import is_full_batch

# Constraints.
RECONSTRUCTION = {"reconstruction_weight": [Interval(Real, 0, None, closed="left")]}
UNLABELED = {
    "unlabeled_per_labeled": [
        Interval(Real, 0, None, closed="neither"),
        StrOptions({"auto"}),
        None,
    ],
}


@dataclass
class AddedReconstruction:
    """An auto-encoder of the hidden layers, whose loss is added to that of a classifier or regressor.

    Parameters
    ----------
    network : Network
    flat : ndarray
        Parameters of the network; those of the encoder are not used.
    loss : Reconstruction
    weight : float
        Weight of its mean loss.
    """

    network: Network
    flat: np.ndarray
    loss: Reconstruction
    weight: float


def added_reconstruction(autoencoder, units, weight, targets, sample_weight):
    """Return the ``AddedReconstruction``, scaled so that constant outputs have the same loss in both parts.

    Parameters
    ----------
    autoencoder : (Network, ndarray)
        A network and its parameters.
    units : Units
    weight : float
        ``reconstruction_weight``.
    targets : Targets
    sample_weight : ndarray of shape (n_samples,) or None
    """
    largest = sum(units.constant_losses.values())
    # A constant X has no loss that could set the scale.
    scale = constant_loss(targets, sample_weight) / largest if largest > 0 else 0.0
    return AddedReconstruction(*autoencoder, units.loss, weight * scale)


def new_autoencoder(shape, units, state):
    """Return a network and its initial parameters, for which outputs are the columns' means."""
    network = Network(**shape)
    flat = network.initial(np.random.default_rng(state.seed), state.params.dtype)
    network.views(flat).decoder_biases[0][...] = units.base_logits
    return network, flat


def rows_and_factors(targets, weights, ratio):
    """Return the rows to train on when unlabeled ones are reconstructed, and row factors of the supervised loss.

    Factors are 0 for unlabeled rows and have a weighted mean of 1, so that the supervised loss stays a mean over
    labeled rows; None if all rows have labels. ``ratio`` is the number of unlabeled rows per labeled row, or None for
    all of them.
    """
    labeled = targets.labeled
    rows = np.arange(len(labeled))
    if labeled.all():
        return rows, None
    mark_unlabeled(targets)
    return rows, (labeled / labeled_fraction(labeled, weights, ratio)).astype(targets.values.dtype)


def labeled_fraction(labeled, weights, ratio):
    """Return the fraction of labeled rows, by weight, among the rows of an epoch."""
    if ratio is None or labeled.all():
        return np.average(labeled, weights=weights)
    weights = np.ones(len(labeled)) if weights is None else weights
    labeled, weights = labeled[weights > 0], weights[weights > 0]
    ours = weights[labeled].sum(dtype=np.float64)
    n_others = round(ratio * labeled.sum())
    return ours / (ours + n_others * weights[~labeled].mean(dtype=np.float64))


def unlabeled_ratio(estimator, used):
    """Return the number of unlabeled rows per labeled row in a minibatch, or None for all of them.

    ``used`` is whether unlabeled rows take part in the joint training.
    """
    if estimator.unlabeled_per_labeled != "auto":
        return estimator.unlabeled_per_labeled
    return 1.0 if used and not is_full_batch(estimator.solver) else None


def check_unlabeled(estimator, used, needed):
    """Raise if ``unlabeled_per_labeled`` has no effect, or the solver is L-BFGS."""
    if estimator.unlabeled_per_labeled in ("auto", None):
        return
    if not used:
        raise ValueError(f"unlabeled_per_labeled={estimator.unlabeled_per_labeled} needs {needed}.")
    need_steps(estimator, "unlabeled_per_labeled")


def need_steps(estimator, name):
    """Raise if the solver is L-BFGS, since the parameter ``name`` needs minibatches."""
    if is_full_batch(estimator.solver):
        raise ValueError(
            f"{name}={getattr(estimator, name)} changes what is minimized, and needs a solver of minibatches, such as "
            f"'adam'; got solver={estimator.solver!r}."
        )


def mark_unlabeled(targets):
    """Make unlabeled rows, if there are several, a class of their own in the stratified split of held-out rows."""
    if np.sum(~targets.labeled) > 1:
        targets.strata[~targets.labeled] = targets.strata.max() + 1


def constant_loss(targets, weights):
    """Return the mean loss of the best constant outputs: half a variance, or an entropy."""
    labeled = targets.labeled
    values = targets.values[labeled].astype(np.float64)
    weights = None if weights is None else weights[labeled]
    means = np.average(values, axis=0, weights=weights)
    if targets.unit is Gaussian:
        return float(np.average((values - means) ** 2, axis=0, weights=weights).sum() / 2)
    loss = entr(means).sum()
    return float(loss + entr(1 - means).sum() if targets.unit is Bernoulli else loss)
