"""Deep stacks: layers trained one above the other, and then together."""

from ._classifier import StackedAEClassifier
from ._recurrent import RecurrentAE
from ._regressor import StackedAERegressor
from ._stacked import StackedAE

__all__ = ["RecurrentAE", "StackedAE", "StackedAEClassifier", "StackedAERegressor"]
