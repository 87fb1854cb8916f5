"""Forest cover types, all 581,012 rows: MTC, an MLP, trees, neighbors and an SVM, and the 3.13% of Rifai et al. (2011).

The 54 columns are 10 quantities (standardized) and two one-hot groups; the auto-encoder takes each with its own loss.
The split is random, since that of the paper is not known: 100,000 test rows, 20,000 validation rows, and the others for
training. All networks have the same relu layers and are trained with the same learning rate, which falls along half a
cosine. The number of layers is chosen with the MLP and the penalty with MTC, on the validation rows. MTC uses one
random direction of each tangent plane at a time. A single SVM cannot be fitted to so many rows in minutes: there is one
for each cell of k-means, of 20,000 rows on average, with the gamma and C that are best on the validation rows. Results
are from one run each, with a 95% interval on the test rows.

    python benchmarks/repro_covertype.py --data DIR [--samples 461012] [--epochs 60] [--threads 2] [--list] [--short]

Each fit is kept in ``repro_covertype.jsonl``, and skipped when the script is started again. ``--short`` takes 100,000
rows, 12 epochs, three layers, one penalty and one SVM, and writes ``repro_covertype_short``.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np
from records import Records, half_width
from sklearn.cluster import KMeans
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from skae import (
    AutoEncoder,
    ContractiveAE,
    ManifoldTangentClassifier,
    StackedAE,
    StackedAEClassifier,
)

RESULTS = Path(__file__).parent / "results"
PUBLISHED = {"SVM": "4.11, distributed 3.46", "MTC": "3.13"}
QUANTITIES = slice(0, 10)
LOSS = [
    ("gaussian", QUANTITIES),
    ("multinomial", slice(10, 14)),
    ("multinomial", slice(14, 54)),
]
ROWS_OF_CELL = 20_000
SVMS = [{"C": C, "gamma": gamma} for gamma in (1.0, 2.0) for C in (10, 100)]


def load(folder, n_train):
    """Return training, validation and test rows with their labels."""
    with np.load(os.path.join(folder, "covtype.npz")) as file:
        X, y = file["x"].astype(np.float32), file["y"].astype(np.int64)
    order = np.random.default_rng(0).permutation(len(y))
    test, validation, train = order[:100_000], order[100_000:120_000], order[120_000:][:n_train]
    X[:, QUANTITIES] = StandardScaler().fit(X[train, QUANTITIES]).transform(X[:, QUANTITIES])
    return {
        name: (X[rows], y[rows])
        for name, rows in (("train", train), ("validation", validation), ("test", test))
    }


class CellSVC:
    """An SVM for each cell of k-means, for too many rows for one; each cell must have two classes or more.

    Parameters
    ----------
    n_cells : int
    options : dict
        Of the SVMs.
    """

    def __init__(self, n_cells, **options):
        self.cells, self.options = KMeans(n_cells, n_init=1, random_state=0), options

    def fit(self, X, y):
        """Fit cells and SVMs."""
        numbers = self.cells.fit_predict(X)
        self.svms_ = [
            SVC(cache_size=1000, **self.options).fit(X[numbers == cell], y[numbers == cell])
            for cell in range(self.cells.n_clusters)
        ]
        return self

    def score(self, X, y):
        """Return the accuracy."""
        numbers, hits = self.cells.predict(X), 0
        for cell, svm in enumerate(self.svms_):
            rows = numbers == cell
            hits += int(np.sum(svm.predict(X[rows]) == y[rows])) if rows.any() else 0
        return hits / len(y)


def users_picks():
    """Return what a user would try first."""
    return {
        "neighbor": KNeighborsClassifier(1),
        "extra trees": ExtraTreesClassifier(100, random_state=0),
    }


def network(name, depth, penalty, arguments):
    """Return an unfitted classifier of ``depth`` hidden layers."""
    common = {"batch_size": arguments.batch_size, "learning_rate": "cosine"}
    training = {
        **common,
        "max_iter": arguments.epochs,
        "learning_rate_init": arguments.rate,
        "corruption_level": 0.0,
        "random_state": 0,
    }
    if name == "MLP":
        layers = [
            (f"layer{k}", AutoEncoder(arguments.width, activation="relu")) for k in range(depth)
        ]
        return StackedAEClassifier(layers, pretraining=None, dropout=0.0, **training)
    # Steps and a contraction that leave relus nonlinear: by default nearly all are on in the upper layers.
    options = {**common, "activation": "relu", "contraction": 0.1, "learning_rate_init": 1e-3}
    options["max_iter"] = arguments.pretraining_epochs
    layers = [
        (f"layer{k}", ContractiveAE(arguments.width, loss="auto" if k else LOSS, **options))
        for k in range(depth)
    ]
    return ManifoldTangentClassifier(
        StackedAE(layers),
        n_tangents=10,
        tangent_penalty=penalty,
        tangent_sampling="random",
        **training,
    )


def measured(model, data):
    """Return the errors in percent, and the CPU minutes of the fit."""
    start = time.process_time()
    model.fit(*data["train"])
    minutes = round((time.process_time() - start) / 60, 1)
    errors = {
        f"{part}_error": round(100 * (1 - model.score(*data[part])), 3)
        for part in ("validation", "test")
    }
    return errors | {"cpu_minutes": minutes}


def best(records):
    """Return the record that errs least on the rows that select; None where there is none."""
    found = [record for record in records if record is not None]
    return min(found, key=lambda record: record["validation_error"], default=None)


def main():
    """Fit what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument("--samples", type=int, default=461_012, help="training rows")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--width", type=int, default=500, help="of each layer")
    parser.add_argument("--depths", type=int, nargs="+", default=(3, 4), help="hidden layers")
    parser.add_argument("--penalties", type=float, nargs="+", default=(0.01, 0.1))
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--pretraining-epochs", type=int, default=5)
    parser.add_argument("--list", action="store_true", help="print the table of what is there")
    parser.add_argument("--short", action="store_true", help="the order, in ten minutes")
    arguments = parser.parse_args()
    form, machines = "repro_covertype", SVMS
    if arguments.short:
        form, arguments.samples, arguments.epochs = "repro_covertype_short", 100_000, 12
        arguments.depths, arguments.penalties, machines = (3,), (0.003,), SVMS[:1]
    records = Records(arguments.results, form, measuring=not arguments.list)
    data = None if arguments.list else load(arguments.data, arguments.samples)

    def once(name, model, **settings):
        key = {"model": name, "n_train": arguments.samples, **settings}
        return records.once(key, lambda: measured(model, data))

    def best_network(name, settings):
        shared = {
            "width": arguments.width,
            "rate": arguments.rate,
            "batch_size": arguments.batch_size,
            "epochs": arguments.epochs,
        }
        if name != "MLP":
            shared["pretraining_epochs"] = arguments.pretraining_epochs
        return best(
            once(
                name,
                network(name, depth, penalty, arguments),
                depth=depth,
                penalty=penalty,
                **shared,
            )
            for depth, penalty in settings
        )

    with threadpool_limits(arguments.threads):
        mlp = best_network("MLP", [(depth, 0.0) for depth in arguments.depths])
        networks = [mlp]
        if mlp is not None:
            networks.append(best_network("CAE", [(mlp["depth"], 0.0)]))
            networks.append(best_network("MTC", [(mlp["depth"], p) for p in arguments.penalties]))
        n_cells = max(arguments.samples // ROWS_OF_CELL, 1)
        svms = (once("SVM", CellSVC(n_cells, **each), n_cells=n_cells, **each) for each in machines)
        others = [best(svms), *(once(name, model) for name, model in users_picks().items())]
    records.table(table(others + networks, arguments))


def table(rows, arguments):
    """Return the table of records, some of them None."""
    lines = [
        f"Covertype, {arguments.samples} rows for training, 20000 to select, 100000 for the test; layers of {arguments.width} relus,\n"
        f"batches of {arguments.batch_size}, {arguments.pretraining_epochs} epochs of pre-training a layer, {arguments.epochs} of fine-tuning; error in percent",
        f"{'':12s} {'rows':>7s} {'layers':>7s} {'penalty':>8s} {'validation':>11s} {'test':>14s} {'CPU min':>8s}   published",
    ]
    for row in filter(None, rows):
        width = half_width(row["test_error"], 100_000)
        lines.append(
            f"{row['model']:12s} {row['n_train']:7d} {row.get('depth', '')!s:>7s} {row.get('penalty', '')!s:>8s}"
            f" {row['validation_error']:11.2f} {row['test_error']:6.2f} +- {width:.2f} {row['cpu_minutes']:8.1f}   {PUBLISHED.get(row['model'], '')}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
