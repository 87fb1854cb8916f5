"""Codes of many samples, where products of integers tell which pre-activations have to be computed."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays.namespace import is_numpy
from .._kernels.integers import (
    LARGEST_NORM,
    TILE_COLUMNS,
    has_pair_products,
    largest_factor,
    pack_rows,
)
from .._kernels.screening import BLOCK, exact_above, exact_top_k, rounded_products
from .._threads import share
from .sparse_codes import codes_of_rows

_MANY = 1024  # samples and features from which on it is faster
_MOST = 8  # it is not if more than one in so many features of a sample have to be computed


def screening(layer, n_samples):
    """Return the ``Screening`` of a layer for ``n_samples`` samples, or None if floating-point products are faster."""
    weights = layer.weights
    if not is_numpy(weights) or min(n_samples, len(weights)) < _MANY or not has_pair_products():
        return None
    largest = np.abs(weights).max()
    if largest < np.finfo(weights.dtype).tiny * LARGEST_NORM:
        return None
    return Screening(layer, *_rounded(weights, largest))


@dataclass
class Screening:
    """A layer with its weights rounded to integers.

    Parameters
    ----------
    layer : DenseLayer
    integers : ndarray of int32
        Pairs of integers, as ``integer_products`` takes them.
    step : float
        Value of an integer of 1.
    """

    layer: Any
    integers: np.ndarray
    step: float

    def codes(self, inputs):
        """Return the codes of ``inputs``, or None if so many have to be computed that computing all is faster."""
        return self.layer.activation.select_screened(self, inputs)

    def top_k(self, inputs, k):
        """Return the k largest positive pre-activations of each row."""
        return self._codes(inputs, k, exact_top_k, k)

    def above(self, inputs, limits):
        """Return the pre-activations above the ``limits``, one for each column."""
        return self._codes(inputs, self._most, exact_above, limits)

    @property
    def _most(self):
        return len(self.layer.weights) // _MOST

    def _codes(self, inputs, width, find, sought):
        """Return the entries that the kernel ``find`` finds, at most ``width`` in a row."""
        if width > self._most:
            return None
        weights, bias = self.layer.weights, self.layer.bias
        columns = np.empty((len(inputs), width), np.int32)
        values, counts = np.empty(columns.shape, inputs.dtype), np.empty(len(inputs), np.int64)

        def work(rows):
            near = _Products(self)
            for start in range(rows.start, rows.stop, BLOCK):
                part = slice(start, min(start + BLOCK, rows.stop))
                approximate = near.of(inputs[part])
                arrays = columns[part], values[part], counts[part]
                find(inputs[part], weights, bias, *approximate, sought, self._most, *arrays)

        share(work, len(inputs), weights.size // 2)
        return None if (counts < 0).any() else codes_of_rows(columns, values, counts)


class _Products:
    """Approximate products of at most ``BLOCK`` rows with the weights."""

    def __init__(self, screening):
        dtype, self._integers = screening.layer.weights.dtype, screening.integers
        self._step, self._scales = dtype.type(screening.step), np.empty(BLOCK, dtype)
        n_blocks, n_pairs, _ = self._integers.shape
        self._pairs = np.zeros((BLOCK, 2 * n_pairs), np.int16)
        self._sums = np.empty((BLOCK, n_blocks * TILE_COLUMNS), np.int32)

    def of(self, inputs):
        """Return integers and the value of 1 in each row."""
        rounded_products(inputs, self._integers, self._step, self._pairs, self._sums, self._scales)
        return self._sums, self._scales


def _rounded(weights, largest):
    """Return the weights in pairs of integers, and the value of an integer of 1."""
    n, n_inputs = weights.shape
    norm = np.linalg.norm(weights / largest, axis=1).max()
    factor = largest_factor(float(norm), n_inputs) / largest
    integers = np.zeros((-(-n // TILE_COLUMNS), -(-n_inputs // 2), TILE_COLUMNS), np.int32)
    pack_rows(weights, weights.dtype.type(factor), integers)
    return integers, 1 / factor
