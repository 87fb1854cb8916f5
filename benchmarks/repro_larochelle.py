"""Four sets of Larochelle et al. (ICML 2007) with contractive and denoising stacks and an SVM.

The sets are regenerated from the published recipe (``skae.datasets``), since the archives cannot be had: compare
ranks, not digits. Rows train / select / test as published: 1,000 / 200 / 50,000 for rect, else 10,000 / 2,000 / 50,000.
Stacks have layers of 1000 sigmoid units, tied weights and the cross-entropy loss, are pre-trained greedily on the rows
of the first two parts, without labels, and fine-tuned together, all for as many epochs (``TRAINING`` below); each keeps
the weights of the epoch with the least validation error (its seed says which of these rows validate). The setting of
each model is the one of its grid (``GRID`` below) with the least validation error for the first seed; the other seeds
repeat it (an SVM has none).

    python benchmarks/repro_larochelle.py --data DIR [--sets rect basic rot bg-rand] [--seeds 3] [--threads 1]

DIR (or SKAE_DATA) has mnist.npz. Each fit is kept in ``repro_larochelle.jsonl`` of ``--results``, and skipped when the
script is started again; sets and seeds that are not there yet are added then. ``--table`` prints what is there.
"""

import argparse
import os
from functools import partial
from pathlib import Path

import numpy as np
from records import Records, half_width, pairs_in_order
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC
from sklearn.utils import gen_batches
from threadpoolctl import threadpool_limits

from skae import ContractiveAE, DenoisingAE, StackedAEClassifier
from skae.datasets import fetch_mnist, make_digits, make_rectangles, published_split

RESULTS = Path(__file__).parent / "results"
N_TEST = 50_000
WIDTH = 1000
# Test error in percent; DAE-3 with masking.
PUBLISHED = {
    "rect": {"SVM": 2.15, "DAE-3": 1.99, "CAE-1": 1.48, "CAE-2": 1.21},
    "basic": {"SVM": 3.03, "DAE-3": 2.84, "CAE-1": 2.83, "CAE-2": 2.48},
    "rot": {"SVM": 11.11, "DAE-3": 9.53, "CAE-1": 11.59, "CAE-2": 9.66},
    "bg-rand": {"SVM": 14.58, "DAE-3": 10.30, "CAE-1": 13.57, "CAE-2": 10.90},
}
GRID = {
    "SVM": [{"C": 10, "gamma": gamma} for gamma in (0.003, 0.01, 0.03)],
    "CAE-1": [{"contraction": value} for value in (0.3, 1.0, 3.0, 10.0)],
    "CAE-2": [{"contraction": value} for value in (0.3, 1.0, 3.0, 10.0)],
    "DAE-3": [{"corruption_level": share} for share in (0.1, 0.25, 0.4, 0.55)],
}
PRETRAINING_RATE = 3e-3
DIGITS = {"batch_size": 100, "pretraining_epochs": 15, "epochs": 60, "fine_tuning_rate": 3e-3}
TRAINING = {
    # Of the few rows of rect, smaller batches and more epochs.
    "rect": {"batch_size": 20, "pretraining_epochs": 100, "epochs": 30, "fine_tuning_rate": 1e-3},
    "basic": DIGITS,
    "rot": DIGITS,
    "bg-rand": DIGITS,
}


def load(name, folder):
    """Return the three parts of a set, always of the same draws."""
    if name == "rect":
        return published_split(*make_rectangles(random_state=2007), name)
    mnist = fetch_mnist(folder)
    return published_split(*make_digits(mnist.data, mnist.target, name, random_state=2007), name)


class KernelMachine:
    """SVC with an rbf kernel of matrix products, which libsvm computes entry by entry.

    Parameters
    ----------
    C, gamma : float
    """

    def __init__(self, C, gamma):
        self.kernel, self.svc = partial(rbf_kernel, gamma=gamma), SVC(C=C, kernel="precomputed")

    def fit(self, X, y):
        """Learn from X and y."""
        self.X = X
        self.svc.fit(self.kernel(X), y)
        return self

    def score(self, X, y):
        """Return the accuracy."""
        right = [
            self.svc.predict(self.kernel(X[rows], self.X)) == y[rows]
            for rows in gen_batches(len(X), 2000)
        ]
        return np.concatenate(right).mean()


