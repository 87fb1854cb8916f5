"""The methods that an estimator needs as a layer of a stack, and those with which a stack trains it itself."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass


class Layer(ABC):
    """Base of estimators that can be layers of :class:`~skae.StackedAE` and of classifiers and regressors over stacks.

    To write one, derive from this class and from scikit-learn's ``BaseEstimator``, and implement

    - ``fit(X, y=None, sample_weight=None)``, where X is dense, the codes of the layer below;
    - ``layer_shapes()``, from the parameters alone;
    - ``layer_weights()``, once it is fitted.

    Estimators that do not derive from this class are refused as layers. Auto-encoders, RBM and PSD implement its
    methods and are registered as layers instead of deriving from it.
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
        """Return a list of (encoder weights, encoder bias, decoder weights, decoder bias), from the input to the code.

        Weights have the shape (n_upper, n_lower); a layer without a decoder has None for its weights and bias.
        """


class NetworkLayer(Layer):
    """A layer that is one network with its own objective, such as an auto-encoder or an RBM.

    ``schedule='simultaneous'``, ``corrupted='input'`` and ``pretraining='supervised'`` or ``'partial'`` need such
    layers, because they train the layer's network themselves. A fitted layer has a ``model_``, a
    :class:`~skae.nn.model.Model`.
    """

    @abstractmethod
    def layer_training(self):
        """Return the ``LayerTraining`` of the layer."""


@dataclass(frozen=True)
class LayerTraining:
    """Methods of a layer with which a stack trains the layer's network itself, and facts that it needs.

    On the layer these methods have names with an underscore, since users do not call them. A training is::

        training = layer.layer_training()
        problem, state = training.begin(X, sample_weight)
        ...  # the stack may change the problem, for instance its noise
        training.train(problem, state)

    If the stack trains another network than the layer's own, such as one with an output layer, it calls ``start``
    instead of ``begin``, and ``train`` with a ``set_state`` that takes the layer's part of the parameters.

    Parameters
    ----------
    make_units : callable
        ``make_units(X, frame, sample_weight)`` returns the ``Units`` in which the network sees the validated ``X``,
        which the user gave as ``frame``.
    begin : callable
        ``begin(X, sample_weight)`` returns the ``Problem`` of the layer and the ``TrainingState`` before the first
        step.
    start : callable
        ``start(network, dtype)`` returns the ``TrainingState`` before the first step of any ``Network``.
    make_solver : callable
        ``make_solver()`` returns the solver that the layer's parameters name, and its initial step size.
    train : callable
        ``train(problem, state, set_state)`` minimizes ``problem`` from ``state``, and calls ``set_state(state)`` when
        training ends, also by an error.
    set_fitted : callable
        ``set_fitted(state)`` sets the fitted attributes of the layer, its parameters and history, from ``state``. After
        the training of a larger network, ``params`` are the layer's part of the parameters, and ``network`` its
        ``Units`` and the arguments of its ``Network`` if ``begin`` has not set them.
    units_parameter : str
        Name of the parameter that says what kind of units the layer reconstructs.
    tied : bool
        Whether the decoder is tied to the encoder.
    make_noise : callable or None
        ``make_noise(units)`` returns the corruption of columns in ``Units``; None if the layer sees them without noise.
    weighs_cells : bool
        Whether corrupted and clean cells have different weights in the loss.
    """

    make_units: Callable
    begin: Callable
    start: Callable
    make_solver: Callable
    train: Callable
    set_fitted: Callable
    units_parameter: str
    tied: bool
    make_noise: Callable | None = None
    weighs_cells: bool = False
