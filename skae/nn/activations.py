"""The activations that a layer can have: functions of a row of pre-activations, with their derivatives."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from .._arrays import activations as kernels
from .._arrays.namespace import empty, empty_like, is_numpy, multiply_into, sum_rows
from .._arrays.tangents import scale_rows, scale_rows_backward
from .._kernels.tangents import RowRange, combine, combine_backward
from .._threads import ELEMENT, share

ALL = slice(None)


class Activation(ABC):
    """An activation: outputs h = s(a) of the units of a layer, from the pre-activations a of a sample.

    To add one, derive from this class, implement

    - ``forward``, s itself;
    - ``derivatives``, read off the outputs;

    and pass an instance as ``activation``, or name it in ``ACTIVATIONS``. An activation whose outputs depend on one
    pre-activation each is an ``Elementwise``; one that needs its whole row (``whole_row``) never gets a part of one.
    With ``whole_row = False``, threads may share the units of a row, and ``forward`` adds ``bias[units]``.
    ``can_be_captured`` says that its methods work on arrays of any library and do the same work for any outputs.
    """

    whole_row, can_be_captured = True, False
    kind = None  # code of the activation in the kernels, if penalties on its Jacobian have a closed form
    derivative_at_zero = 1.0  # s'(0), for the scale of the Jacobian at initial weights
    rectifies = False  # whether to initialize weights as for a rectifier

    @abstractmethod
    def forward(self, a: Any, bias: Any, rows: slice = ALL, units: slice = ALL) -> None:
        """Apply the activation in place: a <- s(a + bias).

        Parameters
        ----------
        a : array of shape (n_samples, n_units)
            Pre-activations, which become the outputs.
        bias : array of shape (n_units,)
            Added to each row first.
        rows, units : slice
            Rows to work on, and units, a part of which is given only if ``whole_row`` is false.
        """

    @abstractmethod
    def derivatives(self, outputs: Any, order: int = 1, memory: Any = None) -> Any:
        """Return the ``Derivatives`` at the outputs of some samples.

        Parameters
        ----------
        outputs : array of shape (n_samples, n_units)
            What :meth:`forward` has made.
        order : {1, 2}, default=1
            2 includes second derivatives.
        memory : Derivatives, default=None
            The result of an earlier call for outputs of the same shape, whose arrays may be reused.

        Returns
        -------
        derivatives : Derivatives
            Jacobians, which multiply rows of vectors.
        """

    def backward(
        self,
        outputs: Any,
        delta: Any,
        extra: Any,
        sums: Any,
        rows: slice = ALL,
        units: slice = ALL,
    ) -> None:
        """Backpropagate, in place: delta <- J' delta + extra, from a gradient at h to one at a.

        Parameters
        ----------
        outputs : array of shape (n_samples, n_units)
            What :meth:`forward` has made.
        delta : array of shape (n_samples, n_units)
            The gradient at the outputs, which becomes the one at the pre-activations.
        extra : array of shape (n_samples, n_units) or None
            What is added to it.
        sums : array of shape (n_units,)
            Filled with the sum of the result over the rows.
        rows, units : slice
            Rows to work on, and units, a part of which is given only if ``whole_row`` is false.
        """
        part = delta[rows, units]
        part[...] = self.derivatives(outputs[rows, ...]).vjp(delta[rows, ...])[:, units]
        if extra is not None:
            part += extra[rows, units]
        sum_rows(part, sums[units])


class Rows(NamedTuple):
    """Rows of vectors that belong to some samples of a batch, grouped by sample.

    Attributes
    ----------
    samples : ndarray of int
        Indices of the samples that have rows.
    starts : ndarray of shape (n_samples + 1,)
        Index of the first row of each sample, and the end of the last one's rows.
    """

    samples: np.ndarray
    starts: np.ndarray

    @classmethod
    def equal(cls, samples, count):
        """Return ``count`` rows for each of ``samples``."""
        return cls(samples, count * np.arange(len(samples) + 1))

    @property
    def owners(self):
        """ndarray of int: the sample of each row."""
        return np.repeat(self.samples, np.diff(self.starts))

    def each(self, vectors):
        """Return one vector for each row: ``vectors``, repeated for each sample if they are those of one."""
        n_rows = self.starts[-1]
        return vectors if len(vectors) == n_rows else np.tile(vectors, (n_rows // len(vectors), 1))

    def share(self, kernel, size, *arrays):
        """Call ``kernel(*arrays, RowRange)`` for ranges of samples, shared among threads.

        ``size`` is the number of entries of all rows.
        """

        def work(places):
            kernel(*arrays, RowRange(self.samples, self.starts, places.start, places.stop))

        share(work, len(self.samples), ELEMENT * size // max(len(self.samples), 1))


class Derivatives(ABC):
    """Jacobians J_i of an activation at some samples i, applied to rows of vectors.

    They are symmetric, as for any activation that is the gradient of a function: elementwise ones, softmax, top-k. To
    add one that is not ``Diagonal``, implement ``jvp``, ``jvp_backward`` and ``take``. ``rows`` is a ``Rows``; without
    it there is one vector for each sample.
    """

    @abstractmethod
    def jvp(self, tangents, out=None, rows=None):
        """Return J_i t_r, in ``out`` if it is given.

        ``tangents`` may be those of one sample, shared by all: see :meth:`Rows.each`.
        """

    def vjp(self, cotangents, out=None, rows=None):
        """Return J_i' u_r, in ``out`` if it is given."""
        return self.jvp(cotangents, out, rows)

    @abstractmethod
    def jvp_backward(self, tangents, cotangents, delta, rows):
        """Backpropagate through ``jvp``: u_r <- J_i' u_r; delta_i <- delta_i + d(sum_r u_r' J_i t_r) / da_i."""

    def vjp_backward(self, cotangents, tangents, delta, rows):
        """Backpropagate through ``vjp``, from t_r at J_i' u_r: t_r <- J_i t_r; ``delta`` as in ``jvp_backward``."""
        self.jvp_backward(cotangents, tangents, delta, rows)

    def combine_backward(self, coefficients, tangents, cotangents, combined, delta, rows):
        """Do ``jvp_backward`` for the tangents sum_k c_rk t_k of each sample; combined_r <- ``jvp`` of these."""
        rows.share(combine, combined.size, coefficients, tangents, combined)
        self.jvp_backward(combined, cotangents, delta, rows)
        self.jvp(combined, combined, rows)

    @abstractmethod
    def take(self, samples):
        """Return the derivatives at some of the samples."""

    def matmul(self, matrices, n_samples):
        """Return J_i M_i for matrices of shape (n_samples or 1, n_units, n_columns)."""
        columns = np.ascontiguousarray(matrices.transpose(0, 2, 1))
        _, n_columns, width = columns.shape
        rows = Rows.equal(np.arange(n_samples), n_columns)
        out = self.jvp(
            columns.reshape(-1, width), np.empty((rows.starts[-1], width), columns.dtype), rows
        )
        return out.reshape(n_samples, n_columns, width).transpose(0, 2, 1)

    def masked(self, mask):
        """Return the derivatives of the outputs times ``mask``, possibly by changing these in place."""
        return _Masked(self, mask)

    def active_units(self):
        """Return the units that products with vectors need: all but those that ``select`` may leave out."""
        return ALL


