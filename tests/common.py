"""Checks that every model's tests share."""

import numpy as np


def relative_gradient_error(objective, params, batch, step=1e-6):
    """Return the largest difference of the gradient from central differences, over the largest entry."""

    def value(point, grad=None):
        return objective(point, batch, grad, np.random.default_rng(3))

    grad = np.empty_like(params)
    value(params, grad)
    numeric = np.array(
        [
            (value(params + step * unit) - value(params - step * unit)) / (2 * step)
            for unit in np.eye(params.size)
        ]
    )
    return np.abs(numeric - grad).max() / np.abs(numeric).max()