def stack(model, setting, training, held_out, seed):
    """Return the deep classifier of a name such as ``CAE-2``, which validates on the share ``held_out`` of its rows."""
    kind, depth = model.split("-")
    # Patience for more epochs than there are: all models train for as long.
    options = {"batch_size": training["batch_size"], "tol": 0, "n_iter_no_change": 1000}
    layer = {"CAE": ContractiveAE, "DAE": DenoisingAE}[kind](
        WIDTH,
        loss="bernoulli",
        max_iter=training["pretraining_epochs"],
        learning_rate_init=PRETRAINING_RATE,
        **options,
        **setting,
    )
    return StackedAEClassifier(
        [(f"layer{number}", layer) for number in range(int(depth))],
        max_iter=training["epochs"],
        learning_rate_init=training["fine_tuning_rate"],
        early_stopping=True,
        validation_fraction=held_out,
        random_state=seed,
        **options,
    )


def measure(model, setting, training, seed, data):
    """Return the errors of one fit."""
    if model == "SVM":
        estimator = KernelMachine(**setting).fit(*data.train)
        validation = 1 - estimator.score(*data.validation)
    else:
        X, y = map(np.concatenate, zip(data.train, data.validation))
        held_out = len(data.validation[0]) / len(X)
        estimator = stack(model, setting, training, held_out, seed).fit(X, y)
        validation = min(estimator.validation_curve_)
    errors = {"validation": validation, "test": 1 - estimator.score(*data.test)}
    return {f"{part}_error": round(100 * error, 4) for part, error in errors.items()}


def selected(records, name, model, data, n_seeds):
    """Return the measurements of the chosen setting, one for each seed; none before the grid is complete."""

    def fit(setting, seed):
        training = {} if model == "SVM" else TRAINING[name]
        key = {"set": name, "model": model, "setting": setting, "seed": seed, **training}
        return records.once(key, lambda: measure(model, setting, training, seed, data))

    grid = [fit(setting, 0) for setting in GRID[model]]
    if None in grid:
        return []
    best = min(grid, key=lambda record: record["validation_error"])
    seeds = range(1, 1 if model == "SVM" else n_seeds)
    return [best] + list(filter(None, (fit(best["setting"], seed) for seed in seeds)))


def rows(name, runs):
    """Return the lines of a set: each model's mean error, and what is left of the published order."""
    errors = {model: float(np.mean([run["test_error"] for run in runs[model]])) for model in runs}
    theirs = PUBLISHED[name]
    for model, error in errors.items():
        spread = " ".join(f"{run['test_error']:.2f}" for run in runs[model])
        setting = " ".join(f"{key} {value}" for key, value in runs[model][0]["setting"].items())
        yield (
            f"{name:8s} {model:6s} {error:6.2f} +- {half_width(error, N_TEST):.2f}   {theirs[model]:6.2f} +- "
            f"{half_width(theirs[model], N_TEST):.2f}   {setting}; seeds {spread}"
        )
    resolution = half_width(max(errors.values()), N_TEST)
    kept, n_pairs = pairs_in_order(list(errors), errors, theirs, resolution)
    yield (
        f"{name:8s} ours {' < '.join(sorted(errors, key=errors.get))}; published "
        f"{' < '.join(sorted(theirs, key=theirs.get))}; {kept} of the {n_pairs} pairs further apart than "
        f"{resolution:.2f} in the published order"
    )


def main():
    """Fit what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument("--sets", nargs="+", choices=list(PUBLISHED), default=list(PUBLISHED))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="of what is there: fit nothing")
    arguments = parser.parse_args()
    records = Records(arguments.results, "repro_larochelle", measuring=not arguments.table)
    lines = [
        "Regenerated sets: compare ranks, not digits. Test error in percent, mean over seeds, with its 95% interval on "
        "50,000 images",
        f"{'set':8s} {'model':6s} {'ours':>15s} {'published':>16s}   setting",
    ]
    with threadpool_limits(arguments.threads):
        for name in arguments.sets:
            data = None if arguments.table else load(name, arguments.data)
            runs = {model: selected(records, name, model, data, arguments.seeds) for model in GRID}
            runs = {model: fits for model, fits in runs.items() if fits}
            if runs:
                lines += rows(name, runs)
    records.table("\n".join(lines))


if __name__ == "__main__":
    main()
