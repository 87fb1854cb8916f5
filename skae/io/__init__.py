"""Models and weights in files that hold data only: unlike reading a pickle, reading one runs no code from it.

``save`` and ``load`` need skops (``skae[io]``); the other functions need nothing else.
"""

from ._features import load_features, save_features
from ._models import TRUSTED, load, save
from ._weights import load_weights, save_weights

__all__ = [
    "TRUSTED",
    "load",
    "load_features",
    "load_weights",
    "save",
    "save_features",
    "save_weights",
]
