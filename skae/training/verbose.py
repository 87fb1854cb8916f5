"""Lines that a training prints."""

import time

from .._protocols import Observer
from .._warnings import warn


class Verbose(Observer):
    """Print a line after every few epochs, with loss, seconds and samples per second, and why training ended.

    Parameters
    ----------
    name : str
        Name of what is trained.
    n_samples : int
        Number of samples in an epoch.
    every : int
        Number of epochs between lines.
    max_epochs : int or None
        The last epoch, if it is known.
    """

    def __init__(self, name, n_samples, every, max_epochs=None):
        self._name, self._n_samples, self._every = name, n_samples, every
        self._max_epochs, self._start = max_epochs, 0.0

    def epoch_begin(self, state):
        """Start the clock."""
        self._start = time.perf_counter()

    def epoch_end(self, state):
        """Print a line if it is due."""
        if len(state.loss_curve) % self._every:
            return False
        seconds = time.perf_counter() - self._start
        validation = ""
        if state.validation_curve:
            validation = f", validation = {state.validation_curve[-1]:.6g}"
        most = "" if self._max_epochs is None else f"/{self._max_epochs}"
        say(
            f"[{self._name}] epoch {len(state.loss_curve)}{most}: loss = {state.loss_curve[-1]:.6g}{validation}, "
            f"{seconds:.3g} s, {self._n_samples / max(seconds, 1e-9):,.0f} samples/s"
        )
        return False

    def close(self, state):
        """Print why training ended."""
        why = "a callback" if len(state.loss_curve) < self._max_epochs else "max_iter"
        if state.converged:
            measured = "error on held-out samples" if state.validation_curve else "training loss"
            why = f"the {measured} no longer improves"
        say(f"[{self._name}] stopped after {len(state.loss_curve)} epochs: {why}")


def say(line):
    """Print a line; letters that the output cannot encode, as in the names of layers, are escaped.

    If the output is closed, warn instead, since the training is worth more than the line.
    """
    try:
        print(line)
    except UnicodeEncodeError:
        print(line.encode("ascii", "backslashreplace").decode())
    except (OSError, ValueError) as error:
        warn(
            f"Lines of verbose cannot be printed ({error}): training goes on without them.",
            RuntimeWarning,
        )
