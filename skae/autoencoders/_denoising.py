"""Denoising auto-encoder."""

from dataclasses import field, replace
from numbers import Real
from typing import ClassVar, Literal

import numpy as np

from .._compat import Interval, StrOptions
from .._estimators.needs import LEVEL_NEED, SWAP_NEED
from .._estimators.parameters import AUTO_STEP_SIZE_CONSTRAINTS, estimator
from .._typing import Corruption
from ..nn.corruption import CORRUPTIONS
from ..nn.objective import Objective
from ..nn.penalties import weight_decays
from ._base import BaseAutoEncoder

_LONGEST_STEP = 1e-2


@estimator
class DenoisingAE(BaseAutoEncoder):
    """Auto-encoder that reconstructs the input from a corrupted copy of it.

    Minimizes the mean over samples of ``loss(x, r(x~))``, summed over features, where x~ is a new
    corruption of x at each step. Codes and scores are those of the clean x.

    Parameters
    ----------
    n_components : int, default=500
        Width of the code.
    corruption : {'masking', 'salt_and_pepper', 'gaussian', 'swap'} or callable, default='masking'
        Corruption of the scaled columns, see ``standardize``. ``'masking'`` sets cells to 0, the mean of a real column;
        ``'salt_and_pepper'`` sets them to an end of their column's range; ``'swap'`` takes the same column of another
        row of the minibatch; ``'gaussian'`` adds noise to every cell. The one-hot columns of a category are masked or
        swapped together. A callable has the signature ``f(X, seed, out)``: it fills ``out`` with a corruption of the
        rows ``X``, which it leaves as they are, and draws noise by ``np.random.default_rng(seed)``.
    corruption_level : float, default=0.3
        Fraction of the cells that are corrupted; for gaussian noise, its standard deviation.
    emphasis : (float, float), default=None
        Loss weights of the corrupted and of the clean cells (Vincent et al. 2010, section 5).
    hidden_layer_sizes : int or sequence of int, default=()
        Widths of encoder layers before the code; the decoder mirrors them. An int is the width of a single one.
    activation : {'sigmoid', 'tanh', 'relu', 'softplus', 'identity'} or Activation, default='sigmoid'
        Activation of every layer but the output. ``TopK(k)`` of :mod:`skae.autoencoders` keeps the k largest units
        of a sample; others are written as in "Add an activation" of the documentation.
    tied_weights : bool, default=False
        Whether the decoder uses the transposed weights of the encoder. Untied weights fill in missing values better.
    loss : str or list of (str, columns), default='auto'
        Loss of all columns: ``'gaussian'`` (half squared error), ``'bernoulli'`` (cross-entropy, X in [0, 1]) or
        ``'multinomial'`` (the row is one group). A list of (loss, columns) pairs, as in ColumnTransformer, sets the
        loss by column; the columns of a multinomial pair are one group, or a dict of named groups. ``'auto'`` chooses
        multinomial for runs of one-hot columns and bernoulli for columns that hold both 0 and 1 and nothing else,
        except a few among pixels. It also chooses bernoulli, in their common range, for 32 or more real columns on one
        scale that are nearly binary, such as pixels of ink (their variance is at least 0.6 of that of 0/1 columns with
        the same means). The other columns are gaussian; see ``column_losses_``.
    standardize : {'auto', 'columns', 'shared', False}, default='auto'
        How to scale the columns of X inside the model, so that their scales do not matter. ``'columns'`` scales each
        real column to mean 0 and variance 1. ``'shared'`` uses one variance for all of them, for columns on one scale
        such as pixels. ``'auto'`` means ``'shared'`` for pixels (three quarters of the real columns begin at the least
        value of all and reach half of the range of all), for counts of words, weighted or not (32 real columns or more,
        of whose values three quarters are the least one; three quarters of the columns have a third to three times the
        median range), and for principal components (eight real columns or more in the order of decreasing variance),
        else ``'columns'``. Columns of probabilities are scaled from their common range to [0, 1]; 0/1 columns and
        one-hot groups are not scaled, and constant columns are left out. False uses X as it is. Methods take and return
        values on the scale of X. ``center_`` and ``scale_`` hold the scaling, which warm starts and ``partial_fit``
        keep.
    bias_init : {'auto', 'off', 'zeros'}, default='auto'
        First biases of the code. ``'off'``, for sigmoids without hidden layers, turns most of them off at most rows:
        pre-activations have a mean of -2 standard deviations, in proportion less with fewer units than columns. With
        ``'zeros'``, as in the papers, codes are odd functions around the mean row at first, and linear classifiers of
        them hardly follow curved boundaries. ``'auto'`` is ``'off'`` in DenoisingAE, and in
        ContractiveAE with ``contracted="code"``, unless ``standardize`` is False or ``fit`` warns that a few directions
        have nearly all variance; else it is ``'zeros'``, with which residuals find anomalies better.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights.
    solver : {'adam', 'sgd', 'lbfgs'} or solver, default='adam'
        ``'lbfgs'`` takes all samples at once. An instance from :mod:`skae.training` has options.
    learning_rate_init : float or 'auto', default='auto'
        Step size of adam and sgd. ``'auto'`` is 0.01, or less with many inputs, since the steps of all weights of a
        unit add up: at most 0.5 over the sum of the means of the inputs, as for the codes of a lower layer, and at most
        4 over the number of gaussian ones.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs; with ``warm_start`` anew in each ``fit``. ``partial_fit``
        has no last epoch and takes constant steps. A training can be resumed with the same ``max_iter`` only. Not used
        by L-BFGS.
    batch_size : int, default=64
        Samples in a minibatch.
    max_iter : int or 'auto', default='auto'
        Maximum number of epochs, or of iterations of L-BFGS. ``'auto'`` means two minibatches per sample, but between
        1000 and 2000 minibatches, and between 12 and 1000 epochs (for L-BFGS, 200 iterations).
    tol : float, default=1e-4
        Training stops when, for ``n_iter_no_change`` epochs in a row, the training loss (with
        ``learning_rate='constant'``) or the error on held-out samples (with ``early_stopping``) improves by less than
        this fraction. For L-BFGS, its tolerance.
    shuffle : bool or int, default=True
        Whether to shuffle the samples in each epoch. An int shuffles within blocks of that many consecutive samples
        only, so that a file is read in order.
    early_stopping : bool, default=False
        Whether to stop when the error on held-out samples no longer improves, and keep the weights at which it was
        least.
    validation_fraction : float, default=0.1
        Share of samples to hold out for ``early_stopping``.
    n_iter_no_change : int, default=10
        Epochs without improvement after which to stop.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit, optimizer state included. With ``learning_rate='constant'`` two fits
        of n epochs are one of 2 n. Other parameters than ``n_components``, ``hidden_layer_sizes``, ``activation``,
        ``tied_weights``, ``loss`` and ``standardize``, which have to stay, may change in between.
    random_state : int, RandomState instance or None, default=None
        Random seed of initial weights, shuffling and noise.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped.
    checkpoint : path-like, default=None
        File to which ``fit`` writes the state of training after each epoch, atomically.
    resume : bool, default=False
        Whether ``fit`` continues from ``checkpoint`` if the file exists, with bitwise the same result as without the
        interruption (L-BFGS forgets its past gradients). ``max_iter`` may be larger than before only with
        ``learning_rate='constant'``.
    device : str, default=None
        Where to compute if X is a numpy array: None or ``'cpu'``, or a GPU by PyTorch, ``'cuda'`` or ``'cuda:1'``;
        results are numpy arrays. With scikit-learn's ``array_api_dispatch``, arrays of other libraries stay on the
        device where they are.
    precision : {'float32', 'bfloat16'}, default='float32'
        ``'bfloat16'`` rounds the factors of matrix products; weights and sums stay in float32. It needs X in float32,
        and a GPU or a processor with AVX512-BF16.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Weights of the encoder for scaled columns, if there are no hidden layers; else see ``encoder_weights_``.
    encoder_bias_ : ndarray of shape (n_components,)
        Bias of the encoder.
    decoder_components_ : ndarray of shape (n_components, n_features)
        Weights of the decoder, the same array when tied.
    decoder_bias_ : ndarray of shape (n_features,)
        Bias of the output units.
    center_, scale_ : ndarray of shape (n_features,)
        Scaling: the network sees ``(X - center_) / scale_`` without constant columns, which get weights of 0.
    column_losses_ : list of (str, ndarray)
        Name of each loss and the columns of X that it applies to.
    n_iter_ : int
        Number of epochs so far.
    loss_curve_, validation_curve_ : list of float
        Objective of each epoch, on training and on held-out samples.
    converged_ : bool
        Whether training stopped by itself.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Vincent, P. et al. Stacked denoising autoencoders. JMLR 11 (2010), sections 3 and 5.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAE
    >>> X = load_digits().data / 16
    >>> DenoisingAE(30, max_iter=5, random_state=0).fit_transform(X).shape
    (1797, 30)
    """

    n_components: int = field(default=500, kw_only=False)
    corruption: Corruption = "masking"
    corruption_level: float = 0.3
    emphasis: tuple[float, float] | None = None
    tied_weights: bool = False
    learning_rate_init: float | Literal["auto"] = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoEncoder._parameter_constraints,
        **AUTO_STEP_SIZE_CONSTRAINTS,
        "corruption": [StrOptions(set(CORRUPTIONS)), callable],
        "corruption_level": [Interval(Real, 0, None, closed="left")],
        "emphasis": [tuple, list, None],
    }

    _needs: ClassVar[tuple] = (LEVEL_NEED, SWAP_NEED)
    _automatic_bias_init = "off"

    def objective(self, network, units):
        """Return the loss of reconstructing rows from corrupted copies of them.

        Parameters
        ----------
        network : Network
            The network, without its parameters.
        units : Units
            How the network sees the columns of X, and their loss.

        Returns
        -------
        objective : Objective
            Objective that :mod:`skae.training` minimizes.
        """
        corruption = self._make_noise(units)
        return Objective(
            network,
            units.loss,
            corruption=corruption,
            emphasis=self._emphasis(corruption),
            penalties=weight_decays(self.weight_decay),
        )

    def _auto_step_size(self):
        units = vars(self).get("_units")
        if units is None:  # a layer that learns from labels
            return _LONGEST_STEP
        of_means, n_gaussian = np.abs(units.means).sum(), np.sum(units.gaussian_inputs)
        return float(min(_LONGEST_STEP, 0.5 / max(of_means, 1), 4 / max(n_gaussian, 1)))

    def _make_noise(self, units):
        """Return the corruption of columns in these ``Units``."""
        return units.make_corruption(self.corruption, self.corruption_level)

    def layer_training(self):
        """Return how a stack may train the network of this layer.

        Returns
        -------
        training : LayerTraining
            Functions that train the network, and facts that the stack needs.
        """
        weighs_cells = self.emphasis is not None
        return replace(
            super().layer_training(), make_noise=self._make_noise, weighs_cells=weighs_cells
        )

    def _emphasis(self, corruption):
        if self.emphasis is None:
            return None
        if len(self.emphasis) != 2 or not all(
            isinstance(weight, Real) and weight >= 0 for weight in self.emphasis
        ):
            raise ValueError(
                f"emphasis must be two weights >= 0, (corrupted, clean); got {self.emphasis!r}."
            )
        if not hasattr(corruption, "emphasize"):
            raise ValueError(
                f"emphasis needs a corruption of single cells, which corruption={self.corruption!r} "
                "is not; use 'masking', 'salt_and_pepper' or 'swap'."
            )
        return self.emphasis
