"""Contractive auto-encoder."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import ClassVar

from .._compat import Interval
from ..nn.objective import Objective
from ..nn.penalties import Contraction, Curvature, WeightDecay
from ._base import BaseAutoEncoder


@dataclass(kw_only=True, eq=False, repr=False)
class ContractiveAE(BaseAutoEncoder):
    """Auto-encoder whose code varies little around each training point.

    Minimises the mean over samples of ``loss(x, r(x)) + contraction * ||dh/dx||_F^2 + curvature *
    E ||J(x) - J(x + e)||_F^2``, each summed over features; J = dh/dx and e is normal noise. The
    first penalty is exact, in closed form; the second uses fresh draws of e at each step and is exact
    given the draws.

    Weights are tied: with a decoder of its own the penalty is beaten by shrinking the encoder.

    Parameters
    ----------
    n_components : int, default=100
        Width of the code.
    hidden_layer_sizes : sequence of int, default=()
        Widths of encoder layers before the code; the decoder mirrors them.
    activation : {'sigmoid', 'tanh', 'relu', 'softplus', 'identity'}, default='sigmoid'
        Activation of every layer but the output.
    tied_weights : bool, default=True
        Whether the decoder uses the transposed weights of the encoder.
    loss : str or list of (str, columns), default='auto'
        ``'gaussian'`` (half squared error), ``'bernoulli'`` (cross-entropy, X in [0, 1]) or
        ``'multinomial'`` (the row is one group) for all columns; or pairs as in ColumnTransformer, in
        which the columns of a multinomial pair are one group, or a dict of named groups. ``'auto'``
        takes runs of one-hot columns as multinomial groups, columns with both 0 and 1 and nothing
        else as bernoulli, and the rest as gaussian.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights.
    solver : {'adam', 'sgd', 'lbfgs'} or solver, default='adam'
        ``'lbfgs'`` takes all samples at once. An instance from :mod:`skae.training` has options.
    learning_rate_init : float, default=1e-3
        Step size of adam and sgd.
    batch_size : int, default=256
        Samples in a minibatch.
    max_iter : int, default=100
        Most epochs, or iterations of L-BFGS.
    tol : float, default=1e-4
        Relative improvement that counts as one; for L-BFGS, its tolerance.
    shuffle : bool, default=True
        Whether each epoch takes the samples in a new order.
    early_stopping : bool, default=False
        Whether to stop on held-out samples, and keep the best weights.
    validation_fraction : float, default=0.1
        Share of samples held out.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit, optimizer state included.
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, shuffles and noise.
    verbose : int, default=0
        Print loss, seconds and samples per second every so many epochs.
    checkpoint : path-like, default=None
        File to which the state of training is written after each epoch, atomically.
    resume : bool, default=False
        Whether ``fit`` goes on from ``checkpoint`` where the file exists, to the same bits.
    contraction : float, default=0.1
        Weight of the squared Frobenius norm of the encoder's Jacobian.
    curvature : float, default=0.0
        Weight of the Jacobian's expected squared change (CAE+H).
    curvature_noise : float, default=0.1
        Standard deviation of e.
    n_curvature_samples : int, default=1
        Draws of e at each step.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Weights of the encoder (without hidden layers; else ``encoder_weights_``).
    encoder_bias_ : ndarray of shape (n_components,)
        Bias of the encoder.
    decoder_components_ : ndarray of shape (n_components, n_features)
        Weights of the decoder, the same array when tied.
    decoder_bias_ : ndarray of shape (n_features,)
        Bias of the output units.
    n_iter_ : int
        Epochs so far.
    loss_curve_, validation_curve_ : list of float
        Objective of each epoch, on training and on held-out samples.
    converged_ : bool
        Whether training stopped by itself.

    References
    ----------
    Rifai, S. et al. Contractive auto-encoders: explicit invariance during feature extraction.
    ICML 2011, equations 6 to 8.

    Rifai, S. et al. Higher order contractive auto-encoder. ECML 2011, equation 5.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAE
    >>> X = load_digits().data / 16
    >>> ContractiveAE(30, max_iter=5, random_state=0).fit_transform(X).shape
    (1797, 30)
    """

    contraction: float = 0.1
    curvature: float = 0.0
    curvature_noise: float = 0.1
    n_curvature_samples: int = 1

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoEncoder._parameter_constraints,
        "contraction": [Interval(Real, 0, None, closed="left")],
        "curvature": [Interval(Real, 0, None, closed="left")],
        "curvature_noise": [Interval(Real, 0, None, closed="neither")],
        "n_curvature_samples": [Interval(Integral, 1, None, closed="left")],
    }

    def _objective(self, network, loss):
        if not self.tied_weights:
            raise ValueError(
                "ContractiveAE needs tied_weights=True: with a decoder of its own the penalty is "
                "beaten by shrinking the encoder and growing the decoder."
            )
        if network.depth > 1:
            raise ValueError("ContractiveAE has no hidden layers yet: set hidden_layer_sizes=().")
        penalties = [Contraction(self.contraction, network.activation)]
        if self.weight_decay:
            penalties.append(WeightDecay(self.weight_decay))
        if self.curvature:
            penalties.append(
                Curvature(
                    self.curvature,
                    network.activation,
                    self.curvature_noise,
                    self.n_curvature_samples,
                )
            )
        return Objective(network, loss, penalties=penalties)
