"""Contractive auto-encoder."""

from dataclasses import field
from numbers import Integral, Real
from typing import ClassVar, Literal

from sklearn.utils.validation import check_is_fitted

from .._compat import Interval, StrOptions
from .._estimators.needs import Need
from .._estimators.parameters import estimator, resolved
from .._estimators.units import SigmoidCode
from ..nn.activations import make_activation
from ..nn.jacobian_penalties import JacobianContraction, JacobianCurvature
from ..nn.network import expected_squared_jacobian
from ..nn.objective import Objective
from ..nn.penalties import Contraction, Curvature, weight_decays
from ._base import BaseAutoEncoder

# Fraction of each loss that the automatic penalty amounts to at the start.
_LOSS_FRACTIONS = {"gaussian": 0.03, "bernoulli": 0.1, "multinomial": 0.03}
_FEW_FEATURES = 16  # up to here all input directions cost little more than a random one


@estimator
class ContractiveAE(BaseAutoEncoder):
    """Auto-encoder whose code varies little around each training point.

    Minimizes the mean over samples of ``loss(x, r(x)) + contraction * ||J(x)||_F^2 + curvature *
    E ||J(x) - J(x + e)||_F^2``, each summed over features; J = dh/dx and e is normal noise, drawn
    anew at each step.

    Without hidden layers both penalties have a closed form, the second one for given e. With hidden layers they are
    computed in forward mode; see ``n_directions``.

    With ``contracted="reconstruction"`` the first penalty is on dr/dx instead. For gaussian columns
    and small sigma, ``contraction=sigma**2 / 2`` then has the optimum of a DenoisingAE with normal
    noise of standard deviation sigma, exactly so for linear models.

    Weights are tied: otherwise the penalty on the code could be made as small as one likes, by a small encoder and a
    large decoder.

    Parameters
    ----------
    n_components : int, default=500
        Width of the code.
    contraction : float, 'auto' or str, default='auto'
        Weight of the squared Frobenius norm of the encoder's Jacobian with respect to the scaled columns. ``'auto'``
        suits columns of any kind; ``'2*auto'`` is a multiple: search on the grid ``'0.3*auto'``, ``'auto'``,
        ``'3*auto'``. ``'auto'`` is ``(0.03 gaussian + 0.1 bernoulli + 0.03 multinomial) / J0``; see ``contraction_``.
        The numerator sums the losses of the best constant reconstruction by kind of column, less the entropy of the
        values themselves, as of gray pixels. J0 is the mean squared norm for initial weights at pre-activations of 0,
        times ``max(1, k / d)`` for a code of k units and d columns. For one layer of sigmoids this norm is ``k d / (8
        (k + d))``. Many units for few columns are contracted less, since their codes would be constant around each row
        and lose columns that matter. For r(x), J0 is d.
    curvature : float, default=0.0
        Weight of the Jacobian's expected squared change (CAE+H).
    curvature_noise : float, default=0.1
        Standard deviation of the noise e.
    n_curvature_samples : int, default=1
        Number of draws of e at each step.
    contracted : {'code', 'reconstruction'}, default='code'
        Whether the code h(x) or the reconstruction r(x) is to vary little. With ``'reconstruction'`` the weights may be
        untied, and the loss must not be multinomial.
    n_directions : 'auto', 'all' or int, default='auto'
        Directions v for which forward mode computes ``||J||_F^2 = sum_v ||J v||^2``. ``'all'`` uses each input
        direction, which is exact and costs one pass through the network per feature of X. An int is the number of
        random sign vectors for each sample at each step, which give an unbiased estimate. ``'auto'`` is ``'all'`` up to
        16 features, and 1 beyond: codes and reconstructions are as good.
    hidden_layer_sizes : int or sequence of int, default=()
        Widths of encoder layers before the code; the decoder mirrors them. An int is the width of a single one.
    activation : {'sigmoid', 'tanh', 'relu', 'softplus', 'identity'} or Activation, default='sigmoid'
        Activation of every layer but the output. ``TopK(k)`` of :mod:`skae.autoencoders` keeps the k largest units
        of a sample; others are written as in "Add an activation" of the documentation.
    tied_weights : bool, default=True
        Whether the decoder uses the transposed weights of the encoder.
    loss : str or list of (str, columns), default='auto'
        Loss of all columns: ``'gaussian'`` (half squared error), ``'bernoulli'`` (cross-entropy, X in [0, 1]) or
        ``'multinomial'`` (the row is one group). A list of (loss, columns) pairs, as in ColumnTransformer, sets the
        loss by column; the columns of a multinomial pair are one group, or a dict of named groups. ``'auto'`` chooses
        multinomial for runs of one-hot columns and bernoulli for columns that hold both 0 and 1 and nothing else,
        except a few among pixels. It also chooses bernoulli, in their common range, for 32 or more real columns on one
        scale that are nearly binary, such as pixels of ink (their variance is at least 0.6 of that of 0/1 columns with
        the same means). The other columns are gaussian, and so are 0/1 columns if a contracted code has more sigmoids
        than columns, so that they can be scaled; see ``column_losses_``.
    standardize : {'auto', 'columns', 'shared', False}, default='auto'
        How to scale the columns of X inside the model, so that their scales do not matter. ``'columns'`` scales each
        real column to mean 0 and variance 1. ``'shared'`` uses one variance for all of them, for columns on one scale
        such as pixels. ``'auto'`` means ``'shared'`` for pixels (three quarters of the real columns begin at the least
        value of all and reach half of the range of all), for counts of words, weighted or not (32 real columns or more,
        of whose values three quarters are the least one; three quarters of the columns have a third to three times the
        median range), and for principal components (eight real columns or more in the order of decreasing variance),
        else ``'columns'``. Columns of probabilities are scaled from their common range to [0, 1]; 0/1 columns and
        one-hot groups are not scaled, and constant columns are left out. With sigmoids and ``contracted='code'``, the
        variance is not 1 but the number of units of the first layer divided by that of columns, clipped to [0.1, 8], or
        to [0.1, 4] with one-hot groups: many units for few columns would be linear otherwise. With fewer columns than
        units, 0/1 columns are scaled too. False uses X as it is. Methods take and return values on the scale of X.
        ``center_`` and ``scale_`` hold the scaling, which warm starts and ``partial_fit`` keep.
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
    learning_rate_init : float, default=3e-3
        Step size of adam and sgd.
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
    contraction_ : float
        Weight of the squared Jacobian that was used.
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

    n_components: int = field(default=500, kw_only=False)
    contraction: float | str = "auto"
    curvature: float = 0.0
    curvature_noise: float = 0.1
    n_curvature_samples: int = 1
    contracted: Literal["code", "reconstruction"] = "code"
    n_directions: int | Literal["auto", "all"] = "auto"

    _parameter_constraints: ClassVar[dict] = {
        **BaseAutoEncoder._parameter_constraints,
        "contraction": [Interval(Real, 0, None, closed="left"), str],
        "curvature": [Interval(Real, 0, None, closed="left")],
        "curvature_noise": [Interval(Real, 0, None, closed="neither")],
        "n_curvature_samples": [Interval(Integral, 1, None, closed="left")],
        "contracted": [StrOptions({"code", "reconstruction"})],
        "n_directions": [StrOptions({"auto", "all"}), Interval(Integral, 1, None, closed="left")],
    }

    _needs: ClassVar[tuple] = (
        Need.of_positive("curvature_noise n_curvature_samples", "curvature"),
        Need(
            "n_directions",
            "contracted hidden_layer_sizes activation",
            "contracted='reconstruction', hidden_layer_sizes or a unit that takes a whole row",
            lambda self: self._takes_directions,
        ),
    )

    _cure_of_constant_codes = "Lower contraction, or train longer (max_iter, learning_rate_init)."

    @property
    def contraction_(self) -> float:
        """The weight of the penalty, with the value that ``contraction='auto'`` stands for: float."""
        check_is_fitted(self)
        return self._strength(self._network, self._units, self._trained_with)

    def _strength(self, network, units, params):
        """Return the weight of the penalty by ``params``, those of the estimator now or in its last fit.

        With ``'auto'``, the penalty at initial weights is a given fraction of the loss of constant outputs.
        """
        n_inputs, n_units = network.sizes[0], network.sizes[-1]
        if params["contracted"] == "code":
            squared_jacobian = expected_squared_jacobian(network) * max(1, n_units / n_inputs)
        else:
            squared_jacobian = n_inputs  # of the identity
        target = sum([_LOSS_FRACTIONS[name] * loss for name, loss in units.constant_losses.items()])
        return resolved(params["contraction"], "contraction", target / squared_jacobian)

    def objective(self, network, units):
        """Return the loss of the reconstruction plus the penalties on the code's derivatives.

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
        if not self.tied_weights and (self.contracted == "code" or self.curvature > 0):
            raise ValueError(
                "tied_weights=False lets a small encoder and a large decoder make the penalty on the code as small as "
                "they like: set tied_weights=True, or contracted='reconstruction' and curvature=0."
            )
        penalties = [self._contraction(network, units), *weight_decays(self.weight_decay)]
        if self.curvature:
            penalties.append(self._curvature(network))
        return Objective(network, units.loss, penalties=penalties)

    def _sigmoid_code(self):
        width, activation = self.layer_shapes()[0]
        suits = activation == "sigmoid" and self.contracted == "code"
        return SigmoidCode(width) if suits else None

    @property
    def _automatic_bias_init(self):
        return "off" if self.contracted == "code" else "zeros"

    def _contraction(self, network, units):
        strength = self._strength(network, units, vars(self))
        if self.contracted == "reconstruction":
            if not units.loss.elementwise:
                raise ValueError(
                    "contracted='reconstruction' cannot have columns with a multinomial loss, whose reconstructions depend on "
                    "each other: use loss='gaussian' or 'bernoulli', or contracted='code'."
                )
            return JacobianContraction(
                strength, network, n_directions=self._directions(network), loss=units.loss
            )
        if network.has_closed_form:
            return Contraction(strength, network.activations[0])
        return JacobianContraction(strength, network, n_directions=self._directions(network))

    def _curvature(self, network):
        noise, n_samples = self.curvature_noise, self.n_curvature_samples
        if network.has_closed_form:
            return Curvature(self.curvature, network.activations[0], noise, n_samples)
        return JacobianCurvature(
            self.curvature, noise, n_samples, n_directions=self._directions(network)
        )

    @property
    def _takes_directions(self):
        """Whether forward mode computes a penalty: bool."""
        deep = len(self.layer_shapes()) > 1 or make_activation(self.activation).kind is None
        return deep or self.contracted == "reconstruction"

    def _directions(self, network):
        if self.n_directions == "auto":
            return None if network.sizes[0] <= _FEW_FEATURES else 1
        return None if self.n_directions == "all" else self.n_directions
