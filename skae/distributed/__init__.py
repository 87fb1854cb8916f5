"""Training on a cluster of Dask, and lazy results of its arrays and data frames: ``pip install 'skae[dask]'``."""

from ._lazy import by_partition
from ._wrapper import Distributed

__all__ = ["Distributed", "by_partition"]
