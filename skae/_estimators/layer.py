"""The methods that an estimator needs as a layer of a stack, those with which a stack trains it, and checks of both."""

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from ..nn.activations import ACTIVATIONS, Activation
from .parameters import check_part
from .reading import named_array


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
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """Learn from the codes of the layer below.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
            Codes of the layer below, or the rows of the stack.
        y : array-like of shape (n_samples,), default=None
            Targets, if the stack has any.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        self : object
            The fitted layer.
        """

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

    If the stack trains another network than the layer's own, such as one with an output layer, it calls
    ``initial_state`` instead of ``begin``, and ``train`` with a ``set_state`` that takes the parameters of the layer.

    Parameters
    ----------
    make_units : callable
        ``make_units(data)`` returns the ``Units`` in which the network sees the X of a ``FitData``.
    begin : callable
        ``begin(X, sample_weight)`` returns the ``Problem`` of the layer and the ``TrainingState`` before the first
        step.
    initial_state : callable
        ``initial_state(network, dtype)`` returns the ``TrainingState`` before the first step of any ``Network``.
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
    initial_state: Callable
    make_solver: Callable
    train: Callable
    set_fitted: Callable
    units_parameter: str
    tied: bool
    make_noise: Callable | None = None
    weighs_cells: bool = False


_LAYERS = "an AutoEncoder, DenoisingAE, ContractiveAE, RBM or PSD(encoder='tanh')"


def check_layers(layers, cure=_LAYERS):
    """Raise if ``layers`` is not a list of (name, estimator) with encoder weights; ``cure`` is what to give."""
    if not layers:
        raise ValueError("layers must be a list of (name, estimator) with at least one; got none.")
    strange = [each for each in layers if not (isinstance(each, (tuple, list)) and len(each) == 2)]
    if strange:
        # Beside widths, what is no width.
        entry = next((each for each in strange if not isinstance(each, Integral)), strange[0])
        raise ValueError(
            f"layers must be a list of (name, estimator), or of widths alone; got the entry {entry!r}. make_stack "
            "names the layers of a StackedAE."
        )
    for name, layer in layers:
        if isinstance(layer, type):
            raise TypeError(
                f"layers has {name!r}: {layer!r}, which is a class; give an instance of it."
            )
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layers has {name!r}: {layer!r}, which is no layer of a stack: it does not derive from "
                f"skae.deep.Layer. Give {cure}, and put other transformers before the stack in a Pipeline."
            )
        if not isinstance(layer, BaseEstimator):
            raise TypeError(
                f"layers has {name!r}: {layer!r}, which must derive from sklearn.base.BaseEstimator, too."
            )
        check_part(name, layer)
        _check_shapes(name, layer.layer_shapes())


def _check_shapes(name, shapes):
    """Raise unless ``shapes``, those of the layer ``name``, are pairs of a width and an activation."""
    if not (isinstance(shapes, (list, tuple)) and shapes and all(map(_is_shape, shapes))):
        raise TypeError(
            f"In the layer {name!r}: layer_shapes must return a list of (width, activation), such as [(100, 'sigmoid')]; got "
            f"{shapes!r}."
        )


def _is_shape(pair):
    if not (isinstance(pair, (list, tuple)) and len(pair) == 2):
        return False
    width, activation = pair
    known = isinstance(activation, Activation) or activation in ACTIVATIONS
    return known and isinstance(width, Integral) and width >= 1


def weights_of(layer, n_inputs):
    """Return the ``layer_weights()`` of a fitted layer, which must be those that its ``layer_shapes()`` announce."""
    weights, widths = layer.layer_weights(), [width for width, _ in layer.layer_shapes()]
    each_has_four = isinstance(weights, (list, tuple)) and all(
        isinstance(each, (list, tuple)) and len(each) == 4 for each in weights
    )
    if not each_has_four or len(weights) != len(widths):
        raise TypeError(
            "layer_weights must return a list of (encoder weights, encoder bias, decoder weights, decoder bias), one for each "
            f"of layer_shapes; got {reprlib.repr(weights)}."
        )
    for arrays, n_lower, n_upper in zip(weights, (n_inputs, *widths), widths):
        _check_weights(arrays, n_lower, n_upper)
    return weights


def _check_weights(arrays, n_lower, n_upper):
    """Raise unless ``arrays`` are weights and biases of an encoder and a decoder; those of a decoder may be None."""
    names = "encoder weights", "encoder bias", "decoder weights", "decoder bias"
    shapes = (n_upper, n_lower), (n_upper,), (n_upper, n_lower), (n_lower,)
    n_arrays = 2 if arrays[2] is None and arrays[3] is None else 4
    for array, name, shape in list(zip(arrays, names, shapes))[:n_arrays]:
        if array is None or named_array(array, name, ensure_2d=False).shape != shape:
            found = None if array is None else f"shape {np.shape(array)}"
            raise ValueError(f"layer_weights must return {name} of shape {shape}; got {found}.")


def kind_of_units(layer):
    """Return the kind of units that ``layer`` reconstructs, by its parameters; gaussian if it is not a network."""
    if not isinstance(layer, NetworkLayer):
        return "gaussian"
    return getattr(layer, layer.layer_training().units_parameter)
