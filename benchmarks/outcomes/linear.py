"""A linear classifier on codes of the default auto-encoder, on raw columns and on as many principal components.

"folds" are the five of ``cross_val_score``, and "thirds" three: all rows in their order, where seeds draw initial
weights only. Writers of test rows are then not those of training rows. Raw pixels are divided by their range, but for
the thirds, where each is standardized.
"""

import numpy as np
from records import half_interval
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import FeatureUnion, Pipeline

from skae import ContractiveAE

from .bench import accuracies, differences, gain, rows, scaler, verdict_of

# The least gain of the codes over the raw columns, in points.
TARGETS = {
    "digits": 2.5,
    "digits, folds": 2.5,
    "digits, thirds": 2.5,
    "MNIST 10,000": 4.0,
    "Olivetti": 0.0,
    "breast cancer": -0.3,
    "wine": -0.3,
    "Adult": -0.3,
    "Covertype 20k": -0.3,
}
METHODS = ("codes", "scaled", "PCA", "codes and scaled")


def build(method, table, seed, width):
    """Return a pipeline of defaults."""
    codes = ContractiveAE(random_state=seed)
    steps = {
        "codes": [("codes", codes)],
        "scaled": [("scaled", scaler(table))],
        "PCA": [("scaled", scaler(table)), ("pca", PCA(width, random_state=seed))],
        "codes and scaled": [
            ("union", FeatureUnion([("codes", codes), ("scaled", scaler(table))]))
        ],
    }
    classifier = LogisticRegression(max_iter=2000)
    return Pipeline([("encoder", table.encoder()), *steps[method], ("linear", classifier)])


def splits(bench, name, seed):
    """Return the splits of a set: one, or those of its folds."""
    table = bench.load(name)
    if not table.n_folds:
        return [bench.split(name, seed)]
    folds = StratifiedKFold(table.n_folds).split(table.X, table.y)
    return [(table.X[a], table.X[b], table.y[a], table.y[b]) for a, b in folds]


def measured(bench, name):
    """Return the runs of each method on one set."""
    methods, width = {}, None
    for method in METHODS:
        key = {"set": name, "method": method}
        if method == "PCA":
            # As wide as the code, where there are so many columns.
            found = [run["width"] for other in methods.values() for run in other if "width" in run]
            key["components"] = width = min(found, default=None)

        def measure(seed, method=method, width=width):
            found = []
            for split in splits(bench, name, seed):
                # No more components than rows.
                model = build(method, bench.load(name), seed, width and min(width, len(split[0])))
                found.append(accuracies(model, *split))
            means = {key: float(np.mean([each[key] for each in found])) for key in found[0]}
            return {**means, "width": int(model.named_steps["linear"].n_features_in_)}

        methods[method] = bench.runs(key, measure, ours="codes" in method)
    return methods


def verdicts(name, methods):
    """Return the lines of one set: the target, the principal components, and codes beside the raw columns."""
    yield gain(name, methods, "codes", "scaled", least=TARGETS[name])
    yield gain(name, methods, "codes", "PCA")
    line = gain(name, methods, "codes and scaled", "scaled")
    if line:
        numbers = differences(methods["codes and scaled"], methods["scaled"], "accuracy")
        held = numbers.mean() + half_interval(numbers) >= 0
        yield f"{line}  not behind by more than the interval: {verdict_of(held)}"


def table(bench):
    """Measure and return the lines."""
    lines = [
        f"{'set':14s} {'method':24s} {'accuracy %':>20s} {'balanced %':>20s} {'features':>20s} {'CPU seconds':>20s}"
    ]
    for name in bench.sets(TARGETS):
        methods = measured(bench, name)
        lines += rows(name, methods, ("accuracy", "balanced", "width", "cpu"))
        lines += filter(None, verdicts(name, methods))
    return lines