class Diagonal(Derivatives):
    """Diagonal Jacobians: ``first`` has s'(a), ``second`` has s''(a)."""

    def __init__(self, first, second=None):
        self.first, self.second = first, second

    def jvp(self, tangents, out=None, rows=None):
        """Return s'(a_i) t_r, in ``out`` if it is given."""
        if rows is None:
            out = empty_like(tangents) if out is None else out
            multiply_into(self.first, tangents, out)
            return out
        if out is None:
            out = empty((int(rows.starts[-1]), tangents.shape[1]), tangents)
        rows.share(scale_rows, out.shape[0] * out.shape[1], self.first, tangents, out)
        return out

    vjp = jvp  # a diagonal matrix is its own transpose

    def jvp_backward(self, tangents, cotangents, delta, rows):
        """Backpropagate through ``jvp``."""
        arrays = self.first, self.second, tangents, cotangents, delta
        rows.share(scale_rows_backward, cotangents.shape[0] * cotangents.shape[1], *arrays)

    def combine_backward(self, coefficients, tangents, cotangents, combined, delta, rows):
        """Do the same in one pass, while each row is in the cache."""
        arrays = self.first, self.second, coefficients, tangents, cotangents, combined, delta
        rows.share(combine_backward, tangents.size, *arrays)

    def matmul(self, matrices, n_samples):
        """Return J_i M_i."""
        return self.first[:, :, None] * matrices

    def masked(self, mask):
        """Return the derivatives of the outputs times ``mask``: these, changed in place."""
        self.first *= mask
        if self.second is not None:
            self.second *= mask
        return self

    def take(self, samples):
        """Return the derivatives at some of the samples."""
        return Diagonal(self.first[samples])

    def select(self, units):
        """Return the derivatives of some of the units."""
        return Diagonal(np.ascontiguousarray(self.first[:, units]))

    def active_units(self):
        """Return the units without those saturated at every sample, whose part of any J v is lost in rounding."""
        if not is_numpy(self.first):
            return ALL
        largest = np.abs(self.first).max(axis=0)
        active = largest > np.finfo(largest.dtype).eps * largest.max() / len(largest)
        return ALL if active.all() or not active.any() else active


