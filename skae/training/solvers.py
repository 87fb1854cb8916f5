"""Optimizers of one flat parameter vector, with numbers of epochs and learning rate schedules.

Their state consists of plain arrays, so a checkpoint can hold it.
"""

import math
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from .._arrays.fusion import run
from .._arrays.namespace import is_array, is_numpy, precision_of, scalar, size, zeros_like
from .._arrays.updates import adam, corrected, momentum
from .._protocols import FactoredGradient, Observer, TakesNoRate
from .._threads import ELEMENT, share
from .._warnings import warn

_ITERATIONS = 200  # of L-BFGS
_STEPS = 1000, 2000  # bounds on the minibatches of max_iter='auto', which are two for each row
_EPOCHS = 12, 1000  # bounds on its epochs


@dataclass
class Adam:
    """Adam (Kingma & Ba 2015).

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of the averages of the gradient and of its square, in [0, 1).
    epsilon : float, default=1e-8
        Positive number that is added to the denominator, to keep the division finite.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def start(self, params: Any) -> dict[str, Any]:
        """Return the state before the first step.

        Parameters
        ----------
        params : array of shape (n_parameters,)
            The parameters.

        Returns
        -------
        state : dict of str to array
            Arrays, which a checkpoint can hold.

        Raises
        ------
        ValueError
            If an option is out of range.
        """
        for name in ("beta_1", "beta_2"):
            value = getattr(self, name)
            if not (isinstance(value, Real) and 0 <= value < 1):
                raise ValueError(f"{name} of Adam must be a number in [0, 1); got {value!r}.")
        if not (isinstance(self.epsilon, Real) and 0 < self.epsilon < math.inf):
            raise ValueError(f"epsilon of Adam must be a positive number; got {self.epsilon!r}.")
        return {
            "first": zeros_like(params),
            "second": zeros_like(params),
            "n_steps": np.zeros(1, np.int64),
        }

    def step(self, params: Any, grad: Any, state: dict[str, Any], learning_rate: float) -> None:
        """Move ``params`` and ``state`` by one step, in place.

        Parameters
        ----------
        params, grad : array of shape (n_parameters,)
            The parameters, and the gradient there.
        state : dict of str to array
            What :meth:`start` returned, as the steps so far have left it.
        learning_rate : float
            The step size.
        """
        state["n_steps"] += 1
        rate, epsilon = self._corrected(params, state["n_steps"], learning_rate)
        numbers = rate, scalar(self.beta_1, params), scalar(self.beta_2, params), epsilon

        def move(part):
            adam(params[part], grad[part], state["first"][part], state["second"][part], *numbers)

        share(move, size(params), ELEMENT)

    def _corrected(self, params, n_steps, learning_rate):
        """Return step size and epsilon with both bias corrections.

        On a device, which holds the step count, they are arrays.
        """
        if is_numpy(params):
            t = int(n_steps[0])
            correction = np.sqrt(1 - self.beta_2**t)
            rate = learning_rate * correction / (1 - self.beta_1**t)
            return scalar(rate, params), scalar(self.epsilon * correction, params)
        numbers = learning_rate, self.beta_1, self.beta_2, self.epsilon
        return run(corrected, (n_steps, params.dtype, *numbers))


@dataclass
class SGD:
    """Stochastic gradient descent with momentum.

    Parameters
    ----------
    momentum : float, default=0.9
        Fraction of the last step that is added to the next one, in [0, 1).
    nesterov : bool, default=True
        Whether to use Nesterov's momentum, as in scikit-learn's MLP.
    """

    momentum: float = 0.9
    nesterov: bool = True

    def start(self, params: Any) -> dict[str, Any]:
        """Return the state before the first step.

        Parameters
        ----------
        params : array of shape (n_parameters,)
            The parameters.

        Returns
        -------
        state : dict of str to array
            Arrays, which a checkpoint can hold.

        Raises
        ------
        ValueError
            If an option is out of range.
        """
        if not (isinstance(self.momentum, Real) and 0 <= self.momentum < 1):
            raise ValueError(f"momentum of SGD must be a number in [0, 1); got {self.momentum!r}.")
        if not isinstance(self.nesterov, (bool, np.bool_)):
            raise ValueError(f"nesterov of SGD must be True or False; got {self.nesterov!r}.")
        return {"velocity": zeros_like(params)}

    def step(self, params: Any, grad: Any, state: dict[str, Any], learning_rate: float) -> None:
        """Move ``params`` and ``state`` by one step, in place.

        Parameters
        ----------
        params, grad : array of shape (n_parameters,)
            The parameters, and the gradient there.
        state : dict of str to array
            What :meth:`start` returned, as the steps so far have left it.
        learning_rate : float
            The step size.
        """
        if isinstance(grad, FactoredGradient):  # the momentum is 0
            grad.descend(params, learning_rate)
            return
        velocity = state["velocity"]
        numbers = scalar(learning_rate, params), scalar(self.momentum, params)

        def move(part):
            momentum(params[part], grad[part], velocity[part], *numbers, self.nesterov)

        share(move, size(params), ELEMENT)


@dataclass
class LBFGS(TakesNoRate):
    """Limited-memory BFGS of scipy, on all samples at once; takes no steps of its own.

    Parameters
    ----------
    n_corrections : int, default=10
        Number of past steps that approximate the curvature.
    """

    n_corrections: int = 10

    def start(self, params: Any) -> dict[str, Any]:
        """Return the state before the first step.

        Parameters
        ----------
        params : array of shape (n_parameters,)
            The parameters.

        Returns
        -------
        state : dict of str to array
            Empty, as the state is that of scipy.

        Raises
        ------
        ValueError
            If an option is out of range.
        """
        if not (isinstance(self.n_corrections, Integral) and self.n_corrections > 0):
            raise ValueError(
                f"n_corrections of LBFGS must be a positive integer; got {self.n_corrections!r}."
            )
        return {}


SOLVERS = {"adam": Adam, "sgd": SGD, "lbfgs": LBFGS}


class CheckedSolver:
    """A ``solver`` that a user has written, with checks of what its ``start`` returns and its ``step`` changes."""

    def __init__(self, solver):
        self._solver = solver

    def start(self, params):
        """Return the state before the first step; raise unless it is a dict of arrays."""
        state = self._solver.start(params)
        named = isinstance(state, dict) and {*map(type, state)} <= {str}
        values = state.values() if named else [None]
        if not all(map(is_array, values)) or any(map(np.isscalar, values)):
            found = dict(zip(state, map(type, values))) if named else state
            raise TypeError(
                "start of the solver must return a dict of arrays by name, such as {'velocity': np.zeros_like(params)}, "
                f"which step changes in place; got {found!r}."
            )
        return state

    def step(self, params, grad, state, learning_rate):
        """Take a step; raise if it adds arrays to ``state``, or removes some."""
        names = list(state)
        self._solver.step(params, grad, state, learning_rate)
        if state.keys() != set(names):
            raise ValueError(
                "step of the solver must change the arrays that start returned, and not add or remove any: there were "
                f"{names}, and are {list(state)}."
            )


def checked_solver(solver):
    """Return a solver of the package, or of a class derived from one, as it is, and any other as a ``CheckedSolver``."""
    if isinstance(solver, type):
        raise TypeError(
            f"solver={solver!r} is a class: give an instance of it, {solver.__name__}()."
        )
    own = _is_own(solver) or isinstance(solver, tuple(SOLVERS.values()))
    return solver if own else CheckedSolver(solver)


def _is_own(solver):
    return type(solver).__module__.startswith("skae.")


class IdleSteps(Observer):
    """Warn at the end of a training whose steps by a user's ``solver`` have left the parameters as they were."""

    def __init__(self, solver, params):
        self._solver, self._before, self._n_epochs = solver, params.copy(), 0

    def epoch_end(self, state):
        """Count the epochs."""
        self._n_epochs += 1
        return False

    def close(self, state):
        """Warn."""
        # Atoms of norm 1 are scaled after each step.
        rounding = 8 * precision_of(self._before) * abs(self._before)
        if self._n_epochs and (abs(state.params - self._before) <= rounding).all():
            warn(
                f"The steps of solver={type(self._solver).__name__} changed no parameter: step must change params in "
                "place, as in params -= learning_rate * grad."
            )


