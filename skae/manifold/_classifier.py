"""Manifold tangent classifier."""

from contextlib import nullcontext
from dataclasses import field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .._arrays.namespace import dense, in_numpy, spread_indices
from .._compat import HasMethods, Interval, StrOptions, _fit_context
from .._estimators.devices import (
    DEVICE_CONSTRAINTS,
    computing,
    fitting_parts,
    prototype_of_parts,
)
from .._estimators.fitting import unchanged_on_error
from .._estimators.parameters import AUTO_STEP_SIZE_CONSTRAINTS, estimator, resolved
from .._estimators.reading_y import CLASS_WEIGHT_CONSTRAINTS, score
from .._estimators.subestimators import start_above, unfrozen
from .._estimators.supervised import BaseSupervised, widths_below_outputs
from .._estimators.unlabeled import (
    RECONSTRUCTION_CONSTRAINTS,
    UNLABELED_CONSTRAINTS,
    check_unlabeled,
    need_steps,
    new_autoencoder,
    supervised_factors,
    unlabeled_ratio,
    with_mean_over_labeled,
    with_unlabeled_stratum,
)
from .._typing import ArrayLike, ClassifierMixin, ClassWeight, MatrixLike, Self
from ..autoencoders import BaseAutoEncoder
from ..deep import StackedAE
from ..nn.losses import Bernoulli, Multinomial
from ..nn.penalties import weight_decays
from ..nn.tangent_propagation import TangentPropagation
from ._penalty import (
    TANGENT_NEEDS,
    automatic_penalty,
    is_penalized,
    penalized_rows,
    resolved_n_tangents,
    warn_of_constant_outputs,
)
from ._store import TangentStore, TangentUpdates

_N_CHECKED = 1000  # labeled rows on which constant outputs are detected
_MOST_UNLABELED = 10_000  # that penalize_unlabeled='auto' penalizes
_LARGEST = 0.05  # fraction of the loss of constant outputs above which the penalty of a minibatch is logarithmic
_TOL = 1e-2  # in radians: smaller angles do not matter to the penalty, and this saves a third of the steps


