"""MNIST with labels for some of 10,000 images: networks with and without pre-training and tangents, and controls."""

import inspect

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from skae import ContractiveAE, ManifoldTangentClassifier, StackedAEClassifier

from .bench import accuracies, gain, rows, values, verdict_of

SET = "MNIST 10,000"
SPREAD_CODES = "CAE, LabelSpreading"
METHODS = (
    "stack",
    "stack, no pretraining",
    "MTC",
    "MTC, penalty 0",
    "MTC, penalty x 10",
    "MTC, penalty x 100",
    "SVC",
    "LabelSpreading",
    SPREAD_CODES,
)
CONTROLS = {"SVC": SVC(), "LabelSpreading": LabelSpreading(kernel="knn")}
PAIRS = (
    ("stack", "stack, no pretraining"),
    ("stack", "SVC"),
    ("MTC", "MTC, penalty 0"),
    ("MTC", "SVC"),
    ("stack", "LabelSpreading"),
    ("MTC", "LabelSpreading"),
    (SPREAD_CODES, "LabelSpreading"),
    (SPREAD_CODES, "MTC"),
    ("MTC", "stack"),
    ("MTC, penalty x 10", "MTC"),
    ("MTC, penalty x 100", "MTC"),
)
CHANCE = 20.0  # percent: twice what guessing gives


def stack(seed, **options):
    """Return the stacked classifier; its layers by default where it has some, else two default ones."""
    layers = inspect.signature(StackedAEClassifier).parameters["layers"]
    if layers.default is inspect.Parameter.empty:
        options["layers"] = [("low", ContractiveAE()), ("high", ContractiveAE())]
    return StackedAEClassifier(random_state=seed, **options)


def build(method, seed):
    """Return an unfitted classifier."""
    if method in CONTROLS:
        return clone(CONTROLS[method])
    if method == SPREAD_CODES:
        return make_pipeline(ContractiveAE(random_state=seed), clone(CONTROLS["LabelSpreading"]))
    if method.startswith("stack"):
        return stack(seed, pretraining=None) if "no" in method else stack(seed)
    model = ManifoldTangentClassifier(random_state=seed)
    if "penalty" in method:
        model.set_params(tangent_penalty=f"{method.split()[-1]}*auto")
    return model


def partly(y, n_labels, seed):
    """Return ``y`` with -1 for all but ``n_labels`` rows, which have the shares of the classes."""
    labeled, _ = train_test_split(
        np.arange(len(y)), train_size=n_labels, random_state=seed, stratify=y
    )
    hidden = np.full_like(y, -1)
    hidden[labeled] = y[labeled]
    return hidden


def measured(bench, n_labels):
    """Return the runs of each method with so many labels; only the labels are drawn by the seed.

    Larger penalties are tried with the first seed, to see that they do not end at chance.
    """

    def measure(method, seed):
        X, X_test, y, y_test = bench.split(SET, 0)
        y = partly(y, n_labels, seed)
        rows_used = y >= 0 if method == "SVC" else slice(None)
        return accuracies(build(method, seed), X[rows_used], X_test, y[rows_used], y_test)

    return {
        method: bench.runs(
            {"labels": n_labels, "method": method},
            lambda seed, method=method: measure(method, seed),
            ours=method not in CONTROLS,
            most=1 if " x " in method else None,
        )
        for method in METHODS
    }


def verdict(title, methods):
    """Return a line about the worst fit of the tangent classifiers; None where there is none."""
    found = [
        value
        for method, runs in methods.items()
        if method.startswith("MTC")
        for value in values(runs, "accuracy").values()
    ]
    if not found:
        return None
    held = verdict_of(min(found) > CHANCE)
    return f"{title:14s} worst fit of all penalties {min(found):.2f}, never at chance: {held}"


def table(bench):
    """Measure and return the lines."""
    lines = [f"{'labels':14s} {'method':24s} {'accuracy %':>20s} {'CPU seconds':>20s}"]
    for n_labels in (100, 1000) if bench.short else (100, 1000, 3000):
        title = str(n_labels)
        methods = measured(bench, n_labels) if bench.sets([SET]) else {}
        lines += rows(title, methods, ("accuracy", "cpu"))
        lines += filter(None, (gain(title, methods, *pair) for pair in PAIRS))
        lines += filter(None, [verdict(title, methods)])
    return lines
