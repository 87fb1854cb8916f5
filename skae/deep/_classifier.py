"""Classifier over stacked auto-encoders."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import check_array, column_or_1d, compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from .._compat import StrOptions
from ..nn.losses import Bernoulli, Multinomial
from ._supervised import BaseSupervisedStack, Targets

_UNLABELLED = -1


@dataclass(kw_only=True, eq=False, repr=False)
class StackedAEClassifier(ClassifierMixin, BaseSupervisedStack):
    """Classifier over stacked auto-encoders: layers pre-trained, then trained together with an output layer.

    Minimises the mean over samples of the cross-entropy of y under the softmax of the output layer; for an
    indicator matrix y, the sum of each label's own. The parameters of training below are those of this joint
    training; early stopping looks at the share of wrong labels among held-out samples.

    Semi-supervised learning is as elsewhere in scikit-learn: rows with ``y == -1`` are unlabelled and take part in
    unsupervised pre-training only. Where -1 and one other label are all there is, both are classes.

    Parameters
    ----------
    layers : list of (str, estimator)
        From the lowest to the highest: auto-encoders, or :class:`PSD` with ``encoder='tanh'`` (whose gains go into
        its decoder). They are cloned. ``loss='auto'`` is the cross-entropy on the codes of a sigmoid layer.
        Their parameters are ``name__parameter`` for ``set_params`` and grids.
    schedule : {'greedy', 'simultaneous'}, default='greedy'
        Whether each layer is trained when those below are ready, or all at once, each on the codes of the
        moment, in the batches and for the epochs of the first one.
    corrupted : {'code', 'input'}, default='code'
        Where the noise of a denoising layer comes in: at the codes that it reconstructs, or at X, of which
        it then sees the noisy codes.
    pretraining : {'unsupervised', 'supervised'}, default='unsupervised'
        How layers are prepared: by their own objectives; each as the hidden layer of a net that predicts y from the
        codes below (Bengio et al. 2006); or, with None, not at all.
    dropout : float, default=0.0
        Share of the units of each layer that a step of the joint training leaves out.
    weight_decay : float, default=0.0
        Weight of half the squared norm of the weights in the joint training.
    class_weight : dict, list of dict, 'balanced' or None, default=None
        Weights of the classes in the joint training, as elsewhere in scikit-learn.
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
    random_state : int, RandomState instance or None, default=None
        Seed of initial weights, shuffles and noise, and of layers that have none of their own.
    verbose : int, default=0
        Print loss, seconds and samples per second every so many epochs, also of layers that say nothing else.
    checkpoint : path-like, default=None
        File to which the state of the joint training is written after each epoch, atomically. Auto-encoders
        among the layers write beside it, with their names added.
    resume : bool, default=False
        Whether ``fit`` goes on from these files where they exist, at the layer and epoch of the interruption and
        to the same bits.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of ``predict_proba``.
    layers_ : list of (str, estimator)
        Layers as pre-training left them.
    named_layers_ : Bunch
        The same, by name.
    n_iter_ : int
        Epochs of the joint training.
    loss_curve_ : list of float
        Objective of each epoch.
    validation_curve_ : list of float
        Share of wrong labels on held-out samples after each epoch.

    References
    ----------
    Bengio, Y. et al. Greedy layer-wise training of deep networks. NIPS 2006.

    Vincent, P. et al. Stacked denoising autoencoders. JMLR 11 (2010), section 6.

    Srivastava, N. et al. Dropout: a simple way to prevent neural networks from overfitting. JMLR 15 (2014).

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAE, StackedAEClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> layers = [("dae1", DenoisingAE(100, max_iter=10)), ("dae2", DenoisingAE(50, max_iter=10))]
    >>> options = {"learning_rate_init": 1e-2, "batch_size": 50, "max_iter": 20, "random_state": 0}
    >>> StackedAEClassifier(layers, **options).fit(X / 16, y).score(X / 16, y) > 0.95
    True
    """

    class_weight: object = None

    _parameter_constraints: ClassVar[dict] = {
        **BaseSupervisedStack._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, list, None],
    }

    def predict(self, X):
        """Return the most probable class of each row, or which labels are more probable than not.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        probabilities = self._outputs(X)
        if self._multilabel:
            return (probabilities > 0.5).astype(int)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba(self, X):
        """Return the probability of each class (softmax), or of each label by itself.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._outputs(X)

    def predict_log_proba(self, X):
        """Return the logarithm of ``predict_proba(X)``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))

    def _targets(self, y, dtype, weights):
        kind = type_of_target(y, input_name="y")
        if kind == "multilabel-indicator":
            values = check_array(y, accept_sparse="csr", dtype=dtype)
            values = values.toarray() if hasattr(values, "toarray") else values
            self.classes_, self._multilabel = np.arange(values.shape[1]), True
            return Targets(values, Bernoulli, np.ones(len(values), bool))
        if kind == "multiclass-multioutput":
            raise ValueError(
                "y must have one column of classes, or an indicator matrix of 0 and 1."
            )
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        labelled = self._labelled(y)
        self.classes_, codes = np.unique(y[labelled], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y must have two classes or more to tell apart; got 1 class, {self.classes_[0]!r}."
            )
        self._multilabel = False
        values, strata = np.zeros((len(y), len(self.classes_)), dtype), np.zeros(len(y), int)
        values[np.flatnonzero(labelled), codes] = 1
        strata[labelled] = codes
        return Targets(values, Multinomial, labelled, strata=strata)

    def _labelled(self, y):
        """Return which rows have a class. With {-1, 1} both are classes: one alone could not be learned."""
        everyone = np.ones(len(y), bool)
        if y.dtype.kind not in "if":
            return everyone
        labelled = y != _UNLABELLED
        return labelled if len(np.unique(y[labelled])) > 1 else everyone

    def _balanced(self, weights, targets):
        if self.class_weight is None:
            return weights
        y = targets.values if self._multilabel else self.classes_[targets.strata]
        factors = np.ones(len(targets.values))
        labelled = targets.labelled
        factors[labelled] = compute_sample_weight(self.class_weight, y[labelled])
        factors = factors.astype(targets.values.dtype)
        return factors if weights is None else weights * factors

    def _errors(self, outputs, values):
        if self._multilabel:
            return ((outputs > 0.5) != values).mean(axis=1)
        return outputs.argmax(axis=1) != values.argmax(axis=1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
