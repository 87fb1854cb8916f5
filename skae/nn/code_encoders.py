"""Encoders that predict sparse codes: forward and backward passes over one flat parameter vector."""

from abc import ABC, abstractmethod

import numpy as np

from .._arrays.namespace import n_values, split_flat
from .._threads import product


def _shrink(u, threshold):
    return np.sign(u) * np.maximum(np.abs(u) - threshold, 0)


def _log_threshold(alpha, scale, dtype):
    """Return the logarithm of the threshold of a step of ISTA; of the smallest number instead of 0."""
    return np.log(max(alpha / scale, float(np.finfo(dtype).tiny)))


class CodeEncoder(ABC):
    """An encoder f of ``size`` parameters, whose arrays have these ``shapes``."""

    def __init__(self, *shapes):
        self._shapes, self.size = shapes, n_values(shapes)

    def parts(self, params):
        """Return the arrays in the vector ``params``."""
        return split_flat(params, self._shapes)

    def coefficients(self, params):
        """Return the arrays of the formula in the docstring of the class."""
        return self.parts(params)

    @abstractmethod
    def initial(self, dictionary, alpha, ridge):
        """Return initial parameters."""

    @abstractmethod
    def forward(self, params, X):
        """Return the codes, and the values that ``backward`` needs."""

    @abstractmethod
    def backward(self, params, X, memory, delta, grad):
        """Fill ``grad`` from the gradient ``delta`` at the codes.

        ``memory`` is the second value that ``forward`` returned.
        """

    def linearize(self, params, X):
        """Return K and the diagonals D of the Jacobians D K, if they have this form."""
        raise TypeError(
            "encoder='lista' has no Jacobian, which tangents need: use encoder='tanh' or 'soft_threshold'."
        )


class Tanh(CodeEncoder):
    """f(x) = g tanh(K x + b), g diagonal (Kavukcuoglu et al. 2008, equation 5).

    The parameters are g / scale, K * scale and b, with a ``scale`` of the size of values of x, so that steps of a
    solver mean the same for all sizes of x.
    """

    def __init__(self, n_atoms, n_features, scale=1.0):
        super().__init__((n_atoms,), (n_atoms, n_features), (n_atoms,))
        self._scale = scale

    def coefficients(self, params):
        """Return g, K and b."""
        gains, filters, biases = self.parts(params)
        scale = gains.dtype.type(self._scale)
        return [gains * scale, filters / scale, biases]

    def initial(self, dictionary, alpha, ridge):
        """Return the dictionary as filters, gains of 1 and biases of 0."""
        flat = np.zeros(self.size, dictionary.dtype)
        gains, filters, _ = self.parts(flat)
        gains[:], filters[:] = 1, dictionary
        return flat

    def forward(self, params, X):
        """Return codes and tanh(K x + b)."""
        gains, filters, biases = self.coefficients(params)
        tanh = np.tanh(product(X, filters.T) + biases)
        return gains * tanh, tanh

    def linearize(self, params, X):
        """Return K and the diagonals D of the Jacobians D K."""
        gains, filters, _ = self.coefficients(params)
        _, tanh = self.forward(params, X)
        return filters, gains * (1 - tanh**2)

    def backward(self, params, X, memory, delta, grad):
        """Fill ``grad``."""
        gains, _, _ = self.parts(params)
        d_gains, d_filters, d_biases = self.parts(grad)
        delta = delta * delta.dtype.type(self._scale)  # by the codes divided by the scale
        np.sum(delta * memory, axis=0, out=d_gains)
        inner = delta * gains * (1 - memory**2)
        product(inner.T, X, d_filters)
        d_filters /= d_filters.dtype.type(self._scale)
        np.sum(inner, axis=0, out=d_biases)


class SoftThreshold(CodeEncoder):
    """f(x) = shrink(K x, exp t): one step of ISTA with learned filters and thresholds."""

    def __init__(self, n_atoms, n_features):
        super().__init__((n_atoms, n_features), (n_atoms,))

    def initial(self, dictionary, alpha, ridge):
        """Return the first step of ISTA."""
        flat = np.empty(self.size, dictionary.dtype)
        filters, thresholds = self.parts(flat)
        scale = np.linalg.norm(dictionary, 2) ** 2 + ridge
        filters[:] = dictionary / scale
        thresholds[:] = _log_threshold(alpha, scale, dictionary.dtype)
        return flat

    def forward(self, params, X):
        """Return the codes twice: gradients pass where they are not zero."""
        filters, thresholds = self.parts(params)
        codes = _shrink(product(X, filters.T), np.exp(thresholds))
        return codes, codes

    def linearize(self, params, X):
        """Return K and the diagonals D of the Jacobians D K."""
        filters, _ = self.parts(params)
        codes, _ = self.forward(params, X)
        return filters, (codes != 0).astype(codes.dtype)

    def backward(self, params, X, memory, delta, grad):
        """Fill ``grad``."""
        _, thresholds = self.parts(params)
        d_filters, d_thresholds = self.parts(grad)
        inner = delta * (memory != 0)
        product(inner.T, X, d_filters)
        np.sum(-delta * np.sign(memory), axis=0, out=d_thresholds)
        d_thresholds *= np.exp(thresholds)


class Unrolled(CodeEncoder):
    """``n_steps`` steps h <- shrink(K x + S h, exp t) with learned K, S and t: LISTA (Gregor & LeCun 2010)."""

    def __init__(self, n_atoms, n_features, n_steps):
        super().__init__((n_atoms, n_features), (n_atoms, n_atoms), (n_atoms,))
        self.n_steps = n_steps

    def initial(self, dictionary, alpha, ridge):
        """Return the steps of ISTA."""
        flat = np.empty(self.size, dictionary.dtype)
        filters, feedback, thresholds = self.parts(flat)
        scale = np.linalg.norm(dictionary, 2) ** 2 + ridge
        filters[:] = dictionary / scale
        feedback[:] = np.eye(len(dictionary)) - dictionary @ dictionary.T / scale
        thresholds[:] = _log_threshold(alpha, scale, dictionary.dtype)
        return flat

    def forward(self, params, X):
        """Return the codes, and those of every step."""
        filters, feedback, thresholds = self.parts(params)
        pre_activations, limit = product(X, filters.T), np.exp(thresholds)
        steps = [_shrink(pre_activations, limit)]
        for _ in range(self.n_steps - 1):
            steps.append(_shrink(pre_activations + product(steps[-1], feedback.T), limit))
        return steps[-1], steps

    def backward(self, params, X, memory, delta, grad):
        """Fill ``grad``, from the last step back to the first."""
        _, feedback, thresholds = self.parts(params)
        d_filters, d_feedback, d_thresholds = self.parts(grad)
        d_feedback[:], d_thresholds[:] = 0, 0
        pre_activations = np.zeros_like(delta)
        for step in reversed(range(self.n_steps)):
            inner = delta * (memory[step] != 0)
            d_thresholds -= np.sum(delta * np.sign(memory[step]), axis=0)
            pre_activations += inner
            if step:
                d_feedback += product(inner.T, memory[step - 1])
                delta = product(inner, feedback)
        product(pre_activations.T, X, d_filters)
        d_thresholds *= np.exp(thresholds)


def make_encoder(name, n_atoms, n_features, n_steps, scale=1.0):
    """Return the encoder called ``name``, of rows whose values are about as large as ``scale``."""
    if name == "lista":
        return Unrolled(n_atoms, n_features, n_steps)
    if name == "tanh":
        return Tanh(n_atoms, n_features, scale)
    return SoftThreshold(n_atoms, n_features)


ENCODERS = ("tanh", "soft_threshold", "lista")
