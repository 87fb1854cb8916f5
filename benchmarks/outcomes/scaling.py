"""Predictions of the default pipeline for X and for X * 1000 + 5 (quantities only): they should be the same.

A column that is constant in training has no unit: a scaler leaves it as it is, so a test row with another value there
moves with the unit. Each method is therefore also shown with these columns unchanged.
"""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import ContractiveAE

from .bench import remarks, spread, values

SETS = ("digits", "breast cancer", "wine", "MNIST 0-1", "Covertype 5k")
# The name of the method, whether it is of skae, and which columns are changed.
METHODS = {
    "CAE, SVC": (True, "all"),
    "CAE, SVC, varying only": (True, "varying"),
    "CAE, SVC, none (again)": (True, "none"),
    "standard, SVC": (False, "all"),
    "standard, SVC, varying": (False, "varying"),
}


def build(ours, seed):
    """Return a pipeline of defaults."""
    first = ContractiveAE(random_state=seed) if ours else StandardScaler()
    return Pipeline([("first", first), ("svm", SVC())])


def changed(X, n_real, which):
    """Return the mask of the columns that get other units."""
    mask = np.zeros(X.shape[1], bool)
    if which != "none":
        mask[:n_real] = True if which == "all" else np.ptp(X[:, :n_real], axis=0) > 0
    return mask


def compare(bench, name, method, seed):
    """Return how far the two fits agree on the test rows."""
    ours, which = METHODS[method]
    X, X_test, y, y_test = bench.split(name, seed)
    X, X_test = X.astype(np.float64), X_test.astype(np.float64)
    mask = changed(X, bench.load(name).n_real, which)
    other = [np.where(mask, part * 1000 + 5, part) for part in (X, X_test)]
    pairs = [(X, X_test), other]
    models = [build(ours, seed).fit(train, y) for train, _ in pairs]
    predicted = [model.predict(test) for model, (_, test) in zip(models, pairs)]
    decisions = [model.decision_function(test) for model, (_, test) in zip(models, pairs)]
    return {
        "equal": round(100 * float(np.mean(predicted[0] == predicted[1])), 3),
        "difference": float(np.abs(decisions[0] - decisions[1]).max()),
        "accuracy": round(100 * float(np.mean(predicted[0] == y_test)), 3),
        "rescaled_accuracy": round(100 * float(np.mean(predicted[1] == y_test)), 3),
    }


def table(bench):
    """Measure and return the lines."""
    lines = [
        f"{'set':14s} {'method':24s} {'equal %':>16s} {'largest difference':>20s} {'accuracy %':>16s} {'rescaled':>16s}"
    ]
    for name in bench.sets(SETS[:3] if bench.short else SETS):
        for method in METHODS:
            runs = bench.runs(
                {"set": name, "method": method},
                lambda seed, name=name, method=method: compare(bench, name, method, seed),
                ours=METHODS[method][0],
            )
            if not runs:
                continue
            largest = max(values(runs, "difference").values(), default=np.nan)
            equal, before, after = (
                spread(values(runs, column).values())
                for column in ("equal", "accuracy", "rescaled_accuracy")
            )
            line = f"{name:14s} {method:24s} {equal:>16s} {largest:20.2e} {before:>16s} {after:>16s}  {remarks(runs)}"
            lines.append(line.rstrip())
    return lines
