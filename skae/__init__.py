"""Regularized auto-encoders, deep stacks, Boltzmann machines and sparse coding for scikit-learn.

- A linear model comes next: ``ContractiveAE``; ``DenoisingAE`` if columns are hardly correlated.
- Most rows have no label: ``StackedAEClassifier``, for digits and faces ``ManifoldTangentClassifier``.
- Cells are missing: ``Imputer``, before any estimator.
- Which rows are anomalous: ``AnomalyDetector``.
- Images: ``skae.images.ConvolutionalFeatures``.
- Sparse codes: ``SparseCoder``, ``PSD``, ``SparseAutoEncoder``.
- Samples: ``skae.generative``, ``RBM``, ``DBN``, ``DBM``.

``skae.io`` saves models, ``skae.onnx`` exports them, ``skae.plotting`` draws them. Modules are imported when they are
first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._engines import show_engines
from ._version import __version__
from .autoencoders import (
    AnomalyDetector,
    AutoEncoder,
    ContractiveAE,
    DenoisingAE,
    Imputer,
    SparseAutoEncoder,
)
from .boltzmann import DBM, DBN, RBM, BoltzmannClassifier
from .deep import RecurrentAE, StackedAE, StackedAEClassifier, StackedAERegressor, make_stack
from .manifold import ManifoldTangentClassifier
from .sparse import PSD, SparseCoder

if TYPE_CHECKING:
    from . import datasets as datasets
    from . import distributed as distributed
    from . import generative as generative
    from . import images as images
    from . import io as io
    from . import onnx as onnx
    from . import plotting as plotting

__all__ = [
    "DBM",
    "DBN",
    "PSD",
    "RBM",
    "AnomalyDetector",
    "AutoEncoder",
    "BoltzmannClassifier",
    "ContractiveAE",
    "DenoisingAE",
    "Imputer",
    "ManifoldTangentClassifier",
    "RecurrentAE",
    "SparseAutoEncoder",
    "SparseCoder",
    "StackedAE",
    "StackedAEClassifier",
    "StackedAERegressor",
    "__version__",
    "make_stack",
    "show_engines",
]

_LAZY = {"datasets", "distributed", "generative", "images", "io", "onnx", "plotting"}
_IMPORTED = {"autoencoders", "boltzmann", "deep", "manifold", "nn", "sources", "sparse", "training"}

if not TYPE_CHECKING:  # type checkers would believe that every name exists

    def __getattr__(name: str) -> Any:
        """Import a module that is not imported with the package."""
        if name in _LAZY:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Return the public names, and no others that this file needs."""
        special = {name for name in globals() if name.startswith("__")}
        return sorted({*__all__, *_LAZY, *_IMPORTED, *special})
