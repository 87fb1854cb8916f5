"""Checks that every model's tests share."""

import os
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks


def relative_gradient_error(objective, params, batch, step=1e-6, n_directions=12):
    """Return the largest difference of slopes from central differences, over the largest entry of the gradient.

    Slopes are those along random vectors of 1 and -1: a wrong entry is wrong by as much in each of them.
    """

    def value(point, grad=None):
        return objective(point, batch, grad, np.random.default_rng(3))

    grad = np.empty_like(params)
    value(params, grad)
    directions = np.random.default_rng(0).choice([-1.0, 1.0], (n_directions, params.size))
    numeric = np.array(
        [
            (value(params + step * along) - value(params - step * along)) / (2 * step)
            for along in directions
        ]
    )
    return np.abs(numeric - directions @ grad).max() / np.abs(grad).max()


def conditional_means(center, covariance, row):
    """Return the row with the conditional means of a normal distribution where it is NaN, by its covariance."""
    missing, filled = np.isnan(row), np.array(row)
    among, between = covariance[~missing][:, ~missing], covariance[missing][:, ~missing]
    filled[missing] = center[missing] + between @ np.linalg.solve(among, (row - center)[~missing])
    return filled


def some_digits(dtype):
    """Return 150 digits with values in [0, 1], of which two are equal and have noise of their own."""
    X = load_digits().data[:150].astype(dtype) / 16
    X[0] = X[1]
    return X


def in_library(library, *arrays):
    """Return arrays of numpy as those of a library; skip the test where it is not installed."""
    xp = pytest.importorskip(library)
    return [xp.asarray(array) for array in arrays]


def tolerance_of(dtype):
    """Return how far numbers of another library may be from those of numpy."""
    tolerance = 1e-10 if dtype == "float64" else 1e-5
    return {"rtol": tolerance, "atol": tolerance}


def assert_same_numbers(pairs, prototype, **tolerance):
    """Compare arrays of the library of ``beside`` with those of numpy that they are paired with."""
    for found, numbers in pairs:
        assert type(found) is type(prototype)
        np.testing.assert_allclose(np.from_dlpack(found), numbers, **tolerance)


class FixedDirections:
    """The directions of a ``TangentPropagation``, as they are given for each row of the data."""

    can_be_captured = False

    def __init__(self, basis):
        self.basis, self.n_directions, self.rounding = basis, basis.shape[1], 0.0

    def __call__(self, rows, inputs, samples, seed, out):
        out[...] = self.basis[rows[samples]]


def sklearn_checks(estimators, expected_failures=None):
    """Return ``parametrize_with_checks`` that names an estimator once: fifty times, for each check, take seconds."""
    mark = parametrize_with_checks(estimators, expected_failed_checks=expected_failures)
    names, checks = mark.args
    if not os.environ.get("SCIPY_ARRAY_API"):
        # Those of arrays of other libraries would skip themselves.
        checks = [each for each in checks if "check_array_api_input" not in str(each)]
    return pytest.mark.parametrize(names, checks, ids=cache(mark.kwargs["ids"]))
