"""Online dictionary learning (Mairal et al. 2010) as an objective and a solver of the training loop."""

import numpy as np
from scipy.sparse import csr_matrix, vstack

from .._arrays.dictionary import accumulate, update_atoms
from .._arrays.namespace import (
    dense,
    dot,
    empty,
    like,
    namespace,
    reshape,
    row_products,
    scalar,
    to_numpy,
    zeros_like,
)
from .._arrays.powers import power_of_two
from .._estimators.unit_atoms import unit_rows
from .._protocols import TakesNoRate, TrainingObjective
from .._threads import product
from ._inference import infer_codes


def first_atoms(X, weights, rows, n_atoms, rng):
    """Return random ``rows`` of ``X`` as atoms of norm 1, drawn by ``rng`` from those of positive weight."""
    rows = rows if weights is None else rows[weights[rows] > 0]
    chosen = rng.choice(rows, n_atoms, replace=n_atoms > len(rows))
    atoms = dense(X[np.sort(chosen)])
    largest = np.abs(atoms).max() or 1
    unit = power_of_two(largest).astype(X.dtype)
    # A little noise distinguishes equal and zero samples.
    noise = 1e-3 * float(largest / unit) * rng.standard_normal(atoms.shape)
    return unit_rows(atoms / unit + noise.astype(X.dtype))


class DictionaryObjective(TrainingObjective):
    """Mean objective of the codes of a batch for a dictionary; the codes are kept for the solver.

    Parameters
    ----------
    n_atoms : int
    code_problem : callable
        ``code_problem(dictionary)`` returns the problem that codes solve, such as a ``Lasso``.
    inference : dict
        Options of ``infer_codes``.
    """

    # Since atoms have norm 1 at most. Computing the loss after the last step of an epoch would cost another inference.
    finite_where_params_are = True

    def __init__(self, n_atoms, code_problem, inference):
        self.n_atoms, self._code_problem = n_atoms, code_problem
        self._inference = inference
        self.rows = self.weights = self.codes = self.errors = None  # of the last batch

    def __call__(self, flat, batch, grad, rng):
        """Return the objective; no gradient is needed."""
        dictionary = reshape(flat, (self.n_atoms, -1))
        self.rows = empty((batch.n_rows, dictionary.shape[1]), flat)
        weights = empty(batch.n_rows, flat)
        batch.rows(self.rows, weights)
        problem = self._code_problem(dictionary)
        self.codes, _ = infer_codes(self.rows, problem, **self._inference)
        self.weights = weights
        self.errors = self.rows - product(self.codes, dictionary)
        return dot(problem.values(self.errors, self.codes), weights)

    def outcome(self):
        """Return the results that the solver needs from the last batch, a part of a larger one."""
        return csr_matrix(self.codes), self.rows, self.weights, self.errors

    def take_outcomes(self, parts):
        """Merge the results of :meth:`outcome` for all parts of a batch into those of the last batch."""
        codes, rows, weights, errors = zip(*parts)
        self.codes = np.ascontiguousarray(vstack(codes).toarray())
        self.rows, self.errors = np.concatenate(rows), np.concatenate(errors)
        n_rows = len(self.rows)
        self.weights = np.concatenate(
            [each * each.dtype.type(len(each) / n_rows) for each in weights]
        )


class DictionarySolver(TakesNoRate):
    """Block coordinate descent on the surrogate objective that past codes define.

    The statistics A = sum h h' and B = sum h x' are multiplied by (t / (t + 1))^rho at the t-th batch (as in Mairal et
    al. 2010, section 3.4.2): the larger rho, the faster the codes of early, poor dictionaries lose weight. An atom that
    no code has used for ``patience`` batches is replaced by the sample with the largest error. Samples of weight 0
    neither use nor replace atoms.
    """

    def __init__(self, objective, *, rho=4.0, patience=20):
        self.objective, self.rho, self.patience = objective, rho, patience

    def start(self, params):
        """Return the initial state."""
        n_atoms = self.objective.n_atoms
        n_features = params.size // n_atoms
        return {
            "second": np.zeros((n_atoms, n_atoms), params.dtype),
            "cross": np.zeros((n_atoms, n_features), params.dtype),
            "idle": np.zeros(n_atoms, np.int64),
            "n_steps": np.zeros(1, np.int64),
        }

    def step(self, params, grad, state, learning_rate):
        """Update the statistics and the dictionary by the last batch."""
        codes, rows, weights = self.objective.codes, self.objective.rows, self.objective.weights
        dictionary, xp = reshape(params, (self.objective.n_atoms, -1)), namespace(params)
        state["n_steps"] += 1
        decay = scalar((1 - 1 / (int(state["n_steps"][0]) + 1)) ** self.rho, params)
        accumulate(codes, rows, weights, decay, state["second"], state["cross"])
        update_atoms(state["second"], state["cross"], dictionary)
        used, idle = xp.any((codes != 0)[weights > 0], axis=0), state["idle"]
        idle[...] = xp.where(used, zeros_like(idle), idle + 1)
        self._replace(dictionary, state)

    def _replace(self, dictionary, state):
        """Replace the atoms that no code has used for long by the samples of the last batch with the largest errors."""
        dead = np.flatnonzero(to_numpy(state["idle"]) >= self.patience)
        if not dead.size:
            return
        errors, weights = self.objective.errors, to_numpy(self.objective.weights)
        worst = np.argsort(-to_numpy(row_products(errors, errors)))
        for atom, row in zip(dead.tolist(), worst[weights[worst] > 0].tolist()):
            sample = to_numpy(self.objective.rows[row, ...])
            if sample.any():
                dictionary[atom, ...] = like(unit_rows(sample[np.newaxis])[0], dictionary)
            state["second"][atom, ...], state["second"][:, atom] = 0, 0
            state["cross"][atom, ...] = 0
            state["idle"][atom] = 0
