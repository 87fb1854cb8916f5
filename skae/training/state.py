"""All that is needed to go on with a training exactly where it stands."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class TrainingState:
    """Parameters, optimizer state, random generator and history after a number of whole epochs.

    ``extra`` has arrays of observers that a training which goes on needs.
    """

    params: np.ndarray
    solver: dict
    rng: np.random.Generator
    seed: int
    loss_curve: list = field(default_factory=list)
    validation_curve: list = field(default_factory=list)
    best: float = np.inf
    n_stale: int = 0
    best_params: np.ndarray | None = None
    converged: bool = False
    extra: dict = field(default_factory=dict)

    @property
    def n_epochs(self):
        """Number of whole epochs behind."""
        return len(self.loss_curve)

    def to_dict(self):
        """Return copies as a flat dict of arrays, numbers and lists."""
        plain = {name: getattr(self, name) for name in ("seed", "best", "n_stale", "converged")}
        plain["loss_curve"] = list(self.loss_curve)
        plain["validation_curve"] = list(self.validation_curve)
        plain["rng"] = self.rng.bit_generator.state
        plain["params"] = self.params.copy()
        if self.best_params is not None:
            plain["best_params"] = self.best_params.copy()
        for name, value in self.solver.items():
            plain[f"solver_{name}"] = value.copy()
        for name, value in self.extra.items():
            plain[f"extra_{name}"] = value.copy()
        return plain

    @classmethod
    def from_dict(cls, plain):
        """Return the state that ``to_dict`` described, sharing nothing with it."""
        rng = np.random.default_rng(0)
        rng.bit_generator.state = plain["rng"]
        best_params = plain.get("best_params")
        return cls(
            params=plain["params"].copy(),
            solver=_copies(plain, "solver_"),
            rng=rng,
            seed=plain["seed"],
            loss_curve=list(plain["loss_curve"]),
            validation_curve=list(plain["validation_curve"]),
            best=plain["best"],
            n_stale=plain["n_stale"],
            best_params=None if best_params is None else best_params.copy(),
            converged=plain["converged"],
            extra=_copies(plain, "extra_"),
        )


def _copies(plain, prefix):
    return {k[len(prefix) :]: v.copy() for k, v in plain.items() if k.startswith(prefix)}
