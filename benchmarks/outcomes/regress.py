"""Numbers to predict: the default ``StackedAERegressor`` on raw columns, and scikit-learn's regressors on scaled ones.

Most targets are a column of a table, to be told from its other columns. Synthetic sets have noise, from little to all
of the target, whose deviation is in their names. ``no pre-training`` and ``no dropout`` are controls.
"""

from functools import partial

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1, make_friedman2, make_friedman3
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skae import StackedAERegressor

from .bench import fitted, rows, spread, values

N_ROWS = 3000  # of a set, at most
COLUMNS = {
    "breast cancer": (1, 4, 8, 19),
    "wine": (0, 5, 9, 12),
    "iris": (1, 3),
    "digits": (20, 36, 43),
    "Covertype": (0, 2, 3, 5, 9),
    "mammography": (0, 4),
    "Adult": ("age", "education_num", "hours_per_week"),
}
TWINS = {"education_num": ["education"]}  # the same in words
SHORT = {"breast cancer": (1,), "wine": (0,)}
SYNTHETIC = {
    "friedman1, 1": lambda seed: make_friedman1(800, noise=1, random_state=seed),
    "friedman1, 3": lambda seed: make_friedman1(800, noise=3, random_state=seed),
    "friedman1, 6": lambda seed: make_friedman1(800, noise=6, random_state=seed),
    "friedman2": lambda seed: make_friedman2(600, noise=100, random_state=seed),
    "friedman3": lambda seed: make_friedman3(600, noise=0.1, random_state=seed),
    "linear, 6": lambda seed: linear(6, seed),
    "noise alone": lambda seed: linear(np.inf, seed),
}
OURS = "StackedAERegressor"
CONTROLS = ("no dropout", "no pre-training")
PEERS = ("Ridge", "SVR", "MLP", "boosting")


def linear(noise, seed):
    """Return a linear function of 15 columns with noise, which may be infinite."""
    rng = np.random.default_rng(seed)
    X, errors = rng.standard_normal((500, 15)), rng.standard_normal(500)
    return X, errors if np.isinf(noise) else X @ rng.standard_normal(15) + noise * errors


def drawn(bench, name, seed):
    """Return X and y of a set, by its name and perhaps a column."""
    if name in SYNTHETIC:
        return SYNTHETIC[name](seed)
    if name == "diabetes":
        return load_diabetes(return_X_y=True)
    name, column = name.split(": ")
    table = bench.load(name)
    chosen = np.random.default_rng(seed).permutation(len(table.y))[:N_ROWS]
    if table.categories:
        frame = table.X.iloc[chosen]
        others = frame.drop(columns=[column, *TWINS.get(column, [])])
        return pd.get_dummies(others, dtype=float).to_numpy(), frame[column].to_numpy(float)
    X, place = np.asarray(table.X[chosen], float), int(column)
    return np.delete(X, place, axis=1), X[:, place]


def build(method, seed):
    """Return a regressor of numbers."""
    if method == OURS:
        return StackedAERegressor(random_state=seed)
    if method == "no dropout":
        return StackedAERegressor(dropout=0.0, random_state=seed)
    if method == "no pre-training":
        return StackedAERegressor(pretraining=None, random_state=seed)
    if method == "boosting":
        return HistGradientBoostingRegressor(random_state=seed)
    peer = {
        "Ridge": lambda: RidgeCV(np.logspace(-2, 4, 13)),
        "SVR": SVR,
        "MLP": lambda: MLPRegressor(max_iter=500, random_state=seed),
    }[method]()
    scaled = make_pipeline(StandardScaler(), peer)
    return TransformedTargetRegressor(scaled, transformer=StandardScaler())


def measured(bench, name):
    """Return the runs of each method on one set."""

    def measure(method, seed):
        X, y = drawn(bench, name, seed)
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=seed)
        model, cpu = fitted(build(method, seed), X, y)
        return {"r2": round(float(model.score(X_test, y_test)), 4), **cpu}

    return {
        method: bench.runs(
            {"set": name, "method": method},
            partial(measure, method),
            ours=method in (OURS, *CONTROLS),
        )
        for method in (OURS, *CONTROLS, *PEERS)
    }


def table(bench):
    """Measure and return the lines."""
    columns = SHORT if bench.short else COLUMNS
    names = [f"{name}: {column}" for name in bench.sets(columns) for column in columns[name]]
    results = {name: measured(bench, name) for name in ["diabetes", *names, *SYNTHETIC]}
    lines = [f"{'set':22s} {'method':24s} {'R2':>20s} {'CPU seconds':>20s}"]
    for name, methods in results.items():
        lines += rows(f"{name:22s}", methods, ("r2", "cpu"), digits=3)
    means = {
        method: [mean_of(results[name][method]) for name in results]
        for method in (OURS, *CONTROLS, *PEERS)
    }
    lines.append(
        f"{'method':24s} {'mean R2':>8s} {'median':>8s} {'least':>8s}  sets where it is best of {OURS} and peers"
    )
    compared = [OURS, *PEERS]
    best = np.argmax([means[method] for method in compared], axis=0)
    for method, found in means.items():
        n_best = np.sum(best == compared.index(method)) if method in compared else "-"
        lines.append(
            f"{method:24s} {np.mean(found):8.3f} {np.median(found):8.3f} {min(found):8.3f}  {n_best}"
        )
    for other in (*CONTROLS, *PEERS):
        gains = np.subtract(means[OURS], means[other])
        lines.append(
            f"{OURS} over {other}: {spread(gains, 3)} over sets, least {gains.min():.3f}, ahead on {np.sum(gains > 0)} of {len(gains)}"
        )
    return lines


def mean_of(runs):
    """Return the mean R2 of the seeds."""
    return float(np.mean(list(values(runs, "r2").values())))
