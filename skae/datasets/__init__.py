"""Data sets: MNIST, and those of Larochelle et al. (ICML 2007), regenerated from their recipe."""

from ._convex import make_convex
from ._mnist import fetch_mnist
from ._rectangles import make_rectangles
from ._splits import published_split
from ._variations import make_digits

__all__ = ["fetch_mnist", "make_convex", "make_digits", "make_rectangles", "published_split"]
