"""What may look on while the loop runs."""

import time


class Verbose:
    """Print a line an epoch: loss, seconds, samples per second."""

    def __init__(self, name, n_samples, every):
        self._name, self._n_samples, self._every = name, n_samples, every
        self._start = 0.0

    def epoch_begin(self, state):
        """Start the clock."""
        self._start = time.perf_counter()

    def epoch_end(self, state):
        """Print where it is due."""
        if state.n_epochs % self._every:
            return False
        seconds = time.perf_counter() - self._start
        validation = ""
        if state.validation_curve:
            validation = f", validation = {state.validation_curve[-1]:.6g}"
        print(
            f"[{self._name}] epoch {state.n_epochs}: loss = {state.loss_curve[-1]:.6g}{validation}, "
            f"{seconds:.3g} s, {self._n_samples / max(seconds, 1e-9):,.0f} samples/s"
        )
        return False
