"""Training of any objective's parameters; it knows no network."""

from .solvers import LBFGS, SGD, Adam

__all__ = ["LBFGS", "SGD", "Adam"]
