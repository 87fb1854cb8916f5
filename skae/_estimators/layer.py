"""What may be a layer of a stack."""

from abc import ABC, abstractmethod


class Layer(ABC):
    """An estimator that may be a layer of :class:`~skae.StackedAE` and of the classifiers and regressors over stacks.

    To write one, derive from this class and from scikit-learn's ``BaseEstimator``, and implement

    - ``fit(X, y=None, sample_weight=None)``, where X is dense, the codes of the layer below;
    - ``layer_shapes()``, from the parameters alone;
    - ``layer_weights()``, once it is fitted.

    A layer that cannot be part of a network has to leave this class out, and is refused.
    """

    @abstractmethod
    def fit(self, X, y=None, sample_weight=None):
        """Learn the layer from the codes below."""

    @abstractmethod
    def layer_shapes(self):
        """Return a list of (width, activation) from the layer's input to its code.

        An activation is one of 'sigmoid', 'tanh', 'relu', 'softplus' and 'identity'.
        """

    @abstractmethod
    def layer_weights(self):
        """Return a list with (encoder weights, encoder bias, decoder weights, decoder bias) for each of these.

        Weights have the shape (n_upper, n_lower); a layer without a decoder has None for its weights and bias.
        """