@estimator
class ManifoldTangentClassifier(ClassifierMixin, BaseSupervised):
    """Classifier trained to ignore movement along the data manifold, whose tangents an auto-encoder learns.

    ``fit`` (a) trains the auto-encoder ``base`` on all rows of X; (b) computes, at each labeled row, the ``n_tangents``
    leading right singular vectors u of the encoder's Jacobian, which span the plane tangent to the manifold; (c) adds
    an output layer o and trains all layers to minimize the mean over samples of
    ``loss(y, o(x)) + tangent_penalty * sum_u ||do/dx u||^2``. The outputs o are probabilities, so that slopes of
    confident outputs cost nothing.

    Semi-supervised learning is as elsewhere in scikit-learn: rows with ``y == -1`` are unlabeled. They take part in
    (a), in the penalty of (c) with ``penalize_unlabeled``, and in its reconstruction with ``reconstruction_weight``. If
    y has -1 and only one other label, both are classes. The training parameters below apply to (c). Early stopping
    monitors the fraction of wrong labels among held-out samples.

    Parameters
    ----------
    base : estimator, default=None
        Auto-encoder, such as :class:`ContractiveAE`, or a :class:`StackedAE` of them, which is cloned. None means the
        layers that :class:`StackedAEClassifier` has by default; the paper's have ``curvature``.
    n_tangents : int or 'auto', default='auto'
        Number of tangents per sample, at most the number of features or code units; ``'auto'`` is half that, up to 15.
    tangent_penalty : float, 'auto' or str, default='auto'
        Weight of the squared slopes of the outputs along the tangents; 0 skips (b). Slopes are those by scaled columns.
        ``'auto'`` is the mean variance of the data along the tangents, ``mean(u' Cov(X) u)`` for scaled columns, and
        does not depend on the scale of X. It is less if more than half of the squared distance to the nearest rows of
        other labels is along the tangents, as in many tables, and 0 from 60% on: outputs must change there. If
        unlabeled rows are penalized and n < 1000 have labels, it is ``(n / 1000) ** 1.5`` times that. It is estimated
        from 500 rows of X and the tangents of 500. ``'0.3*auto'`` is a multiple: search on the grid ``'0.3*auto'``,
        ``'auto'``, ``'3*auto'``, ``'30*auto'``. If the penalty P of a minibatch exceeds L, 5% of the loss of constant
        outputs, ``L * (1 + log(P / L))`` replaces it, so that a weight that is much too large does little harm.
    tangent_sampling : {'exact', 'random'}, default='random'
        Whether a step uses all tangents of each sample, or one random combination of them, which is unbiased. The
        random form costs two passes through the network instead of ``1 + n_tangents``. The exact form costs less than
        that if there are more tangents than classes, since it then back-propagates the gradients of the outputs
        instead. It also skips outputs whose contribution is below rounding error, so that it gets cheaper as the
        network becomes confident.
    update_tangents : int, default=None
        Number of epochs after which the tangents are recomputed from the current layers. None keeps those of ``base``,
        as in the paper. Not available with ``solver='lbfgs'``, which needs a fixed objective.
    tangent_storage : {'float16', 'float32', None}, default='float16'
        Precision in which the tangents are stored: ``n_labeled * n_tangents * n_features`` values of 2 or 4 bytes, 1.4
        GB for all of MNIST with 15 tangents in ``'float16'``. None recomputes them for each minibatch.
    penalize_unlabeled : bool or 'auto', default='auto'
        Whether to penalize rows without a label too; the mean of the loss is still over the labeled ones. This needs
        ``output='softmax'``, with which ``'auto'`` penalizes at most 10,000 unlabeled rows.
    output : {'softmax', 'sigmoid'}, default='softmax'
        Output units. ``'softmax'`` makes one class right, ``'sigmoid'`` treats each by itself, as in the paper, and
        ``predict_proba`` then divides by their sum.
    prefit : bool, default=False
        Whether ``base`` is already fitted and is used as it is. In cross-validation use ``FrozenEstimator(base)``
        instead, which stays fitted when it is cloned.
    class_weight : dict, 'balanced' or None, default=None
        Weights of the classes in (c); ``'balanced'`` gives all classes the same sum of sample weights.
    reconstruction_weight : float, default=0.0
        Weight of reconstructing X in (c), so that unlabeled rows train the layers too. This adds
        ``reconstruction_weight * (S / R) * loss(x, r(x))``, a mean over labeled and unlabeled rows. R is the loss of
        the constant reconstruction and S the entropy of y, so that neither the width nor the scale of X matter. r
        passes through all hidden layers, without dropout, and back through the decoder of ``base``, which is trained
        too. With ``corruption``, the clean X is reconstructed.
    unlabeled_per_labeled : float, 'auto' or None, default='auto'
        Number of unlabeled rows per labeled row with ``penalize_unlabeled`` or ``reconstruction_weight``, drawn anew in
        each epoch. Epochs and ``batch_size`` then count labeled rows only, so that few labels among many rows are no
        more work. None uses all rows. ``'auto'`` means one, or None with ``solver='lbfgs'``, which needs all rows.
    corruption : {'auto', 'masking', 'salt_and_pepper', 'gaussian', 'swap'}, callable or None, default='auto'
        Noise added to X in (c), drawn anew at each step; prediction uses the clean X. ``'masking'`` sets cells to 0 and
        divides the others by ``1 - corruption_level``, as dropout does; ``'salt_and_pepper'`` sets them to an end of
        their column's range; ``'swap'`` takes the same column of another row of the minibatch; ``'gaussian'`` adds
        noise to every cell. A callable has the signature ``f(X, seed, out)``. Tangents stay those of the clean X; the
        slopes are taken at its corrupted copy. ``'auto'`` is that of :class:`~skae.StackedAEClassifier`: masking, with
        many inputs of which no few directions have nearly all variance.
    corruption_level : float, default=0.3
        Fraction of the cells that are corrupted; for gaussian noise, its standard deviation.
    dropout : float or 'auto', default='auto'
        Fraction of the units of each layer that are dropped at each step of (c), also for the slopes along the
        tangents. ``'auto'`` is that of :class:`StackedAEClassifier`, but 0 if columns have a common range, as pixels.
    frozen : int or 'all', default=0
        Number of the lowest hidden layers that keep the weights of ``base``. With ``'all'``, only the output layer is
        trained.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights in (c).
    solver : {'adam', 'sgd', 'lbfgs'} or solver, default='adam'
        ``'lbfgs'`` takes all samples at once. An instance from :mod:`skae.training` has options.
    learning_rate_init : float or 'auto', default='auto'
        Step size of adam and sgd. ``'auto'`` is that of :class:`StackedAEClassifier`.
    learning_rate : {'constant', 'cosine'}, default='cosine'
        How the step size changes: ``'cosine'`` lowers it at each step along half a cosine, from ``learning_rate_init``
        to 0 at the end of the last of ``max_iter`` epochs. Training that is resumed then needs the same
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
    refit : bool, default=False
        Whether to train once more from the same start, on the held-out samples too, for the number of epochs after
        which their error was least. Needs ``early_stopping``.
    random_state : int, RandomState instance or None, default=None
        Random seed of initial weights, shuffling and directions, and of ``base`` if it has none of its own.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped; also
        of a ``base`` whose own ``verbose`` is 0.
    checkpoint : path-like, default=None
        File to which the state of (c) is written after each epoch, atomically. ``base`` writes beside it, with
        ``.base`` added.
    resume : bool, default=False
        Whether ``fit`` continues from these files if they exist, with bitwise the same result as without the
        interruption (L-BFGS forgets its past gradients).
    device : str, default=None
        Where to compute if X is a numpy array, such as ``'cuda'``; see :class:`StackedAEClassifier`.
    precision : {'float32', 'bfloat16'}, default='float32'
        ``'bfloat16'`` rounds the factors of matrix products; it needs X in float32, and a GPU or a processor with
        AVX512-BF16.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of ``predict_proba``.
    base_ : estimator
        The auto-encoder after (a).
    tangent_penalty_ : float
        Weight of the squared slopes that was used.
    n_iter_ : int
        Epochs of (c).
    loss_curve_, validation_curve_ : list of float
        Objective of each epoch, and fraction of wrong labels on held-out samples.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Rifai, S., Dauphin, Y., Vincent, P., Bengio, Y. & Muller, X. The manifold tangent classifier. NIPS 2011, section 4.
    Simard, P., Victorri, B., LeCun, Y. & Denker, J. Tangent prop. NIPS 1991.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAE, ManifoldTangentClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> y[100:1500] = -1
    >>> base = ContractiveAE(100, max_iter=20)
    >>> options = {"n_tangents": 5, "learning_rate_init": 1e-2, "max_iter": 50, "random_state": 0}
    >>> mtc = ManifoldTangentClassifier(base, **options).fit(X / 16, y)
    >>> mtc.score(X[1500:] / 16, y[1500:]) > 0.8
    True
    """

    base: Any = field(default=None, kw_only=False)
    n_tangents: int | Literal["auto"] = "auto"
    tangent_penalty: float | str = "auto"
    tangent_sampling: Literal["exact", "random"] = "random"
    update_tangents: int | None = None
    tangent_storage: Literal["float16", "float32"] | None = "float16"
    penalize_unlabeled: bool | Literal["auto"] = "auto"
    output: Literal["softmax", "sigmoid"] = "softmax"
    prefit: bool = False
    dropout: float | Literal["auto"] = "auto"
    learning_rate_init: float | Literal["auto"] = "auto"
    class_weight: ClassWeight = None
    reconstruction_weight: float = 0.0
    unlabeled_per_labeled: float | Literal["auto"] | None = "auto"
    device: str | None = None
    precision: Literal["float32", "bfloat16"] = "float32"

    if TYPE_CHECKING:
        tangent_penalty_: float = field(init=False)

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervised._parameter_constraints,
        **AUTO_STEP_SIZE_CONSTRAINTS,
        **CLASS_WEIGHT_CONSTRAINTS,
        **RECONSTRUCTION_CONSTRAINTS,
        **UNLABELED_CONSTRAINTS,
        **DEVICE_CONSTRAINTS,
        "base": [HasMethods("fit"), None],
        "n_tangents": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "tangent_penalty": [Interval(Real, 0, None, closed="left"), str],
        "tangent_sampling": [StrOptions({"exact", "random"})],
        "update_tangents": [Interval(Integral, 1, None, closed="left"), None],
        "tangent_storage": [StrOptions({"float16", "float32"}), None],
        "penalize_unlabeled": ["boolean", StrOptions({"auto"})],
        "output": [StrOptions({"softmax", "sigmoid"})],
        "prefit": ["boolean"],
    }

    _needs: ClassVar[tuple] = TANGENT_NEEDS
    _drops_on_pixels: ClassVar[bool] = False

    score, _start_above = score, start_above

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the auto-encoder, take its tangents, and train the classifier.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, -1 for rows without one; or an indicator matrix of several labels per row, for which the output
            units are sigmoids.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is invalid (the estimator is then as before), or if the loss of (c) becomes
            infinite (the weights of the last finite epoch are then kept).
        TypeError
            If ``base`` is not an auto-encoder.
        """
        with unchanged_on_error(self), fitting_parts(self, X) as self._backend:
            X, y, sample_weight = map(in_numpy, (X, y, sample_weight))
            self._check_parameters()
            data = self._validated_data(X, y, sample_weight)
            data = data.with_targets(loss=self._output_loss())
            self._fine_tune(data, self._start_above(data, self._checked_base(data.X)))
        return self

    def _fine_tune(self, data, state):
        """Train all layers and the output layer with the tangent penalty, starting from ``state``."""
        constant_loss, labeled = data.constant_loss(), data.targets.labeled
        n_unlabeled = len(labeled) if self.penalize_unlabeled else 0
        if self.penalize_unlabeled == "auto":
            n_unlabeled = _MOST_UNLABELED if data.targets.loss is Multinomial else 0
        rows = penalized_rows(labeled, n_unlabeled, state.seed)
        inputs = self._inputs(data.X)
        penalties, observers = self._penalties(rows, inputs, data, state, constant_loss)
        data, options = self._rows_to_train_on(data, rows, bool(penalties and n_unlabeled))
        if self.reconstruction_weight:
            options["autoencoder"] = self._base_autoencoder(state)
        options["penalties"] = [*penalties, *weight_decays(self.weight_decay)]
        self._train_jointly(data, inputs, state, constant_loss, observers=observers, **options)
        if penalties:
            self._warn_of_constant_outputs(data, inputs)

    def _rows_to_train_on(self, data, penalized, penalizes_unlabeled):
        """Return ``data`` and options of ``_train_jointly``: the rows of the joint training, and their factors.

        The loss of predictions is a mean over the labeled ones of these rows.
        """
        reconstructs = self.reconstruction_weight > 0
        ratio = unlabeled_ratio(self, reconstructs or penalizes_unlabeled)
        options = {"unlabeled_per_labeled": ratio}
        if penalizes_unlabeled:
            data = with_mean_over_labeled(data, penalized, ratio)
            return with_unlabeled_stratum(data), {**options, "rows": penalized}
        if reconstructs:  # all rows
            options["factors"] = supervised_factors(data, ratio)
            return with_unlabeled_stratum(data), options
        return data, {**options, "rows": data.labeled_rows}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = tags.array_api_support = True
        return tags

    def _check_parameters(self):
        if self.update_tangents and is_penalized(self):
            need_steps(self, "update_tangents")
        used = self.penalize_unlabeled or self.reconstruction_weight > 0
        check_unlabeled(self, used, "penalize_unlabeled=True or reconstruction_weight > 0")

    def _checked_base(self, X):
        base = unfrozen(self.base)
        if base is None:
            base = StackedAE(widths_below_outputs(X))
        if not isinstance(base, (BaseAutoEncoder, StackedAE)):
            raise TypeError(f"base must be an auto-encoder or a StackedAE; got {base!r}.")
        return base

    def _warn_of_constant_outputs(self, data, inputs):
        """Warn if even the labeled rows are predicted hardly better than by outputs that do not depend on X."""
        rows, weights = data.counted_labeled_rows, data.balanced_weights
        rows = rows[spread_indices(len(rows), _N_CHECKED)]
        weights = None if weights is None else weights[rows]
        network, values = self._network, data.targets.values[rows]
        params = network.views(self._params)
        outputs = network.encode(params, dense(inputs[rows]))
        warn_of_constant_outputs(self._kind, outputs, values, weights, self.tangent_penalty_)

    def _output_loss(self):
        """Return the loss of the output units."""
        if self.output == "softmax" and not self._kind.multilabel:
            return Multinomial
        if self.penalize_unlabeled is True:
            raise ValueError(
                "penalize_unlabeled=True needs output='softmax', and y with one class for each row: set it to 'auto' or False."
            )
        return Bernoulli

    def _base_autoencoder(self, state):
        """Return the network of the base and its parameters; a base that has learned from y gets a tied decoder."""
        network = self.base_.model_.network
        if network.decoder is not None:
            return network, self.base_.model_.flat
        shape = {"sizes": network.sizes, "activation": network.activation_names, "decoder": "tied"}
        return new_autoencoder(shape, self._units, state)

    def _penalties(self, rows, inputs, data, state, constant_loss):
        """Return the penalty on slopes along tangents at ``rows``, and observers that update these; each in a list."""
        self.tangent_penalty_ = 0.0
        if not is_penalized(self):
            return [], []
        store = self._tangents(inputs, rows, state)
        automatic = automatic_penalty(data, store)
        self.tangent_penalty_ = resolved(self.tangent_penalty, "tangent_penalty", automatic)
        if self.tangent_penalty_ == 0:
            return [], []
        parts = self._network, self._output_units, store
        penalty = TangentPropagation(self.tangent_penalty_, *parts, _LARGEST * constant_loss)
        updates = [TangentUpdates(store, self.update_tangents)] if self.update_tangents else []
        return [penalty], updates

    def _tangents(self, inputs, rows, state):
        """Return the ``TangentStore`` of the tangents at ``rows`` of the encoder in ``state``."""
        network, prototype = self._network, prototype_of_parts()
        n_inputs, *_, n_units, _ = network.sizes
        n_tangents = resolved_n_tangents(self.n_tangents, n_inputs, n_units)
        options = {"dtype": self.tangent_storage, "random": self.tangent_sampling == "random"}
        options |= {"tol": _TOL, "seed": state.seed, "prototype": prototype}
        store = TangentStore(network, inputs, rows, n_tangents, **options)
        with nullcontext() if prototype is None else computing(self, prototype, inputs.dtype):
            store.update(state.params)
        return store
