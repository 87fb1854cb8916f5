"""Deep stacks: layers trained one above the other, and then together."""

from ._recurrent import RecurrentAE
from ._stacked import StackedAE
from ._supervised import StackedAEClassifier, StackedAERegressor

__all__ = ["RecurrentAE", "StackedAE", "StackedAEClassifier", "StackedAERegressor"]
