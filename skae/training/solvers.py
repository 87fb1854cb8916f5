"""Optimizers of one flat parameter vector; how long they train, and how their learning rate changes.

Their state is plain arrays, so a checkpoint can hold it.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .._kernels.updates import adam, momentum
from .._threads import ELEMENT, share

AUTO_ITERATIONS = 200  # of L-BFGS
_STEPS = 2000  # minibatches of max_iter='auto', at least,
_FEWEST, _MOST = 12, 1000  # if that is between so many epochs


@dataclass
class Adam:
    """Adam (Kingma & Ba 2015).

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay of the averages of the gradient and of its square.
    epsilon : float, default=1e-8
        Keeps the division finite.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def start(self, params):
        """Return the state before the first step."""
        return {
            "first": np.zeros_like(params),
            "second": np.zeros_like(params),
            "n_steps": np.zeros(1, np.int64),
        }

    def step(self, params, grad, state, learning_rate):
        """Move ``params`` and ``state`` by one step, in place."""
        state["n_steps"] += 1
        t = int(state["n_steps"][0])
        number = params.dtype.type
        correction = np.sqrt(1 - self.beta_2**t)
        numbers = (
            number(learning_rate * correction / (1 - self.beta_1**t)),
            number(self.beta_1),
            number(self.beta_2),
            number(self.epsilon * correction),
        )

        def move(part):
            adam(params[part], grad[part], state["first"][part], state["second"][part], *numbers)

        share(move, params.size, ELEMENT)


@dataclass
class SGD:
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    momentum : float, default=0.9
    nesterov : bool, default=True
        Whether momentum is Nesterov's, as in scikit-learn's MLP.
    """

    momentum: float = 0.9
    nesterov: bool = True

    def start(self, params):
        """Return the state before the first step."""
        return {"velocity": np.zeros_like(params)}

    def step(self, params, grad, state, learning_rate):
        """Move ``params`` and ``state`` by one step, in place."""
        number = params.dtype.type
        velocity = state["velocity"]
        numbers = number(learning_rate), number(self.momentum)

        def move(part):
            momentum(params[part], grad[part], velocity[part], *numbers, self.nesterov)

        share(move, params.size, ELEMENT)


@dataclass
class LBFGS:
    """Limited-memory BFGS of scipy, on all samples at once; takes no steps of its own.

    Parameters
    ----------
    n_corrections : int, default=10
        How many past steps approximate the curvature.
    """

    n_corrections: int = 10
    has_rate: ClassVar[bool] = False  # no learning rate that a message could advise to lower

    def start(self, params):
        """Return the state before the first step: none."""
        return {}


SOLVERS = {"adam": Adam, "sgd": SGD, "lbfgs": LBFGS}


def is_full_batch(solver):
    """Return whether a parameter ``solver`` names L-BFGS, which takes no minibatch steps."""
    return solver == "lbfgs" or isinstance(solver, LBFGS)


def auto_epochs(n_rows, batch_size):
    """Return the number of epochs that ``max_iter='auto'`` stands for: small data need more of them."""
    return min(max(_FEWEST, math.ceil(_STEPS / math.ceil(n_rows / batch_size))), _MOST)


def constant(share):
    """Return 1, at any ``share`` of the training."""
    return 1.0


def cosine(share):
    """Return half a cosine of the ``share`` of the training: 1 at its start, 0 at its end (Loshchilov & Hutter 2017)."""
    return (1 + math.cos(math.pi * share)) / 2


SCHEDULES = {"constant": constant, "cosine": cosine}
