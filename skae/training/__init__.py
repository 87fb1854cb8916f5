"""What turns any objective into fitted parameters; knows no network."""

from .solvers import LBFGS, SGD, Adam

__all__ = ["LBFGS", "SGD", "Adam"]
