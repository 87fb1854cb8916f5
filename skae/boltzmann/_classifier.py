"""Classifier on top of a deep Boltzmann machine or belief network."""

from dataclasses import field
from typing import Any, ClassVar

from .._compat import HasMethods, _fit_context
from .._estimators.fitting import unchanged_on_error
from .._estimators.parameters import estimator
from .._estimators.reading_y import CLASS_WEIGHT_CONSTRAINTS, score
from .._estimators.subestimators import start_above, unfrozen
from .._estimators.supervised import BaseSupervised
from .._typing import ArrayLike, ClassifierMixin, ClassWeight, MatrixLike, Self
from ..nn.penalties import weight_decays
from ._dbm import DBM
from ._dbn import DBN
from ._rbm import RBM


@estimator
class BoltzmannClassifier(ClassifierMixin, BaseSupervised):
    """Classifier whose network is initialized by a Boltzmann machine and trained with labels.

    (a) The base is trained without labels, on all rows. (b) Its weights initialize a network of sigmoids, which gets an
    output layer. (c) All layers are trained together on the labeled rows. The network of a DBM has an additional input,
    the mean-field means of the second hidden layer at x, weighted by W2': its first hidden layer thus starts with the
    same input from both sides as in the machine (Salakhutdinov & Hinton 2009, section 3.3).

    Parameters
    ----------
    base : RBM, DBN or DBM
        Machine that initializes the network. It is cloned, unless ``prefit``.
    prefit : bool, default=False
        Whether ``base`` is already fitted and used as it is. In cross-validation, pass ``FrozenEstimator(base)``
        instead, which stays fitted when it is cloned.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes in (c); ``'balanced'`` gives all classes the same sum of sample weights.
    corruption : {'auto', 'masking', 'salt_and_pepper', 'gaussian', 'swap'}, callable or None, default='auto'
        Corruption of the inputs of the network in (c): X and, for a DBM, the means. It is drawn anew at each step;
        prediction uses clean inputs. Masking sets cells to 0 and divides the others by ``1 - corruption_level``, as
        dropout does; salt and pepper sets cells to an end of the range of their column; swap takes the same column of
        another row of the minibatch; gaussian adds noise to every cell. A callable is ``f(X, seed, out)``. ``'auto'``
        masks a fraction 0.3 of 500 inputs or more, proportionally less of fewer, and nothing if that is below 0.05, or
        if a few directions have 95% of the variance of real columns.
    corruption_level : float, default=0.3
        Fraction of the cells that are corrupted; for gaussian noise, its standard deviation.
    dropout : float or 'auto', default=0.0
        Fraction of the units of each layer that are dropped in a step of (c). ``'auto'`` is that of
        :class:`StackedAEClassifier`.
    frozen : int or 'all', default=0
        Number of the lowest hidden layers that keep the weights of ``base``. With ``'all'``, only the output layer is
        trained.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights in (c).
    solver : {'adam', 'sgd', 'lbfgs'} or solver, default='adam'
        ``'lbfgs'`` takes all samples at once. An instance from :mod:`skae.training` has options.
    learning_rate_init : float, default=3e-3
        Step size of adam and sgd.
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
        Random seed of shuffling, and of a ``base`` that has none of its own.
    verbose : int, default=0
        If positive, print loss, seconds and samples per second every ``verbose`` epochs, and why training stopped.
    checkpoint : path-like, default=None
        File to which the state of (c) is written after each epoch, atomically; the base writes beside it.
    resume : bool, default=False
        Whether ``fit`` continues from these files if they exist.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of ``predict_proba``.
    base_ : RBM, DBN or DBM
        Fitted base.
    n_iter_ : int
        Number of epochs of (c).
    loss_curve_, validation_curve_ : list of float
        Objective of each epoch, and fraction of wrong labels on held-out samples.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if X has names that are strings.

    References
    ----------
    Salakhutdinov, R. & Hinton, G. Deep Boltzmann machines. AISTATS 2009.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import RBM
    >>> from skae.boltzmann import DBM, BoltzmannClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> dbm = DBM([("low", RBM(60, max_iter=5)), ("high", RBM(40, max_iter=5))], max_iter=5)
    >>> options = {"learning_rate_init": 1e-2, "batch_size": 50, "max_iter": 30, "random_state": 0}
    >>> BoltzmannClassifier(dbm, **options).fit(X / 16, y).score(X / 16, y) > 0.95
    True
    """

    base: Any = field(kw_only=False)
    prefit: bool = False
    class_weight: ClassWeight = None

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervised._parameter_constraints,
        **CLASS_WEIGHT_CONSTRAINTS,
        "base": [HasMethods("fit")],
        "prefit": ["boolean"],
    }

    score, _start_above = score, start_above

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: MatrixLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train the base, then the classifier that starts from its weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, kept in float32 or float64.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels, -1 for rows without one; or an indicator matrix.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples in the mean of each objective.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y or a parameter is invalid (the estimator is then as before), or if the loss of (c) becomes infinite
            (the weights of the last finite epoch are then kept).
        TypeError
            If ``base`` is no Boltzmann machine.
        """
        with unchanged_on_error(self):
            data = self._validated_data(X, y, sample_weight)
            state = self._start_above(data, self._checked_base())
            self._train_jointly(
                data,
                self._inputs(data.X),
                state,
                data.constant_loss(),
                penalties=weight_decays(self.weight_decay),
                rows=data.labeled_rows,
            )
        return self

    def _checked_base(self):
        base = unfrozen(self.base)
        if not isinstance(base, (RBM, DBN, DBM)):
            raise TypeError(f"base must be an RBM, DBN or DBM; got {base!r}.")
        return base

    def _inputs(self, X):
        return self.base_.model_.input_rows(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
