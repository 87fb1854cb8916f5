"""Deep stacks: layers trained one above the other, and then together."""

from .._estimators.layer import Layer
from ._classifier import StackedAEClassifier
from ._make import make_stack
from ._recurrent import RecurrentAE
from ._regressor import StackedAERegressor
from ._stacked import StackedAE

__all__ = [
    "Layer",
    "RecurrentAE",
    "StackedAE",
    "StackedAEClassifier",
    "StackedAERegressor",
    "make_stack",
]
