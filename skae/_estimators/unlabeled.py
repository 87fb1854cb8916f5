"""The use of unlabeled rows in the training of a classifier, and the auto-encoder that reconstructs them."""

from numbers import Real

import numpy as np

from .._compat import Interval, StrOptions
from ..nn.network import Network
from ..training.solvers import is_full_batch

RECONSTRUCTION_CONSTRAINTS = {"reconstruction_weight": [Interval(Real, 0, None, closed="left")]}
UNLABELED_CONSTRAINTS = {
    "unlabeled_per_labeled": [
        Interval(Real, 0, None, closed="neither"),
        StrOptions({"auto"}),
        None,
    ],
}


def new_autoencoder(shape, units, state):
    """Return a network and its initial parameters, for which outputs are the columns' means."""
    network = Network(**shape)
    flat = network.initial(np.random.default_rng(state.seed), state.params.dtype)
    network.views(flat).decoder_biases[0][...] = units.base_logits
    return network, flat


def supervised_factors(data, ratio):
    """Return factors on the weights of rows in the supervised loss, when unlabeled rows take part in the training.

    They are 0 for unlabeled rows and have a weighted mean of 1, so that the loss stays a mean over labeled rows; None
    if all rows have labels.

    Parameters
    ----------
    data : SupervisedData
    ratio : float or None
        See :func:`_labeled_fraction`.
    """
    labeled = data.targets.labeled
    if labeled.all():
        return None
    fraction = _labeled_fraction(labeled, data.balanced_weights, ratio)
    return (labeled / fraction).astype(data.targets.values.dtype)


def _labeled_fraction(labeled, weights, ratio):
    """Return the fraction of labeled rows, by weight, among the rows of an epoch.

    ``ratio`` is the number of unlabeled rows in an epoch for each labeled row; None takes all of them.
    """
    if ratio is None or labeled.all():
        return np.average(labeled, weights=weights)
    weights = np.ones(len(labeled)) if weights is None else weights
    labeled, weights = labeled[weights > 0], weights[weights > 0]
    ours = weights[labeled].sum(dtype=np.float64)
    n_others = round(ratio * labeled.sum())
    return ours / (ours + n_others * weights[~labeled].mean(dtype=np.float64))


def with_mean_over_labeled(data, rows, ratio):
    """Return ``data`` with targets scaled such that the loss, a mean over ``rows``, is one over the labeled ones of them.

    Targets of unlabeled rows are 0, and so are their losses.
    """
    weights = None if data.balanced_weights is None else data.balanced_weights[rows]
    values = data.targets.values.copy()
    values /= _labeled_fraction(data.targets.labeled[rows], weights, ratio)
    return data.with_targets(values=values)


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


def with_unlabeled_stratum(data):
    """Return ``data`` with unlabeled rows, if there are several, as a class of their own when rows are held out."""
    strata, unlabeled = data.targets.strata, ~data.targets.labeled
    if np.sum(unlabeled) <= 1:
        return data
    return data.with_targets(strata=np.where(unlabeled, strata.max() + 1, strata))
