"""Reconstruction of X beside the supervised loss, and the unlabeled rows that take part in it."""

from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import numpy as np
from scipy.special import entr

from .._compat import Interval, StrOptions
from ..nn.losses import Bernoulli, Gaussian, Reconstruction
from ..nn.network import Network
from ..training.solvers import LBFGS


@dataclass
class Beside:
    """An auto-encoder of the hidden layers, whose loss is added to the supervised one.

    Parameters
    ----------
    network : Network
    flat : ndarray
        Its parameters; those of the encoder do not matter.
    loss : Reconstruction
    weight : float
        Of its mean loss.
    """

    network: Network
    flat: np.ndarray
    loss: Reconstruction
    weight: float


@dataclass(kw_only=True, eq=False, repr=False)
class Reconstructing:
    """Supervised training that goes on to reconstruct X."""

    reconstruction_weight: float = 0.0

    _parameter_constraints: ClassVar[dict] = {
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
    }

    def _reconstruction(self, autoencoder, targets, weights):
        """Return what is minimized beside the supervised loss; ``autoencoder`` is a network and its parameters."""
        largest = sum(self._units.constant_losses.values())
        # Where X does not vary there is nothing to reconstruct.
        scale = constant_loss(targets, weights) / largest if largest > 0 else 0.0
        return Beside(*autoencoder, self._units.loss, self.reconstruction_weight * scale)

    def _new_autoencoder(self, shape, state):
        """Return a network and its parameters, of which the decoder gives the columns' means."""
        network = Network(**shape)
        flat = network.initial(np.random.default_rng(state.seed), state.params.dtype)
        network.views(flat).decoder_biases[0][...] = self._units.base_logits
        return network, flat

    def _all_rows(self, targets, weights):
        """Return the rows of a training in which unlabeled ones are reconstructed, and the factors of the supervised loss."""
        labeled = targets.labeled
        rows = np.arange(len(labeled))
        if labeled.all():
            return rows, None
        mark_unlabeled(targets)
        return rows, (labeled / self._labeled_share(labeled, weights)).astype(targets.values.dtype)

    def _unlabeled_ratio(self):
        """Return how many unlabeled rows there are for each labeled one in a batch, or None for all of them."""
        return None

    def _labeled_share(self, labeled, weights):
        """Return the share of the labeled rows, by weight, in what an epoch goes over."""
        ratio = self._unlabeled_ratio()
        if ratio is None or labeled.all():
            return np.average(labeled, weights=weights)
        weights = np.ones(len(labeled)) if weights is None else weights
        labeled, weights = labeled[weights > 0], weights[weights > 0]
        ours = weights[labeled].sum(dtype=np.float64)
        n_others = round(ratio * labeled.sum())
        return ours / (ours + n_others * weights[~labeled].mean(dtype=np.float64))


@dataclass(kw_only=True, eq=False, repr=False)
class DrawingUnlabeled(Reconstructing):
    """Training in which some unlabeled rows, drawn anew in each epoch, stand beside the labeled ones."""

    unlabeled_per_labeled: float | str | None = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **Reconstructing._parameter_constraints,
        "unlabeled_per_labeled": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
            None,
        ],
    }

    def _uses_unlabeled(self):
        """Return whether unlabeled rows take part in the joint training."""
        return self.reconstruction_weight > 0

    def _unlabeled_ratio(self):
        if self.unlabeled_per_labeled != "auto":
            return self.unlabeled_per_labeled
        steps = not isinstance(self.make_solver(), LBFGS)
        return 1.0 if steps and self._uses_unlabeled() else None

    def _check_unlabeled(self, used, needed):
        """Raise where ``unlabeled_per_labeled`` has no use, or would change what is minimized."""
        if self.unlabeled_per_labeled in ("auto", None):
            return
        if not used:
            raise ValueError(f"unlabeled_per_labeled={self.unlabeled_per_labeled} needs {needed}.")
        self._need_steps("unlabeled_per_labeled")

    def _need_steps(self, name):
        if isinstance(self.make_solver(), LBFGS):
            raise ValueError(
                f"{name}={getattr(self, name)} changes what is minimized, and needs a solver of minibatches; got "
                f"solver={self.solver!r}."
            )


def mark_unlabeled(targets):
    """Let unlabeled rows, if there are several, be a class of their own when rows are held out."""
    if np.sum(~targets.labeled) > 1:
        targets.strata[~targets.labeled] = targets.strata.max() + 1


def constant_loss(targets, weights):
    """Return the mean loss of the best outputs that do not look at X: half a variance, or an entropy."""
    labeled = targets.labeled
    values = targets.values[labeled].astype(np.float64)
    weights = None if weights is None else weights[labeled]
    means = np.average(values, axis=0, weights=weights)
    if targets.unit is Gaussian:
        return float(np.average((values - means) ** 2, axis=0, weights=weights).sum() / 2)
    loss = entr(means).sum()
    return float(loss + entr(1 - means).sum() if targets.unit is Bernoulli else loss)
