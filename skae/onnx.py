"""Fitted networks as ONNX graphs, for programs without Python: ``to_onnx`` needs onnx (``skae[onnx]``)."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from ._arrays.namespace import in_numpy
from ._estimators.subestimators import check_estimator, n_dimensions_of_predictions
from ._version import __version__
from ._warnings import warn
from .deep import StackedAE
from .nn.activations import ACTIVATIONS
from .nn.losses import Bernoulli, Gaussian, Multinomial
from .nn.network import Network

if TYPE_CHECKING:
    from onnx import ModelProto

_OPERATORS = {
    "sigmoid": "Sigmoid",
    "tanh": "Tanh",
    "relu": "Relu",
    "softplus": "Softplus",
    "identity": "Identity",
}
_OUTPUTS = {Gaussian: "Identity", Bernoulli: "Sigmoid", Multinomial: "Softmax"}
_OPSET = 17
_PREDICTIONS = "predict", "predict_proba"
_END = 2**63  # of the integers of a label
_MAX_ROUNDING = 0.01  # fraction of a column's deviation by which rounding may change its values


def to_onnx(
    estimator: Any,
    method: Literal["transform", "reconstruct", "predict_proba", "predict"] = "transform",
) -> "ModelProto":
    """Return an ONNX model that computes one method of a fitted estimator.

    It has the input ``X``, float32 of shape (n_samples, n_features) on the scale of the training data, and the outputs
    named below. Missing values (NaN) are treated as by the estimator: auto-encoders see them as 0 and do not fill them
    in.

    Parameters
    ----------
    estimator : fitted auto-encoder, stack, RBM or classifier
        Estimator with a feed-forward network.
    method : {'transform', 'reconstruct', 'predict_proba', 'predict'}, default='transform'
        Method to compute. The outputs are, in this order: ``codes``; ``reconstruction``; ``probabilities``; ``label``
        and ``probabilities``, or ``values`` for a regressor.

    Returns
    -------
    model : onnx.ModelProto
        ``model.SerializeToString()`` is the content of a file.

    Raises
    ------
    ImportError
        If onnx is not installed.
    TypeError
        If the estimator has no feed-forward network or lacks the method.
    ValueError
        If there is no such method, columns of X or y have a scale that float32 cannot hold, or classes are neither text
        nor whole numbers.

    Warns
    -----
    UserWarning
        If float32 rounds the values of a column of X or y to more than 1% of its deviation.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ContractiveAE
    >>> from skae.onnx import to_onnx
    >>> cae = ContractiveAE(20, max_iter=2, random_state=0).fit(load_digits().data)
    >>> [output.name for output in to_onnx(cae).graph.output]  # doctest: +SKIP
    ['codes']
    """
    check_estimator(estimator)
    check_is_fitted(estimator)
    if isinstance(estimator, StackedAE) and method in _PREDICTIONS and hasattr(estimator, method):
        # The network of the estimator itself is the encoder alone.
        estimator = estimator.predictor_
    fitted = getattr(estimator, "model_", None)
    network = getattr(fitted, "network", None)
    if not (isinstance(network, Network) and network.sizes[0] == fitted.scaling.n_inputs):
        raise TypeError(
            "estimator must have a feed-forward network that sees X alone, such as ContractiveAE or StackedAE; got one "
            f"of type {type(estimator).__name__}. Of a Pipeline export the steps one by one, of an AnomalyDetector "
            "or Imputer its base_."
        )
    if method not in _METHODS:
        raise ValueError(f"method must be one of {sorted(_METHODS)}; got {method!r}.")
    if not hasattr(estimator, method):
        raise TypeError(f"{type(estimator).__name__} has no {method}.")
    graph = _Graph(fitted.scaling.n_features, get_tags(estimator).input_tags.allow_nan)
    _METHODS[method](graph, estimator, fitted)
    return graph.model(type(estimator).__name__)


class _Graph:
    """Nodes of a graph, with one output each."""

    def __init__(self, n_features, takes_nan):
        onnx = _onnx()
        self.takes_nan = takes_nan
        self._helper, self._numpy, self._types = onnx.helper, onnx.numpy_helper, onnx.TensorProto
        self._nodes, self._constants, self._outputs = [], [], []
        self._input = onnx.helper.make_tensor_value_info(
            "X", onnx.TensorProto.FLOAT, [None, n_features]
        )

    def add(self, operator, *inputs, **attributes):
        """Add a node of these inputs, names or arrays; return the name of its output."""
        names = [each if isinstance(each, str) else self._constant(each) for each in inputs]
        output = f"{operator.lower()}{len(self._nodes)}"
        node = self._helper.make_node(operator, names, [output], **attributes)
        self._nodes.append(node)
        return output

    def add_output(self, name, value, width, kind="FLOAT"):
        """Make ``value`` the output ``name`` of the graph; ``width`` is its number of columns, or None for a vector."""
        self._nodes.append(self._helper.make_node("Identity", [value], [name]))
        shape = [None] if width is None else [None, width]
        kind = getattr(self._types, kind)
        self._outputs.append(self._helper.make_tensor_value_info(name, kind, shape))

    def model(self, name):
        """Return the model."""
        graph = self._helper.make_graph(
            self._nodes, name, [self._input], self._outputs, self._constants
        )
        opset = self._helper.make_opsetid("", _OPSET)
        return self._helper.make_model(
            graph,
            opset_imports=[opset],
            ir_version=8,
            producer_name="skae",
            producer_version=__version__,
        )

    def _constant(self, array):
        name = f"constant{len(self._constants)}"
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        elif array.dtype.kind == "U":
            array = array.astype(object)
        self._constants.append(self._numpy.from_array(np.ascontiguousarray(array), name))
        return name


def _onnx():
    try:
        import onnx
    except ImportError as error:
        raise ImportError("skae.onnx needs onnx: pip install 'skae[onnx]'.") from error
    return onnx


def _in_float32(name, center, scale):
    """Return center and scale of the columns of ``name`` in float32; raise if that cannot hold them."""
    limits = np.finfo(np.float32)
    held = (np.abs(center) <= limits.max) & (limits.tiny <= scale) & (scale <= limits.max)
    if not np.all(held):
        raise ValueError(
            f"{name} has columns in units beyond the float32 of ONNX, with values of about {np.abs(center)[~held][0]:.0e} "
            f"that differ by {scale[~held][0]:.0e}: scale {name} and fit again."
        )
    return center.astype(np.float32), scale.astype(np.float32)


def _warn_of_rounding(name, center, scale):
    """Warn if float32, in which the graph has X and predictions, rounds values of ``name`` too coarsely."""
    coarse = np.abs(center) * np.finfo(np.float32).eps > _MAX_ROUNDING * scale
    if coarse.any():
        worst = int(np.argmax(np.abs(center) / scale))
        warn(
            f"Values of {name} about {center[worst]:.3g} that differ by {scale[worst]:.1g} are rounded in the float32 of ONNX to more "
            f"than {_MAX_ROUNDING:.0%} of their differences: subtract a constant from such columns, and fit again."
        )


def _scaled(graph, scaling):
    """Return z = (x - center) / scale of the columns that vary, and 0 where x is missing."""
    x = "X"
    if scaling.columns is not None:
        x = graph.add("Gather", x, scaling.columns, axis=1)
    if scaling.moves:
        center, scale = _in_float32(
            "X", scaling.center[scaling.varies], scaling.scale[scaling.varies]
        )
        _warn_of_rounding("X", center, scale)
        x = graph.add("Div", graph.add("Sub", x, center), scale)
    if not graph.takes_nan:
        return x
    return graph.add("Where", graph.add("IsNaN", x), np.zeros(1), x)


def _unscaled(graph, scaling, z):
    """Return x for z; constant columns have their value."""
    center, scale = _in_float32("X", scaling.center, scaling.scale)
    if scaling.columns is None:
        return graph.add("Add", graph.add("Mul", z, scale), center)
    # A product with a matrix that has one entry in each row moves each column to its position.
    places = np.zeros((scaling.n_inputs, scaling.n_features))
    places[np.arange(scaling.n_inputs), scaling.columns] = scale[scaling.columns]
    return graph.add("Add", graph.add("MatMul", z, places), center)


def _apply_layers(graph, x, layers):
    """Return the outputs of a chain of layers for x."""
    for layer in layers:
        names = [name for name in _OPERATORS if ACTIVATIONS[name] is layer.activation]
        if not names:
            raise TypeError(
                f"to_onnx exports the activations {sorted(_OPERATORS)}; got {type(layer.activation).__name__}. Of a "
                "SparseAutoEncoder, skae.io.save_features writes the weights for other tools."
            )
        x = graph.add("Gemm", x, layer.weights, layer.bias, transB=1)
        x = graph.add(_OPERATORS[names[0]], x)
    return x


def _means(graph, logits, loss):
    """Return the means of output units, whose kinds differ by column."""
    if len(loss.parts) == 1:
        (part,) = loss.parts
        return graph.add(_OUTPUTS[type(part)], logits)
    means = [
        graph.add(_OUTPUTS[type(part)], graph.add("Gather", logits, part.columns, axis=1))
        for part in loss.parts
    ]
    order = np.argsort(np.concatenate([part.columns for part in loss.parts]))
    return graph.add("Gather", graph.add("Concat", *means, axis=1), order, axis=1)


def _outputs(graph, fitted, n_layers=None):
    """Return the outputs of the lowest ``n_layers`` layers of the encoder, all by default, and their number."""
    layers = fitted.params.encoder_layers[:n_layers]
    return _apply_layers(graph, _scaled(graph, fitted.scaling), layers), len(layers[-1].bias)


def _transform(graph, estimator, fitted):
    graph.add_output("codes", *_outputs(graph, fitted, fitted.n_layers))


def _reconstruct(graph, estimator, fitted):
    codes, _ = _outputs(graph, fitted, fitted.n_layers)
    means = _means(graph, _apply_layers(graph, codes, fitted.params.decoder_layers), fitted.loss)
    x = _unscaled(graph, fitted.scaling, means)
    graph.add_output("reconstruction", x, fitted.scaling.n_features)


def _predict_proba(graph, estimator, fitted):
    logits, width = _outputs(graph, fitted)
    graph.add_output("probabilities", _probabilities(graph, logits, estimator, fitted.loss), width)


def _probabilities(graph, logits, estimator, loss):
    """Return probabilities, which sum to one if each row has one class."""
    if n_dimensions_of_predictions(estimator) == 2 or not loss.elementwise:
        return _means(graph, logits, loss)
    # Sigmoids over their sum, which may be 0, by their logarithms.
    minus_logarithms = graph.add("Softplus", graph.add("Neg", logits))
    return graph.add("Softmax", graph.add("Neg", minus_logarithms), axis=1)


def _labels(classes):
    """Return classes as texts or integers; raise if they are other values, such as dates."""
    if classes.dtype.kind in "OUS":
        return classes.astype(str)
    held = classes.dtype.kind in "fiub" and -_END <= int(classes.min()) <= int(classes.max()) < _END
    if not held:
        raise ValueError(
            f"y has classes of {classes.dtype} up to {classes.max()}, and labels in ONNX are texts or whole numbers below 2^63: "
            "fit again with y.astype(str), or export 'predict_proba'."
        )
    return classes.astype(np.int64)


def _predict(graph, estimator, fitted):
    logits, width = _outputs(graph, fitted)
    if not is_classifier(estimator):
        means = _means(graph, logits, fitted.loss)
        scaling = in_numpy(estimator.target_center_), in_numpy(estimator.target_scale_)
        center, scale = _in_float32("y", *scaling)
        _warn_of_rounding("y", center, scale)
        means = graph.add("Mul", means, scale)
        means = graph.add("Add", means, center)
        if n_dimensions_of_predictions(estimator) == 1:
            means, width = graph.add("Squeeze", means, np.array([1])), None
        graph.add_output("values", means, width)
        return
    if n_dimensions_of_predictions(estimator) == 2:
        labels = graph.add("Cast", graph.add("Greater", logits, np.array(0.0)), to=7)
        graph.add_output("label", labels, width, "INT64")
    else:
        number = graph.add("ArgMax", logits, axis=1, keepdims=0)
        classes = _labels(estimator.classes_)
        kind = "STRING" if classes.dtype.kind == "U" else "INT64"
        graph.add_output("label", graph.add("Gather", classes, number, axis=0), None, kind)
    graph.add_output("probabilities", _probabilities(graph, logits, estimator, fitted.loss), width)


_METHODS = {
    "transform": _transform,
    "reconstruct": _reconstruct,
    "predict_proba": _predict_proba,
    "predict": _predict,
}
