"""Layers that are trained on the codes of the layers below, each by its own objective."""

import numpy as np

from .._arrays.namespace import empty, empty_like
from .._protocols import TrainingObjective
from .activations import make_activation


class CodeBatch:
    """The codes of a batch in the layers below.

    Parameters
    ----------
    batch : Batch or CodeBatch
    n_features : int
        Width of ``batch``.
    encode : callable
        ``encode(rows, out)`` fills ``out`` with codes.
    noise_below : bool
        Whether to corrupt the rows of ``batch`` and encode them, instead of corrupting the codes.
    """

    def __init__(self, batch, n_features, encode, *, noise_below):
        self._batch, self._n_features, self.n_rows = batch, n_features, batch.n_rows
        self._encode, self._noise_below = encode, noise_below
        self._below = None

    def rows(self, out, weights):
        """Fill ``out`` with the codes, and ``weights`` with the weights of their rows in the mean of the batch."""
        self._below = empty((self.n_rows, self._n_features), out)
        self._batch.rows(self._below, weights)
        self._encode(self._below, out)

    def corrupt(self, corruption, rows, seed, out):
        """Fill ``out`` with a corruption of ``rows`` (the codes), or with codes of corrupted rows."""
        if not self._noise_below:
            self._batch.corrupt(corruption, rows, seed, out)
            return
        noisy = empty_like(self._below)
        self._batch.corrupt(corruption, self._below, seed, noisy)
        self._encode(noisy, out)

    def draw(self, function, rows, out):
        """Fill ``out`` by ``function(rows, out)``, which draws noise for each row."""
        self._batch.draw(function, rows, out)

    @property
    def may_miss(self):
        """bool: whether values of the rows may be missing (NaN)."""
        return self._batch.may_miss

    def seeds(self, rng):
        """Return three seeds of noise."""
        return self._batch.seeds(rng)


class OnCodes(TrainingObjective):
    """The objective of one layer on codes of fixed layers below.

    Parameters
    ----------
    objective : Objective
    n_features : int
        Width of the rows.
    encode : callable
        ``encode(rows, out)`` fills ``out`` with codes.
    below : sequence, default=()
        Activations, weights and biases of the layers below, by which a checkpoint knows them.
    """

    def __init__(self, objective, n_features, encode, below=()):
        self.objective, self.n_features, self.encode = objective, n_features, encode
        self.monitors_loss, self.observers = objective.monitors_loss, objective.observers
        units = map(make_activation, below[0] if below else ())
        self.can_be_captured = objective.can_be_captured and all(u.can_be_captured for u in units)
        self.identity = {**objective.identity, "layers below": below}

    def draw(self, n_samples, rng):
        """Return the random numbers of a step on ``n_samples`` samples, in int64."""
        return self.objective.draw(n_samples, rng)

    def adapted(self, solver):
        """Return the solver with which ``objective`` makes its steps."""
        return self.objective.adapted(solver)

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat``; noise is added to the rows."""
        codes = CodeBatch(batch, self.n_features, self.encode, noise_below=True)
        return self.objective(flat, codes, grad, rng)


class Layerwise(TrainingObjective):
    """The sum of the objectives of several layers, each on the codes of those below; no gradient passes between layers.

    Parameters
    ----------
    objectives : sequence of Objective
        Objectives from the lowest layer to the highest; the flat vector concatenates theirs.
    noise_below : bool
        Whether to corrupt the input instead of the codes.
    """

    def __init__(self, objectives, noise_below):
        self.objectives, self.noise_below = objectives, noise_below
        self.monitors_loss = all(objective.monitors_loss for objective in objectives)
        self.observers = [each for objective in objectives for each in objective.observers]
        parts = [each.identity.items() for each in objectives]
        self.identity = {f"{name} {n}": each for n, part in enumerate(parts) for name, each in part}
        self.identity["noise below"] = noise_below

    @property
    def ends(self):
        """List of int: the end of each layer's part of a flat vector."""
        return np.cumsum([objective.network.size for objective in self.objectives]).tolist()

    def split(self, flat):
        """Return each layer's part of ``flat``, as views."""
        return _parts(flat, self.ends)

    def __call__(self, flat, batch, grad, rng):
        """Return the value at ``flat`` on ``batch``; fill ``grad`` unless it is None."""
        value = 0.0
        grads = [None] * len(self.objectives) if grad is None else self.split(grad)
        for objective, params, part in zip(self.objectives, self.split(flat), grads):
            value += objective(params, batch, part, rng)
            batch = self._above(objective.network, params, batch)
        return value

    def adapted(self, solver):
        """Return a ``JointSolver`` whose parts make the steps of each layer's objective."""
        pairs = zip(self.objectives, solver.solvers)
        return JointSolver([(each.adapted(own), rate) for each, (own, rate) in pairs], self.ends)

    def _above(self, network, flat, batch):
        params = network.views(flat)

        def encode(rows, out):
            network.encode(params, rows, out=out)

        return CodeBatch(batch, network.sizes[0], encode, noise_below=self.noise_below)


def _parts(flat, ends):
    return [flat[start:stop] for start, stop in zip([0, *ends], ends)]


class JointSolver:
    """Several solvers, each with its part of the flat vector and its own step size.

    Parameters
    ----------
    solvers : sequence of (solver, float)
        Solvers with their learning rates.
    ends : list of int
        End of each part.
    """

    def __init__(self, solvers, ends):
        # A checkpoint compares the attributes: penalties, which may depend on a seed that is drawn, are none of them.
        self.solvers, self._ends = solvers, ends

    def __repr__(self):
        return f"JointSolver({self.solvers!r})"

    def start(self, params):
        """Return the state before the first step."""
        parts = [
            solver.start(part)
            for (solver, _), part in zip(self.solvers, _parts(params, self._ends))
        ]
        return {
            f"{i}_{name}": value for i, part in enumerate(parts) for name, value in part.items()
        }

    def step(self, params, grad, state, learning_rate):
        """Move ``params`` and ``state`` by one step, in place; ``learning_rate`` scales all of them."""
        parts = zip(self.solvers, _parts(params, self._ends), _parts(grad, self._ends))
        for i, ((solver, rate), own_params, own_grad) in enumerate(parts):
            prefix = f"{i}_"
            own_state = {k[len(prefix) :]: v for k, v in state.items() if k.startswith(prefix)}
            solver.step(own_params, own_grad, own_state, learning_rate * rate)
            # A solver may put another array in place of one.
            state.update({f"{prefix}{name}": value for name, value in own_state.items()})