class _Masked(Derivatives):
    """Jacobians M_i J_i, where the diagonal of M_i is a row of ``mask``."""

    def __init__(self, derivatives, mask):
        self._inner, self._mask = derivatives, mask

    def jvp(self, tangents, out=None, rows=None):
        """Return M_i J_i t_r."""
        out = self._inner.jvp(tangents, out, rows)
        out *= self._rows(rows)
        return out

    def vjp(self, cotangents, out=None, rows=None):
        """Return J_i' M_i u_r."""
        return self._inner.vjp(cotangents * self._rows(rows), out, rows)

    def jvp_backward(self, tangents, cotangents, delta, rows):
        """Backpropagate through ``jvp``."""
        cotangents *= self._rows(rows)
        self._inner.jvp_backward(tangents, cotangents, delta, rows)

    def vjp_backward(self, cotangents, tangents, delta, rows):
        """Backpropagate through ``vjp``."""
        mask = self._rows(rows)
        self._inner.vjp_backward(cotangents * mask, tangents, delta, rows)
        tangents *= mask

    def take(self, samples):
        """Return the derivatives at some of the samples."""
        return _Masked(self._inner.take(samples), self._mask[samples])

    def _rows(self, rows):
        return self._mask if rows is None else self._mask[rows.owners]


class Elementwise(Activation):
    """An activation of one pre-activation: ``kind`` is its code in the kernels, ``kernel`` applies it in place."""

    whole_row, can_be_captured = False, True

    def __init__(self, kind, kernel, derivative_at_zero, *, rectifies=False):
        self.kind, self.kernel, self.derivative_at_zero = kind, kernel, derivative_at_zero
        self.rectifies = rectifies

    def forward(self, a, bias, rows=ALL, units=ALL):
        """a <- s(a + bias), for some rows and units."""
        start, stop, _ = units.indices(a.shape[1])
        self.kernel(a[rows, ...], bias, start, stop)

    def derivatives(self, outputs, order=1, memory=None):
        """Return s' and, for ``order`` 2, s'' at ``outputs``."""
        at = memory
        if at is None:
            at = Diagonal(empty_like(outputs), empty_like(outputs) if order == 2 else None)

        def work(samples):
            kernels.derivatives(self.kind, outputs[samples, ...], at.first[samples, ...])
            if order == 2:
                here = outputs[samples, ...], at.second[samples, ...]
                kernels.second_derivatives(self.kind, *here)

        share(work, outputs.shape[0], ELEMENT * outputs.shape[1])
        return at

    def backward(self, outputs, delta, extra, sums, rows=ALL, units=ALL):
        """delta <- s'(a) delta + extra, for some rows and units; sums <- its sum over the rows."""
        start, stop, _ = units.indices(delta.shape[1])
        extra = outputs[:0, ...] if extra is None else extra[rows, ...]
        arrays = outputs[rows, ...], delta[rows, ...], extra, sums
        kernels.backpropagate(self.kind, *arrays, start, stop)


ACTIVATIONS = {
    "sigmoid": Elementwise(kernels.SIGMOID, kernels.sigmoid, 0.25),
    "tanh": Elementwise(kernels.TANH, kernels.tanh, 1.0),
    "relu": Elementwise(kernels.RELU, kernels.relu, 0.5, rectifies=True),
    "softplus": Elementwise(kernels.SOFTPLUS, kernels.softplus, 0.5, rectifies=True),
    "identity": Elementwise(kernels.IDENTITY, kernels.identity, 1.0),
}


def make_activation(activation):
    """Return the ``Activation`` called ``activation``, or ``activation`` itself if it is one."""
    return ACTIVATIONS[activation] if isinstance(activation, str) else activation


def initial_bound(activation, fan_in, fan_out, shallow):
    """Return the half-width of uniform initial weights: He et al. 2015 for rectifiers, else Glorot & Bengio 2010.

    The latter's factor 4 for sigmoids is omitted in a ``shallow`` (one-layer) auto-encoder: it trains no better with
    it, and noise stays visible in the filters. Deeper ones, and classifiers, learn little or nothing without it.
    """
    if activation.rectifies:
        return np.sqrt(6 / fan_in)
    factor = 4 if activation is ACTIVATIONS["sigmoid"] and not shallow else 1
    return factor * np.sqrt(6 / (fan_in + fan_out))