def idle_steps(solver, state):
    """Return a list of ``IdleSteps``: empty for solvers of the package, whose steps may round to 0.

    ``solver`` is a parameter of an estimator; None if it has no such parameter.
    """
    own = solver is None or isinstance(solver, str) or _is_own(solver)
    return [] if own else [IdleSteps(solver, state.params)]


def is_full_batch(solver):
    """Return whether a parameter ``solver`` names L-BFGS, which takes no minibatch steps."""
    return solver == "lbfgs" or isinstance(solver, LBFGS)


def auto_epochs(solver, n_rows, batch_size, factor=1.0):
    """Return the number of epochs for ``max_iter='auto'``, which is larger for small data, or of iterations of L-BFGS.

    ``factor`` multiplies the minibatches, and so the most epochs, but not the fewest.
    """
    if is_full_batch(solver):
        return _ITERATIONS
    n_steps = factor * np.clip(2 * n_rows, *_STEPS)
    fewest, most = _EPOCHS
    return int(np.clip(math.ceil(n_steps / math.ceil(n_rows / batch_size)), fewest, factor * most))


# Factors of the step size after ``n_epochs``, which has a fraction within an epoch, in a fit of the range ``epochs``.


def constant(epochs, n_epochs):
    """Return 1."""
    return 1.0


def cosine(epochs, n_epochs):
    """Return half a cosine, from 1 at the first epoch to 0 at the end of the last one (Loshchilov & Hutter 2017)."""
    fraction = 1 - (epochs.stop - n_epochs) / len(epochs)
    return (1 + math.cos(math.pi * fraction)) / 2


SCHEDULES = {"constant": constant, "cosine": cosine}
