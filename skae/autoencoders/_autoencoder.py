"""Auto-encoder."""

from .._estimators.parameters import estimator
from ..nn.objective import Objective
from ..nn.penalties import weight_decays
from ._base import BaseAutoEncoder


@estimator
class AutoEncoder(BaseAutoEncoder):
    """Auto-encoder: a code from which the input is reconstructed.

    Minimizes the mean over samples of ``loss(x, r(x))``, summed over features, plus
    ``weight_decay / 2`` times the squared norm of the weights.

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
        else as bernoulli, 32 or more real columns of one unit that are nearly binary, as pixels of ink (their variance
        is at least 0.6 of that of 0/1 columns with the same means), as bernoulli in their common range, and the rest as
        gaussian: see ``column_losses_``.
    standardize : {'auto', 'columns', 'shared', False}, default='auto'
        How columns of X are scaled inside the model, so that their units do not matter. ``'columns'`` gives each real
        column mean 0 and variance 1; ``'shared'`` takes one variance for all of them, as pixels have one unit.
        ``'auto'`` takes ``'shared'`` where three quarters of the real columns have the same minimum and reach half of
        the largest range, else ``'columns'``. Columns of probabilities are scaled from their common range to [0, 1];
        0/1 columns and one-hot groups stay as they are, and constant columns are left out. False takes X as it is.
        Methods give and take the units of X; ``center_`` and ``scale_`` have what was found. Later calls of a warm
        start and of ``partial_fit`` keep it.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights.
    solver : {'adam', 'sgd', 'lbfgs'} or solver, default='adam'
        ``'lbfgs'`` takes all samples at once. An instance from :mod:`skae.training` has options.
    learning_rate_init : float, default=3e-3
        Step size of adam and sgd.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs; with ``warm_start`` anew in each ``fit``. ``partial_fit``,
        which knows of no last epoch, takes constant steps. Training that is resumed then needs the same
        ``max_iter``. Not used by L-BFGS.
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
        Seed of initial weights, shuffles and noise.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped.
    checkpoint : path-like, default=None
        File to which the state of training is written after each epoch, atomically.
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
        and PyTorch, also on a CPU.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Weights of the encoder, which see scaled columns (without hidden layers; else ``encoder_weights_``).
    encoder_bias_ : ndarray of shape (n_components,)
        Bias of the encoder.
    decoder_components_ : ndarray of shape (n_components, n_features)
        Weights of the decoder, the same array when tied.
    decoder_bias_ : ndarray of shape (n_features,)
        Bias of the output units.
    center_, scale_ : ndarray of shape (n_features,)
        The network sees ``(X - center_) / scale_``, without constant columns, whose weights are given as 0.
    column_losses_ : list of (str, ndarray)
        Losses with the columns of X that have them.
    n_iter_ : int
        Epochs so far.
    loss_curve_, validation_curve_ : list of float
        Objective of each epoch, on training and on held-out samples.
    converged_ : bool
        Whether training stopped by itself.

    References
    ----------
    Hinton, G. & Salakhutdinov, R. Reducing the dimensionality of data with neural networks.
    Science 313 (2006).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoEncoder
    >>> X = load_digits().data / 16
    >>> AutoEncoder(30, max_iter=5, random_state=0).fit_transform(X).shape
    (1797, 30)
    """

    def objective(self, network, units):
        """Return the loss of the reconstruction plus weight decay.

        Parameters
        ----------
        network : Network
            The network, without its parameters.
        units : Units
            How it sees the columns of X, with the loss.

        Returns
        -------
        objective : Objective
            What :mod:`skae.training` minimizes.
        """
        return Objective(network, units.loss, penalties=weight_decays(self.weight_decay))
