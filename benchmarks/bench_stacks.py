"""What options of StackedAEClassifier bring, on the same draws.

The seed draws rows, labels and weights. All parameters but ``random_state`` and the one that is named have their
defaults; columns are raw.

- tables of scikit-learn, half of the rows for training: width and dropout of the layers;
- factors: 100 noisy columns that depend on five factors, as the three classes do; 60 of 1500 rows have a label;
- MNIST: 1000 of 10,000 images have a label (needs mnist.npz).

    python benchmarks/bench_stacks.py --data DIR [--seeds 5] [--threads 1]

DIR may also be given as SKAE_DATA. The table has means over the seeds with 95% intervals (Student), and paired gains.
Measurements are kept in ``bench_stacks.jsonl`` and skipped when the script is started again; those of skae are repeated
when its sources change.
"""

from functools import partial

import numpy as np
from outcomes.bench import accuracies, argument_parser, gain, print_table, rows
from outcomes.labels import partly
from records import Records
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import StackedAEClassifier

TABLES = {
    "iris": load_iris,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "digits": load_digits,
}
WIDTHS = {
    "defaults": {},
    "dropout 0.5": {"dropout": 0.5},
    "500 units": {"layers": [500, 500]},
    "500 units, dropout 0.5": {"layers": [500, 500], "dropout": 0.5},
    "SVC": None,
}
WEIGHTS = {"defaults": {}, "reconstruction 3": {"reconstruction_weight": 3}}
NOISE = {"defaults": {}, "dropout 0.5": {"dropout": 0.5}, "not masked": {"corruption": None}}


def table(title, seed):
    """Return halves of a table."""
    X, y = TABLES[title](return_X_y=True)
    return train_test_split(X, y, test_size=0.5, stratify=y, random_state=seed)


def factors(seed):
    """Return noisy columns that depend on five factors, and classes that do, too; most labels are -1."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((3500, 5))
    X = hidden @ rng.standard_normal((5, 100)) + 4 * rng.standard_normal((3500, 100))
    y = np.argmax(hidden @ rng.standard_normal((5, 3)), axis=1)
    return X[:1500], X[1500:], partly(y[:1500], 60, seed), y[1500:]


def digits(bench, seed):
    """Return images of MNIST of which 1000 have a label."""
    X, X_test, y, y_test = bench.split("MNIST 10,000", seed)
    return X, X_test, partly(y, 1000, seed), y_test


def block(bench, title, draw, methods):
    """Measure all methods on one set; return its lines."""

    def measure(seed, options):
        if options is None:
            model = make_pipeline(StandardScaler(), SVC())
        else:
            model = StackedAEClassifier(random_state=seed, **options)
        return accuracies(model, *draw(seed))

    runs = {
        method: bench.runs(
            {"set": title, "method": method},
            partial(measure, options=options),
            ours=options is not None,
        )
        for method, options in methods.items()
    }
    yield from rows(title, runs, ("accuracy", "cpu"), 1)
    for method in list(methods)[1:]:
        yield gain(title, runs, method, "defaults", "accuracy", digits=1)


def lines(bench):
    """Measure and return the lines of the table."""
    yield f"{'set':14s} {'method':24s} {'accuracy %':>20s} {'CPU s':>20s}"
    for title in TABLES:
        yield from block(bench, title, partial(table, title), WIDTHS)
    yield from block(bench, "factors", factors, WEIGHTS)
    if bench.folder:
        yield from block(bench, "MNIST", partial(digits, bench), NOISE)


def main():
    """Measure what is missing and print the table."""
    arguments = argument_parser(__doc__).parse_args()
    print_table(Records(arguments.results, "bench_stacks"), "stacks", lines, arguments)


if __name__ == "__main__":
    main()
