"""CPU seconds of default fits of 10,000 x 784 (MNIST), and the accuracy of a linear classifier on the codes.

CPU seconds are those of all threads. The baseline is as many principal components as code units. Each class is first
fitted to 300 rows, since the first fit of a process compiles.
"""

import time

from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from skae import AutoEncoder, ContractiveAE, DenoisingAE

from .bench import accuracies, fitted, rows

SET = "MNIST 10,000"
MODELS = {model.__name__: model for model in (AutoEncoder, DenoisingAE, ContractiveAE)}


def build(method, seed):
    """Return an unfitted transformer."""
    if method == "PCA":
        return PCA(AutoEncoder().n_components, random_state=seed)
    return MODELS[method](random_state=seed)


def measure(bench, method, seed):
    """Return seconds, epochs and accuracy."""
    X, X_test, y, y_test = bench.split(SET, seed)
    build(method, seed).fit(X[:300])
    start = time.perf_counter()
    model, cpu = fitted(build(method, seed), X)
    wall = round(time.perf_counter() - start, 2)
    linear = LogisticRegression(max_iter=2000)
    found = accuracies(linear, model.transform(X), model.transform(X_test), y, y_test)
    return {**found, **cpu, "wall": wall, "epochs": int(getattr(model, "n_iter_", 0))}


def table(bench):
    """Measure and return the lines."""
    columns = ("CPU seconds", "wall seconds", "epochs", "accuracy of LR %")
    lines = [f"{'set':14s} {'method':24s} " + " ".join(f"{column:>20s}" for column in columns)]
    if bench.sets([SET]):
        methods = {
            method: bench.runs(
                {"method": method},
                lambda seed, method=method: measure(bench, method, seed),
                ours=method != "PCA",
            )
            for method in (*MODELS, "PCA")
        }
        lines += rows(SET, methods, ("cpu", "wall", "epochs", "accuracy"))
    return lines
