"""The methods that an estimator needs as a layer of a stack, and those by which a stack trains it in other ways."""

from abc import ABC, abstractmethod


class Layer(ABC):
    """An estimator that may be a layer of :class:`~skae.StackedAE` and of the classifiers and regressors over stacks.

    To write one, derive from this class and from scikit-learn's ``BaseEstimator``, and implement

    - ``fit(X, y=None, sample_weight=None)``, where X is dense, the codes of the layer below;
    - ``layer_shapes()``, from the parameters alone;
    - ``layer_weights()``, once it is fitted.

    Estimators that do not derive from this class are refused as layers. Auto-encoders, RBM and PSD implement its methods and
    are registered as layers instead of deriving from it.
    """

    @abstractmethod
    def fit(self, X, y=None, sample_weight=None):
        """Learn from the codes of the layer below."""

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


class NetworkLayer(Layer):
    """A layer that is one network with an objective of its own, as auto-encoders and RBMs are.

    ``schedule='simultaneous'``, ``corrupted='input'`` and ``pretraining='supervised'`` or ``'partial'`` need such layers:
    they train the layer's network in a way of their own, by these methods besides those of :class:`Layer`.

    - Before training: ``make_units``, ``network_shape`` and ``adopt``, then ``first_state`` and ``objective``;
      :func:`~skae._estimators.unsupervised.begin` calls them.
    - Training: ``make_solver``, ``new_state``, ``last_state``, ``train`` and ``publish``, which all estimators with
      ``TrainedModel`` above them have, as they have ``learning_rate_init``.
    - Once it is fitted: ``model_``, a :class:`~skae.nn.model.Model`.
    """

    @abstractmethod
    def make_units(self, X, frame, sample_weight):
        """Return the ``Units`` in which the network sees the validated ``X``, which was ``frame``."""

    @abstractmethod
    def network_shape(self, n_inputs):
        """Return the arguments of the ``Network`` for so many inputs, from the parameters."""

    @abstractmethod
    def adopt(self, units, shape):
        """Set the shape of the network and the units in which it sees columns of X."""

    @abstractmethod
    def first_state(self, rows, sample_weight):
        """Return the ``TrainingState`` before the first step on ``rows``, which are scaled."""

    @abstractmethod
    def objective(self, network, units):
        """Compose the training objective from its parts."""

    @abstractmethod
    def make_solver(self):
        """Return the solver that the parameters name."""

    @abstractmethod
    def new_state(self, initial):
        """Return the ``TrainingState`` before the first step, at the parameters ``initial(rng, seed)``."""

    @abstractmethod
    def last_state(self):
        """Return the ``TrainingState`` that the last fit left, to go on from."""

    @abstractmethod
    def train(self, problem, state, publish=None):
        """Minimize ``problem`` from ``state`` on; call ``publish(state)`` however training ends."""

    @abstractmethod
    def publish(self, state):
        """Make the parameters and the history in ``state`` those of the fitted estimator."""
